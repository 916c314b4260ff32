import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { ExportTraceServiceResponseSchema } from "../../proto/gen/otlp_pb.ts";
import { decodePartialSuccess, decodeStatusMessage, judge, type RequestFacts } from "./response.ts";

const facts: RequestFacts = {
  signal: "traces",
  items: 10,
  bytes: 1234,
  path: "/v1/traces",
  headers: [],
};

function answer(
  status: number,
  type: string,
  body: Uint8Array | string,
  more: Record<string, string> = {},
): Parameters<typeof judge>[0] {
  const headers = new Map(Object.entries({ "content-type": type, ...more }));
  return { status, headers, body: Buffer.from(body as string) };
}

function partial(rejectedSpans: bigint, errorMessage: string): Uint8Array {
  return toBinary(
    ExportTraceServiceResponseSchema,
    create(ExportTraceServiceResponseSchema, { partialSuccess: { rejectedSpans, errorMessage } }),
  );
}

describe("small messages", () => {
  it("decodes partial success as protobuf-es encodes it", () => {
    assert.deepEqual(decodePartialSuccess(partial(5n, "zu groß")), {
      rejected: 5,
      message: "zu groß",
    });
    assert.deepEqual(decodePartialSuccess(partial(-1n, "")), { rejected: -1, message: "" });
    assert.deepEqual(decodePartialSuccess(new Uint8Array()), { rejected: 0, message: "" });
  });

  it("stays within its bytes: every cut and every changed byte", () => {
    const sound = partial(300n, "because of this");
    for (let end = 0; end < sound.length; end++) decodePartialSuccess(sound.subarray(0, end));
    for (let at = 0; at < sound.length; at++) {
      for (let value = 0; value < 256; value++) {
        const bytes = Uint8Array.from(sound);
        bytes[at] = value;
        const decoded = decodePartialSuccess(bytes);
        decodeStatusMessage(bytes);
        if (decoded !== undefined) assert.ok(decoded.message.length <= sound.length);
      }
    }
    assert.equal(decodePartialSuccess(sound.subarray(0, sound.length - 1)), undefined);
  });

  it("decodes google.rpc.Status with details", () => {
    const status = Buffer.from("08031203626164" + "1a020a00" + "25" + "01020304", "hex");
    assert.equal(decodeStatusMessage(status), "bad");
    assert.equal(decodeStatusMessage(Buffer.from("0803", "hex")), undefined);
    assert.equal(decodeStatusMessage(Buffer.from("12ff01", "hex")), undefined);
  });
});

describe("verdicts", () => {
  const pb = "application/x-protobuf";

  it("retries exactly 429, 502, 503 and 504", () => {
    const retried: number[] = [];
    for (let status = 300; status < 600; status++) {
      if (judge(answer(status, "text/plain", ""), facts).kind === "retry") retried.push(status);
    }
    assert.deepEqual(retried, [429, 502, 503, 504]);
  });

  it("counts partial success, never more than was sent", () => {
    assert.deepEqual(judge(answer(200, pb, partial(3n, "too old")), facts), {
      kind: "taken",
      rejected: 3,
      reason: 'the backend rejected 3 of 10 spans: the server says "too old"',
    });
    assert.equal(judge(answer(200, pb, partial(11n, "")), facts).rejected, 10);
    assert.equal(judge(answer(200, pb, partial(-4n, "")), facts).rejected, 0);
    const warning = judge(answer(200, pb, partial(0n, "slow down")), facts);
    assert.equal(warning.rejected, 0);
    assert.match(warning.reason ?? "", /warning.*slow down/);
  });

  it("understands JSON and empty answers", () => {
    const json = (value: unknown): Parameters<typeof judge>[0] =>
      answer(200, "application/json; charset=utf-8", JSON.stringify(value));
    assert.deepEqual(judge(json({}), facts), { kind: "taken", rejected: 0 });
    const rejected = judge(
      json({ partialSuccess: { rejectedSpans: "2", errorMessage: "no" } }),
      facts,
    );
    assert.equal(rejected.rejected, 2);
    assert.equal(judge(json({ partialSuccess: { rejectedSpans: "NaN" } }), facts).rejected, 0);
    assert.equal(judge(json({ partialSuccess: null }), facts).kind, "taken");
    assert.deepEqual(judge(answer(202, "text/plain", "OK"), facts), { kind: "taken", rejected: 0 });
    assert.match(
      judge(answer(200, pb, "\xff\xff"), facts).reason ?? "",
      /no ExportTraceServiceResponse/,
    );
    const logs: RequestFacts = { ...facts, signal: "logs" };
    const some = judge(json({ partialSuccess: { rejectedLogRecords: "2" } }), logs);
    assert.deepEqual([some.rejected, some.reason], [2, "the backend rejected 2 of 10 log records"]);
    const metrics: RequestFacts = { ...facts, signal: "metrics" };
    const points = judge(json({ partialSuccess: { rejectedDataPoints: 4 } }), metrics);
    assert.deepEqual(
      [points.rejected, points.reason],
      [4, "the backend rejected 4 of 10 data points"],
    );
  });

  it("does not take a web page for a backend", () => {
    const verdict = judge(answer(200, "text/html", "<html><title>Log in</title>"), facts);
    assert.equal(verdict.kind, "retry");
    assert.match(verdict.reason ?? "", /web page \("Log in"\)/);
  });

  it("repeats what the server says, without control characters", () => {
    const reason = (type: string, body: Uint8Array | string): string =>
      judge(answer(400, type, body), facts).reason ?? "";
    assert.match(reason(pb, Buffer.from("08031203626164", "hex")), /the server says "bad"/);
    assert.match(reason("", Buffer.from("08031203626164", "hex")), /the server says "bad"/);
    assert.match(
      reason("text/plain", "\nno \x1b[2Jway\nmore"),
      /the server says "no \\x1b\[2Jway"/,
    );
    assert.match(
      reason("application/json", '{"message":"bad span"}'),
      /the server says "bad span"/,
    );
    assert.equal(reason("text/plain", ""), "HTTP 400 Bad Request");
  });

  it("hints at the cause", () => {
    const reason = (status: number, body = "", more = {}, given = facts): string =>
      judge(answer(status, "text/plain", body, more), given).reason ?? "";
    assert.match(reason(404), /nothing takes traces at .* usually take them at \/v1\/traces/);
    for (const status of [404, 405, 501]) {
      const logs: RequestFacts = { ...facts, signal: "logs", path: "/x" };
      assert.match(
        reason(status, "", {}, logs),
        /this backend takes no logs at \/x: .* at \/v1\/logs \(--logs-endpoint and OTEL_EXPORTER_OTLP_LOGS_ENDPOINT are used exactly/,
      );
    }
    assert.match(reason(413), /10 spans in 1234 bytes: lower --batch-size/);
    assert.match(reason(401), /OTEL_EXPORTER_OTLP_HEADERS/);
    const headers = [{ name: "api-key", source: "OTEL_EXPORTER_OTLP_TRACES_HEADERS" }];
    assert.match(
      reason(403, "", {}, { ...facts, headers }),
      /api-key \(from OTEL_EXPORTER_OTLP_TRACES_HEADERS\)/,
    );
    assert.match(
      reason(301, "", { location: "https://a/b\x1b" }),
      /redirects to https:\/\/a\/b\\x1b/,
    );
    assert.match(reason(415, "", { "content-type": "application/grpc" }), /gRPC port/);
    assert.match(reason(400, "Client sent an HTTP request to an HTTPS server."), /use https:\/\//);
  });
});
