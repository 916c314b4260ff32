/**
 * The write side of a ring.
 *
 * A producer asks for a place (`reserve`), fills it, and publishes it, or leaves it at that. With one
 * producer, which is how the SDK uses a file, the place is the slot itself and nothing is claimed
 * until it is full: a thread that is terminated while it fills a slot leaves no trace. With many
 * producers the place is a scratch buffer, and the slot is claimed only to be copied into.
 *
 * @module
 */
import {
  AVAILABILITY_BYTES,
  RING_BUFFER_SIZE,
  RING_HEADER_BYTES,
  RING_NUM_BUFFERS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
  SLOT_LENGTH_BYTES,
} from "../format/layout.ts";
import { hide } from "../../ffi/hide.ts";
import { packIndex, unpackIndex } from "./index.ts";

/** The part of a mapping that a ring needs: views over the whole file. */
export interface FileViews {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
}

/**
 * Sequences at and above this are never used: a new file is started before
 * (PROTOCOL.md, Sequences). The margin below 2^31 is for producers that share a file.
 */
export const SEQUENCE_LIMIT = 0x7fff0000;

/** More frames of the stack than publishing takes. */
const ASSURED_FRAMES = 24;

/**
 * Throws where the stack is about to end: before a slot is claimed, rather than between that and its
 * publishing, where the slot would hold up the reader for as long as this process lives.
 */
function assureStack(frames: number): number {
  return frames === 0 ? 0 : assureStack(frames - 1) + 1;
}

/** What becomes of records that find their ring full. */
export type Overflow = "newest" | "oldest";

/** One ring of a file that this isolate writes. */
export class RingWriter {
  /** Views to fill the reserved place through: the mapping's, or with many producers a scratch's. */
  declare readonly u8: Uint8Array;
  declare readonly i32: Int32Array;
  /** Number of slots. */
  readonly slots: number;
  /** Bytes of a slot. */
  readonly slotBytes: number;
  /** Bytes of the largest record that fits, its length not counted. */
  readonly maxRecordBytes: number;
  /** First sequence that may not be used. Lower only in tests of succession. */
  sequenceLimit: number = SEQUENCE_LIMIT;
  /**
   * Is a reader there? Set for a ring whose oldest records are discarded while none is; null where
   * the newest are refused in any case.
   */
  attached: (() => boolean) | null = null;

  private readonly file: FileViews;
  private readonly many: boolean;
  private readonly mask: number;
  private readonly shift: number;
  private readonly readerWord: number;
  /** Where the sequence stands up to which slots may be used again. */
  private reusableWord: number;
  private readonly writerWord: number;
  private readonly availabilityWord: number;
  private readonly slotsOffset: number;
  private reader: number;
  private last: number;

  /**
   * @param file Views over the whole mapping.
   * @param offset Where the ring starts, bytes from the start of the file.
   * @param producers `"one"`: this isolate alone writes the ring; `"many"`: others may as well.
   */
  constructor(file: FileViews, offset: number, producers: "one" | "many") {
    this.file = file;
    this.many = producers === "many";
    this.slots = Number(file.i64[(offset + RING_NUM_BUFFERS) >> 3]);
    this.slotBytes = Number(file.i64[(offset + RING_BUFFER_SIZE) >> 3]);
    this.maxRecordBytes = this.slotBytes - SLOT_LENGTH_BYTES;
    this.mask = this.slots - 1;
    this.shift = Math.log2(this.slots);
    // Sequences stay below 2^31, so the low half of an index, signed, is the whole value.
    this.readerWord = (offset + RING_READER_INDEX) >> 2;
    this.reusableWord = this.readerWord;
    this.writerWord = (offset + RING_WRITER_INDEX) >> 2;
    this.availabilityWord = (offset + RING_HEADER_BYTES) >> 2;
    this.slotsOffset = offset + RING_HEADER_BYTES + this.slots * AVAILABILITY_BYTES;
    this.reader = Atomics.load(file.i32, this.readerWord);
    this.last = Atomics.load(file.i32, this.writerWord);
    if (this.many) {
      const scratch = new ArrayBuffer(this.slotBytes);
      hide(this, { u8: new Uint8Array(scratch), i32: new Int32Array(scratch) });
    } else {
      hide(this, { u8: file.u8, i32: file.i32 });
    }
  }

  /**
   * A place for one record: the byte offset, in `u8`, of its slot; -1 when fewer than `keep` slots
   * would stay free behind it, -2 when the sequences are used up. Nothing has happened until
   * `publish`: a place that is not wanted after all is simply not published.
   * `keep` is 0 or more slots.
   */
  reserve(keep: number): number {
    if (this.many) this.last = Atomics.load(this.file.i32, this.writerWord);
    const next = this.last + 1;
    // The capacity rule of the format leaves slots - 1 usable.
    if (next - this.reader + keep >= this.slots) {
      // Pairs with the reader's store of reader_index: what it has released may be overwritten.
      this.reader = Atomics.load(this.file.i32, this.reusableWord);
      if (next - this.reader + keep >= this.slots && !this.discard(next)) return -1;
    }
    if (next >= this.sequenceLimit) return -2;
    return this.many ? 0 : this.slotsOffset + (next & this.mask) * this.slotBytes;
  }

  /**
   * Publishes the record that fills the reserved place up to `end` (byte offset in `u8`). `slot` is
   * what `reserve` returned; `first` are the record's first two bytes, the lower one first, which go
   * in with its length. False only with many producers: others filled the ring.
   */
  publish(slot: number, end: number, first: number): boolean {
    const length = end - slot - SLOT_LENGTH_BYTES;
    this.i32[slot >> 2] = (length & 0x7f) | 0x80 | (length >> 7) << 8 | first << 16;
    if (this.many) return this.claimAndCopy(end);
    const next = this.last + 1;
    const i32 = this.file.i32;
    if (next === 0) {
      // From -1 to 0 the upper half changes as well.
      Atomics.store(this.file.i64, this.writerWord >> 1, 0n);
    } else {
      // Plain: only this producer writes it, and the atomic store below orders it before the flag.
      i32[this.writerWord] = next;
    }
    // Pairs with the reader's load of the availability word: the flag makes the record readable.
    Atomics.store(i32, this.availabilityWord + (next & this.mask), next >>> this.shift);
    // Last: where a stack overflow cuts off one of the stores above, the next record takes this very
    // slot, which would otherwise hold up the reader for as long as this process lives.
    this.last = next;
    return true;
  }

  /** Sequence of the last record claimed, -1 for none. */
  get claimed(): number {
    return Atomics.load(this.file.i32, this.writerWord);
  }

  /** Sequence of the last record the reader has released, -1 for none. */
  get released(): number {
    return Atomics.load(this.file.i32, this.readerWord);
  }

  /** From now on slots are used again only up to the sequence in another word, at this offset. */
  reuseAfter(offset: number): void {
    this.reusableWord = offset >> 2;
    this.reader = Atomics.load(this.file.i32, this.reusableWord);
  }

  /** Records whose slots may not be used again: not released, or not synced since. */
  get inUse(): number {
    return this.last - Atomics.load(this.file.i32, this.reusableWord);
  }

  /** How many records were discarded so far. */
  get discarded(): number {
    if (this.attached === null) return 0;
    return unpackIndex(Atomics.load(this.file.i64, this.readerWord >> 1), true).discarded;
  }

  /**
   * Makes room for `next` by giving up the oldest records; false where a reader is there, or the ring
   * is not one of these. Slots that are kept for others need not be: there will be room for them.
   */
  private discard(next: number): boolean {
    if (this.attached === null || this.attached()) return false;
    const { i64 } = this.file;
    const word = this.readerWord >> 1;
    for (;;) {
      const before = Atomics.load(i64, word);
      const { sequence, discarded } = unpackIndex(before, true);
      this.reader = sequence;
      if (next - sequence < this.slots) break;
      // Pairs with the swaps of the reader: a record is either released by it, or discarded here. The
      // count is in the same word, so it is true after any kill.
      Atomics.compareExchange(i64, word, before, packIndex(sequence + 1, discarded + 1));
      // The load of the next turn is not for its value alone: no store into the slot comes before it,
      // and it does not come before the swap. So a reader that still sees the old index when it has
      // copied the slot has copied nothing of the new record (see `passDiscarded`).
    }
    return true;
  }

  private claimAndCopy(end: number): boolean {
    const { i32, i64, u8 } = this.file;
    assureStack(ASSURED_FRAMES);
    let next: number;
    for (;;) {
      const last = Atomics.load(i32, this.writerWord);
      next = last + 1;
      if (next - this.reader >= this.slots) {
        this.reader = Atomics.load(i32, this.readerWord);
        if (next - this.reader >= this.slots) return false;
      }
      // Pairs with the same step of the other producers: who swaps owns the slot.
      const swapped = next === 0
        ? Atomics.compareExchange(i64, this.writerWord >> 1, -1n, 0n) === -1n
        : Atomics.compareExchange(i32, this.writerWord, last, next) === last;
      if (swapped) break;
    }
    const slot = this.slotsOffset + (next & this.mask) * this.slotBytes;
    const scratch = this.u8;
    for (let i = 0; i < end; i++) u8[slot + i] = scratch[i];
    // Pairs with the reader's load of the availability word.
    Atomics.store(i32, this.availabilityWord + (next & this.mask), next >>> this.shift);
    return true;
  }
}
