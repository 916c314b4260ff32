/**
 * Series: the state of one attribute set of a stream, in rows of typed arrays.
 *
 * @module
 */
import type { Bytes } from "../record/bytes.ts";
import { Blocks, chunkOf, classFor, grown, Handles, offsetOf } from "./blocks.ts";

/** No series. */
export const NO_SERIES = -1;

// A row has 11 doubles or 22 words. Words:
/** The next series of the stream. */
export const NEXT = 0;
/** Counts up when the row is given to another series. */
export const USE = 1;
/** Where its points start: low and high 32 bits of ns. */
export const START = 2;
/** Its last measurement. */
export const TIME = 4;
/** Block of its attributes, their bytes, and their hash with the stream. */
export const ATTRIBUTES = 6;
export const ATTRIBUTE_BYTES = 7;
export const HASH = 8;
/** Index of the stream; GONE in a row that nobody has. */
export const STREAM = 9;
const GONE = -1;
/** Measured since the last collection (1), else minus the collections it was not. */
export const MEASURED = 10;
/** Block of the buckets, or handle of the exponential histogram. */
export const BUCKETS = 11;
/** Handle of the exemplars plus 1; 0 for none. */
export const EXEMPLARS = 12;
/** The sum or last value of integers, low and high 32 bits; as a double it is `VALUE`. */
export const INT = 14;
/** Of gauges: the file of the last measurement. The same memory as `COUNT`. */
export const FILE = 16;
export const ROW_WORDS = 22;
// Doubles:
export const VALUE = 7;
/** Of histograms: how many values, the least and the greatest. Of absolute sums: the last one. */
export const COUNT = 8;
export const MIN = 9;
export const MAX = 10;
export const ABSOLUTE = 9;
export const ROW_DOUBLES = 11;

/** Words of attributes in a block of class 0. */
const SMALLEST_ATTRIBUTES = 4;
const SMALLEST_BUCKETS = 4;

/** All series of all streams, found by stream and attributes. */
export class SeriesPool {
  doubles: Float64Array = new Float64Array(64 * ROW_DOUBLES);
  /** The same memory. */
  words: Int32Array = new Int32Array(this.doubles.buffer);
  /** Counts of explicit histograms. */
  readonly buckets: Blocks<Float64Array> = new Blocks(
    (elements) => new Float64Array(elements),
    SMALLEST_BUCKETS,
  );
  /** Attributes, as fields of points; the last word is filled up with zeros. */
  readonly attributes: Blocks<Int32Array> = new Blocks(
    (elements) => new Int32Array(elements),
    SMALLEST_ATTRIBUTES,
  );
  /** Series there are. */
  count = 0;

  private readonly rows = new Handles();
  /** Series plus 1 by hash; 0 for none, -1 for one that is gone. */
  private table = new Int32Array(256);
  private used = 0;

  /** The series of a stream with these attributes; NO_SERIES where there is none. */
  find(stream: number, bytes: Bytes, length: number, hash: number): number {
    const { table, words } = this;
    const mask = table.length - 1;
    for (let at = hash & mask;; at = (at + 1) & mask) {
      const entry = table[at];
      if (entry === 0) return NO_SERIES;
      if (entry < 0) continue;
      const row = (entry - 1) * ROW_WORDS;
      if (
        words[row + HASH] === hash && words[row + STREAM] === stream &&
        words[row + ATTRIBUTE_BYTES] === length && this.hasBytes(row, bytes, length)
      ) return entry - 1;
    }
  }

  /** A new series, all zeros but for its place in the table. */
  add(stream: number, bytes: Bytes, length: number, hash: number): number {
    if ((this.used + 1) * 2 > this.table.length) this.rehash();
    const series = this.rows.following;
    if (series * ROW_DOUBLES === this.doubles.length) {
      this.doubles = grown(this.doubles, this.doubles.length * 2);
      this.words = new Int32Array(this.doubles.buffer);
    }
    // The last that may fail.
    const block = length > 0
      ? this.attributes.allocate(classFor(wordsOf(length), SMALLEST_ATTRIBUTES))
      : 0;
    const row = series * ROW_WORDS;
    const { words } = this;
    const use = words[row + USE];
    // For so few, `fill` costs more.
    for (let i = row; i < row + ROW_WORDS; i++) words[i] = 0;
    words[row + USE] = use + 1;
    words[row + NEXT] = NO_SERIES;
    words[row + STREAM] = stream;
    words[row + HASH] = hash;
    words[row + ATTRIBUTE_BYTES] = length;
    if (length > 0) {
      const own = this.attributes.chunks[chunkOf(block)];
      const offset = offsetOf(block);
      for (let i = 0; i < length; i += 4) own[offset + (i >> 2)] = wordAt(bytes, i, length);
      words[row + ATTRIBUTES] = block;
    }
    this.rows.take();
    this.place(series, hash);
    this.count++;
    return series;
  }

  /** Forgets a series; what its buckets are is the caller's to give back. */
  remove(series: number): void {
    const row = series * ROW_WORDS;
    const length = this.words[row + ATTRIBUTE_BYTES];
    if (length > 0) {
      const blockClass = classFor(wordsOf(length), SMALLEST_ATTRIBUTES);
      this.attributes.release(this.words[row + ATTRIBUTES], blockClass);
    }
    const mask = this.table.length - 1;
    let at = this.words[row + HASH] & mask;
    while (this.table[at] !== series + 1) at = (at + 1) & mask;
    this.table[at] = -1;
    // Whoever remembers the series finds that it is another one.
    this.words[row + USE]++;
    this.words[row + STREAM] = GONE;
    this.rows.give(series);
    this.count--;
  }

  /** Words at both ends of a row and between, so that the whole row has been looked at. */
  endsOf(series: number): number {
    const { words } = this;
    const row = series * ROW_WORDS;
    return words[row] ^ words[row + BUCKETS] ^ words[row + ROW_WORDS - 1];
  }

  /** Zeros for the buckets of an explicit histogram. */
  allocateBuckets(buckets: number): number {
    return this.buckets.allocate(classFor(buckets, SMALLEST_BUCKETS));
  }

  /** Gives them back. */
  releaseBuckets(block: number, buckets: number): void {
    this.buckets.release(block, classFor(buckets, SMALLEST_BUCKETS));
  }

  private hasBytes(row: number, bytes: Bytes, length: number): boolean {
    if (length === 0) return true;
    const block = this.words[row + ATTRIBUTES];
    const own = this.attributes.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    for (let i = 0; i < length; i += 4) {
      if (own[offset + (i >> 2)] !== wordAt(bytes, i, length)) return false;
    }
    return true;
  }

  private place(series: number, hash: number): void {
    const mask = this.table.length - 1;
    let at = hash & mask;
    while (this.table[at] > 0) at = (at + 1) & mask;
    if (this.table[at] === 0) this.used++;
    this.table[at] = series + 1;
  }

  private rehash(): void {
    const { length } = this.table;
    const isFull = (this.count + 1) * 4 > length;
    this.table = new Int32Array(isFull ? length * 2 : length);
    this.used = 0;
    // In the order of their rows, not of the table: memory is read faster that way.
    for (let series = 0; series < this.rows.end; series++) {
      const row = series * ROW_WORDS;
      if (this.words[row + STREAM] !== GONE) this.place(series, this.words[row + HASH]);
    }
  }
}

function wordsOf(bytes: number): number {
  return (bytes + 3) >> 2;
}

/** The word at byte `at`, zeros from byte `length` on. */
function wordAt(bytes: Bytes, at: number, length: number): number {
  const word = bytes.view.getInt32(at, true);
  return length - at >= 4 ? word : word & ((1 << (8 * (length - at))) - 1);
}

// Where hashes start: chosen anew by each process, so that nobody can prepare colliding attributes.
const seed = Math.floor(Math.random() * 0x7fffffff);

/** A hash of a stream and bytes. */
export function hashOf(stream: number, u8: Uint8Array, length: number): number {
  let hash = Math.imul((stream + 1) ^ seed, 0x9e3779b1);
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ u8[i], 0x01000193);
  return hash ^ (hash >>> 15);
}
