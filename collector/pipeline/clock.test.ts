/** Clocks that are set while applications record and the collector runs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { Mapping } from "../../ffi/mod.ts";
import { readHeartbeat } from "../../lib/file/extension.ts";
import { Writer } from "../../lib/writer.ts";
import { AggregationTemporality, Instrument, ValueType } from "../../proto/gen/mmap_pb.ts";
import type { Sum } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf } from "../../tests/support/build.ts";
import { MemoryCollector } from "../../tests/support/collect.ts";
import { putMeasurements, putMetric } from "../testing/append.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("clock");
const HOUR = 3_600_000;
const STEPS = { "back by an hour": -HOUR, "forward by a year": 365 * 24 * HOUR };

const real = Date.now;
afterEach(() => {
  Date.now = real;
});

/** The wall clock of this process is off by so many milliseconds from now on. */
function setClock(by: number): void {
  Date.now = () => real() + by;
}

describe("a clock that is set", () => {
  for (const [what, by] of Object.entries(STEPS)) {
    for (const name of ["CUMULATIVE", "DELTA"] as const) {
      it(`${what} loses nothing, and no interval ends before it begins: ${name}`, async () => {
        const path = join(folder(), "app.otlp");
        const writer = Writer.create(path);
        const scope = writer.scope({ name: "s" });
        scope.startSpan("first").end();
        const ref = putMetric(path, {
          name: "jobs",
          instrument: Instrument.COUNTER,
          valueType: ValueType.INT,
          createdTimeUnixNano: BigInt(real()) * 1_000_000n,
          aggregation: {
            case: "sum",
            value: { aggregationTemporality: AggregationTemporality[name], isMonotonic: true },
          },
        });
        const sink = new TestSink();
        const points = () =>
          sink.metrics.flatMap(({ metric }) => (metric.data.value as Sum).dataPoints);
        const total = (): number => {
          const values = points().map(({ value }) => Number(value.value));
          return name === "DELTA"
            ? values.reduce((sum, each) => sum + each, 0)
            : values.at(-1) ?? 0;
        };
        const measure = (): void =>
          putMeasurements(path, ref, { value: 1n, time: BigInt(Date.now()) * 1_000_000n });
        const running = run([path], {}, sink);
        for (const [turn, offset] of [0, by, 0].entries()) {
          setClock(offset);
          measure();
          await until("the point came", () => total() === turn + 1);
        }
        const mapping = Mapping.open(path);
        const beat = readHeartbeat(mapping);
        setClock(by);
        await until("it goes on beating", () => readHeartbeat(mapping) !== beat);
        mapping.close();
        running.pipeline.stop();
        assert.equal(await running.ended, 0);
        writer.close();
        assert.equal(total(), 3);
        let last = 0n;
        let end = 0n;
        for (const { startTimeUnixNano: start, timeUnixNano: time } of points()) {
          assert.ok(start <= time, `from ${start} to ${time}`);
          assert.ok(time > last, `${time} after ${last}`);
          if (name === "DELTA") assert.ok(start >= end, "intervals do not overlap");
          last = time;
          end = time;
        }
        assert.deepEqual(sink.names, ["first"]);
        assert.deepEqual(running.lines.filter((line) => !line.startsWith("info")), []);
      });
    }
  }

  it("back while a span is open: it ends when it began", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const start = 1_780_000_000_000_000_000n;
    const times = [start - BigInt(HOUR) * 1_000_000n, start - 1n, start, start + 1n];
    times.forEach((endTimeUnixNano, i) => {
      const ids = idsOf(i + 1);
      file.span({
        ...ids,
        scopeRef,
        event: { case: "start", value: { name: `${i}`, kind: 1, startTimeUnixNano: start } },
      });
      file.span({
        ...ids,
        event: { case: "end", value: { endTimeUnixNano, status: { code: 2, message: "no" } } },
      });
    });
    const collector = new MemoryCollector();
    collector.add(file);
    collector.rounds();
    const spans = collector.spans().map(({ span }) => span);
    assert.deepEqual(spans.map((span) => span.endTimeUnixNano - start), [0n, 0n, 0n, 1n]);
    assert.deepEqual(spans.map((span) => span.status?.message), ["no", "no", "no", "no"]);
  });
});
