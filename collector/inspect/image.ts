/**
 * What an inspection looks at of a file, copied without mapping it: a file that somebody truncates
 * meanwhile is a short read then, not a bus error, and the right to read is enough.
 *
 * @module
 */
import { closeSync, fstatSync, readSync } from "node:fs";
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { FormatError, type Geometry, readGeometry } from "../../lib/file/geometry.ts";
import {
  AVAILABILITY_BYTES,
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  EXT_BYTES,
  EXT_OFFSET,
  FIRST_RING_OFFSET,
  HEADER_DICTIONARY,
  HEADER_RINGS,
  RING_READER_INDEX,
  VERSION,
  VERSION_DISCARDS,
} from "../../lib/format/layout.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import { openRegular } from "../files/regular.ts";
import { formatBytes } from "./units.ts";

/** As many bytes as are looked at of what does not begin as a file of ours does. */
const SAMPLE_BYTES = 1 << 20;
/** Far more than any writer makes, and as much as a buffer holds on every runtime. */
const MAX_BYTES = 4 * 1024 ** 3 - 8;

/** A file's header, extension block, ring headers, availability words and dictionary. */
export interface FileImage extends FileViews, GrowingFile {
  /** The file's length, bytes. */
  readonly size: number;
  /** User that the file belongs to. */
  readonly uid: number;
  /** Permission bits. */
  readonly mode: number;
  /** When it was last changed by a write (not through a mapping), ms since the Unix epoch. */
  readonly modified: number;
  /** Where everything is, or why that can't be said. */
  readonly geometry: Geometry | FormatError | { readonly unfinished: string };
  /** The first byte behind the header that is not 0; null when the first MiB holds none. */
  readonly firstContent: number | null;
}

/**
 * Reads what is there now.
 *
 * @throws NotAFile, or the system's error with its `code` when the file can't be opened or read.
 */
export function readImage(path: string): FileImage {
  const fd = openRegular(path);
  try {
    // A reader may give slots back between the reads of two words: then once more.
    for (let turn = 0;; turn++) {
      const image = read(path, fd);
      const { geometry } = image;
      const isWhole = "rings" in geometry
        ? isSteady(fd, image, geometry)
        : !(geometry instanceof FormatError);
      if (isWhole || turn === 2) return image;
    }
  } finally {
    closeSync(fd);
  }
}

function read(path: string, fd: number): FileImage {
  const { size, uid, mode, mtimeMs } = fstatSync(fd);
  const version = new BigInt64Array(1);
  readSync(fd, version, 0, 8, 0);
  const isKnown = version[0] === BigInt(VERSION) || version[0] === BigInt(VERSION_DISCARDS);
  const reach = isKnown ? size : Math.min(size, SAMPLE_BYTES);
  if (reach > MAX_BYTES) {
    const message = `it has ${formatBytes(size)}, more than any writer of these files makes`;
    throw Object.assign(new Error(message), { code: "EFBIG" });
  }
  // As large as the file, but only what is read of it takes memory.
  const buffer = new ArrayBuffer(Math.ceil(reach / 8) * 8);
  const u8 = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const fill = (start: number, bytes: number): void => {
    const end = Math.min(start + bytes, reach);
    for (let at = start; at < end;) {
      const count = readSync(fd, u8, at, end - at, at);
      if (count === 0) return;
      at += count;
    }
  };
  fill(0, FIRST_RING_OFFSET);
  if (size >= FIRST_RING_OFFSET) {
    for (const word of [...HEADER_RINGS, HEADER_DICTIONARY]) {
      const offset = view.getBigInt64(word, true);
      if (offset > 0n && offset < BigInt(reach)) fill(Number(offset), DICTIONARY_HEADER_BYTES);
    }
  } else fill(0, size);
  const geometry = geometryOf(path, u8, size);
  let firstContent: number | null = null;
  if ("rings" in geometry) {
    for (const { availability, slots } of geometry.rings) {
      fill(availability, slots * AVAILABILITY_BYTES);
    }
    const { dictionary } = geometry;
    fill(dictionary, Number(view.getBigInt64(dictionary + DICTIONARY_END, true)) - dictionary);
  } else {
    fill(0, SAMPLE_BYTES);
    for (let at = 64; at < Math.min(reach, SAMPLE_BYTES) && firstContent === null; at++) {
      if (u8[at] !== 0) firstContent = at;
    }
  }
  return {
    u8,
    i32: new Int32Array(buffer),
    i64: new BigInt64Array(buffer),
    reach: (end) => end <= reach ? u8 : null,
    size,
    uid,
    mode: mode & 0o7777,
    modified: mtimeMs,
    geometry,
    firstContent,
  };
}

/** Takes the counters of readers again, and says whether they still belong to the indexes. */
function isSteady(fd: number, { u8, i64 }: FileImage, { rings }: Geometry): boolean {
  if (rings[0].offset < FIRST_RING_OFFSET) return true;
  readSync(fd, u8, EXT_OFFSET, EXT_BYTES, EXT_OFFSET);
  const now = new BigInt64Array(1);
  return rings.every(({ offset }) => {
    readSync(fd, now, 0, 8, offset + RING_READER_INDEX);
    return now[0] === i64[(offset + RING_READER_INDEX) / 8];
  });
}

function geometryOf(path: string, u8: Uint8Array, size: number): FileImage["geometry"] {
  try {
    return readGeometry(path, u8, size);
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}
