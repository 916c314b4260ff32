/**
 * Our extension block as plain functions over a mapping: absent in files of other writers, where
 * everything still works without it.
 *
 * @module
 */
import {
  EXT_BYTES,
  EXT_FILE_UID,
  EXT_GENERATION,
  EXT_ISOLATE,
  EXT_LENGTH,
  EXT_LOSS,
  EXT_MAGIC,
  EXT_MAGIC_TEXT,
  EXT_MANY_PRODUCERS,
  EXT_OFFSET,
  EXT_OWNER_LOCKS,
  EXT_OWNER_PID,
  EXT_OWNER_START_TIME,
  EXT_PREDECESSOR_UID,
  EXT_PROCESS_UID,
  EXT_READER_HEARTBEAT,
  EXT_READER_PID,
  EXT_RUNTIME,
  EXT_STATE,
  EXT_VERSION,
  EXT_VERSION_CURRENT,
  HEADER_TIME,
  LOSS_REASONS,
  UID_BYTES,
} from "../format/layout.ts";
import type { FileViews } from "../ring/write.ts";

/** The constant words of the extension block. */
export interface Extension {
  /** This file, 32 hexadecimal digits. */
  readonly fileUid: string;
  /** The owner process, 32 hexadecimal digits: the same in all its files. */
  readonly processUid: string;
  /** The file this one continues, 32 hexadecimal digits, or null. */
  readonly predecessorUid: string | null;
  /** Process id of the owner. */
  readonly ownerPid: number;
  /** 0 for the main thread, the thread's number for a Worker. */
  readonly isolate: number;
  /** 0 for the first file of an isolate, one more for each that follows. */
  readonly generation: number;
  /** 1 Deno, 2 Bun, 0 anything else. */
  readonly runtime: number;
  /** When the owner started, ns since the Unix epoch. */
  readonly ownerStartTime: bigint;
  /** The owner holds a lock on the file for as long as it lives. */
  readonly ownerLocks: boolean;
  /** The rings may have several producers. */
  readonly manyProducers: boolean;
}

/** Does the extension block follow the header? The views must reach as far as the file does. */
export function hasExtension(u8: Uint8Array): boolean {
  if (u8.length < EXT_OFFSET + EXT_BYTES) return false;
  for (let i = 0; i < EXT_MAGIC_TEXT.length; i++) {
    if (u8[EXT_MAGIC + i] !== EXT_MAGIC_TEXT.charCodeAt(i)) return false;
  }
  return true;
}

/** Reads the constant words; null where the file has no extension block that is understood. */
export function readExtension(file: FileViews, firstRing: number): Extension | null {
  const { u8, i32 } = file;
  if (firstRing < EXT_OFFSET + EXT_BYTES) return null;
  if (!hasExtension(u8)) return null;
  if (i32[EXT_VERSION >> 2] !== EXT_VERSION_CURRENT || i32[EXT_LENGTH >> 2] < EXT_BYTES) {
    return null;
  }
  const predecessor = hex(u8, EXT_PREDECESSOR_UID);
  return Object.freeze({
    fileUid: hex(u8, EXT_FILE_UID),
    processUid: hex(u8, EXT_PROCESS_UID),
    predecessorUid: /^0+$/.test(predecessor) ? null : predecessor,
    ownerPid: i32[EXT_OWNER_PID >> 2] >>> 0,
    isolate: i32[EXT_ISOLATE >> 2] >>> 0,
    generation: i32[EXT_GENERATION >> 2] >>> 0,
    runtime: i32[EXT_RUNTIME >> 2] >>> 0,
    ownerStartTime: BigInt.asUintN(64, file.i64[EXT_OWNER_START_TIME >> 3]),
    ownerLocks: i32[EXT_OWNER_LOCKS >> 2] === 1,
    manyProducers: i32[EXT_MANY_PRODUCERS >> 2] === 1,
  });
}

/** The writer's state word, `STATE_*`. Everything the writer stored before it is visible after. */
export function readState(file: FileViews): number {
  // Pairs with the writer's store of the state, its last of all.
  return Atomics.load(file.i32, EXT_STATE >> 2);
}

/** The header's `time_unix_nano` now: it differs from the first one when the file was given up. */
export function readTime(file: FileViews): bigint {
  return BigInt.asUintN(64, Atomics.load(file.i64, HEADER_TIME >> 3));
}

/** A loss counter of the writer: records. `ring` is `RING_*`, `reason` is `LOSS_*`. */
export function readLoss(file: FileViews, ring: number, reason: number): number {
  return Number(file.i64[(EXT_LOSS >> 3) + ring * LOSS_REASONS + reason]);
}

/** Stores who reads and when it last looked (ns since the Unix epoch); 0 and 0n when it leaves. */
export function writeReader(file: FileViews, pid: number, heartbeat: bigint): void {
  Atomics.store(file.i32, EXT_READER_PID >> 2, pid);
  Atomics.store(file.i64, EXT_READER_HEARTBEAT >> 3, heartbeat);
}

/** When a reader last looked, ns since the Unix epoch; 0n for never. */
export function readHeartbeat(file: FileViews): bigint {
  return Atomics.load(file.i64, EXT_READER_HEARTBEAT >> 3);
}

/** Process id of the attached reader, 0 for none. */
export function readReaderPid(file: FileViews): number {
  return Atomics.load(file.i32, EXT_READER_PID >> 2) >>> 0;
}

function hex(bytes: Uint8Array, offset: number): string {
  let text = "";
  for (let i = 0; i < UID_BYTES; i++) text += bytes[offset + i].toString(16).padStart(2, "0");
  return text;
}
