/**
 * The folders of `run`: each is one run's alone while that lives, and found where files are looked for
 * by default once it was killed.
 *
 * @module
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { isLocked, lockFile } from "../../ffi/mod.ts";
import {
  defaultDirectories,
  type DefaultDirectory,
  isFileName,
  type PlaceOptions,
  untrusted,
} from "../../lib/file/places.ts";

const PREFIX = "otlp-mmap-run-";
const LOCK = "run.lock";
const FILES = "files";

/** The folder of this run. */
export interface RunFolder {
  readonly path: string;
  /** The directory in it for the program's files. */
  readonly files: string;
  /** Gives it up: removes it, unless there is something for others in it. */
  release(keep: boolean): void;
}

/** Makes a folder for a run, in a directory that others may have theirs in. */
export function makeRunFolder(parent: string): RunFolder {
  const path = mkdtempSync(join(parent, PREFIX));
  const lock = lockFile(join(path, LOCK));
  // Behind the lock: nobody looks at a folder that has no files.
  const files = join(path, FILES);
  mkdirSync(files, { mode: 0o700 });
  return {
    path,
    files,
    release(keep) {
      if (!keep) rmSync(path, { recursive: true, force: true });
      if ("release" in lock) lock.release();
    },
  };
}

/** The directories with the files of this user's runs that are over, beside the default directories. */
export function abandonedRuns(uid: number, places?: PlaceOptions): DefaultDirectory[] {
  const parents = new Set(defaultDirectories(uid, places).map(({ path }) => dirname(path)));
  return [...parents].flatMap((parent) =>
    namesIn(parent).filter((name) => name.startsWith(PREFIX)).map((name) => join(parent, name))
      .filter((path) => isAbandoned(path, uid))
      .map((path) => ({ path: join(path, FILES), uid }))
  );
}

/** Removes what is left of runs in whose folders nothing waits any more. */
export function removeAbandonedRuns(uid: number, places?: PlaceOptions): void {
  for (const { path } of abandonedRuns(uid, places)) {
    if (namesIn(path).some(isFileName)) continue;
    rmSync(dirname(path), { recursive: true, force: true });
  }
}

function isAbandoned(path: string, uid: number): boolean {
  try {
    if (untrusted(path, uid) !== undefined || !existsSync(join(path, FILES))) return false;
    const lock = join(path, LOCK);
    return !existsSync(lock) || !isLocked(lock);
  } catch {
    // Gone meanwhile, or not to be told: then it is somebody's.
    return false;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
