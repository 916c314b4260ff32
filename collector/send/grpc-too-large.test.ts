/** Limits for requests that gRPC servers have, and HTTP proxies before them. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { spansOf } from "../../tests/support/collect.ts";
import { startGrpcBackend } from "../testing/grpc-backend.ts";
import { startHttp2Backend, succeed } from "../testing/http2-backend.ts";
import { startSender, type ToldSender } from "../testing/senders.ts";
import { cleanups } from "../testing/servers.ts";

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

function senderTo(url: string): ToldSender {
  return startSender(url, { protocol: "grpc" });
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
    const url = await startHttp2Backend((stream, frame) => {
      const message = frame.subarray(5);
      if (isRefused(message.length)) {
        stream.respond({ ":status": status, "content-type": "text/html" });
        stream.end("<html><body>no</body></html>");
        return;
      }
      taken.push(...namesIn(message));
      succeed(stream);
    });
    return { url, taken };
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
