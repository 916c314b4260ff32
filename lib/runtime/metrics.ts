/**
 * Metrics of the runtime itself, for any OpenTelemetry SDK: event loop, heap, garbage collection,
 * CPU and memory of the process.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/runtime/nodejs-metrics/
 * @see https://opentelemetry.io/docs/specs/semconv/runtime/v8js-metrics/
 * @see https://opentelemetry.io/docs/specs/semconv/system/process-metrics/
 * @module
 */
import { availableParallelism } from "node:os";
import process from "node:process";
import v8 from "node:v8";
import {
  type BatchObservableResult,
  createNoopMeter,
  diag,
  type Histogram,
  type Meter,
  type MetricOptions,
  metrics,
  type Observable,
  ROOT_CONTEXT,
  ValueType,
} from "@opentelemetry/api";
import { type CollectionType, watchCollections } from "./collections.ts";
import {
  createDelays,
  delayPercentile,
  type Delays,
  deviationOfDelays,
  meanDelay,
  resetDelays,
  watchDelay,
} from "./delay.ts";

/** What {@link startRuntimeMetrics} can be told. */
export interface RuntimeMetricsOptions {
  /** Makes the instruments. Default: one of the global provider, which has to be there already. */
  readonly meter?: Meter;
  /**
   * How often the delay of the event loop is measured: whole ms, from 1. Default: 50, which costs an
   * idle process half a percent of a CPU and sees the end of every blockage that is longer.
   */
  readonly interval?: number;
}

/** A group of instruments: what to observe at each collection, and how to do it. */
interface Group {
  readonly observables: readonly Observable[];
  observe(result: BatchObservableResult): void;
}

const DEFAULT_INTERVAL = 50;
/** How often the runtime is asked about garbage collections, ms. */
const DRAIN_INTERVAL = 1000;
const SCHEMA_URL = "https://opentelemetry.io/schemas/1.45.0";
const BYTES: MetricOptions = { unit: "By", valueType: ValueType.INT };

let running = false;

/**
 * Starts to record metrics of the runtime, where it tells the truth about them:
 *
 * | metric | instrument | Deno | Bun |
 * | --- | --- | --- | --- |
 * | `nodejs.eventloop.delay.{min,max,mean,stddev,p50,p90,p99}` | gauges, s | own timer | own timer |
 * | `v8js.memory.heap.used`, `v8js.memory.heap.space.{size,available_size,physical_size}` | up-down counters by `v8js.heap.space.name`, By | yes | |
 * | `v8js.gc.duration` | histogram by `v8js.gc.type`, s | yes | |
 * | `jsc.memory.heap.used` | up-down counter, By | | as the last garbage collection left it |
 * | `jsc.gc.duration` | histogram by `jsc.gc.type` (`eden`, `full`), s | | yes |
 * | `process.cpu.time`, `process.cpu.utilization` | counter, s, and gauge, by `cpu.mode` | yes | yes |
 * | `process.memory.usage` | up-down counter, By | yes | yes |
 *
 * The delay is that beyond the interval, since the last collection. A garbage collection of
 * JavaScriptCore runs partly beside the application; its duration is that of the whole cycle.
 * `nodejs.eventloop.utilization` and `.time` are missing: both runtimes say 0 for a busy loop. The
 * names that begin with `jsc.` are this library's, the conventions have none for that engine.
 *
 * Heap, event loop and garbage collection are those of the isolate (main thread or Worker) that
 * calls this, CPU and memory those of the whole process. Nothing of it keeps the process alive.
 *
 * @example
 * ```ts ignore
 * const stop = startRuntimeMetrics();
 * ```
 * @returns stops recording
 * @throws RangeError if the interval is not a whole number from 1 to 2³¹ − 1
 */
export function startRuntimeMetrics(options: RuntimeMetricsOptions = {}): () => void {
  const interval = options?.interval ?? DEFAULT_INTERVAL;
  if (!(Number.isInteger(interval) && interval >= 1 && interval < 2 ** 31)) {
    throw new RangeError(
      `startRuntimeMetrics: interval is ${interval}; give whole milliseconds, 1 to ${2 ** 31 - 1}`,
    );
  }
  if (running) {
    diag.warn("startRuntimeMetrics: they are recorded already; this call has no effect");
    return () => {};
  }
  const meter = options?.meter ??
    metrics.getMeter("otlp-mmap/runtime", undefined, { schemaUrl: SCHEMA_URL });
  if (meter === createNoopMeter()) {
    diag.warn("startRuntimeMetrics: no SDK is registered that takes metrics; start it first");
    return () => {};
  }
  running = true;

  const delays = createDelays();
  const collections = watchCollections();
  const duration = collections && (ON_JSC ? jscDuration : v8Duration)(meter);
  const drain = (): void => collections?.drain(duration!);
  let drained = performance.now();
  const stopTimer = watchDelay(delays, interval, () => {
    const now = performance.now();
    if (now - drained < DRAIN_INTERVAL) return;
    drained = now;
    drain();
  });

  const groups = [
    delayGroup(meter, delays),
    ON_JSC ? jscHeapGroup(meter) : v8HeapGroup(meter),
    cpuGroup(meter),
    memoryGroup(meter),
  ];
  for (const { observe, observables } of groups) {
    meter.addBatchObservableCallback(observe, [...observables]);
  }

  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    running = false;
    stopTimer();
    drain();
    collections?.stop();
    for (const { observe, observables } of groups) {
      meter.removeBatchObservableCallback(observe, [...observables]);
    }
  };
}

/** Whether the engine is JavaScriptCore, whose `node:v8` makes up what it does not know. */
const ON_JSC = "webkit" in process.versions;

// ------------------------------------------------------------------------------------ event loop

function delayGroup(meter: Meter, delays: Delays): Group {
  const gauge = (name: string, what: string): Observable =>
    meter.createObservableGauge(`nodejs.eventloop.delay.${name}`, {
      description: `Event loop ${what} delay.`,
      unit: "s",
    });
  const min = gauge("min", "minimum");
  const max = gauge("max", "maximum");
  const mean = gauge("mean", "mean");
  const stddev = gauge("stddev", "standard deviation");
  const p50 = gauge("p50", "50 percentile");
  const p90 = gauge("p90", "90 percentile");
  const p99 = gauge("p99", "99 percentile");
  return {
    observables: [min, max, mean, stddev, p50, p90, p99],
    observe: (result) => {
      if (delays.count === 0) return;
      result.observe(min, delays.min / 1000);
      result.observe(max, delays.max / 1000);
      result.observe(mean, meanDelay(delays) / 1000);
      result.observe(stddev, deviationOfDelays(delays) / 1000);
      result.observe(p50, delayPercentile(delays, 0.5) / 1000);
      result.observe(p90, delayPercentile(delays, 0.9) / 1000);
      result.observe(p99, delayPercentile(delays, 0.99) / 1000);
      resetDelays(delays);
    },
  };
}

// ------------------------------------------------------------------------------------------ heap

function v8HeapGroup(meter: Meter): Group {
  const counter = (name: string, description: string): Observable =>
    meter.createObservableUpDownCounter(`v8js.memory.heap.${name}`, { description, ...BYTES });
  const used = counter("used", "Heap Memory size allocated.");
  const size = counter("space.size", "Total heap memory size pre-allocated for a heap space.");
  const available = counter("space.available_size", "Heap space available size.");
  const physical = counter("space.physical_size", "Committed size of a heap space.");
  return {
    observables: [used, size, available, physical],
    observe: (result) => {
      for (const space of v8.getHeapSpaceStatistics()) {
        const attributes = { "v8js.heap.space.name": space.space_name };
        result.observe(used, space.space_used_size, attributes);
        result.observe(size, space.space_size, attributes);
        result.observe(available, space.space_available_size, attributes);
        result.observe(physical, space.physical_space_size, attributes);
      }
    },
  };
}

function jscHeapGroup(meter: Meter): Group {
  const used = meter.createObservableUpDownCounter("jsc.memory.heap.used", {
    description: "Heap memory in use after the last garbage collection.",
    ...BYTES,
  });
  return {
    observables: [used],
    // Not heapTotal: it leaves large objects out, so that more can be used than there is in total.
    observe: (result) => result.observe(used, process.memoryUsage().heapUsed),
  };
}

// ---------------------------------------------------------------------------- garbage collection

type DurationRecorder = (type: CollectionType, seconds: number) => void;

const V8_TYPES: Record<CollectionType, string> = {
  Scavenge: "minor",
  MinorMarkSweep: "minor",
  MarkSweepCompact: "major",
  IncrementalMarking: "incremental",
  ProcessWeakCallbacks: "weakcb",
};

function v8Duration(meter: Meter): DurationRecorder {
  return durationBy(createDuration(meter, "v8js.gc.duration"), "v8js.gc.type", V8_TYPES);
}

const JSC_TYPES = { Scavenge: "eden", MarkSweepCompact: "full" };

function jscDuration(meter: Meter): DurationRecorder {
  return durationBy(createDuration(meter, "jsc.gc.duration"), "jsc.gc.type", JSC_TYPES);
}

function createDuration(meter: Meter, name: string): Histogram {
  return meter.createHistogram(name, {
    description: "Garbage collection duration.",
    unit: "s",
    advice: {
      explicitBucketBoundaries: [
        0.0001,
        0.00025,
        0.0005,
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
      ],
    },
  });
}

function durationBy(
  histogram: Histogram,
  key: string,
  types: Partial<Record<CollectionType, string>>,
): DurationRecorder {
  // Not the active context: that is the one this was started in.
  return (type, seconds) => histogram.record(seconds, { [key]: types[type] ?? type }, ROOT_CONTEXT);
}

// --------------------------------------------------------------------------------------- process

const USER = { "cpu.mode": "user" };
const SYSTEM = { "cpu.mode": "system" };

function cpuGroup(meter: Meter): Group {
  const time = meter.createObservableCounter("process.cpu.time", {
    description: "Total CPU seconds broken down by different CPU modes.",
    unit: "s",
  });
  const utilization = meter.createObservableGauge("process.cpu.utilization", {
    description: "Difference in process.cpu.time since the last measurement, divided by the " +
      "elapsed time and number of CPUs available to the process.",
    unit: "1",
  });
  let last = process.cpuUsage();
  let lastAt = performance.now();
  return {
    observables: [time, utilization],
    observe: (result) => {
      const usage = process.cpuUsage();
      const now = performance.now();
      result.observe(time, usage.user / 1e6, USER);
      result.observe(time, usage.system / 1e6, SYSTEM);
      // The clock of CPU time is coarse on some systems: at once, a ratio would be noise.
      if (now - lastAt < 1) return;
      const microseconds = (now - lastAt) * 1000 * availableParallelism();
      result.observe(utilization, (usage.user - last.user) / microseconds, USER);
      result.observe(utilization, (usage.system - last.system) / microseconds, SYSTEM);
      last = usage;
      lastAt = now;
    },
  };
}

function memoryGroup(meter: Meter): Group {
  const usage = meter.createObservableUpDownCounter("process.memory.usage", {
    description: "The amount of physical memory in use.",
    ...BYTES,
  });
  return {
    observables: [usage],
    observe: (result) => result.observe(usage, process.memoryUsage.rss()),
  };
}
