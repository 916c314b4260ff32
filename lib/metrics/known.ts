/**
 * Measurements that look like ones before: from the bytes of a record's attributes straight to its
 * series, of which it has one in each stream of its instrument.
 *
 * @module
 */
import { type Cache, CacheBudget } from "../dictionary/budget.ts";
import { ROW_WORDS, type SeriesPool, USE } from "./series.ts";

/**
 * What is remembered of one file, in words; beyond it remembering starts over. Enough for the series
 * of a hundred full streams, and not filled by more than these unless attributes are left out.
 */
const MAX_WORDS = 8 << 20;
/** Longer attributes are looked up each time. Bytes. */
const MAX_LENGTH = 4096;

// An entry is a few words and the attributes, side by side: with many series, what is far apart is
// as slow as memory is.
const HASH = 0;
const METRIC = 1;
const LENGTH = 2;
/** How many series, and then two words for each: which, and its `USE`. */
const COUNT = 3;
const SERIES = 4;

/** No entry. */
export const UNKNOWN = 0;

// Where hashes start: chosen anew by each process, so that nobody can prepare colliding records.
const seed = Math.floor(Math.random() * 0x7fffffff);

const LEAST_WORDS = 1024;
const LEAST_PLACES = 128;
/** What is remembered of the records of all files, bytes. */
export const recordCaches: CacheBudget = new CacheBudget(256 << 20);

/** What one file's records were found to belong to. */
export class KnownRecords implements Cache {
  private words = new Int32Array(LEAST_WORDS);
  /** Words in use; the first stays empty. */
  private used = 1;
  private count = 0;
  /** Where entries are by hash; 0 for none. */
  private table = new Int32Array(LEAST_PLACES);
  private isCounted = false;

  /**
   * The entry of a record whose attributes are `length` bytes of `from`, from its word `first` on.
   * UNKNOWN where there is none or one of its series is gone.
   */
  find(
    series: SeriesPool,
    metricRef: number,
    from: Int32Array,
    first: number,
    length: number,
    hash: number,
  ): number {
    const entry = this.entryOf(metricRef, from, first, length, hash);
    if (entry === UNKNOWN) return UNKNOWN;
    const { words } = this;
    const last = entry + SERIES + 2 * words[entry + COUNT];
    for (let at = entry + SERIES; at < last; at += 2) {
      // Gone: the next look-up says which one it is now.
      if (series.words[words[at] * ROW_WORDS + USE] !== words[at + 1]) return UNKNOWN;
    }
    return entry;
  }

  /** Most likely the entry of records with this hash: where `find` begins. */
  guess(hash: number): number {
    return this.table[hash & (this.table.length - 1)];
  }

  /** The last word of an entry. */
  lastOf(entry: number): number {
    const { words } = this;
    return words[entry + wordsOf(words[entry + COUNT], words[entry + LENGTH]) - 1];
  }

  /** How many series an entry has. */
  countOf(entry: number): number {
    return this.words[entry + COUNT];
  }

  /** One of them. */
  seriesOf(entry: number, i: number): number {
    return this.words[entry + SERIES + 2 * i];
  }

  /** Remembers the series of a record, one in each stream of the metric. */
  add(
    series: SeriesPool,
    metricRef: number,
    from: Int32Array,
    first: number,
    length: number,
    hash: number,
    found: readonly number[],
  ): void {
    if (length > MAX_LENGTH) return;
    const size = wordsOf(found.length, length);
    if (this.used + size > MAX_WORDS) this.startOver();
    if (this.used + size > this.words.length) this.askForRoom(size);
    let entry = this.entryOf(metricRef, from, first, length, hash);
    if (entry === UNKNOWN) {
      entry = this.append(found.length, length);
      const { words } = this;
      words[entry + HASH] = hash;
      words[entry + METRIC] = metricRef;
      words[entry + LENGTH] = length;
      words[entry + COUNT] = found.length;
      const attributes = entry + SERIES + 2 * found.length;
      for (let i = 0; 4 * i < length; i++) {
        words[attributes + i] = wordAt(from, first + i, length - 4 * i);
      }
      this.count++;
      if (this.count * 2 > this.table.length) this.rehash();
      else this.place(entry);
    }
    for (let i = 0; i < found.length; i++) {
      this.words[entry + SERIES + 2 * i] = found[i];
      this.words[entry + SERIES + 2 * i + 1] = series.words[found[i] * ROW_WORDS + USE];
    }
  }

  private entryOf(
    metricRef: number,
    from: Int32Array,
    first: number,
    length: number,
    hash: number,
  ): number {
    const { table, words } = this;
    const mask = table.length - 1;
    for (let at = hash & mask;; at = (at + 1) & mask) {
      const entry = table[at];
      if (entry === UNKNOWN) return UNKNOWN;
      if (
        words[entry + HASH] === hash && words[entry + METRIC] === metricRef &&
        words[entry + LENGTH] === length &&
        isSame(words, entry + SERIES + 2 * words[entry + COUNT], from, first, length)
      ) return entry;
    }
  }

  /** Bytes of all that is remembered. */
  get bytes(): number {
    return 4 * (this.words.length + this.table.length);
  }

  /** Forgets what is remembered. */
  startOver(): void {
    this.used = 1;
    this.count = 0;
    this.words = new Int32Array(LEAST_WORDS);
    this.table = new Int32Array(LEAST_PLACES);
  }

  /** Before it becomes larger: others may have to become smaller, or this one. */
  private askForRoom(words: number): void {
    if (!this.isCounted) recordCaches.add(this);
    this.isCounted = true;
    recordCaches.grow(4 * Math.max(this.words.length, words));
  }

  /** Room for one more entry. */
  private append(series: number, length: number): number {
    const words = wordsOf(series, length);
    if (this.used + words > this.words.length) {
      const grown = new Int32Array(Math.max(this.words.length * 2, this.used + words));
      grown.set(this.words);
      this.words = grown;
    }
    const entry = this.used;
    this.used += words;
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
      entry += wordsOf(this.words[entry + COUNT], this.words[entry + LENGTH]);
    }
  }
}

/** Words of an entry. */
function wordsOf(series: number, length: number): number {
  return SERIES + 2 * series + ((length + 3) >> 2);
}

/** A hash of a metric and `length` bytes of attributes, from the word `first` of `from` on. */
export function hashOfRecord(
  metricRef: number,
  from: Int32Array,
  first: number,
  length: number,
): number {
  let hash = Math.imul(metricRef ^ seed, 0x9e3779b1);
  const whole = first + (length >> 2);
  for (let at = first; at < whole; at++) {
    hash = Math.imul(hash ^ from[at], 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  const rest = length & 3;
  if (rest > 0) hash = Math.imul(hash ^ wordAt(from, whole, rest), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

function isSame(
  words: Int32Array,
  at: number,
  from: Int32Array,
  first: number,
  length: number,
): boolean {
  const whole = length >> 2;
  for (let i = 0; i < whole; i++) if (words[at + i] !== from[first + i]) return false;
  const rest = length & 3;
  return rest === 0 || words[at + whole] === wordAt(from, first + whole, rest);
}

/** A word, with zeros for what is behind its first `rest` bytes. */
function wordAt(from: Int32Array, at: number, rest: number): number {
  return rest >= 4 ? from[at] : from[at] & ((1 << (8 * rest)) - 1);
}
