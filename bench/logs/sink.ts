/**
 * An OTLP/HTTP receiver in a process of its own. It answers every request at once and only keeps its
 * body; asked for a report, it decodes all bodies, compares every log record with what work.ts says,
 * and counts. Prints its port first, then one line of JSON for each line it reads.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type AnyValue,
  ExportLogsServiceRequestSchema,
  type LogRecord,
} from "../../proto/gen/otlp_pb.ts";
import {
  attributesOf,
  bodyOf,
  NUMBER_KEY,
  SEVERITY,
  SEVERITY_TEXT,
  SPAN_ID,
  TRACE_ID,
} from "./work.ts";

/** What a sink has received since the last report. */
export interface Report {
  logs: number;
  /** Records with every value right. */
  right: number;
  /** Records received more than once. */
  doubled: number;
  /** What was wrong with the first record that was. */
  problem: string;
}

/** Adds one request to a report; `seen` holds a byte for every record number. */
function count(body: Uint8Array, report: Report, seen: Uint8Array): void {
  for (const { scopeLogs } of fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs) {
    for (const { logRecords } of scopeLogs) {
      for (const record of logRecords) {
        report.logs++;
        const values = new Map(record.attributes.map(({ key, value }) => [key, plain(value)]));
        const number = Number(values.get(NUMBER_KEY));
        const problem = check(record, values, number);
        if (problem === "") report.right++;
        else if (report.problem === "") report.problem = problem;
        if (seen[number]++ > 0) report.doubled++;
      }
    }
  }
}

function plain(value: AnyValue | undefined): unknown {
  const held = value?.value;
  return held?.case === "intValue" ? Number(held.value) : held?.value;
}

/** What is wrong with a record, "" for nothing. */
function check(record: LogRecord, values: Map<string, unknown>, number: number): string {
  const expected = attributesOf(number);
  for (const [key, value] of Object.entries(expected)) {
    if (values.get(key) !== value) return `record ${number}: ${key} is ${values.get(key)}`;
  }
  if (values.size !== Object.keys(expected).length) {
    return `record ${number}: ${values.size} attributes`;
  }
  const rest: [string, unknown, unknown][] = [
    ["body", plain(record.body), bodyOf(number)],
    ["severity", record.severityNumber, SEVERITY],
    ["severity text", record.severityText, SEVERITY_TEXT],
    ["trace", Buffer.from(record.traceId).toString("hex"), TRACE_ID],
    ["span", Buffer.from(record.spanId).toString("hex"), SPAN_ID],
    ["time", record.timeUnixNano > 0n && record.observedTimeUnixNano > 0n, true],
  ];
  const wrong = rest.find(([, is, wanted]) => is !== wanted);
  return wrong === undefined ? "" : `record ${number}: its ${wrong[0]} is ${wrong[1]}`;
}

const bodies: { bytes: Uint8Array; gzip: boolean }[] = [];
const server = createServer((request, response) => {
  const chunks: Uint8Array[] = [];
  request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  request.on("end", () => {
    const gzip = request.headers["content-encoding"] === "gzip";
    if (request.url === "/v1/logs") bodies.push({ bytes: Buffer.concat(chunks), gzip });
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// Each line is the number of records there may be.
createInterface({ input: process.stdin }).on("line", (line) => {
  const report: Report = { logs: 0, right: 0, doubled: 0, problem: "" };
  const seen = new Uint8Array(Number(line));
  for (const { bytes, gzip } of bodies.splice(0)) {
    count(gzip ? gunzipSync(bytes) : bytes, report, seen);
  }
  process.stdout.write(`${JSON.stringify(report)}\n`);
}).on("close", () => process.exit());
