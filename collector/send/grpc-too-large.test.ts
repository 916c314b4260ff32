/** Limits for requests that gRPC servers have, and HTTP proxies before them. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { spansOf } from "../../tests/support/collect.ts";
import { startGrpcBackend } from "../testing/grpc-backend.ts";
import { createSender, type Sender } from "./send.ts";

const cleanups: (() => void | Promise<unknown>)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const LIMIT = 2000;
const NAMES = Array.from({ length: 40 }, (_, i) => `span ${i} ${"x".repeat(190)}`);
const BODY = bodyOf(NAMES);

function bodyOf(names: readonly string[]): Uint8Array {
  const spans = names.map((name) => ({ name }));
  return toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, { resourceSpans: [{ scopeSpans: [{ spans }] }] }),
  );
}

function namesIn(body: Uint8Array): string[] {
  return spansOf(fromBinary(ExportTraceServiceRequestSchema, body)).map(({ span }) => span.name);
}

function senderTo(url: string): Sender & { lines: string[] } {
  const lines: string[] = [];
  const sender = createSender({
    signal: "traces",
    protocol: "grpc",
    url,
    backoff: { initialMs: 10, maxMs: 40, factor: 1.5, jitter: 0.5 },
    log: (level, message) => void lines.push(`${level} ${message}`),
  });
  cleanups.push(() => sender.close());
  return Object.assign(sender, { lines });
}

describe("a gRPC server with a limit for requests", () => {
  const { OUT_OF_RANGE, RESOURCE_EXHAUSTED } = grpc.status;
  for (
    const [code, words] of [
      [
        OUT_OF_RANGE,
        "Error, decoded message length too large: found N bytes, the limit is: M bytes",
      ],
      [RESOURCE_EXHAUSTED, "grpc: received message larger than max (N vs. M)"],
      [RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (N vs. M)"],
      [RESOURCE_EXHAUSTED, "Received message larger than max (N vs M)"],
      [RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size M: N"],
    ] as const
  ) {
    it(`gets everything in smaller parts: ${words}`, async () => {
      const taken: string[] = [];
      const { url, stop } = await startGrpcBackend((reply, _, { request }) => {
        if (request.length > LIMIT) {
          const details = words.replace("N", String(request.length)).replace("M", String(LIMIT));
          reply({ code, details });
        } else {
          taken.push(...namesIn(request));
          reply(null, Buffer.alloc(0));
        }
      });
      cleanups.push(stop);
      const sender = senderTo(url);
      const { accepted, dropped } = await sender.send(BODY, NAMES.length);
      assert.deepEqual([accepted, dropped], [NAMES.length, 0]);
      assert.deepEqual(taken, NAMES);
      assert.match(sender.lines[0], /40 spans in \d+ bytes.*; sent again in halves$/);
      // What can't be parted is refused, and not tried for ever.
      const one = await sender.send(bodyOf(["y".repeat(3000)]), 1);
      assert.deepEqual([one.accepted, one.dropped, one.gaveUp], [0, 1, undefined]);
    });
  }

  it("is waited for when it asks for that, whatever its words", async () => {
    const { url, stop } = await startGrpcBackend((reply, count) => {
      if (count > 1) return reply(null, Buffer.alloc(0));
      reply({ code: OUT_OF_RANGE, details: "the time is out of range" });
    });
    cleanups.push(stop);
    const sender = senderTo(url);
    assert.equal((await sender.send(BODY, NAMES.length)).accepted, NAMES.length);
    assert.match(sender.lines[0], /OUT_OF_RANGE.*; retrying$/);
  });
});

describe("an HTTP proxy before a gRPC server", () => {
  /** A server that answers bodies that `isRefused` with a web page. */
  async function proxy(
    status: number,
    isRefused: (bytes: number) => boolean,
  ): Promise<{ url: string; taken: string[] }> {
    const taken: string[] = [];
    const server = http2.createServer();
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on("session", (session) => sessions.add(session));
    server.on("stream", (stream: http2.ServerHttp2Stream) => {
      const chunks: Buffer[] = [];
      stream.on("error", () => {});
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const message = Buffer.concat(chunks).subarray(5);
        if (isRefused(message.length)) {
          stream.respond({ ":status": status, "content-type": "text/html" });
          stream.end("<html><body>no</body></html>");
          return;
        }
        taken.push(...namesIn(message));
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, {
          waitForTrailers: true,
        });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.alloc(5));
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()));
    cleanups.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, taken };
  }

  it("gets what it answers 413 in smaller parts", async () => {
    const { url, taken } = await proxy(413, (bytes) => bytes > LIMIT);
    const sender = senderTo(url);
    const { accepted, dropped } = await sender.send(BODY, NAMES.length);
    assert.deepEqual([accepted, dropped], [NAMES.length, 0], sender.lines.join("\n"));
    assert.deepEqual(taken, NAMES);
  });

  it("gets all again, and whole, when it had no backend", async () => {
    let attempts = 0;
    const { url, taken } = await proxy(502, (bytes) => bytes === 0 || attempts++ < 3);
    const sender = senderTo(url);
    assert.equal((await sender.send(BODY, NAMES.length)).accepted, NAMES.length);
    assert.equal(sender.state.allFailures, 3);
    assert.deepEqual(taken, NAMES);
    assert.doesNotMatch(sender.lines.join("\n"), /halves/);
  });
});
