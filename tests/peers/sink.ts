/**
 * An OTLP receiver over HTTP that keeps what it is sent: what a peer forwards to.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** A running sink. */
export type Sink = {
  /** Base URL, without a slash at the end. */
  url: string;
  /** The bodies received so far, decompressed, in their order. */
  bodies: Uint8Array[];
  /** When each of them had come, ms since the Unix epoch. */
  times: number[];
  /** Resolves with the bodies once there are that many; rejects after `timeout` ms. */
  received: (count: number, timeout?: number) => Promise<Uint8Array[]>;
  /** Ends it. */
  stop: () => Promise<void>;
};

/** What a sink does with a request. */
export type SinkOptions = {
  /** Base URL of the receiver it passes each request on to, whose answer it gives; else success. */
  passOnTo?: string;
};

/** Starts it on a free port. */
export async function startSink({ passOnTo }: SinkOptions = {}): Promise<Sink> {
  const bodies: Uint8Array[] = [];
  const times: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", async () => {
      times.push(Date.now());
      const body = Buffer.concat(chunks);
      bodies.push(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
      const type = { "content-type": "application/x-protobuf" };
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
    bodies,
    times,
    async received(count, timeout = 10_000) {
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
