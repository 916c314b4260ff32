/**
 * A private copy of a file that is written meanwhile: made with read(2) from a descriptor that can't
 * write. Nothing is locked, released or changed, and a file that gets shorter is no bus error.
 *
 * @module
 */
import { closeSync, fstatSync, readSync } from "node:fs";
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { type Extension, readExtension } from "../../lib/file/extension.ts";
import { FormatError, type Geometry, readGeometry } from "../../lib/file/geometry.ts";
import { inodeAt, inodeOf } from "../../lib/file/inode.ts";
import {
  AVAILABILITY_BYTES,
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  FIRST_RING_OFFSET,
  HEADER_BYTES,
  HEADER_DICTIONARY,
  HEADER_RINGS,
  RING_HEADER_BYTES,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import { unpackIndex } from "../../lib/ring/index.ts";
import { type RingReader, seek } from "../../lib/ring/read.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import { MAX_FILE_BYTES, openRegular } from "./regular.ts";

/** Both indexes of a ring, which are neighbours. */
const INDEX_BYTES = RING_WRITER_INDEX + 8 - RING_READER_INDEX;

/** Bytes in memory, with the views that reading takes. Never becomes shorter. */
export class MemoryFile implements FileViews, GrowingFile {
  u8!: Uint8Array<ArrayBuffer>;
  i32!: Int32Array<ArrayBuffer>;
  i64!: BigInt64Array<ArrayBuffer>;
  /** Bytes that mean something. */
  size: number;

  /** @param bytes How many, all zero. */
  constructor(bytes: number) {
    this.size = bytes;
    this.view(new ArrayBuffer(Math.ceil(bytes / 8) * 8));
  }

  /** Makes room for this many bytes; what is there stays. */
  grow(bytes: number): void {
    if (bytes > this.u8.length) {
      const buffer = new ArrayBuffer(Math.ceil(bytes * 1.5 / 8) * 8);
      new Uint8Array(buffer).set(this.u8);
      this.view(buffer);
    }
    this.size = Math.max(this.size, bytes);
  }

  /** The 64-bit word at an offset, which need not be a multiple of 8. */
  wordAt(offset: number): number {
    return Number(new DataView(this.u8.buffer).getBigInt64(offset, true));
  }

  /** See GrowingFile. */
  reach(end: number): Uint8Array | null {
    return end <= this.size ? this.u8 : null;
  }

  private view(buffer: ArrayBuffer): void {
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
  }
}

/** A file, and as much of it in memory as was asked for. */
export class FileCopy {
  readonly path: string;
  readonly memory: MemoryFile;
  readonly geometry: Geometry;
  readonly extension: Extension | null;
  /** Device and inode: the file itself, whatever its name is. */
  readonly inode: string;

  private readonly fd: number;
  private readonly index = new BigInt64Array(INDEX_BYTES / 8);
  private dictionaryTo = 0;

  private constructor(path: string, fd: number) {
    const { size } = fstatSync(fd);
    if (size > MAX_FILE_BYTES) {
      throw new FormatError(path, `the file has ${size} bytes: more than any writer makes`);
    }
    this.path = path;
    this.fd = fd;
    this.inode = inodeOf(fd);
    this.memory = new MemoryFile(size);
    this.read(0, Math.min(FIRST_RING_OFFSET, size));
    const { memory } = this;
    if (size >= HEADER_BYTES) {
      for (const word of [...HEADER_RINGS, HEADER_DICTIONARY]) {
        const offset = memory.wordAt(word);
        const header = word === HEADER_DICTIONARY ? DICTIONARY_HEADER_BYTES : RING_HEADER_BYTES;
        if (offset > 0 && offset + header <= size) this.read(offset, header);
      }
    }
    const geometry = readGeometry(path, memory.u8, size);
    if ("unfinished" in geometry) throw new FormatError(path, geometry.unfinished);
    this.geometry = geometry;
    this.extension = readExtension(memory, geometry.rings[0].offset);
  }

  /** Opens a file. Throws FormatError, NotAFile and the errors of node:fs. */
  static open(path: string): FileCopy {
    const fd = openRegular(path);
    try {
      return new FileCopy(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Copies the header and the extension block again. */
  copyHeader(): void {
    this.read(0, this.geometry.rings[0].offset);
  }

  /**
   * Copies what was added to a ring since the last record that `reader` took. Returns how many
   * records were overwritten before they could be copied: `reader` is behind them then.
   */
  copyRing(reader: RingReader): number {
    const { offset, slots, slotBytes, availability, firstSlot } = reader.geometry;
    this.read(offset, RING_HEADER_BYTES);
    const claimed = this.memory.wordAt(offset + RING_WRITER_INDEX);
    const before = reader.sequence;
    if (claimed <= before) return 0;
    if (claimed - slots > before) seek(reader, claimed - slots);
    const count = claimed - reader.sequence;
    const first = reader.position;
    const pieces = [[first, Math.min(count, slots - first)], [0, first + count - slots]];
    // Flags first: a slot that was published by then is whole.
    for (const [slot, length] of pieces) {
      if (length > 0) {
        this.read(availability + slot * AVAILABILITY_BYTES, length * AVAILABILITY_BYTES);
      }
    }
    for (const [slot, length] of pieces) {
      if (length > 0) this.read(firstSlot + slot * slotBytes, length * slotBytes);
    }
    // What may have been written over meanwhile: given back by its reader, and a ring behind the
    // record that was about to be claimed.
    readSync(this.fd, this.index, 0, INDEX_BYTES, offset + RING_READER_INDEX);
    const [word, last] = this.index;
    const released = unpackIndex(word, reader.geometry.discards === true).sequence;
    const overwritten = Math.min(released, Number(last) + 1 - slots);
    if (overwritten > reader.sequence) seek(reader, Math.min(overwritten, claimed));
    return reader.sequence - before;
  }

  /** Copies what was added to the dictionary. To be called after the rings that refer to it. */
  copyDictionary(): void {
    const { extension, geometry, memory } = this;
    const { dictionary } = geometry;
    const size = fstatSync(this.fd).size;
    const first = dictionary + DICTIONARY_HEADER_BYTES;
    if (size < first || size > MAX_FILE_BYTES) return;
    this.read(dictionary, DICTIONARY_HEADER_BYTES);
    const end = Math.min(memory.wordAt(dictionary + DICTIONARY_END), size);
    // With several producers, or one that claims first, what was claimed may be filled since.
    const appended = extension !== null && !extension.manyProducers;
    const from = appended ? Math.max(first, this.dictionaryTo) : first;
    if (end <= from) return;
    memory.grow(end);
    this.read(from, end - from);
    this.dictionaryTo = end;
  }

  /** Records of a ring that no reader had given back when it was last copied. */
  unread(ring: number): number {
    const { discards, offset } = this.geometry.rings[ring];
    const claimed = this.memory.wordAt(offset + RING_WRITER_INDEX);
    const word = new DataView(this.memory.u8.buffer).getBigInt64(offset + RING_READER_INDEX, true);
    return claimed - unpackIndex(word, discards === true).sequence;
  }

  /** Does its path still name this file? */
  isAtPath(): boolean {
    return inodeAt(this.path) === this.inode;
  }

  /** Closes the descriptor; what was copied stays. */
  close(): void {
    closeSync(this.fd);
  }

  /** Zeros, or what was copied before, where the file has become shorter. */
  private read(from: number, bytes: number): void {
    for (let at = from; at < from + bytes;) {
      const count = readSync(this.fd, this.memory.u8, at, from + bytes - at, at);
      if (count === 0) return;
      at += count;
    }
  }
}
