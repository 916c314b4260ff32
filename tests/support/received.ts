/**
 * A collector that receives OTLP, in a process of its own, and what its backend gets of it.
 *
 * @module
 */
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import type { Sink } from "../peers/sink.ts";
import { type Observed, startCollector } from "./collector.ts";

/** It, and where it receives. */
export interface ReceivingCollector extends Observed {
  /** `http://127.0.0.1:<port>`. */
  readonly httpUrl: string;
  /** `127.0.0.1:<port>`. */
  readonly grpcAddress: string;
}

/** Starts it on free ports; resolves when it listens. */
export async function startReceiving(args: readonly string[]): Promise<ReceivingCollector> {
  const ports = ["--otlp-http-port", "0", "--otlp-grpc-port", "0"];
  const collector = startCollector([...args, ...ports, "--otlp-receiver"]);
  await collector.wrote(/OTLP\/HTTP is received at \S+\n/);
  await collector.wrote(/OTLP\/gRPC is received at \S+\n/);
  const at = (what: string): string =>
    new RegExp(`${what} is received at (\\S+)`).exec(collector.text())![1];
  return { ...collector, httpUrl: at("OTLP/HTTP"), grpcAddress: at("OTLP/gRPC") };
}

/** Requests by signal, in their order. */
export type Requests = Record<Signal, Uint8Array[]>;

/** The requests in lines of a signal and base64. */
export function parseRequests(lines: string): Requests {
  const requests: Requests = { traces: [], metrics: [], logs: [] };
  for (const line of lines.trimEnd().split("\n")) {
    const [signal, body] = line.split(" ");
    requests[signal as Signal].push(new Uint8Array(Buffer.from(body, "base64")));
  }
  return requests;
}

const SCHEMAS: Readonly<Record<Signal, DescMessage>> = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
};

/** A sink got these requests of all signals, every field of them, and no others. */
export function assertArrived(sink: Sink, sent: Requests): void {
  const came: Requests = { traces: sink.bodies, metrics: sink.metrics, logs: sink.logs };
  for (const signal of ["traces", "metrics", "logs"] as const) {
    const decode = (body: Uint8Array) => fromBinary(SCHEMAS[signal], new Uint8Array(body));
    assert.ok(sent[signal].length > 0, signal);
    assert.deepEqual(came[signal].map(decode), sent[signal].map(decode));
  }
}
