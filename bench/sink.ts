/**
 * An OTLP/HTTP receiver in a process of its own. It answers every request at once and only keeps its
 * body; asked for a report, it decodes all bodies, compares every span with what `attributesOf`
 * says, and counts. Prints its port first, then one line of JSON for each line it reads.
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
import { ExportTraceServiceRequestSchema, type Span } from "../proto/gen/otlp_pb.ts";
import { attributesOf, LATE_KEY, lateValue, NUMBER_KEY, SPAN_NAME } from "./spans/work.ts";

/** What a sink has received since the last report. */
export interface Report {
  requests: number;
  /** Decompressed. */
  bytes: number;
  spans: number;
  /** Spans with all their attributes, each with its value, their name and an end. */
  right: number;
  /** Spans that lack nothing but their late attribute. */
  withoutLate: number;
  /** Spans received more than once. */
  doubled: number;
  /** Spans with a parent. */
  children: number;
  /** What was wrong with the first span that was. */
  problem: string;
}

/** Adds one request to a report; `seen` holds a byte for every span number. */
function count(body: Uint8Array, report: Report, seen: Uint8Array): void {
  report.requests++;
  report.bytes += body.length;
  for (const { scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans) {
    for (const { spans } of scopeSpans) {
      for (const span of spans) {
        report.spans++;
        if (span.parentSpanId.length > 0) report.children++;
        const values = valuesOf(span);
        const number = Number(values.get(NUMBER_KEY));
        const problem = check(span, values, number);
        if (problem === "") report.right++;
        else if (problem === LATE_KEY) report.withoutLate++;
        else if (report.problem === "") report.problem = problem;
        if (seen[number]++ > 0) report.doubled++;
      }
    }
  }
}

function valuesOf(span: Span): Map<string, unknown> {
  return new Map(span.attributes.map(({ key, value }) => {
    const held = value?.value;
    return [key, held?.case === "intValue" ? Number(held.value) : held?.value];
  }));
}

/** What is wrong with a span: "" for nothing, `LATE_KEY` when that attribute alone is missing. */
function check(span: Span, values: Map<string, unknown>, number: number): string {
  if (span.name !== SPAN_NAME) return `name ${span.name}`;
  if (span.endTimeUnixNano < span.startTimeUnixNano) return `span ${number}: ends before it starts`;
  const expected = attributesOf(number);
  for (const [key, value] of Object.entries(expected)) {
    if (values.get(key) !== value) return `span ${number}: ${key} is ${values.get(key)}`;
  }
  const wanted = Object.keys(expected).length;
  if (values.size === wanted && !values.has(LATE_KEY)) return LATE_KEY;
  if (values.get(LATE_KEY) !== lateValue(number)) {
    return `span ${number}: ${LATE_KEY} is ${values.get(LATE_KEY)}`;
  }
  return values.size === wanted + 1 ? "" : `span ${number}: ${values.size} attributes`;
}

const bodies: { bytes: Uint8Array; gzip: boolean }[] = [];
const server = createServer((request, response) => {
  const chunks: Uint8Array[] = [];
  request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  request.on("end", () => {
    const gzip = request.headers["content-encoding"] === "gzip";
    bodies.push({ bytes: Buffer.concat(chunks), gzip });
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// Each line is the number of spans there may be.
createInterface({ input: process.stdin }).on("line", (line) => {
  const report: Report = {
    requests: 0,
    bytes: 0,
    spans: 0,
    right: 0,
    withoutLate: 0,
    doubled: 0,
    children: 0,
    problem: "",
  };
  const seen = new Uint8Array(Number(line));
  for (const { bytes, gzip } of bodies.splice(0)) {
    count(gzip ? gunzipSync(bytes) : bytes, report, seen);
  }
  process.stdout.write(`${JSON.stringify(report)}\n`);
}).on("close", () => process.exit());
