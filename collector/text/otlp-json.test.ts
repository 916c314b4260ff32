import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { fromOtlpJson, toOtlpJson } from "./otlp-json.ts";

const TRACE = Uint8Array.from({ length: 16 }, (_, i) => i * 16 + 1);
const SPAN = Uint8Array.from({ length: 8 }, (_, i) => 255 - i);

const REQUESTS: Readonly<Record<Signal, Uint8Array>> = {
  traces: toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, {
      resourceSpans: [{
        scopeSpans: [{
          spans: [{
            traceId: TRACE,
            spanId: SPAN,
            name: "traceId",
            kind: 2,
            startTimeUnixNano: 1_700_000_000_123_456_789n,
            attributes: [
              { key: "spanId", value: { value: { case: "stringValue", value: "q83v" } } },
              { key: "bytes", value: { value: { case: "bytesValue", value: SPAN } } },
              { key: "int", value: { value: { case: "intValue", value: -(2n ** 63n) } } },
              { key: "nan", value: { value: { case: "doubleValue", value: NaN } } },
            ],
            links: [{ traceId: TRACE, spanId: SPAN }],
            status: { code: 2, message: "no" },
          }],
        }],
      }],
    }),
  ),
  metrics: toBinary(
    ExportMetricsServiceRequestSchema,
    create(ExportMetricsServiceRequestSchema, {
      resourceMetrics: [{
        scopeMetrics: [{
          metrics: [{
            name: "m",
            data: {
              case: "histogram",
              value: {
                aggregationTemporality: 2,
                dataPoints: [{
                  count: 3n,
                  bucketCounts: [1n, 2n],
                  explicitBounds: [0.5],
                  exemplars: [{
                    traceId: TRACE,
                    spanId: SPAN,
                    value: { case: "asInt", value: 5n },
                  }],
                }],
              },
            },
          }],
        }],
      }],
    }),
  ),
  logs: toBinary(
    ExportLogsServiceRequestSchema,
    create(ExportLogsServiceRequestSchema, {
      resourceLogs: [{
        scopeLogs: [{
          logRecords: [{
            traceId: TRACE,
            spanId: SPAN,
            severityNumber: 9,
            body: { value: { case: "stringValue", value: "two\nlines" } },
          }],
        }],
      }],
    }),
  ),
};

describe("OTLP/JSON", () => {
  it("is what OTLP says", () => {
    const { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] } = JSON.parse(
      toOtlpJson("traces", REQUESTS.traces),
    );
    assert.deepEqual(span, {
      traceId: "01112131415161718191a1b1c1d1e1f1",
      spanId: "fffefdfcfbfaf9f8",
      name: "traceId",
      kind: 2,
      startTimeUnixNano: "1700000000123456789",
      attributes: [
        { key: "spanId", value: { stringValue: "q83v" } },
        { key: "bytes", value: { bytesValue: "//79/Pv6+fg=" } },
        { key: "int", value: { intValue: "-9223372036854775808" } },
        { key: "nan", value: { doubleValue: "NaN" } },
      ],
      links: [{ traceId: "01112131415161718191a1b1c1d1e1f1", spanId: "fffefdfcfbfaf9f8" }],
      status: { code: 2, message: "no" },
    });
  });

  for (const signal of ["traces", "metrics", "logs"] as const) {
    it(`is one line, and the same request when read: ${signal}`, () => {
      const text = toOtlpJson(signal, REQUESTS[signal]);
      assert.ok(!text.includes("\n"));
      assert.deepEqual(fromOtlpJson(signal, text), REQUESTS[signal]);
    });
  }

  it("may have fields from a newer version, integers as numbers, and capitals in ids", () => {
    const text = JSON.stringify({
      future: [{ traceId: "0f" }],
      resourceSpans: [{
        scopeSpans: [{ spans: [{ traceId: "0F".repeat(16), startTimeUnixNano: 17, odd: {} }] }],
      }],
    });
    const { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] } = JSON.parse(
      toOtlpJson("traces", fromOtlpJson("traces", text)),
    );
    assert.deepEqual(span, { traceId: "0f".repeat(16), startTimeUnixNano: "17" });
  });

  it("may have 64-bit integers as numbers, and what programs make of numbers and texts", () => {
    const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[{
      "trace_id": "${"0f".repeat(16)}", "startTimeUnixNano": 1700000000123456789,
      "endTimeUnixNano": 18446744073709551615, "kind": null, "name": "a\\ud800",
      "attributes": [
        {"key": "int", "value": {"intValue": -9223372036854775808}},
        {"key": "large", "value": {"intValue": 1e300}},
        {"key": "larger", "value": {"intValue": 9223372036854775808}},
        {"key": "double", "value": {"doubleValue": 12345678901234567890}},
        {"key": "bytes", "value": {"bytesValue": "_-8"}},
        {"key": "none", "value": null}
      ]
    }]}]}]}`;
    const { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] } = JSON.parse(
      toOtlpJson("traces", fromOtlpJson("traces", text)),
    );
    assert.deepEqual(span, {
      traceId: "0f".repeat(16),
      name: "a\ufffd",
      startTimeUnixNano: "1700000000123456789",
      endTimeUnixNano: "18446744073709551615",
      attributes: [
        { key: "int", value: { intValue: "-9223372036854775808" } },
        { key: "large", value: { doubleValue: 1e300 } },
        { key: "larger", value: { doubleValue: 2 ** 63 } },
        { key: "double", value: { doubleValue: 12345678901234567890 } },
        { key: "bytes", value: { bytesValue: "/+8=" } },
        { key: "none" },
      ],
    });
  });

  it("says what is wrong with other text", () => {
    const id = (traceId: string): string =>
      JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId }] }] }] });
    assert.throws(() => fromOtlpJson("traces", "{"), SyntaxError);
    assert.throws(() => fromOtlpJson("traces", id("xyz")), /an id is not hex: "xyz"/);
    assert.throws(
      () => fromOtlpJson("traces", `{"resourceSpans": 7}`),
      /resourceSpans|resource_spans/,
    );
    assert.throws(
      () => fromOtlpJson("logs", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`),
      /nested more than/,
    );
  });
});
