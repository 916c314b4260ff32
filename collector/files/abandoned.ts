/**
 * Removes what processes that were killed leave beside their files: readers' locks, and files and locks
 * in the making.
 *
 * @module
 */
import { statSync, unlinkSync } from "node:fs";
import { isLocked, lockFile, processIsAlive } from "../../ffi/mod.ts";
import type { Transient } from "./discover.ts";

/** Whoever lives makes a file or a lock in less, ms. */
const MAKING_MS = 10_000;

/** Removes a transient that nobody needs; does nothing where that can't be told or done. */
export function removeAbandoned({ path, maker }: Transient): void {
  try {
    if (maker === null) {
      const lock = lockFile(path);
      if ("release" in lock) lock.release();
      // The maker's number says nothing in a volume that containers share: it may live, unseen.
    } else if (
      Date.now() - statSync(path).mtimeMs > MAKING_MS && !processIsAlive(maker) && !isLocked(path)
    ) unlinkSync(path);
  } catch {
    // Gone meanwhile, or somebody else's.
  }
}
