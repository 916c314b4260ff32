/**
 * How long requests took, in buckets.
 *
 * @module
 */

/** Upper bounds of the buckets, seconds: those of HTTP request durations in OpenTelemetry. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
];

/** How often each was met. */
export interface Latency {
  /** One for each bound, and one for all that took longer. */
  readonly counts: number[];
  /** Seconds. */
  sum: number;
}

/** None so far. */
export function createLatency(): Latency {
  return { counts: new Array(LATENCY_BOUNDS.length + 1).fill(0), sum: 0 };
}

/** Adds one that took so many seconds. */
export function addLatency(latency: Latency, seconds: number): void {
  const bucket = LATENCY_BOUNDS.findIndex((bound) => seconds <= bound);
  latency.counts[bucket < 0 ? LATENCY_BOUNDS.length : bucket]++;
  latency.sum += seconds;
}
