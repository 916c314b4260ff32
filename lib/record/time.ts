/**
 * Times as the two 32-bit words of a u64 of nanoseconds since the Unix epoch, made without BigInt
 * and, for the time now, without allocation.
 *
 * @module
 */

import type { TimeInput } from "@opentelemetry/api";
import { clockWords, now } from "../../ffi/mod.ts";

/**
 * The time last set: low word, high word. Only `setTimeNow` and `setTimeFromInput` write it; copy
 * the words out before the next call.
 */
export const timeWords: Int32Array = new Int32Array(2);

const NANOS_PER_SECOND = 1_000_000_000;
/** Many backends keep times in a signed 64-bit integer: this is where it ends, in seconds. */
const MAX_SECONDS = 9_223_372_036;
/** A number from here on (31 years in ms) is no `performance.now()`: saves reading that clock. */
const SURELY_EPOCH_MS = 1e12;

// The time at which `baseSecond` began. The clock's second changes once in a million records, so the wide
// multiplication is done once a second, and every record only adds its nanoseconds.
let baseSecond = 0;
let baseLow = 0;
let baseHigh = 0;

/** Sets `timeWords` to the system clock (CLOCK_REALTIME, ns). */
export function setTimeNow(): void {
  now();
  setTimeFromClock(clockWords[0], clockWords[2]);
}

/**
 * Sets `timeWords` from a reading of the system clock: `second` is the low 32 bits of its seconds,
 * signed or not; `nanos` 0 to 999,999,999.
 */
export function setTimeFromClock(second: number, nanos: number): void {
  if (second !== baseSecond) {
    // Unsigned: the low word of the clock's seconds goes on until 2106.
    setWords(second >>> 0, 0);
    baseSecond = second;
    baseLow = timeWords[0];
    baseHigh = timeWords[1];
  }
  const low = (baseLow + nanos) | 0;
  timeWords[0] = low;
  timeWords[1] = baseHigh + (low >>> 0 < nanos ? 1 : 0);
}

/**
 * Sets `timeWords` to a time in any form the API accepts:
 * - `[seconds, nanoseconds]` since the epoch, exact to the nanosecond; nanoseconds past a second carry;
 * - a number up to `performance.now()`: a reading of that clock, moved to the system clock;
 * - any other number: milliseconds since the epoch, fractions rounded to the nearest nanosecond;
 * - a `Date`.
 *
 * Returns false, and leaves `timeWords` alone, for anything else: NaN, a time before the epoch or
 * after 2262-04-11 (which microseconds taken for milliseconds give), other types.
 */
export function setTimeFromInput(input: TimeInput): boolean {
  if (typeof input === "number") {
    if (input < SURELY_EPOCH_MS) {
      if (!(input >= 0)) return false;
      const elapsed = performance.now() - input;
      if (elapsed >= 0) return setTimeBefore(elapsed);
    }
    return setFromMillis(input);
  }
  if (Array.isArray(input)) {
    if (input.length !== 2) return false;
    return setNormalized(input[0], input[1]);
  }
  if (input instanceof Date) return setFromMillis(input.getTime());
  return false;
}

/** The system clock `elapsed` ms ago: both clocks are read now, so neither drift nor steps matter. */
function setTimeBefore(elapsed: number): boolean {
  now();
  const seconds = Math.floor(elapsed / 1000);
  const nanos = Math.round((elapsed - seconds * 1000) * 1e6);
  return setNormalized((clockWords[0] >>> 0) - seconds, clockWords[2] - nanos);
}

function setFromMillis(millis: number): boolean {
  // Seconds first: epoch milliseconds times 1e6 would not fit a double exactly.
  const seconds = Math.floor(millis / 1000);
  return setNormalized(seconds, (millis - seconds * 1000) * 1e6);
}

/** Takes fractions of seconds and nanoseconds outside 0..999,999,999. */
function setNormalized(seconds: number, nanos: number): boolean {
  if (typeof seconds !== "number" || typeof nanos !== "number") return false;
  let whole = Math.floor(seconds);
  let rest = Math.round(nanos + (seconds - whole) * NANOS_PER_SECOND);
  if (rest < 0 || rest >= NANOS_PER_SECOND) {
    const carry = Math.floor(rest / NANOS_PER_SECOND);
    whole += carry;
    rest -= carry * NANOS_PER_SECOND;
  }
  // Written so that NaN and infinities (whose difference is NaN) fail, too.
  if (!(whole >= 0 && whole < MAX_SECONDS && rest >= 0 && rest < NANOS_PER_SECOND)) return false;
  setWords(whole, rest);
  return true;
}

/**
 * seconds * 1e9 + nanos, in 16-bit steps so that no product exceeds 2^53. Multiplying by powers of
 * two is exact, and several times faster than the remainder of doubles (`%`).
 */
function setWords(seconds: number, nanos: number): void {
  const secondsHigh = Math.floor(seconds * 2 ** -16);
  const secondsLow = seconds - secondsHigh * 2 ** 16;
  const high = secondsHigh * NANOS_PER_SECOND; // times 2^16
  const highHigh = Math.floor(high * 2 ** -16); // times 2^32
  const sum = secondsLow * NANOS_PER_SECOND + (high - highHigh * 2 ** 16) * 2 ** 16 + nanos;
  const carry = Math.floor(sum * 2 ** -32);
  timeWords[0] = (sum - carry * 2 ** 32) | 0;
  timeWords[1] = (highHigh + carry) | 0;
}
