/**
 * Is the owner of a file still there? Known from its state word and its lock, or, for files of other
 * writers, from who has the file mapped: never from silence.
 *
 * @module
 */
import process from "node:process";
import { isLocked, mappedBy } from "../../ffi/mod.ts";
import { type Extension, readState, readTime } from "./extension.ts";
import type { MappedFile } from "./mapped.ts";
import { STATE_CLEAN, STATE_OPEN, STATE_SUPERSEDED } from "../format/layout.ts";

/**
 * - `writing`: there, or not known to be gone
 * - `clean`: shut down in order
 * - `superseded`: goes on in its next file
 * - `dead`: gone without a word
 * - `replaced`: the file was made anew in place, by another start of its writer
 */
export type OwnerState = "writing" | "clean" | "superseded" | "dead" | "replaced";

/**
 * Looks now. What the owner wrote before it was found gone is visible to every read after this call.
 *
 * @param path Where the file is now.
 * @param startTime The header's time when the file was opened.
 */
export function ownerState(
  path: string,
  file: MappedFile,
  extension: Extension | null,
  startTime: bigint,
): OwnerState {
  if (extension === null) {
    if (readTime(file) !== startTime) return "replaced";
    return isMapped(path, file) ? "writing" : "dead";
  }
  const before = stateName(readState(file));
  if (before !== "writing") return before;
  if (extension.ownerLocks ? isHeld(path, file) : isMapped(path, file)) return "writing";
  // It may have shut down in order between the two looks.
  const after = stateName(readState(file));
  return after === "writing" ? "dead" : after;
}

function stateName(state: number): "writing" | "clean" | "superseded" {
  switch (state) {
    case STATE_CLEAN:
      return "clean";
    case STATE_SUPERSEDED:
      return "superseded";
    case STATE_OPEN:
    default:
      return "writing";
  }
}

function isHeld(path: string, file: MappedFile): boolean {
  if (file.mapping.isAtPath(path)) return isLocked(path);
  // Without a name only our own descriptor leads to it; nobody else can ask any more.
  return !file.mapping.lock();
}

function isMapped(path: string, file: MappedFile): boolean {
  const { mapping } = file;
  const isNamed = mapping.isAtPath(path);
  if (!isNamed && process.platform !== "linux") return false;
  // Renamed or removed, it may still be written: our own descriptor leads to it.
  const pids = mappedBy(isNamed ? path : `/proc/self/fd/${mapping.fd}`);
  // Not knowable here: then only --once says that it is over.
  return pids === null || pids.some((pid) => pid !== process.pid);
}
