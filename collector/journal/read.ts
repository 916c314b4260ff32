/**
 * Blocks and entries of a segment.
 *
 * @module
 */
import { readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type Bytes, createBytes } from "../../lib/record/bytes.ts";
import type { RecordCopy } from "../../lib/ring/read.ts";
import { BLOCK_HEAD_WORDS, ENTRY_HEAD_WORDS, HEADER_BYTES } from "./format.ts";

/** Longer blocks are not taken for blocks: a checkpoint's parts are entries of blocks of their own. */
const MAX_BLOCK_BYTES = 0x7fff_fff0;
/** So far behind a block that is not whole others are looked for: blocks of the log are much shorter. */
const SEARCHED_BYTES = 64 << 20;

/** One entry. Its content is good until the next one is read. */
export interface Entry {
  type: number;
  /** For records: where the record starts, behind its length. */
  start: number;
  /** The block's bytes, and where the content is in them. */
  block: Bytes & { readonly i32: Int32Array<ArrayBuffer> };
  at: number;
  bytes: number;
}

/** Walks over the entries of a block. */
export type ForEachEntry = (take: (entry: Entry) => void) => void;

/** A word of an entry's content. */
export function wordOf({ block, at }: Entry, index: number): number {
  return block.i32[(at >> 2) + index];
}

/** A 64-bit number at two words of an entry's content. */
export function numberOf(entry: Entry, index: number): number {
  return wordOf(entry, index + 1) * 2 ** 32 + (wordOf(entry, index) >>> 0);
}

/** The bytes of an entry's content after `words` words: a copy. */
export function bytesOf({ block, at, bytes }: Entry, words: number): Uint8Array<ArrayBuffer> {
  return block.u8.slice(at + 4 * words, at + bytes);
}

/** The JSON of an entry's content. */
export function jsonOf<T>(entry: Entry): T {
  return JSON.parse(new TextDecoder().decode(bytesOf(entry, 0)));
}

/** Puts the record of an entry where `copyRecord` had put it. */
export function restoreRecord(entry: Entry, copy: RecordCopy): void {
  const end = entry.bytes - 8;
  const words = (end + 3) >> 2;
  const from = (entry.at >> 2) + 2;
  const { i32 } = entry.block;
  for (let i = 0; i < words; i++) copy.i32[i] = i32[from + i];
  copy.start = entry.start;
  copy.end = end;
}

/** The longest record among these entries, bytes. */
export const MAX_COPY_BYTES = 1 << 21;

/** Room for any record of a journal. */
export function createRecord(): RecordCopy {
  const { u8, view } = createBytes(MAX_COPY_BYTES);
  return { u8, view, i32: new Int32Array(u8.buffer), start: 0, end: 0 };
}

/**
 * Reads the blocks of a segment in order, as long as they are whole.
 *
 * @param size Length of the file.
 * @param onBlock Gets what walks over a block's entries, as often as it is called: it calls `take`
 * with each.
 * @returns Where the last whole block ends: what comes behind was not written to its end.
 */
export function readBlocks(
  fd: number,
  size: number,
  onBlock: (forEach: ForEachEntry) => void,
): number {
  const head = new Int32Array(BLOCK_HEAD_WORDS);
  let at = HEADER_BYTES;
  while (at + head.byteLength <= size) {
    readFully(fd, new Uint8Array(head.buffer), at);
    const [bytes, checksum] = head;
    const start = at + head.byteLength;
    if (!isLength(bytes) || start + bytes > size) break;
    const { u8, view } = createBytes(bytes);
    readFully(fd, u8.subarray(0, bytes), start);
    if ((crc32(u8.subarray(0, bytes)) | 0) !== checksum) break;
    const i32 = new Int32Array(u8.buffer);
    onBlock((take) => walk({ u8, view, i32 }, bytes, take));
    at = start + bytes;
  }
  return at;
}

/**
 * Is what begins at `at`, where whole blocks end, only the first part of one? That is what a process
 * leaves that is killed while it writes; anything else was damaged later. Blocks behind the damage are
 * not gone on with: lists, dictionaries and the counts of marks go from block to block.
 */
export function isCutOff(fd: number, size: number, at: number): boolean {
  const words = new Int32Array(Math.min(size - at, SEARCHED_BYTES) >> 2);
  if (words.length < BLOCK_HEAD_WORDS) return true;
  readFully(fd, new Uint8Array(words.buffer), at);
  const end = at + 4 * BLOCK_HEAD_WORDS + words[0];
  if (!isLength(words[0]) || end <= size) return false;
  // Or its length is what was damaged, and others follow.
  for (let word = 1; word < words.length; word++) if (isWhole(words, word)) return false;
  return true;
}

function isWhole(words: Int32Array<ArrayBuffer>, at: number): boolean {
  const bytes = words[at];
  const start = at + BLOCK_HEAD_WORDS;
  const end = start + bytes / 4;
  if (!isLength(bytes) || end > words.length) return false;
  // Few numbers are followed by entries that end where they say: only these are worth a checksum.
  let entry = start;
  while (entry < end) {
    const length = words[entry + 1];
    if (words[entry] === 0 || length < 0) return false;
    entry += ENTRY_HEAD_WORDS + Math.ceil(length / 4);
  }
  if (entry !== end) return false;
  return (crc32(new Uint8Array(words.buffer, 4 * start, bytes)) | 0) === words[at + 1];
}

function isLength(bytes: number): boolean {
  return bytes > 0 && bytes <= MAX_BLOCK_BYTES && (bytes & 3) === 0;
}

function walk(block: Entry["block"], end: number, take: (entry: Entry) => void): void {
  const entry: Entry = { type: 0, start: 0, block, at: 0, bytes: 0 };
  for (let at = 0; at < end;) {
    const head = block.i32[at >> 2];
    entry.type = head & 0xff;
    entry.start = head >>> 8;
    entry.bytes = block.i32[(at >> 2) + 1];
    entry.at = at + 4 * ENTRY_HEAD_WORDS;
    take(entry);
    at = entry.at + ((entry.bytes + 3) & ~3);
  }
}

/** Fills `to` from a position of a file. */
export function readFully(fd: number, to: Uint8Array, position: number): void {
  for (let done = 0; done < to.length;) {
    const count = readSync(fd, to, done, to.length - done, position + done);
    if (count === 0) throw new Error("the file became shorter while it was read");
    done += count;
  }
}
