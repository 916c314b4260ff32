/**
 * One growing buffer that holds every open span and every batch in the making, in blocks whose sizes
 * are powers of two, so that moving bytes between them is a copy within one buffer.
 *
 * @module
 */
import { type Bytes, createBytes } from "../record/bytes.ts";

/** Bytes of the smallest block: the encoding of a span with half a dozen attributes. */
export const BLOCK_BYTES = 512;
/** Block classes: BLOCK_BYTES << class, up to 16 MiB. */
const CLASSES = 16;
/** The start of the buffer is no block: new fields are put together here before they are kept. */
export const SCRATCH_BYTES = (2 << 20) + (64 << 10);
/**
 * What refs make larger must end here. The rest of the scratch is for fields that are copied as
 * they come, which are never more than their record (1 MiB).
 */
export const SCRATCH_LIMIT = 1 << 20;
/** Between scratch and blocks, for what is added to a span when it leaves. */
export const EXTRA_BYTES = 4096;
const FIRST_BLOCK = SCRATCH_BYTES + EXTRA_BYTES;
const INITIAL_BYTES = FIRST_BLOCK + (1 << 20);
/** Offsets are 32-bit numbers. */
const MAX_BYTES = 0x7fff0000;

/** The buffer. */
export class Arena {
  /** All bytes; replaced when it grows, so never keep it across an `allocate`. */
  bytes: Bytes = createBytes(INITIAL_BYTES);
  /** Bytes in blocks that are in use. */
  inUse = 0;

  private end = FIRST_BLOCK;
  /** Offset of the first free block of each class, 0 for none; the next is in its first word. */
  private readonly free = new Int32Array(CLASSES);

  /** How many classes there are. */
  static readonly classes: number = CLASSES;

  /** The class of the smallest block that fits; -1 when none does. */
  static classFor(bytes: number): number {
    let blockClass = 0;
    while (BLOCK_BYTES << blockClass < bytes) if (++blockClass === CLASSES) return -1;
    return blockClass;
  }

  /** The offset of a block of a class, its content undefined; -1 when the buffer cannot grow. */
  allocate(blockClass: number): number {
    const size = BLOCK_BYTES << blockClass;
    const at = this.free[blockClass];
    if (at !== 0) {
      this.free[blockClass] = this.bytes.view.getInt32(at, true);
      this.inUse += size;
      return at;
    }
    if (this.end + size > this.bytes.u8.length && !this.grow(this.end + size)) return -1;
    const fresh = this.end;
    this.end += size;
    this.inUse += size;
    return fresh;
  }

  /** Gives a block back. */
  release(at: number, blockClass: number): void {
    this.bytes.view.setInt32(at, this.free[blockClass], true);
    this.free[blockClass] = at;
    this.inUse -= BLOCK_BYTES << blockClass;
  }

  /** Grows once for blocks of so many bytes; false when that cannot be. */
  prepare(bytes: number): boolean {
    return this.end + bytes <= this.bytes.u8.length || this.grow(this.end + bytes);
  }

  private grow(bytes: number): boolean {
    if (bytes > MAX_BYTES) return false;
    let grown: Bytes;
    try {
      grown = createBytes(Math.min(MAX_BYTES, Math.max(bytes, this.bytes.u8.length * 2)));
    } catch {
      return false;
    }
    grown.u8.set(this.bytes.u8.subarray(0, this.end));
    this.bytes = grown;
    return true;
  }
}
