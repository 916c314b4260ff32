import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { AggregationTemporality, Instrument, ValueType } from "../../proto/gen/mmap_pb.ts";
import type {
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
  NumberDataPoint,
} from "../../proto/gen/otlp_pb.ts";
import { idsOf, text } from "../../tests/support/build.ts";
import { pointsOf } from "../../tests/support/collect.ts";
import { plainAttributes } from "../../tests/support/collector.ts";
import { Random, seed } from "../../tests/support/random.ts";
import {
  Bench,
  bool,
  COUNTER,
  type Definition,
  double,
  HISTOGRAM,
  int,
  numbers,
  said,
  T,
  type Value,
} from "./testing/bench.ts";
import type { Accumulator } from "./accumulate.ts";
import { parseViews } from "./views.ts";

const { CUMULATIVE, DELTA } = AggregationTemporality;

describe("aggregation", () => {
  it("tells attribute sets apart by keys, types and values, not by their order", () => {
    const bench = new Bench();
    const c = bench.define(COUNTER);
    bench.measure(c, 1n, [["a", int(1)], ["b", text("x")]]);
    bench.measure(c, 2n, [["b", text("x")], ["a", int(1)]]);
    bench.measure(c, 4n, [["a", text("1")], ["b", text("x")]]);
    bench.measure(c, 8n, [["a", double(1)], ["b", text("x")]]);
    bench.measure(c, 16n, [["a", int(7)], ["b", text("x")], ["a", int(1)]]);
    bench.measure(c, 32n, [["a", bool(true)]]);
    bench.measure(c, 64n);
    bench.measure(c, 128n, [["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().c), {
      "a=intValue:1,b=stringValue:x": 19n,
      "a=stringValue:1,b=stringValue:x": 4n,
      "a=doubleValue:1,b=stringValue:x": 8n,
      "a=boolValue:true": 32n,
      "": 64n,
      "a=intValue:1": 128n,
    });
  });

  it("takes maps for the same whatever the order of their pairs, also inside of others", () => {
    const bench = new Bench();
    const c = bench.define(COUNTER);
    const map = (...pairs: [string, Value][]): Value => {
      const values = pairs.map(([key, value]) => ({ keyRef: bench.file.string(key), value }));
      return { value: { case: "kvlistValue", value: { values } } };
    };
    const list = (...values: Value[]): Value => ({
      value: { case: "arrayValue", value: { values } },
    });
    const [one, two] = [
      map(["x", int(1)], ["yy", text("b")]),
      map(["yy", text("b")], ["x", int(1)]),
    ];
    // With something behind the maps, which stays where it is.
    bench.measure(c, 1n, [["m", map(["n", one], ["l", list(one, two)])], ["z", text("behind")]]);
    bench.measure(c, 2n, [["z", text("behind")], ["m", map(["l", list(two, one)], ["n", two])]]);
    bench.measure(c, 4n, [["m", map(["l", list(one)], ["n", two])], ["z", text("behind")]]);
    bench.measure(c, 8n, [["m", list(int(1), int(2))]]);
    bench.measure(c, 16n, [["m", list(int(2), int(1))]]);
    const inner = { x: 1n, yy: "b" };
    assert.deepEqual(
      (pointsOf(bench.collect().c) as NumberDataPoint[]).map(({ attributes, value }) => [
        value.value,
        plainAttributes(attributes),
      ]),
      [
        [3n, { m: { l: [inner, inner], n: inner }, z: "behind" }],
        [4n, { m: { l: [inner], n: inner }, z: "behind" }],
        [8n, { m: [1n, 2n] }],
        [16n, { m: [2n, 1n] }],
      ],
    );
  });

  it("takes no series for one that there was no memory for", () => {
    const bench = new Bench();
    const h = bench.define(HISTOGRAM);
    bench.measure(h, 1, [["a", int(1)]]);
    bench.collector.round();
    const { accumulator } = bench.collector.aggregator as unknown as { accumulator: Accumulator };
    const memory = accumulator.series.buckets as { allocate?: (blockClass: number) => number };
    memory.allocate = () => {
      throw new RangeError("no memory");
    };
    bench.measure(h, 6, [["a", int(2)]]);
    assert.equal(bench.collector.round(), 1);
    delete memory.allocate;
    for (let i = 0; i < 3; i++) bench.measure(h, 7, [["a", int(2)]]);
    const points = pointsOf(bench.collect().h) as HistogramDataPoint[];
    assert.deepEqual(points.map(({ bucketCounts }) => bucketCounts), [
      [0n, 1n, 0n, 0n],
      [0n, 0n, 3n, 0n],
    ]);
  });

  it("adds integers exactly, over all of their 64 bits", () => {
    const random = new Random();
    const bench = new Bench();
    const up = bench.define({
      ...COUNTER,
      name: "u",
      instrument: Instrument.UP_DOWN_COUNTER,
      aggregation: { case: "sum", value: { aggregationTemporality: CUMULATIVE } },
    });
    let sum = 0n;
    for (let i = 0; i < 2000; i++) {
      const value = BigInt.asIntN(62, random.bits64());
      if (BigInt.asIntN(64, sum + value) !== sum + value) continue;
      sum += value;
      bench.measure(up, value);
    }
    assert.deepEqual(numbers(bench.collect().u), { "": sum }, `seed ${seed}`);
  });

  it("takes the kind of value from the first measurement where nobody says it", () => {
    const bench = new Bench();
    const foreign: Definition = {
      name: "f",
      aggregation: { case: "sum", value: { aggregationTemporality: DELTA } },
    };
    const ints = bench.define(foreign);
    const mixed = bench.define({ ...foreign, name: "m" });
    bench.measure(ints, 1n);
    bench.measure(ints, 2n);
    bench.measure(mixed, 1n, [["a", int(1)]]);
    bench.measure(mixed, 0.5, [["a", int(2)]]);
    bench.measure(mixed, 2n, [["a", int(1)]]);
    const { f, m } = bench.collect();
    assert.deepEqual(numbers(f), { "": 3n });
    assert.deepEqual(numbers(m), { "a=intValue:1": 3, "a=intValue:2": 0.5 });
  });

  it("keeps cumulative series with the time of their first measurement", () => {
    const bench = new Bench();
    const c = bench.define(COUNTER);
    const observed = bench.define({
      ...COUNTER,
      name: "o",
      instrument: Instrument.OBSERVABLE_COUNTER,
    });
    bench.measure(c, 1n, [["a", int(1)]]);
    const first = bench.now;
    bench.measure(observed, 5n);
    bench.collect();
    bench.measure(c, 2n, [["a", int(2)]]);
    const second = bench.now;
    const { c: metric, o } = bench.collect();
    const points = pointsOf(metric) as NumberDataPoint[];
    assert.deepEqual(
      points.map(({ startTimeUnixNano, timeUnixNano, value }) => [
        startTimeUnixNano,
        timeUnixNano,
        value.value,
      ]),
      [[first, bench.now, 1n], [second, bench.now, 2n]],
    );
    // It was not asked since.
    assert.equal(o, undefined);
    bench.measure(observed, 1n);
    const [point] = pointsOf(bench.collect().o) as NumberDataPoint[];
    assert.deepEqual([point.startTimeUnixNano, point.value.value], [T, 6n]);
  });

  it("gives delta streams what came since the last collection, and forgets idle series", () => {
    const bench = new Bench({ temporality: "delta", cardinalityLimit: 3 });
    const c = bench.define(COUNTER);
    const h = bench.define(HISTOGRAM);
    const up = bench.define({
      ...COUNTER,
      name: "u",
      instrument: Instrument.UP_DOWN_COUNTER,
      aggregation: { case: "sum", value: { aggregationTemporality: DELTA } },
    });
    bench.measure(c, 1n, [["a", int(1)]]);
    bench.measure(c, 2n, [["a", int(2)]]);
    bench.measure(h, 7);
    bench.measure(up, 1n);
    const one = bench.collect();
    const sinceOne = bench.now;
    assert.deepEqual((pointsOf(one.c) as NumberDataPoint[]).map((p) => p.startTimeUnixNano), [
      T,
      T,
    ]);
    bench.measure(c, 4n, [["a", int(2)]]);
    bench.measure(h, 8);
    bench.measure(up, 1n);
    const two = bench.collect();
    assert.deepEqual(numbers(two.c), { "a=intValue:2": 4n });
    assert.deepEqual(numbers(two.u), { "": 2n });
    assert.equal((pointsOf(two.c)[0] as NumberDataPoint).startTimeUnixNano, sinceOne);
    const [histogram] = pointsOf(two.h) as HistogramDataPoint[];
    assert.deepEqual([histogram.count, histogram.sum, histogram.min], [1n, 8, 8]);
    for (let i = 0; i < 6; i++) {
      bench.measure(c, 1n, [["a", int(2)]]);
      bench.collect();
    }
    // The one of 1 is forgotten: the records of it are known no more.
    bench.measure(c, 1n, [["a", int(3)]]);
    assert.deepEqual(numbers(bench.collect().c), { "a=intValue:3": 1n });
    bench.measure(c, 8n, [["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().c), { "a=intValue:1": 8n });
  });

  it("puts what is beyond the limit into a series of its own", () => {
    const bench = new Bench({ cardinalityLimit: 4 });
    const c = bench.define(COUNTER);
    const own = bench.define({ ...COUNTER, name: "own", cardinalityLimit: 1 });
    for (let i = 0; i < 4; i++) bench.measure(c, 0n, [["i", int(i)]]);
    // As many as there may be: nothing is beyond the limit.
    assert.equal(pointsOf(bench.collect().c).length, 4);
    assert.equal(bench.counts.overflowed, 0);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 20; i++) {
        bench.measure(c, 1n, [["i", int(i)]]);
        bench.measure(own, 1n, [["i", int(i)]]);
      }
    }
    const { c: metric, own: limited } = bench.collect();
    assert.deepEqual(numbers(metric), {
      "i=intValue:0": 2n,
      "i=intValue:1": 2n,
      "i=intValue:2": 2n,
      "i=intValue:3": 2n,
      "otel.metric.overflow=boolValue:true": 32n,
    });
    assert.deepEqual(numbers(limited), {
      "i=intValue:0": 2n,
      "otel.metric.overflow=boolValue:true": 38n,
    });
    assert.equal(bench.counts.overflowed, 32 + 38);
  });

  it("drops what can't be aggregated, and counts it", () => {
    const bench = new Bench();
    const c = bench.define({ ...COUNTER, valueType: ValueType.DOUBLE });
    const h = bench.define(HISTOGRAM);
    for (const value of [NaN, Infinity, -Infinity]) {
      bench.measure(c, value);
      bench.measure(h, value);
    }
    bench.measure(c, -1);
    bench.measure(c, 2);
    bench.measure(h, -1);
    const { c: metric, h: histogram } = bench.collect();
    assert.deepEqual(numbers(metric), { "": 2 });
    assert.deepEqual((pointsOf(histogram)[0] as HistogramDataPoint).bucketCounts, [1n, 0n, 0n, 0n]);
    assert.deepEqual([bench.counts.nonFinite, bench.counts.negative], [6, 1]);
  });

  it("keeps examples of what was measured in sampled spans", () => {
    const options = { views: parseViews(VIEWS, "views.yaml") };
    for (const exemplars of ["trace_based", "always_on", "always_off"] as const) {
      const bench = new Bench({ ...options, exemplars });
      const h = bench.define(HISTOGRAM);
      const c = bench.define({ ...COUNTER, name: "few" });
      bench.measure(h, 1, [], { number: 1, flags: 1 });
      bench.measure(h, 2, [], { number: 2, flags: 1 });
      bench.measure(h, 7, [], { number: 3, flags: 0 });
      bench.measure(c, 5n, [["keep", int(1)], ["lose", text("x")]], { number: 4, flags: 1 });
      const found = bench.collect();
      const [{ exemplars: buckets }] = pointsOf(found.h) as HistogramDataPoint[];
      const [point] = pointsOf(found.few) as NumberDataPoint[];
      assert.equal(said(point.attributes), "keep=intValue:1");
      if (exemplars === "always_off") {
        assert.deepEqual([buckets.length, point.exemplars.length], [0, 0]);
        continue;
      }
      // The last one of each bucket.
      assert.deepEqual(
        buckets.map(({ value }) => value.value),
        exemplars === "trace_based" ? [2] : [2, 7],
      );
      assert.deepEqual(Buffer.from(buckets[0].traceId), Buffer.from(idsOf(2).traceId));
      const [exemplar] = point.exemplars;
      assert.deepEqual(exemplar.value, { case: "asInt", value: 5n });
      assert.equal(said(exemplar.filteredAttributes), "lose=stringValue:x");
      assert.deepEqual(Buffer.from(exemplar.spanId), Buffer.from(idsOf(4).spanId));
      // Each collection has its own.
      bench.measure(h, 3);
      if (exemplars === "trace_based") {
        assert.deepEqual((pointsOf(bench.collect().h) as HistogramDataPoint[])[0].exemplars, []);
      }
    }
  });

  it("makes of instruments what views say", () => {
    const bench = new Bench({ views: parseViews(VIEWS, "views.yaml") });
    const renamed = bench.define({ ...COUNTER, name: "old" });
    const dropped = bench.define({ ...COUNTER, name: "noise" });
    const both = bench.define({ ...HISTOGRAM, name: "both" });
    bench.measure(renamed, 1n);
    bench.measure(dropped, 1n);
    bench.measure(both, 3);
    bench.measure(both, 30);
    const found = bench.collect();
    assert.deepEqual(Object.keys(found).sort(), ["both.exponential", "both.sum", "new"]);
    assert.equal(found.new.description, "words");
    assert.deepEqual(numbers(found["both.sum"]), { "": 33 });
    const [exponential] = pointsOf(found["both.exponential"]) as ExponentialHistogramDataPoint[];
    assert.deepEqual([exponential.count, exponential.min], [2n, undefined]);
    assert.equal(bench.counts.dropped, 1);
  });

  it("makes exponential histograms of all of them where that is asked for", () => {
    const bench = new Bench({ histograms: "exponential" });
    const h = bench.define(HISTOGRAM);
    for (const value of [1, 2, 4, 0, -1]) bench.measure(h, value);
    const { h: metric } = bench.collect();
    assert.equal(metric.data.case, "exponentialHistogram");
    const [point] = pointsOf(metric) as ExponentialHistogramDataPoint[];
    assert.deepEqual([point.count, point.sum, point.zeroCount, point.max], [5n, 6, 1n, 4]);
  });

  it("keeps the attributes that the definition names", () => {
    const bench = new Bench();
    const c = bench.define({ ...COUNTER, filtersAttributes: true, attributeKeys: ["a"] });
    bench.measure(c, 1n, [["a", int(1)], ["b", int(1)]]);
    bench.measure(c, 2n, [["b", int(2)], ["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().c), { "a=intValue:1": 3n });
  });

  it("leaves out the attributes that the definition excludes", () => {
    const bench = new Bench();
    const c = bench.define({ ...COUNTER, excludedAttributeKeys: ["b", "none"] });
    const d = bench.define({
      ...COUNTER,
      name: "d",
      filtersAttributes: true,
      attributeKeys: ["a", "b"],
      excludedAttributeKeys: ["b"],
    });
    for (const metric of [c, d]) {
      bench.measure(metric, 1n, [["a", int(1)], ["b", int(1)], ["e", int(1)]]);
      bench.measure(metric, 2n, [["e", int(1)], ["b", int(2)], ["a", int(1)]]);
    }
    const found = bench.collect();
    assert.deepEqual(numbers(found.c), { "a=intValue:1,e=intValue:1": 3n });
    assert.deepEqual(numbers(found.d), { "a=intValue:1": 3n });
  });

  it("goes on with the same series in the next file of a process", () => {
    const bench = new Bench();
    bench.measure(bench.define(COUNTER), 1n, [["a", int(1)]]);
    bench.collector.rounds();
    const next = new Bench();
    const file = next.file;
    const c = next.define(COUNTER);
    next.measure(c, 2n, [["a", int(1)]]);
    bench.collector.add(file);
    assert.deepEqual(numbers(bench.collect().c), { "a=intValue:1": 3n });
  });

  it("loses a record or a stream to what makes no sense, and nothing else", () => {
    const random = new Random();
    const bench = new Bench();
    const good = bench.define(COUNTER);
    const none = bench.define({ name: "none" });
    const boundaries = bench.define({
      name: "b",
      aggregation: { case: "histogram", value: { bucketBoundaries: [2, 1] } },
    });
    const garbage = bench.file.entry(Uint8Array.of(0xff, 0xff, 0xff));
    const scopeless = bench.define({ ...COUNTER, instrumentationScopeRef: 0n });
    for (const ref of [none, boundaries, garbage, scopeless, 1n, 2n ** 40n, -5n, 0n]) {
      for (let i = 0; i < 2; i++) bench.measure(ref, 1n);
    }
    for (let i = 0; i < 3000; i++) {
      const bytes = new Uint8Array(random.below(80));
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.word();
      // Half of them begin like ours.
      if (bytes.length > 34 && random.below(2) === 0) {
        bytes.set([0x88, 0]);
        bytes.set([0x99, 0x80, 0x80, 0], 6);
        bytes.set([0xa9, 0x80, 0x80, 0], 18);
      }
      bench.file.put(2, bytes);
    }
    bench.measure(good, 1n, [["a", int(1)]]);
    assert.deepEqual(numbers(bench.collect().c), { "a=intValue:1": 1n });
    const faults = [...bench.reasons.keys()].filter((reason) => reason.includes("fault"));
    assert.deepEqual(faults, [], `seed ${seed}`);
  });

  it("splits requests, each whole by itself, and uses their buffers again", () => {
    const bench = new Bench({ maxRequestBytes: 2000 });
    const c = bench.define(COUNTER);
    const h = bench.define(HISTOGRAM);
    for (let i = 0; i < 300; i++) {
      bench.measure(c, BigInt(i), [["i", int(i)]]);
      bench.measure(h, i, [["i", int(i)]]);
    }
    bench.collector.rounds();
    const { aggregator, process } = bench.collector;
    const sizes: number[] = [];
    const buffers = new Set<Uint8Array>();
    let items = 0;
    for (let round = 0; round < 3; round++) {
      aggregator.collect(process.state.index, 0, 1, (request) => {
        sizes.push(request.length);
        items += request.items;
        buffers.add(request.buffer);
        aggregator.recycle(request);
      });
    }
    assert.equal(items, 3 * 600);
    assert.ok(Math.max(...sizes) <= 2000 && sizes.length > 60, String(sizes));
    assert.ok(buffers.size < 5, String(buffers.size));
    const found = new Map<string, number>();
    for (const { metric } of bench.collector.metrics()) {
      found.set(metric.name, (found.get(metric.name) ?? 0) + pointsOf(metric).length);
    }
    assert.deepEqual([...found], [["c", 300], ["h", 300]]);
  });

  it("gives what plain objects give, whatever is measured", () => {
    const random = new Random();
    const temporality = random.pick(["cumulative", "delta"] as const);
    const bench = new Bench({ temporality, cardinalityLimit: 12 });
    const boundaries = [-10, 0, 1.5, 100];
    const kinds: Definition[] = [
      COUNTER,
      { ...COUNTER, name: "d", valueType: ValueType.DOUBLE },
      {
        ...COUNTER,
        name: "g",
        instrument: Instrument.GAUGE,
        valueType: ValueType.DOUBLE,
        aggregation: { case: "gauge", value: {} },
      },
      {
        ...HISTOGRAM,
        aggregation: {
          case: "histogram",
          value: { aggregationTemporality: CUMULATIVE, bucketBoundaries: boundaries },
        },
      },
    ];
    const refs = kinds.map((kind) => bench.define(kind));
    interface Model {
      values: number[];
      isMeasured: boolean;
      idle: number;
    }
    const models = kinds.map(() => new Map<string, Model>());
    for (let round = 0; round < 6; round++) {
      for (let i = random.below(400); i > 0; i--) {
        const kind = random.below(kinds.length);
        const attributes: [string, Value][] = [];
        for (let j = random.below(3); j > 0; j--) {
          attributes.push([
            random.pick(["a", "b", "ż"]),
            random.pick([int(1), int(2), text("1"), double(1), bool(true)]),
          ]);
        }
        const value = kind === 0 ? random.below(1000) : random.word() / 2 ** 24;
        bench.measure(refs[kind], kind === 0 ? BigInt(value) : value, attributes);
        if (kind === 1 && value < 0) continue;
        const last = new Map(attributes);
        const key = [...last].map(([name, each]) => {
          const { value: is } = each as { value: { case: string; value: unknown } };
          return `${name}=${is.case}:${String(is.value)}`;
        }).sort().join(",");
        const model = models[kind];
        // Series of deltas that were not measured since the last collection take nobody's place.
        if (!model.has(key) && temporality === "delta" && kind !== 2) {
          for (const [each, { isMeasured }] of model) if (!isMeasured) model.delete(each);
        }
        const overflow = model.has(OVERFLOW) ? 1 : 0;
        const into = model.has(key) || model.size - overflow < 12 ? key : OVERFLOW;
        let series = model.get(into);
        if (series === undefined) {
          model.set(into, series = { values: [], isMeasured: false, idle: 0 });
        }
        series.values.push(value);
        series.isMeasured = true;
        series.idle = 0;
      }
      const found = bench.collect();
      kinds.forEach(({ name }, kind) => {
        const isDelta = temporality === "delta" && kind !== 2;
        const expected: Record<string, unknown> = {};
        for (const [key, series] of models[kind]) {
          if (series.isMeasured || !isDelta) expected[key] = aggregate(kind, series.values);
          if (isDelta && !series.isMeasured && ++series.idle === 4) models[kind].delete(key);
          if (isDelta) series.values = [];
          series.isMeasured = false;
        }
        const metric = found[name!];
        const actual = metric === undefined ? {} : Object.fromEntries(
          pointsOf(metric).map((point) => [said(point.attributes), plain(point)]),
        );
        assert.deepEqual(actual, expected, `${name}, ${temporality}, seed ${seed}`);
      });
    }

    function plain(point: ReturnType<typeof pointsOf>[number]): unknown {
      if ("value" in point) return Number(point.value.value);
      const { count, sum, min, max, bucketCounts, explicitBounds } = point as HistogramDataPoint;
      return [Number(count), sum, min, max, bucketCounts.map(Number), explicitBounds];
    }

    function aggregate(kind: number, values: number[]): unknown {
      if (kind === 2) return values.at(-1);
      let sum = 0;
      for (const value of values) sum += value;
      if (kind < 2) return sum;
      const counts = [...boundaries, Infinity].map((bound, i, bounds) =>
        values.filter((value) => value <= bound && (i === 0 || value > bounds[i - 1])).length
      );
      return [values.length, sum, Math.min(...values), Math.max(...values), counts, boundaries];
    }
  });
});

const OVERFLOW = "otel.metric.overflow=boolValue:true";

const VIEWS = `
views:
  - selector: { instrument_name: old }
    stream: { name: new, description: words }
  - selector: { instrument_name: "noi*" }
    stream: { aggregation: { drop: {} } }
  - selector: { instrument_name: both }
    stream: { name: both.sum, aggregation: { sum: {} } }
  - selector: { instrument_name: both }
    stream:
      name: both.exponential
      aggregation: { base2_exponential_bucket_histogram: { record_min_max: false } }
  - selector: { instrument_name: few }
    stream: { attribute_keys: { included: [keep] } }
`;
