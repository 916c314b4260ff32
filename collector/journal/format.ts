/**
 * The journal on disk: segments of blocks of entries.
 *
 * A segment starts with a header, and with a checkpoint: entries that make everything the collector
 * held when it was written. Entries after it are what was done since, in order. A block is written
 * with one call and has a checksum, so it is there as a whole or not at all. All numbers are
 * little-endian; everything starts on a boundary of 4 bytes.
 *
 *     segment: MAGIC (8 bytes) | version (4) | 0 (4) | id of the journal (16) | block...
 *     block:   bytes of its entries (4) | CRC-32 of these (4) | entry...
 *     entry:   type, and for records where they start, shifted by 8 (4) | bytes that follow (4) |
 *              these, padded to 4
 *
 * @module
 */

/** What segments start with. */
export const MAGIC = "OTLPJRNL";
/** Changes whenever an older version could not read what a newer one writes. */
export const VERSION = 1;
/** Bytes of a segment's header. */
export const HEADER_BYTES = 32;
/** Offsets in it. */
export const HEADER_VERSION = 8;
export const HEADER_ID = 16;
/** Bytes of the journal's id. */
export const ID_BYTES = 16;

/** 32-bit words before the entries of a block, and before the content of an entry. */
export const BLOCK_HEAD_WORDS = 2;
export const ENTRY_HEAD_WORDS = 2;

// Records out of rings: file, low 32 bits of the sequence, and the slot up to the record's end.
export const SPAN = 1;
export const EVENT = 2;
/** A log record that was taken apart from the events around it. */
export const LOG = 3;
export const MEASUREMENT = 4;

// What was done, in words.
/** Ended spans went into the batch: process, words of the list. */
export const EMITTED = 5;
/** Open spans went into the batch: process, why (an index of `INTERRUPTION_NAMES`). */
export const INTERRUPTED = 6;
/** Points were collected: process, time (low, high), 1 for the last ones. */
export const COLLECTED = 7;
/** A batch was sealed, or the points collected so far, before it was full: index of the signal. */
export const SEALED = 8;
/** A process is forgotten: process. */
export const FORGOTTEN = 9;
/** A file is closed for good: file. */
export const CLOSED = 10;
/** How far the rings of a file were taken: file, three sequences and the one for logs (low, high). */
export const POSITIONS = 11;

/** Requests are answered up to here: index of the signal, items (low, high). */
export const ANSWERED = 20;
/**
 * Records are bad and not given back: file, ring, what they are counted as, how many, sequence (low,
 * high) or NO_SEQUENCE.
 */
export const BAD = 21;

// With JSON as text, or bytes.
/** A process was added: ProcessEntry. */
export const PROCESS = 12;
/** A file was opened: FileEntry. */
export const FILE = 13;
/** Bytes of a file's dictionary: file, offset from its start, bytes. */
export const DICTIONARY = 14;
/** How the following was and will be done: SettingsEntry. */
export const SETTINGS = 15;

// Only in checkpoints.
/** Everything the assembler holds. */
export const ASSEMBLER = 16;
/** Everything the aggregator holds. */
export const AGGREGATOR = 17;
/** Items emitted so far, by signal: CountsEntry. */
export const COUNTS = 18;
/** The checkpoint is whole. */
export const CHECKPOINTED = 19;

/** In the place of a sequence: there is none. */
export const NO_SEQUENCE = -2;

/** Reasons for interruptions, by number. */
export const INTERRUPTION_NAMES = ["died", "closed"] as const;

/** A process. */
export interface ProcessEntry {
  /** Its index in the assembler. */
  readonly index: number;
  /** Its uid, or what stands for that. */
  readonly key: string;
  /** Its open spans and last points were emitted. */
  readonly over: boolean;
  /** Time of its last points, ns since the Unix epoch. */
  readonly collectedAt: string;
}

/** A file. */
export interface FileEntry {
  /** The number its records name it by. */
  readonly number: number;
  /** Index of its process. */
  readonly process: number;
  /** What it is recognised by. */
  readonly identity: string;
  readonly path: string;
  /** Where its dictionary starts, bytes. */
  readonly dictionary: number;
  readonly marksSpanEvents: boolean;
  readonly wasMeasured: boolean;
  /** Its writer discards the oldest records while nobody reads. */
  readonly discards: boolean;
  /** It is to outlast a loss of power. */
  readonly isSynced: boolean;
}

/** What decides what becomes of records, besides these. */
export interface SettingsEntry {
  readonly batchSize: number;
  /** JSON of the options of aggregation without views, to be compared. */
  readonly aggregation: Readonly<Record<string, unknown>>;
  readonly views: readonly unknown[];
}

/** Items emitted by signal. */
export type CountsEntry = Readonly<Record<"traces" | "metrics" | "logs", number>>;
