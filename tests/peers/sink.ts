/**
 * An OTLP receiver over HTTP that keeps what it is sent: what a peer forwards to.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import type { Signal } from "../../lib/otlp/request.ts";

/** A running sink. */
export type Sink = {
  /** Base URL, without a slash at the end. */
  url: string;
  /** The bodies received so far at /v1/traces, decompressed, in their order. */
  bodies: Uint8Array[];
  /** The same at /v1/metrics and /v1/logs. */
  metrics: Uint8Array[];
  logs: Uint8Array[];
  /** When each of those at /v1/traces had come, ms since the Unix epoch. */
  times: number[];
  /** Resolves with a signal's bodies once there are that many; rejects after `timeout` ms. */
  received: (count: number, timeout?: number, signal?: Signal) => Promise<Uint8Array[]>;
  /** Ends it. */
  stop: () => Promise<void>;
};

/** What a sink does with a request. */
export type SinkOptions = {
  /** The answer's status by signal, where that is not 200. */
  statuses?: Partial<Record<Signal, number>>;
  /** Base URL of the receiver it passes each request on to, whose answer it gives; else success. */
  passOnTo?: string;
};

/** Starts it on a free port. */
export async function startSink({ passOnTo, statuses = {} }: SinkOptions = {}): Promise<Sink> {
  const bySignal: Record<Signal, Uint8Array[]> = { traces: [], metrics: [], logs: [] };
  const times: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", async () => {
      const signal = /^\/v1\/(traces|metrics|logs)$/.exec(request.url ?? "")?.[1] as
        | Signal
        | undefined;
      if (signal === undefined) {
        response.writeHead(404).end();
        return;
      }
      if (signal === "traces") times.push(Date.now());
      const body = Buffer.concat(chunks);
      const packed = request.headers["content-encoding"] === "gzip";
      bySignal[signal].push(packed ? gunzipSync(body) : body);
      const type = { "content-type": "application/x-protobuf" };
      const status = statuses[signal];
      if (status !== undefined) {
        response.writeHead(status).end();
        return;
      }
      if (passOnTo === undefined) {
        response.writeHead(200, type).end();
        return;
      }
      try {
        const headers = {
          ...type,
          "content-encoding": request.headers["content-encoding"] ?? "identity",
        };
        const answer = await fetch(passOnTo + request.url, { method: "POST", headers, body });
        const content = new Uint8Array(await answer.arrayBuffer());
        response.writeHead(answer.status, type).end(content);
      } catch (error) {
        response.writeHead(502).end(String(error));
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    bodies: bySignal.traces,
    metrics: bySignal.metrics,
    logs: bySignal.logs,
    times,
    async received(count, timeout = 10_000, signal = "traces") {
      const bodies = bySignal[signal];
      for (const deadline = Date.now() + timeout; bodies.length < count;) {
        if (Date.now() > deadline) throw new Error(`${bodies.length} of ${count} bodies came`);
        await new Promise((wake) => setTimeout(wake, 20));
      }
      return bodies;
    },
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
