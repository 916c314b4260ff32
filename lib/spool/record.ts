/**
 * A record of a segment: a header of 32 bytes, the writer's mark, and the message.
 *
 * | at | what                                                                   |
 * | -: | ---------------------------------------------------------------------- |
 * |  0 | u32, the same in every header: where the next record may be            |
 * |  4 | u8, {@linkcode ACKNOWLEDGED} once it is; not in any checksum           |
 * |  5 | u8, bytes of the mark                                                  |
 * |  6 | u16, 1: version of this table                                          |
 * |  8 | u32, bytes of the message                                              |
 * | 12 | u32, items in the message                                              |
 * | 16 | f64, when it was stored, milliseconds since the Unix epoch             |
 * | 24 | u32, CRC-32 of the message                                             |
 * | 28 | u32, CRC-32 of bytes 5 to 27 and the mark, beginning with the salt     |
 *
 * All of it little-endian. The salt is the segment's own, so that records inside of a message, which
 * may hold anything, are not taken for records of the segment.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { shortCrc } from "./short-crc.ts";

/** Bytes of a record before the mark. */
export const HEADER_BYTES = 32;
/** Bytes of a mark at most. */
export const MAX_MARK_BYTES = 255;
/** Bytes of a message at most: what one read gives. */
export const MAX_BODY_BYTES = 0x7fff_ffff - HEADER_BYTES - MAX_MARK_BYTES;
/** Where the state is in a header, and what it is once the record need not be delivered any more. */
export const STATE_AT = 4;
export const ACKNOWLEDGED = 0x41;
const WAITING = 0x57;

const HERE = 0x4c505354;
const HERE_BYTES = Buffer.from([0x54, 0x53, 0x50, 0x4c]);
const VERSION = 1;

/** What a header says. */
export interface Header {
  /** Bytes of the mark, of the message, and of the whole record. */
  readonly markBytes: number;
  readonly bodyBytes: number;
  readonly bytes: number;
  readonly items: number;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly crc: number;
  readonly acknowledged: boolean;
}

/** Writes header and mark at the start of `target`, for a message with that checksum. */
export function writeHeader(
  target: Buffer,
  salt: number,
  mark: Uint8Array,
  body: Uint8Array,
  items: number,
  time: number,
): void {
  target.writeUInt32LE(HERE, 0);
  target[STATE_AT] = WAITING;
  target[5] = mark.length;
  target.writeUInt16LE(VERSION, 6);
  target.writeUInt32LE(body.length, 8);
  target.writeUInt32LE(items, 12);
  target.writeDoubleLE(time, 16);
  target.writeUInt32LE(crc32(body), 24);
  target.set(mark, HEADER_BYTES);
  target.writeUInt32LE(checksum(target, 0, mark.length, salt), 28);
}

/** Bytes 5 to 27 and the mark: where the checksum itself stands counts as the state does, not at all. */
function checksum(bytes: Uint8Array, at: number, markBytes: number, salt: number): number {
  const mark = at + HEADER_BYTES;
  const head = shortCrc(bytes, at + STATE_AT + 1, at + 28, salt);
  return shortCrc(bytes, mark, mark + markBytes, head);
}

/** The header at a place of `bytes` before `end`; null when there is none, or not all of it and its mark. */
export function readHeader(bytes: Buffer, at: number, end: number, salt: number): Header | null {
  if (at + HEADER_BYTES > end || bytes.readUInt32LE(at) !== HERE) return null;
  const markBytes = bytes[at + 5];
  if (at + HEADER_BYTES + markBytes > end) return null;
  if (bytes.readUInt16LE(at + 6) !== VERSION) return null;
  if (bytes.readUInt32LE(at + 28) !== checksum(bytes, at, markBytes, salt)) return null;
  const bodyBytes = bytes.readUInt32LE(at + 8);
  return {
    markBytes,
    bodyBytes,
    bytes: HEADER_BYTES + markBytes + bodyBytes,
    items: bytes.readUInt32LE(at + 12),
    time: bytes.readDoubleLE(at + 16),
    crc: bytes.readUInt32LE(at + 24),
    acknowledged: bytes[at + STATE_AT] === ACKNOWLEDGED,
  };
}

/** Where a header may begin, from a place on; -1 when nowhere before `end`. */
export function findHeader(bytes: Buffer, from: number, end: number): number {
  return bytes.subarray(0, end).indexOf(HERE_BYTES, from);
}
