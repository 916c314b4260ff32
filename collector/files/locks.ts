/**
 * Removes what readers that were killed leave beside files that are gone: a lock, or one in the making.
 *
 * @module
 */
import { statSync, unlinkSync } from "node:fs";
import { isLocked, lockFile } from "../../ffi/mod.ts";
import { READER_SUFFIX } from "../../lib/file/places.ts";

/** Between making a lock and its name lies less, ms. */
const MAKING_MS = 10_000;

/** Removes a lock file that nobody holds; does nothing where that can't be told or done. */
export function removeLock(path: string): void {
  try {
    if (path.endsWith(READER_SUFFIX)) {
      const lock = lockFile(path);
      if ("release" in lock) lock.release();
    } else if (Date.now() - statSync(path).mtimeMs > MAKING_MS && !isLocked(path)) {
      unlinkSync(path);
    }
  } catch {
    // Gone meanwhile, or somebody else's.
  }
}
