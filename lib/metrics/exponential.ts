/**
 * Base-2 exponential histograms, many in one pool.
 *
 * A histogram starts at its finest scale and gives up one step of scale for each time its buckets
 * would become too many, which loses nothing but resolution: two neighbours become one, exactly.
 * The buckets of a range that were hit first and last bound a window; the window lies in a block of
 * a power of two of counts, where the bucket with an index is at `index & (size - 1)`, so that
 * it can grow at both ends without anything being moved.
 *
 * Data model, "ExponentialHistogram"; SDK, "Base2 Exponential Bucket Histogram Aggregation".
 *
 * @module
 */
import {
  BYTES,
  FIXED64,
  OtlpBuckets,
  OtlpExponentialPoint,
  tag,
  VARINT,
} from "../format/fields.ts";
import { putVarint, varintBytes } from "../record/wire.ts";
import type { StateReader, StateWriter } from "../state/bytes.ts";
import { Blocks, chunkOf, classFor, grown, Handles, MAX_BLOCK, offsetOf } from "./blocks.ts";
import { bucketIndex, bucketIndexOfWords, MAX_SCALE, MIN_SCALE } from "./bucket-index.ts";

export { bucketIndex, MAX_SCALE, MIN_SCALE };

/** Fewest buckets of a range: with one, values of 1 and of 2 could not be told apart at any scale. */
export const MIN_BUCKETS = 2;
/** Most buckets of a range. */
export const MAX_BUCKETS: number = MAX_BLOCK;
/** Buckets of a range where nobody says how many (SDK specification, `MaxSize`). */
export const DEFAULT_MAX_BUCKETS = 160;

/** Counts in a block of class 0. */
const SMALLEST = 4;
/** High word of 2^-1022, the smallest double that is not subnormal. */
const SMALLEST_NORMAL = 0x00100000;
/** First and last index of a window without buckets. */
const EMPTY_LOW = 0x7fffffff;
const EMPTY_HIGH = -0x80000000;

// A row of the pool, 11 doubles or 22 words: what a record touches is in two lines of the cache.
// Doubles:
const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;
const ZERO_COUNT = 4;
const ROW_DOUBLES = 11;
// Words:
const SCALE = 10;
const MAX_SCALE_OF = 11;
const MAX_BUCKETS_OF = 12;
const POSITIVE = 13;
const NEGATIVE = 17;
const ROW_WORDS = 2 * ROW_DOUBLES;
// Words of a range, POSITIVE or NEGATIVE: first and last index of its window,
const LOW = 0;
const HIGH = 1;
/** where its counts are, which means something where the size is not 0, */
const BLOCK = 2;
/** and how many there are in the block, a power of two; 0 for no block. */
const SIZE = 3;

/** The value that is being added. */
const number = new Float64Array(1);
const words = new Int32Array(number.buffer);

/** Histograms by handle. Counts are exact up to 2^53. */
export class ExponentialPool {
  private readonly handles = new Handles();
  private readonly counts = new Blocks((elements) => new Float64Array(elements), SMALLEST);
  private readonly scratch = new Float64Array(MAX_BUCKETS);
  private doubles = new Float64Array(16 * ROW_DOUBLES);
  /** The same memory. */
  private words = new Int32Array(this.doubles.buffer);

  /**
   * A new, empty histogram.
   *
   * @param maxBuckets Buckets of each range, positive and negative; taken as 2 to MAX_BUCKETS.
   * @param maxScale The scale it starts with; taken as MIN_SCALE to MAX_SCALE.
   */
  create(maxBuckets: number, maxScale: number): number {
    const handle = this.handles.take();
    if (handle * ROW_DOUBLES === this.doubles.length) {
      this.doubles = grown(this.doubles, this.doubles.length * 2);
      this.words = new Int32Array(this.doubles.buffer);
    }
    const row = handle * ROW_WORDS;
    this.words[row + MAX_BUCKETS_OF] = within(maxBuckets, MIN_BUCKETS, MAX_BUCKETS);
    this.words[row + MAX_SCALE_OF] = within(maxScale, MIN_SCALE, MAX_SCALE);
    this.words[row + POSITIVE + SIZE] = 0;
    this.words[row + NEGATIVE + SIZE] = 0;
    this.clear(handle);
    return handle;
  }

  /** Adds a value, which is finite: NaN and infinities belong in no bucket. */
  record(handle: number, value: number): void {
    // No more than this, so that it is inlined and the value needs no place on V8's heap.
    number[0] = value;
    this.add(handle);
  }

  /** How many values were added. */
  countOf(handle: number): number {
    return this.doubles[handle * ROW_DOUBLES + COUNT];
  }

  /** Forgets all values and goes back to the finest scale; keeps the memory. */
  reset(handle: number): void {
    this.takeCounts(handle * ROW_WORDS + POSITIVE);
    this.takeCounts(handle * ROW_WORDS + NEGATIVE);
    this.clear(handle);
  }

  /** Gives the handle and its memory back. */
  free(handle: number): void {
    this.releaseCounts(handle * ROW_WORDS + POSITIVE);
    this.releaseCounts(handle * ROW_WORDS + NEGATIVE);
    this.handles.give(handle);
  }

  /** Saves what a histogram holds. */
  save(handle: number, out: StateWriter): void {
    const first = handle * ROW_DOUBLES;
    for (let i = COUNT; i <= ZERO_COUNT; i++) out.double(this.doubles[first + i]);
    const row = handle * ROW_WORDS;
    out.word(this.words[row + SCALE]);
    this.saveRange(row + POSITIVE, out);
    this.saveRange(row + NEGATIVE, out);
  }

  /** Puts what was saved into a histogram that is empty; throws an Error for what can't be. */
  restore(handle: number, from: StateReader): void {
    const first = handle * ROW_DOUBLES;
    for (let i = COUNT; i <= ZERO_COUNT; i++) this.doubles[first + i] = from.double();
    const row = handle * ROW_WORDS;
    this.words[row + SCALE] = from.wordWithin(MIN_SCALE, this.words[row + MAX_SCALE_OF] + 1);
    this.restoreRange(row, row + POSITIVE, from);
    this.restoreRange(row, row + NEGATIVE, from);
  }

  private saveRange(range: number, out: StateWriter): void {
    const low = this.words[range + LOW];
    const length = Math.max(0, this.words[range + HIGH] - low + 1);
    out.word(length);
    if (length === 0) return;
    out.word(low);
    const block = this.words[range + BLOCK];
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const mask = this.words[range + SIZE] - 1;
    // Most buckets of a wide window are empty: of these it is said how many there are.
    const from = out.room(length * (1 + COUNT_BYTES));
    let to = from;
    for (let i = 0; i < length;) {
      const count = counts[offset + ((low + i++) & mask)];
      to = putLong(out.u8, to, count);
      if (count !== 0) continue;
      const first = i;
      while (i < length && counts[offset + ((low + i) & mask)] === 0) i++;
      to = putVarint(out.u8, to, i - first);
    }
    out.at = to;
  }

  private restoreRange(row: number, range: number, from: StateReader): void {
    const length = from.wordWithin(0, this.words[row + MAX_BUCKETS_OF] + 1);
    if (length === 0) return;
    const low = from.wordWithin(EMPTY_HIGH, EMPTY_LOW - length);
    this.enlarge(range, length);
    this.words[range + LOW] = low;
    this.words[range + HIGH] = low + length - 1;
    const block = this.words[range + BLOCK];
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const mask = this.words[range + SIZE] - 1;
    for (let i = 0; i < length; i++) {
      const count = from.varint();
      if (count !== 0) counts[offset + ((low + i) & mask)] = count;
      else i += from.varint();
      if (i >= length) from.fail("more buckets than there are");
    }
  }

  /** Bytes that `putFields` writes at most. */
  fieldBytes(handle: number): number {
    const row = handle * ROW_WORDS;
    return FIXED_BYTES + this.bucketBytes(row + POSITIVE) + this.bucketBytes(row + NEGATIVE);
  }

  /**
   * Writes what an ExponentialHistogramDataPoint says of the values: `count`, `sum`, `scale`,
   * `zero_count`, `positive`, `negative`, `min` and `max`.
   *
   * @param view Of the same memory as `out`, from the same byte on.
   * @param omitSum For instruments that record negative values, whose sums the specification
   * leaves out.
   * @returns The position behind what was written.
   */
  putFields(
    handle: number,
    out: Uint8Array,
    view: DataView,
    to: number,
    omitMinMax: boolean,
    omitSum: boolean = false,
  ): number {
    const { doubles } = this;
    const first = handle * ROW_DOUBLES;
    const row = handle * ROW_WORDS;
    const hasValues = doubles[first + COUNT] !== 0;
    if (hasValues) to = putFixed64(out, view, to, TAGS.count, doubles, first + COUNT);
    if (!omitSum) to = putDouble(out, view, to, TAGS.sum, doubles, first + SUM);
    const scale = this.words[row + SCALE];
    if (scale !== 0) {
      out[to] = TAGS.scale;
      to = putVarint(out, to + 1, zigzag(scale));
    }
    if (doubles[first + ZERO_COUNT] !== 0) {
      to = putFixed64(out, view, to, TAGS.zeroCount, doubles, first + ZERO_COUNT);
    }
    to = this.putBuckets(row + POSITIVE, out, to, TAGS.positive);
    to = this.putBuckets(row + NEGATIVE, out, to, TAGS.negative);
    if (omitMinMax || !hasValues) return to;
    to = putDouble(out, view, to, TAGS.min, doubles, first + MIN);
    return putDouble(out, view, to, TAGS.max, doubles, first + MAX);
  }

  /** Adds `number`. */
  private add(handle: number): void {
    const { doubles } = this;
    const first = handle * ROW_DOUBLES;
    const value = number[0];
    if (value === 0) doubles[first + ZERO_COUNT]++;
    else this.addToBucket(handle * ROW_WORDS);
    doubles[first + COUNT]++;
    doubles[first + SUM] += value;
    if (value < doubles[first + MIN]) doubles[first + MIN] = value;
    if (value > doubles[first + MAX]) doubles[first + MAX] = value;
  }

  private addToBucket(row: number): void {
    const columns = this.words;
    const range = words[1] >= 0 ? row + POSITIVE : row + NEGATIVE;
    let low = words[0];
    let high = words[1] & 0x7fffffff;
    // Values up to 2^-1024, up to 1 and above are three buckets at every scale there is. Where there
    // are two, subnormal values are rounded to the nearest that is not, as the specification allows.
    if (high < SMALLEST_NORMAL && columns[row + MAX_BUCKETS_OF] === MIN_BUCKETS) {
      low = 0;
      high = SMALLEST_NORMAL;
    }
    let index = bucketIndexOfWords(low, high, columns[row + SCALE]);
    if (index < columns[range + LOW] || index > columns[range + HIGH]) {
      index = this.include(row, range, index);
    }
    const block = columns[range + BLOCK];
    const at = offsetOf(block) + (index & (columns[range + SIZE] - 1));
    this.counts.chunks[chunkOf(block)][at]++;
  }

  /** Makes the window of a range reach to a bucket outside it; the bucket's index at the new scale. */
  private include(row: number, range: number, index: number): number {
    const columns = this.words;
    const isEmpty = columns[range + LOW] > columns[range + HIGH];
    let low = isEmpty ? index : Math.min(index, columns[range + LOW]);
    let high = isEmpty ? index : Math.max(index, columns[range + HIGH]);
    const last = columns[row + MAX_BUCKETS_OF] - 1;
    let steps = 0;
    while (high - low > last) {
      low >>= 1;
      high >>= 1;
      steps++;
    }
    if (steps > 0) {
      this.coarsen(row + POSITIVE, steps);
      this.coarsen(row + NEGATIVE, steps);
      columns[row + SCALE] -= steps;
    }
    if (high - low >= columns[range + SIZE]) this.enlarge(range, high - low + 1);
    columns[range + LOW] = low;
    columns[range + HIGH] = high;
    return index >> steps;
  }

  /** Joins each 2^steps neighbours of a range. */
  private coarsen(range: number, steps: number): void {
    const low = this.words[range + LOW];
    const length = this.takeCounts(range);
    if (length === 0) return;
    const block = this.words[range + BLOCK];
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const mask = this.words[range + SIZE] - 1;
    for (let i = 0; i < length; i++) {
      counts[offset + (((low + i) >> steps) & mask)] += this.scratch[i];
    }
    this.words[range + LOW] = low >> steps;
    this.words[range + HIGH] = (low + length - 1) >> steps;
  }

  /** Moves a range to a block for so many buckets. */
  private enlarge(range: number, buckets: number): void {
    const blockClass = classFor(buckets, SMALLEST);
    // First of all, since it may fail.
    const block = this.counts.allocate(blockClass);
    const low = this.words[range + LOW];
    const length = this.takeCounts(range);
    this.releaseCounts(range);
    const size = SMALLEST << blockClass;
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    for (let i = 0; i < length; i++) {
      counts[offset + ((low + i) & (size - 1))] = this.scratch[i];
    }
    this.words[range + BLOCK] = block;
    this.words[range + SIZE] = size;
  }

  /** Moves the counts of a range to the scratch and leaves zeros; how many they are. */
  private takeCounts(range: number): number {
    const low = this.words[range + LOW];
    const length = this.words[range + HIGH] - low + 1;
    if (length <= 0) return 0;
    const block = this.words[range + BLOCK];
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const mask = this.words[range + SIZE] - 1;
    for (let i = 0; i < length; i++) {
      const at = offset + ((low + i) & mask);
      this.scratch[i] = counts[at];
      counts[at] = 0;
    }
    return length;
  }

  private releaseCounts(range: number): void {
    const size = this.words[range + SIZE];
    if (size !== 0) this.counts.release(this.words[range + BLOCK], classFor(size, SMALLEST));
  }

  private clear(handle: number): void {
    const first = handle * ROW_DOUBLES;
    this.doubles.fill(0, first, first + ZERO_COUNT + 1);
    this.doubles[first + MIN] = Infinity;
    this.doubles[first + MAX] = -Infinity;
    const row = handle * ROW_WORDS;
    this.words[row + SCALE] = this.words[row + MAX_SCALE_OF];
    this.words[row + POSITIVE + LOW] = EMPTY_LOW;
    this.words[row + POSITIVE + HIGH] = EMPTY_HIGH;
    this.words[row + NEGATIVE + LOW] = EMPTY_LOW;
    this.words[row + NEGATIVE + HIGH] = EMPTY_HIGH;
  }

  private bucketBytes(range: number): number {
    const buckets = this.words[range + HIGH] - this.words[range + LOW] + 1;
    return buckets <= 0 ? 0 : BUCKETS_HEAD_BYTES + buckets * COUNT_BYTES;
  }

  private putBuckets(range: number, out: Uint8Array, to: number, fieldTag: number): number {
    const low = this.words[range + LOW];
    const high = this.words[range + HIGH];
    if (low > high) return to;
    const block = this.words[range + BLOCK];
    const counts = this.counts.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const mask = this.words[range + SIZE] - 1;
    let countsLength = 0;
    for (let i = low; i <= high; i++) {
      const count = counts[offset + (i & mask)];
      countsLength += count < 0x80 ? 1 : longBytes(count);
    }
    const start = zigzag(low);
    const startLength = low === 0 ? 0 : 1 + longBytes(start);
    out[to] = fieldTag;
    to = putVarint(out, to + 1, startLength + 1 + varintBytes(countsLength) + countsLength);
    if (low !== 0) {
      out[to] = TAGS.offset;
      to = putLong(out, to + 1, start);
    }
    out[to] = TAGS.bucketCounts;
    to = putVarint(out, to + 1, countsLength);
    for (let i = low; i <= high; i++) {
      const count = counts[offset + (i & mask)];
      if (count < 0x80) out[to++] = count;
      else to = putLong(out, to, count);
    }
    return to;
  }
}

const TAGS = {
  count: tag(OtlpExponentialPoint.count, FIXED64),
  sum: tag(OtlpExponentialPoint.sum, FIXED64),
  scale: tag(OtlpExponentialPoint.scale, VARINT),
  zeroCount: tag(OtlpExponentialPoint.zeroCount, FIXED64),
  positive: tag(OtlpExponentialPoint.positive, BYTES),
  negative: tag(OtlpExponentialPoint.negative, BYTES),
  min: tag(OtlpExponentialPoint.min, FIXED64),
  max: tag(OtlpExponentialPoint.max, FIXED64),
  offset: tag(OtlpBuckets.offset, VARINT),
  bucketCounts: tag(OtlpBuckets.bucketCounts, BYTES),
} as const;

/** Five fields of 8 bytes and the scale. */
const FIXED_BYTES = 5 * 9 + 2;
/** Tag and length of a range, of its offset and of its counts. */
const BUCKETS_HEAD_BYTES = 3 * 6;
/** A count of up to 2^53. */
const COUNT_BYTES = 8;

/** The nearest number of a range, and its first one for what is no number. */
function within(value: number, first: number, last: number): number {
  return value >= first ? Math.min(value, last) : first;
}

// The numbers of points come by column and row: as arguments, V8 could put them on its heap.

function putFixed64(
  out: Uint8Array,
  view: DataView,
  to: number,
  fieldTag: number,
  column: Float64Array,
  row: number,
): number {
  const value = column[row];
  out[to] = fieldTag;
  view.setUint32(to + 1, value >>> 0, true);
  view.setUint32(to + 5, Math.floor(value / 2 ** 32), true);
  return to + 9;
}

function putDouble(
  out: Uint8Array,
  view: DataView,
  to: number,
  fieldTag: number,
  column: Float64Array,
  row: number,
): number {
  out[to] = fieldTag;
  view.setFloat64(to + 1, column[row], true);
  return to + 9;
}

/** How a sint32 travels: 0 up to 2^32 - 1. */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

/** Bytes of a varint of 0 up to 2^53. */
function longBytes(value: number): number {
  let bytes = 0;
  while (value > 0x7fffffff) {
    value = Math.floor(value / 128);
    bytes++;
  }
  return bytes + varintBytes(value);
}

/** Writes a varint of 0 up to 2^53. */
function putLong(out: Uint8Array, to: number, value: number): number {
  while (value > 0x7fffffff) {
    out[to++] = (value & 0x7f) | 0x80;
    value = Math.floor(value / 128);
  }
  return putVarint(out, to, value);
}
