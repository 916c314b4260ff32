/**
 * What is remembered about records of one name, so that the next one is written by comparing
 * instead of looking up: spans of one name mostly carry the same keys in the same order.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";

/**
 * Keys with a position: as many as a span has bits for them, which is also how many attributes a
 * span may have unless told otherwise. Others are interned on every use.
 */
const MAX_KEYS = 128;

const encoder = new TextEncoder();
/** Longest name, in bytes of UTF-8; longer ones are cut on a code point. */
export const MAX_NAME_BYTES = 1024;

/** A name with the keys last seen under it, and their refs in one file's dictionary. */
export class Shape {
  /** The name, UTF-8. */
  readonly name: Uint8Array;
  /** It was longer. */
  readonly isCut: boolean;
  /** The same as 32-bit words, zeros behind it. */
  readonly nameWords: Int32Array;
  /** The name's own ref, for records that carry it so; 0 until it is interned. */
  nameRef = 0;
  /** Keys by position. */
  readonly keys: string[] = [];
  /** Their refs by position; 0 until interned in the current dictionary. */
  readonly refs: number[] = [];
  /** The text last written at a position. */
  readonly texts: string[] = [];
  /** Its UTF-8 as words, once it was written twice in a row. */
  readonly textWords: Array<Int32Array | null> = [];
  /** Bytes of UTF-8. */
  readonly textBytes: number[] = [];
  /** How many times in a row it was another: what always changes is not remembered. */
  readonly changes: number[] = [];
  private dictionary: DictionaryWriter | null = null;
  private positions: Map<string, number> | null = null;

  /** @param name Cut on a code point where it has more than 1,024 bytes of UTF-8. */
  constructor(name: string) {
    const room = new Uint8Array(Math.min(name.length * 3, MAX_NAME_BYTES));
    const { read, written } = encoder.encodeInto(name, room);
    const bytes = room.subarray(0, written);
    this.isCut = read < name.length;
    this.nameWords = new Int32Array((bytes.length + 3) >> 2);
    this.name = new Uint8Array(this.nameWords.buffer, 0, bytes.length);
    this.name.set(bytes);
  }

  /** Forgets the refs when the file has changed. */
  bind(dictionary: DictionaryWriter): void {
    if (this.dictionary === dictionary) return;
    this.dictionary = dictionary;
    this.nameRef = 0;
    for (let i = 0; i < this.refs.length; i++) this.refs[i] = 0;
  }

  /** The ref of the key at a position; 0 when the dictionary is full. */
  ref(position: number): number {
    const ref = this.refs[position];
    if (ref !== 0) return ref;
    return this.refs[position] = this.dictionary!.intern(this.keys[position]);
  }

  /** The position of a key, a new one where it has none; -1 for one key too many. */
  find(key: string): number {
    if (this.positions === null) {
      // A handful of keys is found faster by looking at each.
      const at = this.keys.indexOf(key);
      if (at >= 0) return at;
      if (this.keys.length >= 8) {
        this.positions = new Map(this.keys.map((known, i) => [known, i]));
      }
    } else {
      const at = this.positions.get(key);
      if (at !== undefined) return at;
    }
    if (this.keys.length >= MAX_KEYS) return -1;
    this.positions?.set(key, this.keys.length);
    this.refs.push(0);
    this.texts.push("");
    this.textWords.push(null);
    this.textBytes.push(0);
    this.changes.push(0);
    return this.keys.push(key) - 1;
  }
}
