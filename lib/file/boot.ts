/**
 * Has the system stopped since a file was written? Asked of files whose writer syncs them to a disk.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { EXT_BOOT_ID, EXT_SYNCED, UID_BYTES } from "../format/layout.ts";
import type { FileViews } from "../ring/write.ts";

let current: Uint8Array | null | undefined;

/** The id of the running system's boot, 16 bytes; null where that can't be known. */
export function currentBootId(): Uint8Array | null {
  return current ??= askBootId();
}

function askBootId(): Uint8Array | null {
  try {
    const text = readFileSync("/proc/sys/kernel/random/boot_id", "latin1");
    const bytes = Buffer.from(text.trim().replaceAll("-", ""), "hex");
    return bytes.length === UID_BYTES ? new Uint8Array(bytes) : null;
  } catch {
    return null;
  }
}

/** The boot during which a file was made; null for one that is not synced. The block must be there. */
export function readBootId(u8: Uint8Array): Uint8Array | null {
  const id = u8.slice(EXT_BOOT_ID, EXT_BOOT_ID + UID_BYTES);
  return id.some((byte) => byte !== 0) ? id : null;
}

/**
 * Has the system stopped since the file was written? Then each page of it is as of any moment since its last
 * sync. The block must be there.
 */
export function hasLostPower(u8: Uint8Array): boolean {
  const made = readBootId(u8);
  if (made === null) return false;
  const now = currentBootId();
  return now === null || Buffer.compare(made, now) !== 0;
}

/**
 * How many records of a ring can be trusted, counted from its first: all (Infinity), or those that
 * were on the disk when the power went.
 */
export function trustedRecords(file: FileViews, ring: number): number {
  return hasLostPower(file.u8) ? Number(Atomics.load(file.i64, EXT_SYNCED / 8 + ring)) : Infinity;
}
