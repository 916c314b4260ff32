/**
 * Sums and last values: integers of 64 bits as two words, doubles, and totals that were observed.
 *
 * @module
 */
import { measurement } from "./measurement.ts";
import {
  ABSOLUTE,
  INT,
  NEXT,
  NO_SERIES,
  ROW_DOUBLES,
  ROW_WORDS,
  type SeriesPool,
  START,
  TIME,
  VALUE,
} from "./series.ts";
import { GAUGE, type Stream, SUM } from "./stream.ts";

/** The last total of integers as words: the same memory as `ABSOLUTE`. */
const ABSOLUTE_INT = 2 * ABSOLUTE;

/** Adds `measurement` to a sum, or makes it the last value. */
export function addNumber(pool: SeriesPool, stream: Stream, series: number): void {
  if (stream.isInt !== measurement.isInt) agree(pool, stream);
  const { words, doubles } = pool;
  const row = series * ROW_WORDS;
  const value = series * ROW_DOUBLES + VALUE;
  if (measurement.replaced > 0 && !stream.isDelta) replace(pool, stream, series);
  if (stream.mayBeAbsolute && !measurement.hasContext) {
    addAbsolute(pool, stream, series);
  } else if (stream.isInt !== true) {
    doubles[value] = stream.kind === GAUGE ? measurement.value : doubles[value] + measurement.value;
  } else if (stream.kind === GAUGE) {
    words[row + INT] = measurement.low;
    words[row + INT + 1] = measurement.high;
  } else {
    addInt(words, row + INT, measurement.low, measurement.high);
  }
}

/**
 * A counter began anew: what the sum has of it goes, but not what it has of others that views made the
 * same series. A reader that came later does not have all of it.
 */
function replace(pool: SeriesPool, stream: Stream, series: number): void {
  if (stream.kind !== SUM) return;
  const { words, doubles } = pool;
  const row = series * ROW_WORDS;
  const value = series * ROW_DOUBLES + VALUE;
  const { replaced, timeLow, timeHigh } = measurement;
  if (stream.isInt !== true) doubles[value] = Math.max(doubles[value] - replaced, 0);
  else {
    const sum = BigInt(words[row + INT + 1]) << 32n | BigInt(words[row + INT] >>> 0);
    const rest = sum - BigInt(Math.trunc(replaced));
    words[row + INT] = rest > 0n ? Number(BigInt.asIntN(32, rest)) : 0;
    words[row + INT + 1] = rest > 0n ? Number(BigInt.asIntN(32, rest >> 32n)) : 0;
  }
  // A series that is new has its start.
  if ((words[row + TIME] | words[row + TIME + 1]) === 0) return;
  words[row + START] = timeLow;
  words[row + START + 1] = timeHigh;
}

/**
 * An observed total. A cumulative sum is that; one of deltas gets what it grew by since the last
 * one. Sums of ours never come like this.
 */
function addAbsolute(pool: SeriesPool, stream: Stream, series: number): void {
  const { words, doubles } = pool;
  const row = series * ROW_WORDS;
  const first = series * ROW_DOUBLES;
  const { low, high, value } = measurement;
  const isInt = stream.isInt === true;
  const last = row + ABSOLUTE_INT;
  const isLess = isInt
    ? high < words[last + 1] || (high === words[last + 1] && low >>> 0 < words[last] >>> 0)
    : value < doubles[first + ABSOLUTE];
  // Metrics data model, "Resets": it began anew.
  const began = stream.isMonotonic && isLess;
  if (!stream.isDelta) {
    if (began) {
      words[row + START] = words[row + TIME];
      words[row + START + 1] = words[row + TIME + 1];
    }
    if (isInt) {
      words[row + INT] = low;
      words[row + INT + 1] = high;
    } else doubles[first + VALUE] = value;
  } else if (isInt) {
    addInt(words, row + INT, low, high);
    // Minus the last one: its complement and one more.
    if (!began) {
      addInt(words, row + INT, ~words[last], ~words[last + 1]);
      addInt(words, row + INT, 1, 0);
    }
  } else {
    doubles[first + VALUE] += began ? value : value - doubles[first + ABSOLUTE];
  }
  if (isInt) {
    words[last] = low;
    words[last + 1] = high;
  } else doubles[first + ABSOLUTE] = value;
}

/** Adds 64 bits. */
function addInt(words: Int32Array, at: number, low: number, high: number): void {
  const sum = (words[at] + low) | 0;
  const carry = sum >>> 0 < low >>> 0 ? 1 : 0;
  words[at] = sum;
  words[at + 1] = words[at + 1] + high + carry;
}

/** The first measurement says whether a stream is of integers; one of both kinds is of doubles. */
function agree(pool: SeriesPool, stream: Stream): void {
  if (stream.isInt === null) {
    stream.isInt = measurement.isInt;
    return;
  }
  if (stream.isInt === false) return;
  const { words, doubles } = pool;
  for (let series = stream.first; series !== NO_SERIES;) {
    const row = series * ROW_WORDS;
    const first = series * ROW_DOUBLES;
    doubles[first + VALUE] = numberAt(words, row + INT);
    if (stream.mayBeAbsolute) doubles[first + ABSOLUTE] = numberAt(words, row + ABSOLUTE_INT);
    series = words[row + NEXT];
  }
  stream.isInt = false;
}

function numberAt(words: Int32Array, at: number): number {
  return words[at + 1] * 2 ** 32 + (words[at] >>> 0);
}
