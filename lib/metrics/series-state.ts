/**
 * Series as saved state: stream after stream, in columns. Rows get other places when they come
 * back, and hashes another seed.
 *
 * @module
 */
import { createBytes } from "../record/bytes.ts";
import type { StateReader, StateWriter } from "../state/bytes.ts";
import type { Accumulator } from "./accumulate.ts";
import { MAX_SET_BYTES } from "./attribute-set.ts";
import { chunkOf, offsetOf } from "./blocks.ts";
import {
  ATTRIBUTE_BYTES,
  ATTRIBUTES,
  BUCKETS,
  EXEMPLARS,
  hashOf,
  INT,
  MEASURED,
  NEXT,
  NO_SERIES,
  ROW_WORDS,
  START,
  TIME,
} from "./series.ts";
import { EXPONENTIAL, HISTOGRAM, type Stream } from "./stream.ts";

// Words of a saved row. The bytes of its attributes, and whether it has exemplars.
const S_BYTES = 0;
const S_EXEMPLARS = 1;
const S_MEASURED = 2;
/** Start and time. */
const S_TIMES = 3;
/** Everything from the value on. */
const S_VALUES = 7;
const VALUE_WORDS = ROW_WORDS - INT;
const S_WORDS = S_VALUES + VALUE_WORDS;

/** Saves all series of these streams. */
export function saveSeries(
  out: StateWriter,
  accumulator: Accumulator,
  streams: readonly Stream[],
): void {
  const { series, exponentials, exemplars } = accumulator;
  const { words } = series;
  let count = 0;
  let attributeWords = 0;
  let buckets = 0;
  for (const stream of streams) {
    out.word(stream.count);
    out.word(placeOf(words, stream));
    count += stream.count;
    if (stream.kind === HISTOGRAM) buckets += stream.count * (stream.boundaries.length + 1);
    for (let each = stream.first; each !== NO_SERIES;) {
      attributeWords += wordsOf(words[each * ROW_WORDS + ATTRIBUTE_BYTES]);
      each = words[each * ROW_WORDS + NEXT];
    }
  }
  const rows = new Int32Array(count * S_WORDS);
  const attributes = new Int32Array(attributeWords);
  const counts = new Float64Array(buckets);
  let saved = 0;
  let attributesAt = 0;
  let countsAt = 0;
  for (const stream of streams) {
    const length = stream.boundaries.length + 1;
    for (let each = stream.first; each !== NO_SERIES;) {
      const row = each * ROW_WORDS;
      rows[saved + S_BYTES] = words[row + ATTRIBUTE_BYTES];
      rows[saved + S_EXEMPLARS] = words[row + EXEMPLARS] > 0 ? 1 : 0;
      rows[saved + S_MEASURED] = words[row + MEASURED];
      for (let i = 0; i < 2; i++) {
        rows[saved + S_TIMES + i] = words[row + START + i];
        rows[saved + S_TIMES + 2 + i] = words[row + TIME + i];
      }
      for (let i = 0; i < VALUE_WORDS; i++) rows[saved + S_VALUES + i] = words[row + INT + i];
      const bytes = words[row + ATTRIBUTE_BYTES];
      if (bytes > 0) {
        const block = words[row + ATTRIBUTES];
        const own = series.attributes.chunks[chunkOf(block)];
        const offset = offsetOf(block);
        const end = wordsOf(bytes);
        for (let i = 0; i < end; i++) attributes[attributesAt++] = own[offset + i];
      }
      if (stream.kind === HISTOGRAM) {
        const block = words[row + BUCKETS];
        const own = series.buckets.chunks[chunkOf(block)];
        const offset = offsetOf(block);
        for (let i = 0; i < length; i++) counts[countsAt++] = own[offset + i];
      }
      saved += S_WORDS;
      each = words[row + NEXT];
    }
  }
  out.array(rows);
  out.array(attributes);
  out.array(counts);
  for (const stream of streams) {
    for (let each = stream.first; each !== NO_SERIES;) {
      const row = each * ROW_WORDS;
      if (stream.kind === EXPONENTIAL) exponentials.save(words[row + BUCKETS], out);
      if (words[row + EXEMPLARS] > 0) exemplars.save(words[row + EXEMPLARS] - 1, out);
      each = words[row + NEXT];
    }
  }
  out.word(exemplars.randomState);
}

/** How many series of a stream come before that of its overflow; -1 where it has none. */
function placeOf(words: Int32Array, { first, overflow }: Stream): number {
  if (overflow === NO_SERIES) return -1;
  let place = 0;
  for (let each = first; each !== overflow; place++) each = words[each * ROW_WORDS + NEXT];
  return place;
}

/**
 * Gives these streams, which have none, the series that were saved.
 *
 * @param indexes The streams' indexes.
 */
export function restoreSeries(
  from: StateReader,
  accumulator: Accumulator,
  streams: readonly Stream[],
  indexes: readonly number[],
): void {
  const { series, exponentials, exemplars } = accumulator;
  const counts: number[] = [];
  const overflows: number[] = [];
  let count = 0;
  for (let i = 0; i < streams.length; i++) {
    counts.push(from.count(4 * S_WORDS));
    overflows.push(from.wordWithin(-1, counts[i]));
    count += counts[i];
  }
  const rows = from.words();
  const attributes = from.words();
  const buckets = from.doubles();
  if (rows.length !== count * S_WORDS) from.fail("series without their rows");
  const set = createBytes(MAX_SET_BYTES);
  const setWords = new Int32Array(set.u8.buffer);
  let saved = 0;
  let attributesAt = 0;
  let bucketsAt = 0;
  for (const [i, stream] of streams.entries()) {
    for (let place = 0; place < counts[i]; place++, saved += S_WORDS) {
      const bytes = rows[saved + S_BYTES];
      if (!(bytes >= 0 && bytes <= MAX_SET_BYTES)) from.fail(`attributes of ${bytes} bytes`);
      const end = wordsOf(bytes);
      for (let word = 0; word < end; word++) setWords[word] = attributes[attributesAt++];
      const one = series.add(indexes[i], set, bytes, hashOf(indexes[i], set.u8, bytes));
      accumulator.append(stream, one);
      if (place === overflows[i]) stream.overflow = one;
      const { words } = series;
      const row = one * ROW_WORDS;
      const measured = Math.min(rows[saved + S_MEASURED], 1);
      words[row + MEASURED] = measured;
      if (measured > 0) stream.measured++;
      for (let word = 0; word < 2; word++) {
        words[row + START + word] = rows[saved + S_TIMES + word];
        words[row + TIME + word] = rows[saved + S_TIMES + 2 + word];
      }
      for (let word = 0; word < VALUE_WORDS; word++) {
        words[row + INT + word] = rows[saved + S_VALUES + word];
      }
      if (stream.kind !== HISTOGRAM) continue;
      const block = words[row + BUCKETS];
      const own = series.buckets.chunks[chunkOf(block)];
      const offset = offsetOf(block);
      const length = stream.boundaries.length + 1;
      if (bucketsAt + length > buckets.length) from.fail("histograms without their buckets");
      for (let word = 0; word < length; word++) own[offset + word] = buckets[bucketsAt++];
    }
  }
  if (attributesAt !== attributes.length) from.fail("series without their attributes");
  if (bucketsAt !== buckets.length) from.fail("buckets without their histograms");
  saved = 0;
  const { words } = series;
  for (const stream of streams) {
    for (let each = stream.first; each !== NO_SERIES; saved += S_WORDS) {
      const row = each * ROW_WORDS;
      if (stream.kind === EXPONENTIAL) exponentials.restore(words[row + BUCKETS], from);
      if (rows[saved + S_EXEMPLARS] !== 0) {
        const reservoir = accumulator.createReservoir(stream);
        words[row + EXEMPLARS] = 1 + reservoir;
        exemplars.restore(reservoir, from);
      }
      each = words[row + NEXT];
    }
  }
  exemplars.randomState = from.word();
}

function wordsOf(bytes: number): number {
  return (bytes + 3) >> 2;
}
