/**
 * Opens a file to be drained, and closes it again: lock, extension words, release of the rings.
 *
 * @module
 */
import { unlinkSync } from "node:fs";
import process from "node:process";
import { type HeldLock, lockFile } from "../../ffi/mod.ts";
import { readBootId } from "../../lib/file/boot.ts";
import { type Extension, readExtension, writeReader } from "../../lib/file/extension.ts";
import { type Geometry, readGeometry } from "../../lib/file/geometry.ts";
import { inodeOf } from "../../lib/file/inode.ts";
import { MappedFile } from "../../lib/file/mapped.ts";
import { READER_SUFFIX } from "../../lib/file/places.ts";
import type { Assembler } from "../../lib/otlp/assemble.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { RING_SPANS } from "../../lib/format/layout.ts";
import { release, type RingReader } from "../../lib/ring/read.ts";
import { claimedTo, openDrain, type Position, takenTo } from "../pipeline/drain.ts";
import type { OwnerState } from "../../lib/file/owner.ts";
import { newRoundFile, type RoundFile, type RoundProcess } from "../pipeline/round.ts";
import { otherReader } from "./other-reader.ts";
import { isForeign } from "./ownership.ts";

/** A process whose files are followed. */
export interface FollowedProcess extends RoundProcess {
  readonly files: FollowedFile[];
  /** Uid, or for files without one something unique. */
  key: string;
  /** Requests that hold something of it and are not answered yet. */
  unanswered: number;
  /** Spans, data points and log records of requests that could not be delivered, to be sent again. */
  readonly undelivered: Record<Signal, number>;
  /** Time of its last data points, ns since the Unix epoch; 0 before the first. */
  collectedAt: bigint;
  /** Its open spans and its last points were sent; nothing more is expected. */
  over: boolean;
  /** All that was stored of it is on the disk. */
  isSafe: boolean;
  /** An earlier run had a file of it that outlasts a loss of power; it may be gone. */
  hadSynced: boolean;
  /** Files of it that an earlier run had, and that were not found yet. */
  missing: number;
}

/** What an earlier run knew of a file (collector/journal/). */
export interface Resumed {
  /** The number it has. */
  readonly number: number;
  readonly process: FollowedProcess;
  readonly position: Position;
}

/** A file that is followed. */
export interface FollowedFile extends RoundFile {
  /** Where it is now. */
  path: string;
  /** Given on the command line itself. */
  readonly named: boolean;
  readonly file: MappedFile;
  readonly geometry: Geometry;
  readonly extension: Extension | null;
  readonly process: FollowedProcess;
  readonly inode: string;
  /** What it is recognised by after a restart of the collector. */
  readonly identity: string;
  /**
   * Its writer syncs it, so it outlasts a loss of power (durability "power"): nothing of it may be given
   * back, nor the file removed, before what was taken is on the disk.
   */
  readonly isSynced: boolean;
  owner: OwnerState;
  /** Records taken when the owner was last asked after. */
  seen: number;
  /** When a round first found it in the state `superseded`, with nothing after it, milliseconds. */
  supersededSince: number;
  /** Its removal is not tried before, milliseconds. */
  retireAfter: number;
  /** What it lost was reported for the last time. */
  reported: boolean;
  /** Its writer is told that somebody reads. */
  attached: boolean;
  readonly lock: HeldLock;
  /** By ring: the sequence before the first record of this run. */
  readonly first: readonly number[];
}

/** What became of an attempt to open. */
export type Opened =
  | { readonly followed: FollowedFile }
  /** Still being made. */
  | { readonly unfinished: string }
  /** Another reader has it. */
  | { readonly heldBy: number | null }
  /** It belongs to this user, whose files were not asked for. */
  | { readonly foreign: number };

/**
 * Opens a file and becomes its reader. Throws FormatError and SystemError; the file is not changed
 * then. Links are followed where they were named, and nowhere else: what was listed may have been
 * replaced by one since.
 *
 * @param otherUsers Whoever it belongs to.
 * @param findProcess The process for a uid (null: a process of its own).
 * @param once Take what is claimed now and nothing after.
 * @param resume What an earlier run knew of the file with an identity, null where it knew nothing.
 */
export function openFile(
  id: number,
  path: string,
  named: boolean,
  otherUsers: boolean,
  once: boolean,
  assembler: Assembler,
  findProcess: (uid: string | null) => FollowedProcess,
  resume: (identity: string) => Resumed | null = () => null,
): Opened {
  const file = MappedFile.open(path, { follow: named });
  let lock: HeldLock | null = null;
  try {
    const uid = file.mapping.owner();
    if (!otherUsers && isForeign(path, uid)) {
      file.close();
      return { foreign: uid };
    }
    // Nothing is written beside or into a file that is not ours.
    const first = readGeometry(path, file.u8, file.size);
    if ("unfinished" in first) {
      file.close();
      return first;
    }
    const attempt = lockFile(path + READER_SUFFIX);
    if ("heldBy" in attempt) {
      file.close();
      return attempt;
    }
    lock = attempt;
    // Again: the reader before may have moved on.
    const geometry = readGeometry(path, file.u8, file.size);
    if ("unfinished" in geometry) {
      lock.release();
      file.close();
      return geometry;
    }
    const extension = readExtension(file, geometry.rings[0].offset);
    const other = extension === null ? null : otherReader(path, file);
    if (other !== null) {
      lock.release();
      file.close();
      return { heldBy: other };
    }
    // A writer that discards the oldest would refuse the newest from now on, since its rings are full: it
    // is told when there is room. With `once` at once: what is there now is what is read.
    const attached = once || geometry.rings[RING_SPANS].discards !== true;
    if (attached && extension !== null) writeHeartbeat(file);
    const inode = inodeOf(path);
    // Other writers make their files anew in place.
    const identity = extension?.fileUid ?? `${inode} ${geometry.timeUnixNano}`;
    const resumed = resume(identity);
    const followedProcess = resumed?.process ?? findProcess(extension?.processUid ?? null);
    const drain = openDrain(
      resumed?.number ?? id,
      file,
      geometry,
      assembler,
      followedProcess.state,
      resumed?.position,
    );
    const followed: FollowedFile = {
      ...newRoundFile(drain),
      generation: extension?.generation ?? 0,
      limits: drain.rings.map((_, ring) => once ? claimedTo(drain, ring) : Infinity),
      path,
      named,
      file,
      geometry,
      extension,
      process: followedProcess,
      inode,
      identity,
      isSynced: extension !== null && readBootId(file.u8) !== null,
      owner: "writing",
      seen: -1,
      supersededSince: 0,
      retireAfter: 0,
      reported: false,
      attached,
      lock,
      first: drain.rings.map((ring) => ring.released),
    };
    addToProcess(followedProcess, followed);
    return { followed };
  } catch (error) {
    lock?.release();
    file.close();
    throw error;
  }
}

/** Files come in any order: what continues what is said by their uids. */
function addToProcess(process: FollowedProcess, added: FollowedFile): void {
  const { files } = process;
  for (const file of files) {
    if (continues(file, added)) file.older = added;
    if (continues(added, file)) added.older = file;
  }
  files.push(added);
  files.sort((a, b) => a.generation - b.generation);
}

function continues({ extension }: FollowedFile, older: FollowedFile): boolean {
  const uid = extension?.predecessorUid ?? null;
  return uid !== null && uid === older.extension?.fileUid;
}

/** Gives back what was taken. Only what nobody has to read again. */
export function releaseRings({ drain }: FollowedFile): void {
  for (let ring = 0; ring < drain.rings.length; ring++) {
    release(drain.rings[ring], takenTo(drain, ring));
  }
}

/**
 * Gives back what was taken from one ring, up to what has to be read again.
 *
 * @param first Low 32 bits of the first sequence to be read again, null when there is none.
 */
export function releaseBefore({ drain }: FollowedFile, ring: number, first: number | null): void {
  const taken = takenTo(drain, ring);
  release(drain.rings[ring], first === null ? taken : taken - (((taken | 0) - first) | 0) - 1);
}

/** Once half of each ring is free, its writer is told to discard nothing from now on. */
export function attach(followed: FollowedFile): void {
  const { attached, drain } = followed;
  if (attached) return;
  const isFree = ({ geometry: { ring, slots } }: RingReader): boolean =>
    claimedTo(drain, ring) - takenTo(drain, ring) <= slots >> 1;
  if (!drain.rings.every(isFree)) return;
  followed.attached = true;
  beat(followed);
}

/** Tells the writer that somebody reads. */
export function beat({ extension, file }: FollowedFile): void {
  if (extension !== null) writeHeartbeat(file);
}

function writeHeartbeat(file: MappedFile): void {
  writeReader(file, process.pid, BigInt(Date.now()) * 1_000_000n);
}

/** Stops reading a file. With `remove` it is unlinked, if its path still names it. */
export function closeFile(followed: FollowedFile, remove: boolean): void {
  const { file, extension, lock, path } = followed;
  if (extension !== null) writeReader(file, 0, 0n);
  try {
    if (remove && file.mapping.isAtPath(path)) unlinkSync(path);
  } finally {
    file.close();
    lock.release();
  }
}
