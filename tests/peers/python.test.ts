import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { decodeRequest, python, runPython } from "./python.ts";

describe("opentelemetry-proto in Python", { skip: python.missing ?? false }, () => {
  it("decodes a request", () => {
    const request = create(ExportTraceServiceRequestSchema, {
      resourceSpans: [{ scopeSpans: [{ spans: [{ name: "GET", startTimeUnixNano: 2n ** 63n }] }] }],
    });
    assert.deepEqual(decodeRequest("traces", toBinary(ExportTraceServiceRequestSchema, request)), {
      resource_spans: [{
        scope_spans: [{ spans: [{ name: "GET", start_time_unix_nano: "9223372036854775808" }] }],
      }],
    });
  });

  it("says what went wrong", () => {
    assert.throws(() => runPython("raise SystemExit('no such field')"), /no such field/);
    assert.throws(() => decodeRequest("traces", new Uint8Array([0xff])), /DecodeError/);
  });
});
