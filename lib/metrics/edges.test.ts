import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AggregationTemporality, Instrument, ValueType } from "../../proto/gen/mmap_pb.ts";
import type { HistogramDataPoint, NumberDataPoint } from "../../proto/gen/otlp_pb.ts";
import { text } from "../../tests/support/build.ts";
import { AGGREGATION, MemoryCollector, pointsOf } from "../../tests/support/collect.ts";
import { Bench, COUNTER, type Definition, HISTOGRAM, int, numbers, said } from "./testing/bench.ts";
import { parseViews } from "./views.ts";

const { CUMULATIVE } = AggregationTemporality;

/** As SDKs from elsewhere write observable counters: totals, without a span context. */
const ABSOLUTE = {
  name: "absolute",
  aggregation: { case: "sum", value: { aggregationTemporality: CUMULATIVE, isMonotonic: true } },
} satisfies Definition;

describe("delta streams", () => {
  it("count against their limit what was measured since the last collection", () => {
    const bench = new Bench({ temporality: "delta", cardinalityLimit: 3 });
    const c = bench.define(COUNTER);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 3; i++) bench.measure(c, 1n, [["i", int(3 * round + i)]]);
      assert.deepEqual(
        numbers(bench.collect().c),
        Object.fromEntries([0, 1, 2].map((i) => [`i=intValue:${3 * round + i}`, 1n])),
      );
    }
    for (let i = 0; i < 6; i++) bench.measure(c, 1n, [["i", int(i)]]);
    assert.equal(numbers(bench.collect().c)["otel.metric.overflow=boolValue:true"], 3n);
  });

  it("remember totals however long they are not observed", () => {
    const bench = new Bench({ temporality: "delta" });
    const absolute = bench.define(ABSOLUTE);
    bench.measure(absolute, 100n, [["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().absolute), { "a=intValue:1": 100n });
    for (let i = 0; i < 10; i++) {
      bench.measure(absolute, BigInt(i), [["a", int(2)]]);
      bench.collect();
    }
    bench.measure(absolute, 101n, [["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().absolute), { "a=intValue:1": 1n });
  });
});

describe("points", () => {
  it("never start after their own time", () => {
    for (const temporality of ["cumulative", "delta"] as const) {
      const bench = new Bench({ temporality });
      const c = bench.define({ ...COUNTER, createdTimeUnixNano: 1000n });
      bench.measure(c, 1n);
      bench.collector.rounds();
      const { process } = bench.collector;
      // A clock of milliseconds is behind one of nanoseconds.
      process.state.lastLow--;
      const [{ metric }] = bench.collector.metrics();
      const [point] = pointsOf(metric) as NumberDataPoint[];
      assert.ok(point.startTimeUnixNano <= point.timeUnixNano, temporality);
    }
  });

  it("start anew where another reader took what was measured before", () => {
    for (const temporality of ["cumulative", "delta"] as const) {
      const bench = new Bench({ temporality });
      const observed = bench.define({
        ...COUNTER,
        name: "o",
        instrument: Instrument.OBSERVABLE_COUNTER,
      });
      bench.measure(observed, 50n);
      const [before] = pointsOf(bench.collect().o) as NumberDataPoint[];
      bench.release();
      bench.measure(observed, 7n);
      const next = new MemoryCollector(undefined, { ...AGGREGATION, temporality });
      next.add(bench.file);
      next.rounds();
      const [{ metric }] = next.metrics();
      const [after] = pointsOf(metric) as NumberDataPoint[];
      assert.deepEqual([before.value.value, after.value.value], [50n, 7n]);
      assert.ok(after.startTimeUnixNano >= before.timeUnixNano, temporality);
    }
  });

  it("begin anew where an observable counter did", () => {
    for (const isInt of [true, false]) {
      for (const temporality of ["cumulative", "delta"] as const) {
        const value = (number: number): number | bigint => isInt ? BigInt(number) : number;
        const bench = new Bench({ temporality });
        const observed = bench.define({
          ...COUNTER,
          name: "o",
          instrument: Instrument.OBSERVABLE_COUNTER,
          valueType: isInt ? ValueType.INT : ValueType.DOUBLE,
          filtersAttributes: true,
          attributeKeys: ["a"],
        });
        const measure = (a: number, b: number, number: number, replaced = 0): void =>
          bench.measure(
            observed,
            value(number),
            [["a", int(a)], ["b", int(b)]],
            undefined,
            replaced,
          );
        const collect = () => pointsOf(bench.collect().o) as NumberDataPoint[];
        measure(1, 1, 10);
        // What a view made one series of several is still there.
        measure(1, 2, 2 ** 40);
        measure(2, 1, 7);
        const before = collect();
        measure(1, 1, 3, 10);
        measure(1, 1, 1);
        measure(2, 1, 1);
        // A series that is new keeps its start, a reader that came later has not seen the total.
        measure(3, 1, 5, 1000);
        const after = collect();
        const isDelta = temporality === "delta";
        assert.deepEqual(
          [before, after].map((points) => points.map((point) => Number(point.value.value))),
          [[2 ** 40 + 10, 7], isDelta ? [4, 1, 5] : [2 ** 40 + 4, 8, 5]],
        );
        if (isDelta) continue;
        assert.equal(after[0].value.case, isInt ? "asInt" : "asDouble");
        const starts = after.map((point) => point.startTimeUnixNano);
        assert.ok(starts[0] > before[0].startTimeUnixNano && starts[0] < after[0].timeUnixNano);
        assert.deepEqual(starts.slice(1), [
          before[1].startTimeUnixNano,
          before[1].startTimeUnixNano,
        ]);
        measure(1, 1, 1, 2 ** 60);
        assert.deepEqual(Number(collect()[0].value.value), 1);
      }
    }
  });

  it("pass over what no counter can have said before it began anew", () => {
    const bench = new Bench();
    const c = bench.define({ ...COUNTER, instrument: Instrument.OBSERVABLE_COUNTER });
    for (const total of [NaN, Infinity, -1, -Infinity]) {
      bench.measure(c, 2n, [], undefined, total);
    }
    assert.deepEqual(numbers(bench.collect().c), { "": 8n });
    const gauge = bench.define({ name: "g", aggregation: { case: "gauge", value: {} } });
    bench.measure(gauge, 5n, [], undefined, 3);
    assert.deepEqual(numbers(bench.collect().g), { "": 5n });
  });

  it("keep integers of absolute sums exact", () => {
    const bench = new Bench();
    const absolute = bench.define(ABSOLUTE);
    for (const value of [2n ** 53n + 1n, 2n ** 62n + 3n]) {
      bench.measure(absolute, value);
      assert.deepEqual(numbers(bench.collect().absolute), { "": value });
    }
  });
});

describe("attribute sets", () => {
  it("are the same however their values are padded", () => {
    const bench = new Bench();
    const c = bench.define(COUNTER);
    const key = groups(bench.file.string("k"));
    const one = [0x3f, 0xf0, 0, 0, 0, 0, 0, 0].reverse();
    const values = [
      [[0x18, 1], [0x18, 0x81, 0], [0x98, 0x80, 0, 0x81, 0x80, 0]],
      [[0x21, ...one], [0xa1, 0x80, 0, ...one]],
      [[0x10, 1], [0x90, 0, 1], [0x10, 0x81, 0]],
      [[0x0a, 1, 0x61], [0x0a, 0x81, 0, 0x61], [0x8a, 0, 0x81, 0, 0x61]],
    ];
    for (const same of values) {
      for (const value of same) {
        const pair = [0x08, ...key, 0x12, value.length, ...value];
        bench.file.put(
          2,
          Uint8Array.from([
            ...[0x08, ...groups(c)],
            ...[0x19, 0, 0, 0, 0, 0, 0, 0, 1],
            ...[0x20, 1],
            ...[0x12, pair.length, ...pair],
          ]),
        );
      }
    }
    bench.measure(c, 0n);
    assert.deepEqual(numbers(bench.collect().c), {
      "": 0n,
      "k=intValue:1": 3n,
      "k=doubleValue:1": 2n,
      "k=boolValue:true": 3n,
      "k=stringValue:a": 3n,
    });
  });
});

describe("what can't be taken", () => {
  it("leaves nothing behind where one of two streams has no room for its attributes", () => {
    const bench = new Bench({ views: parseViews(TWO, "views.yaml") });
    const c = bench.define({ ...COUNTER, name: "two" });
    const long = bench.file.string("k".repeat(20_000));
    bench.file.measurement({
      metricRef: c,
      timeUnixNano: 5n,
      value: { case: "asLong", value: 1n },
      attributes: [{ keyRef: long, value: int(1) }, {
        keyRef: bench.file.string("a"),
        value: int(1),
      }],
    });
    assert.deepEqual(bench.collect(), {});
    assert.equal(bench.counts.measurements, 0);
    assert.equal([...bench.reasons.values()].length, 1);
  });

  it("takes a measurement in full or not at all, whatever its exemplar's attributes are", () => {
    const bench = new Bench({ exemplars: "always_on", views: parseViews(NONE, "views.yaml") });
    const c = bench.define({ ...COUNTER, name: "none" });
    const keys = Array.from({ length: 10 }, (_, i) => bench.file.string(`${i}`.repeat(20_000)));
    const attributes = keys.map((keyRef) => ({ keyRef, value: int(1) }));
    for (let i = 0; i < 2; i++) {
      bench.file.measurement({
        metricRef: c,
        timeUnixNano: 5n,
        value: { case: "asLong", value: 1n },
        attributes,
      });
    }
    assert.deepEqual(numbers(bench.collect().none), { "": 2n });
    assert.deepEqual([...bench.reasons.keys()], []);
  });

  it("is counted once however many streams it would go to", () => {
    const bench = new Bench({ views: parseViews(TWO, "views.yaml") });
    const c = bench.define({ ...COUNTER, name: "two", valueType: ValueType.DOUBLE });
    bench.measure(c, NaN);
    bench.measure(c, -1);
    assert.deepEqual(bench.collect(), {});
    assert.deepEqual([bench.counts.nonFinite, bench.counts.negative], [1, 1]);
  });

  it("passes any number of refs that name nothing, and still knows good ones", () => {
    const bench = new Bench();
    const c = bench.define(COUNTER);
    for (let i = 0; i < 50_000; i++) {
      bench.measure(BigInt(1_000_000 + i), 1n);
      if (i % 5000 === 0) bench.collector.rounds();
    }
    bench.measure(c, 1n);
    assert.deepEqual(numbers(bench.collect().c), { "": 1n });
    assert.equal(bench.reasons.get("a ref outside the dictionary"), 50_000);
  });
});

describe("several streams of an instrument", () => {
  it("get every measurement, known or not", () => {
    const bench = new Bench({ views: parseViews(TWO, "views.yaml"), cardinalityLimit: 2 });
    const h = bench.define({ ...HISTOGRAM, name: "two" });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) {
        bench.measure(h, i, [["a", int(i)], ["b", text("x")]], { number: 1, flags: 1 });
      }
      const found = bench.collect();
      const counts = (name: string): unknown =>
        Object.fromEntries(
          (pointsOf(found[name]) as HistogramDataPoint[]).map((point) => [
            said(point.attributes),
            [point.count, point.exemplars.length],
          ]),
        );
      const n = BigInt(round + 1);
      assert.deepEqual(counts("two.all"), {
        "a=intValue:0,b=stringValue:x": [n, 1],
        "a=intValue:1,b=stringValue:x": [n, 1],
        "otel.metric.overflow=boolValue:true": [2n * n, 1],
      });
      assert.deepEqual(counts("two.few"), { "b=stringValue:x": [4n * n, 2] });
    }
    assert.equal(bench.counts.overflowed, 6);
  });
});

function groups(ref: bigint): number[] {
  const n = Number(ref);
  return [n & 0x7f | 0x80, n >> 7 & 0x7f | 0x80, n >> 14 & 0x7f | 0x80, n >> 21];
}

const TWO = `
views:
  - selector: { instrument_name: two }
    stream: { name: two.few, attribute_keys: { excluded: [a, "kk*"] } }
  - selector: { instrument_name: two }
    stream: { name: two.all }
`;
const NONE = `
views:
  - selector: { instrument_name: none }
    stream: { attribute_keys: { excluded: ["*"] } }
`;
