/**
 * A collector that receives OTLP, in a process of its own.
 *
 * @module
 */
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
