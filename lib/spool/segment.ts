/**
 * A segment: a file that says how far it is delivered, and records, one after the other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlink,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { syncFolder } from "../file/folder.ts";
import { PROGRESS_BYTES, progressBytes, readProgress } from "./progress.ts";
import {
  ACKNOWLEDGED,
  findHeader,
  type Header,
  HEADER_BYTES,
  MAX_MARK_BYTES,
  readHeader,
  STATE_AT,
  writeHeader,
} from "./record.ts";

/** Why something that was stored is not delivered. */
export type DropReason = "age" | "size" | "corrupt" | "gone";

/** A segment that this process owns. */
export interface Segment {
  path: string;
  readonly number: number;
  readonly salt: number;
  /** The file, while it is written or read; -1 otherwise. */
  fd: number;
  /** Records are added to it. */
  isOpen: boolean;
  /** Bytes of the file, and where the last record ends: zeros may follow. */
  bytes: number;
  end: number;
  /** Space is claimed ahead up to this size. */
  readonly claimTo: number;
  /** Where the next record begins that was not handed out. */
  readAt: number;
  /** Records that were not handed out, and the items in them. */
  waiting: number;
  waitingItems: number;
  /** Records that were handed out and not acknowledged. */
  running: number;
  /** Of these, the ones that were given back, and the items in them. */
  returned: number;
  returnedItems: number;
  /** When its last record was stored, milliseconds since the Unix epoch. */
  lastTime: number;
  /** With this, times of its records are those of a clock that nobody sets. */
  shift: number;
  /** The last mark in it, of one that was read: the last before the first damage. */
  mark: Uint8Array | null;
  /** Places in it where no record could be read. */
  damaged: number;
  /** It is damaged: where a record is does not say which one it is. */
  isUncounted: boolean;
  /** Its name is on the disk. */
  isListed: boolean;
  /** Its last sync failed. */
  isUnsynced: boolean;
  /** The system does not let it be read now. */
  isPassedOver: boolean;
  /** Its file was removed, and why, where not everything in it was delivered. */
  isGone: boolean;
  droppedFor: DropReason | null;
  /** Its neighbours in the order of storing. */
  before: Segment | null;
  next: Segment | null;
}

/** A segment without records. */
export function newSegment(path: string, number: number, salt: number, claimTo = 0): Segment {
  return {
    path,
    number,
    salt,
    fd: -1,
    isOpen: false,
    bytes: 0,
    end: PROGRESS_BYTES,
    claimTo,
    readAt: PROGRESS_BYTES,
    waiting: 0,
    waitingItems: 0,
    running: 0,
    returned: 0,
    returnedItems: 0,
    lastTime: 0,
    shift: 0,
    mark: null,
    damaged: 0,
    isUncounted: false,
    isListed: false,
    isUnsynced: false,
    isPassedOver: false,
    isGone: false,
    droppedFor: null,
    before: null,
    next: null,
  };
}

/** Makes its file, which must not be there. Throws the system's error. */
export function createFile(segment: Segment): void {
  segment.fd = openSync(segment.path, "wx+", 0o600);
  segment.isOpen = true;
}

// ------------------------------------------------------------------------------------------ writing

/** A message that is smaller is written in one piece with its header: a copy costs less than a call. */
const ONE_PIECE_BYTES = 64 << 10;
/**
 * A file grows up to a multiple of this: zeros go with the record that goes beyond the last one. Where the
 * system's memory for a file comes in larger pages for larger writes, records are written, read and
 * removed in less time (ext4, Linux 6.18, records of 20 KB).
 */
export const CLAIM_BYTES: number = 64 << 10;
const piece = Buffer.alloc(HEADER_BYTES + MAX_MARK_BYTES + ONE_PIECE_BYTES + CLAIM_BYTES);
/** What is in `piece` from here on is zeros. */
let zeros = 0;

/** Bytes of a file once so many bytes of records were added. */
export function sizeWith(
  { bytes, end, claimTo }: Pick<Segment, "bytes" | "end" | "claimTo">,
  added: number,
): number {
  const needed = end + added;
  if (needed <= bytes) return bytes;
  const claimed = Math.ceil(needed / CLAIM_BYTES) * CLAIM_BYTES;
  return added < CLAIM_BYTES ? Math.max(needed, Math.min(claimed, claimTo)) : needed;
}

/**
 * Adds a record. When the system refuses it, nothing of it counts, and the next one takes its place.
 *
 * @param sync Wait until it is on the disk.
 * @throws the system's error.
 */
export function append(
  segment: Segment,
  mark: Uint8Array,
  body: Uint8Array,
  items: number,
  time: number,
  sync: boolean,
): void {
  writeHeader(piece, segment.salt, mark, body, items, time);
  const head = HEADER_BYTES + mark.length;
  const end = segment.end + head + body.length;
  try {
    if (body.length <= ONE_PIECE_BYTES) {
      piece.set(body, head);
      writePiece(segment, head + body.length);
    } else {
      zeros = Math.max(zeros, head);
      writeAll(segment.fd, piece, head, segment.end);
      writeAll(segment.fd, body, body.length, segment.end + head);
    }
    if (sync) syncFile(segment);
  } catch (error) {
    try {
      ftruncateSync(segment.fd, segment.end);
      segment.bytes = segment.end;
    } catch {
      // The next record is written over it, and a reader takes it for what it is: torn.
    }
    throw error;
  }
  segment.end = end;
  segment.bytes = Math.max(segment.bytes, end);
  segment.waiting++;
  segment.waitingItems += items;
  segment.lastTime = time;
  if (mark.length > 0) segment.mark = new Uint8Array(mark);
}

/** Writes the first bytes of `piece`, a record, and zeros behind it where the file is to grow further. */
function writePiece(segment: Segment, length: number): void {
  const { fd, end, bytes } = segment;
  if (zeros > length) piece.fill(0, length, zeros);
  zeros = length;
  const size = sizeWith(segment, length);
  if (size <= bytes || size === end + length) return writeAll(fd, piece, length, end);
  try {
    writeAll(fd, piece, size - end, end);
    segment.bytes = size;
  } catch {
    // There may be enough for the record alone.
    ftruncateSync(fd, bytes);
    writeAll(fd, piece, length, end);
  }
}

function writeAll(fd: number, bytes: Uint8Array, count: number, position: number): void {
  for (let done = 0; done < count;) {
    done += writeSync(fd, bytes, done, count - done, position + done);
  }
}

const acknowledged = Uint8Array.of(ACKNOWLEDGED);

/**
 * Notes in the file that a record need not be delivered any more, while it still counts as running; false when
 * that fails. After the last one that runs, all that were handed out need not: that is noted instead, unless
 * there is damage, behind which it would not count.
 */
export function acknowledge(segment: Segment, at: number): boolean {
  const isReading = segment.fd >= 0;
  try {
    openFile(segment);
    if (segment.running === 1 && !segment.isUncounted) {
      const progress = progressBytes(segment.readAt, segment.salt);
      writeAll(segment.fd, progress, PROGRESS_BYTES, 0);
    } else writeAll(segment.fd, acknowledged, 1, at + STATE_AT);
    return true;
  } catch {
    return false;
  } finally {
    if (!isReading) closeFile(segment);
  }
}

/** Gives back what was claimed and not used. */
export function trim(segment: Segment): void {
  if (segment.bytes === segment.end) return;
  ftruncateSync(segment.fd, segment.end);
  segment.bytes = segment.end;
}

/**
 * Waits until what was written is on the disk, under a name of the file: a later one may be lost. What
 * the system could not write it forgets, and the next sync succeeds: so after one that failed all records
 * are written again.
 *
 * @throws the system's error.
 */
export function syncFile(segment: Segment): void {
  if (segment.fd < 0) return;
  if (segment.isUnsynced) rewrite(segment);
  segment.isUnsynced = true;
  fdatasyncSync(segment.fd);
  segment.isUnsynced = false;
  if (segment.isListed) return;
  syncFolder(dirname(segment.path));
  segment.isListed = true;
}

/** In place, where requests on their way are acknowledged. What can't be read right is found damaged. */
function rewrite({ fd, end }: Segment): void {
  const bytes = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0; at < end;) {
    const count = readSync(fd, bytes, 0, Math.min(CHUNK_BYTES, end - at), at);
    if (count === 0) return;
    writeAll(fd, bytes, count, at);
    at += count;
  }
}

function openFile(segment: Segment): void {
  if (segment.fd < 0) segment.fd = openSync(segment.path, "r+");
}

/** Closes its file. */
export function closeFile(segment: Segment): void {
  if (segment.fd < 0) return;
  closeSync(segment.fd);
  segment.fd = -1;
}

/** Removes its file, which another thread can do: giving back its blocks takes a while. */
export function removeSoon(segment: Segment, pending: Set<string>): void {
  segment.isGone = true;
  closeFile(segment);
  const { path } = segment;
  pending.add(path);
  unlink(path, () => pending.delete(path));
}

/** Removes its file. */
export function removeFile(segment: Segment): void {
  segment.isGone = true;
  segment.isOpen = false;
  closeFile(segment);
  removePath(segment.path);
}

/** Removes a file, or leaves that to whoever did so before. */
export function removePath(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // What is acknowledged stays so where this fails for another reason.
  }
}

// ------------------------------------------------------------------------------------------ reading

/** Bytes read at a time. */
const CHUNK_BYTES = 256 << 10;
/** The same where only headers are looked at. */
const HEADERS_BYTES = 4096;

/** Bytes of a file in memory. */
export interface Chunk {
  bytes: Buffer;
  /** The segment they are of, null when of none, and where they begin in it. */
  of: Segment | null;
  from: number;
  length: number;
  /** Messages in it that are in use: until there are none, nothing else is read into it. */
  users: number;
}

/** Reads segments. */
export interface Reader {
  /** What was read last. */
  chunk: Chunk;
  /** One that nobody uses. */
  spare: Chunk | null;
  /** Bytes read at a time. */
  readonly chunkBytes: number;
}

/** A reader that has read nothing. */
export function newReader(chunkBytes: number = CHUNK_BYTES): Reader {
  return { chunk: newChunk(chunkBytes), spare: null, chunkBytes };
}

function newChunk(bytes: number): Chunk {
  return { bytes: Buffer.allocUnsafeSlow(bytes), of: null, from: 0, length: 0, users: 0 };
}

/** A message in the chunk is used no longer. */
export function leave(reader: Reader, chunk: Chunk): void {
  if (--chunk.users === 0 && chunk !== reader.chunk) reader.spare = chunk;
}

/**
 * Has so many bytes of the segment from a place on in the reader's chunk, or as many as there are. Returns
 * where they are in it.
 */
function load(reader: Reader, segment: Segment, at: number, count: number): number {
  const wanted = Math.min(count, segment.end - at);
  let { chunk } = reader;
  if (chunk.of !== segment || at < chunk.from || at + wanted > chunk.from + chunk.length) {
    if (chunk.users > 0) {
      chunk = reader.spare ?? newChunk(reader.chunkBytes);
      reader.spare = null;
      reader.chunk = chunk;
    }
    fill(chunk, segment, at, wanted, Math.max(wanted, reader.chunkBytes));
  }
  return at - chunk.from;
}

function fill(chunk: Chunk, segment: Segment, at: number, wanted: number, bytes: number): void {
  openFile(segment);
  chunk.of = null;
  if (chunk.bytes.length !== bytes) chunk.bytes = Buffer.allocUnsafeSlow(bytes);
  const most = Math.min(bytes, segment.end - at);
  let length = 0;
  while (length < wanted) {
    const got = readSync(segment.fd, chunk.bytes, length, most - length, at + length);
    // Shorter than it was: somebody else's doing.
    if (got === 0) break;
    length += got;
  }
  chunk.of = segment;
  chunk.from = at;
  chunk.length = length;
}

/** A record, or how many bytes are none. */
export type Step =
  | { readonly at: number; readonly header: Header; readonly body: Uint8Array | null }
  | { readonly at: number; readonly header: null; readonly skipped: number };

/**
 * Reads what is at a place of the segment; undefined at its end. A message whose checksum is wrong is
 * null; where there is no header, the next one is looked for.
 *
 * @param withBody Otherwise the body is null.
 */
export function readRecord(
  reader: Reader,
  segment: Segment,
  at: number,
  withBody: boolean,
): Step | undefined {
  if (at >= segment.end) return undefined;
  const header = headerAt(reader, segment, at);
  // The second is one that was written in part.
  if (header === null || at + header.bytes > segment.end) {
    return { at, header: null, skipped: nextHeader(reader, segment, at + 1) - at };
  }
  if (!withBody) return { at, header, body: null };
  const start = load(reader, segment, at, header.bytes) + HEADER_BYTES + header.markBytes;
  const { bytes, length } = reader.chunk;
  // No Buffer, of which a `slice` would be a view.
  const available = Math.min(header.bodyBytes, length - start);
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + start, Math.max(0, available));
  if (body.length === header.bodyBytes && crc32(body) === header.crc) return { at, header, body };
  return { at, header, body: null };
}

/** The header at a place of the segment; null when there is none. */
function headerAt(reader: Reader, segment: Segment, at: number): Header | null {
  const place = load(reader, segment, at, HEADER_BYTES + MAX_MARK_BYTES);
  const { bytes, length } = reader.chunk;
  return readHeader(bytes, place, length, segment.salt);
}

/** Where the next header is from a place on; the segment's end when there is none. */
function nextHeader(reader: Reader, segment: Segment, from: number): number {
  for (let at = from; at + HEADER_BYTES <= segment.end;) {
    const from = load(reader, segment, at, HEADER_BYTES + MAX_MARK_BYTES);
    const { bytes, length } = reader.chunk;
    if (length - from < HEADER_BYTES) break;
    const found = findHeader(bytes, from, length);
    if (found < 0) {
      // The word that is looked for may begin in the last bytes.
      at += length - from - 3;
      continue;
    }
    at += found - from;
    const header = headerAt(reader, segment, at);
    if (header !== null && at + header.bytes <= segment.end) return at;
    at++;
  }
  return segment.end;
}

/**
 * Where to go on after a record: behind it, or where the next header is if there is none.
 *
 * @param isBad Its message is: where bytes were lost, what is behind it may be the header after the next one.
 */
export function after(
  reader: Reader,
  segment: Segment,
  { at, header }: Step & { header: Header },
  isBad: boolean,
): number {
  const next = at + header.bytes;
  if (!isBad) {
    if (next >= segment.end) return segment.end;
    if (headerAt(reader, segment, next) !== null) return next;
  }
  // Bytes were lost or came in between: then the next record is nearer, or farther.
  return nextHeader(reader, segment, at + HEADER_BYTES);
}

/**
 * Looks through a segment that somebody else has written, and sets its counts, its end and its mark.
 * Says whether it ends in the middle of a record, and whether records follow on damage. Its file is left open.
 *
 * @param verify Look at the messages as well: their writer did not finish, or the power failed.
 */
export function scan(
  segment: Segment,
  size: number,
  verify: boolean,
): { isTorn: boolean; isDamaged: boolean } {
  segment.bytes = size;
  segment.end = Math.max(size, PROGRESS_BYTES);
  const reader = newReader(verify ? CHUNK_BYTES : HEADERS_BYTES);
  load(reader, segment, 0, PROGRESS_BYTES);
  const { chunk } = reader;
  const start = chunk.bytes.subarray(0, Math.min(PROGRESS_BYTES, chunk.length));
  segment.readAt = readProgress(start, segment.end, segment.salt);
  let last = PROGRESS_BYTES;
  // Damaged ones, which count where others follow: at the end they were never written as a whole.
  let bad = 0;
  let badItems = 0;
  let isBehindDamage = false;
  let isDamaged = false;
  for (let at = PROGRESS_BYTES;;) {
    const step = readRecord(reader, segment, at, verify);
    if (step === undefined) break;
    if (step.header === null) {
      isBehindDamage = true;
      stopCounting(segment, at);
      at += step.skipped;
      continue;
    }
    const { header, body } = step;
    const isDelivered = header.acknowledged || at < segment.readAt;
    if (verify && body === null && !isDelivered) {
      isBehindDamage = true;
      bad++;
      badItems += header.items;
      at = after(reader, segment, { ...step, header }, true);
      stopCounting(segment, at);
      continue;
    }
    segment.waiting += bad;
    segment.waitingItems += badItems;
    bad = badItems = 0;
    if (!isDelivered) {
      segment.waiting++;
      segment.waitingItems += header.items;
    }
    segment.lastTime = header.time;
    isDamaged ||= isBehindDamage;
    // The mark says that the message is stored, and those before: which they are not, behind damage.
    if (header.markBytes > 0 && !isDamaged) {
      const start = load(reader, segment, at, HEADER_BYTES + header.markBytes) + HEADER_BYTES;
      segment.mark = Uint8Array.from(
        reader.chunk.bytes.subarray(start, start + header.markBytes),
      );
    }
    at = after(reader, segment, { ...step, header }, verify && body === null);
    last = step.at + header.bytes;
    isBehindDamage ||= at !== last;
    if (at !== last || (verify && body === null)) stopCounting(segment, at);
  }
  const place = load(reader, segment, last, HEADER_BYTES);
  const { bytes, length } = reader.chunk;
  const tail = bytes.subarray(place, Math.min(place + HEADER_BYTES, length));
  segment.end = last;
  segment.readAt = Math.min(segment.readAt, last);
  return { isTorn: tail.some((byte) => byte !== 0), isDamaged };
}

/** From here on, records may be others than were there when it was noted how far it is delivered. */
function stopCounting(segment: Segment, at: number): void {
  // Zeros that were claimed: no record follows.
  if (at === segment.end) return;
  segment.isUncounted = true;
  segment.readAt = Math.min(segment.readAt, at);
}
