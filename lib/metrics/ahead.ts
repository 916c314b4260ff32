/**
 * A look at measurements before they are taken.
 *
 * With many series each measurement goes through half a dozen places of memory that no cache holds,
 * each found by what the one before says: the processor waits for all of them in turn. Here the
 * places of several measurements are loaded side by side, a step of all before the next step of any.
 *
 * What is found is not kept: slots belong to another process, and each is looked at again when its
 * turn comes.
 *
 * @module
 */
import type { RingReader } from "../ring/read.ts";
import { hashOfRecord, type KnownRecords, UNKNOWN } from "./known.ts";
import { glance, glanced } from "./measurement.ts";
import type { SeriesPool } from "./series.ts";

/** Measurements that are looked at side by side at most: with twice as many, no difference was to be seen. */
export const AHEAD = 16;

// By measurement: its metric, its attributes by their first word and their bytes, and so on.
const refs = new Int32Array(AHEAD);
const firsts = new Int32Array(AHEAD);
const lengths = new Int32Array(AHEAD);
const hashes = new Int32Array(AHEAD);
const entries = new Int32Array(AHEAD);
const rows = new Int32Array(AHEAD);

/** What was read: nobody asks, but somebody might, so no compiler leaves the loads out. */
export const seen = { words: 0 };

/**
 * Loads what the next `count` measurements of a ring will need, AHEAD at most, and returns the hashes
 * they seem to have: of those that our writers lay out. Whatever the slots hold, nothing changes.
 */
export function lookAhead(
  { file: { i32 }, geometry: { firstSlot, slotBytes, slots }, position }: RingReader,
  count: number,
  known: KnownRecords,
  series: SeriesPool,
): Int32Array {
  const slotWords = slotBytes >> 2;
  let words = 0;
  for (let i = 0; i < count; i++) {
    const slot = firstSlot / 4 + ((position + i) % slots) * slotWords;
    if (!glance(i32, slot, slotWords)) {
      firsts[i] = lengths[i] = refs[i] = 0;
      continue;
    }
    const { first, length, metricRef } = glanced;
    firsts[i] = first;
    lengths[i] = length;
    refs[i] = metricRef;
    // The first word was just behind what was looked at.
    words ^= i32[first + ((length - 1) >> 2)];
  }
  for (let i = 0; i < count; i++) hashes[i] = hashOfRecord(refs[i], i32, firsts[i], lengths[i]);
  for (let i = 0; i < count; i++) entries[i] = known.guess(hashes[i]);
  for (let i = 0; i < count; i++) {
    const entry = entries[i];
    rows[i] = entry === UNKNOWN ? 0 : known.seriesOf(entry, 0);
    if (entry !== UNKNOWN) words ^= known.lastOf(entry);
  }
  for (let i = 0; i < count; i++) words ^= series.endsOf(rows[i]);
  seen.words = words;
  return hashes;
}
