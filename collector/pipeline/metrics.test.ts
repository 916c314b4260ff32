/** Metrics through the pipeline: when they are collected and sent, and what their files wait for. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ScopeWriter, Writer } from "../../lib/writer.ts";
import { AggregationTemporality, Instrument, ValueType } from "../../proto/gen/mmap_pb.ts";
import type { Sum } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { pointsOf } from "../../tests/support/collect.ts";
import { createFanOut } from "../delivery/fan-out.ts";
import { forEachSignal } from "./signals.ts";
import { putLogs, putMeasurements, putMetric } from "../testing/append.ts";
import { accept, folders, giveUp, once, run, TestSink, until } from "../testing/run.ts";

const folder = folders("metrics");

/** A process with a counter; `add` measures increments. */
class Counted {
  readonly path: string;
  readonly writer: Writer;
  private readonly ref: bigint;

  readonly scope: ScopeWriter;

  constructor(
    path: string,
    temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE,
  ) {
    this.path = path;
    this.writer = Writer.create(path);
    this.scope = this.writer.scope({ name: "s" });
    this.scope.startSpan("span").end();
    this.ref = putMetric(path, {
      name: "jobs",
      instrument: Instrument.COUNTER,
      valueType: ValueType.INT,
      createdTimeUnixNano: CREATED,
      aggregation: {
        case: "sum",
        value: { aggregationTemporality: temporality, isMonotonic: true },
      },
    });
  }

  add(...values: number[]): void {
    putMeasurements(
      this.path,
      this.ref,
      ...values.map((value, i) => ({ value: BigInt(value), time: CREATED + BigInt(i + 1) })),
    );
  }
}

const CREATED = 1_780_000_000_000_000_000n;

/** The sums that came, with their times. */
function sums(sink: TestSink): { value: unknown; time: bigint; start: bigint }[] {
  return sink.metrics.flatMap(({ metric }) => {
    assert.equal(metric.name, "jobs");
    assert.equal(metric.data.case, "sum");
    return (metric.data.value as Sum).dataPoints.map((point) => ({
      value: point.value.value,
      time: point.timeUnixNano,
      start: point.startTimeUnixNano,
    }));
  });
}

describe("metrics", () => {
  it("of a living process are sent again and again, and a last time when it is over", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory]);
    const before = BigInt(Date.now()) * 1_000_000n;
    const counted = new Counted(join(directory, "a.otlp"));
    counted.add(1, 2);
    await until("3 jobs", () => sums(sink).some(({ value }) => value === 3n));
    counted.add(4);
    await until("7 jobs", () => sums(sink).some(({ value }) => value === 7n));
    await until("what was taken is given back", () => counted.writer.drained);
    assert.ok(sums(sink).every(({ time }) => time >= before), "as of when they were collected");
    counted.writer.close();
    await until("no files", () => readdirSync(directory).length === 0);
    const last = sums(sink);
    assert.equal(last[last.length - 1].value, 7n);
    // The last ones too, though its records are older than any collection.
    assert.ok(last.every(({ time }, i) => i === 0 || time > last[i - 1].time));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(sums(sink).length, last.length);
    assert.equal(pipeline.requests.aggregator.hasPoints(0), false, "its series are forgotten");
    pipeline.stop();
    assert.equal(await ended, 0);
  });

  it("are sent again and again while one of two endpoints hangs", async () => {
    const directory = folder();
    const hanging = new TestSink();
    hanging.answer = () => new Promise(() => {});
    const sink = new TestSink();
    const sinks = forEachSignal((signal) => {
      const both = [hanging.sinks[signal], sink.sinks[signal]];
      return createFanOut(signal, both, { mayDrop: true, log: () => {} });
    });
    const { pipeline, ended } = run([directory], { sinks });
    const counted = new Counted(join(directory, "a.otlp"));
    for (let i = 1n; i <= 5n; i++) {
      counted.add(1);
      await until(`${i} jobs`, () => sums(sink).some(({ value }) => value === i));
    }
    assert.deepEqual(hanging.metrics, []);
    pipeline.stop();
    assert.equal(await ended, 0);
    counted.writer.close();
  });

  it("are sent when following ends", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory], { metricsIntervalMs: 3_600_000 });
    const counted = new Counted(join(directory, "a.otlp"));
    counted.add(5);
    await until("the span", () => sink.spans.length === 1);
    counted.add(6);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.deepEqual(sums(sink).map(({ value }) => value), [11n]);
    counted.writer.close();
  });

  it("whose backend is slow hold nothing up, and are made up for", async () => {
    const directory = folder();
    const sink = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    sink.answer = async (count, signal) => {
      if (signal === "metrics") await gate;
      return accept(count);
    };
    const { pipeline, ended } = run([directory], {}, sink);
    const counted = new Counted(join(directory, "a.otlp"), AggregationTemporality.DELTA);
    counted.add(1);
    await until("a request", () => pipeline.requests.queues.metrics.running === 1);
    for (let i = 0; i < 10; i++) {
      counted.add(1);
      // Several intervals, in which points could be collected.
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    counted.scope.startSpan("another").end();
    await until("both spans", () => sink.spans.length === 2);
    await until("what was taken is given back", () => counted.writer.drained);
    assert.deepEqual(sums(sink), []);
    release();
    const total = (): number => sums(sink).reduce((sum, { value }) => sum + Number(value), 0);
    await until("all of them", () => total() === 11);
    assert.equal(sums(sink).length, 2, "what came meanwhile is one point");
    counted.writer.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    await ended;
  });

  it("of a process that is over are as of its last record, whenever they are read", async () => {
    const directory = folder();
    const path = join(directory, "a.otlp");
    const builder = new FileBuilder();
    const scopeRef = builder.simpleScope("s");
    const metricRef = builder.metric("temperature", "Cel", scopeRef);
    for (let i = 1; i <= 3; i++) {
      builder.measurement({
        metricRef,
        timeUnixNano: CREATED + BigInt(i),
        value: { case: "asDouble", value: i },
      });
    }
    builder.save(path);
    const { code, sink } = await once([path]);
    assert.equal(code, 0);
    const [{ metric }] = sink.metrics;
    const [point] = pointsOf(metric);
    assert.equal(point.timeUnixNano, CREATED + 3n);
  });

  it("stay in their files until they are delivered, and nothing else does", async () => {
    const directory = folder();
    const counted = new Counted(join(directory, "a.otlp"));
    counted.add(1, 2, 3);
    putLogs(counted.path, "log");
    counted.writer.close();
    const sink = new TestSink();
    sink.answer = (count, signal) => signal === "metrics" ? giveUp(count) : accept(count);
    const first = await once([directory], sink);
    assert.equal(first.code, 1);
    assert.ok(
      first.lines.some((line) => line.includes("for the next run: 1 data point")),
      first.lines.join("\n"),
    );
    assert.deepEqual([sink.names, sink.bodies], [["span"], ["log"]]);
    const second = await once([directory]);
    assert.equal(second.code, 0);
    assert.deepEqual(sums(second.sink).map(({ value }) => value), [6n]);
    assert.deepEqual([second.sink.names, second.sink.bodies], [[], []]);
    assert.deepEqual(readdirSync(directory), []);
  });

  it("of a living process are taken once by --once, and again where that failed", async () => {
    const directory = folder();
    const counted = new Counted(join(directory, "a.otlp"), AggregationTemporality.DELTA);
    counted.add(1, 2);
    const failing = new TestSink();
    failing.answer = (count, signal) => signal === "metrics" ? giveUp(count) : accept(count);
    assert.equal((await once([directory], failing)).code, 1);
    const second = await once([directory]);
    assert.deepEqual(sums(second.sink).map(({ value }) => value), [3n]);
    counted.add(4);
    const third = await once([directory]);
    assert.deepEqual(sums(third.sink).map(({ value }) => value), [4n]);
    const fourth = await once([directory]);
    assert.deepEqual(sums(fourth.sink), []);
    counted.writer.close();
  });

  it("that their backend refuses do not keep files", async () => {
    const directory = folder();
    const counted = new Counted(join(directory, "a.otlp"));
    counted.add(1);
    counted.writer.close();
    const sink = new TestSink();
    sink.answer = (count, signal) =>
      signal === "metrics" ? { accepted: 0, rejected: count, dropped: 0 } : accept(count);
    const { pipeline } = await once([directory], sink);
    assert.equal(pipeline.summary.totals.metrics.rejected, 1);
    assert.deepEqual(readdirSync(directory), []);
  });
});
