/**
 * When a server wants a request to be tried again: `Retry-After`.
 *
 * @module
 */

/** The longest wait a server can ask for with `Retry-After`, milliseconds. */
export const MAX_RETRY_AFTER_MS = 15 * 60_000;

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
