/**
 * Whose files are read without being asked for.
 *
 * @module
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { userId } from "../../ffi/mod.ts";

/**
 * True for a file that belongs to neither this user nor, for root, the owner of the directory that it
 * is in: anybody may have put it there, and reading takes writing into it.
 *
 * @param uid Who the file at `path` belongs to.
 * @param me Who asks; by default the user this process runs as.
 * @throws the system's error when the directory is gone.
 */
export function isForeign(path: string, uid: number, me: number | null = userId()): boolean {
  if (uid === me) return false;
  return me !== 0 || statSync(dirname(path)).uid !== uid;
}
