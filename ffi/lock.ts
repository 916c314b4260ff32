/**
 * Lock files, and the question whether a file is locked.
 *
 * @module
 */
import process from "node:process";
import { assertSupported, SystemError } from "./errors.ts";
import {
  checked,
  closeFile,
  createTemporary,
  linkFile,
  lockExclusive,
  lockShared,
  openFile,
  openIfExists,
  readText,
  sameFile,
  statusAt,
  statusOf,
  unlinkFile,
} from "./file.ts";
import { libc } from "./libc.ts";
import { O_NOFOLLOW, O_RDONLY, O_RDWR } from "./symbols.ts";

/** A lock file that is ours. */
export interface HeldLock {
  /** Removes the file, then gives the lock back. Does nothing the second time. */
  release(): void;
}

/** A lock file that is somebody else's: the process id written in it, null if there is none. */
export interface RefusedLock {
  readonly heldBy: number | null;
}

/**
 * Takes the lock file `path`, made if there is none, without waiting. The lock is the flock on it, so
 * the file of a process that was killed is in nobody's way.
 */
export function lockFile(path: string): HeldLock | RefusedLock {
  assertSupported("lock", path);
  // Every turn means that somebody else took or released it in between.
  for (let turn = 0; turn < 100; turn++) {
    const fd = openIfExists(path, O_RDWR | O_NOFOLLOW) ?? createLocked(path);
    if (fd === null) continue;
    try {
      if (!lockExclusive(fd, path)) {
        closeFile(fd);
        return { heldBy: readHolder(path) };
      }
      const there = statusAt(path);
      if (there !== null && sameFile(there, statusOf(fd, path))) {
        writeHolder(fd, path);
        return held(fd, path);
      }
    } catch (error) {
      closeFile(fd);
      throw error;
    }
    // Its holder removed it after it was opened here.
    closeFile(fd);
  }
  return { heldBy: readHolder(path) };
}

/** Locked and filled in before it gets its name; null when another was faster. */
function createLocked(path: string): number | null {
  const { fd, temporary } = createTemporary(path);
  try {
    lockExclusive(fd, temporary);
    writeHolder(fd, temporary);
    linkFile(temporary, path);
    return fd;
  } catch (error) {
    closeFile(fd);
    if (error instanceof SystemError && error.code === "EEXIST") return null;
    throw error;
  } finally {
    unlinkFile(temporary);
  }
}

function held(fd: number, path: string): HeldLock {
  let released = false;
  return {
    release(): void {
      if (released) return;
      released = true;
      try {
        const there = statusAt(path);
        if (there !== null && sameFile(there, statusOf(fd, path))) unlinkFile(path);
      } finally {
        closeFile(fd);
      }
    },
  };
}

/** As wide as the longest process id, so that a shorter one covers what was there. */
const HOLDER_BYTES = 11;

function writeHolder(fd: number, path: string): void {
  const bytes = new TextEncoder().encode(String(process.pid).padEnd(HOLDER_BYTES - 1) + "\n");
  checked("pwrite", path, () => libc.pwrite(fd, bytes, bytes.length, 0));
}

function readHolder(path: string): number | null {
  const pid = Number(readText(path)?.trim() || "none");
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}

/**
 * Does somebody hold the lock of this file, this process included? Asks with a shared lock, given
 * back at once, so that two who ask do not see each other; who wants the lock in that moment does not
 * get it. Throws {@link SystemError}.
 */
export function isLocked(path: string): boolean {
  assertSupported("flock", path);
  // A shared lock wants no right to write, which who only looks may not have.
  const fd = openFile(path, O_RDONLY);
  try {
    return !lockShared(fd, path);
  } finally {
    closeFile(fd);
  }
}
