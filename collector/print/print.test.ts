import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import {
  AggregationTemporality,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type LogRecordSchema,
  type MetricSchema,
  Span_SpanKind,
  type SpanSchema,
  Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";
import { formatRequest, wantsColor } from "./print.ts";

const START = 1_795_253_400_123_456_789n;

function request(service: string, ...spans: MessageInitShape<typeof SpanSchema>[]): Uint8Array {
  const stringValue = { case: "stringValue", value: service } as const;
  return toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, {
      resourceSpans: [{
        resource: { attributes: [{ key: "service.name", value: { value: stringValue } }] },
        scopeSpans: [{ spans }],
      }],
    }),
  );
}

const span = {
  traceId: Buffer.from("0123456789abcdef0123456789abcdef", "hex"),
  spanId: Buffer.from("0123456789abcdef", "hex"),
  parentSpanId: Buffer.from("fedcba9876543210", "hex"),
  name: "GET /cart",
  kind: Span_SpanKind.SERVER,
  startTimeUnixNano: START,
  endTimeUnixNano: START + 12_345_678n,
  status: { code: Status_StatusCode.ERROR, message: "boom" },
};

describe("printed spans", () => {
  it("are one line with everything in it", () => {
    const body = request("shop", {
      ...span,
      attributes: [
        { key: "s", value: { value: { case: "stringValue", value: "a b" } } },
        { key: "i", value: { value: { case: "intValue", value: -9007199254740993n } } },
        { key: "d", value: { value: { case: "doubleValue", value: 1 } } },
        { key: "b", value: { value: { case: "boolValue", value: true } } },
        { key: "raw", value: { value: { case: "bytesValue", value: new Uint8Array([1, 255]) } } },
        { key: "none" },
        {
          key: "list",
          value: {
            value: {
              case: "arrayValue",
              value: { values: [{ value: { case: "intValue", value: 1n } }, {}] },
            },
          },
        },
        {
          key: "map",
          value: {
            value: {
              case: "kvlistValue",
              value: {
                values: [{ key: "k", value: { value: { case: "doubleValue", value: NaN } } }],
              },
            },
          },
        },
      ],
      droppedAttributesCount: 2,
      events: [{ name: "exception", timeUnixNano: START }],
      links: [{ traceId: span.traceId, spanId: span.spanId }],
    });
    assert.equal(
      formatRequest("traces", body, { color: false }),
      '2026-11-21T09:30:00.123456Z   12.35ms shop "GET /cart" server ERROR "boom" ' +
        "trace=0123456789abcdef0123456789abcdef span=0123456789abcdef parent=fedcba9876543210 " +
        's="a b" i=-9007199254740993 d=1.0 b=true raw=0x01ff none=null list=[1,null] map={k=NaN} ' +
        "(2 attributes not shown) event=exception " +
        "link=0123456789abcdef0123456789abcdef/0123456789abcdef\n",
    );
  });

  it("stand even when a span has nothing in it", () => {
    const line = formatRequest("traces", request("", {}), { color: false });
    assert.equal(line, '-         ? "" "" unspecified UNSET trace=- span=-\n');
    const extreme = { startTimeUnixNano: (1n << 64n) - 1n, endTimeUnixNano: 1n };
    assert.match(
      formatRequest("traces", request("x", extreme), { color: false }),
      /^2554-07-21T.*Z -\d/,
    );
  });

  it("can't drive the terminal", () => {
    const evil = "\x1b]0;owned\x07\x1b[2J\r\n2026 forged line\u202e";
    const status = { code: Status_StatusCode.ERROR, message: evil };
    const attributes = [
      { key: evil, value: { value: { case: "stringValue", value: evil } } } as const,
    ];
    const body = request(evil, {
      ...span,
      name: evil,
      status,
      attributes,
      events: [{ name: evil }],
    });
    const plain = formatRequest("traces", body, { color: false });
    assert.equal(plain.split("\n").length, 2);
    assert.doesNotMatch(plain.trimEnd(), /[\p{Cc}\u202e]/u);
    const colored = formatRequest("traces", body, { color: true }).trimEnd();
    assert.equal(stripVTControlCharacters(colored), plain.trimEnd());
  });

  it("cap what one value takes", () => {
    const attributes = [
      { key: "k", value: { value: { case: "stringValue", value: "x".repeat(1e6) } } } as const,
    ];
    assert.ok(
      formatRequest("traces", request("s", { ...span, attributes }), { color: false }).length <
        1000,
    );
  });

  it("have colours on a terminal, unless NO_COLOR", () => {
    assert.equal(wantsColor(true, {}), true);
    assert.equal(wantsColor(true, { NO_COLOR: "" }), true);
    assert.equal(wantsColor(true, { NO_COLOR: "1" }), false);
    assert.equal(wantsColor(false, {}), false);
    assert.equal(wantsColor(undefined, {}), false);
  });
});

describe("printed log records", () => {
  function line(log: MessageInitShape<typeof LogRecordSchema>, color = false): string {
    const stringValue = { case: "stringValue", value: "shop" } as const;
    const body = toBinary(
      ExportLogsServiceRequestSchema,
      create(ExportLogsServiceRequestSchema, {
        resourceLogs: [{
          resource: { attributes: [{ key: "service.name", value: { value: stringValue } }] },
          scopeLogs: [{ logRecords: [log] }],
        }],
      }),
    );
    return formatRequest("logs", body, { color });
  }

  it("are one line with everything in it", () => {
    const text = line({
      timeUnixNano: START,
      observedTimeUnixNano: START + 1000n,
      severityNumber: 13,
      severityText: "warning",
      body: { value: { case: "stringValue", value: "no\nstock\x1b[2J" } },
      eventName: "stock.empty",
      traceId: span.traceId,
      spanId: span.spanId,
      attributes: [{ key: "left", value: { value: { case: "intValue", value: 0n } } }],
      droppedAttributesCount: 2,
    });
    assert.equal(
      text,
      '2026-11-21T09:30:00.123456Z warning shop stock.empty "no\\nstock\\x1b[2J" ' +
        "trace=0123456789abcdef0123456789abcdef left=0 (2 attributes not shown)\n",
    );
  });

  it("have what there is", () => {
    assert.equal(line({ observedTimeUnixNano: START }), "2026-11-21T09:30:00.123456Z - shop\n");
    const body = { value: { case: "boolValue", value: true } } as const;
    assert.equal(line({ severityNumber: 24, body }), "- FATAL shop true\n");
    assert.equal(line({ severityNumber: 1, body: {} }), "- TRACE shop null\n");
    const colored = line({ severityNumber: 17 }, true);
    assert.notEqual(colored, stripVTControlCharacters(colored));
    assert.equal(stripVTControlCharacters(colored), line({ severityNumber: 17 }));
  });
});

describe("printed data points", () => {
  function lines(...metrics: MessageInitShape<typeof MetricSchema>[]): string[] {
    const body = toBinary(
      ExportMetricsServiceRequestSchema,
      create(ExportMetricsServiceRequestSchema, {
        resourceMetrics: [{ scopeMetrics: [{ metrics }] }],
      }),
    );
    return formatRequest("metrics", body, { color: false }).trimEnd().split("\n");
  }
  const time = { timeUnixNano: START };
  const route = [
    { key: "route", value: { value: { case: "stringValue", value: "/a b" } } } as const,
  ];

  it("are a line each, with the value, or what there is of a histogram", () => {
    const asInt = { case: "asInt", value: 9007199254740993n } as const;
    const asDouble = { case: "asDouble", value: 0.5 } as const;
    assert.deepEqual(
      lines(
        {
          name: "jobs",
          unit: "1",
          data: {
            case: "sum",
            value: {
              aggregationTemporality: AggregationTemporality.CUMULATIVE,
              dataPoints: [{ ...time, value: asInt, attributes: route }, { value: asDouble }],
            },
          },
        },
        {
          name: "te\x07mp",
          data: { case: "gauge", value: { dataPoints: [{ ...time, value: asDouble }] } },
        },
        {
          name: "latency",
          unit: "ms",
          data: {
            case: "histogram",
            value: {
              aggregationTemporality: AggregationTemporality.DELTA,
              dataPoints: [{ ...time, count: 3n, sum: 6.5, min: 1, max: 4 }, { count: 1n }],
            },
          },
        },
        {
          name: "size",
          data: {
            case: "exponentialHistogram",
            value: { dataPoints: [{ ...time, count: 2n, sum: 3 }] },
          },
        },
        { name: "empty" },
      ),
      [
        '2026-11-21T09:30:00.123456Z - jobs sum cumulative 9007199254740993 1 route="/a b"',
        "- - jobs sum cumulative 0.5 1",
        '2026-11-21T09:30:00.123456Z - "te\\x07mp" gauge 0.5',
        "2026-11-21T09:30:00.123456Z - latency histogram delta count=3 sum=6.5 min=1 max=4 ms",
        "- - latency histogram delta count=1 ms",
        "2026-11-21T09:30:00.123456Z - size histogram ? count=2 sum=3",
      ],
    );
  });
});
