/**
 * Histograms as Prometheus' text has them: how many values are up to each bound.
 *
 * @module
 */
import type { ExponentialHistogramDataPoint, HistogramDataPoint } from "../../proto/gen/otlp_pb.ts";

/** Values up to a bound, all below it included. */
export type Bucket = readonly [bound: number, count: bigint];

/** Of explicit bounds. The last bound is infinity. */
export function explicitBuckets(point: HistogramDataPoint): Bucket[] {
  let total = 0n;
  const buckets = point.explicitBounds.map((bound, i): Bucket => {
    total += point.bucketCounts[i] ?? 0n;
    return [bound, total];
  });
  return [...buckets, [Infinity, point.count]];
}

/**
 * Of an exponential histogram, which the text formats have no form for: the bounds of its own
 * buckets, where one of the two beside them holds something. Nothing of it is lost.
 */
export function exponentialBuckets(point: ExponentialHistogramDataPoint): Bucket[] {
  const { negative, positive, scale, zeroCount, zeroThreshold } = point;
  const bound = (index: number): number => 2 ** (index * 2 ** -scale);
  const counts = new Map<number, bigint>();
  const add = (lower: number, upper: number, count: bigint): void => {
    if (count === 0n) return;
    counts.set(lower, counts.get(lower) ?? 0n);
    counts.set(upper, (counts.get(upper) ?? 0n) + count);
  };
  negative?.bucketCounts.forEach((count, i) => {
    const index = negative.offset + i;
    add(-bound(index + 1), -bound(index), count);
  });
  add(-zeroThreshold, zeroThreshold, zeroCount);
  positive?.bucketCounts.forEach((count, i) => {
    const index = positive.offset + i;
    add(bound(index), bound(index + 1), count);
  });
  let total = 0n;
  const buckets = [...counts].filter(([upper]) => upper < Infinity).sort(([a], [b]) => a - b)
    .map(([upper, count]): Bucket => [upper, total += count]);
  return [...buckets, [Infinity, point.count]];
}
