/**
 * Is a file read under another name than the one by which its lock was taken?
 *
 * @module
 */
import process from "node:process";
import { isLocked, mappedBy, processIsAlive, SystemError } from "../../ffi/mod.ts";
import { READER_SILENT_NS } from "../../lib/file/attached.ts";
import { readHeartbeat, readReaderPid } from "../../lib/file/extension.ts";
import type { MappedFile } from "../../lib/file/mapped.ts";
import { formerName, READER_SUFFIX } from "../../lib/file/places.ts";

/**
 * The id of the process that reads this file under another name, where its lock is; null when there is
 * none. To be asked by who has the lock by this name.
 *
 * The id is that of the reader's own container: here it may be nobody, somebody else or this process.
 * So of a file that was set aside the lock by its former name decides, and of one that got its name
 * in another way, whether a process with that id has it mapped.
 */
export function otherReader(path: string, file: MappedFile): number | null {
  const pid = readReaderPid(file);
  const silent = BigInt(Date.now()) * 1_000_000n - readHeartbeat(file);
  if (pid === 0 || silent >= READER_SILENT_NS) return null;
  const former = formerName(path);
  if (former !== null) return isLockedIfThere(former + READER_SUFFIX) ? pid : null;
  if (pid === process.pid || !processIsAlive(pid)) return null;
  return mappedBy(path)?.includes(pid) === false ? null : pid;
}

function isLockedIfThere(path: string): boolean {
  try {
    return isLocked(path);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return false;
    throw error;
  }
}
