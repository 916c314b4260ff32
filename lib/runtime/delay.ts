/**
 * How late the event loop is: what a timer measures of itself, in a histogram of fixed size.
 *
 * The runtimes have `monitorEventLoopDelay`, but that of Deno 2.9 says a few microseconds for a loop
 * that was blocked for 100 ms, and that of Bun costs as much as a timer.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";

/** Delays of the event loop since the last reset. */
export interface Delays {
  /** Delays per bucket, see {@link bucketOf}. */
  readonly counts: Uint32Array;
  count: number;
  /** ms. */
  min: number;
  /** ms. */
  max: number;
  /** ms. */
  sum: number;
  /** ms². */
  sumOfSquares: number;
}

/** Buckets of a power of two: delays in one bucket differ by at most 1/16. */
const STEPS = 16;
const STEP_BITS = 4;
/** Up to 2³² µs, 71 minutes. */
const BUCKETS = (32 - STEP_BITS + 1) * STEPS;

/** Makes an empty histogram. */
export function createDelays(): Delays {
  const counts = new Uint32Array(BUCKETS);
  return { counts, count: 0, min: Infinity, max: 0, sum: 0, sumOfSquares: 0 };
}

/** Empties a histogram. */
export function resetDelays(delays: Delays): void {
  delays.counts.fill(0);
  delays.count = 0;
  delays.min = Infinity;
  delays.max = 0;
  delays.sum = 0;
  delays.sumOfSquares = 0;
}

/**
 * Records a delay.
 *
 * @param milliseconds 0 or more
 */
export function recordDelay(delays: Delays, milliseconds: number): void {
  delays.counts[bucketOf(Math.min(milliseconds * 1000, 0xffff_ffff))]++;
  delays.count++;
  delays.min = Math.min(delays.min, milliseconds);
  delays.max = Math.max(delays.max, milliseconds);
  delays.sum += milliseconds;
  delays.sumOfSquares += milliseconds * milliseconds;
}

/** The mean, ms; NaN when there is none. */
export function meanDelay(delays: Delays): number {
  return delays.sum / delays.count;
}

/** The standard deviation, ms; NaN when there is none. */
export function deviationOfDelays(delays: Delays): number {
  const mean = meanDelay(delays);
  // Rounding can make the difference of equal numbers negative.
  return Math.sqrt(Math.max(delays.sumOfSquares / delays.count - mean * mean, 0));
}

/**
 * The delay that a part of all delays does not exceed, ms, within 1/16; NaN when there is none.
 *
 * @param part from 0 to 1
 */
export function delayPercentile(delays: Delays, part: number): number {
  if (delays.count === 0) return NaN;
  const rank = Math.max(Math.ceil(part * delays.count), 1);
  let seen = 0;
  let bucket = -1;
  while (seen < rank) seen += delays.counts[++bucket];
  return Math.min(Math.max(upperEnd(bucket) / 1000, delays.min), delays.max);
}

/** The bucket of a delay in µs: linear up to 16, then 16 for each power of two. */
function bucketOf(microseconds: number): number {
  const whole = microseconds >>> 0;
  if (whole < STEPS) return whole;
  const shift = 31 - STEP_BITS - Math.clz32(whole);
  return shift * STEPS + (whole >>> shift);
}

/** The end of a bucket, µs. */
function upperEnd(bucket: number): number {
  if (bucket < STEPS) return bucket + 1;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (bucket - shift * STEPS + 1) * 2 ** shift;
}

/**
 * Records how much later than asked for a repeating timer is called. The timer keeps no process
 * alive.
 *
 * @param interval ms between two calls
 * @param tick called each time
 * @returns stops it
 */
export function watchDelay(delays: Delays, interval: number, tick: () => void): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    // A timer may come early after it was late.
    recordDelay(delays, Math.max(now - last - interval, 0));
    last = now;
    tick();
  }, interval);
  timer.unref();
  return () => clearInterval(timer);
}
