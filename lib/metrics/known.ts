/**
 * Measurements that look like ones before: from the bytes of a record's attributes straight to its
 * series.
 *
 * @module
 */
import type { Bytes } from "../record/bytes.ts";
import { NO_SERIES, ROW_WORDS, type SeriesPool, USE } from "./series.ts";

/** What is remembered of one file, in words; beyond it remembering starts over. */
const MAX_WORDS = 32 << 20;
/** Longer attributes are looked up each time. Bytes. */
const MAX_LENGTH = 4096;

// An entry is a few words and the attributes, side by side: with many series, what is far apart is
// as slow as memory is.
const HASH = 0;
const METRIC = 1;
const LENGTH = 2;
const SERIES = 3;
const USE_OF = 4;
const ATTRIBUTES = 5;

/** What one file's records were found to belong to. */
export class KnownRecords {
  private words = new Int32Array(1024);
  /** Words in use; the first stays empty. */
  private used = 1;
  private count = 0;
  /** Where entries are by hash; 0 for none. */
  private table = new Int32Array(128);

  /** The series of a record, NO_SERIES where it is not known. */
  find(
    series: SeriesPool,
    metricRef: number,
    from: Bytes,
    start: number,
    end: number,
    hash: number,
  ): number {
    const entry = this.entryOf(metricRef, from, start, end - start, hash);
    if (entry === 0) return NO_SERIES;
    const found = this.words[entry + SERIES];
    // Gone: the next look-up says which one it is now.
    return series.words[found * ROW_WORDS + USE] === this.words[entry + USE_OF] ? found : NO_SERIES;
  }

  /** Remembers the series of a record. */
  add(
    series: SeriesPool,
    metricRef: number,
    from: Bytes,
    start: number,
    end: number,
    hash: number,
    found: number,
  ): void {
    const length = end - start;
    if (length > MAX_LENGTH) return;
    let entry = this.entryOf(metricRef, from, start, length, hash);
    if (entry === 0) {
      entry = this.append(length);
      const { words } = this;
      words[entry + HASH] = hash;
      words[entry + METRIC] = metricRef;
      words[entry + LENGTH] = length;
      for (let i = 0; i < length; i += 4) {
        words[entry + ATTRIBUTES + (i >> 2)] = wordAt(from, start + i, length - i);
      }
      this.count++;
      if (this.count * 2 > this.table.length) this.rehash();
      else this.place(entry);
    }
    this.words[entry + SERIES] = found;
    this.words[entry + USE_OF] = series.words[found * ROW_WORDS + USE];
  }

  /** Where the entry of a record is, 0 for none. */
  private entryOf(
    metricRef: number,
    from: Bytes,
    start: number,
    length: number,
    hash: number,
  ): number {
    const { table, words } = this;
    const mask = table.length - 1;
    for (let at = hash & mask;; at = (at + 1) & mask) {
      const entry = table[at];
      if (entry === 0) return 0;
      if (
        words[entry + HASH] === hash && words[entry + METRIC] === metricRef &&
        words[entry + LENGTH] === length && isSame(words, entry + ATTRIBUTES, from, start, length)
      ) return entry;
    }
  }

  /** Room for one more entry. */
  private append(length: number): number {
    const bytes = ATTRIBUTES + ((length + 3) >> 2);
    if (this.used + bytes > MAX_WORDS) {
      this.used = 1;
      this.count = 0;
      this.table.fill(0);
    }
    if (this.used + bytes > this.words.length) {
      const grown = new Int32Array(Math.max(this.words.length * 2, this.used + bytes));
      grown.set(this.words);
      this.words = grown;
    }
    const entry = this.used;
    this.used += bytes;
    return entry;
  }

  private place(entry: number): void {
    const mask = this.table.length - 1;
    let at = this.words[entry + HASH] & mask;
    while (this.table[at] !== 0) at = (at + 1) & mask;
    this.table[at] = entry;
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2);
    for (let entry = 1; entry < this.used;) {
      this.place(entry);
      entry += ATTRIBUTES + ((this.words[entry + LENGTH] + 3) >> 2);
    }
  }
}

/** A hash of a metric and bytes, four at a time. */
export function hashOfRecord(metricRef: number, from: Bytes, start: number, end: number): number {
  const { view } = from;
  let hash = Math.imul(metricRef, 0x9e3779b1);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  if (at < end) hash = Math.imul(hash ^ wordAt(from, at, end - at), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

function isSame(
  words: Int32Array,
  first: number,
  from: Bytes,
  start: number,
  length: number,
): boolean {
  const { view } = from;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    if (words[first + (i >> 2)] !== view.getInt32(start + i, true)) return false;
  }
  return i === length || words[first + (i >> 2)] === wordAt(from, start + i, length - i);
}

/** The word at a byte, with zeros for what is behind the last `rest` bytes. */
function wordAt({ view }: Bytes, at: number, rest: number): number {
  const word = view.getInt32(at, true);
  return rest >= 4 ? word : word & ((1 << (8 * rest)) - 1);
}
