import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import http from "node:http";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { ExportTraceServiceResponseSchema, RpcStatusSchema } from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { EVERYTHING } from "../testing/requests.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import { until } from "../testing/run.ts";
import { type Backend, createBackend } from "../testing/intake.ts";
import { type HttpReceiverOptions, startHttpReceiver } from "./http.ts";
import { MAX_BODY_BYTES } from "./intake.ts";

const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";
const { traces } = EVERYTHING;

/** Runs a test with a server before a backend that answers as it is told. */
async function serving(
  test: (url: string, backend: Backend) => Promise<void>,
  options: Partial<HttpReceiverOptions> = {},
): Promise<void> {
  const backend = createBackend();
  const server = await startHttpReceiver(
    { host: "127.0.0.1", port: 0, origins: [], requestTimeoutMs: 20_000, ...options },
    backend.intake,
  );
  try {
    await test(`http://127.0.0.1:${server.port}`, backend);
  } finally {
    await server.close();
  }
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Uint8Array;
}

/** Sends a request with any headers, which `fetch` would not. */
function send(
  url: string,
  body: Uint8Array | string,
  headers: http.OutgoingHttpHeaders = {},
  method = "POST",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      { method, headers: { "content-type": PROTOBUF, ...headers }, agent: false },
      (response) => {
        const chunks: Uint8Array[] = [];
        response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: new Uint8Array(chunks.flatMap((chunk) => [...chunk])),
          }));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Status, code and message of a refusal, in the request's encoding. */
function refusal({ status, headers, body }: Answer): [number, number, string] {
  if (headers["content-type"] === JSON_TYPE) {
    const { code, message } = JSON.parse(new TextDecoder().decode(body));
    return [status, code, message];
  }
  assert.equal(headers["content-type"], PROTOBUF);
  const { code, message } = fromBinary(RpcStatusSchema, body);
  return [status, code, message];
}

describe("OTLP/HTTP", () => {
  it("takes every signal in both encodings, gzip or not, byte by byte", () =>
    serving(async (url, { came }) => {
      for (const signal of SIGNALS) {
        const { body } = EVERYTHING[signal];
        for (const type of [PROTOBUF, JSON_TYPE, "Application/JSON; charset=utf-8"]) {
          const text = type === PROTOBUF
            ? body
            : new TextEncoder().encode(toOtlpJson(signal, body));
          for (const packed of [false, true]) {
            const answer = await send(`${url}/v1/${signal}?a=b`, packed ? gzipSync(text) : text, {
              "content-type": type,
              ...(packed ? { "content-encoding": "gzip" } : {}),
            });
            assert.equal(answer.status, 200);
            assert.equal(
              answer.headers["content-type"],
              type === PROTOBUF ? PROTOBUF : JSON_TYPE,
            );
            assert.equal(new TextDecoder().decode(answer.body), type === PROTOBUF ? "" : "{}");
          }
        }
        assert.deepEqual(came[signal].map((each) => new Uint8Array(each)), new Array(6).fill(body));
      }
    }));

  it("says what the backend refused of a request", () =>
    serving(async (url, backend) => {
      backend.answer = () => ({ accepted: 1, rejected: 1, dropped: 0, reason: "too old" });
      const inProtobuf = await send(`${url}/v1/traces`, traces.body);
      assert.equal(inProtobuf.status, 200);
      const { partialSuccess } = fromBinary(ExportTraceServiceResponseSchema, inProtobuf.body);
      assert.equal(partialSuccess?.rejectedSpans, 1n);
      assert.equal(partialSuccess?.errorMessage, "too old");
      const inJson = await send(`${url}/v1/logs`, toOtlpJson("logs", EVERYTHING.logs.body), {
        "content-type": JSON_TYPE,
      });
      assert.deepEqual(JSON.parse(new TextDecoder().decode(inJson.body)), {
        partialSuccess: { rejectedLogRecords: "1", errorMessage: "too old" },
      });
      // Nothing was taken, and never will be.
      backend.answer = () => ({ accepted: 0, rejected: 0, dropped: 2, reason: "bad request" });
      assert.deepEqual(refusal(await send(`${url}/v1/traces`, traces.body)), [
        400,
        3,
        "bad request",
      ]);
      // What the configuration leaves out is no refusal.
      backend.answer = () => ({ accepted: 0, rejected: 0, dropped: 0, filtered: 2 });
      assert.deepEqual((await send(`${url}/v1/traces`, traces.body)).body, new Uint8Array());
    }));

  it("has senders come again while the backend is away, or there is no room", () =>
    serving(async (url, backend) => {
      const answers: ((outcome: "taken" | "gave up") => void)[] = [];
      backend.answer = (items) =>
        new Promise((resolve) =>
          answers.push((outcome) =>
            resolve(
              outcome === "taken"
                ? { accepted: items, rejected: 0, dropped: 0 }
                : { accepted: 0, rejected: 0, dropped: items, gaveUp: true },
            )
          )
        );
      backend.isAway = true;
      // It is with this one that the backend is tried again.
      const first = send(`${url}/v1/traces`, traces.body);
      await until("it is on its way", () => answers.length === 1);
      const second = await send(`${url}/v1/traces`, traces.body);
      assert.deepEqual(refusal(second), [503, 14, "the backend takes no spans now"]);
      assert.equal(second.headers["retry-after"], "2");
      backend.isAway = false;
      const others = Array.from({ length: 80 }, () => send(`${url}/v1/traces`, traces.body));
      const statuses: number[] = [];
      for (const other of others) void other.then(({ status }) => statuses.push(status));
      // Two are sent, and 64 wait.
      await until("there is no room", () => statuses.length === 80 - 64 - 1);
      assert.deepEqual([...new Set(statuses)], [503]);
      // Another signal is not held up.
      backend.isFull = true;
      assert.equal((await send(`${url}/v1/traces`, traces.body)).status, 503);
      backend.isFull = false;
      answers.shift()!("gave up");
      assert.equal((await first).status, 503);
      await until("all others are answered", () => {
        for (const answer of answers.splice(0)) answer("taken");
        return statuses.length === 80;
      });
      assert.equal(statuses.filter((status) => status === 200).length, 65);
      backend.isEnding = true;
      assert.match(refusal(await send(`${url}/v1/traces`, traces.body))[2], /is ending/);
    }));

  it("answers at once what somebody holds on purpose", () =>
    serving(async (url, backend) => {
      backend.answer = () => new Promise(() => {});
      backend.isHeld = true;
      assert.equal((await send(`${url}/v1/traces`, traces.body)).status, 200);
      assert.equal(backend.came.traces.length, 1);
    }));

  it("refuses what is no request, with a status in the encoding of the request", () =>
    serving(async (url, { came, intake }) => {
      const gzip = { "content-encoding": "gzip" };
      const json = { "content-type": JSON_TYPE };
      const cases: [string, Uint8Array | string, http.OutgoingHttpHeaders, string, RegExp][] = [
        ["traces", traces.body.subarray(0, -1), {}, "400 3", /no ExportTraceServiceRequest/],
        ["traces", EVERYTHING.metrics.body, {}, "400 3", /^/],
        ["traces", "<html>", {}, "400 3", /^/],
        ["traces", traces.body, gzip, "400 3", /is not gzip/],
        ["traces", gzipSync(traces.body).subarray(0, -9), gzip, "400 3", /is not gzip/],
        ["traces", "", gzip, "400 3", /is not gzip/],
        ["traces", "{", json, "400 3", /is no OTLP\/JSON/],
        ["traces", "", json, "400 3", /is no OTLP\/JSON/],
        ["logs", `{"resourceLogs": 7}`, json, "400 3", /is no OTLP\/JSON/],
        ["logs", new Uint8Array([0x22, 0xff, 0x22]), json, "400 3", /is no OTLP\/JSON/],
        ["logs", "[".repeat(100_000), json, "400 3", /is no OTLP\/JSON/],
        ["logs", `{"a":${"[".repeat(5_000)}${"]".repeat(5_000)}}`, json, "400 3", /nested/],
        ["traces", new Uint8Array(MAX_BODY_BYTES + 1), {}, "413 8", /16 MiB at most/],
        ["traces", gzipSync(new Uint8Array(MAX_BODY_BYTES + 1)), gzip, "413 8", /16 MiB at most/],
        ["traces", " ".repeat((4 << 20) + 1), json, "413 8", /4 MiB at most/],
        ["traces", "[{".repeat(260_000), json, "413 8", /500000 messages/],
        ["traces", traces.body, { "content-type": "text/plain" }, "415 3", /Content-Type/],
        ["traces", traces.body, { "content-type": "" }, "415 3", /Content-Type/],
        ["traces", traces.body, { "content-encoding": "br" }, "415 3", /may be gzip/],
        ["traces", traces.body, { "content-encoding": "gzip, gzip" }, "415 3", /may be gzip/],
        ["profiles", traces.body, {}, "404 12", /\/v1\/traces, \/v1\/metrics, \/v1\/logs/],
      ];
      for (const [path, body, headers, wanted, message] of cases) {
        const [status, code, text] = refusal(await send(`${url}/v1/${path}`, body, headers));
        assert.equal(`${status} ${code}`, wanted, `${path} ${text}`);
        assert.match(text, message);
      }
      for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
        const answer = await send(`${url}/v1/traces`, "", {}, method);
        assert.deepEqual(refusal(answer), [405, 12, "only POST is answered"]);
        assert.equal(answer.headers.allow, "POST");
      }
      assert.deepEqual(Object.values(came).flat(), []);
      const { refused } = intake.counts.http;
      assert.deepEqual(
        [refused.get("malformed"), refused.get("too_large"), refused.get("media_type")],
        [12, 4, 4],
      );
      // A request without items is one.
      assert.equal((await send(`${url}/v1/traces`, "")).status, 200);
      assert.equal((await send(`${url}/v1/traces`, "{}", json)).status, 200);
    }));

  it("is not there for pages of other origins, nor for names that are not this machine's", () =>
    serving(async (url, { came }) => {
      const json = { "content-type": JSON_TYPE };
      for (const origin of ["https://evil.example", "null", url, "http://shop.example:81"]) {
        const answer = await send(`${url}/v1/traces`, traces.body, { origin });
        assert.equal(refusal(answer)[0], 403, origin);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
        const asked = await send(`${url}/v1/traces`, "", { origin }, "OPTIONS");
        assert.equal(asked.status, 403);
      }
      for (const host of ["evil.example", "evil.example:4318", "127.0.0.1.evil.example"]) {
        assert.equal((await send(`${url}/v1/traces`, traces.body, { host })).status, 403, host);
      }
      assert.deepEqual(came.traces, []);
      const origin = "http://shop.example";
      const asked = await send(`${url}/v1/traces`, "", {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-mine",
        "access-control-request-private-network": "true",
      }, "OPTIONS");
      assert.equal(asked.status, 204);
      assert.equal(asked.headers["access-control-allow-origin"], origin);
      assert.equal(asked.headers["access-control-allow-headers"], "content-type,x-mine");
      assert.equal(asked.headers["access-control-allow-private-network"], "true");
      const answer = await send(`${url}/v1/traces`, "{}", { origin, ...json });
      assert.deepEqual(
        [answer.status, answer.headers["access-control-allow-origin"], answer.headers.vary],
        [200, origin, "origin"],
      );
      for (const host of ["localhost:1", "[::1]:4318", "app.localhost", "host.docker.internal:1"]) {
        assert.equal((await send(`${url}/v1/traces`, traces.body, { host })).status, 200, host);
      }
    }, { origins: ["http://shop.example"] }));

  it("does not wait for ever for what is sent slowly, or not at all", () =>
    serving(async (url, { intake }) => {
      const ends = ["", "POST /v1/traces HTTP/1.1\r\nhost: a\r\n"].map(lost(url));
      const head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf";
      ends.push(lost(url)(`${head}\r\ncontent-length: 100\r\n\r\nabc`));
      ends.push(lost(url)(`${head}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n`));
      await Promise.all(ends);
      // The room that was reserved was given back.
      assert.ok(intake.reserve(64 << 20));
      intake.release(64 << 20);
      assert.equal((await send(`${url}/v1/traces`, traces.body)).status, 200);
    }, { requestTimeoutMs: 500 }));

  it(`lives on whatever comes (seed ${seed})`, () =>
    serving(async (url, { came }) => {
      const random = new Random();
      const good = Buffer.concat([
        Buffer.from(
          "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n" +
            `content-encoding: gzip\r\ncontent-length: ${gzipSync(traces.body).length}\r\n\r\n`,
        ),
        gzipSync(traces.body),
      ]);
      for (let round = 0; round < 200; round++) {
        const bytes = new Uint8Array(good);
        for (let i = random.below(4); i >= 0; i--) {
          bytes[random.below(bytes.length)] = random.below(256);
        }
        const cut = random.below(2) === 0 ? bytes.length : random.below(bytes.length);
        await new Promise<void>((resolve) => {
          const socket = connect(Number(new URL(url).port), "127.0.0.1");
          socket.on("error", () => {});
          socket.on("close", () => resolve());
          socket.on("data", () => socket.destroy());
          socket.write(bytes.subarray(0, cut));
          // Some go away in the middle.
          if (cut < bytes.length) socket.end();
          setTimeout(() => socket.destroy(), 2_000).unref();
        });
      }
      const before = came.traces.length;
      assert.equal((await send(`${url}/v1/traces`, traces.body)).status, 200);
      assert.equal(came.traces.length, before + 1);
    }));
});

/** Writes something and no more; resolves when the server has closed the connection. */
function lost(url: string): (text: string) => Promise<void> {
  return (text) =>
    new Promise((resolve) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      socket.write(text);
    });
}
