/**
 * Metric streams and their points.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Exemplar as OtlpExemplar,
  type ExponentialHistogramDataPoint_Buckets,
  ExponentialHistogramDataPointSchema,
  HistogramDataPointSchema,
  NumberDataPointSchema,
  ResourceSchema,
  SummaryDataPointSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { originsOf, type Reader, scopeOf } from "../read/reader.ts";
import { hex } from "../read/spans.ts";
import { toAttributes } from "../read/values.ts";
import { KINDS } from "../write/metrics.ts";
import type {
  Exemplar,
  ExponentialBuckets,
  MetricKind,
  MetricPoint,
  MetricSeries,
  MetricStream,
  Temporality,
  TimeRange,
} from "./types.ts";

/** Points in one answer. */
const MAX_POINTS = 20_000;

const TEMPORALITIES: readonly Temporality[] = ["unspecified", "delta", "cumulative"];

interface StreamRow {
  readonly id: number;
  readonly origin: number;
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly kind: number;
  readonly temporality: number;
  readonly monotonic: number;
  readonly series: number;
  readonly lastMs: number | null;
}

/** See {@linkcode StoreQueries}. */
export function metricStreams(reader: Reader): MetricStream[] {
  const rows = reader.db.prepare(
    `SELECT streams.*, count(series.id) AS series,
      max((SELECT max(time) FROM points WHERE points.series = series.id)) / 1e6 AS lastMs
      FROM streams JOIN series ON series.stream = streams.id GROUP BY streams.id`,
  ).all() as unknown as StreamRow[];
  return rows.filter(({ lastMs }) => lastMs !== null).map((row) => toStream(reader, row))
    .sort((a, b) => compare(a.name, b.name) || compare(a.service, b.service) || a.id - b.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function toStream(reader: Reader, row: StreamRow): MetricStream {
  const origin = originsOf(reader).get(row.origin);
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    unit: row.unit,
    kind: kindOf(row.kind),
    temporality: TEMPORALITIES[row.temporality] ?? "unspecified",
    monotonic: row.monotonic !== 0,
    service: origin?.service ?? "",
    resourceId: origin?.resource ?? -1,
    scope: origin === undefined ? "" : scopeOf(reader, origin.scope).name,
    series: row.series,
    lastMs: row.lastMs!,
  };
}

function kindOf(number: number): MetricKind {
  return (Object.keys(KINDS) as MetricKind[]).find((kind) => KINDS[kind] === number)!;
}

interface PointRow {
  readonly time: string;
  readonly start: string;
  readonly value: number | null;
  readonly rest: Uint8Array | null;
}

/** See {@linkcode StoreQueries}. */
export function metricSeries(reader: Reader, stream: number, range: TimeRange): MetricSeries[] {
  const { db } = reader;
  const row = db.prepare("SELECT kind FROM streams WHERE id = ?").get(stream) as
    | { kind: number }
    | undefined;
  if (row === undefined) return [];
  const all = db.prepare("SELECT id, attributes FROM series WHERE stream = ? ORDER BY id")
    .all(stream) as { id: number; attributes: Uint8Array }[];
  const each = Math.max(1, Math.floor(MAX_POINTS / Math.max(1, all.length)));
  const get = db.prepare(
    `SELECT CAST(time AS TEXT) AS time, CAST(start AS TEXT) AS start,
      CAST(value AS REAL) AS value, rest FROM points
      WHERE series = ? AND points.time >= ? AND points.time < ?
      ORDER BY points.time DESC LIMIT ?`,
  );
  const from = nanoseconds(range.fromMs, 0n);
  const to = nanoseconds(range.toMs, (1n << 63n) - 1n);
  return all.map(({ id, attributes }) => ({
    id,
    attributes: toAttributes(fromBinary(ResourceSchema, attributes, DECODING).attributes),
    points: (get.all(id, from, to, each) as unknown as PointRow[]).reverse()
      .map((point) => toPoint(row.kind, point)),
  })).filter(({ points }) => points.length > 0);
}

function nanoseconds(ms: number | undefined, otherwise: bigint): bigint {
  if (ms === undefined || !Number.isFinite(ms)) return otherwise;
  return BigInt(Math.round(ms * 1e3)) * 1_000n;
}

function toPoint(kind: number, { time, start, value, rest }: PointRow): MetricPoint {
  const point = { timeNs: time, startNs: start };
  if (rest === null) return { ...point, value: value ?? 0 };
  switch (kind) {
    case KINDS.gauge:
    case KINDS.sum: {
      const { exemplars } = fromBinary(NumberDataPointSchema, rest, DECODING);
      return {
        ...point,
        ...(value === null ? {} : { value }),
        exemplars: exemplars.map(toExemplar),
      };
    }
    case KINDS.histogram: {
      const data = fromBinary(HistogramDataPointSchema, rest, DECODING);
      return {
        ...point,
        ...totals(data),
        bounds: data.explicitBounds,
        counts: data.bucketCounts.map(Number),
        exemplars: data.exemplars.map(toExemplar),
      };
    }
    case KINDS.exponentialHistogram: {
      const data = fromBinary(ExponentialHistogramDataPointSchema, rest, DECODING);
      return {
        ...point,
        ...totals(data),
        scale: data.scale,
        zeroCount: Number(data.zeroCount),
        zeroThreshold: data.zeroThreshold,
        positive: toBuckets(data.positive),
        negative: toBuckets(data.negative),
        exemplars: data.exemplars.map(toExemplar),
      };
    }
    default: {
      const { count, sum, quantileValues } = fromBinary(SummaryDataPointSchema, rest, DECODING);
      return {
        ...point,
        count: Number(count),
        sum,
        quantiles: quantileValues.map(({ quantile, value }) => ({ quantile, value })),
      };
    }
  }
}

function totals(
  { count, sum, min, max }: { count: bigint; sum?: number; min?: number; max?: number },
): Partial<MetricPoint> {
  return {
    count: Number(count),
    ...(sum === undefined ? {} : { sum }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

function toBuckets(
  buckets: ExponentialHistogramDataPoint_Buckets | undefined,
): ExponentialBuckets {
  return { offset: buckets?.offset ?? 0, counts: (buckets?.bucketCounts ?? []).map(Number) };
}

function toExemplar(exemplar: OtlpExemplar): Exemplar {
  return {
    timeNs: String(exemplar.timeUnixNano),
    value: Number(exemplar.value.value ?? 0),
    traceId: hex(exemplar.traceId),
    spanId: hex(exemplar.spanId),
    attributes: toAttributes(exemplar.filteredAttributes),
  };
}
