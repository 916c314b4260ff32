/**
 * Is the owner of a file that was only copied still there?
 *
 * @module
 */
import { isLocked, mappedBy, runtime } from "../../ffi/mod.ts";
import { readState, readTime } from "../../lib/file/extension.ts";
import type { OwnerState } from "../../lib/file/owner.ts";
import { STATE_CLEAN, STATE_SUPERSEDED } from "../../lib/format/layout.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import type { FileCopy } from "./copy.ts";

/** Looks now. Whoever can't be asked after counts as writing. */
export function ownerOf(copy: FileCopy): OwnerState {
  const { extension, geometry, memory, path } = copy;
  const state = (): OwnerState => {
    copy.copyHeader();
    if (extension === null) {
      return readTime(memory) === geometry.timeUnixNano ? "writing" : "replaced";
    }
    const word = readState(memory);
    return word === STATE_CLEAN ? "clean" : word === STATE_SUPERSEDED ? "superseded" : "writing";
  };
  const before = state();
  if (before !== "writing") return before;
  // A file whose owner lives keeps its name.
  if (copy.isAtPath() && isOwned(path, extension?.ownerLocks ?? false)) return "writing";
  // It may have shut down in order between the two looks.
  const after = state();
  return after === "writing" ? "dead" : after;
}

function isOwned(path: string, locks: boolean): boolean {
  if (!runtime.supported) return true;
  try {
    return locks ? isLocked(path) : mappedBy(path)?.length !== 0;
  } catch {
    return true;
  }
}

/** What is said on the open spans of a process whose files are in these states. */
export function whyOpen(owners: readonly OwnerState[]): Uint8Array {
  if (owners.includes("writing")) return INTERRUPTIONS.open;
  return owners.every((owner) => owner === "clean") ? INTERRUPTIONS.closed : INTERRUPTIONS.died;
}
