/**
 * A backend that can be away: it refuses every request for as long as it is.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Signal } from "../../lib/otlp/request.ts";

/** A running backend. */
export interface Backend {
  readonly url: string;
  /** What it has taken, in the order of arrival. */
  readonly bodies: Readonly<Record<Signal, Uint8Array[]>>;
  /** Requests it has refused. */
  refused: number;
  /** It answers 503. */
  away: boolean;
  stop(): Promise<void>;
}

/** Starts it on a free port; it is there. */
export async function startBackend(): Promise<Backend> {
  const bodies: Record<Signal, Uint8Array[]> = { traces: [], metrics: [], logs: [] };
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      if (backend.away) {
        backend.refused++;
        return response.writeHead(503).end();
      }
      bodies[request.url!.slice("/v1/".length) as Signal].push(Buffer.concat(chunks));
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const backend: Backend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    refused: 0,
    away: false,
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return backend;
}
