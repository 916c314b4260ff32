/**
 * The segments of one signal, in the order of storing, and what is known of them.
 *
 * @module
 */
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { formatName, newSalt, type SpoolSignal, UNFINISHED_ENDING } from "./names.ts";
import {
  closeFile,
  createFile,
  type DropReason,
  newReader,
  newSegment,
  type Reader,
  removeFile,
  removePath,
  removeSoon,
  type Segment,
  syncFile,
  trim,
} from "./segment.ts";

/** Why something was not stored. */
export type RefusalReason = "full" | "large" | "failed";

/** Requests, and the items in them. */
export interface Tally {
  requests: number;
  items: number;
}

/** What is on the disk, and what became of the rest. */
export interface ShelfCounts {
  /** Bytes of all files. */
  bytes: number;
  /** Stored and not handed out. */
  readonly waiting: Tally;
  /** Handed out and not acknowledged. */
  readonly running: Tally;
  /** Since the spool was opened: stored, and delivered. */
  readonly stored: Tally;
  readonly acknowledged: Tally;
  /**
   * Dropped as older than the limit, for want of room, as damaged, or since somebody has removed its file.
   * What can't be recognised any more counts as one request without items.
   */
  readonly dropped: Readonly<Record<DropReason, Tally>>;
  /** Not stored since the disk is full, since it is larger than the limit, or for another reason. */
  readonly refused: Readonly<Record<RefusalReason, Tally>>;
  /** Segments that ended in the middle of a record: whoever wrote it has never known it as stored. */
  torn: number;
  /** Segments that the system did not bring to the disk: a loss of power may lose what is in them. */
  unsynced: number;
}

/** The segments of a signal. */
export interface Shelf {
  readonly signal: SpoolSignal;
  readonly folder: string;
  owner: string;
  /** Marks are on the disk before what they were in is removed. */
  readonly syncsMarks: boolean;
  /** The list of segments. */
  first: Segment | null;
  last: Segment | null;
  /** The first that has something that was not handed out. */
  cursor: Segment | null;
  /** The one that is written. */
  writing: Segment | null;
  nextNumber: number;
  readonly reader: Reader;
  /** Why the system did not let something be read when that was tried last. */
  readError: string | undefined;
  /** Since when segments are passed over for that, milliseconds of a clock that nobody sets; null: none is. */
  passedOverAt: number | null;
  /** Files that are being removed. */
  readonly going: Set<string>;
  mark: Mark | null;
  readonly counts: ShelfCounts;
}

/** The last mark of a signal. */
interface Mark {
  readonly bytes: Uint8Array;
  /** Number of the segment that has or had it. */
  readonly number: number;
  /** The segment while that is there; then a file of its own. */
  in: Segment | string;
  /** It was put here, not found. */
  readonly isOurs: boolean;
  /** Its file stays for as long as damage is before it: see {@linkcode drawLine}. */
  readonly isLine: boolean;
}

/** A shelf without segments. */
export function newShelf(
  signal: SpoolSignal,
  folder: string,
  owner: string,
  syncsMarks: boolean,
): Shelf {
  const tally = (): Tally => ({ requests: 0, items: 0 });
  return {
    signal,
    folder: join(folder, signal),
    owner,
    syncsMarks,
    first: null,
    last: null,
    cursor: null,
    writing: null,
    nextNumber: 1,
    reader: newReader(),
    readError: undefined,
    passedOverAt: null,
    going: new Set(),
    mark: null,
    counts: {
      bytes: 0,
      waiting: tally(),
      running: tally(),
      stored: tally(),
      acknowledged: tally(),
      dropped: { age: tally(), size: tally(), corrupt: tally(), gone: tally() },
      refused: { full: tally(), large: tally(), failed: tally() },
      torn: 0,
      unsynced: 0,
    },
  };
}

/** Adds to a count. */
export function count(tally: Tally, requests: number, items: number): void {
  tally.requests += requests;
  tally.items += items;
}

// ----------------------------------------------------------------------------------------- the list

/** Puts a segment where its number says. */
export function insert(shelf: Shelf, segment: Segment): void {
  let before = shelf.last;
  while (before !== null && before.number > segment.number) before = before.before;
  const next = before === null ? shelf.first : before.next;
  segment.before = before;
  segment.next = next;
  if (before === null) shelf.first = segment;
  else before.next = segment;
  if (next === null) shelf.last = segment;
  else next.before = segment;
  shelf.nextNumber = Math.max(shelf.nextNumber, segment.number + 1);
  shelf.counts.bytes += segment.bytes;
  count(shelf.counts.waiting, segment.waiting, segment.waitingItems);
  if (shelf.cursor === null || shelf.cursor.number > segment.number) shelf.cursor = segment;
}

function unlink(shelf: Shelf, segment: Segment): void {
  const { before, next } = segment;
  if (before === null) shelf.first = next;
  else before.next = next;
  if (next === null) shelf.last = before;
  else next.before = before;
  if (shelf.cursor === segment) shelf.cursor = next;
  if (shelf.writing === segment) shelf.writing = null;
  shelf.counts.bytes -= segment.bytes;
}

/** Begins a segment. Throws the system's error. */
export function begin(shelf: Shelf, claimTo: number): Segment {
  const number = shelf.nextNumber;
  const salt = newSalt();
  const name = formatName({ number, salt, owner: shelf.owner, ending: "tmp" });
  const segment = newSegment(join(shelf.folder, name), number, salt, claimTo);
  createFile(segment);
  insert(shelf, segment);
  return shelf.writing = segment;
}

/** Gives the segment that is written its name; what is in it stays where it was. */
export function complete(shelf: Shelf): void {
  const segment = shelf.writing;
  if (segment === null) return;
  shelf.writing = null;
  segment.isOpen = false;
  const path = segment.path.replace(/tmp$/, "seg");
  try {
    const before = segment.bytes;
    trim(segment);
    shelf.counts.bytes -= before - segment.bytes;
    // What may not be on the disk keeps the name of what has to be looked at closely.
    if (!segment.isUnsynced) {
      renameSync(segment.path, path);
      segment.path = path;
    }
  } catch {
    // It is ours as it is, too.
  }
  if (shelf.cursor !== segment) closeFile(segment);
  if (isDone(segment)) remove(shelf, segment);
}

/**
 * Waits until the segment that is written is on the disk. One that does not come there when it is
 * written a second time either is counted, and completed as it is. Returns the system's error then.
 */
export function settle(shelf: Shelf): unknown {
  const { writing } = shelf;
  if (writing === null) return undefined;
  let failure: unknown;
  for (let attempt = 1; attempt <= 2; attempt++) {
    try {
      syncFile(writing);
      return undefined;
    } catch (error) {
      failure = error;
    }
  }
  shelf.counts.unsynced++;
  complete(shelf);
  return failure;
}

/** Completes the segment that is written, and so removes it, if it has so many bytes and all were delivered. */
export function completeDelivered(shelf: Shelf, leastBytes: number): void {
  const { writing } = shelf;
  if (writing === null || writing.bytes < leastBytes) return;
  if (writing.readAt >= writing.end && writing.running === 0) complete(shelf);
}

/** Everything in it was delivered. */
export function isDone({ readAt, end, running, isOpen }: Segment): boolean {
  return readAt >= end && running === 0 && !isOpen;
}

/** Removes a segment that is done. It stays when its mark can't be kept otherwise. */
export function remove(shelf: Shelf, segment: Segment): void {
  if (!saveMark(shelf, segment)) return;
  unlink(shelf, segment);
  removeSoon(segment, shelf.going);
}

/** Drops what was not handed out of a segment, and the segment. */
export function drop(shelf: Shelf, segment: Segment, reason: DropReason): void {
  const { counts } = shelf;
  // Without a place to keep it on a full disk, the mark is in memory only for a while.
  saveMark(shelf, segment);
  const requests = segment.waiting + segment.returned;
  const items = segment.waitingItems + segment.returnedItems;
  count(counts.dropped[reason], requests, items);
  count(counts.waiting, -requests, -items);
  segment.waiting = segment.waitingItems = 0;
  segment.droppedFor = reason;
  unlink(shelf, segment);
  removeFile(segment);
}

// -------------------------------------------------------------------------------------------- marks

/** The last mark is in this segment now. */
export function noteMark(shelf: Shelf, segment: Segment, isOurs: boolean): void {
  const { mark, number } = segment;
  if (mark === null) return;
  if (!isOurs && shelf.mark !== null && (shelf.mark.isOurs || shelf.mark.number > number)) return;
  replaceMark(shelf, { bytes: mark, number, in: segment, isOurs, isLine: false });
}

function replaceMark(shelf: Shelf, mark: Mark): void {
  const before = shelf.mark;
  shelf.mark = mark;
  if (typeof before?.in === "string" && !before.isLine) removePath(before.in);
}

/**
 * Takes over the file of a mark; false when it says nothing. Throws the system's error.
 *
 * @param isLine There is damage before it.
 */
export function adoptMark(
  shelf: Shelf,
  path: string,
  number: number,
  salt: number,
  isLine: boolean,
): boolean {
  shelf.nextNumber = Math.max(shelf.nextNumber, number + 1);
  const bytes = readMark(path, salt);
  const { mark } = shelf;
  if (bytes === null || (mark !== null && (mark.isOurs || mark.number >= number))) {
    removePath(path);
    return false;
  }
  replaceMark(shelf, { bytes, number, in: path, isOurs: false, isLine });
  return true;
}

/**
 * Marks behind damage don't count: what is lost was before them. This has the last mark that does count,
 * an empty one for none, in a file of its own behind all others: marks behind that count again, also for
 * who finds the damage once more. Throws the system's error.
 */
export function drawLine(shelf: Shelf): void {
  const { mark } = shelf;
  const bytes = mark?.bytes ?? new Uint8Array(0);
  const number = shelf.nextNumber++;
  const path = writeMark(shelf, bytes, number);
  if (mark?.isOurs) return;
  replaceMark(shelf, { bytes, number, in: path, isOurs: false, isLine: true });
}

/** Keeps the last mark when it is in a segment that goes or is gone; false when that fails. */
export function saveMark(shelf: Shelf, going: Segment): boolean {
  const { mark } = shelf;
  if (mark === null || mark.in !== going) return true;
  try {
    mark.in = writeMark(shelf, mark.bytes, mark.number);
    return true;
  } catch {
    return false;
  }
}

/** Writes the file of the last mark again, in a folder that was made again. Throws the system's error. */
export function remakeMark(shelf: Shelf): void {
  const { mark } = shelf;
  if (typeof mark?.in !== "string") return;
  const before = mark.in;
  mark.in = writeMark(shelf, mark.bytes, mark.number);
  removePath(before);
}

/** Writes the file of a mark, and returns where it is. Throws the system's error. */
function writeMark({ folder, owner, syncsMarks }: Shelf, mark: Uint8Array, number: number): string {
  const salt = newSalt();
  const path = join(folder, formatName({ number, salt, owner, ending: "mark" }));
  const unfinished = join(folder, owner + UNFINISHED_ENDING);
  const bytes = Buffer.alloc(4 + mark.length);
  bytes.writeUInt32LE(crc32(mark, salt));
  bytes.set(mark, 4);
  try {
    const fd = openSync(unfinished, "w", 0o600);
    try {
      writeFileSync(fd, bytes);
      if (syncsMarks) fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(unfinished, path);
    return path;
  } catch (error) {
    removePath(unfinished);
    throw error;
  }
}

/** Null when it is damaged. */
function readMark(path: string, salt: number): Uint8Array | null {
  const bytes = readFileSync(path);
  if (bytes.length < 4) return null;
  const mark = bytes.subarray(4);
  return crc32(mark, salt) === bytes.readUInt32LE() ? Uint8Array.from(mark) : null;
}
