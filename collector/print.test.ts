import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import {
  ExportTraceServiceRequestSchema,
  Span_SpanKind,
  type SpanSchema,
  Status_StatusCode,
} from "../proto/gen/otlp_pb.ts";
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
      formatRequest(body, { color: false }),
      '2026-11-21T09:30:00.123456Z   12.35ms shop "GET /cart" server ERROR "boom" ' +
        "trace=0123456789abcdef0123456789abcdef span=0123456789abcdef parent=fedcba9876543210 " +
        's="a b" i=-9007199254740993 d=1.0 b=true raw=0x01ff none=null list=[1,null] map={k=NaN} ' +
        "(2 attributes not shown) event=exception{} " +
        "link=0123456789abcdef0123456789abcdef/0123456789abcdef\n",
    );
  });

  it("stand even when a span has nothing in it", () => {
    const line = formatRequest(request("", {}), { color: false });
    assert.equal(line, '-         ? "" "" unspecified UNSET trace=- span=-\n');
    const extreme = { startTimeUnixNano: (1n << 64n) - 1n, endTimeUnixNano: 1n };
    assert.match(formatRequest(request("x", extreme), { color: false }), /^2554-07-21T.*Z -\d/);
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
    const plain = formatRequest(body, { color: false });
    assert.equal(plain.split("\n").length, 2);
    assert.doesNotMatch(plain.trimEnd(), /[\p{Cc}\u202e]/u);
    const colored = formatRequest(body, { color: true }).trimEnd();
    assert.equal(stripVTControlCharacters(colored), plain.trimEnd());
  });

  it("cap what one value takes", () => {
    const attributes = [
      { key: "k", value: { value: { case: "stringValue", value: "x".repeat(1e6) } } } as const,
    ];
    assert.ok(formatRequest(request("s", { ...span, attributes }), { color: false }).length < 1000);
  });

  it("have colours on a terminal, unless NO_COLOR", () => {
    assert.equal(wantsColor(true, {}), true);
    assert.equal(wantsColor(true, { NO_COLOR: "" }), true);
    assert.equal(wantsColor(true, { NO_COLOR: "1" }), false);
    assert.equal(wantsColor(false, {}), false);
    assert.equal(wantsColor(undefined, {}), false);
  });
});
