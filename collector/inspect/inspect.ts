/**
 * All that can be said about one file, without changing it.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { isLocked, mappedBy, processIsAlive, runtime } from "../../ffi/mod.ts";
import {
  type Extension,
  readExtension,
  readHeartbeat,
  readLoss,
  readReaderPid,
  readState,
} from "../../lib/file/extension.ts";
import type { Geometry } from "../../lib/file/geometry.ts";
import { readLedger, type RingLedger } from "../../lib/file/ledger.ts";
import { READER_SUFFIX } from "../../lib/file/places.ts";
import {
  HEADER_VERSION,
  LOSS_NAMES,
  RING_NAMES,
  STATE_CLEAN,
  STATE_OPEN,
  STATE_SUPERSEDED,
} from "../../lib/format/layout.ts";
import { READER_SILENT_NS } from "../../lib/file/attached.ts";
import { printable } from "../text/text.ts";
import { describePowerLoss } from "../files/power.ts";
import {
  type DictionaryContents,
  readDictionary,
  readRings,
  type RingContents,
} from "./contents.ts";
import { type FileImage, readImage } from "./image.ts";
import { explainUnreadable } from "./unreadable.ts";
import { judge } from "./verdict.ts";

/** The process that writes, or wrote, a file. */
export interface OwnerFacts {
  /** `alive`; `clean`: shut down in order; `superseded`: goes on in its next file; `dead`. */
  readonly state: "alive" | "clean" | "superseded" | "dead" | "unknown";
  /** Why the state is unknown. */
  readonly unknownBecause?: string;
  /** null where nothing says so. */
  readonly pid: number | null;
  readonly runtime: "deno" | "bun" | null;
  /** When the process started, ns since the Unix epoch; null where nothing says so. */
  readonly startTimeUnixNano: bigint | null;
}

/** The process that reads a file. */
export interface ReaderFacts {
  readonly pid: number | null;
  /** It is there now. */
  readonly attached: boolean;
  /** Since it last looked, milliseconds; null where nothing says so. */
  readonly silentMs: number | null;
}

/** Records that were refused or cut. */
export interface LossFacts {
  readonly ring: (typeof RING_NAMES)[number];
  readonly reason: (typeof LOSS_NAMES)[number];
  readonly records: number;
}

/** What is in a file that can be read. */
export interface FileFacts {
  readonly version: number;
  readonly sizeBytes: number;
  /** What our writers add; null in files of others. */
  readonly extension: Extension | null;
  readonly owner: OwnerFacts;
  /** When the file was made, ns since the Unix epoch. */
  readonly startTimeUnixNano: bigint;
  readonly rings: readonly RingContents[];
  /** By ring; null in files of other writers. */
  readonly ledger: readonly RingLedger[] | null;
  readonly losses: readonly LossFacts[];
  readonly dictionary: DictionaryContents;
  /** What a loss of power has cost it; null where there was none. */
  readonly powerLoss: string | null;
  /** null when nobody reads it, and nobody left in the middle of reading it. */
  readonly reader: ReaderFacts | null;
}

/** What is said about a file. */
export interface Inspection {
  readonly path: string;
  readonly verdict: "healthy" | "wrong" | "unreadable";
  /** What is wrong and what to do about it. None when it is healthy. */
  readonly problems: readonly string[];
  /** What is worth knowing and needs nobody to act. */
  readonly notes: readonly string[];
  /** null when it is unreadable. */
  readonly facts: FileFacts | null;
}

/**
 * Looks at a file. Never throws for what is in it or for what it is, and never changes it: asking
 * who holds a lock is all that touches it.
 *
 * @param now ms since the Unix epoch.
 */
export function inspect(path: string, now: number = Date.now()): Inspection {
  const unreadable = (problem: string): Inspection => {
    return { path, verdict: "unreadable", problems: [problem], notes: [], facts: null };
  };
  try {
    const image = readImage(path);
    const { geometry } = image;
    if (!("rings" in geometry)) {
      const held = runtime.supported && (isLocked(path) || (mappedBy(path)?.length ?? 0) > 0);
      return unreadable(explainUnreadable(path, geometry, image, held, now));
    }
    const facts = factsOf(path, image, geometry, now);
    const { problems, notes } = judge(path, facts);
    return { path, verdict: problems.length === 0 ? "healthy" : "wrong", problems, notes, facts };
  } catch (error) {
    return unreadable(explainUnreadable(path, error as Error));
  }
}

/**
 * What an inspection says of a file that could not be read, named: it may be one that nobody will finish.
 *
 * @param fault What was wrong with it, for when nothing is any more.
 */
export function explainFault(path: string, fault: string): string {
  const { verdict, problems } = inspect(path);
  return `${printable(path)}: ${verdict === "unreadable" ? problems[0] : fault}`;
}

function factsOf(path: string, image: FileImage, geometry: Geometry, now: number): FileFacts {
  const extension = readExtension(image, geometry.rings[0].offset);
  const numbers = RING_NAMES.map((_, ring) => ring);
  return {
    version: Number(image.i64[HEADER_VERSION >> 3]),
    sizeBytes: image.size,
    extension,
    // Asked after the image was taken: what a dead owner wrote is in it.
    owner: ownerOf(path, image, extension),
    startTimeUnixNano: geometry.timeUnixNano,
    rings: readRings(image, geometry),
    ledger: extension === null ? null : geometry.rings.map((ring) => readLedger(image, ring)),
    losses: extension === null
      ? []
      : numbers.flatMap((ring) =>
        LOSS_NAMES.flatMap((reason, number) => {
          const records = readLoss(image, ring, number);
          return records === 0 ? [] : [{ ring: RING_NAMES[ring], reason, records }];
        })
      ),
    dictionary: readDictionary(image, geometry),
    powerLoss: extension === null ? null : describePowerLoss(image, geometry),
    reader: readerOf(path, image, extension, now),
  };
}

function ownerOf(path: string, image: FileImage, extension: Extension | null): OwnerFacts {
  if (extension === null) {
    const none = { pid: null, runtime: null, startTimeUnixNano: null };
    if (!runtime.supported) return { state: "unknown", unknownBecause: runtime.reason, ...none };
    const pids = mappedBy(path);
    if (pids === null) {
      const unknownBecause = "who has the file mapped can't be seen from here";
      return { state: "unknown", unknownBecause, ...none };
    }
    return { state: pids.length > 0 ? "alive" : "dead", ...none, pid: pids[0] ?? null };
  }
  return {
    ...ownerState(path, image, extension),
    pid: extension.ownerPid,
    runtime: ([null, "deno", "bun"] as const)[extension.runtime] ?? null,
    startTimeUnixNano: extension.ownerStartTime,
  };
}

function ownerState(
  path: string,
  image: FileImage,
  extension: Extension,
): Pick<OwnerFacts, "state" | "unknownBecause"> {
  switch (readState(image)) {
    case STATE_CLEAN:
      return { state: "clean" };
    case STATE_SUPERSEDED:
      return { state: "superseded" };
    case STATE_OPEN:
      break;
    default:
      return {
        state: "unknown",
        unknownBecause: `its state is ${readState(image)}, which means nothing`,
      };
  }
  if (!runtime.supported) return { state: "unknown", unknownBecause: runtime.reason };
  const held = extension.ownerLocks ? isLocked(path) : mappedBy(path)?.includes(extension.ownerPid);
  if (held === undefined) {
    return { state: "unknown", unknownBecause: "who has the file mapped can't be seen from here" };
  }
  return { state: held ? "alive" : "dead" };
}

function readerOf(
  path: string,
  image: FileImage,
  extension: Extension | null,
  now: number,
): ReaderFacts | null {
  const lock = path + READER_SUFFIX;
  const locked = existsSync(lock) && runtime.supported && isLockedFile(lock);
  const pid = extension === null ? 0 : readReaderPid(image);
  const silentMs = pid === 0 ? null : now - Number(readHeartbeat(image) / 1_000_000n);
  if (locked) return { pid: pidIn(lock) ?? (pid === 0 ? null : pid), attached: true, silentMs };
  if (pid === 0) return null;
  // The lock of a file that was set aside while it is read has another name.
  const recent = silentMs !== null && silentMs < Number(READER_SILENT_NS / 1_000_000n);
  const attached = recent && (!runtime.supported || processIsAlive(pid));
  return { pid, attached, silentMs };
}

function isLockedFile(path: string): boolean {
  try {
    return isLocked(path);
  } catch {
    // Gone since, or somebody else's: then the extension block has to do.
    return false;
  }
}

function pidIn(path: string): number | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
  } catch {
    return null;
  }
}
