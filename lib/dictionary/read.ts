/**
 * The read side of the dictionary: entries by ref, checked against the dictionary's end and the
 * file's length, and the keys already seen in the form in which OTLP wants them.
 *
 * @module
 */
import { DICTIONARY_END, DICTIONARY_HEADER_BYTES } from "../format/layout.ts";
import { type Bytes, createBytes } from "../record/bytes.ts";
import { repairUtf8 } from "../record/utf8.ts";
import { BAD_REF, cursor, putVarint, readVarint, varintBytes } from "../record/wire.ts";
import { type Cache, CacheBudget } from "./budget.ts";
import { MAX_REF, RefTable } from "./refs.ts";

/** Entries longer than this are not taken for entries. Bytes. */
export const MAX_ENTRY_BYTES = 1 << 20;
/** What is remembered of one dictionary; beyond it remembering starts over. Bytes. */
export const MAX_CACHE_BYTES = 16 << 20;
/** What an entry that is remembered costs beside its bytes: its words, and its place by ref. */
const ITEM_BYTES = 48;
const LEAST_BYTES = 4096;
const LEAST_ITEMS = 64;
/** What is remembered of all dictionaries, bytes. */
export const dictionaryCaches: CacheBudget = new CacheBudget(256 << 20);
/** Bytes of the longest length of an entry that is understood. */
const MAX_PREFIX_BYTES = 5;

/** A file that may become longer while it is read. */
export interface GrowingFile {
  /** The bytes of the file, at least up to `end` where the file is that long; null otherwise. */
  reach(end: number): Uint8Array | null;
}

/** The dictionary of one file. */
export class DictionaryReader implements Cache {
  /** Remembered entries, back to back. */
  pool: Bytes = createBytes(LEAST_BYTES);
  /** Three words an item: where it starts in the pool, its bytes, the hash of its text. */
  items = new Int32Array(3 * LEAST_ITEMS);
  /** Counts up whenever what is remembered starts over: indexes from before mean nothing. */
  epoch = 0;
  /** Told where in the file each entry begins and ends that is read from it. */
  onRead: ((from: number, to: number) => void) | null = null;

  private readonly file: GrowingFile;
  private readonly offset: number;
  private readonly base: number;
  private readonly keys = new RefTable();
  private used = 0;
  private count = 0;
  private isCounted = false;

  /**
   * @param file The file.
   * @param offset Where the dictionary starts, bytes.
   * @param base Where `file` starts in the file that refs are about, bytes: 0 unless it is a part.
   */
  constructor(file: GrowingFile, offset: number, base: number = 0) {
    this.file = file;
    this.offset = offset;
    this.base = base;
  }

  /** A copy of an entry's bytes without its length. Throws BAD_REF for what is no entry. */
  entry(ref: number): Bytes & { readonly length: number } {
    const { base, offset } = this;
    const first = offset + DICTIONARY_HEADER_BYTES;
    if (!(ref >= first && ref < MAX_REF)) throw BAD_REF;
    const file = this.file.reach(ref + 1 - base);
    if (file === null) throw BAD_REF;
    const header = new DataView(
      file.buffer,
      file.byteOffset + offset - base,
      DICTIONARY_HEADER_BYTES,
    );
    const end = Number(header.getBigInt64(DICTIONARY_END, true));
    if (ref >= end) throw BAD_REF;
    // The bytes belong to another process: the length is taken once, from a copy.
    const prefix = new Uint8Array(MAX_PREFIX_BYTES);
    const reachable = this.file.reach(ref + MAX_PREFIX_BYTES - base) ?? file;
    for (let i = 0; i < MAX_PREFIX_BYTES && ref + i < end; i++) {
      prefix[i] = reachable[ref + i - base];
    }
    const length = readVarint(prefix, 0, MAX_PREFIX_BYTES);
    const start = ref + cursor.at;
    if (length < 0 || length > MAX_ENTRY_BYTES || start + length > end) throw BAD_REF;
    const bytes = this.file.reach(start + length - base);
    if (bytes === null) throw BAD_REF;
    const copy = createBytes(length);
    copy.u8.set(bytes.subarray(start - base, start + length - base));
    this.onRead?.(ref, start + length);
    return { u8: copy.u8, view: copy.view, length };
  }

  /**
   * The index in `items` of a string entry as the OTLP field `key` (tag 1, length, text). Ref 0 is
   * the empty string.
   */
  key(ref: number): number {
    // Refs of entries are above 0, so the empty string has the last place a ref can have.
    const known = this.keys.get(ref === 0 ? MAX_REF : ref);
    return known >= 0 ? known : this.loadKey(ref);
  }

  private loadKey(ref: number): number {
    let text = EMPTY;
    let length = 0;
    if (ref !== 0) {
      const entry = this.entry(ref);
      text = entry.u8;
      length = entry.length;
      repairUtf8(text, 0, length);
    }
    const bytes = createBytes(1 + varintBytes(length) + length);
    bytes.u8[0] = 0x0a;
    const at = putVarint(bytes.u8, 1, length);
    bytes.u8.set(text.subarray(0, length), at);
    const index = this.remember(bytes.u8, at + length, hash(text, length));
    this.keys.set(ref === 0 ? MAX_REF : ref, index);
    return index;
  }

  /** Bytes of all that is remembered. */
  get bytes(): number {
    return this.pool.u8.length + this.items.length / 3 * ITEM_BYTES;
  }

  /** Forgets what is remembered. */
  startOver(): void {
    this.used = 0;
    this.count = 0;
    this.epoch++;
    this.keys.clear();
    this.pool = createBytes(LEAST_BYTES);
    this.items = new Int32Array(3 * LEAST_ITEMS);
  }

  /** Before it becomes larger: others may have to become smaller, or this one. */
  private askForRoom(length: number): void {
    if (!this.isCounted) dictionaryCaches.add(this);
    this.isCounted = true;
    const isPool = this.used + length + 8 > this.pool.u8.length;
    dictionaryCaches.grow(
      isPool
        ? Math.max(this.pool.u8.length, this.used + length + 8 - this.pool.u8.length)
        : this.items.length / 3 * ITEM_BYTES,
    );
  }

  /** Puts bytes into the pool and returns their index in `items`. */
  remember(bytes: Uint8Array, length: number, textHash: number): number {
    if (this.used + length + ITEM_BYTES * this.count > MAX_CACHE_BYTES) this.startOver();
    if (
      this.used + length + 8 > this.pool.u8.length || 3 * this.count === this.items.length
    ) this.askForRoom(length);
    if (this.used + length + 8 > this.pool.u8.length) {
      const grown = createBytes(Math.max(this.pool.u8.length * 2, this.used + length + 8));
      grown.u8.set(this.pool.u8);
      this.pool = grown;
    }
    if (3 * this.count === this.items.length) {
      const grown = new Int32Array(this.items.length * 2);
      grown.set(this.items);
      this.items = grown;
    }
    this.pool.u8.set(bytes.subarray(0, length), this.used);
    const item = 3 * this.count;
    this.items[item] = this.used;
    this.items[item + 1] = length;
    this.items[item + 2] = textHash;
    this.used += length;
    return this.count++;
  }
}

const EMPTY = new Uint8Array(0);

/** FNV-1a over text: tells keys apart quickly, whatever their refs. */
function hash(bytes: Uint8Array, length: number): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < length; i++) value = Math.imul(value ^ bytes[i], 0x01000193);
  return value ^ (value >>> 15);
}
