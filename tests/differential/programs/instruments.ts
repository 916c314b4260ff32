/**
 * Instruments: values that are none, names, duplicates, many attribute sets, histograms.
 *
 * @module
 */
import { type Attributes, type Meter, metrics, trace, ValueType } from "@opentelemetry/api";
import type { Program } from "../programs.ts";
import { EDGES } from "./values.ts";

const T = 1_700_000_000;
const meter = () => metrics.getMeter("instruments", "1");

const INVALID: unknown[] = [NaN, Infinity, -Infinity, "1", null, undefined, {}, true, 1n];

function invalid(): void {
  const m = meter();
  for (const valueType of [ValueType.INT, ValueType.DOUBLE]) {
    const name = ["int", "double"][valueType];
    const counter = m.createCounter(`counter.${name}`, { valueType });
    const up = m.createUpDownCounter(`up.${name}`, { valueType });
    const histogram = m.createHistogram(`histogram.${name}`, { valueType });
    const gauge = m.createGauge(`gauge.${name}`, { valueType });
    const observed = m.createObservableGauge(`observed.${name}`, { valueType });
    // What is no number says nothing, before and after what does.
    for (const value of [1, ...INVALID.slice(3), 2.5]) {
      counter.add(value as number);
      up.add(value as number);
      histogram.record(value as number);
      gauge.record(value as number);
    }
    counter.add(-1);
    histogram.record(-1);
    up.add(-1.5);
    for (const fraction of [0.9, -0.9, 1.5, -1.5]) up.add(fraction, { fraction: true });
    observed.addCallback((result) => {
      for (const value of [7.75, ...INVALID.slice(3)]) result.observe(value as number);
    });
  }
  const alone = m.createCounter("only.invalid");
  for (const value of INVALID.slice(3)) alone.add(value as number);
  alone.add(-1);
  const inheriting = Object.assign(Object.create({ inherited: 1 }), { own: 1 });
  for (let i = 0; i < 2; i++) m.createCounter("own only").add(1, inheriting);
  m.createCounter("zero").add(0);
  m.createUpDownCounter("cancelled").add(5);
  m.createUpDownCounter("cancelled").add(-5);
}

/** NaN and infinities. */
function nonFinite(): void {
  const m = meter();
  for (const value of INVALID.slice(0, 3) as number[]) {
    const attributes = { value: String(value) };
    m.createHistogram("histogram").record(1, attributes);
    m.createHistogram("histogram").record(value, attributes);
    m.createCounter("counter").add(1, attributes);
    m.createCounter("counter").add(value, attributes);
    m.createGauge("gauge").record(1, attributes);
    m.createGauge("gauge").record(value, attributes);
    m.createCounter("counter.int", { valueType: ValueType.INT }).add(value, attributes);
  }
}

function numbers(): void {
  const m = meter();
  const int = m.createCounter("int", { valueType: ValueType.INT });
  const up = m.createUpDownCounter("up.int", { valueType: ValueType.INT });
  const gauge = m.createGauge("gauge.int", { valueType: ValueType.INT });
  const double = m.createUpDownCounter("double");
  for (const [i, value] of [0, 1, 127, 128, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1].entries()) {
    int.add(value, { i });
    up.add(-value, { i });
    gauge.record(value, { i });
    gauge.record(-value, { i });
    double.add(value, { i });
  }
  for (const [i, value] of [0.1, 1e-300, 1e300, 5e-324, Number.MAX_VALUE].entries()) {
    double.add(value, { fraction: i });
    double.add(value / 3, { fraction: i });
  }
  for (let i = 0; i < 1000; i++) double.add(0.1, { many: true });
  for (let i = 0; i < 1000; i++) int.add(i, { many: true });
}

function sets(): void {
  const m = meter();
  const counter = m.createCounter("counter", { valueType: ValueType.INT });
  const observed = m.createObservableGauge("observed");
  const all: Attributes[] = [];
  for (const [key, value] of Object.entries(EDGES)) {
    all.push({ [key]: value } as Attributes);
  }
  all.push({}, { a: 1, b: 2 }, { b: 2, a: 1 }, { a: "1", b: 2 }, { a: true }, { a: "true" });
  all.push({ a: [1] }, { a: ["1"] }, { a: 1.5 }, { "": 1 }, { a: "x".repeat(300) });
  for (let round = 0; round < 2; round++) {
    for (const attributes of all) counter.add(1, attributes);
    for (const attributes of all) counter.add(1, { ...attributes });
  }
  counter.add(1);
  observed.addCallback((result) => all.forEach((each, i) => result.observe(i, each)));
  const reused: Attributes = { route: "/a" };
  const changing = m.createCounter("changing");
  for (const route of ["/a", "/b", "/a", "/c"]) {
    reused.route = route;
    changing.add(1, reused);
  }
  const wide = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`k${i}`, i]));
  m.createCounter("wide").add(1, wide);
}

function duplicates(): void {
  const make = (m: Meter): void => {
    m.createCounter("same").add(1);
    m.createCounter("same").add(2);
    m.createCounter("same", { description: "" }).add(4);
    m.createHistogram("histogram").record(1);
    m.createHistogram("histogram").record(2);
    // In conflict: each a stream of its own.
    m.createCounter("by.unit", { unit: "ms" }).add(1);
    m.createCounter("by.unit", { unit: "s" }).add(2);
    m.createCounter("by.kind").add(1);
    m.createUpDownCounter("by.kind").add(2);
    m.createHistogram("by.kind").record(4);
    m.createGauge("by.kind").record(8);
    m.createCounter("by.type", { valueType: ValueType.INT }).add(1);
    m.createCounter("by.type", { valueType: ValueType.DOUBLE }).add(2);
    m.createObservableGauge("observed").addCallback((result) => result.observe(1, { by: 1 }));
    m.createObservableGauge("observed").addCallback((result) => result.observe(2, { by: 2 }));
  };
  make(metrics.getMeter("a"));
  make(metrics.getMeter("a", "1"));
  make(metrics.getMeter("a", "1", { schemaUrl: "https://example.org" }));
}

/** Those where the specification leaves more than one way. */
function similar(): void {
  const m = meter();
  m.createCounter("Case").add(1);
  m.createCounter("case").add(2);
  m.createCounter("by.description", { description: "short" }).add(1);
  m.createCounter("by.description", { description: "rather longer" }).add(2);
}

/** Advice is no part of what an instrument is: the first one counts. */
function advisedTwice(): void {
  for (const explicitBucketBoundaries of [[1, 2], [3, 4], undefined]) {
    meter().createHistogram("advised", { advice: { explicitBucketBoundaries } }).record(1.5);
  }
}

/** Views that say the same of an instrument. */
function viewedTwice(): void {
  const m = meter();
  m.createCounter("counter").add(1);
  m.createHistogram("histogram").record(2);
  m.createObservableCounter("observed").addCallback((it) => it.observe(5));
}

/** Several callbacks that observe the same. */
async function observedTwice(collect: () => Promise<unknown>): Promise<void> {
  const m = meter();
  const single = m.createObservableCounter("single");
  single.addCallback((it) => it.observe(5));
  single.addCallback((it) => it.observe(3));
  const batched = m.createObservableUpDownCounter("batched");
  batched.addCallback((it) => it.observe(5, { a: 1 }));
  m.addBatchObservableCallback((it) => it.observe(batched, 3, { a: 1 }), [batched]);
  for (let i = 0; i < 2; i++) await collect();
}

/** Options of null, and boundaries in any order. */
function oddOptions(): void {
  const m = meter();
  m.createCounter("null", { unit: null, description: null, advice: null } as never).add(1);
  for (const [i, list] of [[0, 10, Infinity], [10, 0, 5], [-Infinity, 1]].entries()) {
    m.createHistogram(`advised ${i}`, { advice: { explicitBucketBoundaries: list } }).record(5);
  }
}

function names(): void {
  const m = meter();
  for (
    const name of ["a", "A", "a.b-c_d/e9", "a".repeat(255), "9starts", "with blank", "ą", "_a"]
  ) {
    m.createCounter(name, { unit: "By", description: `of ${name}` }).add(1);
  }
  for (const [i, unit] of ["", "1", "{request}", "By/s", "°C", "u".repeat(63)].entries()) {
    m.createGauge(`unit.${i}`, { unit, description: "żółć 🚲" }).record(i);
  }
}

function edgesOfBuckets(): void {
  const m = meter();
  const byDefault = m.createHistogram("by.default");
  const few = m.createHistogram("few", { advice: { explicitBucketBoundaries: [-5, 0, 0.5, 5] } });
  const one = m.createHistogram("one", { advice: { explicitBucketBoundaries: [1] } });
  const int = m.createHistogram("int", {
    valueType: ValueType.INT,
    advice: { explicitBucketBoundaries: [1, 10] },
  });
  const edges = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000];
  for (const edge of [...edges, 0.5, 1]) {
    for (const value of [edge, edge + 1e-9, Math.max(0, edge - 1e-9)]) {
      byDefault.record(value);
      few.record(value);
      one.record(value);
      int.record(Math.floor(value));
    }
  }
  m.createHistogram("bad.advice", { advice: { explicitBucketBoundaries: [] } }).record(1);
  for (let i = 0; i < 50; i++) byDefault.record(i * 7 % 100, { part: i % 3 });
}

function spread(): void {
  const m = meter();
  const record = (name: string, values: number[]): void => {
    const histogram = m.createHistogram(name);
    for (const value of values) histogram.record(value);
  };
  record("one.value", [1]);
  record("the.same.value", [7, 7, 7]);
  record("zero", [0]);
  record("zeros.and.more", [0, 0, 1, 2]);
  record("powers.of.two", Array.from({ length: 40 }, (_, i) => 2 ** (i - 20)));
  record("narrow", Array.from({ length: 100 }, (_, i) => 1 + i / 1000));
  record("wide", Array.from({ length: 60 }, (_, i) => 10 ** (i * 10 - 290)));
  record("edges.of.doubles", [2 ** -1022, 1, Number.MAX_VALUE]);
  record("growing", Array.from({ length: 300 }, (_, i) => i + 1));
  record("falling", Array.from({ length: 300 }, (_, i) => 300 - i));
  let state = 42;
  const random = () => (state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0) / 2 ** 32;
  record("random", Array.from({ length: 1000 }, () => Math.exp(random() * 20 - 10)));
  const parts = m.createHistogram("parts", { unit: "s" });
  for (let i = 0; i < 200; i++) parts.record(random() * 100, { part: i % 4 });
}

/** Numbers below the smallest normal one. */
function subnormal(): void {
  const histogram = meter().createHistogram("subnormal");
  for (const value of [5e-324, 1e-310, 2 ** -1030]) histogram.record(value);
}

function observed(): void {
  const m = meter();
  const counter = m.createObservableCounter("counter");
  const up = m.createObservableUpDownCounter("up", { valueType: ValueType.INT });
  const gauge = m.createObservableGauge("gauge");
  const silent = m.createObservableGauge("silent");
  silent.addCallback(() => {});
  m.createObservableCounter("without.callback");
  counter.addCallback((result) => {
    result.observe(0, { zero: true });
    result.observe(1.5);
    result.observe(2 ** 40, { large: true });
  });
  // Two callbacks of one instrument.
  up.addCallback((result) => result.observe(-3, { by: "first" }));
  up.addCallback((result) => result.observe(4, { by: "second" }));
  const batch = (result: { observe: (...args: never[]) => void }) => {
    const observe = result.observe.bind(result) as (...args: unknown[]) => void;
    observe(gauge, 1, { in: "batch" });
    observe(counter, 8, { in: "batch" });
    // Not of this batch.
    observe(up, 100, { in: "batch" });
  };
  m.addBatchObservableCallback(batch as never, [gauge, counter]);
  m.addBatchObservableCallback(batch as never, [gauge, counter]);
  const removed = () => {
    throw new Error("removed");
  };
  m.addBatchObservableCallback(removed, [gauge]);
  m.removeBatchObservableCallback(removed, [gauge]);
  const throwing = m.createObservableGauge("throwing");
  throwing.addCallback(() => {
    throw new Error("on purpose");
  });
  throwing.addCallback((result) => result.observe(1));
  m.createObservableGauge("rejecting").addCallback(() => Promise.reject(new Error("on purpose")));
  m.createObservableGauge("later").addCallback(async (result) => {
    result.observe(1, { when: "at once" });
    await new Promise((wake) => setTimeout(wake, 5));
    result.observe(2, { when: "later" });
  });
}

/** Asked again and again: what went on, came back, began anew, was added, went away. */
async function observedOften(collect: () => Promise<unknown>): Promise<void> {
  const m = meter();
  const rounds: Array<Record<string, number>> = [
    { growing: 1, falling: 9, same: 5, first: 3 },
    { growing: 4, falling: 2, same: 5, second: 7 },
    { growing: 10.5, falling: 1, same: 5, second: 8, last: 2 },
  ];
  let round = 0;
  const observe = (result: { observe(value: number, attributes: Attributes): void }) => {
    for (const [which, value] of Object.entries(rounds[round])) result.observe(value, { which });
  };
  m.createObservableUpDownCounter("up").addCallback(observe);
  m.createObservableGauge("gauge").addCallback((result) => {
    // A gauge keeps what it said before.
    if (round === 0) observe(result);
    else result.observe(round, { which: "growing" });
  });
  const { falling: _, ...growing } = rounds[0];
  m.createObservableCounter("counter").addCallback((result) => {
    for (const which of Object.keys(growing)) {
      const value = rounds[round][which];
      if (value !== undefined) result.observe(value, { which });
    }
  });
  for (; round < rounds.length - 1; round++) await collect();
}

/** A counter that goes down has begun anew. */
async function restarted(collect: () => Promise<unknown>): Promise<void> {
  const values = [10, 25, 3, 8];
  let round = 0;
  meter().createObservableCounter("counter").addCallback((it) => it.observe(values[round]));
  for (; round < values.length - 1; round++) await collect();
}

/** More attribute sets than a stream may have. */
function cardinality(): void {
  const m = meter();
  const counter = m.createCounter("counter", { valueType: ValueType.INT });
  const histogram = m.createHistogram("histogram", {
    advice: { explicitBucketBoundaries: [100, 1000] },
  });
  const gauge = m.createGauge("gauge");
  for (let i = 0; i < 2010; i++) {
    counter.add(i, { i });
    if (i < 20) histogram.record(i, { i });
    if (i < 20) gauge.record(i, { i });
  }
  // Known ones stay what they are.
  counter.add(1_000_000, { i: 0 });
  histogram.record(500, { i: 0 });
}

/** In a span and in none. */
function exemplars(): void {
  const m = meter();
  const counter = m.createCounter("counter");
  const histogram = m.createHistogram("histogram");
  counter.add(1, { in: "none" });
  trace.getTracer("exemplars").startActiveSpan("around", { startTime: [T, 0] }, (span) => {
    counter.add(2, { in: "span" });
    histogram.record(3, { in: "span" });
    span.end([T, 1]);
  });
}

export const programs: Readonly<Record<string, Program>> = {
  "invalid measurements": { run: invalid },
  "not finite": { run: nonFinite },
  numbers: { run: numbers },
  "attribute sets": { run: sets },
  duplicates: { run: duplicates },
  "similar instruments": { run: similar },
  "advised twice": { run: advisedTwice },
  "views that say the same": {
    settings: {
      views: [
        { instrumentName: "*" },
        { instrumentType: "counter" },
        { instrumentType: "histogram" },
        { instrumentType: "observable_counter" },
      ],
    },
    run: viewedTwice,
  },
  "observed by several": { run: observedTwice },
  "odd options": { run: oddOptions },
  "instrument names": { run: names },
  "edges of buckets": { run: edgesOfBuckets },
  "edges of buckets, delta": { settings: { temporality: "delta" }, run: edgesOfBuckets },
  "exponential spread": { settings: { histograms: "exponential" }, run: spread },
  "exponential spread, delta": {
    settings: { histograms: "exponential", temporality: "delta" },
    run: spread,
  },
  "exponential, few buckets": {
    settings: {
      views: [{
        instrumentName: "*",
        aggregation: { type: "exponential_histogram", maxSize: 10, recordMinMax: false },
      }],
    },
    run: spread,
  },
  subnormal: { settings: { histograms: "exponential" }, run: subnormal },
  observed: { run: observed },
  "observed often": { run: observedOften },
  "observed anew": { run: restarted },
  "observed, delta": { settings: { temporality: "delta" }, run: observed },
  "observed, low memory": { settings: { temporality: "lowmemory" }, run: observed },
  cardinality: {
    settings: {
      views: [
        { instrumentName: "histogram", aggregationCardinalityLimit: 8 },
        { instrumentName: "gauge", aggregationCardinalityLimit: 8 },
      ],
    },
    run: cardinality,
  },
  "exemplars always": {
    settings: { variables: { OTEL_METRICS_EXEMPLAR_FILTER: "always_on" } },
    run: exemplars,
  },
  "exemplars off": {
    settings: { variables: { OTEL_METRICS_EXEMPLAR_FILTER: "always_off" } },
    run: exemplars,
  },
};
