/**
 * Follows files without being their reader: copies what is new in them, again and again, and gives
 * nothing back. What is written over before it was copied is missed, and counted.
 *
 * @module
 */
import { FormatError } from "../../lib/file/geometry.ts";
import { inodeAt } from "../../lib/file/inode.ts";
import type { OwnerState } from "../../lib/file/owner.ts";
import { RING_NAMES } from "../../lib/format/layout.ts";
import { ownerOf, whyOpen } from "../files/copied-owner.ts";
import { FileCopy } from "../files/copy.ts";
import type { Scan } from "../files/discover.ts";
import { explainFault } from "../inspect/inspect.ts";
import { isDrained } from "../pipeline/drain.ts";
import type { Log } from "../send/problems.ts";
import type { ReadFile, ReadOut, ReadProcess } from "../files/readout.ts";
import { plural, printable } from "../text/text.ts";

/** A file in the state `superseded` without a next one: its process is taken to be over, ms. */
const SUCCESSOR_MS = 5000;
/** Losses are said at most this often, ms. */
const SAY_MS = 1000;
/** A ring that is this full, of 1, and is not read: its writer begins to refuse records. */
const FULL = 7 / 8;

interface Watched {
  readonly copy: FileCopy;
  readonly file: ReadFile;
  owner: OwnerState;
  /** When it was first found superseded, ms. */
  supersededSince: number;
  saidFull: boolean;
}

interface WatchedProcess {
  readonly process: ReadProcess;
  readonly files: Watched[];
}

/** How to watch. */
export interface WatchOptions {
  readonly scan: () => Scan;
  readonly reading: ReadOut;
  readonly log: Log;
  /** Take also what the files hold already, also those whose owner is gone. */
  readonly all: boolean;
}

/** The files that are watched. */
export class Watch {
  private readonly options: WatchOptions;
  private readonly processes = new Map<string, WatchedProcess>();
  /** Inodes that are watched, or are not to be opened (again). */
  private readonly known = new Set<string>();
  private readonly faults = new Map<string, number>();
  private isFirst = true;
  private missed: number[] = RING_NAMES.map(() => 0);
  private saidAt = -Infinity;

  /** @param options See WatchOptions. */
  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** Looks for files. Those that are there at the first look are old, all others are new. */
  scan(): void {
    const found = new Set<string>();
    for (const { path } of this.options.scan().files) {
      const inode = inodeAt(path);
      if (inode === null) continue;
      found.add(inode);
      if (!this.known.has(inode)) this.open(path, inode);
    }
    for (const { files } of this.processes.values()) {
      for (const { copy } of files) found.add(copy.inode);
    }
    // Numbers of inodes are used again.
    for (const inode of this.known) if (!found.has(inode)) this.known.delete(inode);
    this.isFirst = false;
  }

  /** Takes what is new. Returns how many records that was. */
  take(now: number): number {
    const { reading } = this.options;
    let count = 0;
    for (const { process, files } of this.processes.values()) {
      const before = countOf(files);
      reading.take(process);
      count += countOf(files) - before;
      for (const watched of files) this.noteFull(watched);
    }
    this.sayMissed(now);
    return count;
  }

  /** Finds out whose owner is gone, and takes the last of what it wrote. */
  askOwners(now: number): void {
    const { reading } = this.options;
    for (const [key, { process, files }] of this.processes) {
      for (const watched of files) {
        if (watched.owner !== "writing") continue;
        watched.owner = ownerOf(watched.copy);
        watched.supersededSince = now;
      }
      reading.take(process);
      const isOver = files.every(({ owner, supersededSince }) =>
        owner !== "writing" && (owner !== "superseded" || now - supersededSince > SUCCESSOR_MS)
      );
      if (isOver) {
        reading.finish(process, whyOpen(files.map(({ owner }) => owner)));
        this.processes.delete(key);
        // One that was made anew in place is another file under the same number.
        for (const { copy, owner } of files) {
          if (owner === "replaced") this.known.delete(copy.inode);
        }
        continue;
      }
      for (const watched of files.filter(({ owner }) => owner === "superseded")) {
        const { drain } = watched.file;
        if (files.length === 1 || !drain.rings.every((_, ring) => isDrained(drain, ring))) continue;
        reading.drop(process, watched.file);
        files.splice(files.indexOf(watched), 1);
      }
    }
  }

  /** Sends the points of all processes. */
  collect(): void {
    for (const { process } of this.processes.values()) {
      this.options.reading.requests.collect(process);
    }
  }

  private open(path: string, inode: string): void {
    const { reading, all, log } = this.options;
    let copy: FileCopy;
    try {
      copy = FileCopy.open(path);
    } catch (error) {
      const isFault = error instanceof FormatError;
      if (!isFault && typeof (error as { code?: unknown }).code !== "string") throw error;
      // It may be in the making: it is tried again, and said the second time.
      if (this.faults.get(path) === 1) {
        const { message } = error as Error;
        log("warn", `skipped: ${isFault ? explainFault(path, error.reason) : printable(message)}`);
      }
      this.faults.set(path, (this.faults.get(path) ?? 0) + 1);
      return;
    }
    this.faults.delete(path);
    this.known.add(inode);
    const owner = ownerOf(copy);
    const isOld = this.isFirst && !all;
    if (isOld && owner !== "writing" && owner !== "superseded") {
      copy.close();
      return;
    }
    const key = copy.extension?.processUid ?? inode;
    const known = this.processes.get(key) ?? { process: reading.addProcess(), files: [] };
    this.processes.set(key, known);
    // The starts of spans that are open now are among what was read, and of a new file a collector may
    // have been the first to read.
    const file = reading.addFile(known.process, copy, copy, true);
    known.files.push({ copy, file, owner: "writing", supersededSince: 0, saidFull: false });
  }

  private sayMissed(now: number): void {
    if (now - this.saidAt < SAY_MS) return;
    const { reading: { missed }, log } = this.options;
    missed.forEach((count, ring) => {
      const more = count - this.missed[ring];
      if (more === 0) return;
      log(
        "warn",
        `missed ${plural(more, "record")} of the ${RING_NAMES[ring]} rings: written too fast`,
      );
      this.saidAt = now;
    });
    this.missed = [...missed];
  }

  private noteFull(watched: Watched): void {
    const { copy, owner } = watched;
    if (watched.saidFull || owner !== "writing") return;
    for (const { ring, slots } of copy.geometry.rings) {
      if (copy.unread(ring) < slots * FULL) continue;
      watched.saidFull = true;
      this.options.log(
        "warn",
        `${printable(copy.path)}: no collector takes records out of it, and its ` +
          `${RING_NAMES[ring]} ring is all but full: no more is recorded then`,
      );
      return;
    }
  }
}

function countOf(files: readonly Watched[]): number {
  let count = 0;
  for (const { file: { drain } } of files) for (const ring of drain.rings) count += ring.taken;
  return count;
}
