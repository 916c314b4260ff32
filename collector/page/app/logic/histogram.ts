/**
 * Histogram points as buckets over time, and percentiles of them.
 *
 * @module
 */
import type { MetricPoint, Temporality } from "../../../store/queries/types.ts";

/** Counts between bounds; the first bucket may begin at -Infinity, the last end at Infinity. */
export interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** The buckets of a point, ascending, those of exponential histograms too; empty ones may be left out. */
export function bucketsOf(point: MetricPoint): Bucket[] {
  if (point.counts && point.bounds) {
    const { bounds, counts } = point;
    return counts.map((count, i) => ({
      from: i === 0 ? -Infinity : bounds[i - 1]!,
      to: i === bounds.length ? Infinity : bounds[i]!,
      count,
    }));
  }
  if (point.scale === undefined) return [];
  const base = 2 ** (2 ** -point.scale);
  const zero = point.zeroThreshold ?? 0;
  const out: Bucket[] = [];
  const negative = point.negative;
  for (let i = (negative?.counts.length ?? 0) - 1; i >= 0; i--) {
    const index = negative!.offset + i;
    out.push({ from: -(base ** (index + 1)), to: -(base ** index), count: negative!.counts[i]! });
  }
  if ((point.zeroCount ?? 0) > 0) out.push({ from: -zero, to: zero, count: point.zeroCount! });
  point.positive?.counts.forEach((count, i) => {
    const index = point.positive!.offset + i;
    out.push({ from: base ** index, to: base ** (index + 1), count });
  });
  return out;
}

/** Counts by bounds: what two points or two series have together. */
export function mergeBuckets(lists: readonly (readonly Bucket[])[]): Bucket[] {
  const sums = new Map<string, { from: number; to: number; count: number }>();
  for (const list of lists) {
    for (const { from, to, count } of list) {
      const id = `${from} ${to}`;
      const sum = sums.get(id);
      if (sum) sum.count += count;
      else sums.set(id, { from, to, count });
    }
  }
  return [...sums.values()].sort((a, b) => a.from - b.from || a.to - b.to);
}

/**
 * What came in between a point and the one before. Cumulative points that began anew (another start,
 * or a count that shrank) are taken as they are.
 */
export function increase(
  before: MetricPoint | undefined,
  point: MetricPoint,
  temporality: Temporality,
): Bucket[] {
  const buckets = bucketsOf(point);
  if (temporality !== "cumulative" || !before || before.startNs !== point.startNs) return buckets;
  if ((point.count ?? 0) < (before.count ?? 0) || before.scale !== point.scale) return buckets;
  const known = new Map(bucketsOf(before).map(({ from, to, count }) => [`${from} ${to}`, count]));
  return buckets.map(({ from, to, count }) => ({
    from,
    to,
    count: Math.max(0, count - (known.get(`${from} ${to}`) ?? 0)),
  }));
}

/**
 * The value below which a share of the counts lies, 0 to 1, linear within the bucket. A bucket without
 * an end counts as its other end. NaN without counts.
 */
export function quantile(buckets: readonly Bucket[], share: number): number {
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return NaN;
  let left = share * total;
  for (const { from, to, count } of buckets) {
    if (count === 0) continue;
    if (left <= count) {
      if (from === -Infinity) return to;
      if (to === Infinity) return from;
      return from + (to - from) * (left / count);
    }
    left -= count;
  }
  const last = buckets.findLast(({ count }) => count > 0)!;
  return last.to === Infinity ? last.from : last.to;
}
