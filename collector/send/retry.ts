/**
 * When to try again: exponential backoff with jitter, and what a server says in `Retry-After`.
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

/** The longest wait a server can ask for with `Retry-After`, milliseconds. */
export const MAX_RETRY_AFTER_MS = 15 * 60_000;

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

/**
 * Milliseconds that a `Retry-After` header asks for: a number of seconds or an HTTP date (RFC 9110
 * §10.2.3), at most {@linkcode MAX_RETRY_AFTER_MS}. `undefined` when it says neither.
 *
 * @param date The header `Date` of the same answer: a date is one of the backend's clock, and ours may
 * be hours off. Without one, `nowMs` is taken for it.
 */
export function retryAfterMs(
  value: string | undefined,
  date: string | undefined,
  nowMs: number,
): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  let wait: number;
  if (/^\d+$/.test(text)) wait = Number(text) * 1000;
  else if (/^[A-Za-z]{3,9},? /.test(text)) {
    const now = Date.parse(date ?? "");
    wait = Date.parse(text) - (Number.isNaN(now) ? nowMs : now);
  } else return undefined;
  if (Number.isNaN(wait)) return undefined;
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(0, wait));
}
