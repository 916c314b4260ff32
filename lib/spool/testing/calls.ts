/**
 * Stands in for `node:fs`, and notes which files are made, synced and renamed, and whose first bytes are
 * written: what a spool does to acknowledge, in order.
 *
 * @module
 */
import * as real from "node:fs";

export * from "node:fs";

// Where this takes the place of the module, its functions would be these.
const { openSync: open, closeSync: close, fsyncSync: fsync, fdatasyncSync: fdatasync } = real;
const { renameSync: rename, writeSync: write } = real;
const paths = new Map<number, string>();

/** What was done, in order. */
export const calls: string[] = [];

export function openSync(path: string, flags: string, mode?: number): number {
  const fd = open(path, flags, mode);
  paths.set(fd, path);
  if (flags !== "r") calls.push(`open ${path}`);
  return fd;
}

export function closeSync(fd: number): void {
  paths.delete(fd);
  close(fd);
}

export function fsyncSync(fd: number): void {
  calls.push(`sync ${paths.get(fd)}`);
  fsync(fd);
}

export function fdatasyncSync(fd: number): void {
  calls.push(`sync ${paths.get(fd)}`);
  fdatasync(fd);
}

export function renameSync(from: string, to: string): void {
  calls.push(`rename ${from} ${to}`);
  rename(from, to);
}

export function writeSync(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  if (position === 0) calls.push(`acknowledge ${paths.get(fd)}`);
  return write(fd, bytes, offset, length, position);
}
