/**
 * Which file it is, whatever its name: device and inode. No other file has these while it is open or has a name.
 *
 * @module
 */
import { fstatSync, statSync } from "node:fs";

/**
 * Of a file that is open, or has this path.
 *
 * @throws the system's error.
 */
export function inodeOf(file: number | string): string {
  const options = { bigint: true } as const;
  const { dev, ino } = typeof file === "number"
    ? fstatSync(file, options)
    : statSync(file, options);
  return `${dev}:${ino}`;
}

/**
 * Of what has this path; null when nothing has.
 *
 * @throws the system's error.
 */
export function inodeAt(path: string): string | null {
  try {
    return inodeOf(path);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

/**
 * Whether a path leads to the file that is open.
 *
 * @throws the system's error.
 */
export function isOpenAs(fd: number, path: string): boolean {
  return inodeAt(path) === inodeOf(fd);
}
