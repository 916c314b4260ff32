import { fromBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { ExportTraceServiceResponseSchema } from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { METHODS, STATUS_DETAILS } from "../send/grpc.ts";
import { retryInfoMs } from "../send/grpc-status.ts";
import { type Backend, createBackend } from "../testing/intake.ts";
import { EVERYTHING } from "../testing/requests.ts";
import { until } from "../testing/run.ts";
import { startGrpcReceiver } from "./grpc.ts";

const { traces } = EVERYTHING;
const identity = (bytes: Buffer): Buffer => bytes;

interface Answer {
  readonly code: number;
  readonly details: string;
  /** Milliseconds that it asks to wait. */
  readonly retryMs?: number;
  readonly body: Uint8Array;
}

type Call = (path: string, body: Uint8Array, gzip?: boolean) => Promise<Answer>;

/** Runs a test with a server before a backend that answers as it is told. */
async function serving(
  test: (call: Call, backend: Backend, port: number) => Promise<void>,
  requestTimeoutMs = 20_000,
): Promise<void> {
  const backend = createBackend();
  const server = await startGrpcReceiver(
    { host: "127.0.0.1", port: 0, requestTimeoutMs },
    backend.intake,
  );
  const clients = [undefined, 2].map((algorithm) =>
    new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), {
      "grpc.max_send_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      ...(algorithm === undefined ? {} : { "grpc.default_compression_algorithm": algorithm }),
    })
  );
  const call: Call = (path, body, gzip = false) =>
    new Promise((resolve) => {
      const deadline = Date.now() + 30_000;
      const message = Buffer.from(body);
      const metadata = new grpc.Metadata();
      clients[gzip ? 1 : 0].makeUnaryRequest(
        path,
        identity,
        identity,
        message,
        metadata,
        { deadline },
        (error, answer) => {
          const status = error?.metadata.get(STATUS_DETAILS)[0] as Buffer | undefined;
          resolve({
            code: error?.code ?? 0,
            details: error?.details ?? "",
            retryMs: status === undefined ? undefined : retryInfoMs(status),
            body: new Uint8Array(answer ?? []),
          });
        },
      );
    });
  try {
    await test(call, backend, server.port);
  } finally {
    for (const client of clients) client.close();
    await server.close();
  }
}

describe("OTLP/gRPC", () => {
  it("takes every signal, gzip or not, byte by byte", () =>
    serving(async (call, { came, intake }) => {
      for (const signal of SIGNALS) {
        const { body, items } = EVERYTHING[signal];
        for (const gzip of [false, true]) {
          assert.deepEqual(await call(METHODS[signal], body, gzip), {
            code: 0,
            details: "",
            retryMs: undefined,
            body: new Uint8Array(),
          });
        }
        assert.deepEqual(came[signal].map((each) => new Uint8Array(each)), [body, body]);
        assert.equal(intake.counts.grpc.items[signal], 2 * items);
        assert.equal(intake.counts.http.items[signal], 0);
      }
    }));

  it("says what the backend refused, and when to come again", () =>
    serving(async (call, backend) => {
      backend.answer = () => ({ accepted: 1, rejected: 1, dropped: 0, reason: "too old" });
      const { body } = await call(METHODS.traces, traces.body);
      const { partialSuccess } = fromBinary(ExportTraceServiceResponseSchema, body);
      assert.equal(partialSuccess?.rejectedSpans, 1n);
      assert.equal(partialSuccess?.errorMessage, "too old");
      backend.answer = (items) => ({ accepted: 0, rejected: 0, dropped: items, reason: "b\nad €" });
      const refused = await call(METHODS.traces, traces.body);
      assert.deepEqual([refused.code, refused.retryMs], [3, undefined]);
      backend.answer = (items) => ({ accepted: 0, rejected: 0, dropped: items, gaveUp: true });
      const later = await call(METHODS.traces, traces.body);
      assert.deepEqual([later.code, later.retryMs], [14, 2_000]);
      backend.isFull = true;
      const full = await call(METHODS.traces, traces.body);
      assert.deepEqual([full.code, full.retryMs], [14, 2_000]);
      assert.match(full.details, /no room for more spans/);
    }));

  it("refuses what is no request", () =>
    serving(async (call, { came, intake }) => {
      const cut = await call(METHODS.traces, traces.body.subarray(0, -1));
      assert.equal(cut.code, 3);
      assert.match(cut.details, /the body is no ExportTraceServiceRequest/);
      assert.equal((await call(METHODS.traces, new Uint8Array((4 << 20) + 1))).code, 8);
      assert.equal((await call(METHODS.traces, new Uint8Array(64 << 20), true)).code, 8);
      const other = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
      assert.equal((await call(other, traces.body)).code, 12);
      assert.deepEqual(came.traces, []);
      assert.equal(intake.counts.grpc.refused.get("malformed"), 1);
      assert.equal((await call(METHODS.traces, new Uint8Array())).code, 0);
    }));

  it("lives on calls that are taken back, and on connections that are reset", () =>
    serving(async (call, { came }, port) => {
      const path = METHODS.traces;
      const session = http2.connect(`http://127.0.0.1:${port}`);
      session.on("error", () => {});
      const headers = {
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        "te": "trailers",
      };
      const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), traces.body]);
      message.writeUInt32BE(traces.body.length, 1);
      for (let i = 0; i < 50; i++) {
        const stream = session.request(headers);
        stream.on("error", () => {});
        stream.write(message.subarray(0, i % 2 === 0 ? 20 : message.length));
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      for (let i = 0; i < 10; i++) {
        const stream = session.request(headers);
        stream.on("error", () => {});
        stream.write(message.subarray(0, 20));
      }
      await new Promise((resolve) => session.once("remoteSettings", resolve));
      session.destroy();
      const before = came.traces.length;
      assert.equal((await call(path, traces.body)).code, 0);
      assert.ok(came.traces.length > before);
    }));

  it("does not wait for ever for what is sent slowly, or not at all", () =>
    serving(async (call, { intake }, port) => {
      const silent = new Promise<void>((resolve) => {
        connect(port, "127.0.0.1").on("error", () => {}).on("close", () => resolve()).resume();
      });
      const session = http2.connect(`http://127.0.0.1:${port}`);
      session.on("error", () => {});
      const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
      const stream = session.request({
        ":method": "POST",
        ":path": METHODS.traces,
        "content-type": "application/grpc",
        "te": "trailers",
      });
      stream.on("error", () => {});
      stream.write(Buffer.from([0, 0, 0, 0, 100, 1, 2, 3]));
      await Promise.all([silent, closed]);
      assert.equal(intake.counts.grpc.refused.get("timeout"), 1);
      assert.equal((await call(METHODS.traces, traces.body)).code, 0);
    }, 500));

  it("reads only so many messages at a time, and goes on when there is room", () =>
    serving(async (call, { intake }, port) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      session.on("error", () => {});
      const streams = Array.from({ length: 40 }, () => {
        const stream = session.request({
          ":method": "POST",
          ":path": METHODS.traces,
          "content-type": "application/grpc",
          "te": "trailers",
        });
        stream.on("error", () => {});
        stream.write(Buffer.from([0, 0, 0, 0, 100]));
        return stream;
      });
      const busy = (): number => intake.counts.grpc.refused.get("busy") ?? 0;
      await until("eight are told to come again", () => busy() === 8);
      const { code, retryMs } = await call(METHODS.traces, traces.body);
      assert.deepEqual([code, retryMs], [14, 2_000]);
      for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
      let last = 14;
      await until("there is room again", async () => {
        last = (await call(METHODS.traces, traces.body)).code;
        return last !== 14;
      });
      assert.equal(last, 0);
      session.destroy();
    }));

  it(`lives on whatever comes (seed ${seed})`, () =>
    serving(async (call, _backend, port) => {
      const random = new Random();
      for (let round = 0; round < 50; round++) {
        await new Promise<void>((resolve) => {
          const socket = connect(port, "127.0.0.1");
          socket.on("error", () => {});
          socket.on("close", () => resolve());
          const bytes = Uint8Array.from({ length: 200 }, () => random.below(256));
          const preface = random.below(4) === 0 ? "" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
          // Frames of HTTP/2 of any kind, with a length that fits, or does not.
          for (let at = 0; at + 9 < bytes.length; at += 20) {
            bytes.set([0, 0, random.below(20), random.below(10)], at);
          }
          socket.write(Buffer.concat([Buffer.from(preface), bytes]));
          socket.end();
          setTimeout(() => socket.destroy(), 1_000).unref();
          socket.resume();
        });
        const mutant = new Uint8Array(traces.body);
        for (let i = random.below(4); i >= 0; i--) {
          mutant[random.below(mutant.length)] = random.below(256);
        }
        const { code } = await call(METHODS.traces, mutant, random.below(2) === 0);
        assert.ok(code === 0 || code === 3, `${code}`);
      }
      assert.equal((await call(METHODS.traces, traces.body)).code, 0);
    }));
});
