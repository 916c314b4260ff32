/**
 * Entries are collected in memory and written as one block.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { RecordCopy } from "../../lib/ring/read.ts";
import { BLOCK_HEAD_WORDS, ENTRY_HEAD_WORDS } from "./format.ts";

/** Bytes of the buffer at first, and at most between blocks. */
const BUFFER_BYTES = 1 << 20;
const KEPT_BYTES = 8 << 20;

/** The block in the making. */
export class BlockBuffer {
  private i32 = new Int32Array(BUFFER_BYTES / 4);
  private u8 = new Uint8Array(this.i32.buffer);
  /** Words in use. */
  private length = BLOCK_HEAD_WORDS;

  /** Bytes of entries in it. */
  get bytes(): number {
    return 4 * (this.length - BLOCK_HEAD_WORDS);
  }

  /** Adds a record as it was copied from its slot. The hot path: whole words, no views. */
  record(type: number, file: number, sequence: number, copy: RecordCopy): void {
    const { end } = copy;
    const words = (end + 3) >> 2;
    let at = this.length;
    if (at + words + 4 > this.i32.length) this.grow(words + 4);
    const to = this.i32;
    to[at] = type | copy.start << 8;
    to[at + 1] = 8 + end;
    to[at + 2] = file;
    to[at + 3] = sequence | 0;
    at += 4;
    const from = copy.i32;
    for (let i = 0; i < words; i++) to[at + i] = from[i];
    this.length = at + words;
  }

  /** Adds an entry of words. */
  words(type: number, ...words: number[]): void {
    this.head(type, words.length * 4);
    for (const word of words) this.i32[this.length++] = word;
  }

  /** Adds an entry of some words and bytes. */
  bytesOf(type: number, words: readonly number[], bytes: Uint8Array): void {
    this.head(type, words.length * 4 + bytes.length);
    for (const word of words) this.i32[this.length++] = word;
    const padded = (bytes.length + 3) >> 2;
    // What is there from the last block is not written again.
    if (padded > 0) this.i32[this.length + padded - 1] = 0;
    this.u8.set(bytes, 4 * this.length);
    this.length += padded;
  }

  /** Adds an entry of JSON. */
  json(type: number, value: unknown): void {
    this.bytesOf(type, [], new TextEncoder().encode(JSON.stringify(value)));
  }

  /** The block, with its head. It stays the buffer's: nothing is added before `clear`. */
  block(): Uint8Array {
    const end = 4 * this.length;
    this.i32[0] = this.bytes;
    this.i32[1] = crc32(this.u8.subarray(4 * BLOCK_HEAD_WORDS, end)) | 0;
    return this.u8.subarray(0, end);
  }

  /** Starts the next block. */
  clear(): void {
    this.length = BLOCK_HEAD_WORDS;
    if (this.i32.length * 4 <= KEPT_BYTES) return;
    this.i32 = new Int32Array(BUFFER_BYTES / 4);
    this.u8 = new Uint8Array(this.i32.buffer);
  }

  private head(type: number, bytes: number): void {
    const words = ENTRY_HEAD_WORDS + ((bytes + 3) >> 2);
    if (this.length + words > this.i32.length) this.grow(words);
    this.i32[this.length++] = type;
    this.i32[this.length++] = bytes;
  }

  private grow(words: number): void {
    const grown = new Int32Array(Math.max(this.i32.length * 2, this.length + words));
    grown.set(this.i32);
    this.i32 = grown;
    this.u8 = new Uint8Array(grown.buffer);
  }
}
