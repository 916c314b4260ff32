/**
 * What the tests of HTTP metrics share: the metrics of one provider, as the OpenTelemetry SDK
 * collects them.
 *
 * @module
 */
import type { Attributes, Context } from "@opentelemetry/api";
import {
  type Histogram,
  MeterProvider,
  type MetricData,
  MetricReader,
} from "@opentelemetry/sdk-metrics";

/** A provider of its own and what it has recorded. */
export interface Metering {
  readonly meterProvider: MeterProvider;
  /** All metrics so far, by name. */
  collect(): Promise<Record<string, MetricData>>;
  /** The points of one metric so far; none when there is no such metric. */
  points(name: string): Promise<Point[]>;
}

/** A point of a metric. */
export interface Point {
  readonly attributes: Attributes;
  /** Of a histogram the number of values. */
  readonly value: number;
  /** Of a histogram. */
  readonly sum: number | undefined;
}

class ManualReader extends MetricReader {
  override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Makes a provider that aggregates for itself. */
export function meter(): Metering {
  const reader = new ManualReader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const collect = async (): Promise<Record<string, MetricData>> => {
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw errors[0];
    const found: Record<string, MetricData> = {};
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const metric of metrics) found[metric.descriptor.name] = metric;
    }
    return found;
  };
  return {
    meterProvider,
    collect,
    points: async (name) =>
      ((await collect())[name]?.dataPoints ?? []).map(({ attributes, value }) => {
        const histogram = typeof value === "object" ? value as Histogram : undefined;
        return { attributes, value: histogram?.count ?? value as number, sum: histogram?.sum };
      }),
  };
}

/** A measurement as an SDK gets it. */
export interface Call {
  readonly instrument: string;
  readonly value: number;
  readonly attributes: Attributes;
  readonly context: Context | undefined;
}

/** A provider that keeps each measurement in `calls`. */
export function spy(calls: Call[]): MeterProvider {
  const create = (instrument: string) => {
    const record = (value: number, attributes: Attributes, context?: Context) =>
      void calls.push({ instrument, value, attributes, context });
    return { add: record, record };
  };
  const meter = { createHistogram: create, createUpDownCounter: create };
  return { getMeter: () => meter } as unknown as MeterProvider;
}
