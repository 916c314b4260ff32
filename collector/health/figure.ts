/**
 * What the collector says of itself: figures, which become Prometheus text and OTLP alike.
 *
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import packageJson from "../../package.json" with { type: "json" };
import {
  AggregationTemporality,
  ExportMetricsServiceRequestSchema,
  type KeyValue,
  KeyValueSchema,
  type Metric,
  MetricSchema,
  type ResourceMetrics,
  ResourceMetricsSchema,
} from "../../proto/gen/otlp_pb.ts";
import type { Request } from "../../lib/otlp/request.ts";
import { type Latency, LATENCY_BOUNDS } from "./latency.ts";

/** Attributes of a sample. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a figure. */
export type Sample = readonly [labels: Labels, value: number];

interface Described {
  /** As OpenTelemetry names metrics; for Prometheus `otlp_mmap.x` becomes `otlp_mmap_x_<unit>`. */
  readonly name: string;
  /** In UCUM, as OpenTelemetry has it. */
  readonly unit: string;
  readonly help: string;
}

/** A figure: what it is, and how to read it now. */
export type Figure =
  & Described
  & (
    | {
      /** `counter` only grows, `gauge` is as it is now. */
      readonly kind: "counter" | "gauge";
      read(): Iterable<Sample>;
    }
    | {
      readonly kind: "histogram";
      read(): Iterable<readonly [labels: Labels, value: Latency]>;
    }
  );

/** Who says it, in OTLP. */
export interface Identity {
  /** `service.instance.id`. */
  readonly instance: string;
  /** Since when it counts, ns since the Unix epoch. */
  readonly since: bigint;
}

/** The figures as they are now, as metrics of the service `otlp-mmap-collector`. */
export function readFigures(figures: readonly Figure[], identity: Identity): ResourceMetrics {
  const time = BigInt(Date.now()) * 1_000_000n;
  return create(ResourceMetricsSchema, {
    resource: {
      attributes: keyValues({
        "service.name": "otlp-mmap-collector",
        "service.instance.id": identity.instance,
        "service.version": packageJson.version,
      }),
    },
    scopeMetrics: [{
      scope: { name: "otlp-mmap", version: packageJson.version },
      metrics: figures.map((figure) => readFigure(figure, identity.since, time))
        .filter(({ data }) => data.value!.dataPoints.length > 0),
    }],
  });
}

/** The same as a request. */
export function requestOf(figures: readonly Figure[], identity: Identity): Request {
  const all = readFigures(figures, identity);
  const buffer = toBinary(
    ExportMetricsServiceRequestSchema,
    create(ExportMetricsServiceRequestSchema, { resourceMetrics: [all] }),
  );
  const { metrics } = all.scopeMetrics[0];
  const items = metrics.reduce((sum, { data }) => sum + data.value!.dataPoints.length, 0);
  return { signal: "metrics", buffer, length: buffer.length, items, processes: [] };
}

function readFigure(figure: Figure, startTimeUnixNano: bigint, timeUnixNano: bigint): Metric {
  const { name, unit, help: description } = figure;
  const head = (labels: Labels) => ({
    attributes: keyValues(labels),
    startTimeUnixNano,
    timeUnixNano,
  });
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  if (figure.kind === "histogram") {
    const dataPoints = [...figure.read()].map(([labels, { counts, sum }]) => ({
      ...head(labels),
      count: BigInt(counts.reduce((total, count) => total + count, 0)),
      sum,
      bucketCounts: counts.map(BigInt),
      explicitBounds: [...LATENCY_BOUNDS],
    }));
    const value = { aggregationTemporality, dataPoints };
    return create(MetricSchema, { name, unit, description, data: { case: "histogram", value } });
  }
  const dataPoints = [...figure.read()].map(([labels, value]) => ({
    ...head(labels),
    value: Number.isInteger(value)
      ? { case: "asInt" as const, value: BigInt(value) }
      : { case: "asDouble" as const, value },
  }));
  return create(MetricSchema, {
    name,
    unit,
    description,
    data: figure.kind === "gauge"
      ? { case: "gauge", value: { dataPoints } }
      : { case: "sum", value: { aggregationTemporality, isMonotonic: true, dataPoints } },
  });
}

function keyValues(labels: Labels): KeyValue[] {
  return Object.entries(labels).map(([key, text]) =>
    create(KeyValueSchema, { key, value: { value: { case: "stringValue", value: text } } })
  );
}
