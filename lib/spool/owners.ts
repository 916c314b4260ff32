/**
 * Whose segments those of a folder are: an owner holds a lock file for as long as it lives, and what
 * the dead have left goes to whoever comes first.
 *
 * @module
 */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { type HeldLock, isLocked, lockFile } from "../../ffi/mod.ts";
import { inodeAt } from "../file/inode.ts";
import {
  formatName,
  LOCK_ENDING,
  type Name,
  newOwner,
  ownerOf,
  parseName,
  SPOOL_SIGNALS,
  type SpoolSignal,
  UNFINISHED_ENDING,
} from "./names.ts";
import { removePath } from "./segment.ts";

/** Somebody who stores and delivers, in one folder. */
export interface Owner {
  readonly name: string;
  readonly lock: HeldLock;
  /** Its lock file, and which one that is. */
  readonly path: string;
  readonly inode: string | null;
}

/**
 * Becomes an owner.
 *
 * @throws SystemError when the lock file can't be made.
 */
export function becomeOwner(folder: string): Owner {
  const name = newOwner();
  const path = join(folder, name + LOCK_ENDING);
  const lock = lockFile(path);
  // Nobody else has this name.
  if ("heldBy" in lock) throw new Error(`${folder}: ${name} is locked by ${lock.heldBy}`);
  return { name, lock, path, inode: inodeAt(path) };
}

/** A file that was another owner's. */
export interface Adopted {
  readonly signal: SpoolSignal;
  readonly path: string;
  /** What it was called. */
  readonly was: Name;
  /** Why it could not be looked at yet. */
  error?: string;
}

/**
 * Takes the files of owners that are dead. A file is renamed in one step, so two who come at the same
 * time share them, and nobody gets what another has.
 *
 * @param adopted They are added to it, also to the point where the system's error is thrown.
 */
export function adopt(folder: string, owner: string, adopted: Adopted[]): void {
  const dead = new Map<string, boolean>([[owner, false]]);
  const isDead = (name: string): boolean => {
    let answer = dead.get(name);
    if (answer === undefined) dead.set(name, answer = !lives(folder, name));
    return answer;
  };
  for (const signal of SPOOL_SIGNALS) {
    for (const file of readdirSync(join(folder, signal)).sort()) {
      const unfinished = ownerOf(file, UNFINISHED_ENDING);
      // What it was made of is still there.
      if (unfinished !== null && isDead(unfinished)) removePath(join(folder, signal, file));
      const was = parseName(file);
      if (was === null || !isDead(was.owner)) continue;
      const ending = was.ending === "tmp" ? "seg" : was.ending;
      const path = join(folder, signal, formatName({ ...was, owner, ending }));
      try {
        renameSync(join(folder, signal, file), path);
        adopted.push({ signal, path, was });
      } catch (error) {
        // Another was faster.
        if ((error as { code?: string }).code !== "ENOENT") throw error;
      }
    }
  }
  for (const file of readdirSync(folder)) {
    const name = ownerOf(file, LOCK_ENDING);
    // Taking the lock and giving it back removes the file.
    if (name === null || !isDead(name)) continue;
    const lock = lockFile(join(folder, file));
    if ("release" in lock) lock.release();
  }
}

/** One that ended as it should has no lock file any more. */
function lives(folder: string, owner: string): boolean {
  const path = join(folder, owner + LOCK_ENDING);
  try {
    return isLocked(path);
  } catch (error) {
    if (!existsSync(path)) return false;
    throw error;
  }
}
