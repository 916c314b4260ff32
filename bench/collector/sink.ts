/**
 * Answers every request with success and counts while it does, cheaply: it shares the machine with
 * what is measured. Over HTTP, or over gRPC with the argument `grpc`. Prints its port, and for each line
 * it reads how many spans and log records came and how many measurements the newest metrics stand for.
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
import * as grpc from "@grpc/grpc-js";
import { ExportMetricsServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";

/** ExportTraceServiceRequest, ResourceSpans, ScopeSpans; and the same of log records. */
const RECORDS = [1, 2, 2];

/** Spans and log records. */
let records = 0;
/** Requests with metrics that were not looked into yet. */
const metrics: Uint8Array[] = [];
/** The measurements of a series: points are cumulative, so the newest says it all. */
const series = new Map<string, number>();

/** How many messages lie at the end of a path of field numbers. */
function count(bytes: Uint8Array, path: readonly number[]): number {
  function walk(start: number, end: number, depth: number): number {
    let found = 0;
    let at = start;
    const varint = (): number => {
      let value = 0;
      for (let shift = 0;; shift += 7) {
        const byte = bytes[at++];
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    while (at < end) {
      const tag = varint();
      if ((tag & 7) !== 2) throw new Error(`unexpected wire type ${tag & 7}`);
      const length = varint();
      if (tag >> 3 === path[depth]) {
        found += depth === path.length - 1 ? 1 : walk(at, at + length, depth + 1);
      }
      at += length;
    }
    if (at !== end) throw new Error("a message reaches beyond its end");
    return found;
  }
  return walk(0, bytes.length, 0);
}

/** Counts into `series`: counters are added ones to. */
function look(body: Uint8Array): void {
  const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, body);
  const all = resourceMetrics.flatMap((of) => of.scopeMetrics).flatMap((of) => of.metrics);
  for (const { name, data } of all) {
    // How many records found no room: the writer offers them again.
    if (name.startsWith("otlp_mmap.")) continue;
    const points = data.case === "sum" || data.case === "histogram" ? data.value.dataPoints : [];
    for (const point of points) {
      // Series beyond the limit are one, without this attribute.
      const which = point.attributes.find(({ key }) => key === "series")?.value?.value.value;
      const count = "count" in point ? point.count : point.value.value;
      series.set(`${name} ${which}`, Number(count));
    }
  }
}

function listenHttp(): void {
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      const all = Buffer.concat(chunks);
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(all) : all;
      if (request.url === "/v1/metrics") metrics.push(body);
      else records += count(body, RECORDS);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
  });
}

function listenGrpc(): void {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  const bytes = (value: Buffer): Buffer => value;
  server.addService({
    Export: {
      path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  }, {
    Export(call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>): void {
      records += count(call.request, RECORDS);
      reply(null, Buffer.alloc(0));
    },
  });
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.stdout.write(`${port}\n`);
  });
}

if (process.argv[2] === "grpc") listenGrpc();
else listenHttp();
createInterface({ input: process.stdin }).on("line", () => {
  for (const body of metrics.splice(0)) look(body);
  const measurements = [...series.values()].reduce((sum, value) => sum + value, 0);
  process.stdout.write(`${records + measurements}\n`);
}).on("close", () => process.exit());
