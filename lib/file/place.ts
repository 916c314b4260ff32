/**
 * Gives a new file its name: where the collector looks for it, and never over another one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { isLocked, mappedBy, Mapping, userId, userTempDirectory } from "../../ffi/mod.ts";
import {
  ensureDefaultDirectory,
  ensureDirectory,
  exactFilePath,
  type FileIdentity,
  fileName,
  leftoverName,
  type PlaceOptions,
  spareDirectory,
} from "./places.ts";
import { hasExtension } from "./extension.ts";
import { fittingSizes, freeBytes } from "./room.ts";
import { type FileOptions, FileWriter } from "./write.ts";
import { EXT_FILE_UID, EXT_OWNER_LOCKS, UID_BYTES } from "../format/layout.ts";
import { randomBytes } from "./random.ts";

/** Where files go: an exact path, else a directory, else the default place. */
export interface Place {
  readonly file?: string;
  readonly directory?: string;
  /** Told what a person should know: smaller rings, another place. */
  readonly onNote?: (note: string) => void;
  /** Where default places are, for tests. */
  readonly places?: PlaceOptions;
}

/**
 * Makes a file and publishes it. Where there is little room, its rings are smaller, as far as nobody
 * chose their sizes; the default place has a spare one for when that does not help. Throws what stands in the way: no permission, no space, a
 * directory that is not ours.
 */
export function createInPlace(place: Place, options: FileOptions): FileWriter {
  const { identity, generation = 0 } = options;
  const names: FileIdentity = {
    pid: identity.pid,
    processUid: Buffer.from(identity.processUid).toString("hex"),
    isolate: identity.isolate,
    generation,
  };
  if (place.file !== undefined) {
    mkdirSync(dirname(place.file), { recursive: true, mode: 0o700 });
    const path = exactFilePath(place.file, names, false);
    const file = createFitting(path, options, place);
    let wanted = path;
    let { isolate } = names;
    return publish(file, path, () => {
      // A leftover gives way: also one of this process, which may have recorded here before.
      if (setAside(wanted)) return wanted;
      wanted = exactFilePath(place.file!, { ...names, isolate }, true);
      isolate += OTHER_ISOLATE;
      return wanted;
    });
  }
  if (place.directory !== undefined) {
    mkdirSync(place.directory, { recursive: true, mode: 0o700 });
    return createInDirectory(place.directory, names, options, place);
  }
  const uid = userId() ?? undefined;
  const places = { userTempDirectory, ...place.places };
  const directory = ensureDefaultDirectory(uid, places);
  const spare = spareDirectory(uid ?? 0, places);
  if (spare === null) return createInDirectory(directory, names, options, place);
  let reason = "has little room";
  if (!fittingSizes(directory, options, freeBytes(directory)).isTight) {
    try {
      return createInDirectory(directory, names, options, place);
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
      reason = "is full";
    }
  }
  try {
    const file = createInDirectory(ensureDirectory(spare, uid), names, options, place);
    place.onNote?.(
      `${directory} ${reason}: telemetry goes to ${spare}, where a collector without paths looks, ` +
        `too. Give /dev/shm more room (--shm-size), or set OTLP_MMAP_DIR on both sides`,
    );
    return file;
  } catch {
    // What there is of the first choice may still do.
    return createInDirectory(directory, names, options, place);
  }
}

function createInDirectory(
  directory: string,
  names: FileIdentity,
  options: FileOptions,
  place: Place,
): FileWriter {
  const path = join(directory, fileName(names));
  const file = createFitting(path, options, place);
  // Taken: a thread number that another Worker had before. Its file may still be undrained.
  let { isolate } = names;
  return publish(file, path, () => {
    isolate += OTHER_ISOLATE;
    return join(directory, fileName({ ...names, isolate }));
  });
}

/** Added to a thread's number where the name with it is taken: more than any system gives out. */
const OTHER_ISOLATE = 0x400000;
/** Names that are tried: these numbers fit 31 bits. An SDK may be started often before a collector is. */
const MAX_NAMES = 500;

/** Makes a file with rings that suit the room there is. */
function createFitting(path: string, options: FileOptions, { onNote }: Place): FileWriter {
  const directory = dirname(path);
  const free = freeBytes(directory);
  const { sizes, halves, bytes } = fittingSizes(path, options, free);
  const file = FileWriter.create(path, { ...options, ...sizes });
  if (halves > 0) {
    onNote?.(
      `${directory} has ${megabytes(free)} free: rings have 1/${
        2 ** halves
      } of their usual slots ` +
        `(${megabytes(bytes)} in all). More room there (--shm-size), another place ` +
        `(OTLP_MMAP_DIR), or sizes of your own (OTLP_MMAP_SPANS_SLOTS and its like) change that`,
    );
  }
  return file;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Publishes under `path`, or under what `other` says as long as that is taken, too. */
function publish(file: FileWriter, path: string, other: () => string): FileWriter {
  try {
    for (let tries = 0;; tries++) {
      try {
        file.mapping.publish(path);
        return file;
      } catch (error) {
        if (codeOf(error) !== "EEXIST" || tries === MAX_NAMES) throw error;
        path = other();
      }
    }
  } catch (error) {
    file.mapping.discard();
    file.close();
    throw error;
  }
}

/**
 * Moves a dead owner's file at `path` out of the way, under a name the collector finds. False when
 * its owner lives. Whoever holds the lock of the old file may rename or remove it, so of two
 * processes that start at once only one does, and neither can hit the other's new file.
 */
export function setAside(path: string): boolean {
  let old: Mapping | undefined;
  try {
    old = Mapping.open(path);
    for (let tries = 0; !old.lock(); tries++) {
      // A reader that asks whether the owner lives holds a shared lock for a moment; who shares it
      // with that reader knows that nobody has it for good.
      if (tries === 100 || isLocked(path)) return false;
    }
    // Somebody else set it aside before we had the lock.
    if (!old.isAtPath(path)) return true;
    const ours = hasExtension(old.u8.subarray(0, old.size));
    const locks = ours && old.i32[EXT_OWNER_LOCKS >> 2] === 1;
    // A writer that takes no lock lives as long as it has the file mapped.
    if (!locks && (mappedBy(path) ?? [process.pid, 0]).length > 1) return false;
    const uid = ours ? old.u8.slice(EXT_FILE_UID, EXT_FILE_UID + UID_BYTES) : randomBytes(4);
    renameSync(path, leftoverName(path, Buffer.from(uid).toString("hex")));
    return true;
  } catch (error) {
    // Gone in the meantime: the name is free.
    if (codeOf(error) === "ENOENT") return true;
    throw error;
  } finally {
    old?.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}
