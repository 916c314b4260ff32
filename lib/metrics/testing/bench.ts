/**
 * A process that measures, for tests: records made by protobuf-es, in a file in memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  AggregationTemporality,
  type AnyValueSchema,
  Instrument,
  type KeyValueRefSchema,
  MetricRefSchema,
  ValueType,
} from "../../../proto/gen/mmap_pb.ts";
import type { KeyValue, Metric, NumberDataPoint } from "../../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf } from "../../../tests/support/build.ts";
import { AGGREGATION, MemoryCollector, pointsOf } from "../../../tests/support/collect.ts";
import { type Drain, takenTo } from "../../../collector/pipeline/drain.ts";
import { RING_MEASUREMENTS } from "../../format/layout.ts";
import { release } from "../../ring/read.ts";
import type { AggregationCounts, AggregatorOptions } from "../aggregate.ts";

/** When instruments were created, ns since the epoch. */
export const T = 1_780_000_000_000_000_000n;
const { CUMULATIVE } = AggregationTemporality;

/** A value of an attribute. */
export type Value = MessageInitShape<typeof AnyValueSchema>;
/** A definition in a dictionary. */
export type Definition = MessageInitShape<typeof MetricRefSchema>;

/** An integer. */
export const int = (value: number | bigint): Value => ({
  value: { case: "intValue", value: BigInt(value) },
});
/** A double. */
export const double = (value: number): Value => ({ value: { case: "doubleValue", value } });
/** A boolean. */
export const bool = (value: boolean): Value => ({ value: { case: "boolValue", value } });

/** A counter of ours. */
export const COUNTER = {
  name: "c",
  instrument: Instrument.COUNTER,
  valueType: ValueType.INT,
  createdTimeUnixNano: T,
  aggregation: { case: "sum", value: { aggregationTemporality: CUMULATIVE, isMonotonic: true } },
} satisfies Definition;
/** A histogram of ours. */
export const HISTOGRAM = {
  name: "h",
  instrument: Instrument.HISTOGRAM,
  valueType: ValueType.DOUBLE,
  createdTimeUnixNano: T,
  aggregation: {
    case: "histogram",
    value: { aggregationTemporality: CUMULATIVE, bucketBoundaries: [0, 5, 10] },
  },
} satisfies Definition;

/** A process that measures, and the collector that aggregates. */
export class Bench {
  readonly file: FileBuilder = new FileBuilder({
    slots: 8192,
    slotBytes: 512,
    dictionaryBytes: 1 << 20,
  });
  readonly scope: bigint = this.file.simpleScope("s");
  readonly collector: MemoryCollector;
  private readonly drain: Drain;
  private time = T;

  constructor(options: Partial<AggregatorOptions> = {}) {
    this.collector = new MemoryCollector(undefined, { ...AGGREGATION, ...options });
    this.drain = this.collector.add(this.file, { over: false }).drain;
  }

  /** The ref of a definition. */
  define(definition: Definition): bigint {
    const message = create(MetricRefSchema, {
      instrumentationScopeRef: this.scope,
      ...definition,
    } as Definition);
    return this.file.entry(toBinary(MetricRefSchema, message));
  }

  /** A measurement one nanosecond after the last. */
  measure(
    metricRef: bigint,
    value: number | bigint,
    attributes: readonly (readonly [string, Value])[] = [],
    span?: { number: number; flags: number },
    replacedTotal: number = 0,
  ): void {
    this.time++;
    this.file.measurement({
      metricRef,
      timeUnixNano: this.time,
      value: typeof value === "bigint" ? { case: "asLong", value } : { case: "asDouble", value },
      attributes: attributes.map(([key, value]): MessageInitShape<typeof KeyValueRefSchema> => ({
        keyRef: this.file.string(key),
        value,
      })),
      spanContext: span === undefined ? undefined : { ...idsOf(span.number), flags: span.flags },
      replacedTotal,
    });
  }

  /** What a collection gives, by name of the metric. */
  collect(): Record<string, Metric> {
    this.collector.rounds();
    const found: Record<string, Metric> = {};
    for (const { metric } of this.collector.metrics()) {
      assert.equal(found[metric.name], undefined, `${metric.name} twice`);
      found[metric.name] = metric;
    }
    return found;
  }

  /** Gives back what was taken: another reader begins behind it. */
  release(): void {
    release(this.drain.rings[RING_MEASUREMENTS], takenTo(this.drain, RING_MEASUREMENTS));
  }

  /** The time of the last measurement. */
  get now(): bigint {
    return this.time;
  }

  /** What was counted. */
  get counts(): AggregationCounts {
    return this.collector.aggregator.counts;
  }

  /** Why records were refused, and how often. */
  get reasons(): Map<string, number> {
    return this.drain.reasons;
  }
}

/** Attributes as text that says type and value. */
export function said(attributes: readonly KeyValue[]): string {
  return attributes.map(({ key, value }) => {
    const { case: type, value: is } = value!.value;
    return `${key}=${type}:${Object.is(is, -0) ? "-0" : String(is)}`;
  }).sort().join(",");
}

/** Values of points of numbers by their attributes. */
export function numbers(metric: Metric): Record<string, number | bigint> {
  return Object.fromEntries(
    (pointsOf(metric) as NumberDataPoint[]).map(({ attributes, value }) => [
      said(attributes),
      value.value!,
    ]),
  );
}
