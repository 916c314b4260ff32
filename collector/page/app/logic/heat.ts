/**
 * Series of histograms as columns of a heat map.
 *
 * @module
 */
import type { MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import { type Bucket, increase, mergeBuckets, quantile } from "./histogram.ts";
import { toMs } from "./time.ts";

/** What was measured in one stretch of time. */
export interface Column {
  readonly fromMs: number;
  readonly toMs: number;
  readonly buckets: readonly Bucket[];
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/**
 * The columns of several series together, at most `most`, by time: points are put into equal stretches
 * of the time asked for, wide enough that each series has a point in one.
 */
export function heatColumns(
  list: readonly MetricSeries[],
  stream: MetricStream,
  fromMs: number,
  toMs_: number,
  most: number,
): Column[] {
  let longest = 1;
  for (const { points } of list) longest = Math.max(longest, points.length);
  const first = Math.min(
    ...list.flatMap(({ points }) => points[0] ? [toMs(points[0].timeNs)] : []),
  );
  const last = Math.max(
    ...list.flatMap(({ points }) => points.length > 0 ? [toMs(points.at(-1)!.timeNs)] : []),
  );
  // A single point is drawn over the time it is for, where it says that.
  const start = Math.max(0, ...list.map(({ points }) => toMs(points[0]?.startNs ?? "0")));
  const interval = longest > 1
    ? (last - first) / (longest - 1)
    : start > 0
    ? last - start
    : toMs_ - fromMs;
  const step = Math.max(interval, (toMs_ - fromMs) / most, 1);
  const columns = new Map<number, Bucket[][]>();
  for (const { points } of list) {
    points.forEach((point, i) => {
      const before = points[i - 1];
      // Without the one before, a cumulative point holds everything since the start of its process,
      // which may be long before the time asked for.
      const isOfAll = stream.temporality === "cumulative" && !before && points.length > 1;
      if (isOfAll && !(toMs(point.startNs) >= fromMs)) return;
      const at = Math.ceil((toMs(point.timeNs) - fromMs) / step - 1e-6) - 1;
      const buckets = increase(before, point, stream.temporality);
      const column = columns.get(at);
      if (column) column.push(buckets);
      else columns.set(at, [buckets]);
    });
  }
  return [...columns].sort(([a], [b]) => a - b).map(([at, lists]) => {
    const buckets = mergeBuckets(lists);
    return {
      fromMs: fromMs + at * step,
      toMs: fromMs + (at + 1) * step,
      buckets,
      count: buckets.reduce((sum, { count }) => sum + count, 0),
      p50: quantile(buckets, 0.5),
      p95: quantile(buckets, 0.95),
      p99: quantile(buckets, 0.99),
    };
  });
}

/** The least and greatest finite bound of buckets that hold anything; undefined without any. */
export function extent(columns: readonly Column[]): { low: number; high: number } | undefined {
  let low = Infinity;
  let high = -Infinity;
  for (const { buckets } of columns) {
    for (const { from, to, count } of buckets) {
      if (count === 0) continue;
      if (Number.isFinite(from)) low = Math.min(low, from);
      if (Number.isFinite(to)) {
        low = Math.min(low, to);
        high = Math.max(high, to);
      } else high = Math.max(high, from * 1.5);
    }
  }
  if (high === -Infinity) return undefined;
  return { low: Math.min(low, high), high };
}
