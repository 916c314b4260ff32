/**
 * What became of the records of a ring, counted in the file by whoever reads it: delivered, torn,
 * rejected by reason. The words are there twice. A reader fills the copy that does not count, says in
 * it how many released records it belongs to, and then stores the reader_index that says so: a reader
 * killed between any two of these stores leaves counters that fit the reader_index it left. What a
 * writer has discarded is not released: its swaps change nothing about which copy counts.
 *
 * @module
 */
import {
  EXT_READ,
  READ_COPIES,
  READ_DELIVERED,
  READ_REJECTED,
  READ_RELEASED,
  READ_TORN,
  READ_WORDS,
  REJECT_REASONS,
} from "../format/layout.ts";
import type { FileViews } from "./write.ts";

/** Bad records that are remembered by their sequence; of more only the number is. */
const MAX_REMEMBERED = 1 << 16;

/** The counters of one ring. Only for the process that holds `FILE.reader`. */
export interface ReadCounts {
  readonly file: FileViews;
  readonly ring: number;
  /** By word, `READ_*`: what the file says of all that was released. */
  readonly words: number[];
  /** Records that are torn or rejected and not released: sequence to word. */
  readonly bad: Map<number, number>;
  /** By word: more of these, whose sequence is not known. */
  readonly more: number[];
}

/** First word of a copy, as an index of 64-bit words. */
function wordOf(ring: number, copy: number): number {
  return EXT_READ / 8 + (ring * READ_COPIES + copy) * READ_WORDS;
}

/** How many released records a copy belongs to. */
function releasedOf(file: FileViews, ring: number, copy: number): number {
  // Pairs with the store of the reader: the counters of this copy are there.
  return Number(Atomics.load(file.i64, wordOf(ring, copy) + READ_RELEASED));
}

/**
 * Which copy counts while readers have released `released` records: the one that belongs to the most records
 * of those that belong to no more. A version 1 reader may have gone on without counting.
 */
export function currentCopy(file: FileViews, ring: number, released: number): number {
  let current = 0;
  let best = -Infinity;
  for (let copy = 0; copy < READ_COPIES; copy++) {
    const of = releasedOf(file, ring, copy);
    // Where both belong to more, that which belongs to the least.
    const rank = of <= released ? of : -of;
    if (rank > best) {
      current = copy;
      best = rank;
    }
  }
  return current;
}

/**
 * The counters that count while readers have released `released` records, by word.
 *
 * After a loss of power they may be of a later moment than reader_index, which is on another page: both copies
 * may belong to more records. The rest of these will be read, and counted, again, so that many are taken off
 * each counter: what remains was counted before, whatever it was that came last.
 */
export function readCounts(file: FileViews, ring: number, released: number): number[] {
  const first = wordOf(ring, currentCopy(file, ring, released));
  const words: number[] = [];
  let counted = 0;
  for (let word = 0; word < READ_REJECTED + REJECT_REASONS; word++) {
    words.push(Number(file.i64[first + word]));
    if (word >= READ_DELIVERED) counted += words[word];
  }
  const more = Math.max(words[READ_RELEASED], counted) - released;
  if (more <= 0) return words;
  return words.map((count) => Math.max(0, count - more));
}

/** Goes on counting where the last reader of the file stopped. */
export function openCounts(file: FileViews, ring: number, released: number): ReadCounts {
  const words = readCounts(file, ring, released);
  return { file, ring, words, bad: new Map(), more: words.map(() => 0) };
}

/**
 * Notes that a record is torn (`READ_TORN`) or rejected (`READ_REJECTED + REJECT_*`), to be counted
 * when it is released. False when that is known already.
 */
export function noteBad(counts: ReadCounts, sequence: number, word: number): boolean {
  if (counts.bad.has(sequence)) return false;
  if (counts.bad.size < MAX_REMEMBERED) counts.bad.set(sequence, word);
  else counts.more[word]++;
  return true;
}

/** How many records a word (`READ_TORN` and on) counts, with those that are not released yet. */
export function notedBad({ bad, more, words }: ReadCounts, word: number): number {
  let count = words[word] + more[word];
  for (const noted of bad.values()) if (noted === word) count++;
  return count;
}

/**
 * Counts `count` records up to `to` that the reader is done with, good and bad, where readers were
 * done with `before` until now; to be called before reader_index says that.
 */
export function countReleased(
  counts: ReadCounts,
  to: number,
  count: number,
  before: number,
): void {
  const { file, ring, words, bad, more } = counts;
  // Only after a loss of power: neither copy may come to count as what it is.
  const current = currentCopy(file, ring, before);
  const isAhead = releasedOf(file, ring, current) > before;
  if (isAhead) store(counts, 1 - current, before);
  let good = count;
  for (const [sequence, word] of bad) {
    if (sequence > to) continue;
    bad.delete(sequence);
    words[word]++;
    good--;
  }
  if (bad.size === 0) good = countMore(words, more, good);
  words[READ_DELIVERED] += good;
  store(counts, isAhead ? current : 1 - current, before + count);
}

/** Stores the counters in a copy that does not count: they belong to so many released records. */
function store({ file, ring, words }: ReadCounts, copy: number, released: number): void {
  words[READ_RELEASED] = released;
  const first = wordOf(ring, copy);
  const { i64 } = file;
  for (let word = READ_DELIVERED; word < words.length; word++) {
    const value = BigInt(words[word]);
    if (i64[first + word] !== value) i64[first + word] = value;
  }
  // Pairs with whoever looks for the copy that counts: the counters above are stored before.
  Atomics.store(i64, first + READ_RELEASED, BigInt(released));
}

/** Those without a sequence, as many as were released; returns how many records remain. */
function countMore(words: number[], more: number[], good: number): number {
  for (let word = READ_TORN; word < more.length && good > 0; word++) {
    const count = Math.min(more[word], good);
    more[word] -= count;
    words[word] += count;
    good -= count;
  }
  return good;
}
