/**
 * Sums as rates.
 *
 * @module
 */
import type { MetricPoint, MetricStream } from "../../../store/queries/types.ts";
import { toMs } from "./time.ts";

/** A value at a time. */
export interface Sample {
  readonly ms: number;
  readonly value: number;
}

/** Only monotonic sums have a rate. */
export function hasRate(stream: MetricStream): boolean {
  return stream.kind === "sum" && stream.monotonic;
}

/** The points of a gauge or sum as they are. */
export function samples(points: readonly MetricPoint[]): Sample[] {
  return points.filter(({ value }) => value !== undefined)
    .map(({ timeNs, value }) => ({ ms: toMs(timeNs), value: value! }));
}

/**
 * The points of a monotonic sum per second, each for the time since the one before. A cumulative sum
 * that began anew counts from its start, where it has one.
 */
export function ratePoints(points: readonly MetricPoint[], stream: MetricStream): Sample[] {
  const out: Sample[] = [];
  points.forEach((point, i) => {
    const before = points[i - 1];
    const ms = toMs(point.timeNs);
    const value = point.value ?? 0;
    const anew = !before || before.startNs !== point.startNs || value < (before.value ?? 0);
    if (stream.temporality === "delta" || anew) {
      const since = point.startNs === "0" ? before && toMs(before.timeNs) : toMs(point.startNs);
      if (since !== undefined && ms > since) out.push({ ms, value: value / ((ms - since) / 1000) });
      return;
    }
    const since = toMs(before!.timeNs);
    if (ms > since) out.push({ ms, value: (value - (before!.value ?? 0)) / ((ms - since) / 1000) });
  });
  return out;
}
