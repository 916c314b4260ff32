/**
 * Memory in blocks whose sizes are powers of two, within chunks that never move: growing copies
 * nothing, and a block that was released is the next one of its size.
 *
 * @module
 */

/** Elements of a chunk, as a power of two. */
const CHUNK_BITS = 15;
/** Elements of the largest block. */
export const MAX_BLOCK: number = 1 << (CHUNK_BITS - 1);
const CHUNK = 1 << CHUNK_BITS;

/** What {@linkcode Blocks} can be made of. */
export type Column = Float64Array | Int32Array | Uint8Array | Uint16Array | Int8Array;

/** The chunk of a block, as an index in `chunks`. */
export function chunkOf(block: number): number {
  return block >> CHUNK_BITS;
}

/** Where a block starts in its chunk. */
export function offsetOf(block: number): number {
  return block & (CHUNK - 1);
}

/** The class of the smallest block for so many elements, where class 0 has `smallest`. */
export function classFor(elements: number, smallest: number): number {
  let blockClass = 0;
  while (smallest << blockClass < elements) blockClass++;
  return blockClass;
}

/** Blocks of one type of number. */
export class Blocks<T extends Column> {
  /** Where the numbers are. */
  readonly chunks: T[] = [];

  private readonly make: (elements: number) => T;
  private readonly smallest: number;
  /** First element never given out. */
  private end = 0;
  /** Released blocks, a stack for each class. */
  private readonly free: Int32Array[] = [];
  private readonly freeCounts: number[] = [];

  /**
   * @param make Makes a chunk.
   * @param smallest Elements of a block of class 0, a power of two; class n has `smallest << n`.
   */
  constructor(make: (elements: number) => T, smallest: number) {
    this.make = make;
    this.smallest = smallest;
    for (let size = smallest; size <= MAX_BLOCK; size *= 2) {
      this.free.push(new Int32Array(16));
      this.freeCounts.push(0);
    }
  }

  /** Elements there is memory for. */
  get capacity(): number {
    return this.chunks.length * CHUNK;
  }

  /** A block of zeros. Throws a RangeError where the runtime has no memory for another chunk. */
  allocate(blockClass: number): number {
    const size = this.smallest << blockClass;
    const count = this.freeCounts[blockClass];
    if (count > 0) {
      const block = this.free[blockClass][count - 1];
      this.freeCounts[blockClass] = count - 1;
      const offset = offsetOf(block);
      this.chunks[chunkOf(block)].fill(0, offset, offset + size);
      return block;
    }
    // Blocks do not cross chunks.
    const rest = this.capacity - this.end;
    if (rest < size) {
      this.chunks.push(this.make(CHUNK));
      this.end += rest;
    }
    const block = this.end;
    this.end += size;
    return block;
  }

  /** Gives a block back. */
  release(block: number, blockClass: number): void {
    const count = this.freeCounts[blockClass];
    if (count === this.free[blockClass].length) {
      this.free[blockClass] = grown(this.free[blockClass], count * 2);
    }
    this.free[blockClass][count] = block;
    this.freeCounts[blockClass] = count + 1;
  }
}

/** Numbers for things that come and go: the one that was released last is the next one. */
export class Handles {
  private next = 0;
  private free = new Int32Array(16);
  private count = 0;

  /** All that were ever in use are below. */
  get end(): number {
    return this.next;
  }

  /** What `take` gives next. */
  get following(): number {
    return this.count > 0 ? this.free[this.count - 1] : this.next;
  }

  /** A number that is not in use. */
  take(): number {
    return this.count > 0 ? this.free[--this.count] : this.next++;
  }

  /** Starts with all numbers below `end` in use but these. */
  restore(end: number, free: Int32Array<ArrayBuffer>): void {
    this.next = end;
    this.free = grown(free, Math.max(16, free.length));
    this.count = free.length;
  }

  /** Gives a number back. */
  give(handle: number): void {
    if (this.count === this.free.length) this.free = grown(this.free, this.count * 2);
    this.free[this.count++] = handle;
  }
}

/** A longer copy; the new elements are 0. */
export function grown<T extends Column>(column: T, length: number): T {
  const copy = new (column.constructor as new (length: number) => T)(length);
  copy.set(column);
  return copy;
}
