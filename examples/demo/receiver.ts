/**
 * A small OTLP/HTTP receiver, in place of a backend.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeSpans, type DemoSpan } from "./traces.ts";

/** A running receiver. */
export interface Receiver {
  /** For the collector's `--endpoint`. */
  readonly endpoint: string;
  /** Every span that has arrived. */
  readonly spans: readonly DemoSpan[];
}

/** Starts it on a free port. */
export async function startReceiver(): Promise<Receiver> {
  const spans: DemoSpan[] = [];
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part: Uint8Array) => parts.push(part));
    request.on("end", () => {
      let status = 200;
      try {
        for (const span of decodeSpans(Buffer.concat(parts))) spans.push(span);
      } catch {
        status = 400; // the collector says what it was told
      }
      response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}
