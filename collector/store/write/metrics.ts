/**
 * Data points into their table, with the streams and attribute sets they belong to. There are few of
 * them, compared with spans: generated code takes them apart.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync } from "node:sqlite";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExponentialHistogramDataPointSchema,
  HistogramDataPointSchema,
  type KeyValue,
  type Metric,
  MetricSchema,
  NumberDataPointSchema,
  ResourceSchema,
  SummaryDataPointSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { hashBytes } from "../hash.ts";

/** Kinds of streams, as the database has them: the numbers of OTLP's fields. */
export const KINDS = {
  gauge: 5,
  sum: 7,
  histogram: 9,
  exponentialHistogram: 10,
  summary: 11,
} as const;

/** The message of one point of each kind. */
export const POINTS: Readonly<Record<number, DescMessage>> = {
  [KINDS.gauge]: NumberDataPointSchema,
  [KINDS.sum]: NumberDataPointSchema,
  [KINDS.histogram]: HistogramDataPointSchema,
  [KINDS.exponentialHistogram]: ExponentialHistogramDataPointSchema,
  [KINDS.summary]: SummaryDataPointSchema,
};

/** What all points have. */
interface AnyPoint {
  $typeName: string;
  attributes: KeyValue[];
  timeUnixNano: bigint;
  startTimeUnixNano: bigint;
  flags: number;
  exemplars?: unknown[];
  value?: { case?: string; value?: number | bigint };
}

/** Adds one metric of a request. Throws when it can't be read. */
export interface AddMetric {
  (bytes: Uint8Array, from: number, to: number, origin: number): number;
  /** Notes, once in a while, when the points that are added from here on came. */
  begin(): void;
  /** Forgets what was found: after a transaction that failed. */
  clear(): void;
}

/** Points of which one time of arrival is noted. */
export const BATCH_POINTS: number = 1 << 14;

const MAX_REMEMBERED = 1 << 14;

/**
 * @param db Open for writing.
 * @param batchMs For so long it is one batch.
 */
export function createAddMetric(db: DatabaseSync, batchMs: number): AddMetric {
  const lastPoint = db.prepare("SELECT max(id) AS id FROM points");
  const lastBatch = db.prepare(
    "SELECT first, written FROM point_batches ORDER BY first DESC LIMIT 1",
  );
  const addBatch = db.prepare("INSERT OR REPLACE INTO point_batches VALUES (?, ?)");
  const findStream = db.prepare(
    `SELECT id FROM streams WHERE origin = ? AND name = ? AND unit = ? AND description = ?
      AND kind = ? AND temporality = ? AND monotonic = ?`,
  );
  const addStream = db.prepare(
    `INSERT INTO streams (origin, name, unit, description, kind, temporality, monotonic)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const findSeries = db.prepare("SELECT id, attributes FROM series WHERE stream = ? AND hash = ?");
  const addSeries = db.prepare("INSERT INTO series (stream, hash, attributes) VALUES (?, ?, ?)");
  const addPoint = db.prepare(
    "INSERT OR IGNORE INTO points (series, time, start, value, rest) VALUES (?, ?, ?, ?, ?)",
  );
  const known = new Map<string, number>();
  const remember = (key: string, find: () => number): number => {
    let id = known.get(key);
    if (id === undefined) {
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(key, id = find());
    }
    return id;
  };
  const seriesOf = (stream: number, attributes: KeyValue[]): number => {
    const sorted = [...attributes].sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
    const body = toBinary(ResourceSchema, create(ResourceSchema, { attributes: sorted }));
    return remember(`${stream} ${Buffer.from(body).toString("latin1")}`, () => {
      const hash = hashBytes(body);
      const rows = findSeries.all(stream, hash) as { id: number; attributes: Uint8Array }[];
      const found = rows.find((row) => Buffer.compare(row.attributes, body) === 0);
      return found?.id ?? Number(addSeries.run(stream, hash, body).lastInsertRowid);
    });
  };
  const add = (bytes: Uint8Array, from: number, to: number, origin: number): number => {
    const metric = fromBinary(MetricSchema, bytes.subarray(from, to), DECODING);
    const { data } = metric;
    if (data.case === undefined) return 0;
    const kind = KINDS[data.case];
    const stream = remember(
      JSON.stringify([
        origin,
        metric.name,
        metric.unit,
        metric.description,
        kind,
        temporality(metric),
        monotonic(metric),
      ]),
      () => {
        const row = [
          origin,
          metric.name,
          metric.unit,
          metric.description,
          kind,
          temporality(metric),
          monotonic(metric),
        ];
        const found = findStream.get(...row) as { id: number } | undefined;
        return found?.id ?? Number(addStream.run(...row).lastInsertRowid);
      },
    );
    const points = data.value.dataPoints as AnyPoint[];
    for (const point of points) {
      const { timeUnixNano, startTimeUnixNano, attributes } = point;
      const series = seriesOf(stream, attributes);
      const value = point.value?.value ?? null;
      const simple = value !== null && point.flags === 0 && point.exemplars!.length === 0;
      // They are with the series.
      point.attributes = [];
      const rest = simple ? null : toBinary(POINTS[kind], point as never);
      addPoint.run(
        series,
        BigInt.asIntN(64, timeUnixNano),
        BigInt.asIntN(64, startTimeUnixNano),
        value,
        rest,
      );
    }
    return points.length;
  };
  const begin = (): void => {
    const next = ((lastPoint.get() as { id: number | null }).id ?? 0) + 1;
    const batch = lastBatch.get() as { first: number; written: number } | undefined;
    const now = Date.now();
    if (
      batch === undefined || next - batch.first >= BATCH_POINTS || now - batch.written > batchMs
    ) addBatch.run(next, now);
  };
  return Object.assign(add, { begin, clear: () => known.clear() });
}

function temporality({ data }: Metric): number {
  return data.value !== undefined && "aggregationTemporality" in data.value
    ? data.value.aggregationTemporality
    : 0;
}

function monotonic({ data }: Metric): number {
  return data.case === "sum" && data.value.isMonotonic ? 1 : 0;
}
