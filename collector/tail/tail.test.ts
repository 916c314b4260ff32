import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type LogRecord,
  LogRecordSchema,
  MetricSchema,
  type SeverityNumber,
  type Span,
  SpanSchema,
} from "../../proto/gen/otlp_pb.ts";
import { createFilter } from "./filter.ts";
import { logObject, pointObjects, spanObject } from "./objects.ts";
import { Trees } from "./trees.ts";

const TRACE = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const id = (number: number): Uint8Array => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, number);

function span(init: MessageInitShape<typeof SpanSchema> = {}): Span {
  return create(SpanSchema, {
    traceId: TRACE,
    spanId: id(1),
    name: "GET /items/7",
    startTimeUnixNano: 1_700_000_000_000_000_001n,
    endTimeUnixNano: 1_700_000_000_250_000_001n,
    ...init,
  });
}

describe("filters", () => {
  it("compare names with a part, or with a pattern", () => {
    const shows = (name: string): boolean => createFilter({ name }).span(span());
    for (const name of ["items", "GET", "/7", "GET *", "*/7", "GET*items*7", "*", "**"]) {
      assert.ok(shows(name), name);
    }
    for (const name of ["get", "GET", "/items*", "*items", "*7*7", "GET*GET*"].slice(2)) {
      assert.ok(!shows(name), name);
    }
    // Slow for a regular expression that goes back.
    const filter = createFilter({ name: "*a".repeat(30) + "b*" });
    assert.ok(!filter.span(span({ name: "a".repeat(100_000) })));
  });

  it("hide the kinds of items that they say nothing about", () => {
    const log = (severityNumber: number): LogRecord =>
      create(LogRecordSchema, { severityNumber: severityNumber as SeverityNumber });
    const metric = create(MetricSchema, { name: "m" });
    const severe = createFilter({ severity: 13 });
    assert.deepEqual(
      [severe.log(log(12)), severe.log(log(13)), severe.span(span()), severe.metric(metric)],
      [false, true, false, false],
    );
    const slow = createFilter({ minDurationMs: 250 });
    assert.ok(slow.span(span()));
    assert.ok(!slow.span(span({ endTimeUnixNano: 1_700_000_000_250_000_000n })));
    assert.ok(!slow.log(log(21)));
    const both = createFilter({ severity: 13, minDurationMs: 250 });
    assert.deepEqual([both.span(span()), both.log(log(17))], [true, true]);
    const trace = createFilter({ trace: "01020304A".slice(0, 8) });
    assert.ok(trace.span(span()));
    assert.ok(!trace.span(span({ traceId: id(1) })));
    assert.ok(!trace.metric(metric));
    const service = createFilter({ services: ["a", "b"] });
    assert.deepEqual(["a", "b", "c", "-"].map(service.service), [true, true, false, false]);
  });
});

describe("objects", () => {
  it("are one line of plain JSON", () => {
    const text = spanObject(
      span({
        name: "a\n\u009b31m\u202e𝄞\u{e0041}",
        attributes: [
          { key: "big", value: { value: { case: "intValue", value: 2n ** 60n } } },
          { key: "small", value: { value: { case: "intValue", value: -7n } } },
          { key: "nan", value: { value: { case: "doubleValue", value: NaN } } },
        ],
        status: { code: 2, message: "no" },
      }),
      "checkout",
    );
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
    assert.deepEqual(JSON.parse(text), {
      type: "span",
      time: "2023-11-14T22:13:20.000000001Z",
      durationMs: 250,
      service: "checkout",
      name: "a\n\u009b31m\u202e𝄞\u{e0041}",
      kind: "unspecified",
      status: "error",
      statusMessage: "no",
      traceId: "0102030405060708090a0b0c0d0e0f10",
      spanId: "0000000000000001",
      attributes: { big: String(2n ** 60n), small: -7, nan: "NaN" },
      events: [],
      links: [],
    });
    const log = create(LogRecordSchema, {
      observedTimeUnixNano: 1n,
      severityNumber: 14,
      body: { value: { case: "stringValue", value: "text" } },
    });
    const { severity, body, time } = JSON.parse(logObject(log, "s"));
    assert.deepEqual([severity, body, time], ["WARN", "text", "1970-01-01T00:00:00.000000001Z"]);
    const metric = create(MetricSchema, {
      name: "m",
      unit: "s",
      data: { case: "histogram", value: { dataPoints: [{ count: 3n, sum: 1.5 }] } },
    });
    const points = pointObjects(metric, "s").map((point) => JSON.parse(point));
    assert.deepEqual(points.map(({ count, sum, unit }) => [count, sum, unit]), [[3, 1.5, "s"]]);
  });
});

describe("trees", () => {
  const limits = { graceMs: 10, patienceMs: 100, spans: 100 };
  const style = { color: false };
  const child = (number: number, parent: number, start = number): Span =>
    span({
      spanId: id(number),
      parentSpanId: id(parent),
      name: `span_${number}`,
      startTimeUnixNano: BigInt(start),
      endTimeUnixNano: BigInt(start) + 5n,
    });
  const shape = (text: string): string[] =>
    text.split("\n").filter((line) => line.includes("span_")).map((line) =>
      /^(.*span_\d+)/.exec(line)![1]
    );

  it("come when their root has ended, with its children in the order of time", () => {
    const trees = new Trees(style, limits);
    for (const [number, parent] of [[4, 3], [3, 1], [2, 1], [5, 2]]) {
      assert.equal(trees.add(child(number, parent), "s", true, 0), "");
    }
    assert.equal(trees.due(50), "");
    trees.add(span({ name: "span_1", spanId: id(1), startTimeUnixNano: 1n }), "s", true, 50);
    assert.equal(trees.due(59), "");
    assert.deepEqual(shape(trees.due(60)), [
      "span_1",
      "  ├ span_2",
      "  │ └ span_5",
      "  └ span_3",
      "    └ span_4",
    ]);
    assert.equal(trees.due(Infinity), "");
  });

  it("come without a root when none comes, and when there are too many spans", () => {
    const trees = new Trees(style, { ...limits, spans: 3 });
    trees.add(child(2, 1), "s", true, 0);
    trees.add(child(3, 2), "s", true, 20);
    assert.equal(trees.due(119), "");
    assert.deepEqual(shape(trees.due(120)), ["span_2", "  └ span_3"]);
    let text = "";
    for (let i = 0; i < 10; i++) text += trees.add(child(i + 10, 1), "s", true, 200);
    assert.equal(shape(text).length, 9);
    assert.equal(shape(trees.due(Infinity)).length, 1);
  });

  it("are shown when one of their spans is looked for", () => {
    const trees = new Trees(style, limits);
    trees.add(child(2, 1), "s", false, 0);
    assert.equal(trees.due(Infinity), "");
    trees.add(child(2, 1), "s", false, 0);
    trees.add(child(3, 2), "s", true, 0);
    assert.equal(shape(trees.due(Infinity)).length, 2);
  });

  it("end where spans are each other's parents", () => {
    const trees = new Trees(style, limits);
    for (const [number, parent] of [[2, 3], [3, 2], [4, 4]]) {
      trees.add(child(number, parent), "s", true, 0);
    }
    assert.equal(shape(trees.due(Infinity)).length, 3);
  });
});
