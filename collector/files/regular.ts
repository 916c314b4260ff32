/**
 * Files that may be ours are regular ones: a pipe would be waited for, and a device never ends.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";

/** Files of more bytes than this are refused: no writer makes them (refs have four bytes). */
export const MAX_FILE_BYTES: number = 2 ** 31;

/** Not a file that could hold anything. */
export class NotAFile extends Error {
  /** As systems say it of directories, and of what can't be mapped. */
  readonly code: "EISDIR" | "ENODEV";

  /** @param isDirectory It is one; otherwise a pipe, a device or the like. */
  constructor(isDirectory: boolean) {
    super(isDirectory ? "it is a directory" : "it is not a regular file");
    this.code = isDirectory ? "EISDIR" : "ENODEV";
  }
}

function check(stat: Stats): void {
  if (!stat.isFile()) throw new NotAFile(stat.isDirectory());
}

/**
 * Opens a regular file to be read, without waiting for anybody. Returns its descriptor.
 *
 * @throws NotAFile, or the system's error with its `code`.
 */
export function openRegular(path: string): number {
  // Before: to open a device may do something.
  check(statSync(path));
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // It may have become something else since.
    check(fstatSync(fd));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * The bytes that a regular file has now.
 *
 * @throws NotAFile, the system's error, or one that says that the file is too large.
 */
export function readRegular(path: string): Uint8Array {
  const fd = openRegular(path);
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_FILE_BYTES) {
      throw new Error(`it has ${size} bytes: more than any writer makes`);
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let count = -1; at < size && count !== 0; at += count) {
      count = readSync(fd, bytes, at, size - at, at);
    }
    return bytes.subarray(0, at);
  } finally {
    closeSync(fd);
  }
}
