import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import {
  AggregationTemporality,
  Instrument,
  MeasurementSchema,
  MetricRefSchema,
  ValueType,
} from "../../proto/gen/mmap_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { AGGREGATION, metricsOf, pointsOf } from "../../tests/support/collect.ts";
import { damagedState } from "../../tests/support/damaged-state.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { recordCopy } from "../../tests/support/record-copy.ts";
import { Assembler } from "../otlp/assemble.ts";
import type { Request } from "../otlp/request.ts";
import type { Source } from "../otlp/source.ts";
import { Rejection } from "../record/wire.ts";
import { Aggregator, type AggregatorOptions } from "./aggregate.ts";
import {
  COUNTER,
  type Definition,
  double,
  HISTOGRAM,
  int,
  said,
  T,
  type Value,
} from "./testing/bench.ts";
import { parseViews, type View } from "./views.ts";

const { CUMULATIVE, DELTA } = AggregationTemporality;
type MeasurementInit = MessageInitShape<typeof MeasurementSchema>;

/** A file that measures. */
interface TestFile {
  readonly number: number;
  readonly process: number;
  readonly wasMeasured: boolean;
  readonly builder: FileBuilder;
  readonly metrics: bigint[];
}

/** An aggregator with the assembler that has its scopes, and what came out of it. */
class Side {
  assembler: Assembler;
  aggregator: Aggregator;
  readonly sources = new Map<number, Source>();
  readonly said: string[] = [];
  private readonly options: AggregatorOptions;

  constructor(options: AggregatorOptions) {
    this.options = options;
    [this.assembler, this.aggregator] = this.make(options);
  }

  make(options: AggregatorOptions): [Assembler, Aggregator] {
    const assembler = new Assembler(() => {});
    const scopeOf = (source: Source, ref: number) => assembler.scopeOf(source, ref);
    return [assembler, new Aggregator(scopeOf, options)];
  }

  addProcess(): number {
    const { index } = this.assembler.addProcess();
    this.aggregator.addProcess(index);
    return index;
  }

  removeProcess(index: number): void {
    this.aggregator.removeProcess(index);
    this.assembler.removeProcess(this.assembler.processes[index]!);
  }

  addSource({ number, process, builder, wasMeasured }: TestFile): void {
    const state = this.assembler.processes[process]!;
    const { dictionary } = builder;
    this.sources.set(
      number,
      this.assembler.addSource(number, state, builder, dictionary, true, wasMeasured),
    );
  }

  take(file: TestFile, record: Uint8Array): void {
    try {
      this.aggregator.take(this.sources.get(file.number)!, recordCopy(record));
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      this.said.push(error.reason);
    }
  }

  collect(process: number, now: bigint): void {
    this.said.push(`${process} ${this.aggregator.hasPoints(process)}`);
    const [low, high] = wordsOf(now);
    this.aggregator.collect(process, low, high, (request) => this.say("collected", request));
  }

  snapshot(process: number, now: bigint): void {
    const [low, high] = wordsOf(now);
    this.aggregator.snapshot(process, low, high, (request) => this.say("seen", request));
  }

  say(what: string, request: Request): void {
    const bytes = Buffer.from(request.buffer.subarray(0, request.length)).toString("base64");
    this.said.push(`${what} ${request.items} ${request.processes} ${bytes}`);
    this.aggregator.recycle(request);
  }

  /** Saves everything, of itself or another, and goes on in new ones. */
  restore(files: readonly TestFile[], from: Side = this): void {
    const spans = from.assembler.save();
    const metrics = from.aggregator.save();
    const [assembler, aggregator] = this.make(this.options);
    this.assembler = assembler;
    this.aggregator = aggregator;
    assembler.restore(spans);
    aggregator.restore(metrics, (index) => assembler.scopeAt(index));
    this.sources.clear();
    for (const file of files) this.addSource(file);
    if (from.options !== this.options) return;
    assert.equal(Buffer.compare(aggregator.save(), metrics), 0, "it is saved as another state");
  }
}

function wordsOf(time: bigint): [number, number] {
  return [Number(time & 0xffffffffn) | 0, Number(time >> 32n) | 0];
}

/** An instrument of any kind, ours or not. */
function randomDefinition(random: Random, scope: bigint): Definition {
  const isOurs = random.below(3) > 0;
  const aggregationTemporality = random.pick([CUMULATIVE, DELTA]);
  const kind = random.below(5);
  const instruments = [
    [Instrument.GAUGE, Instrument.OBSERVABLE_GAUGE],
    [Instrument.COUNTER, Instrument.OBSERVABLE_COUNTER],
    [Instrument.UP_DOWN_COUNTER, Instrument.OBSERVABLE_UP_DOWN_COUNTER],
    [Instrument.HISTOGRAM],
    [Instrument.HISTOGRAM],
  ][kind];
  const aggregations: Definition["aggregation"][] = [
    { case: "gauge", value: {} },
    { case: "sum", value: { aggregationTemporality, isMonotonic: true } },
    { case: "sum", value: { aggregationTemporality, isMonotonic: false } },
    {
      case: "histogram",
      value: {
        aggregationTemporality,
        bucketBoundaries: random.pick([[], [0], [-0, 5, 10], [1, 2, 3, 4, 5, 6, 7, 8, 9]]),
      },
    },
    {
      case: "exponentialHistogram",
      value: { aggregationTemporality, maxBuckets: 4n + BigInt(random.below(40)), maxScale: 8n },
    },
  ];
  const filtersAttributes = random.below(4) === 0;
  return {
    name: random.pick(["c", "g", "h", "e", "dropped", "ü"]) + random.below(4),
    unit: random.pick(["", "s"]),
    description: random.pick(["", "what it is"]),
    instrumentationScopeRef: random.below(30) === 0 ? 0n : scope,
    instrument: isOurs ? random.pick(instruments) : 0,
    valueType: random.pick([ValueType.INT, ValueType.DOUBLE, 0]),
    createdTimeUnixNano: random.below(3) === 0 ? 0n : T - BigInt(random.below(1000)),
    aggregation: random.below(40) === 0 ? undefined : aggregations[kind],
    filtersAttributes,
    attributeKeys: filtersAttributes ? ["a"] : [],
    excludedAttributeKeys: random.below(4) === 0 ? ["b"] : [],
    cardinalityLimit: random.pick([0, 0, 3, 6]),
    omitsMinMax: random.below(4) === 0,
  };
}

/** Feeds the same measurements to two aggregators, one of which is saved and restored. */
class Twins {
  readonly random: Random;
  readonly sides: [Side, Side];
  readonly files: TestFile[] = [];
  readonly processes: number[] = [];
  private numbers = 0;
  private now = T;

  constructor(random: Random, options: AggregatorOptions) {
    this.random = random;
    this.sides = [new Side(options), new Side(options)];
    // From here on both choose the same exemplars.
    this.sides[1].restore([], this.sides[0]);
    for (let i = 0; i < 3; i++) this.addFile();
  }

  addFile(): void {
    const { random, processes } = this;
    let process = processes.length > 0 ? random.pick(processes) : -1;
    if (process < 0 || random.below(2) === 0) {
      const indexes = this.sides.map((side) => side.addProcess());
      assert.equal(indexes[0], indexes[1]);
      process = indexes[0];
      processes.push(process);
    }
    const builder = new FileBuilder({ slots: 1, dictionaryBytes: 1 << 20 });
    const number = ++this.numbers;
    const wasMeasured = random.below(3) === 0;
    const file = { number, process, wasMeasured, builder, metrics: [0n, 7n] };
    this.files.push(file);
    for (const side of this.sides) side.addSource(file);
    // The same ones in all files of a process, now and then.
    const definitions = new Random(seed + process + random.below(2));
    for (let i = 0; i < 12; i++) this.define(file, definitions);
  }

  define({ builder, metrics }: TestFile, random: Random): void {
    const scope = builder.simpleScope(random.pick(["one", "two"]), random.pick(["a", "b"]));
    const message = create(MetricRefSchema, randomDefinition(random, scope) as Definition);
    metrics.push(builder.entry(toBinary(MetricRefSchema, message)));
  }

  measure(): void {
    const { random } = this;
    const file = random.pick(this.files);
    const { builder } = file;
    const values: Value[] = [int(random.below(5)), double(random.below(2)), text("x"), {}];
    const attributes = Array.from({ length: random.below(4) }, () => ({
      keyRef: builder.string(random.pick(["a", "b", "c"])),
      value: random.pick(values),
    }));
    const numbers = [NaN, Infinity, -1.5, 0, -0, 0.1, 7, 1e300, 5e-324, random.below(1e6) / 64];
    const inSpan = random.below(3) === 0;
    let record = toBinary(
      MeasurementSchema,
      create(MeasurementSchema, {
        metricRef: random.pick(file.metrics),
        timeUnixNano: this.now += BigInt(random.below(1000)),
        replacedTotal: random.below(20) === 0 ? random.below(100) : 0,
        value: random.below(2) === 0
          ? { case: "asLong", value: BigInt(random.below(20)) - 1n + (random.bits64() >> 3n) }
          : { case: "asDouble", value: random.pick(numbers) },
        attributes,
        spanContext: inSpan
          ? { ...idsOf(random.below(99) + 1), flags: random.below(2) }
          : undefined,
      }),
    );
    if (random.below(100) === 0) record = record.subarray(0, random.below(record.length));
    for (const side of this.sides) side.take(file, record);
  }

  collect(): void {
    const process = this.random.pick(this.processes);
    // Now and then the clock is behind.
    const now = this.now + BigInt(this.random.below(10) === 0 ? -500 : 100);
    for (const side of this.sides) side.collect(process, now);
  }

  step(): void {
    const { random } = this;
    this.measure();
    if (random.below(40) === 0) this.collect();
    if (random.below(200) === 0) this.addFile();
    if (random.below(100) === 0) this.define(random.pick(this.files), random);
    if (random.below(60) === 0) {
      for (const side of this.sides) side.snapshot(this.files[0].process, this.now);
    }
    if (random.below(400) === 0) this.removeProcess();
  }

  removeProcess(): void {
    const { random, processes } = this;
    const index = random.pick(processes);
    processes.splice(processes.indexOf(index), 1);
    for (const side of this.sides) side.removeProcess(index);
    for (let i = this.files.length - 1; i >= 0; i--) {
      if (this.files[i].process === index) this.files.splice(i, 1);
    }
    while (this.files.length < 3) this.addFile();
  }

  check(where: string): void {
    const [left, right] = this.sides;
    for (const [i, said] of left.said.entries()) assert.equal(right.said[i], said, where);
    assert.equal(right.said.length, left.said.length, where);
    left.said.length = 0;
    right.said.length = 0;
    assert.deepEqual(right.aggregator.counts, left.aggregator.counts, where);
    assert.equal(right.aggregator.series, left.aggregator.series, where);
  }
}

function views(said: unknown[]): View[] {
  return parseViews(JSON.stringify({ views: said }), "views.json");
}

const VIEWS = views([
  {
    selector: { instrument_name: "c1" },
    stream: { name: "renamed", attribute_keys: { excluded: ["b"] } },
  },
  { selector: { instrument_name: "c*" }, stream: { aggregation_cardinality_limit: 4 } },
  { selector: { instrument_name: "dropped*" }, stream: { aggregation: { drop: {} } } },
  {
    selector: { instrument_name: "h1" },
    stream: { aggregation: { base2_exponential_bucket_histogram: { max_size: 5 } } },
  },
]);

const OPTIONS: AggregatorOptions[] = [
  { ...AGGREGATION, exemplars: "always_on", keepsCumulative: true },
  { ...AGGREGATION, exemplars: "always_on", temporality: "delta", views: VIEWS },
  { ...AGGREGATION, temporality: "lowmemory", maxSeries: 40, maxRequestBytes: 2000 },
  { ...AGGREGATION, temporality: "cumulative", histograms: "exponential", views: VIEWS },
  { ...AGGREGATION, exemplars: "always_off", histograms: "explicit", cardinalityLimit: 4 },
];

describe("a saved aggregator", () => {
  it(`goes on as if it had not been saved (seed ${seed})`, () => {
    let overflowed = 0;
    const refused = { nonFinite: 0, negative: 0, dropped: 0 };
    for (const [turn, options] of OPTIONS.entries()) {
      const twins = new Twins(new Random(seed + turn), options);
      for (let step = 0; step < 1500; step++) {
        twins.step();
        if (twins.random.below(100) > 0) continue;
        twins.sides[1].restore(twins.files);
        twins.check(`seed ${seed + turn}, step ${step}`);
      }
      for (let i = 0; i < 20; i++) twins.collect();
      twins.check(`seed ${seed + turn}, at its end`);
      const { counts } = twins.sides[1].aggregator;
      assert.ok(counts.measurements > 300 && counts.points > 50, JSON.stringify(counts));
      overflowed += counts.overflowed;
      refused.nonFinite += counts.nonFinite;
      refused.negative += counts.negative;
      refused.dropped += counts.dropped;
    }
    assert.ok(overflowed > 50, `${overflowed} overflowed`);
    assert.ok(Object.values(refused).every((count) => count > 0), JSON.stringify(refused));
  });

  it("exports once what views and options make otherwise now, and begins it anew", () => {
    const before = new Side({ ...AGGREGATION, views: VIEWS });
    const process = before.addProcess();
    const builder = new FileBuilder({ slots: 1 });
    const scope = builder.simpleScope("s");
    const [c, o, h] = [
      { ...COUNTER, name: "c2" },
      { ...COUNTER, name: "o", instrument: Instrument.OBSERVABLE_COUNTER },
      HISTOGRAM,
    ].map((definition) => {
      const message = create(MetricRefSchema, { ...definition, instrumentationScopeRef: scope });
      return builder.entry(toBinary(MetricRefSchema, message));
    });
    const file = { number: 1, process, wasMeasured: false, builder, metrics: [] };
    before.addSource(file);
    let now = T;
    const measure = (side: Side, metricRef: bigint, value: bigint, key: string): void => {
      const attributes = [{ keyRef: builder.string(key), value: int(1) }];
      const timeUnixNano = ++now;
      const init = { metricRef, timeUnixNano, value: { case: "asLong", value }, attributes };
      side.take(
        file,
        toBinary(MeasurementSchema, create(MeasurementSchema, init as MeasurementInit)),
      );
    };
    measure(before, c, 1n, "a");
    measure(before, o, 5n, "a");
    measure(before, h, 5n, "a");
    before.collect(process, now);
    measure(before, c, 2n, "b");
    measure(before, o, 6n, "a");
    const warnings: string[] = [];
    const options: AggregatorOptions = {
      ...AGGREGATION,
      // c2 loses an attribute and o its name; h goes on, under another limit.
      cardinalityLimit: 1,
      views: views([
        { selector: { instrument_name: "c2" }, stream: { attribute_keys: { excluded: ["b"] } } },
        { selector: { instrument_name: "o" }, stream: { name: "p" } },
      ]),
      warn: (message) => warnings.push(message),
    };
    const between = new Side(options);
    between.restore([file], before);
    assert.deepEqual(warnings.map((each) => each.slice(0, 8)), ["c2: view", "o: views"]);
    // Nothing was measured or collected in between.
    const after = new Side(options);
    after.restore([file], between);
    assert.equal(warnings.length, 2);
    measure(after, h, 7n, "a");
    measure(after, h, 8n, "b");
    measure(after, c, 4n, "b");
    const began = now;
    measure(after, o, 7n, "a");
    const first = pointsIn(after, process, now += 10n);
    assert.deepEqual(first, [
      // What goes ends before what takes its place begins, and not before what was exported of it.
      `c2 a=intValue:1 ${T + 1n} 1 until ${T + 3n}`,
      `c2 b=intValue:1 ${T + 4n} 2 until ${T + 4n}`,
      `o a=intValue:1 ${T} 11 until ${T + 5n}`,
      `h a=intValue:1 ${T + 3n} 2 values`,
      `h otel.metric.overflow=boolValue:true ${T + 7n} 1 values`,
      `c2  ${began} 4`,
      `p a=intValue:1 ${began + 1n} 7`,
    ]);
    measure(after, c, 8n, "b");
    assert.deepEqual(pointsIn(after, process, now += 10n).filter((each) => !each.startsWith("h")), [
      `c2  ${began} 12`,
    ]);
    assert.equal(after.aggregator.series, 4);
  });

  it("goes on with one of the streams that earlier versions told apart by thread", () => {
    const before = new Side(AGGREGATION);
    const process = before.addProcess();
    const builder = new FileBuilder({ slots: 1 });
    const scope = builder.simpleScope("s");
    const [c, other] = [COUNTER, { ...COUNTER, description: "as if of another thread" }]
      .map((definition, i) => {
        const created = { createdTimeUnixNano: T + BigInt(i) };
        const message = { ...definition, ...created, instrumentationScopeRef: scope };
        return builder.entry(toBinary(MetricRefSchema, create(MetricRefSchema, message)));
      });
    const file = { number: 1, process, wasMeasured: false, builder, metrics: [] };
    before.addSource(file);
    const measure = (side: Side, metricRef: bigint, value: bigint): void => {
      const init = { metricRef, timeUnixNano: T + 5n, value: { case: "asLong", value } };
      const record = create(MeasurementSchema, init as MeasurementInit);
      side.take(file, toBinary(MeasurementSchema, record));
    };
    measure(before, c, 1n);
    measure(before, other, 2n);
    const { instruments } = before.aggregator["instruments"].processes.get(process)!;
    const [[key, one], [, two]] = [...instruments];
    instruments.clear();
    instruments.set(key.replace(" 0 ", ` ${T} `), one);
    instruments.set(key.replace(" 0 ", ` ${T + 1n} `), two);
    // Saved again, it is another state: keys have changed.
    const after = new Side({ ...AGGREGATION });
    after.restore([file], before);
    measure(after, c, 4n);
    const values = (now: bigint): string[] =>
      pointsIn(after, process, now).map((each) => each.replace(/ until .*/, "").split(" ").at(-1)!);
    assert.deepEqual(values(T + 10n), ["5", "2"]);
    measure(after, c, 8n);
    assert.deepEqual(values(T + 20n), ["13"]);
    assert.equal(after.aggregator.series, 1);
  });

  it("has nothing when nothing was there", () => {
    const side = new Side(AGGREGATION);
    side.restore([], new Side(AGGREGATION));
    assert.equal(side.addProcess(), 0);
  });

  it("says what is wrong with other bytes, and with an aggregator that is not new", () => {
    const side = new Side(AGGREGATION);
    const metrics = side.aggregator.save();
    const restore = (bytes: Uint8Array) => () =>
      new Side(AGGREGATION).aggregator.restore(bytes, () => null);
    assert.throws(restore(side.assembler.save()), /are no saved state of metrics/);
    assert.throws(restore(metrics.subarray(0, 20)), /damaged: it says/);
    const newer = metrics.slice();
    newer[4]++;
    assert.throws(restore(newer), /has version 3; this program reads version 2/);
    const twins = new Twins(new Random(), OPTIONS[0]);
    for (let i = 0; i < 50; i++) twins.measure();
    assert.throws(restore(twins.sides[0].aggregator.save()), /damaged: there is no scope 0/);
    side.addProcess();
    assert.throws(() => side.aggregator.restore(metrics, () => null), /new aggregator/);
  });

  it(`never hangs over damaged bytes (seed ${seed})`, () => {
    const random = new Random();
    const twins = new Twins(random, OPTIONS[1]);
    for (let i = 0; i < 600; i++) twins.step();
    const [{ assembler, aggregator }] = twins.sides;
    const state = aggregator.save();
    let refused = 0;
    for (let turn = 0; turn < 400; turn++) {
      const { damaged, isCut } = damagedState(state, random);
      const other = new Side(OPTIONS[1]).aggregator;
      try {
        other.restore(damaged, (index) => assembler.scopeAt(index));
        assert.ok(!isCut, `seed ${seed}, turn ${turn}`);
      } catch (error) {
        if (!isCut) refused++;
        assert.match(String(error), /saved state of metrics/, `seed ${seed}, turn ${turn}`);
        continue;
      }
      for (const process of twins.processes) other.collect(process, 0, 1, () => {});
    }
    // A cut is always refused; other damage often lies in a text or a time, which may be anything.
    assert.ok(refused > 50, `seed ${seed}: ${refused} refused`);
  });
});

/** What a collection gives: name, attributes, start and value of each point. */
function pointsIn({ aggregator }: Side, process: number, now: bigint): string[] {
  const points: string[] = [];
  const [low, high] = wordsOf(now);
  aggregator.collect(process, low, high, ({ buffer, length }) => {
    const request = fromBinary(ExportMetricsServiceRequestSchema, buffer.slice(0, length));
    for (const { metric } of metricsOf(request)) {
      for (const point of pointsOf(metric)) {
        const value = "value" in point ? point.value.value : `${point.count} values`;
        const { attributes, startTimeUnixNano: start, timeUnixNano: end } = point;
        const until = end === now ? "" : ` until ${end}`;
        points.push(`${metric.name} ${said(attributes)} ${start} ${value}${until}`);
      }
    }
  });
  return points;
}
