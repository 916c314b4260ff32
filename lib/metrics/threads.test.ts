import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Instrument, MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import type { NumberDataPoint } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { MemoryCollector, pointsOf } from "../../tests/support/collect.ts";
import { COUNTER, type Definition, T } from "./testing/bench.ts";

const GAUGE: Definition = {
  ...COUNTER,
  name: "g",
  instrument: Instrument.GAUGE,
  aggregation: { case: "gauge", value: {} },
};

/** Threads of one process and one resource, with a file each. */
class Threads {
  private readonly collector = new MemoryCollector();

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

  /** Start, counted from `T`, and value of the one point there is. */
  collect(): [start: number, value: number] {
    this.collector.rounds();
    const points = this.collector.metrics().flatMap(({ metric }) => pointsOf(metric));
    assert.equal(points.length, 1);
    const [{ startTimeUnixNano, value }] = points as NumberDataPoint[];
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
});
