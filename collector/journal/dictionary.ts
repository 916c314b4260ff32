/**
 * Dictionaries of files, as far as the journal has them: what its records name is there even when the
 * file is not.
 *
 * @module
 */
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { DICTIONARY_END, DICTIONARY_HEADER_BYTES } from "../../lib/format/layout.ts";

/** Bytes of an image at first. */
const INITIAL_BYTES = 4096;

/** A copy of a dictionary: its header and the entries so far. */
export class DictionaryImage implements GrowingFile {
  private bytes = new Uint8Array(INITIAL_BYTES);
  private length = DICTIONARY_HEADER_BYTES;
  /** Where the dictionary starts in its file, bytes. */
  private readonly offset: number;

  /** @param offset Where the dictionary starts in its file, bytes. */
  constructor(offset: number) {
    this.offset = offset;
  }

  /** Bytes of it, the header's among them. */
  get size(): number {
    return this.length;
  }

  /** Adds entries at a position of the dictionary, at most where it ends. */
  put(at: number, entries: Uint8Array): void {
    if (at > this.length) throw new Error("a part of a dictionary is missing");
    const end = at + entries.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.bytes.length, end));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(entries, at);
    this.length = Math.max(this.length, end);
    new DataView(this.bytes.buffer)
      .setBigInt64(DICTIONARY_END, BigInt(this.offset + this.length), true);
  }

  reach(end: number): Uint8Array | null {
    return end <= this.length ? this.bytes : null;
  }
}

/** Where a file's dictionary ends now, bytes from the file's start; 0 where that can't be. */
export function dictionaryEnd(file: GrowingFile, dictionary: number): number {
  const bytes = file.reach(dictionary + DICTIONARY_HEADER_BYTES);
  if (bytes === null) return 0;
  const header = new DataView(bytes.buffer, bytes.byteOffset + dictionary, DICTIONARY_HEADER_BYTES);
  const end = Number(header.getBigInt64(DICTIONARY_END, true));
  // Entries beyond the file's end are none.
  return file.reach(end) === null ? 0 : end;
}
