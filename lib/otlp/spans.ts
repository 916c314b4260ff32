/**
 * The open spans: a table keyed by (process, trace id, span id), and for each one a block of the
 * arena that already is its OTLP encoding.
 *
 * @module
 */
import { moveBytes } from "../record/bytes.ts";
import { Arena, BLOCK_BYTES } from "./arena.ts";

// Words of a span in `meta`.
/** Index of the process in the assembler. */
export const PROCESS = 0;
/** The 16 bytes of the trace id as 4 words, the 8 of the span id as 2. */
export const TRACE = 1;
export const SPAN = 5;
const HASH = 7;
/** Neighbours in order of their starts; the free ones are chained by NEXT. */
export const NEXT = 8;
const PREVIOUS = 9;
/** The block: offset in the arena, class, bytes used. */
export const BLOCK = 10;
const CLASS = 11;
export const LENGTH = 12;
/** One bit for each key by the hash of its text. */
export const KEYS = 13;
/** Attributes in the block. */
export const ATTRIBUTES = 14;
export const SCOPE = 15;
export const START_LOW = 16;
export const START_HIGH = 17;
/** Bits, see FLAG_*. */
export const FLAGS = 18;
export const DROPPED_ATTRIBUTES = 19;
export const DROPPED_EVENTS = 20;
export const DROPPED_LINKS = 21;
/** Which file its start came from, and at which sequence (low 32 bits). */
export const FILE = 22;
export const SEQUENCE = 23;
/** Counts how often the place was used, so that a stale index is noticed. */
export const USE = 24;
/**
 * Which file the first of its events that was kept came from (0: none), and at which sequence;
 * SEVERAL_FILES when others came from other files.
 */
export const EVENT_FILE = 25;
export const EVENT_SEQUENCE = 26;
const STRIDE = 27;

export const FLAG_ENDED = 1;
export const FLAG_TRUNCATED = 2;
/** Keys or names may be there twice. */
export const FLAG_REPEATED = 4;
/** Its start was discarded. */
export const FLAG_PARTIAL = 8;

/** In EVENT_FILE: not one file. */
export const SEVERAL_FILES = -1;

/** Most bytes one span may take. */
export const MAX_SPAN_BYTES = 1 << 20;

/** Copies of whole words may touch this many bytes behind what is in a block. */
const MARGIN_BYTES = 4;

/** No span. */
export const NONE = -1;

/** The table. Indexes name spans from `insert` to `remove`. */
export class SpanTable {
  readonly arena: Arena = new Arena();
  /** STRIDE words a span; replaced when it grows. */
  meta: Int32Array = new Int32Array(64 * STRIDE);
  /** Open spans. */
  count = 0;
  /** The span that started first, NONE when there is none. */
  oldest: number = NONE;

  /** Words of a span in `meta`. */
  static readonly words: number = STRIDE;

  private buckets = new Int32Array(256);
  private newest: number = NONE;
  private freed: number = NONE;
  private used = 0;
  private readonly seed = Math.floor(Math.random() * 0x7fffffff) | 1;

  /** Where the words of a span start in `meta`. */
  static base(index: number): number {
    return index * STRIDE;
  }

  /** Leaves of a span's words those out that mean something in one table only. */
  static forgetPlace(words: Int32Array, row: number): void {
    words[row + HASH] = 0;
    words[row + NEXT] = 0;
    words[row + PREVIOUS] = 0;
    words[row + BLOCK] = 0;
  }

  /** The hash of an id, for the calls below. */
  hash(
    process: number,
    t0: number,
    t1: number,
    t2: number,
    t3: number,
    s0: number,
    s1: number,
  ): number {
    // Seeded and over every word, so that nobody can choose ids that all fall into one place.
    let h = this.seed ^ process;
    h = Math.imul(h ^ s0, 0x9e3779b1);
    h = Math.imul((h >>> 15) ^ h ^ s1, 0x85ebca6b);
    h = Math.imul((h >>> 13) ^ h ^ t0, 0xc2b2ae35);
    h = Math.imul((h >>> 16) ^ h ^ t1, 0x27d4eb2f);
    h = Math.imul((h >>> 15) ^ h ^ t2, 0x165667b1);
    h = Math.imul((h >>> 13) ^ h ^ t3, 0x9e3779b1);
    return h ^ (h >>> 15);
  }

  /** The index of an open span, NONE when there is none. */
  find(
    hash: number,
    process: number,
    t0: number,
    t1: number,
    t2: number,
    t3: number,
    s0: number,
    s1: number,
  ): number {
    const { buckets, meta } = this;
    const mask = buckets.length - 1;
    let at = hash & mask;
    for (;;) {
      const entry = buckets[at];
      if (entry === 0) return NONE;
      const base = (entry - 1) * STRIDE;
      if (
        meta[base + SPAN] === s0 && meta[base + SPAN + 1] === s1 && meta[base + TRACE] === t0 &&
        meta[base + TRACE + 1] === t1 && meta[base + TRACE + 2] === t2 &&
        meta[base + TRACE + 3] === t3 && meta[base + PROCESS] === process
      ) return entry - 1;
      at = (at + 1) & mask;
    }
  }

  /**
   * Adds a span that is not there, as the newest, with a block for `bytes` bytes; NONE when there is
   * no memory for it. The caller fills in the words that are not of the id.
   */
  insert(
    hash: number,
    process: number,
    t0: number,
    t1: number,
    t2: number,
    t3: number,
    s0: number,
    s1: number,
    bytes: number,
  ): number {
    const blockClass = Arena.classFor(bytes + MARGIN_BYTES);
    const block = blockClass < 0 ? -1 : this.arena.allocate(blockClass);
    if (block < 0) return NONE;
    if (this.count * 2 >= this.buckets.length) this.rehash();
    let index = this.freed;
    if (index >= 0) {
      this.freed = this.meta[index * STRIDE + NEXT];
    } else {
      if ((this.used + 1) * STRIDE > this.meta.length) {
        const grown = new Int32Array(this.meta.length * 2);
        grown.set(this.meta);
        this.meta = grown;
      }
      index = this.used++;
    }
    const { meta } = this;
    const base = index * STRIDE;
    meta[base + PROCESS] = process;
    meta[base + TRACE] = t0;
    meta[base + TRACE + 1] = t1;
    meta[base + TRACE + 2] = t2;
    meta[base + TRACE + 3] = t3;
    meta[base + SPAN] = s0;
    meta[base + SPAN + 1] = s1;
    meta[base + HASH] = hash;
    meta[base + BLOCK] = block;
    meta[base + CLASS] = blockClass;
    meta[base + LENGTH] = 0;
    meta[base + FLAGS] = 0;
    meta[base + DROPPED_ATTRIBUTES] = 0;
    meta[base + DROPPED_EVENTS] = 0;
    meta[base + DROPPED_LINKS] = 0;
    meta[base + EVENT_FILE] = 0;
    meta[base + USE]++;
    this.link(index, hash);
    return index;
  }

  /** Makes a span the newest, and findable. */
  private link(index: number, hash: number): void {
    const { meta, buckets } = this;
    const base = index * STRIDE;
    meta[base + NEXT] = NONE;
    meta[base + PREVIOUS] = this.newest;
    if (this.newest >= 0) meta[this.newest * STRIDE + NEXT] = index;
    else this.oldest = index;
    this.newest = index;
    const mask = buckets.length - 1;
    let at = hash & mask;
    while (buckets[at] !== 0) at = (at + 1) & mask;
    buckets[at] = index + 1;
    this.count++;
  }

  /** Forgets a span and gives its block back. */
  remove(index: number): void {
    const { meta, buckets } = this;
    const base = index * STRIDE;
    const mask = buckets.length - 1;
    let hole = meta[base + HASH] & mask;
    while (buckets[hole] !== index + 1) hole = (hole + 1) & mask;
    // Close the gap, so that no search needs marks of what was removed.
    let at = hole;
    for (;;) {
      at = (at + 1) & mask;
      const entry = buckets[at];
      if (entry === 0) break;
      const home = meta[(entry - 1) * STRIDE + HASH] & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        buckets[hole] = entry;
        hole = at;
      }
    }
    buckets[hole] = 0;
    this.arena.release(meta[base + BLOCK], meta[base + CLASS]);
    const next = meta[base + NEXT];
    const previous = meta[base + PREVIOUS];
    if (previous >= 0) meta[previous * STRIDE + NEXT] = next;
    else this.oldest = next;
    if (next >= 0) meta[next * STRIDE + PREVIOUS] = previous;
    else this.newest = previous;
    meta[base + USE]++;
    meta[base + NEXT] = this.freed;
    this.freed = index;
    this.count--;
  }

  /** Makes room for `bytes` more in a span's block; false when there is none. */
  reserve(index: number, bytes: number): boolean {
    const base = index * STRIDE;
    const length = this.meta[base + LENGTH];
    const blockClass = this.meta[base + CLASS];
    if (length + bytes + MARGIN_BYTES <= BLOCK_BYTES << blockClass) return true;
    const largerClass = Arena.classFor(length + bytes + MARGIN_BYTES);
    if (largerClass < 0) return false;
    const block = this.meta[base + BLOCK];
    const larger = this.arena.allocate(largerClass);
    if (larger < 0) return false;
    this.arena.bytes.u8.copyWithin(larger, block, block + length);
    this.arena.release(block, blockClass);
    this.meta[base + BLOCK] = larger;
    this.meta[base + CLASS] = largerClass;
    return true;
  }

  /** Adds `bytes[from..to)` of the arena to a span's block, in which there is room. */
  append(index: number, from: number, to: number): void {
    const base = index * STRIDE;
    const at = this.meta[base + BLOCK] + this.meta[base + LENGTH];
    moveBytes(this.arena.bytes, from, to - from, at);
    this.meta[base + LENGTH] += to - from;
  }

  /** Spans of a process. */
  countOf(process: number): number {
    const { meta } = this;
    let count = 0;
    for (let index = this.oldest; index !== NONE; index = meta[index * STRIDE + NEXT]) {
      if (meta[index * STRIDE + PROCESS] === process) count++;
    }
    return count;
  }

  /**
   * The process that has most of the spans, and how many it has. Looks at all of them.
   *
   * @param byBytes Most bytes of them, rather than most spans.
   */
  largestHolder(byBytes: boolean): { readonly process: number; readonly spans: number } {
    const { meta } = this;
    const held: number[] = [];
    const spans: number[] = [];
    let process = NONE;
    for (let index = this.oldest; index !== NONE; index = meta[index * STRIDE + NEXT]) {
      const base = index * STRIDE;
      const each = meta[base + PROCESS];
      spans[each] = (spans[each] ?? 0) + 1;
      held[each] = (held[each] ?? 0) + (byBytes ? BLOCK_BYTES << meta[base + CLASS] : 1);
      if (process === NONE || held[each] > held[process]) process = each;
    }
    return { process, spans: spans[process] ?? 0 };
  }

  /** The low 32 bits of the sequence of the first start from a file, null when there is none. */
  firstStart(file: number): number | null {
    const { meta } = this;
    for (let index = this.oldest; index !== NONE; index = meta[index * STRIDE + NEXT]) {
      if (meta[index * STRIDE + FILE] === file) return meta[index * STRIDE + SEQUENCE];
    }
    return null;
  }

  /**
   * The same for the first event of a span.
   *
   * @param unread What the answer is when that is not known: the first that was there to be read.
   */
  firstEvent(process: number, file: number, unread: number): number | null {
    const { meta } = this;
    let first: number | null = null;
    for (let index = this.oldest; index !== NONE; index = meta[index * STRIDE + NEXT]) {
      const base = index * STRIDE;
      if (meta[base + PROCESS] !== process) continue;
      if (meta[base + EVENT_FILE] === SEVERAL_FILES) return unread;
      if (meta[base + EVENT_FILE] !== file) continue;
      const sequence = meta[base + EVENT_SEQUENCE];
      if (first === null || ((sequence - first) | 0) < 0) first = sequence;
    }
    return first;
  }

  /** `USE` of each place that any span ever had: odd where one has it now. */
  uses(): Int32Array {
    const uses = new Int32Array(this.used);
    for (let i = 0; i < uses.length; i++) uses[i] = this.meta[i * STRIDE + USE];
    return uses;
  }

  /**
   * Puts spans into a table that has none, each with a block whose content the caller puts in.
   *
   * @param uses What `uses` said.
   * @param indexes The places of the spans, from the first to the last.
   * @param rows Their words. Blocks, hashes and neighbours are found anew.
   * @param inUse Bytes that their blocks have.
   * @returns What is wrong with these; null when it is done.
   */
  restore(
    uses: Int32Array,
    indexes: Int32Array,
    rows: Int32Array,
    inUse: number,
  ): string | null {
    let bytes = 0;
    const missing = uses.map((use) => use & 1);
    for (let i = 0; i < indexes.length; i++) {
      const row = i * STRIDE;
      if (missing[indexes[i]] !== 1 || uses[indexes[i]] !== rows[row + USE]) {
        return "a span that is nowhere";
      }
      missing[indexes[i]] = 0;
      const least = Arena.classFor(rows[row + LENGTH] + MARGIN_BYTES);
      if (!(rows[row + CLASS] >= least && rows[row + CLASS] < Arena.classes)) {
        return "no such block";
      }
      bytes += BLOCK_BYTES << rows[row + CLASS];
    }
    if (missing.includes(1)) return "a place without its span";
    if (bytes !== inUse) return "blocks that are larger than they were";
    if (!this.arena.prepare(bytes)) return `no memory for ${bytes} bytes of spans`;
    let places = 64;
    while (places < uses.length) places *= 2;
    let buckets = 256;
    while (buckets < indexes.length * 2) buckets *= 2;
    this.meta = new Int32Array(places * STRIDE);
    this.buckets = new Int32Array(buckets);
    this.used = uses.length;
    const { meta } = this;
    for (let i = 0; i < uses.length; i++) meta[i * STRIDE + USE] = uses[i];
    for (let i = 0; i < indexes.length; i++) {
      const base = indexes[i] * STRIDE;
      const row = i * STRIDE;
      for (let word = 0; word < STRIDE; word++) meta[base + word] = rows[row + word];
      meta[base + BLOCK] = this.arena.allocate(rows[row + CLASS]);
      meta[base + HASH] = this.hash(
        meta[base + PROCESS],
        meta[base + TRACE],
        meta[base + TRACE + 1],
        meta[base + TRACE + 2],
        meta[base + TRACE + 3],
        meta[base + SPAN],
        meta[base + SPAN + 1],
      );
      this.link(indexes[i], meta[base + HASH]);
    }
    for (let i = uses.length - 1; i >= 0; i--) {
      if ((uses[i] & 1) !== 0) continue;
      meta[i * STRIDE + NEXT] = this.freed;
      this.freed = i;
    }
    return null;
  }

  private rehash(): void {
    const buckets = new Int32Array(this.buckets.length * 2);
    const mask = buckets.length - 1;
    for (let i = 0; i < this.buckets.length; i++) {
      const entry = this.buckets[i];
      if (entry === 0) continue;
      let at = this.meta[(entry - 1) * STRIDE + HASH] & mask;
      while (buckets[at] !== 0) at = (at + 1) & mask;
      buckets[at] = entry;
    }
    this.buckets = buckets;
  }
}
