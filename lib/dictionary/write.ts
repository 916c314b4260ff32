/**
 * The write side of the dictionary: entries are appended once and never moved, and their absolute
 * offset is the ref that records carry.
 *
 * @module
 */
import { DICTIONARY_END, DICTIONARY_NUM_ENTRIES, MAX_SLOT_BYTES } from "../format/layout.ts";
import type { FileViews } from "../ring/write.ts";

/** A mapping that can become longer within its reserved address space. */
export interface GrowableFile extends FileViews {
  /** The file's length, bytes. */
  readonly size: number;
  /** The reserved address space. */
  readonly buffer: ArrayBuffer;
  /** Makes the file `bytes` long with its blocks allocated; throws where that fails. */
  grow(bytes: number): void;
}

/** The file is made longer by this many bytes at a time. */
const GROWTH_BYTES = 256 * 1024;
/**
 * Room behind the cap of a shared dictionary, with its blocks allocated before anything is claimed:
 * producers look first and claim then, so each of those who look at once may pass by one entry.
 */
export const SHARED_MARGIN_BYTES: number = 16 * MAX_SLOT_BYTES;
/** Longest key or name that is interned, in UTF-16 units. */
export const MAX_INTERNED_LENGTH = 4096;

const encoder = new TextEncoder();

/** The dictionary of a file that this isolate writes. */
export class DictionaryWriter {
  /** True once an entry did not fit: only a new file helps. */
  full = false;
  /** Why the file could not be made longer, where that is what made the dictionary full. */
  failure: Error | null = null;

  private readonly file: GrowableFile;
  private readonly many: boolean;
  private readonly endWord: number;
  private readonly entriesWord: number;
  private readonly margin: number;
  private readonly strings = new Map<string, number>();

  /**
   * @param file The whole mapping.
   * @param offset Where the dictionary starts, bytes from the start of the file.
   * @param producers Whether other processes or Workers append as well.
   */
  constructor(file: GrowableFile, offset: number, producers: "one" | "many") {
    this.file = file;
    this.many = producers === "many";
    this.endWord = (offset + DICTIONARY_END) >> 3;
    this.entriesWord = (offset + DICTIONARY_NUM_ENTRIES) >> 3;
    this.margin = this.many ? SHARED_MARGIN_BYTES : 0;
  }

  /**
   * The ref of a string entry, made when there is none. 0 for the empty string, and 0 when the
   * dictionary is full or the string has over 4,096 UTF-16 units.
   */
  intern(text: string): number {
    const known = this.strings.get(text);
    if (known !== undefined) return known;
    if (text.length === 0 || text.length > MAX_INTERNED_LENGTH) return 0;
    const ref = this.append(encoder.encode(text));
    if (ref !== 0) this.strings.set(text, ref);
    return ref;
  }

  /** Appends one entry (the bytes of a string or message) and returns its ref; 0 when full. */
  append(body: Uint8Array): number {
    // Canonical lengths only: readers made elsewhere skip the shortest form.
    const head = body.length < 0x80 ? 1 : body.length < 0x4000 ? 2 : 3;
    const bytes = head + body.length;
    const { i64, u8 } = this.file;
    let ref = Number(Atomics.load(i64, this.endWord));
    if (!this.makeRoom(ref + bytes + this.margin)) return 0;
    if (this.many) {
      // Pairs with the same step of the other producers: who adds owns the bytes in between. They
      // are in the file by now, which matters: readers take an end behind the file's for a fault.
      ref = Number(Atomics.add(i64, this.endWord, BigInt(bytes)));
      if (!this.makeRoom(ref + bytes)) return 0;
    }
    let at = ref;
    let length = body.length;
    while (length >= 0x80) {
      u8[at++] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    u8[at++] = length;
    u8.set(body, at);
    // Readers reach an entry through a published record, whose flag orders it after these bytes;
    // with one producer `end` moves last, so that all before it is whole after a crash as well.
    if (!this.many) Atomics.store(i64, this.endWord, BigInt(ref + bytes));
    Atomics.add(i64, this.entriesWord, 1n);
    return ref;
  }

  private makeRoom(end: number): boolean {
    if (end <= this.file.size) return true;
    const reserve = this.file.buffer.byteLength;
    if (end <= reserve) {
      try {
        this.file.grow(Math.min(Math.ceil(end / GROWTH_BYTES) * GROWTH_BYTES, reserve));
        return true;
      } catch (error) {
        this.failure = error as Error;
      }
    }
    this.full = true;
    return false;
  }
}
