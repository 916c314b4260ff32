/**
 * Whether a spool is still where it was opened: somebody may remove or replace its folder, or take the
 * disk away, while it is used. Files that are open go on working then, but nobody finds them again.
 *
 * @module
 */
import { closeSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { inodeAt, isOpenAs } from "../file/inode.ts";
import type { Owner } from "./owners.ts";
import { formatName } from "./names.ts";
import { removePath, type Segment } from "./segment.ts";
import { remakeMark, type Shelf } from "./shelf.ts";

const COPY_BYTES = 256 << 10;

function isThere({ fd, path }: Segment): boolean {
  return fd < 0 ? inodeAt(path) !== null : isOpenAs(fd, path);
}

/**
 * Whether what is put is found again. The lock is the owner's for as long as it lives, and open, so that no
 * other file can have its number.
 *
 * @throws the system's error.
 */
export function isInPlace({ path, inode }: Owner, shelves: readonly Shelf[]): boolean {
  if (inodeAt(path) !== inode) return false;
  return shelves.every(({ folder, writing }) =>
    writing === null ? inodeAt(folder) !== null : isThere(writing)
  );
}

/**
 * Gives the files of a shelf, in a folder that was made again, to its owner. Files that are open are written
 * once more. Returns the segments that nobody has.
 *
 * @throws the system's error; then it is to be called again.
 */
export function putBack(shelf: Shelf): Segment[] {
  const { owner, folder } = shelf;
  const lost: Segment[] = [];
  for (let segment = shelf.first; segment !== null; segment = segment.next) {
    const { number, salt, bytes } = segment;
    const ending = segment.path.endsWith("tmp") ? "tmp" : "seg";
    const path = join(folder, formatName({ number, salt, owner, ending }));
    if (isThere(segment)) {
      if (path !== segment.path) renameSync(segment.path, path);
      segment.path = path;
    } else if (segment.fd < 0) lost.push(segment);
    else {
      const before = segment.path;
      // Whatever has its name is not what is open: nobody is to deliver that as well.
      if (before === path) removePath(before);
      copyTo(segment, path);
      if (before !== path) removePath(before);
      shelf.counts.bytes += segment.bytes - bytes;
    }
  }
  remakeMark(shelf);
  return lost;
}

/** The same bytes in a file of another name, which takes the place of the one that is open. */
function copyTo(segment: Segment, path: string): void {
  const fd = openSync(path, "wx+", 0o600);
  try {
    const chunk = Buffer.allocUnsafe(COPY_BYTES);
    for (let at = 0; at < segment.end;) {
      const count = readSync(segment.fd, chunk, 0, Math.min(COPY_BYTES, segment.end - at), at);
      if (count === 0) break;
      for (let done = 0; done < count;) {
        done += writeSync(fd, chunk, done, count - done, at + done);
      }
      at += count;
    }
  } catch (error) {
    closeSync(fd);
    removePath(path);
    throw error;
  }
  closeSync(segment.fd);
  segment.fd = fd;
  segment.path = path;
  segment.bytes = segment.end;
  segment.isListed = false;
}
