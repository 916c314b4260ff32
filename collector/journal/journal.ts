/**
 * The journal of a collector: everything it takes out of rings is written down before the slots are
 * given back, and whatever makes requests before these are given away. A collector that is killed at
 * any moment goes on where it was: what it had taken is done again from the journal, up to the
 * requests that are stored already, and the rest is still in the rings.
 *
 * The order is: take records and make requests; write the block (`flush`); give requests to who
 * stores them (`give`); release the slots. Killed before the block is whole, nothing was given back.
 * Killed after it, requests are made again, and the mark of the last one that is stored says which
 * of them nobody needs.
 *
 * That holds when this process ends. Files of applications that outlast a loss of power have more: their
 * slots are released when the block is on the disk, and blocks are removed, as are files, when what was
 * stored of them is.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileSizeLimit, type HeldLock, lockFile } from "../../ffi/mod.ts";
import { inodeAt, isOpenAs } from "../../lib/file/inode.ts";
import type { AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import type { View } from "../../lib/metrics/views.ts";
import { RING_NAMES } from "../../lib/format/layout.ts";
import type { Request, Signal } from "../../lib/otlp/request.ts";
import type { RecordCopy } from "../../lib/ring/read.ts";
import { describeForgotten, type Files, type FilesJournal } from "../files/files.ts";
import type { FollowedFile, FollowedProcess, Resumed } from "../files/follow.ts";
import type { BadRecord } from "../pipeline/drain.ts";
import type { RequestJournal, Requests } from "../pipeline/requests.ts";
import { forEachSignal, SIGNALS } from "../pipeline/signals.ts";
import { createProblems, type Log, type Problems } from "../send/problems.ts";
import type { Outcome } from "../send/send.ts";
import { printable } from "../text/text.ts";
import { type Held, isSame, processEntryOf, writeCheckpoint } from "./checkpoint.ts";
import {
  entryOf,
  type JournaledFile,
  newFile,
  noteEntries,
  noteProgress,
  positionOf,
  putBad,
} from "./files.ts";
import {
  ANSWERED,
  CLOSED,
  COLLECTED,
  COUNTS,
  EMITTED,
  FILE,
  FORGOTTEN,
  HEADER_BYTES,
  ID_BYTES,
  INTERRUPTED,
  INTERRUPTION_NAMES,
  PROCESS,
  SEALED,
  SETTINGS,
  type SettingsEntry,
} from "./format.ts";
import { itemsOf, makeMark } from "./mark.ts";
import { readBlocks } from "./read.ts";
import { Replay } from "./replay.ts";
import {
  append,
  copyAside,
  createSegment,
  cutTail,
  type FoundSegment,
  LimitError,
  listSegments,
  openSegment,
  removeBefore,
  type Segment,
  segmentPath,
  setAside,
  syncSegment,
} from "./segment.ts";
import { BlockBuffer } from "./write.ts";

/** The log since the last checkpoint may have this many bytes, or this many times the checkpoint's. */
export const LOG_BYTES: number = 64 << 20;
const LOG_TIMES = 4;
/** A checkpoint that could not be written is tried again after this, milliseconds: it may be large. */
const AGAIN_MS = 5000;
/** How often is looked whether it is still where it was. */
const LOOK_MS = 1000;
/** So many bytes are written in the midst of a look at all rings. */
const HEAVY_BYTES = 1 << 20;

/** How the pipeline works, as far as a replay has to do the same. */
export interface JournalSettings {
  readonly batchSize: number;
  readonly aggregation: AggregatorOptions;
}

/** What a journal is made of. */
export interface JournalOptions {
  /** Where it is: a directory that no other collector writes to at the same time. */
  readonly directory: string;
  /** The mark of the request of a signal that was stored last, null when there is none. */
  readonly lastMark: (signal: Signal) => Uint8Array | null;
  /** Waits until all that was stored is on the disk. Throws where that failed. */
  readonly syncStored: () => void;
  /** Requests are made again of a file that outlasts a loss of power, whether it is still there or not. */
  readonly onSynced?: () => void;
  readonly log: Log;
  /** See {@linkcode LOG_BYTES}. */
  readonly logBytes?: number;
}

/** What became of a request that an earlier run has given away. */
const STORED: Outcome = { accepted: 0, rejected: 0, dropped: 0, stored: 0 };

/** What was read from the journal can't be done again. */
export class ReplayError extends Error {}

/** Opens the journal in a directory; null, with a message, where it can't be used. */
export function openJournal(options: JournalOptions): Journal | null {
  const { directory, log } = options;
  const without = "this collector has none: what it holds in memory is lost when it is killed";
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lock = lockFile(lockPath(directory));
    if (!("heldBy" in lock)) return new Journal(options, lock);
    const holder = lock.heldBy === null ? "another collector" : `process ${lock.heldBy}`;
    log("warn", `the journal in ${printable(directory)} is that of ${holder}; ${without}`);
  } catch (error) {
    const { message } = error as Error;
    log("warn", `the journal in ${printable(directory)} can't be used: ${message}; ${without}`);
  }
  return null;
}

function lockPath(directory: string): string {
  return join(directory, "lock");
}

/** One journal. */
export class Journal implements RequestJournal, FilesJournal {
  private readonly options: JournalOptions;
  private readonly problems: Problems;
  private readonly buffer = new BlockBuffer();
  /** By number: the files that are open, and those that are not found yet. */
  private readonly journaled = new Map<number, JournaledFile>();
  private readonly missing = new Map<string, JournaledFile>();
  /** Items of the requests made so far, and of those that were stored before this run. */
  private counts = forEachSignal(() => 0);
  private stored = forEachSignal(() => 0);
  /** Requests whose making is not written yet. */
  private outbox: Request[] = [];
  /** By signal, requests that were given away and are not answered: items before each. */
  private readonly pending = forEachSignal((): { request: Request; before: number }[] => []);
  /** By signal: items up to which all are answered, and how far that is written. */
  private readonly done = forEachSignal(() => 0);
  private readonly noted = forEachSignal(() => 0);
  /** How far it was when all that is stored was on the disk. */
  private readonly safe = forEachSignal(() => 0);
  private id: Uint8Array = randomBytes(ID_BYTES);
  private segment: Segment | null = null;
  private nextNumber = 1;
  private logged = 0;
  private replaying = false;
  private renewed = false;
  /** When a checkpoint may be tried again. */
  private againAt = 0;
  /** All that was flushed is on the disk. */
  isSecure = false;
  /** Since the last checkpoint: instruments that were met before have streams of other views. */
  private haveViewsChanged = false;
  /** The list that was compared last. */
  private views: readonly View[] | null = null;
  private closed = false;
  /** A part of what an earlier run wrote is lost, and it is not said yet how many records that is. */
  private isDamaged = false;
  /** The segment can't get large enough for what was done: only a checkpoint can have it. */
  isFull = false;
  /** It went on with records of files that outlast a loss of power, and that may be gone. */
  private hasSynced = false;
  /** It went on with something that an earlier run had. */
  hasResumed = false;

  private requests!: Requests;
  private files!: Files;
  private settings!: JournalSettings;
  /** As it was written last. */
  private written!: SettingsEntry;

  private lock: HeldLock;
  private lockInode: string | null;
  /** When it was looked at whether that is still where it was, ms of `performance.now()`. */
  private lookedAt = performance.now();
  /** Somebody has removed or replaced it: it is to be made again. */
  private isAway = false;
  /** Why it can't be made again; null when it is where it was. */
  problem: string | null = null;

  /**
   * @param options See JournalOptions.
   * @param lock Nobody else has the journal.
   */
  constructor(options: JournalOptions, lock: HeldLock) {
    this.options = options;
    this.lock = lock;
    this.lockInode = inodeAt(lockPath(options.directory));
    this.problems = createProblems(options.log, () => performance.now());
  }

  /**
   * Goes on where the journal ends: does everything again that the collector before has done, up to
   * its last block. To be called before anything else is done with these.
   */
  start(requests: Requests, files: Files, settings: JournalSettings): void {
    this.requests = requests;
    this.files = files;
    this.settings = settings;
    requests.keepIn(this);
    files.keepIn(this);
    const found = this.find();
    const now = settingsOf(settings);
    this.written = found?.settings ?? now;
    requests.aggregate(this.aggregation());
    if (found === null) {
      this.begin();
      return;
    }
    this.replay(found);
    requests.batchSize = settings.batchSize;
    if (!isSame(this.written, now)) this.renew(now);
  }

  /** What an aggregator is to do: during a replay as it was, afterwards as it is. */
  private aggregation(): AggregatorOptions {
    const { settings } = this;
    const journal = (): Journal => this;
    return {
      ...settings.aggregation,
      ...this.written.aggregation as Partial<AggregatorOptions>,
      get views(): readonly View[] {
        const { replaying, written } = journal();
        return replaying ? written.views as readonly View[] : settings.aggregation.views;
      },
    };
  }

  /** The newest segment that can be used. What can't is put aside. */
  private find(): FoundSegment | null {
    const { directory, log } = this.options;
    for (const number of listSegments(directory)) {
      this.nextNumber = Math.max(this.nextNumber, number + 1);
      const found = openSegment(directory, number);
      if ("fd" in found) return found;
      log("error", this.dropSegment(found, found.reason));
      this.isDamaged ||= found.isDamaged;
    }
    return null;
  }

  /** Puts a segment aside, and says so. */
  private dropSegment({ path }: { path: string }, reason: string): string {
    const to = setAside(path);
    return `the journal ${printable(path)} ${reason}: open spans and sums that only it knew are ` +
      `lost; it is kept as ${printable(to)}`;
  }

  private replay(found: FoundSegment): void {
    const { log } = this.options;
    const { files, requests } = this;
    const began = performance.now();
    this.id = found.id;
    this.stored = forEachSignal((signal) => itemsOf(found.id, this.options.lastMark(signal)));
    this.replaying = true;
    requests.batchSize = found.settings.batchSize;
    const replay = new Replay({
      requests,
      files,
      journaled: this.journaled,
      settings: (settings) => {
        this.haveViewsChanged ||= !isSame(settings, found.settings);
        this.written = settings;
        requests.batchSize = settings.batchSize;
      },
      counts: (counts) => {
        this.counts = { ...counts };
      },
      answered: (signal, items) => {
        this.stored[signal] = Math.max(this.stored[signal], items);
        this.dropWhere((request) =>
          request.signal === signal && itemsOf(this.id, request.mark!) <= items
        );
      },
      synced: () => {
        this.hasSynced = true;
        this.options.onSynced?.();
      },
      forgotten: (process) => this.forget(process),
    });
    try {
      readBlocks(found.fd, found.size, (forEach) => replay.block(forEach));
    } catch (error) {
      closeSync(found.fd);
      this.lock.release();
      throw new ReplayError(this.dropSegment(found, `can't be followed (${error})`));
    }
    this.replaying = false;
    if (found.isDamaged) this.keepDamaged(found);
    cutTail(found);
    this.segment = found;
    this.logged = found.size;
    // A spool that knows more than the journal: the machine lost what was written last. What comes
    // now is behind that.
    const isBehind = SIGNALS.some((signal) => this.counts[signal] < this.stored[signal]);
    for (const signal of SIGNALS) {
      this.counts[signal] = Math.max(this.counts[signal], this.stored[signal]);
    }
    // Else the next start would count from before, and take for stored what is not.
    if (isBehind) this.buffer.json(COUNTS, this.counts);
    for (const file of this.journaled.values()) {
      this.missing.set(file.entry.identity, file);
      file.process.missing++;
    }
    this.hasResumed = files.processes.size > 0 || this.outbox.length > 0;
    const { count } = requests.assembler.table;
    log(
      this.hasResumed ? "info" : "debug",
      `goes on from the journal: ${count} open spans and ${requests.aggregator.series} series of ` +
        `${files.processes.size} processes, read in ${Math.round(performance.now() - began)} ms`,
    );
  }

  /** The end of a segment is not followed: says so, and keeps it as it is. */
  private keepDamaged({ path, size, torn }: FoundSegment): void {
    this.isDamaged = true;
    let kept: string;
    try {
      kept = `it is kept as ${printable(copyAside(path))}`;
    } catch (error) {
      kept = `it can't be kept: ${(error as Error).message}`;
    }
    this.options.log(
      "error",
      `the journal ${
        printable(path)
      } is damaged at byte ${size}, and can't be followed from there ` +
        `to its end, ${torn} bytes: open spans and sums that only these knew are lost, and spans ` +
        `that ended there are sent as interrupted; ${kept}; check the disk`,
    );
  }

  /** Of a damaged journal: what was given back of a file, and is not in what was read. */
  private countForgotten({ drain }: FollowedFile, known: JournaledFile | undefined): void {
    const { forgotten } = this.files.ledger;
    for (const { released, given, geometry: { ring } } of drain.rings) {
      const behind = known === undefined ? given : released - known.sequences[ring];
      // Not those that its writer has discarded.
      forgotten[ring] += Math.max(0, Math.min(given, behind));
    }
  }

  /** Of a journal that ends with a whole block: what was given back after that is not in it. */
  private sayBehind({ drain, path }: FollowedFile, known: JournaledFile): void {
    const behind = drain.rings.flatMap(({ geometry: { discards, ring }, released }) => {
      const count = released - known.sequences[ring];
      // Some writers give back themselves.
      return count > 0 && !discards ? [`${count} of the ${RING_NAMES[ring]} ring`] : [];
    });
    if (behind.length === 0) return;
    this.options.log(
      "warn",
      `${printable(path)}: records were given back that are not in the journal: ${
        behind.join(", ")
      }; ` +
        "another reader had them, or the end of the journal is lost, and they are but for what was sent of them",
    );
  }

  /** Requests that were made again, and had been answered. */
  private dropWhere(isAnswered: (request: Request) => boolean): void {
    this.outbox = this.outbox.filter((request) => {
      if (!isAnswered(request)) return true;
      this.requests.answered(request, STORED);
      return false;
    });
  }

  /** A process whose requests were all answered; some may have been refused, and not be stored. */
  private forget(process: FollowedProcess): void {
    const { files, requests } = this;
    const { index } = process.state;
    this.dropWhere((request) => request.processes.includes(index));
    requests.assembler.forget(process.state);
    if (!process.over) requests.aggregator.removeProcess(index);
    requests.assembler.removeProcess(process.state);
    files.forget(process);
  }

  /** Other settings: what was done by the old ones is done, and what comes is done by these. */
  private renew(now: SettingsEntry): void {
    this.written = now;
    this.applySettings();
    // The log can't say it: the next segment does.
    this.renewed = true;
  }

  /** Items that are made, and not given away yet. */
  get unsent(): Record<Signal, number> {
    const { assembler } = this.requests;
    const unsent = { traces: assembler.spans.items, metrics: 0, logs: assembler.logs.items };
    for (const { signal, items } of this.outbox) unsent[signal] += items;
    return unsent;
  }

  /** Makes metrics what they become when they are read from a checkpoint with the settings now. */
  private applySettings(): void {
    const { requests } = this;
    const held = requests.aggregator.save();
    requests.aggregate(this.aggregation());
    requests.aggregator.restore(held, (index) => requests.assembler.scopeAt(index));
    // Streams that begin now don't have what was measured since their instruments were created.
    for (const file of this.journaled.values()) {
      file.entry = { ...file.entry, wasMeasured: true };
      if (file.followed !== null) file.followed.drain.source.wasMeasured = true;
    }
    this.haveViewsChanged = false;
  }

  /** True when something is in the way of taking more: everything is to be sealed and stored. */
  get due(): boolean {
    const { checkpoint, limit } = this.segment ?? { checkpoint: 0, limit: Infinity };
    const most = Math.max(this.options.logBytes ?? LOG_BYTES, LOG_TIMES * checkpoint);
    // As much again is for what is written until it can be made.
    return this.renewed || this.logged > Math.min(most, (limit - checkpoint) / 2);
  }

  /** True when so much is to be written that it should be. */
  get isHeavy(): boolean {
    return this.outbox.length > 0 || this.buffer.bytes > HEAVY_BYTES;
  }

  /**
   * Writes everything that was done. False when it can't be: then nothing may be given away or given
   * back, and nothing more is to be taken. Where it {@linkcode isFull}, a checkpoint may do.
   */
  flush(): boolean {
    const { buffer } = this;
    for (const file of this.journaled.values()) noteProgress(file, buffer);
    this.noteAnswered();
    if (this.segment === null) return this.begin();
    if (!this.isInPlace()) {
      // What is written comes to nothing: a checkpoint is to have it, in a directory that is made again.
      this.isFull = true;
      return false;
    }
    if (buffer.bytes === 0) return true;
    try {
      const block = buffer.block();
      append(this.segment, block);
      this.isSecure = false;
      this.logged += block.length;
    } catch (error) {
      this.isFull = (error as { code?: string }).code === "EFBIG";
      if (!this.isFull) this.report(error);
      return false;
    }
    this.isFull = false;
    buffer.clear();
    this.recovered();
    return true;
  }

  /** Whether whoever comes next finds what is written. */
  private isInPlace(): boolean {
    const now = performance.now();
    if (this.isAway || now - this.lookedAt < LOOK_MS) return !this.isAway;
    this.lookedAt = now;
    const { directory, log } = this.options;
    const { fd, path } = this.segment!;
    try {
      if (inodeAt(lockPath(directory)) === this.lockInode && isOpenAs(fd, path)) return true;
    } catch {
      // It can't be looked at, which says nothing of what is open.
      return true;
    }
    this.isAway = true;
    const place = `the journal in ${printable(directory)}`;
    log(
      "error",
      `${place} was removed or replaced while it was used: it is made again of what is in memory; leave it ` +
        "alone while a collector runs",
    );
    return false;
  }

  /** Has a directory of its own again. Throws where that can't be. */
  private makeAgain(): void {
    const { directory } = this.options;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = lockPath(directory);
    if (inodeAt(path) !== this.lockInode) {
      const lock = lockFile(path);
      if ("heldBy" in lock) {
        throw new Error(`it is that of ${lock.heldBy ?? "another collector"} now`);
      }
      this.lock.release();
      this.lock = lock;
      this.lockInode = inodeAt(path);
    }
    const [newest = 0] = listSegments(directory);
    this.nextNumber = Math.max(this.nextNumber, newest + 1);
  }

  /**
   * Waits until what was flushed is on the disk, and with `stored` what was stored as well. False when that
   * failed: then everything is to be written anew, since a disk says only once what it did not take.
   */
  secure(stored = false): boolean {
    if (this.renewed || this.isAway || this.segment === null) return false;
    try {
      if (stored) this.secureStored();
      if (!this.isSecure) syncSegment(this.segment);
      return this.isSecure = true;
    } catch (error) {
      this.renewed = true;
      this.report(error);
      return false;
    }
  }

  private secureStored(): void {
    const done = { ...this.done };
    this.options.syncStored();
    Object.assign(this.safe, done);
  }

  /** Gives the requests away that were made: what they are made of is written. */
  give(): void {
    const { outbox } = this;
    this.outbox = [];
    for (const request of outbox) {
      const before = itemsOf(this.id, request.mark!) - request.items;
      this.pending[request.signal].push({ request, before });
      this.requests.give(request);
    }
  }

  answered(request: Request, outcome: Outcome): void {
    const { signal } = request;
    const pending = this.pending[signal];
    const index = pending.findIndex((each) => each.request === request);
    // What was given up, at the end of this run, is to be made again by the next.
    if (index < 0 || outcome.gaveUp) return;
    pending.splice(index, 1);
    // In order: what is answered before others does not count yet.
    this.done[signal] = pending.length > 0
      ? pending[0].before
      : Math.max(this.done[signal], itemsOf(this.id, request.mark!));
  }

  /** Some of what it has is to outlast a loss of power. */
  private get outlasts(): boolean {
    return this.files.someSynced || this.hasSynced;
  }

  /** The spool knows it better, unless another collector has taken over what this one has stored. */
  private noteAnswered(): void {
    for (const signal of SIGNALS) {
      const items = this.outlasts ? this.safe[signal] : this.done[signal];
      if (items <= this.noted[signal]) continue;
      this.noted[signal] = items;
      const high = Math.floor(items / 2 ** 32);
      this.buffer.words(ANSWERED, SIGNALS.indexOf(signal), items | 0, high);
    }
  }

  /**
   * Writes everything there is to a new segment, and removes the ones before. Every request must
   * have been answered, since nothing knows of them afterwards. False when it can't be written, or
   * could not be a moment ago.
   */
  checkpoint(): boolean {
    const { directory } = this.options;
    if (performance.now() < this.againAt || !this.begin()) return false;
    try {
      removeBefore(directory, this.segment!.number);
    } catch (error) {
      // They are older: nobody reads them as long as this one is there.
      this.options.log("warn", `${printable(directory)}: ${(error as Error).message}`);
    }
    return true;
  }

  /**
   * Gives the requests away that no block has, where a checkpoint can have what they are made of. False
   * where that would be too large as well. Nothing may be in a batch.
   */
  giveBefore(): boolean {
    if (this.outbox.length > 0) {
      if (performance.now() < this.againAt) return false;
      const limit = fileSizeLimit();
      let size = HEADER_BYTES;
      writeCheckpoint(this.held(settingsOf(this.settings)), (block) => size += block.length);
      if (size > limit) {
        this.againAt = performance.now() + AGAIN_MS;
        this.report(new LimitError(segmentPath(this.options.directory, this.nextNumber), limit));
        return false;
      }
    }
    this.give();
    return true;
  }

  private held(settings: SettingsEntry): Held {
    const { counts, files, journaled, requests } = this;
    return {
      settings,
      requests,
      processes: [...files.processes.values()],
      files: [...journaled.values()],
      counts,
    };
  }

  /** A new segment. False when it can't be written. */
  private begin(): boolean {
    const { buffer } = this;
    const before = this.segment;
    const sync = this.outlasts || this.hasMissing;
    // Whoever reads the checkpoint goes by one list of views: so does who goes on from here.
    this.noteSettings();
    if (this.haveViewsChanged) this.applySettings();
    try {
      if (this.isAway) this.makeAgain();
      // What was stored is not written once more.
      if (sync) this.secureStored();
      const settings = settingsOf(this.settings);
      const segment = createSegment(
        this.options.directory,
        this.nextNumber,
        this.id,
        (put) => writeCheckpoint(this.held(settings), put),
        sync,
      );
      this.written = settings;
      this.segment = segment;
    } catch (error) {
      // The old one goes on; the next attempt comes when it has grown as much again.
      this.logged = 0;
      this.againAt = performance.now() + AGAIN_MS;
      this.report(error);
      return false;
    }
    this.nextNumber++;
    this.logged = 0;
    this.isSecure = sync;
    this.renewed = false;
    this.isFull = false;
    this.isAway = false;
    buffer.clear();
    if (before !== null) closeSync(before.fd);
    this.recovered();
    return true;
  }

  private recovered(): void {
    this.problem = null;
    this.problems.recovered(() => "the journal is written again");
  }

  private report(error: unknown): void {
    const { directory } = this.options;
    const { code, message } = error as { code?: string; message: string };
    if (this.isAway) this.problem = `the journal in ${printable(directory)}: ${message}`;
    this.problems.report(
      code ?? "failed",
      "error",
      `the journal in ${
        printable(directory)
      } can't be written: ${message}; nothing more is taken ` +
        "until it can: the applications' files hold what is recorded",
    );
  }

  /** Ends the journal: what happens from now on is not in it. */
  close(): void {
    this.closed = true;
    if (this.segment !== null) closeSync(this.segment.fd);
    this.lock.release();
    this.problems.flush();
  }

  // -------------------------------------------------------------------------------- what is kept

  private get isOff(): boolean {
    return this.replaying || this.closed;
  }

  record(type: number, file: number, sequence: number, copy: RecordCopy): void {
    this.buffer.record(type, file, sequence, copy);
  }

  bad(file: number, record: BadRecord): void {
    putBad(file, record, this.buffer);
  }

  emitted(process: number, words: number): void {
    this.buffer.words(EMITTED, process, words);
  }

  /** Open spans of a process go into the batch. */
  interrupted(process: number, why: (typeof INTERRUPTION_NAMES)[number]): void {
    this.buffer.words(INTERRUPTED, process, INTERRUPTION_NAMES.indexOf(why));
  }

  collected(process: number, low: number, high: number, last: boolean): void {
    if (!this.isOff) this.buffer.words(COLLECTED, process, low, high, last ? 1 : 0);
  }

  sealed(signal: Signal): void {
    if (!this.isOff) this.buffer.words(SEALED, SIGNALS.indexOf(signal));
  }

  /** A process is forgotten, all of whose requests were answered. */
  forgotten(process: number): void {
    if (!this.closed) this.buffer.words(FORGOTTEN, process);
  }

  hold(request: Request): void {
    const { signal, items } = request;
    this.counts[signal] += items;
    if (this.replaying && this.counts[signal] <= this.stored[signal]) {
      this.requests.answered(request, STORED);
    } else this.outbox.push({ ...request, mark: makeMark(this.id, this.counts[signal]) });
  }

  processAdded(process: FollowedProcess): void {
    this.buffer.json(PROCESS, processEntryOf(process));
  }

  /** Settings that may change while it runs did. To be called before anything is done with them. */
  noteSettings(): void {
    const { aggregation } = this.settings;
    if (aggregation.views === this.views) return;
    this.views = aggregation.views;
    const now = settingsOf(this.settings);
    if (isSame(now, this.written)) return;
    this.written = now;
    this.haveViewsChanged = true;
    this.buffer.json(SETTINGS, now);
  }

  // ------------------------------------------------------------------------------------- files

  /** There are files of an earlier run that were not found yet, or it is not known what was lost. */
  get hasMissing(): boolean {
    return this.missing.size > 0 || this.isDamaged;
  }

  resume(identity: string): Resumed | null {
    const file = this.missing.get(identity);
    if (file === undefined) return null;
    return { number: file.entry.number, process: file.process, position: positionOf(file) };
  }

  opened(file: FollowedFile): void {
    const known = this.missing.get(file.identity);
    if (this.isDamaged) this.countForgotten(file, known);
    else if (known !== undefined) this.sayBehind(file, known);
    if (known === undefined) {
      const added = newFile(entryOf(file), file.process);
      added.followed = file;
      this.journaled.set(added.entry.number, added);
      this.buffer.json(FILE, added.entry);
      noteEntries(added, file, this.buffer);
      return;
    }
    noteEntries(known, file, this.buffer);
    this.missing.delete(file.identity);
    file.process.missing--;
    known.followed = file;
    known.image = null;
    known.bad = [];
  }

  closedFile(number: number): void {
    const file = this.journaled.get(number);
    if (this.closed || file === undefined) return;
    // Records of it that were taken since the last block name what its dictionary holds.
    noteProgress(file, this.buffer);
    this.journaled.delete(number);
    this.buffer.words(CLOSED, number);
  }

  /**
   * Everything was looked for: files that are not there any more are done with. Others are for who
   * is told to read them, which this collector is not, or not yet.
   */
  giveUpMissing(): void {
    const found = new Set<string>();
    for (const { followed } of this.journaled.values()) if (followed) found.add(followed.path);
    for (const [identity, file] of this.missing) {
      const { number, path } = file.entry;
      if (existsSync(path) && !found.has(path)) continue;
      this.missing.delete(identity);
      this.closedFile(number);
      file.process.missing--;
    }
    if (!this.isDamaged) return;
    this.isDamaged = false;
    const forgotten = describeForgotten(this.files.ledger);
    if (forgotten !== null) this.options.log("error", forgotten);
  }
}

function settingsOf({ batchSize, aggregation }: JournalSettings): SettingsEntry {
  const { views, warn: _, ...rest } = aggregation;
  return { batchSize, aggregation: rest, views };
}
