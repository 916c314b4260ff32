/**
 * Folders whose names, and those of the files in them, are to be on the disk.
 *
 * @module
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a folder, and those it is in where they are not there.
 *
 * @param sync Wait until all of their names are on the disk.
 * @throws the system's error.
 */
export function makeFolder(path: string, sync: boolean): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (!sync || first === undefined) return;
  const { length } = resolve(first);
  for (let made = resolve(path); made.length >= length; made = dirname(made)) {
    syncFolder(dirname(made));
  }
}

/** Waits until the names in a folder are on the disk. Throws the system's error. */
export function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some file systems know this of files alone.
    if ((error as { code?: string }).code !== "EINVAL") throw error;
  } finally {
    closeSync(fd);
  }
}
