/**
 * The read side of a ring: is the next record there, copy it, and at the end of a batch give the
 * slots back.
 *
 * A record is parsed only from its copy: the slot belongs to another process, which may change it
 * at any moment.
 *
 * @module
 */
import { AVAILABILITY_BYTES, RING_READER_INDEX, RING_WRITER_INDEX } from "../format/layout.ts";
import { trustedRecords } from "../file/boot.ts";
import type { RingGeometry } from "../file/geometry.ts";
import { createBytes, type WordBytes } from "../record/bytes.ts";
import { countReleased, openCounts, type ReadCounts } from "./counts.ts";
import { loadIndex, packIndex, unpackIndex } from "./index.ts";
import type { FileViews } from "./write.ts";

/** Records longer than this are not taken for records. Bytes. */
export const MAX_RECORD_BYTES = 1 << 20;
/** Bytes of the longest length prefix that is understood (a varint of 32 bits, padded or not). */
const MAX_PREFIX_BYTES = 5;

/** Where one reader is in one ring. */
export interface RingReader {
  readonly file: FileViews;
  readonly geometry: RingGeometry;
  /** Records taken since this reader started. */
  taken: number;
  /** Sequence taken last, -1 at first. */
  sequence: number;
  /** Sequence that `reader_index` holds, or held when this reader last moved it. */
  released: number;
  /** Records that readers of the file have given back so far: all of those but the discarded. */
  given: number;
  /** Records that the writer discarded before this reader took them, by first and last sequence. */
  readonly missed: { readonly from: number; readonly to: number }[];
  /** Records from here on are not trusted: power was lost before they were synced. Else Infinity. */
  readonly trusted: number;
  /** Slot of the next record. */
  position: number;
  /** Availability flag the next record is published with. */
  flag: number;
  /** What became of records, in the file; null where it has no words for that. */
  readonly counts: ReadCounts | null;
}

/** The copy of one record, and views to parse it through. */
export interface RecordCopy extends WordBytes {
  /** Where the record starts in `u8`, after its length. */
  start: number;
  /** Where it ends. */
  end: number;
}

/**
 * Starts where the file's last reader stopped.
 *
 * @param counted The file has our extension block, in which what becomes of records is counted.
 */
export function openRing(file: FileViews, geometry: RingGeometry, counted: boolean): RingReader {
  const { sequence, discarded } = loadIndex(file.i64, geometry);
  const given = sequence + 1 - discarded;
  const reader: RingReader = {
    file,
    geometry,
    taken: 0,
    sequence,
    released: sequence,
    given,
    missed: [],
    trusted: counted ? trustedRecords(file, geometry.ring) : Infinity,
    position: 0,
    flag: 0,
    counts: counted ? openCounts(file, geometry.ring, given) : null,
  };
  seek(reader, sequence);
  return reader;
}

/** A copy buffer that fits records of all rings given. */
export function createCopy(rings: readonly RingGeometry[]): RecordCopy {
  let bytes = 0;
  for (const ring of rings) bytes = Math.max(bytes, ring.slotBytes);
  bytes = (Math.min(bytes, MAX_RECORD_BYTES + MAX_PREFIX_BYTES) + 7) & ~7;
  return { ...createBytes(bytes), start: 0, end: 0 };
}

/** Goes on after this sequence, wherever the reader was. */
export function seek(reader: RingReader, sequence: number): void {
  const { slots } = reader.geometry;
  const next = sequence + 1;
  reader.sequence = sequence;
  reader.position = next % slots;
  // The format's flag is the low 32 bits of the sequence divided by the number of slots.
  reader.flag = Math.floor(next / slots) | 0;
}

/** True when the next record is published. */
export function isReady(reader: RingReader): boolean {
  if (reader.sequence + 1 >= reader.trusted) return false;
  const word = reader.geometry.availability / AVAILABILITY_BYTES + reader.position;
  // Pairs with the writer's store of the flag, which it does after filling the slot.
  return Atomics.load(reader.file.i32, word) === reader.flag;
}

/** Records claimed by writers and not taken yet, published or not. Never negative. */
export function claimedAhead(reader: RingReader): number {
  const low = Atomics.load(
    reader.file.i32,
    (reader.geometry.offset + RING_WRITER_INDEX) / AVAILABILITY_BYTES,
  );
  // Never more than a ring ahead, so the distance of the low halves is the whole distance.
  return Math.max(0, (low - (reader.sequence | 0)) | 0);
}

/**
 * Goes on behind the records that the writer has discarded meanwhile; false when there are none. To be
 * asked where the next record is not there, and **after every copy**: when it says true, what was
 * copied may be a mix of two records, and is none.
 */
export function passDiscarded(reader: RingReader): boolean {
  const { file, geometry, missed, sequence } = reader;
  if (geometry.discards !== true) return false;
  // Not a load but a swap of the word with itself, since loads of the slot may come after a later
  // load, and do not come after a store. Pairs with the writer's swap, which comes before its first
  // store into the slot: either that swap is seen here, or the copy was complete before it.
  const index = Atomics.or(file.i32, (geometry.offset + RING_READER_INDEX) / 4, 0);
  if (index <= sequence) return false;
  missed.push({ from: sequence + 1, to: index });
  seek(reader, index);
  return true;
}

/** Steps over the next record: to be called once it has been copied, or will never be there. */
export function advance(reader: RingReader): void {
  reader.sequence++;
  reader.taken++;
  if (++reader.position === reader.geometry.slots) {
    reader.position = 0;
    reader.flag = (reader.flag + 1) | 0;
  }
}

/**
 * Copies the next record. False when what the slot holds is no record: no length, or one that
 * reaches beyond the slot.
 */
export function copyRecord(reader: RingReader, copy: RecordCopy): boolean {
  const { firstSlot, slotBytes } = reader.geometry;
  const slot = firstSlot + reader.position * slotBytes;
  const to = copy.u8;
  if ((slotBytes & 3) === 0) {
    // Slots start on 4-byte boundaries: whole words, the length prefix first.
    const from = reader.file.i32;
    const words = copy.i32;
    const word = slot / 4;
    words[0] = from[word];
    if (slotBytes > 4) words[1] = from[word + 1];
    if (!readPrefix(to, slotBytes, copy)) return false;
    const count = (copy.end + 3) >> 2;
    for (let i = 2; i < count; i++) words[i] = from[word + i];
    return true;
  }
  const from = reader.file.u8;
  const prefix = Math.min(MAX_PREFIX_BYTES, slotBytes);
  for (let i = 0; i < prefix; i++) to[i] = from[slot + i];
  if (!readPrefix(to, slotBytes, copy)) return false;
  for (let i = prefix; i < copy.end; i++) to[i] = from[slot + i];
  return true;
}

function readPrefix(bytes: Uint8Array, slotBytes: number, copy: RecordCopy): boolean {
  let length = 0;
  const limit = Math.min(MAX_PREFIX_BYTES, slotBytes);
  for (let i = 0; i < limit; i++) {
    const byte = bytes[i];
    // Integer arithmetic throughout: a length that came out as a double would make doubles of all
    // positions after it. What the fifth byte says is beyond any length that is accepted.
    length |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (i === 4 && byte > 0) return false;
      copy.start = i + 1;
      copy.end = i + 1 + length;
      return length > 0 && length <= MAX_RECORD_BYTES && copy.end <= slotBytes;
    }
  }
  return false;
}

/**
 * Gives back every slot up to and including `sequence`: writers may use them again, so what was in
 * them must be copied or safe by now.
 */
export function release(reader: RingReader, sequence: number): void {
  if (sequence <= reader.released) return;
  if (reader.geometry.discards === true) return releaseShared(reader, sequence);
  const count = sequence - reader.released;
  if (reader.counts !== null) countReleased(reader.counts, sequence, count, reader.given);
  reader.given += count;
  reader.released = sequence;
  // 64 bits at once, since from -1 to 0 both halves change. Pairs with the writer's load when it
  // looks for room: the copies above are done before the slots can be seen free.
  Atomics.store(
    reader.file.i64,
    (reader.geometry.offset + RING_READER_INDEX) / 8,
    BigInt(sequence),
  );
}

/** The same where the writer moves `reader_index`, too. */
function releaseShared(reader: RingReader, sequence: number): void {
  const { file, geometry, counts, missed, released } = reader;
  let count = sequence - released;
  for (const { from, to } of missed) {
    count -= Math.max(0, Math.min(to, sequence) - Math.max(from - 1, released));
  }
  const word = (geometry.offset + RING_READER_INDEX) / 8;
  if (count > 0 && counts !== null) countReleased(counts, sequence, count, reader.given);
  reader.given += count;
  for (;;) {
    const before = Atomics.load(file.i64, word);
    // A writer that found nobody attached may have gone on, even beyond records that were taken. They
    // were taken whole, so they are not lost: they are taken off what it has counted as discarded.
    const to = Math.max(sequence, unpackIndex(before, true).sequence);
    const after = packIndex(to, to + 1 - reader.given);
    // Pairs with the swap of the writer, and with its load when it looks for room.
    if (Atomics.compareExchange(file.i64, word, before, after) !== before) continue;
    reader.released = to;
    break;
  }
  while (missed.length > 0 && missed[0].to <= reader.released) missed.shift();
}
