/**
 * Every offset and size of the file: the one place where a number means a position.
 *
 * Byte offsets unless a name says otherwise. `version 1` is the shared format; everything named
 * `EXT_*` is our extension block, which lives in the padding that version 1 tolerates between the
 * header and the first ring. PROTOCOL.md gives each word's owner and meaning.
 *
 * @module
 */

/** The file version that readers made elsewhere know (header word `version`). */
export const VERSION = 1;
/**
 * Version 1 but for one word: the writer discards the oldest records, and so it moves reader_index,
 * too. Readers that know version 1 alone must not read such a file, and refuse it.
 */
export const VERSION_DISCARDS = 2;

// ---------------------------------------------------------------- header (64 bytes, offsets from 0)

/** Bytes of the header. */
export const HEADER_BYTES = 64;
/** i64: 1. */
export const HEADER_VERSION = 0;
/** i64: absolute offset of the events ring. */
export const HEADER_EVENTS = 8;
/** i64: absolute offset of the spans ring. */
export const HEADER_SPANS = 16;
/** i64: absolute offset of the measurements ring. */
export const HEADER_MEASUREMENTS = 24;
/** i64: absolute offset of the dictionary. */
export const HEADER_DICTIONARY = 32;
/** u64: when the writer started, ns since the Unix epoch; changed once more when the file is given up. */
export const HEADER_TIME = 40;

// ------------------------------------------------ ring header (32 bytes, offsets from the ring's start)

/** Bytes of a ring's header; the availability words follow it, then the slots. */
export const RING_HEADER_BYTES = 32;
/** i64: number of slots, a power of two. */
export const RING_NUM_BUFFERS = 0;
/** i64: bytes of a slot. */
export const RING_BUFFER_SIZE = 8;
/**
 * i64: last sequence the reader is done with; -1 at first. Owned by the reader, but for files that
 * discard, where both sides swap it: i32 that sequence, then u32 how many the writer has discarded.
 */
export const RING_READER_INDEX = 16;
/** i64: last sequence claimed; -1 at first. Owned by the writer. */
export const RING_WRITER_INDEX = 24;
/** Bytes of an availability word. */
export const AVAILABILITY_BYTES = 4;
/** Largest slot whose record length fits the two reserved length bytes (2 + 16,383). */
export const MAX_SLOT_BYTES = 16_384;

/** The order of the rings in the file, and the ring numbers used everywhere else. */
export const RING_EVENTS = 0;
export const RING_SPANS = 1;
export const RING_MEASUREMENTS = 2;
export const RING_COUNT = 3;
/** What people call the rings, by ring number. */
export const RING_NAMES = ["events", "spans", "measurements"] as const;
/** Offset of the header word that holds a ring's offset, by ring number. */
export const HEADER_RINGS = [HEADER_EVENTS, HEADER_SPANS, HEADER_MEASUREMENTS] as const;

// -------------------------------------- dictionary header (64 bytes, offsets from the dictionary's start)

/** Bytes of the dictionary's header; the entries follow it. */
export const DICTIONARY_HEADER_BYTES = 64;
/** i64: absolute offset where the next entry goes. */
export const DICTIONARY_END = 0;
/** i64: number of entries. */
export const DICTIONARY_NUM_ENTRIES = 8;
/** Readers made elsewhere extend a file that has fewer bytes than this from the dictionary on. */
export const DICTIONARY_MIN_BYTES = 1024;

// ------------------------------------------------------------- extension block (absolute offsets)

/** Where the extension block starts. */
export const EXT_OFFSET = 64;
/** Where our writers put the first ring: a page of its own keeps reader and writer words apart. */
export const FIRST_RING_OFFSET = 4096;
/** Bytes of the extension block. */
export const EXT_BYTES = FIRST_RING_OFFSET - EXT_OFFSET;
/** 8 bytes of ASCII that say the block is there. */
export const EXT_MAGIC = 64;
export const EXT_MAGIC_TEXT = "OTLPMMX1";
/** u32: version of the block, 1. */
export const EXT_VERSION = 72;
export const EXT_VERSION_CURRENT = 1;
/** u32: bytes of the block from EXT_OFFSET. */
export const EXT_LENGTH = 76;

// Written before the file gets its name, constant afterwards.
/** 16 random bytes: this file. */
export const EXT_FILE_UID = 80;
/** 16 random bytes: the process (the same in all files of all its isolates and generations). */
export const EXT_PROCESS_UID = 96;
/** 16 bytes: EXT_FILE_UID of the generation before, zeros when there is none. */
export const EXT_PREDECESSOR_UID = 112;
export const UID_BYTES = 16;
/** u32: process id of the owner. */
export const EXT_OWNER_PID = 128;
/** u32: 0 for the main thread, the system's number of the thread for a Worker. */
export const EXT_ISOLATE = 132;
/** u32: 0 for the first file of an isolate, one more for each that follows it. */
export const EXT_GENERATION = 136;
/** u32: 1 Deno, 2 Bun, 0 anything else. */
export const EXT_RUNTIME = 140;
/** u64: when the owner process started, ns since the Unix epoch (start of the SDK where unknown). */
export const EXT_OWNER_START_TIME = 144;
/** u32: 1 when the owner holds a flock on the file for as long as it lives. */
export const EXT_OWNER_LOCKS = 152;
/** u32: 1 when the rings of this file may have several producers. */
export const EXT_MANY_PRODUCERS = 156;

/**
 * 16 bytes: the boot of the system during which the file was made, where the writer syncs the file to
 * a disk (durability "power"); zeros where it does not.
 */
export const EXT_BOOT_ID = 160;

// Owned by the writer.
/** u32: see STATE_*. Stored last of all words of the writer (release). */
export const EXT_STATE = 192;
/** The writer may still write. */
export const STATE_OPEN = 0;
/** The writer shut down in order and writes nothing more here. */
export const STATE_CLEAN = 1;
/** The isolate goes on in its next generation and writes nothing more here. */
export const STATE_SUPERSEDED = 2;
/** u64 loss counters: EXT_LOSS + (ring * LOSS_REASONS + reason) * 8. */
export const EXT_LOSS = 256;
export const LOSS_REASONS = 8;
/** The ring was full: refused. */
export const LOSS_RING_FULL = 0;
/** The rest of the ring is kept for the ends of open spans: refused. */
export const LOSS_RESERVE = 1;
/** The dictionary was full: refused. */
export const LOSS_DICTIONARY_FULL = 2;
/** The record could not be encoded, or says nothing (a measurement of NaN): refused. */
export const LOSS_ENCODE = 3;
/** Part of the record was cut off to fit its slot (the rest of it was written: not refused). */
export const LOSS_TRUNCATED = 4;
/** What people call the reasons, by reason number. */
export const LOSS_NAMES = [
  "ring_full",
  "reserve",
  "dictionary_full",
  "encode",
  "truncated",
] as const;

/** u64 by ring: writer_index + 1 as it was when the last sync that is over began. */
export const EXT_SYNCED = 448;
/** i64 by ring: reader_index as it was then: slots up to it may be used again. -1 at first. */
export const EXT_REUSABLE = 472;

// Owned by the reader.
/** u64: when the reader last looked, ns since the Unix epoch. */
export const EXT_READER_HEARTBEAT = 1024;
/** u32: process id of the reader, 0 when none is attached. */
export const EXT_READER_PID = 1032;
/**
 * u64 counters, two copies by ring: EXT_READ + ((ring * READ_COPIES + copy) * READ_WORDS + word) * 8.
 * The copy that counts is the one whose READ_RELEASED belongs to reader_index (PROTOCOL.md, Accounting).
 */
export const EXT_READ = 1088;
export const READ_COPIES = 2;
export const READ_WORDS = 16;
/** reader_index + 1 that the other words of this copy belong to. Stored last of them. */
export const READ_RELEASED = 0;
/** Records taken, understood, and safe in the next step. */
export const READ_DELIVERED = 1;
/** Records claimed by an owner that died before it published them. */
export const READ_TORN = 2;
/** Records that could not be read, by REJECT_*: word READ_REJECTED + reason. */
export const READ_REJECTED = 3;
export const REJECT_REASONS = 8;
/** No length, or one that does not fit the slot. */
export const REJECT_LENGTH = 0;
/** Not a message of its ring, or one that lacks what it must have. */
export const REJECT_MALFORMED = 1;
/** A ref that leads nowhere. */
export const REJECT_REF = 2;
/** More, larger or deeper than a reader takes. */
export const REJECT_LIMIT = 3;
/** A fault of the reader's own. */
export const REJECT_FAULT = 4;
/** What people call the reasons, by reason number. */
export const REJECT_NAMES = ["length", "malformed", "ref", "limit", "fault"] as const;

// -------------------------------------------------- record heads (offsets from the start of the slot)

/** Bytes reserved for the length of a record: a padded varint, patched in after the body. */
export const SLOT_LENGTH_BYTES = 2;
/** The head of every record of the spans ring puts ids and times on 4-byte boundaries. */
export const SPAN_TRACE_ID_TAG = 2;
export const SPAN_TRACE_ID = 4;
export const SPAN_SPAN_ID_TAG = 20;
export const SPAN_SPAN_ID = 24;
export const SPAN_SCOPE_REF = 32;
export const SPAN_EVENT_TAG = 40;
export const SPAN_EVENT_BODY = 44;
/** Start and end records: a 4-byte padded tag, then the time. */
export const SPAN_TIME_TAG = 44;
export const SPAN_TIME = 48;
export const SPAN_AFTER_TIME = 56;
