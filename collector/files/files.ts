/**
 * The files that are followed and the processes they belong to: found, opened, asked whether their
 * owner lives, closed, removed.
 *
 * @module
 */
import { descriptorLimit, SystemError } from "../../ffi/mod.ts";
import { FormatError, holdsGeometry } from "../../lib/file/geometry.ts";
import { readLoss } from "../../lib/file/extension.ts";
import { inodeOf } from "../../lib/file/inode.ts";
import { addLedgers, readLedger, type RingLedger } from "../../lib/file/ledger.ts";
import { ownerState } from "../../lib/file/owner.ts";
import { LEFTOVER_SUFFIX } from "../../lib/file/places.ts";
import { LOSS_NAMES, RING_NAMES } from "../../lib/format/layout.ts";
import type { Assembler } from "../../lib/otlp/assemble.ts";
import { PairList, type ProcessState } from "../../lib/otlp/source.ts";
import type { Candidate, Scan } from "./discover.ts";
import { claimedTo } from "../pipeline/drain.ts";
import {
  beat,
  closeFile,
  type FollowedFile,
  type FollowedProcess,
  openFile,
  type Resumed,
} from "./follow.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import { createProblems, type Log, type Problems } from "../send/problems.ts";
import { printable } from "../text/text.ts";
import { removeAbandoned } from "./abandoned.ts";
import { describePowerLoss } from "./power.ts";
import { explainOpenFailure, isShortage, Watchlist } from "./watchlist.ts";

/** A file that could not be removed is tried again after this, milliseconds. */
const RETIRE_AGAIN_MS = 1000;
/** Descriptors of a file that is followed: its own, and that of its lock. */
const DESCRIPTORS = 2;
/** Descriptors for all the rest: connections, the runtime, asking after owners. */
const OTHER_DESCRIPTORS = 64;

/** How files are followed. */
export interface FilesOptions {
  /** Looks for files. */
  readonly scan: () => Scan;
  /** Take what is there, and end. */
  readonly once: boolean;
  /** Don't remove drained files of dead owners. */
  readonly keep: boolean;
  /** Read files of other users, wherever they are. Default: see `ownership.ts`. */
  readonly otherUsers?: boolean;
  readonly log: Log;
  /** Called with each file before anything of it is taken. */
  readonly onOpen?: (file: FollowedFile) => void;
  /** Called with each file before it is closed. */
  readonly onClose?: (file: FollowedFile) => void;
  /** Descriptors that this process may have open; by default what the system says. */
  readonly descriptors?: number;
}

/** Knows the files of earlier runs, and is told of what comes and goes (collector/journal/). */
export interface FilesJournal {
  /** What an earlier run knew of the file with an identity. */
  resume(identity: string): Resumed | null;
  /** A process was added. */
  processAdded(process: FollowedProcess): void;
  /** A file was opened. */
  opened(file: FollowedFile): void;
  /** A file is closed, and not opened again. */
  closedFile(number: number): void;
}

/** What was found in the files that are closed. */
export interface Ledger {
  /** By ring: records taken or passed, and how many of these were torn or unreadable. */
  readonly rings: readonly { taken: number; torn: number; unreadable: number }[];
  /** How often each reason for the latter was met. */
  readonly reasons: Map<string, number>;
  /** By ring and reason (`LOSS_*`): what their writers counted as lost. */
  readonly losses: readonly number[][];
  /** By ring: over the life of the files that count; none where no file did. */
  readonly life: (RingLedger | undefined)[];
  /** By ring: records that were given back, and that a damaged journal of an earlier run had alone. */
  readonly forgotten: number[];
}

/** One in which nothing was counted yet. */
export function createLedger(): Ledger {
  return {
    rings: RING_NAMES.map(() => ({ taken: 0, torn: 0, unreadable: 0 })),
    reasons: new Map(),
    losses: RING_NAMES.map(() => LOSS_NAMES.map(() => 0)),
    life: [],
    forgotten: RING_NAMES.map(() => 0),
  };
}

/** What a damaged journal has cost, null where that is nothing. */
export function describeForgotten({ forgotten }: Ledger): string | null {
  const all = RING_NAMES.flatMap((name, ring) =>
    forgotten[ring] > 0 ? [`${forgotten[ring]} of the ${name} rings`] : []
  );
  return all.length === 0
    ? null
    : `records that only the damaged journal had, lost but for what was sent of them: ${
      all.join(", ")
    }`;
}

/** All files and processes. */
export class Files {
  readonly processes = new Map<string, FollowedProcess>();
  readonly watchlist: Watchlist;
  readonly ledger: Ledger = createLedger();
  /** Files opened so far. */
  opened = 0;
  /** What this says the program should end with. */
  exitCode = 0;
  /** The last look found more than can be open at a time. */
  waiting = false;
  /** How long the last look took, without opening what it found, milliseconds. */
  lookTook = 0;
  /** The last look opened everything that can be. */
  whole = false;
  /** The number of the next file. */
  nextId = 1;
  private journal: FilesJournal | null = null;
  /** Followed files that outlast a loss of power: asked for in every turn, of however many files. */
  private synced = 0;

  private readonly options: FilesOptions;
  private readonly assembler: Assembler;
  private readonly onProcess: (process: FollowedProcess) => void;
  private readonly followed = new Map<string, FollowedFile>();
  private readonly byInode = new Map<string, FollowedFile>();
  /** By index of the assembler's. */
  private readonly indexed: (FollowedProcess | undefined)[] = [];
  /** Files that are open at a time at most. */
  private readonly capacity: number;
  private readonly crowding: Problems;
  private readonly asking: Problems;

  /** @param onProcess Called for each process that is new. */
  constructor(
    options: FilesOptions,
    assembler: Assembler,
    onProcess: (process: FollowedProcess) => void,
  ) {
    this.options = options;
    this.assembler = assembler;
    this.onProcess = onProcess;
    this.watchlist = new Watchlist(options.once, options.log);
    const limit = options.descriptors ?? descriptorLimit();
    this.capacity = Math.max(1, Math.floor((limit - OTHER_DESCRIPTORS) / DESCRIPTORS));
    this.crowding = createProblems(options.log, () => performance.now());
    this.asking = createProblems(options.log, () => performance.now());
  }

  /** From now on what comes and goes is kept there, and what an earlier run knew is taken from there. */
  keepIn(journal: FilesJournal): void {
    this.journal = journal;
  }

  /** Looks for files and opens the new ones. Returns what was found. */
  scan(now: number): Scan {
    const found = this.options.scan();
    this.lookTook = performance.now() - now;
    for (const transient of found.transients) removeAbandoned(transient);
    if (this.options.once) {
      for (const path of found.missing) {
        this.options.log("error", `${printable(path)}: there is no such file`);
        this.exitCode = 2;
      }
      if (found.refused.length > 0) this.exitCode = 2;
    }
    this.watchlist.begin(found);
    this.waiting = false;
    let shortage: Error | null = null;
    for (const candidate of found.files) {
      if (this.followed.has(candidate.path)) continue;
      if (this.followed.size >= this.capacity) {
        this.waiting = this.watchlist.isWorthTrying(candidate.path);
        if (this.waiting) break;
        continue;
      }
      shortage = this.tryOpen(candidate, now);
      // The next one would not be opened either.
      if (shortage !== null) break;
    }
    if (this.waiting) {
      this.crowding.report(
        "capacity",
        "warn",
        `${this.capacity} files are read, and no more can be open at a time: others wait until ` +
          "some are done; raise the limit (ulimit -n)",
      );
    } else if (shortage !== null) {
      this.crowding.report("shortage", "warn", `no more files are read now: ${shortage.message}`);
    } else this.crowding.recovered(() => "all files are read again");
    this.whole = !this.waiting && shortage === null;
    this.noteFaults();
    return found;
  }

  /** Takes what the watchlist knows into the exit code. */
  noteFaults(): void {
    if (this.watchlist.namedFault) this.exitCode = 2;
    else if (this.watchlist.inUse && this.options.once) this.exitCode = this.exitCode || 1;
  }

  /** Opens a file, or remembers why not. Returns what the whole collector is short of. */
  private tryOpen(candidate: Candidate, now: number): Error | null {
    const { path, named } = candidate;
    if (!this.watchlist.isWorthTrying(path)) return null;
    try {
      const known = this.byInode.get(inodeOf(path));
      if (known !== undefined) {
        // The same file under another name: set aside, or linked twice.
        if (!known.file.mapping.isAtPath(known.path)) this.rename(known, path);
        return null;
      }
      const { assembler, options } = this;
      const opened = openFile(
        this.nextId++,
        path,
        named,
        options.otherUsers ?? false,
        options.once,
        assembler,
        (uid) => this.findProcess(uid),
        (identity) => this.journal?.resume(identity) ?? null,
      );
      if ("followed" in opened) {
        this.followed.set(path, opened.followed);
        this.byInode.set(opened.followed.inode, opened.followed);
        this.opened++;
        if (opened.followed.isSynced) this.synced++;
        options.onOpen?.(opened.followed);
        this.journal?.opened(opened.followed);
        // What the dead left is given back when it was delivered, and not when it was taken. (A writer
        // without a lock is asked after when it is quiet: not to be seen is not to be dead.)
        if (!options.once && opened.followed.extension !== null) {
          this.askOwner(opened.followed, now);
        }
        this.watchlist.opened(path);
        options.log("debug", `${printable(path)}: opened`);
        const { extension, file, geometry } = opened.followed;
        const powerLoss = extension === null ? null : describePowerLoss(file, geometry);
        if (powerLoss !== null) options.log("warn", `${printable(path)}: ${powerLoss}`);
      } else if ("unfinished" in opened) {
        this.watchlist.unfinishedFile(path, named, opened.unfinished, now);
      } else if ("foreign" in opened) {
        this.watchlist.foreignFile(path, named, opened.foreign);
      } else {
        this.watchlist.heldFile(path, opened.heldBy);
      }
    } catch (error) {
      if (error instanceof FormatError) this.watchlist.faulty(path, named, error.message);
      else if (error instanceof SystemError || isNodeError(error)) {
        if (isShortage(error)) return error;
        const message = explainOpenFailure(path, error);
        if (message !== null) this.watchlist.unreadable(path, named, message);
      } else throw error;
    }
    return null;
  }

  /** Some outlast a loss of power. */
  get someSynced(): boolean {
    return this.synced > 0;
  }

  private rename(file: FollowedFile, path: string): void {
    this.followed.delete(file.path);
    file.path = path;
    this.followed.set(path, file);
  }

  private findProcess(uid: string | null): FollowedProcess {
    const key = uid ?? `file ${this.nextId}`;
    const known = this.processes.get(key);
    if (known !== undefined && !known.over) return known;
    const process = this.addProcess(key, this.assembler.addProcess());
    this.onProcess(process);
    this.journal?.processAdded(process);
    return process;
  }

  /** Adds a process that the assembler knows. */
  addProcess(key: string, state: ProcessState): FollowedProcess {
    const before = this.processes.get(key);
    if (before !== undefined) {
      // It goes on after all, in a file that was not there yet; what it had is on its way.
      this.processes.delete(key);
      before.key = `${key} until ${state.index} came`;
      this.processes.set(before.key, before);
    }
    const process: FollowedProcess = {
      state,
      files: [],
      waiting: new PairList(),
      key,
      unanswered: 0,
      undelivered: forEachSignal(() => 0),
      collectedAt: 0n,
      over: false,
      isSafe: false,
      hadSynced: false,
      missing: 0,
    };
    this.processes.set(key, process);
    this.indexed[state.index] = process;
    return process;
  }

  /** The process with an index of the assembler's. */
  byIndex(index: number): FollowedProcess {
    const process = this.indexed[index];
    if (process === undefined) throw new Error(`there is no process ${index}`);
    return process;
  }

  /** Knows nothing of a process any more. */
  forget(process: FollowedProcess): void {
    this.processes.delete(process.key);
    this.indexed[process.state.index] = undefined;
  }

  /** From the next round on, a process comes after all others. */
  putLast(process: FollowedProcess): void {
    this.processes.delete(process.key);
    this.processes.set(process.key, process);
  }

  /** Finds out whose owner is gone. */
  askOwners(now: number): void {
    const { once } = this.options;
    let failed = false;
    for (const file of this.followed.values()) {
      if (file.owner !== "writing") continue;
      // Who maps a file is costly to find out, and somebody who writes is alive.
      const taken = file.drain.rings.reduce((sum, ring) => sum + ring.taken, 0);
      const quiet = taken === file.seen;
      file.seen = taken;
      if (file.extension === null && !quiet && !once) continue;
      if (!this.askOwner(file, now)) failed = true;
    }
    if (!failed) this.asking.recovered(() => "it is known again which owners live");
  }

  /** False where it can't be known now. */
  private askOwner(file: FollowedFile, now: number): boolean {
    const { once } = this.options;
    try {
      file.owner = once && file.extension === null
        ? "dead"
        : ownerState(file.path, file.file, file.extension, file.geometry.timeUnixNano);
    } catch (error) {
      // Its directory may have gone or been closed to us in between: its owner may live.
      if (!(error instanceof SystemError)) throw error;
      const message = `not known whether its owner lives: ${error.message}`;
      this.asking.report(error.code, "warn", message);
      return false;
    }
    if (file.owner === "writing") return true;
    file.closed = true;
    // A file made anew in place has other records now than the ones that were claimed.
    file.drain.over = file.owner !== "replaced";
    file.supersededSince = now;
    // What was claimed until the owner was gone is to be taken as well.
    if (once) file.limits = file.limits.map((_, ring) => claimedTo(file.drain, ring));
    return true;
  }

  /** Tells every writer that somebody reads, and gives up files that were truncated or overwritten. */
  look(): void {
    for (const file of this.followed.values()) {
      if (isSound(file)) {
        if (file.attached) beat(file);
        continue;
      }
      const what = "the file was truncated or overwritten while it was read; it is given up";
      this.options.log("error", `${printable(file.path)}: ${what}`);
      this.abandon(file);
      this.watchlist.finished(file.path, false);
    }
  }

  /**
   * Closes a file that is read to its end, and removes it if that is ours to do. Stays as it is when
   * its owner still looks at it.
   */
  retire(file: FollowedFile): void {
    if (performance.now() < file.retireAfter) return;
    const remove = this.mayRemove(file);
    // Held until the name is gone, so that no writer who wants the name can get it in between.
    if (remove && !this.options.once && !file.file.mapping.lock()) {
      file.retireAfter = performance.now() + RETIRE_AGAIN_MS;
      return;
    }
    this.close(file, remove && (!this.options.once || file.file.mapping.lock()));
  }

  private mayRemove(file: FollowedFile): boolean {
    // Files of other writers are theirs to reuse.
    if (this.options.keep || file.extension === null || file.owner === "replaced") return false;
    return !file.named || file.path.endsWith(LEFTOVER_SUFFIX);
  }

  /** Stops reading a file without touching its memory, which may not be there any more. */
  private abandon(file: FollowedFile): void {
    this.journal?.closedFile(file.drain.source.file);
    this.count(file);
    file.file.close();
    file.lock.release();
  }

  private count(file: FollowedFile): void {
    const { drain, process, path } = file;
    const { rings, reasons } = this.ledger;
    for (let ring = 0; ring < drain.rings.length; ring++) {
      rings[ring].taken += drain.rings[ring].taken;
      rings[ring].torn += drain.torn[ring];
      rings[ring].unreadable += drain.rejected[ring];
    }
    for (const [reason, count] of drain.reasons) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    }
    process.files.splice(process.files.indexOf(file), 1);
    // What continues it waits for nothing any more, and must not keep it: a process may go on for good.
    for (const each of process.files) if (each.older === file) each.older = null;
    this.followed.delete(path);
    if (file.isSynced) this.synced--;
    this.byInode.delete(file.inode);
  }

  /** Closes a file, with `remove` for good; otherwise it is not opened again as it is. */
  close(file: FollowedFile, remove: boolean): void {
    this.options.onClose?.(file);
    this.journal?.closedFile(file.drain.source.file);
    this.count(file);
    this.ledger.losses.forEach((losses, ring) => {
      for (let reason = 0; reason < losses.length; reason++) {
        losses[reason] += lossOf(file, ring, reason);
      }
    });
    if (file.extension !== null) {
      const { life } = this.ledger;
      for (const geometry of file.geometry.rings) {
        const ledger = readLedger(file.file, geometry);
        const { ring } = geometry;
        life[ring] = life[ring] === undefined ? ledger : addLedgers(life[ring], ledger);
      }
    }
    try {
      closeFile(file, remove);
    } catch (error) {
      this.options.log("warn", `${printable(file.path)}: ${(error as Error).message}`);
    }
    this.options.log("debug", `${printable(file.path)}: closed${remove ? " and removed" : ""}`);
    if (!remove) this.watchlist.finished(file.path, file.owner === "replaced");
  }
}

/**
 * Is the file still what was opened? One that became shorter and long again since has only zeros where
 * there was something; other writers may make theirs anew in place.
 */
function isSound({ file, geometry, extension }: FollowedFile): boolean {
  if (file.faulted || file.mapping.refresh() < geometry.dictionary) return false;
  return extension === null || holdsGeometry(file.u8, geometry);
}

/** Records that a file's writer counted as lost, by `RING_*` and `LOSS_*`; 0 where it counts none. */
export function lossOf({ extension, file }: FollowedFile, ring: number, reason: number): number {
  return extension === null ? 0 : readLoss(file, ring, reason);
}

/** True when a file that continues this one is there. */
export function hasSuccessor(file: FollowedFile): boolean {
  return file.process.files.some(({ older }) => older === file);
}

function isNodeError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string";
}
