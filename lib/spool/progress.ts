/**
 * The first bytes of a segment: how far all of it need not be delivered any more.
 *
 * | at | what                                                         |
 * | -: | ------------------------------------------------------------ |
 * |  0 | f64, where the first record is that may have to be delivered |
 * |  8 | u32, CRC-32 of that, beginning with the salt                 |
 * | 12 | u32, zero                                                    |
 *
 * All of it little-endian; zeros in a segment of which nothing was delivered. It is written in one place
 * again and again, where the state of each record is in a page of its own, which the system would have to
 * bring to the disk once more. Behind damage it does not count, since there may be other records by now: those
 * say of themselves whether they were delivered.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { shortCrc } from "./short-crc.ts";

/** Bytes before the first record. */
export const PROGRESS_BYTES = 16;

const bytes = Buffer.alloc(PROGRESS_BYTES);

/** What is to be at the start of the segment, in memory that is used again. */
export function progressBytes(at: number, salt: number): Buffer {
  bytes.writeDoubleLE(at, 0);
  bytes.writeUInt32LE(shortCrc(bytes, 0, 8, salt), 8);
  return bytes;
}

/** Where the first record is that may have to be delivered, by the first bytes of a segment of `end` bytes. */
export function readProgress(start: Buffer, end: number, salt: number): number {
  if (start.length < PROGRESS_BYTES) return PROGRESS_BYTES;
  if (start.readUInt32LE(8) !== shortCrc(start, 0, 8, salt)) return PROGRESS_BYTES;
  const at = start.readDoubleLE(0);
  return at > PROGRESS_BYTES ? Math.min(at, end) : PROGRESS_BYTES;
}
