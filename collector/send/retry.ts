/**
 * When to try again: exponential backoff with jitter.
 *
 * @module
 */

/** How waits grow from one attempt to the next. */
export interface Backoff {
  /** Middle of the first wait, milliseconds. */
  readonly initialMs: number;
  /** No wait is longer than this, milliseconds. */
  readonly maxMs: number;
  /** Each wait is this many times the one before. */
  readonly factor: number;
  /** A wait is spread evenly over `1 - jitter` to `1 + jitter` times its middle. */
  readonly jitter: number;
}

/**
 * 1 s, 1.5 s, 2.25 s, … 30 s, each spread by half. It starts lower than the OpenTelemetry
 * Collector's 5 s because the rings of the applications fill while nothing is taken out of them.
 */
export const DEFAULT_BACKOFF: Backoff = {
  initialMs: 1_000,
  maxMs: 30_000,
  factor: 1.5,
  jitter: 0.5,
};

/**
 * The wait before the next attempt, milliseconds.
 *
 * @param failures Attempts that failed so far, from 1.
 * @param random A number from 0 to 1 (1 excluded).
 */
export function backoffMs(failures: number, random: number, backoff: Backoff): number {
  const middle = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (failures - 1));
  return Math.min(backoff.maxMs, middle * (1 - backoff.jitter + 2 * backoff.jitter * random));
}
