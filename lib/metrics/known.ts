/**
 * Measurements that look like ones before: from the bytes of a record's attributes straight to its
 * series.
 *
 * @module
 */
import { type Bytes, copyBytes, createBytes } from "../record/bytes.ts";
import { NO_SERIES, ROW_WORDS, type SeriesPool, USE } from "./series.ts";

/** What is remembered of one file; beyond it remembering starts over. */
const MAX_ENTRIES = 1 << 20;
const MAX_BYTES = 128 << 20;
/** Longer attributes are looked up each time. */
const MAX_LENGTH = 4096;

// Words of an entry.
const METRIC = 0;
const START = 1;
const LENGTH = 2;
const SERIES = 3;
const USE_OF = 4;
const HASH = 5;
const ENTRY_WORDS = 6;

/** What one file's records were found to belong to. */
export class KnownRecords {
  private entries = new Int32Array(ENTRY_WORDS * 64);
  private count = 0;
  /** Entry plus 1 by hash. */
  private table = new Int32Array(128);
  private bytes = createBytes(4096);
  private used = 0;

  /** The series of a record, NO_SERIES where it is not known. */
  find(
    series: SeriesPool,
    metricRef: number,
    from: Bytes,
    start: number,
    end: number,
    hash: number,
  ): number {
    const { table, entries } = this;
    const mask = table.length - 1;
    const length = end - start;
    for (let at = hash & mask;; at = (at + 1) & mask) {
      const entry = table[at];
      if (entry === 0) return NO_SERIES;
      const word = (entry - 1) * ENTRY_WORDS;
      if (
        entries[word + HASH] === hash && entries[word + METRIC] === metricRef &&
        entries[word + LENGTH] === length &&
        isSame(this.bytes, entries[word + START], from, start, length)
      ) {
        const found = entries[word + SERIES];
        if (series.words[found * ROW_WORDS + USE] === entries[word + USE_OF]) return found;
        // Gone: the next look-up says which one it is now.
        return NO_SERIES;
      }
    }
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
    const use = series.words[found * ROW_WORDS + USE];
    const known = this.entryOf(metricRef, from, start, length, hash);
    if (known >= 0) {
      this.entries[known + SERIES] = found;
      this.entries[known + USE_OF] = use;
      return;
    }
    if (this.count === MAX_ENTRIES || this.used + length > MAX_BYTES) this.clear();
    const word = this.count * ENTRY_WORDS;
    if (word === this.entries.length) {
      const grown = new Int32Array(this.entries.length * 2);
      grown.set(this.entries);
      this.entries = grown;
    }
    if (this.used + length > this.bytes.u8.length - 8) {
      const grown = createBytes(Math.max(this.bytes.u8.length * 2, this.used + length));
      grown.u8.set(this.bytes.u8.subarray(0, this.used));
      this.bytes = grown;
    }
    copyBytes(from, start, length, this.bytes, this.used);
    this.entries[word + METRIC] = metricRef;
    this.entries[word + START] = this.used;
    this.entries[word + LENGTH] = length;
    this.entries[word + SERIES] = found;
    this.entries[word + USE_OF] = use;
    this.entries[word + HASH] = hash;
    this.used += length;
    this.count++;
    if (this.count * 2 > this.table.length) this.rehash();
    else this.place(this.count);
  }

  private entryOf(
    metricRef: number,
    from: Bytes,
    start: number,
    length: number,
    hash: number,
  ): number {
    const { table, entries } = this;
    const mask = table.length - 1;
    for (let at = hash & mask;; at = (at + 1) & mask) {
      const entry = table[at];
      if (entry === 0) return -1;
      const word = (entry - 1) * ENTRY_WORDS;
      if (
        entries[word + HASH] === hash && entries[word + METRIC] === metricRef &&
        entries[word + LENGTH] === length &&
        isSame(this.bytes, entries[word + START], from, start, length)
      ) return word;
    }
  }

  private clear(): void {
    this.count = 0;
    this.used = 0;
    this.table.fill(0);
  }

  private place(entry: number): void {
    const mask = this.table.length - 1;
    let at = this.entries[(entry - 1) * ENTRY_WORDS + HASH] & mask;
    while (this.table[at] !== 0) at = (at + 1) & mask;
    this.table[at] = entry;
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2);
    for (let entry = 1; entry <= this.count; entry++) this.place(entry);
  }
}

/** A hash of a metric and bytes, four at a time. */
export function hashOfRecord(metricRef: number, from: Bytes, start: number, end: number): number {
  const { view, u8 } = from;
  let hash = Math.imul(metricRef, 0x9e3779b1);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ u8[at], 0x01000193);
  return hash ^ (hash >>> 13);
}

function isSame(a: Bytes, aStart: number, b: Bytes, bStart: number, length: number): boolean {
  const first = a.view;
  const second = b.view;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    if (first.getInt32(aStart + i, true) !== second.getInt32(bStart + i, true)) return false;
  }
  for (; i < length; i++) if (a.u8[aStart + i] !== b.u8[bStart + i]) return false;
  return true;
}
