/**
 * Segments as files: found, begun, written to, removed.
 *
 * @module
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileSizeLimit } from "../../ffi/mod.ts";
import { syncFolder } from "../../lib/file/folder.ts";
import {
  CHECKPOINTED,
  HEADER_BYTES,
  HEADER_ID,
  HEADER_VERSION,
  ID_BYTES,
  MAGIC,
  SETTINGS,
  type SettingsEntry,
  VERSION,
} from "./format.ts";
import { isCutOff, jsonOf, readBlocks, readFully } from "./read.ts";

const ENDING = ".journal";
const TEMPORARY = ".tmp";
const ASIDE = ".unread-";
/** Copies are not made where so many segments were put aside. */
const MAX_ASIDE = 4;
/** Everything in it is somebody's telemetry. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** A segment that is written to. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  /** Where its last whole block ends, bytes. */
  size: number;
  /** Bytes of its checkpoint. */
  readonly checkpoint: number;
  /** Bytes that a file of this process may have: Deno does not survive an attempt to write more. */
  readonly limit: number;
  /** Its name is on the disk. */
  isNamed: boolean;
}

/** A segment as it was found. */
export interface FoundSegment extends Segment {
  readonly id: Uint8Array<ArrayBuffer>;
  readonly settings: SettingsEntry;
  /** Bytes behind its last whole block. */
  readonly torn: number;
  /** These are not what a process leaves that is killed while it writes. */
  readonly isDamaged: boolean;
}

/** A segment that can't be used: why. */
export interface BadSegment {
  readonly path: string;
  readonly reason: string;
  /** Not only of another version. */
  readonly isDamaged: boolean;
}

/** A file would become larger than files of this process may be. */
export class LimitError extends Error {
  /** As if the system had said it. */
  readonly code = "EFBIG";

  /** @param limit That many bytes. */
  constructor(path: string, limit: number) {
    super(
      `EFBIG: ${path} would be over this process's limit of ${limit} bytes, raise it (ulimit -f)`,
    );
  }
}

/** The numbers of the segments in a directory, the newest first; what was not finished is removed. */
export function listSegments(directory: string): number[] {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const numbers: number[] = [];
  for (const name of readdirSync(directory)) {
    // A checkpoint that was not written to its end: what it was made of is still there.
    if (name.endsWith(ENDING + TEMPORARY)) unlinkSync(join(directory, name));
    else if (/^\d{10}\.journal$/.test(name)) numbers.push(parseInt(name, 10));
  }
  return numbers.sort((a, b) => b - a);
}

/** Where the segment with a number is. */
export function segmentPath(directory: string, number: number): string {
  return join(directory, String(number).padStart(10, "0") + ENDING);
}

/** Opens a segment and checks that its checkpoint is whole. */
export function openSegment(directory: string, number: number): FoundSegment | BadSegment {
  const path = segmentPath(directory, number);
  const fd = openSync(path, "r+");
  const bad = (reason: string, isDamaged = true): BadSegment => {
    closeSync(fd);
    return { path, reason, isDamaged };
  };
  const { size: length } = fstatSync(fd);
  if (length < HEADER_BYTES) return bad("has no header");
  const header = new Uint8Array(HEADER_BYTES);
  readFully(fd, header, 0);
  if (new TextDecoder().decode(header.subarray(0, MAGIC.length)) !== MAGIC) {
    return bad("is none");
  }
  const version = new DataView(header.buffer).getUint32(HEADER_VERSION, true);
  if (version !== VERSION) {
    return bad(`has version ${version}, and ${VERSION} is what this collector reads`, false);
  }
  let settings: SettingsEntry | null = null;
  let checkpoint = 0;
  let blocks = 0;
  const size = readBlocks(fd, length, (forEach) => {
    if (checkpoint > 0) return;
    blocks++;
    forEach((entry) => {
      if (entry.type === SETTINGS && settings === null) settings = jsonOf<SettingsEntry>(entry);
      if (entry.type === CHECKPOINTED) checkpoint = blocks;
    });
  });
  if (checkpoint === 0 || settings === null) return bad("is damaged");
  const id = header.slice(HEADER_ID, HEADER_ID + ID_BYTES);
  const torn = length - size;
  const isDamaged = !isCutOff(fd, length, size);
  const limit = fileSizeLimit();
  const segment = { number, path, fd, size, checkpoint: 0, limit, isNamed: false };
  return { ...segment, id, settings, torn, isDamaged };
}

/**
 * Makes a segment whose checkpoint is written by `write`, which calls `put` with each block. It is
 * there as a whole or not at all: named when everything is written. With `sync` that holds for a loss
 * of power too, and it is on the disk when this returns; else it survives the end of this process.
 */
export function createSegment(
  directory: string,
  number: number,
  id: Uint8Array,
  write: (put: (block: Uint8Array) => void) => void,
  sync = false,
): Segment {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const path = segmentPath(directory, number);
  const temporary = path + TEMPORARY;
  const limit = fileSizeLimit();
  const fd = openSync(temporary, "w+", FILE_MODE);
  try {
    const header = new Uint8Array(HEADER_BYTES);
    header.set(new TextEncoder().encode(MAGIC));
    new DataView(header.buffer).setUint32(HEADER_VERSION, VERSION, true);
    header.set(id, HEADER_ID);
    let size = 0;
    const put = (bytes: Uint8Array): void => {
      if (size + bytes.length > limit) throw new LimitError(path, limit);
      writeFully(fd, bytes, size);
      size += bytes.length;
    };
    put(header);
    write(put);
    if (sync) fdatasyncSync(fd);
    // Last, so that a segment with a name always has a whole checkpoint.
    renameSync(temporary, path);
    if (sync) syncFolder(directory);
    return { number, path, fd, size, checkpoint: size, limit, isNamed: sync };
  } catch (error) {
    closeSync(fd);
    tryUnlink(temporary);
    throw error;
  }
}

/**
 * Adds a block. Throws where it can't be written; the segment is then as it was: what was written of
 * the block is cut off, or else written over by the next one and no whole block until then.
 */
export function append(segment: Segment, block: Uint8Array): void {
  const { limit, path, size } = segment;
  if (size + block.length > limit) throw new LimitError(path, limit);
  try {
    writeFully(segment.fd, block, size);
  } catch (error) {
    try {
      ftruncateSync(segment.fd, size);
    } catch {
      // Its checksum says that it is not whole.
    }
    throw error;
  }
  segment.size += block.length;
}

/** Waits until all of it is on the disk. Throws where that failed. */
export function syncSegment(segment: Segment): void {
  fdatasyncSync(segment.fd);
  if (segment.isNamed) return;
  syncFolder(dirname(segment.path));
  segment.isNamed = true;
}

/** Cuts off what is behind the last whole block, so that it can't be taken for what comes next. */
export function cutTail({ fd, size }: Segment): void {
  ftruncateSync(fd, size);
}

/** Removes the segments with lower numbers. */
export function removeBefore(directory: string, number: number): void {
  for (const each of listSegments(directory)) {
    if (each < number) unlinkSync(segmentPath(directory, each));
  }
}

/** Puts a segment that can't be used where it is in nobody's way. Returns its new path. */
export function setAside(path: string): string {
  const to = nameAside(path);
  renameSync(path, to);
  return to;
}

/**
 * Keeps a segment as it is for whoever wants to know what is in it. Returns the path of the copy. Throws
 * where there is no room for it, and where there are {@linkcode MAX_ASIDE} already.
 */
export function copyAside(path: string): string {
  const directory = dirname(path);
  const others = readdirSync(directory).filter((name) => name.includes(ASIDE));
  if (others.length >= MAX_ASIDE) {
    throw new Error(`there are ${others.length} *${ASIDE}* beside it already: remove these`);
  }
  const limit = fileSizeLimit();
  if (statSync(path).size > limit) throw new LimitError(`a copy of ${path}`, limit);
  const to = nameAside(path);
  try {
    copyFileSync(path, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    tryUnlink(to);
    throw error;
  }
  return to;
}

/** Takes a name that nothing has: a rename or a copy would silently replace what has it. */
function nameAside(path: string): string {
  for (let i = 1;; i++) {
    const to = path + ASIDE + i;
    try {
      closeSync(openSync(to, "wx", FILE_MODE));
      return to;
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
  }
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // One that was not finished is removed at the next start.
  }
}
