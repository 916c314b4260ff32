/** Looks at metrics between collections, which must not notice. */
import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AggregationTemporality, Instrument } from "../../proto/gen/mmap_pb.ts";
import { ExportMetricsServiceRequestSchema, type Metric } from "../../proto/gen/otlp_pb.ts";
import { metricsOf } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { Bench, COUNTER, type Definition, HISTOGRAM, int, numbers, T } from "./testing/bench.ts";

const SECOND = 1_000_000_000n;

/** Metrics by name. */
function snapshot(bench: Bench, now = bench.now): Record<string, Metric> {
  const { aggregator, process } = bench.collector;
  const metrics: Record<string, Metric> = {};
  const low = Number(now & 0xffffffffn) | 0;
  const high = Number(now >> 32n) | 0;
  bench.collector.rounds();
  aggregator.snapshot(process.state.index, low, high, (request) => {
    const bytes = request.buffer.slice(0, request.length);
    aggregator.recycle(request);
    for (const { metric } of metricsOf(fromBinary(ExportMetricsServiceRequestSchema, bytes))) {
      metrics[metric.name] = metric;
    }
  });
  return metrics;
}

const delta = { aggregationTemporality: AggregationTemporality.DELTA };
const DEFINITIONS: readonly Definition[] = [
  COUNTER,
  HISTOGRAM,
  { ...COUNTER, name: "d", aggregation: { case: "sum", value: { ...delta, isMonotonic: true } } },
  {
    ...HISTOGRAM,
    name: "dh",
    aggregation: { case: "histogram", value: { ...delta, bucketBoundaries: [5] } },
  },
  { ...COUNTER, name: "o", instrument: Instrument.OBSERVABLE_COUNTER },
  {
    ...COUNTER,
    name: "g",
    instrument: Instrument.GAUGE,
    aggregation: { case: "gauge", value: {} },
  },
];

describe("a snapshot", () => {
  it("has what the next collection has", () => {
    const bench = new Bench();
    const refs = DEFINITIONS.map((definition) => bench.define(definition));
    for (const ref of refs) bench.measure(ref, 3n, [["a", int(1)]]);
    const metrics = snapshot(bench);
    // Increments are nothing that can be looked at between collections.
    const { d, dh, ...rest } = bench.collect();
    assert.ok(d && dh);
    assert.deepEqual(metrics, rest);
    // What was not measured since is still there.
    assert.deepEqual(Object.keys(snapshot(bench)).sort(), ["c", "g", "h", "o"]);
  });

  it("has everything cumulative on request, as a collector that sends nothing else has it", () => {
    const bench = new Bench({ keepsCumulative: true });
    const cumulative = new Bench({ temporality: "cumulative" });
    const random = new Random();
    const all = [bench, cumulative].map((each) =>
      DEFINITIONS.map((definition) => each.define(definition))
    );
    for (let i = 0; i < 10; i++) {
      for (let j = 0; j < 30; j++) {
        // Each once, and others by chance.
        const which = j < DEFINITIONS.length ? j : random.below(DEFINITIONS.length);
        const [value, key] = [BigInt(random.below(20)), random.below(3)];
        bench.measure(all[0][which], value, [["a", int(key)]]);
        cumulative.measure(all[1][which], value, [["a", int(key)]]);
      }
      const found = snapshot(bench);
      // Before the collection, which forgets what is not measured for long.
      assert.deepEqual(numbersOf(found), numbersOf(snapshot(cumulative)), `seed ${seed}`);
      assert.ok(["d", "dh"].every((name) => found[name] !== undefined));
      bench.collect();
      cumulative.collect();
    }
  });

  it("changes nothing of what is collected", () => {
    const benches = [new Bench({ keepsCumulative: true }), new Bench()];
    const random = new Random();
    const all = benches.map((bench) => DEFINITIONS.map((definition) => bench.define(definition)));
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 20; j++) {
        const which = random.below(DEFINITIONS.length);
        const [value, key] = [BigInt(random.below(20)), random.below(3)];
        const span = { number: random.below(100), flags: 1 };
        benches.forEach((bench, b) => {
          bench.measure(all[b][which], value, [["a", int(key)]], span);
        });
        snapshot(benches[0]);
      }
      const [looked, left] = benches.map((bench) => bench.collect());
      assert.deepEqual(numbersOf(looked), numbersOf(left), `seed ${seed}`);
    }
    const [looked, left] = benches.map(({ counts }) => counts);
    assert.deepEqual(looked, left);
  });

  it("forgets what is not observed any more", () => {
    const bench = new Bench();
    const observed = bench.define(DEFINITIONS[4]);
    const counted = bench.define(COUNTER);
    bench.measure(observed, 5n);
    bench.measure(counted, 6n);
    assert.deepEqual(numbers(snapshot(bench, T + 299n * SECOND).o), { "": 5n });
    const metrics = snapshot(bench, T + 301n * SECOND);
    assert.equal(metrics.o, undefined);
    assert.deepEqual(numbers(metrics.c), { "": 6n });
  });
});

/** All that is random in no other way: exemplars are chosen at random. */
function numbersOf(metrics: Record<string, Metric>): unknown {
  return Object.fromEntries(
    Object.entries(metrics).map(([name, { data }]) => [
      name,
      data.value!.dataPoints.map((point) => ({ ...point, exemplars: [] })),
    ]),
  );
}
