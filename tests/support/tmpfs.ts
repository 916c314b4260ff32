/**
 * File systems in memory that a test may fill up.
 *
 * @module
 */
import process from "node:process";
import { outputOf } from "./shell.ts";

/** Mounts one on a folder and returns what unmounts it; undefined where it can't be: it takes root, on Linux. */
export function mountTmpfs(folder: string, options: string): (() => void) | undefined {
  if (process.platform !== "linux") return undefined;
  if (outputOf("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder) === undefined) {
    return undefined;
  }
  return () => void outputOf("umount", "-l", folder);
}
