import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Instrument, MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import type { NumberDataPoint } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { AGGREGATION, MemoryCollector, pointsOf } from "../../tests/support/collect.ts";
import { COUNTER, type Definition, T } from "./testing/bench.ts";

const GAUGE: Definition = {
  ...COUNTER,
  name: "g",
  instrument: Instrument.GAUGE,
  aggregation: { case: "gauge", value: {} },
};

/** Threads of one process and one resource, with a file each. */
class Threads {
  readonly warnings: string[] = [];
  private readonly collector = new MemoryCollector(undefined, {
    ...AGGREGATION,
    warn: (message) => this.warnings.push(message),
  });

  /** A thread that created an instrument so many ns after `T`; returns how it measures: at, value. */
  add(definition: Definition, created: number): (at: number, value: bigint) => void {
    const file = new FileBuilder({ slots: 64 });
    const message = create(MetricRefSchema, {
      ...definition,
      createdTimeUnixNano: T + BigInt(created),
      instrumentationScopeRef: file.simpleScope("s"),
    } as Definition);
    const metricRef = file.entry(toBinary(MetricRefSchema, message));
    this.collector.add(file, { over: false });
    return (at, value) =>
      void file.measurement({
        metricRef,
        timeUnixNano: T + BigInt(at),
        value: { case: "asLong", value },
      });
  }

  /** All points there are. */
  collectAll(): NumberDataPoint[] {
    this.collector.rounds();
    return this.collector.metrics().flatMap(({ metric }) => pointsOf(metric) as NumberDataPoint[]);
  }

  /** Start, counted from `T`, and value of the one point there is. */
  collect(): [start: number, value: number] {
    const points = this.collectAll();
    assert.equal(points.length, 1);
    const [{ startTimeUnixNano, value }] = points;
    return [Number(startTimeUnixNano - T), Number(value.value)];
  }
}

describe("threads of one resource", () => {
  it("have the last value that any of them measured, whichever file is read last", () => {
    const threads = new Threads();
    const one = threads.add(GAUGE, 0);
    const other = threads.add(GAUGE, 5);
    one(20, 1n);
    other(10, 2n);
    assert.equal(threads.collect()[1], 1);
    one(30, 3n);
    other(40, 4n);
    assert.equal(threads.collect()[1], 4);
    other(50, 5n);
    one(45, 6n);
    assert.equal(threads.collect()[1], 5);
    // The clock was set back: of one thread, the later record counts.
    other(7, 7n);
    assert.equal(threads.collect()[1], 7);
    one(8, 8n);
    assert.equal(threads.collect()[1], 8);
  });

  it("have a start before all that was measured, which stays when it was sent", () => {
    const threads = new Threads();
    const one = threads.add(COUNTER, 100);
    const other = threads.add(COUNTER, 0);
    const third = threads.add(COUNTER, 0);
    one(110, 1n);
    other(20, 2n);
    third(10, 4n);
    other(120, 8n);
    assert.deepEqual(threads.collect(), [10, 15]);
    const late = threads.add(COUNTER, 0);
    late(5, 16n);
    assert.deepEqual(threads.collect(), [10, 31]);
  });

  it("contradict each other in what they observe, unless one came after the other", () => {
    for (const instrument of [Instrument.OBSERVABLE_COUNTER, Instrument.OBSERVABLE_GAUGE]) {
      const definition = instrument === Instrument.OBSERVABLE_COUNTER ? COUNTER : GAUGE;
      const threads = new Threads();
      const one = threads.add({ ...definition, instrument }, 0);
      one(10, 1n);
      threads.collect();
      one(20, 2n);
      // The SDK was shut down, and started again.
      const next = threads.add({ ...definition, instrument }, 30);
      next(40, 5n);
      next(50, 6n);
      threads.collectAll();
      const third = threads.add({ ...definition, instrument }, 60);
      third(70, 1n);
      threads.collect();
      third(80, 1n);
      threads.collect();
      assert.deepEqual(threads.warnings, []);
      // One that was thought to be over.
      next(75, 7n);
      threads.collect();
      third(90, 1n);
      next(85, 7n);
      threads.collectAll();
      assert.equal(threads.warnings.length, 1, threads.warnings.join("\n"));
      assert.match(threads.warnings[0], /^metric [cg]: is observed by several threads/);
    }
  });
});
