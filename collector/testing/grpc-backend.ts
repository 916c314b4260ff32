/**
 * An OTLP/gRPC server for tests, which takes each request whole and then does as it is told.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as grpc from "@grpc/grpc-js";
import type { Signal } from "../../lib/otlp/request.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import {
  ADDRESS_CERTIFICATE,
  CERTIFICATE,
  KEY,
  OTHER_CERTIFICATE,
} from "../testing/tls-fixture.ts";

/** A call of `Export`. */
export type GrpcCall = grpc.ServerUnaryCall<Buffer, Buffer>;

/** Answers the call with that number, from 1. */
export type GrpcAnswer = (
  reply: grpc.sendUnaryData<Buffer>,
  count: number,
  call: GrpcCall,
) => void;

/** In place of the address of one whose connection is closed. */
export const UNKNOWN_PEER = "unknown";

/** What kind of server. */
export interface GrpcBackendOptions {
  /** The signals it takes. Default: all. */
  readonly signals?: readonly Signal[];
  /** `mutual`: asks for a certificate, of the two there are; `address`: has one for 127.0.0.1. Default: no TLS. */
  readonly tls?: "server" | "mutual" | "address";
  /** Default: a free one. */
  readonly port?: number;
}

/** A running server. */
export interface GrpcBackend {
  readonly port: number;
  /** `http://127.0.0.1:<port>`, whether it speaks TLS or not. */
  readonly url: string;
  /** The calls so far, of all signals, and the address and port of who made each. */
  readonly calls: GrpcCall[];
  readonly peers: string[];
  /** The requests so far by signal. */
  readonly requests: Record<Signal, Buffer[]>;
  /** Ends it and cuts every connection. */
  stop(): void;
}

const SERVICES: Record<Signal, string> = {
  traces: "opentelemetry.proto.collector.trace.v1.TraceService",
  metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
  logs: "opentelemetry.proto.collector.logs.v1.LogsService",
};

const bytes = (value: Buffer): Buffer => value;

function credentialsFor(tls: GrpcBackendOptions["tls"]): grpc.ServerCredentials {
  if (tls === undefined) return grpc.ServerCredentials.createInsecure();
  const certificate = Buffer.from(tls === "address" ? ADDRESS_CERTIFICATE : CERTIFICATE);
  const pair = { cert_chain: certificate, private_key: Buffer.from(KEY) };
  const clients = Buffer.from(CERTIFICATE + OTHER_CERTIFICATE);
  return grpc.ServerCredentials.createSsl(clients, [pair], tls === "mutual");
}

/**
 * Starts it.
 *
 * @param answer Default: takes everything.
 */
export async function startGrpcBackend(
  answer: GrpcAnswer = (reply) => reply(null, Buffer.alloc(0)),
  { signals = SIGNALS, tls, port = 0 }: GrpcBackendOptions = {},
): Promise<GrpcBackend> {
  const server = new grpc.Server();
  const calls: GrpcCall[] = [];
  const peers: string[] = [];
  const requests: Record<Signal, Buffer[]> = { traces: [], metrics: [], logs: [] };
  for (const signal of signals) {
    const method = {
      path: `/${SERVICES[signal]}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    };
    server.addService({ Export: method }, {
      Export: (call: GrpcCall, reply: grpc.sendUnaryData<Buffer>): void => {
        calls.push(call);
        // {@linkcode UNKNOWN_PEER} once the connection is closed, which it may already be.
        peers.push(call.getPeer());
        requests[signal].push(call.request);
        answer(reply, calls.length, call);
      },
    });
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentialsFor(tls), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const url = `http://127.0.0.1:${bound}`;
  return { port: bound, url, calls, peers, requests, stop: () => server.forceShutdown() };
}
