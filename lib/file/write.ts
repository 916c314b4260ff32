/**
 * The write side of a file: made complete, locked, and only then given its name.
 *
 * @module
 */
import { clockWords, Mapping, now, runtime } from "../../ffi/mod.ts";
import { DictionaryWriter, SHARED_MARGIN_BYTES } from "../dictionary/write.ts";
import * as layout from "../format/layout.ts";
import { packIndex } from "../ring/index.ts";
import { type Overflow, RingWriter } from "../ring/write.ts";
import { watchReader } from "./attached.ts";
import { currentBootId, readBootId } from "./boot.ts";
import { hasExtension } from "./extension.ts";
import type { Identity } from "./identity.ts";
import { randomBytes } from "./random.ts";

/** Number and size of a ring's slots. */
export interface RingSize {
  /** A power of two from 2 on; one of them stays unused. */
  slots: number;
  /** Bytes of a slot: a multiple of 8 from 256 to 16,384. */
  slotBytes: number;
}

/** Sizes of a file. What is left out has its default. */
export interface FileSizes {
  /** Log records and span events. Default 2,048 slots of 2,048 bytes. */
  events?: Partial<RingSize>;
  /** Starts, attributes, links, renames and ends of spans. Default 8,192 slots of 1,024 bytes. */
  spans?: Partial<RingSize>;
  /** Measurements. Default 4,096 slots of 512 bytes. */
  measurements?: Partial<RingSize>;
  /** The most bytes the dictionary may take; the file grows towards it. Default 16 MiB. */
  dictionaryBytes?: number;
}

/** How a file is made. */
export interface FileOptions extends FileSizes {
  identity: Identity;
  /** 0 for the isolate's first file. Default 0. */
  generation?: number;
  /** uid of the file of the generation before. */
  predecessor?: Uint8Array;
  /** `"many"` lets other processes and Workers join; see `FileWriter.join`. Default `"one"`. */
  producers?: "one" | "many";
  /**
   * What goes when a ring is full and nobody reads: `"newest"` refuses what comes, `"oldest"` discards
   * what has been there for longest. Default `"newest"`. With a reader, the newest are refused.
   */
  overflow?: Overflow;
  /** The file is on a disk and will be synced (`FileSyncer`): slots are reused only after that. */
  synced?: boolean;
}

/** What rings are made with, by ring number. */
export const DEFAULT_RINGS: readonly [RingSize, RingSize, RingSize] = [
  { slots: 2048, slotBytes: 2048 },
  { slots: 8192, slotBytes: 1024 },
  { slots: 4096, slotBytes: 512 },
];
const DEFAULT_DICTIONARY_BYTES = 16 * 1024 * 1024;
/** The dictionary's room when the file is made. */
const INITIAL_DICTIONARY_BYTES = 64 * 1024;
/** Bytes of the smallest slot that is made. */
export const MIN_SLOT_BYTES = 256;
/** Bytes of a file at most: refs are written as varints of four bytes. */
export const MAX_FILE_BYTES = 2 ** 28;

/** Where everything will be in a file, and how long it is. Offsets and sizes in bytes. */
export interface FilePlan {
  /** By ring number. */
  readonly rings: readonly RingSize[];
  /** Where each ring starts. */
  readonly offsets: readonly number[];
  /** Where the dictionary starts. */
  readonly dictionary: number;
  /** Length of the file when it is made. */
  readonly bytes: number;
  /** Length of the file at most, once its dictionary has grown. */
  readonly reserve: number;
}

/**
 * Lays a file out.
 *
 * @param path For messages.
 * @throws RangeError for sizes that a file can't have.
 */
export function planFile(
  path: string,
  sizes: FileSizes & { readonly producers?: "one" | "many" } = {},
): FilePlan {
  const rings = [
    ringSize("events", sizes.events, DEFAULT_RINGS[layout.RING_EVENTS]),
    ringSize("spans", sizes.spans, DEFAULT_RINGS[layout.RING_SPANS]),
    ringSize("measurements", sizes.measurements, DEFAULT_RINGS[layout.RING_MEASUREMENTS]),
  ];
  const cap = sizes.dictionaryBytes ?? DEFAULT_DICTIONARY_BYTES;
  if (!Number.isSafeInteger(cap) || cap < layout.DICTIONARY_MIN_BYTES) {
    throw new RangeError(
      `dictionaryBytes must be an integer from ${layout.DICTIONARY_MIN_BYTES} on, not ${cap}`,
    );
  }
  const offsets: number[] = [];
  let end = layout.FIRST_RING_OFFSET;
  for (const { slots, slotBytes } of rings) {
    offsets.push(end);
    end += layout.RING_HEADER_BYTES + slots * (layout.AVAILABILITY_BYTES + slotBytes);
    // Not with bit operators, which would wrap for rings far too large.
    end = Math.ceil(end / 8) * 8;
  }
  const reserve = end + cap + (sizes.producers === "many" ? SHARED_MARGIN_BYTES : 0);
  if (reserve > MAX_FILE_BYTES) {
    throw new RangeError(
      `${path}: the file could have ${reserve} bytes, of at most ${MAX_FILE_BYTES}: use fewer or ` +
        `smaller slots, or fewer dictionaryBytes`,
    );
  }
  const bytes = end + Math.min(cap, INITIAL_DICTIONARY_BYTES);
  return { rings, offsets, dictionary: end, bytes, reserve };
}

/** A file this isolate writes. */
export class FileWriter {
  readonly mapping: Mapping;
  readonly events: RingWriter;
  readonly spans: RingWriter;
  readonly measurements: RingWriter;
  readonly dictionary: DictionaryWriter;
  /** 16 random bytes that are this file's alone. */
  readonly uid: Uint8Array;
  /** It is to be synced to its disk. */
  readonly synced: boolean;
  /** Spans started here and not ended yet. */
  open = 0;
  /** UTF-16 units or bytes that an attribute value keeps (attribute value length limit). */
  valueLengthLimit = Infinity;

  private constructor(mapping: Mapping, producers: "one" | "many") {
    const at = (word: number) => Number(mapping.i64[word >> 3]);
    this.mapping = mapping;
    this.events = new RingWriter(mapping, at(layout.HEADER_EVENTS), producers);
    this.spans = new RingWriter(mapping, at(layout.HEADER_SPANS), producers);
    this.measurements = new RingWriter(mapping, at(layout.HEADER_MEASUREMENTS), producers);
    this.dictionary = new DictionaryWriter(mapping, at(layout.HEADER_DICTIONARY), producers);
    if (mapping.i64[layout.HEADER_VERSION >> 3] === BigInt(layout.VERSION_DISCARDS)) {
      const attached = watchReader(mapping);
      for (const ring of [this.events, this.spans, this.measurements]) ring.attached = attached;
    }
    this.synced = readBootId(mapping.u8) !== null;
    if (this.synced) {
      [this.events, this.spans, this.measurements].forEach((ring, i) =>
        ring.reuseAfter(layout.EXT_REUSABLE + i * 8)
      );
    }
    this.uid = mapping.u8.slice(layout.EXT_FILE_UID, layout.EXT_FILE_UID + layout.UID_BYTES);
  }

  /**
   * Makes a file for `path` with all its blocks allocated and its lock held, not yet visible:
   * `mapping.publish(path)` gives it a name. Throws a `SystemError` (no space, no permission) or a
   * `RangeError` (sizes).
   */
  static create(path: string, options: FileOptions): FileWriter {
    const { rings, offsets, dictionary, bytes, reserve } = planFile(path, options);
    if (options.overflow === "oldest" && options.synced === true) {
      throw new RangeError(
        `${path}: overflow "oldest" and a file that is synced exclude each other: slots are used ` +
          `again before they are on the disk`,
      );
    }
    if (options.overflow === "oldest" && options.producers === "many") {
      throw new RangeError(
        `${path}: overflow "oldest" is for one producer: another one may be filling the oldest slot`,
      );
    }
    const mapping = Mapping.create(path, {
      bytes,
      reserve,
    });
    try {
      if (!mapping.lock()) throw new Error(`${path}: another process locked the new file`);
      fill(mapping, rings, offsets, dictionary, options);
      return new FileWriter(mapping, options.producers ?? "one");
    } catch (error) {
      mapping.discard();
      mapping.close();
      throw error;
    }
  }

  /**
   * Joins the producers of a file that was made with `producers: "many"`, from another Worker or
   * process. The file ends with its owner, so the owner must outlive those who join. Throws when
   * the file is not one of these, or its owner is done with it.
   */
  static join(path: string, dictionaryBytes: number = DEFAULT_DICTIONARY_BYTES): FileWriter {
    const probe = Mapping.open(path);
    const size = probe.size;
    const shared = hasExtension(probe.u8) && probe.i32[layout.EXT_MANY_PRODUCERS >> 2] === 1;
    const ended = shared && Atomics.load(probe.i32, layout.EXT_STATE >> 2) !== layout.STATE_OPEN;
    const dictionary = shared ? Number(probe.i64[layout.HEADER_DICTIONARY >> 3]) : 0;
    probe.close();
    if (!shared) {
      throw new Error(`${path}: not a file that several producers may share (producers: "many")`);
    }
    if (ended) throw new Error(`${path}: its owner has closed it: join the file that follows it`);
    const reserve = Math.max(size, dictionary + dictionaryBytes + SHARED_MARGIN_BYTES);
    return new FileWriter(
      Mapping.open(path, { reserve: Math.min(reserve, MAX_FILE_BYTES) }),
      "many",
    );
  }

  /** Counts a loss: `ring` is RING_*, `reason` LOSS_* of the layout. */
  lose(ring: number, reason: number): void {
    Atomics.add(this.mapping.i64, lossWord(ring, reason), 1n);
  }

  /** How many losses were counted for a ring and reason. */
  lost(ring: number, reason: number): number {
    return Number(Atomics.load(this.mapping.i64, lossWord(ring, reason)));
  }

  /** True when the reader has released every record of every ring. */
  get drained(): boolean {
    return this.events.claimed === this.events.released &&
      this.spans.claimed === this.spans.released &&
      this.measurements.claimed === this.measurements.released;
  }

  /**
   * Says that nothing more will be written here (`state` is STATE_CLEAN or STATE_SUPERSEDED); the
   * mapping stays open for `drained` until `close`.
   */
  finish(state: number): void {
    const { i32, i64 } = this.mapping;
    // A reader of version 1 alone ends when this word changes, and is then started anew.
    Atomics.add(i64, layout.HEADER_TIME >> 3, 1n);
    // Pairs with the reader's load: all records are published before it.
    Atomics.store(i32, layout.EXT_STATE >> 2, state);
  }

  /** Unmaps the file and gives its lock back. */
  close(): void {
    this.mapping.close();
  }
}

function lossWord(ring: number, reason: number): number {
  return (layout.EXT_LOSS >> 3) + ring * layout.LOSS_REASONS + reason;
}

function ringSize(name: string, size: Partial<RingSize> | undefined, base: RingSize): RingSize {
  const { slots, slotBytes } = { ...base, ...size };
  if (!Number.isSafeInteger(slots) || slots < 2 || slots > 2 ** 24 || (slots & (slots - 1)) !== 0) {
    throw new RangeError(`${name}.slots must be a power of two from 2 to 2^24, not ${slots}`);
  }
  if (
    !Number.isSafeInteger(slotBytes) || slotBytes < MIN_SLOT_BYTES ||
    slotBytes > layout.MAX_SLOT_BYTES || slotBytes % 8 !== 0
  ) {
    throw new RangeError(
      `${name}.slotBytes must be a multiple of 8 from ${MIN_SLOT_BYTES} to ` +
        `${layout.MAX_SLOT_BYTES}, not ${slotBytes}`,
    );
  }
  return { slots, slotBytes };
}

/** Writes everything a reader may look at before the first record. */
function fill(
  { u8, i32, i64 }: Mapping,
  rings: readonly RingSize[],
  offsets: readonly number[],
  dictionary: number,
  { identity, generation = 0, predecessor, producers = "one", overflow = "newest", synced }:
    FileOptions,
): void {
  now();
  const discards = overflow === "oldest";
  i64[layout.HEADER_VERSION >> 3] = BigInt(discards ? layout.VERSION_DISCARDS : layout.VERSION);
  i64[layout.HEADER_DICTIONARY >> 3] = BigInt(dictionary);
  i64[layout.HEADER_TIME >> 3] = BigInt(clockWords[0] >>> 0) * 1_000_000_000n +
    BigInt(clockWords[2]);
  for (let ring = 0; ring < layout.RING_COUNT; ring++) {
    const { slots, slotBytes } = rings[ring];
    const offset = offsets[ring];
    i64[layout.HEADER_RINGS[ring] >> 3] = BigInt(offset);
    i64[(offset + layout.RING_NUM_BUFFERS) >> 3] = BigInt(slots);
    i64[(offset + layout.RING_BUFFER_SIZE) >> 3] = BigInt(slotBytes);
    i64[(offset + layout.RING_READER_INDEX) >> 3] = discards ? packIndex(-1, 0) : -1n;
    i64[(offset + layout.RING_WRITER_INDEX) >> 3] = -1n;
    const availability = (offset + layout.RING_HEADER_BYTES) >> 2;
    i32.fill(-1, availability, availability + slots);
  }
  const entries = dictionary + layout.DICTIONARY_HEADER_BYTES;
  i64[(dictionary + layout.DICTIONARY_END) >> 3] = BigInt(entries);

  for (let i = 0; i < layout.EXT_MAGIC_TEXT.length; i++) {
    u8[layout.EXT_MAGIC + i] = layout.EXT_MAGIC_TEXT.charCodeAt(i);
  }
  i32[layout.EXT_VERSION >> 2] = layout.EXT_VERSION_CURRENT;
  i32[layout.EXT_LENGTH >> 2] = layout.EXT_BYTES;
  u8.set(randomBytes(layout.UID_BYTES), layout.EXT_FILE_UID);
  u8.set(identity.processUid, layout.EXT_PROCESS_UID);
  if (predecessor !== undefined) u8.set(predecessor, layout.EXT_PREDECESSOR_UID);
  i32[layout.EXT_OWNER_PID >> 2] = identity.pid;
  i32[layout.EXT_ISOLATE >> 2] = identity.isolate;
  i32[layout.EXT_GENERATION >> 2] = generation;
  i32[layout.EXT_RUNTIME >> 2] = runtime.code;
  i64[layout.EXT_OWNER_START_TIME >> 3] = identity.startTime;
  i32[layout.EXT_OWNER_LOCKS >> 2] = 1;
  i32[layout.EXT_MANY_PRODUCERS >> 2] = producers === "many" ? 1 : 0;
  if (synced === true) {
    u8.set(currentBootId() ?? new Uint8Array(layout.UID_BYTES).fill(255), layout.EXT_BOOT_ID);
    i64.fill(-1n, layout.EXT_REUSABLE / 8, layout.EXT_REUSABLE / 8 + layout.RING_COUNT);
  }
}
