/**
 * Where everything is in a file whose header or ring headers are damaged. The offsets in the header
 * and the sizes in the rings say the same thing twice, so either can be rebuilt from the other.
 *
 * @module
 */
import type { Geometry, RingGeometry } from "../../lib/file/geometry.ts";
import { DEFAULT_RINGS, MIN_SLOT_BYTES, type RingSize } from "../../lib/file/write.ts";
import {
  AVAILABILITY_BYTES,
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  FIRST_RING_OFFSET,
  HEADER_BYTES,
  HEADER_DICTIONARY,
  HEADER_RINGS,
  HEADER_TIME,
  HEADER_VERSION,
  MAX_SLOT_BYTES,
  RING_BUFFER_SIZE,
  RING_COUNT,
  RING_HEADER_BYTES,
  RING_NAMES,
  RING_NUM_BUFFERS,
  VERSION,
  VERSION_DISCARDS,
} from "../../lib/format/layout.ts";

/**
 * Bytes of a file that was cut off, at most: all that its parts take is held in memory, and what a few
 * damaged words say may be anything. Far more than the rings of most writers take.
 */
const MOST_MISSING_BYTES = 2 ** 26;
const MAX_SLOTS = 2 ** 24;

/** What could be found out. */
export interface RebuiltGeometry {
  readonly geometry: Geometry;
  /** By ring: nothing says where it is or how large its slots are. It has one empty slot, past all else. */
  readonly lost: readonly boolean[];
  /** By ring: its header does not say the size that it has. */
  readonly damaged: readonly boolean[];
  /** Bytes that the parts of the file take, the placeholders of lost ones included. */
  readonly bytes: number;
  /** What was damaged, and where what is used instead comes from. */
  readonly notes: string[];
}

/** Finds the parts of a file in its bytes. */
export function rebuildGeometry(u8: Uint8Array): RebuiltGeometry {
  const view = new DataView(u8.buffer, u8.byteOffset, u8.length);
  const most = u8.length + MOST_MISSING_BYTES;
  const notes: string[] = [];
  const word = (offset: number): number =>
    offset >= 0 && offset + 8 <= u8.length ? Number(view.getBigInt64(offset, true)) : NaN;
  const version = word(HEADER_VERSION);
  if (version !== VERSION && version !== VERSION_DISCARDS) {
    notes.push(`the header's version is ${version}: taken for ${VERSION}`);
  }

  /** What the header says: where each ring begins, and the dictionary. NaN where that can't be. */
  const said = [...HEADER_RINGS, HEADER_DICTIONARY].map((at) => {
    const offset = word(at);
    const aligned = at === HEADER_DICTIONARY || offset % 8 === 0;
    return aligned && offset >= HEADER_BYTES && offset < most ? offset : NaN;
  });
  const sizeAt = (offset: number): RingSize | null => {
    const slots = word(offset + RING_NUM_BUFFERS);
    const slotBytes = word(offset + RING_BUFFER_SIZE);
    if (!isPowerOfTwo(slots) || !(slotBytes >= 1 && slotBytes <= most)) return null;
    return endOf(offset, { slots, slotBytes }) <= most ? { slots, slotBytes } : null;
  };
  const isDictionary = (offset: number): boolean => {
    const end = word(offset + DICTIONARY_END);
    return end >= offset + DICTIONARY_HEADER_BYTES && end <= most;
  };
  const fits = (part: number, offset: number): boolean =>
    part < RING_COUNT ? sizeAt(offset) !== null : isDictionary(offset);

  const offsets: number[] = [];
  const sizes: (RingSize | null)[] = [];
  const damaged: boolean[] = [];
  // Where the part before ends.
  let expected = NaN;
  for (let part = 0; part <= RING_COUNT; part++) {
    const name = RING_NAMES[part] ?? "dictionary";
    const guesses = [said[part], expected, ...part === 0 ? [FIRST_RING_OFFSET, HEADER_BYTES] : []]
      .filter((offset) => !Number.isNaN(offset));
    const offset = guesses.find((guess) => fits(part, guess)) ?? guesses[0] ?? NaN;
    offsets.push(offset);
    if (Number.isNaN(offset)) notes.push(`nothing says where the ${name} ${plural(part)}`);
    else if (offset !== said[part]) {
      notes.push(`the header does not say where the ${name} ${plural(part)}: taken for ${offset}`);
    }
    if (part === RING_COUNT) break;
    const next = said[part + 1];
    let size = sizeAt(offset);
    // Both say where the next part begins; who is right shows there.
    const end = size === null ? NaN : endOf(offset, size);
    const isOurs = offsets[0] === FIRST_RING_OFFSET;
    const disagrees = (end > next || (isOurs && end < next)) && fits(part + 1, next);
    damaged.push(size === null || disagrees);
    if (size === null || disagrees) {
      const byDefault = DEFAULT_RINGS[part];
      if (Number.isNaN(offset)) size = null;
      else if (!Number.isNaN(next)) size = guessSize(offset, next);
      else size = fits(part + 1, endOf(offset, byDefault)) ? byDefault : null;
      const instead = size === null
        ? "its records are lost"
        : `taken for ${size.slots} slots of ${size.slotBytes}`;
      notes.push(`the ${name} ring does not say what size it has: ${instead}`);
    }
    sizes.push(size);
    expected = size === null ? NaN : endOf(offset, size);
  }

  let bytes = u8.length;
  for (const [part, size] of sizes.entries()) {
    if (size !== null) bytes = Math.max(bytes, endOf(offsets[part], size));
  }
  const dictionary = offsets[RING_COUNT];
  if (dictionary + DICTIONARY_HEADER_BYTES > u8.length) {
    notes.push(
      `the dictionary, which holds all names and resources, is cut off: without it hardly any record can be read`,
    );
  }
  const place = (length: number): number => {
    const at = Math.ceil(bytes / 8) * 8;
    bytes = at + length;
    return at;
  };
  const rings = sizes.map((size, ring): RingGeometry => {
    if (size !== null) return ringAt(ring, offsets[ring], size);
    const one = { slots: 1, slotBytes: 8 };
    return ringAt(ring, place(endOf(0, one)), one);
  });
  const start = Number.isNaN(dictionary) ? place(DICTIONARY_HEADER_BYTES) : dictionary;
  return {
    geometry: {
      rings: rings as unknown as Geometry["rings"],
      dictionary: start,
      timeUnixNano: HEADER_TIME + 8 <= u8.length ? view.getBigUint64(HEADER_TIME, true) : 0n,
    },
    lost: sizes.map((size) => size === null),
    damaged,
    bytes: Math.max(bytes, start + DICTIONARY_HEADER_BYTES),
    notes,
  };
}

/** A ring's size from the room that it has, where only one size of our own writers fits. */
function guessSize(offset: number, next: number): RingSize | null {
  const fitting: RingSize[] = [];
  for (let slots = 2; slots <= MAX_SLOTS; slots *= 2) {
    // The end of a ring is rounded up, which for two slots and more changes nothing.
    const slotBytes = (next - offset - RING_HEADER_BYTES) / slots - AVAILABILITY_BYTES;
    if (slotBytes % 8 !== 0 || slotBytes < MIN_SLOT_BYTES || slotBytes > MAX_SLOT_BYTES) continue;
    fitting.push({ slots, slotBytes });
  }
  return fitting.length === 1 ? fitting[0] : null;
}

function ringAt(ring: number, offset: number, { slots, slotBytes }: RingSize): RingGeometry {
  const availability = offset + RING_HEADER_BYTES;
  const firstSlot = availability + slots * AVAILABILITY_BYTES;
  return { ring, offset, slots, slotBytes, availability, firstSlot };
}

function endOf(offset: number, { slots, slotBytes }: RingSize): number {
  const end = offset + RING_HEADER_BYTES + slots * (AVAILABILITY_BYTES + slotBytes);
  return Math.ceil(end / 8) * 8;
}

function isPowerOfTwo(count: number): boolean {
  return count >= 1 && count <= MAX_SLOTS && Number.isInteger(Math.log2(count));
}

function plural(part: number): string {
  return part < RING_COUNT ? "ring begins" : "begins";
}
