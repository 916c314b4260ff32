/**
 * From a place in a ring to a published record: what every kind of record goes through.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import { tag, VARINT } from "../format/fields.ts";
import { LOSS_ENCODE, LOSS_RESERVE, LOSS_RING_FULL, LOSS_TRUNCATED } from "../format/layout.ts";
import type { RingWriter } from "../ring/write.ts";
import { aim, noteCut } from "./value.ts";

/** The record is in the file. */
export const WRITTEN = 0;
/** The ring is full (or kept for the ends of open spans); counted. */
export const REFUSED = -1;
/** The sequences of the ring are used up: write it to the next file. Not counted. */
export const SEQUENCES_USED_UP = -2;
/** Called from code of the caller's that ran while another record was being made; counted. */
export const REENTERED = -3;
/** The dictionary is full: write it to the next file. Not counted. */
export const DICTIONARY_FULL = -4;

/** The file that records go to. */
export interface RecordFile {
  readonly events: RingWriter;
  readonly spans: RingWriter;
  readonly measurements: RingWriter;
  readonly dictionary: DictionaryWriter;
  /** Spans started in this process and not ended: slots are kept for their ends. */
  open: number;
  /** UTF-16 units or bytes that an attribute value keeps. */
  readonly valueLengthLimit: number;
  /** Counts a loss (LOSS_* of layout.ts) for a ring (RING_*). */
  lose(ring: number, reason: number): void;
}

/** Room kept at the end of a slot for the mark of a cut record. */
export const CUT_MARK_BYTES = 3;
/** Room kept for the count of attributes that were left out. */
export const DROPPED_BYTES = 8;

/** Slots that only the ends of open spans may use. */
export function reserveForEnds(file: RecordFile): number {
  // Spans that are dropped without an end must not close the ring for good.
  const quarter = file.spans.slots >> 2;
  return file.open < quarter ? file.open : quarter;
}

/**
 * Whether code of the caller's may run while a record is being made: getters, proxies, a logger.
 * Another record would take the cursor of value.ts away. Whoever sets it unsets it in a `finally`,
 * by a plain store, so that not even a stack overflow leaves it set.
 */
export const caller: { runs: boolean } = { runs: false };

/**
 * Takes a place in a ring and points the cursor at it, `tail` bytes at its end kept back. Returns
 * its offset, or says (and counts) why there is none. Nothing has happened until `publish`.
 */
export function begin(
  file: RecordFile,
  scopeRef: number,
  ringNumber: number,
  ring: RingWriter,
  keep: number,
  tail: number,
): number {
  if (caller.runs) {
    file.lose(ringNumber, LOSS_ENCODE);
    return REENTERED;
  }
  // The scope found no room in the dictionary; existing collectors end on a record without one.
  if (scopeRef === 0) return DICTIONARY_FULL;
  return beginNext(file, ringNumber, ring, keep, tail);
}

/** The same for a record that goes on with what another began. */
export function beginNext(
  file: RecordFile,
  ringNumber: number,
  ring: RingWriter,
  keep: number,
  tail: number,
): number {
  const slot = ring.reserve(keep);
  if (slot < 0) {
    if (slot === REFUSED) {
      const full = ring.inUse + 1 >= ring.slots;
      file.lose(ringNumber, full ? LOSS_RING_FULL : LOSS_RESERVE);
    }
    return slot;
  }
  aim(ring, slot + ring.slotBytes - tail, file.dictionary, file.valueLengthLimit);
  return slot;
}

/** Makes the record visible. */
export function publish(
  file: RecordFile,
  ringNumber: number,
  ring: RingWriter,
  slot: number,
  end: number,
  first: number,
): number {
  if (ring.publish(slot, end, first)) return WRITTEN;
  file.lose(ringNumber, LOSS_RING_FULL);
  return REFUSED;
}

/** Marks a record as cut, and counts it; returns its end. */
export function putCutMark(
  ring: RingWriter,
  end: number,
  field: number,
  file: RecordFile,
  ringNumber: number,
): number {
  const mark = tag(field, VARINT);
  ring.u8[end] = (mark & 0x7f) | 0x80;
  ring.u8[end + 1] = mark >> 7;
  ring.u8[end + 2] = 1;
  file.lose(ringNumber, LOSS_TRUNCATED);
  return end + CUT_MARK_BYTES;
}

/** A two-byte tag and a ref as a six-byte varint: two words. `at` is a multiple of 4. */
export function putScopeRef(ring: RingWriter, at: number, tag: number, ref: number): void {
  const word = at >> 2;
  ring.i32[word] = tag | ((ref & 0x7f) | 0x80) << 16 | ((ref >>> 7) | 0x80) << 24;
  ring.i32[word + 1] = ((ref >>> 14) & 0x7f) | 0x80 | (((ref >>> 21) & 0x7f) | 0x80) << 8 |
    ((ref >>> 28) | 0x80) << 16;
}

/** `count` as a field of two tag bytes; nothing for 0. Returns the end. */
export function putCount(ring: RingWriter, at: number, field: number, count: number): number {
  if (count === 0) return at;
  const u8 = ring.u8;
  const mark = tag(field, VARINT);
  u8[at++] = (mark & 0x7f) | 0x80;
  u8[at++] = mark >> 7;
  return putVarint(u8, at, count);
}

/** A varint below 2^31; returns its end. */
export function putVarint(u8: Uint8Array, at: number, value: number): number {
  for (; value > 0x7f; value >>>= 7) u8[at++] = (value & 0x7f) | 0x80;
  u8[at++] = value;
  return at;
}

/** How many bytes of a name fit in `room`, on a code point; notes the cut where that is not all. */
export function fit(name: Uint8Array, room: number): number {
  if (name.length <= room) return name.length;
  noteCut();
  let length = Math.max(room, 0);
  while (length > 0 && (name[length] & 0xc0) === 0x80) length--;
  return length;
}
