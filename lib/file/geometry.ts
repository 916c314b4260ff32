/**
 * Where everything is in one file, checked against the file's length once and then frozen: nothing
 * that reads a file trusts a size or an offset that did not come out of here.
 *
 * @module
 */
import {
  AVAILABILITY_BYTES,
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  HEADER_BYTES,
  HEADER_DICTIONARY,
  HEADER_RINGS,
  HEADER_TIME,
  HEADER_VERSION,
  RING_BUFFER_SIZE,
  RING_COUNT,
  RING_HEADER_BYTES,
  RING_NAMES,
  RING_NUM_BUFFERS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
  VERSION,
  VERSION_DISCARDS,
} from "../format/layout.ts";
import { unpackIndex } from "../ring/index.ts";
import { hasLostPower } from "./boot.ts";
import { hasExtension } from "./extension.ts";

/** Where one ring is. Offsets and sizes in bytes from the start of the file. */
export interface RingGeometry {
  /** Ring number, see `RING_EVENTS` and its neighbours. */
  readonly ring: number;
  /** Start of the ring's header; a multiple of 8. */
  readonly offset: number;
  /** Number of slots, a power of two, 1 or more. */
  readonly slots: number;
  /** Bytes of one slot, 1 or more. */
  readonly slotBytes: number;
  /** Start of the availability words. */
  readonly availability: number;
  /** Start of the first slot. */
  readonly firstSlot: number;
  /** The writer discards the oldest records: `reader_index` says how many, too. */
  readonly discards?: boolean;
}

/** Where everything is in one file. */
export interface Geometry {
  /** The three rings by ring number. */
  readonly rings: readonly [RingGeometry, RingGeometry, RingGeometry];
  /** Start of the dictionary's header. */
  readonly dictionary: number;
  /** Header word `time_unix_nano`: when the writer started, ns since the Unix epoch. */
  readonly timeUnixNano: bigint;
}

/** A file that is not (or not any more) what this reader understands. */
export class FormatError extends Error {
  /** The file. */
  readonly path: string;
  /** What is wrong, without the file's name. */
  readonly reason: string;

  /**
   * @param path The file.
   * @param reason The field that is wrong and how, "spans.num_buffers is 3, not a power of two".
   */
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.name = "FormatError";
    this.path = path;
    this.reason = reason;
  }
}

/**
 * The file may still be in the making (a version 1 writer stores the version first and the rest
 * after): look again in a moment, and take it for a fault when it stays so.
 */
export interface Unfinished {
  /** What is missing, without the file's name. */
  readonly unfinished: string;
}

/**
 * Reads and checks header, rings and dictionary header.
 *
 * @param path For messages.
 * @param file The file's bytes; only the first `size` are looked at.
 * @param size The file's length.
 * @returns The frozen geometry, or what is still missing.
 * @throws FormatError naming file and field.
 */
export function readGeometry(path: string, file: Uint8Array, size: number): Geometry | Unfinished {
  if (size === 0) return { unfinished: "the file is empty" };
  if (size < HEADER_BYTES) {
    throw new FormatError(path, `the file is truncated: ${size} of at least ${HEADER_BYTES} bytes`);
  }
  const view = new DataView(file.buffer, file.byteOffset, Math.min(size, file.byteLength));
  const version = view.getBigInt64(HEADER_VERSION, true);
  if (version === 0n) return { unfinished: "version is 0: the file is still being made" };
  const discards = version === BigInt(VERSION_DISCARDS);
  if (version !== BigInt(VERSION) && !discards) {
    throw new FormatError(path, explainVersion(view, version));
  }

  const names = [...RING_NAMES, "dictionary"];
  const words = [...HEADER_RINGS, HEADER_DICTIONARY];
  const offsets: number[] = [];
  for (let i = 0; i < words.length; i++) {
    const offset = view.getBigInt64(words[i], true);
    if (offset === 0n) {
      return { unfinished: `${names[i]} offset is 0: the file is still being made` };
    }
    const least = i === 0 ? HEADER_BYTES : offsets[i - 1];
    if (offset < BigInt(least)) {
      throw new FormatError(
        path,
        i === 0
          ? `${names[i]} offset ${offset} is inside the header`
          : `${names[i]} offset ${offset} is before ${names[i - 1]} at ${least}`,
      );
    }
    if (offset % 8n !== 0n && i < RING_COUNT) {
      throw new FormatError(
        path,
        `${
          names[i]
        } offset ${offset} is not a multiple of 8: its indexes cannot be read atomically`,
      );
    }
    if (offset >= BigInt(size)) {
      throw new FormatError(
        path,
        `${names[i]} offset ${offset} is outside the file (${size} bytes)`,
      );
    }
    offsets.push(Number(offset));
  }
  const dictionary = offsets[RING_COUNT];
  if (dictionary + DICTIONARY_HEADER_BYTES > size) {
    throw new FormatError(
      path,
      `dictionary at ${dictionary} is truncated: its header does not fit the file (${size} bytes)`,
    );
  }

  const rings: RingGeometry[] = [];
  for (let ring = 0; ring < RING_COUNT; ring++) {
    const read = readRing(path, view, ring, offsets[ring], offsets[ring + 1], discards);
    if ("unfinished" in read) return read;
    rings.push(read);
  }

  const end = view.getBigInt64(dictionary + DICTIONARY_END, true);
  if (end === 0n) return { unfinished: "dictionary.end is 0: the file is still being made" };
  if (end < BigInt(dictionary + DICTIONARY_HEADER_BYTES)) {
    throw new FormatError(path, `dictionary.end ${end} is before the first entry`);
  }
  // A writer claims room before it makes the file longer, so this too can be a passing state. Where the power
  // went, the file's length may be that of an earlier moment: what was synced is in it.
  if (end > BigInt(size) && !(hasExtension(file) && hasLostPower(file))) {
    return { unfinished: `dictionary.end ${end} is past the end of the file (${size} bytes)` };
  }
  return Object.freeze({
    rings: Object.freeze(rings) as unknown as Geometry["rings"],
    dictionary,
    timeUnixNano: view.getBigUint64(HEADER_TIME, true),
  });
}

/** Do the words that never change still say this? */
export function holdsGeometry(file: Uint8Array, { rings, dictionary }: Geometry): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const at = (offset: number): number => Number(view.getBigInt64(offset, true));
  const version = rings[0].discards === true ? VERSION_DISCARDS : VERSION;
  return at(HEADER_VERSION) === version && at(HEADER_DICTIONARY) === dictionary &&
    at(dictionary + DICTIONARY_END) >= dictionary + DICTIONARY_HEADER_BYTES &&
    rings.every(({ ring, offset, slots, slotBytes }) =>
      at(HEADER_RINGS[ring]) === offset && at(offset + RING_NUM_BUFFERS) === slots &&
      at(offset + RING_BUFFER_SIZE) === slotBytes
    );
}

function readRing(
  path: string,
  view: DataView,
  ring: number,
  offset: number,
  next: number,
  discards: boolean,
): RingGeometry | Unfinished {
  const name = RING_NAMES[ring];
  const following = RING_NAMES[ring + 1] ?? "dictionary";
  if (offset + RING_HEADER_BYTES > next) {
    throw new FormatError(
      path,
      `${following} offset ${next} leaves no room for the ${name} ring at ${offset}`,
    );
  }
  const slots = view.getBigInt64(offset + RING_NUM_BUFFERS, true);
  const slotBytes = view.getBigInt64(offset + RING_BUFFER_SIZE, true);
  if (slots === 0n) return { unfinished: `${name}.num_buffers is 0: the file is still being made` };
  if (slotBytes === 0n) {
    return { unfinished: `${name}.buffer_size is 0: the file is still being made` };
  }
  if (slots < 0n || (slots & (slots - 1n)) !== 0n) {
    throw new FormatError(path, `${name}.num_buffers is ${slots}, not a power of two`);
  }
  if (slotBytes < 0n) throw new FormatError(path, `${name}.buffer_size is ${slotBytes}`);
  // In BigInt, which cannot overflow.
  const end = BigInt(offset + RING_HEADER_BYTES) + slots * (BigInt(AVAILABILITY_BYTES) + slotBytes);
  if (end > BigInt(next)) {
    throw new FormatError(
      path,
      `${name}.num_buffers ${slots} x buffer_size ${slotBytes} do not fit before ${following} at ${next}`,
    );
  }
  const { reader, writer, discarded } = readIndexes(view, offset, discards, slots);
  if (reader < -1n) throw new FormatError(path, `${name}.reader_index is ${reader}, below -1`);
  if (writer < reader) {
    // Indexes are made with 0 before they get their -1.
    if (reader === 0n && writer === -1n) {
      return { unfinished: `${name}.reader_index is 0: the file is still being made` };
    }
    throw new FormatError(path, `${name}.writer_index ${writer} is behind reader_index ${reader}`);
  }
  if (BigInt(discarded) > reader + 1n) {
    throw new FormatError(
      path,
      `${name}.reader_index is ${reader}, with ${discarded} discarded up to it`,
    );
  }
  if (writer - reader > slots) {
    throw new FormatError(
      path,
      `${name}.writer_index ${writer} is more than num_buffers ${slots} past reader_index ${reader}`,
    );
  }
  const availability = offset + RING_HEADER_BYTES;
  return Object.freeze({
    ring,
    offset,
    slots: Number(slots),
    slotBytes: Number(slotBytes),
    availability,
    firstSlot: availability + Number(slots) * AVAILABILITY_BYTES,
    ...(discards && { discards }),
  });
}

/** Times that both indexes are read, where the writer moves both. */
const MAX_LOOKS = 1000;

/** The indexes of a ring, as they were at one moment. */
function readIndexes(
  view: DataView,
  offset: number,
  discards: boolean,
  slots: bigint,
): { reader: bigint; writer: bigint; discarded: number } {
  for (let look = 1;; look++) {
    // reader_index first: it never passes a writer_index that is read after it.
    const word = view.getBigInt64(offset + RING_READER_INDEX, true);
    const writer = view.getBigInt64(offset + RING_WRITER_INDEX, true);
    if (!discards) return { reader: word, writer, discarded: 0 };
    const { sequence, discarded } = unpackIndex(word, true);
    const reader = BigInt(sequence);
    // The writer may have moved both in between.
    if (writer - reader <= slots || look === MAX_LOOKS) return { reader, writer, discarded };
  }
}

function explainVersion(view: DataView, version: bigint): string {
  if (view.getBigInt64(HEADER_VERSION, false) === BigInt(VERSION)) {
    return "version is 1 in big-endian order: files of big-endian machines cannot be read here";
  }
  // Other versions would be small numbers; anything else is some other kind of file.
  if (version > 0n && version < 256n) {
    return `version is ${version}, only ${VERSION} and ${VERSION_DISCARDS} are understood`;
  }
  return "not an otlp-mmap file: its first 8 bytes are not a version number";
}
