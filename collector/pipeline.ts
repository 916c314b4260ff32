/**
 * The collector as a whole: finds files, drains them in rounds, turns ended spans into requests,
 * sends these, and gives slots and files back when their spans are safe.
 *
 * @module
 */
import { SystemError } from "../ffi/mod.ts";
import { FormatError } from "../lib/file/geometry.ts";
import { LEFTOVER_SUFFIX } from "../lib/file/places.ts";
import { RING_EVENTS, RING_MEASUREMENTS, RING_NAMES, RING_SPANS } from "../lib/format/layout.ts";
import {
  Assembler,
  DEFAULT_LIMITS,
  INTERRUPTIONS,
  type Limits,
  PairList,
} from "../lib/otlp/assemble.ts";
import type { Request } from "../lib/otlp/batch.ts";
import type { Candidate, Scan } from "./discover.ts";
import { claimedTo, isDrained } from "./drain.ts";
import {
  beat,
  closeFile,
  type FollowedFile,
  type FollowedProcess,
  inodeOf,
  openFile,
  releaseRings,
  releaseUpTo,
} from "./follow.ts";
import { ownerState } from "../lib/file/owner.ts";
import { SendQueue, type Sink } from "./queue.ts";
import { isIdle, round, ROUND_RECORDS } from "./round.ts";
import type { Outcome } from "./send.ts";
import { printable } from "./text.ts";
import { explainOpenFailure, Watchlist } from "./watchlist.ts";

/** What the pipeline works with. */
export interface PipelineOptions {
  /** Looks for files. */
  readonly scan: () => Scan;
  readonly sink: Sink;
  /** Spans in a request at most. */
  readonly batchSize: number;
  /** A batch that is not full is sent after this many milliseconds. */
  readonly flushIntervalMs: number;
  /** Take what is there, and end. */
  readonly once: boolean;
  /** Don't remove drained files of dead owners. */
  readonly keep: boolean;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  readonly limits?: Limits;
}

/** A request is sealed when it has this many bytes, however few its spans. */
const MAX_REQUEST_BYTES = 4 << 20;
/** Time between two looks for files, at owners, milliseconds. */
const SCAN_MS = 500;
const OWNER_MS = 1000;
const HEARTBEAT_MS = 1000;
/** Sleep after a round that found something, and at most, milliseconds. */
const BUSY_SLEEP_MS = 2;
const IDLE_SLEEP_MS = 40;
/** A file in the state `superseded` without a next one: its process is taken to be over after this. */
const SUCCESSOR_MS = 5000;
/** How long --once waits for records that are claimed and not published. */
const ONCE_PATIENCE_MS = 1000;
/** How long the end of following may take for draining, and for sending, milliseconds. */
const LAST_DRAIN_MS = 1000;
const LAST_SEND_MS = 5000;

/** What a run did, for the summary. */
export interface Summary {
  readonly spans: number;
  readonly interrupted: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly dropped: number;
  /** Open spans of living owners that were not sent. */
  readonly open: number;
}

/** The collector. */
export class Pipeline {
  readonly assembler: Assembler;
  readonly queue: SendQueue;
  /** Files read in this run. */
  files = 0;

  private readonly options: PipelineOptions;
  private readonly processes = new Map<string, FollowedProcess>();
  private readonly followed = new Map<string, FollowedFile>();
  private readonly watchlist: Watchlist;
  private nextId = 1;
  private stopping = false;
  private exitCode = 0;
  private batchSince = 0;
  private wake: (() => void) | null = null;
  private readonly ledger = RING_NAMES.map(() => ({ taken: 0, torn: 0, unreadable: 0 }));
  private readonly reasons = new Map<string, number>();
  private open = 0;

  /** @param options See PipelineOptions. */
  constructor(options: PipelineOptions) {
    this.options = options;
    this.assembler = new Assembler(() => this.spanAdded(), options.limits ?? DEFAULT_LIMITS);
    this.queue = new SendQueue(options.sink, (request, outcome) => this.answered(request, outcome));
    this.watchlist = new Watchlist(options.once, options.log);
  }

  /** Runs until `stop`, or with `once` until everything there was is sent. Returns the exit code. */
  async run(): Promise<number> {
    if (this.options.once) await this.drainOnce();
    else await this.follow();
    await this.end();
    return this.exitCode;
  }

  /** Ends following: what is there is still drained and sent. */
  stop(): void {
    this.stopping = true;
    this.wake?.();
  }

  /** What this run did so far. */
  get summary(): Summary {
    const { spans, interrupted } = this.assembler.counts;
    const { accepted, rejected, dropped } = this.queue.totals;
    return { spans, interrupted, accepted, rejected, dropped, open: this.open };
  }

  /** One line that says what became of every record and span. */
  describe(): string {
    const { spans, interrupted, evicted, unmatched, unmatchedEvents, logs, measurements, lost } =
      this.assembler.counts;
    const { accepted, rejected, dropped } = this.queue.totals;
    const notes = [
      interrupted > 0 ? `${interrupted} of them interrupted` : "",
      evicted > 0 ? `${evicted} sent early because too many were open` : "",
      this.open > 0
        ? `${this.open} still open, ${
          this.options.once ? "left in their files" : "which only this collector knew"
        }`
        : "",
      lost > 0 ? `${lost} lost for want of memory` : "",
    ].filter((note) => note !== "");
    const parts = [
      `${spans} spans from ${this.files} files${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`,
      `${accepted} delivered, ${rejected} refused by the backend, ${dropped} dropped`,
    ];
    const records = this.ledger.map(({ taken, torn, unreadable }, ring) =>
      `${RING_NAMES[ring]} ${taken} claimed = ${taken - torn - unreadable} read + ${torn} torn + ` +
      `${unreadable} unreadable`
    );
    parts.push(records.join("; "));
    if (logs + measurements > 0) {
      parts.push(`passed: ${logs} log records, ${measurements} measurements`);
    }
    if (unmatched + unmatchedEvents > 0) {
      parts.push(`without an open span: ${unmatched} records, ${unmatchedEvents} events`);
    }
    for (const [reason, count] of this.reasons) parts.push(`unreadable, ${reason}: ${count}`);
    return parts.join("; ");
  }

  // ------------------------------------------------------------------------------------ following

  private async follow(): Promise<void> {
    let nextScan = 0;
    let nextOwners = 0;
    let nextBeat = 0;
    let sleep = BUSY_SLEEP_MS;
    while (!this.stopping) {
      const now = performance.now();
      if (now >= nextScan) {
        this.scan(now);
        nextScan = now + SCAN_MS;
      }
      const taken = this.queue.full ? 0 : this.rounds();
      if (now >= nextOwners) {
        this.askOwners(now);
        this.retireSuperseded();
        nextOwners = now + OWNER_MS;
      }
      if (now >= nextBeat) {
        for (const file of this.followed.values()) this.look(file);
        nextBeat = now + HEARTBEAT_MS;
      }
      this.settle();
      this.flushIfDue();
      if (taken >= ROUND_RECORDS) {
        // There is more: only let the answers in.
        await immediately();
        sleep = BUSY_SLEEP_MS;
        continue;
      }
      sleep = taken > 0 ? BUSY_SLEEP_MS : Math.min(IDLE_SLEEP_MS, sleep * 1.5);
      await this.sleep(sleep);
    }
    const deadline = performance.now() + LAST_DRAIN_MS;
    while (performance.now() < deadline) {
      if (this.queue.full) await this.sleep(BUSY_SLEEP_MS);
      else if (this.rounds() === 0) break;
      else await immediately();
    }
  }

  private async drainOnce(): Promise<void> {
    const patience = performance.now() + ONCE_PATIENCE_MS;
    this.scan(performance.now());
    while (this.watchlist.unfinished > 0 && performance.now() < patience && !this.stopping) {
      await this.sleep(IDLE_SLEEP_MS);
      this.scan(performance.now());
    }
    this.watchlist.giveUp();
    this.noteFaults();
    this.askOwners(performance.now());
    let quietSince = performance.now();
    while (!this.stopping) {
      const taken = this.queue.full ? 0 : this.rounds();
      this.settle();
      this.flushIfDue();
      const now = performance.now();
      if (taken > 0 || this.queue.full) quietSince = now;
      if ([...this.processes.values()].every(isIdle)) break;
      // What a living owner has claimed and not published may be a while in coming.
      if (taken === 0 && now - quietSince > ONCE_PATIENCE_MS) break;
      if (taken > 0) await immediately();
      else await this.sleep(BUSY_SLEEP_MS);
    }
  }

  /** Sends the rest, waits for the answers, closes everything. */
  private async end(): Promise<void> {
    const { once, sink, log } = this.options;
    this.settle();
    this.seal();
    const deadline = once ? Infinity : performance.now() + LAST_SEND_MS;
    while (!this.queue.empty && performance.now() < deadline && !(once && this.stopping)) {
      await this.sleep(IDLE_SLEEP_MS);
    }
    if (!this.queue.empty) {
      sink.abort("the collector is shutting down");
      while (!this.queue.empty) await immediately();
    }
    this.settle();
    for (const process of [...this.processes.values()]) this.leave(process);
    if (this.queue.totals.dropped + this.queue.totals.rejected > 0 && once) {
      this.exitCode = this.exitCode || 1;
    }
    await sink.close();
    // Where there was nothing to read, what was said of that is enough.
    if (this.files > 0) log("info", this.describe());
  }

  /** Closes the files of a process whose owner lives on, or whose spans could not be delivered. */
  private leave(process: FollowedProcess): void {
    const { once } = this.options;
    const { assembler } = this;
    this.open += process.over ? 0 : assembler.openSpans(process.state);
    for (const file of [...process.files]) {
      if (once && process.undelivered === 0 && file.owner !== "replaced") {
        // The start of a span that is still open must be there for the next reader.
        const first = assembler.firstOpen(file.drain.source.file);
        const spans = file.drain.rings[RING_SPANS].sequence;
        const kept = first === null ? spans : spans - (((spans | 0) - first) | 0) - 1;
        releaseUpTo(file, RING_SPANS, kept);
        releaseUpTo(file, RING_EVENTS, first === null ? Infinity : file.first[RING_EVENTS]);
        releaseUpTo(file, RING_MEASUREMENTS, Infinity);
      }
      this.close(file, false);
    }
    if (process.undelivered > 0) {
      this.options.log(
        "warn",
        `${process.undelivered} spans were not delivered: they stay in their files for the next run`,
      );
    }
    this.forget(process);
  }

  private forget(process: FollowedProcess): void {
    this.assembler.forget(process.state);
    this.assembler.removeProcess(process.state);
    this.processes.delete(process.key);
  }

  // ---------------------------------------------------------------------------------------- files

  private scan(now: number): void {
    const found = this.options.scan();
    if (this.options.once) {
      for (const path of found.missing) {
        this.options.log("error", `${printable(path)}: there is no such file`);
        this.exitCode = 2;
      }
      if (found.refused.length > 0) this.exitCode = 2;
    }
    for (const candidate of found.files) {
      if (!this.followed.has(candidate.path)) this.tryOpen(candidate, now);
    }
    this.noteFaults();
  }

  private noteFaults(): void {
    if (this.watchlist.namedFault) {
      this.exitCode = 2;
      if (!this.options.once) this.stopping = true;
    } else if (this.watchlist.inUse && this.options.once) {
      this.exitCode = this.exitCode || 1;
    }
  }

  private tryOpen(candidate: Candidate, now: number): void {
    const { path, named } = candidate;
    if (!this.watchlist.isWorthTrying(path)) return;
    try {
      const inode = inodeOf(path);
      for (const file of this.followed.values()) {
        if (file.inode !== inode) continue;
        // The same file under another name: set aside, or linked twice.
        if (!file.file.mapping.isAtPath(file.path)) this.rename(file, path);
        return;
      }
      const { assembler, options } = this;
      const opened = openFile(
        this.nextId++,
        path,
        named,
        options.once,
        assembler,
        (uid) => this.findProcess(uid),
      );
      if ("followed" in opened) {
        this.followed.set(path, opened.followed);
        this.files++;
        this.watchlist.opened(path);
      } else if ("unfinished" in opened) {
        this.watchlist.unfinishedFile(path, named, opened.unfinished, now);
      } else {
        this.watchlist.heldFile(path, opened.heldBy);
      }
    } catch (error) {
      if (error instanceof FormatError) this.watchlist.faulty(path, named, error.message);
      else if (error instanceof SystemError || isNodeError(error)) {
        const message = explainOpenFailure(path, error);
        if (message !== null) this.watchlist.faulty(path, named, message);
      } else throw error;
    }
  }

  private rename(file: FollowedFile, path: string): void {
    this.followed.delete(file.path);
    file.path = path;
    this.followed.set(path, file);
  }

  private findProcess(uid: string | null): FollowedProcess {
    const key = uid ?? `file ${this.nextId}`;
    let process = this.processes.get(key);
    if (process?.over) {
      // It goes on after all, in a file that was not there yet; what it had is on its way.
      this.processes.delete(key);
      process.key = `${key} until ${this.nextId}`;
      this.processes.set(process.key, process);
      process = undefined;
    }
    if (process === undefined) {
      process = {
        state: this.assembler.addProcess(),
        files: [],
        waiting: new PairList(),
        key,
        unanswered: 0,
        undelivered: 0,
        over: false,
      };
      this.processes.set(key, process);
    }
    return process;
  }

  private askOwners(now: number): void {
    const { once } = this.options;
    for (const file of this.followed.values()) {
      if (file.owner !== "writing") continue;
      // Who maps a file is costly to find out, and somebody who writes is alive.
      const taken = file.drain.rings.reduce((sum, ring) => sum + ring.taken, 0);
      const quiet = taken === file.seen;
      file.seen = taken;
      if (file.extension === null && !quiet && !once) continue;
      file.owner = once && file.extension === null
        ? "dead"
        : ownerState(file.path, file.file, file.extension, file.geometry.timeUnixNano);
      if (file.owner === "writing") continue;
      file.closed = true;
      // A file made anew in place has other records now than the ones that were claimed.
      file.drain.over = file.owner !== "replaced";
      file.supersededSince = now;
      // What was claimed until the owner was gone is to be taken as well.
      if (once) file.limits = file.limits.map((_, ring) => claimedTo(file.drain, ring));
    }
  }

  private look(file: FollowedFile): void {
    // Nothing protects a mapping against somebody who makes the file shorter: notice what can be.
    if (file.file.mapping.refresh() < file.geometry.dictionary) {
      this.options.log("error", `${printable(file.path)}: the file was truncated; it is given up`);
      this.abandon(file);
      this.watchlist.finished(file.path, false);
      return;
    }
    beat(file);
  }

  // --------------------------------------------------------------------------------------- rounds

  private rounds(): number {
    let taken = 0;
    for (const process of this.processes.values()) {
      if (process.over) continue;
      taken += round(process, this.assembler);
      for (const file of process.files) {
        // Of a file whose owner is gone nothing is given back before its spans are delivered. A
        // superseded one is given back at once: its writer may be waiting for it.
        const lives = file.owner === "writing" || file.owner === "superseded";
        if (lives && !this.options.once) releaseRings(file);
      }
      if (this.queue.full) break;
    }
    return taken;
  }

  /** Processes that are over: sends what they left open, and closes files whose spans are safe. */
  private settle(): void {
    for (const process of this.processes.values()) {
      if (!process.over) {
        if (!this.isOver(process)) continue;
        const died = process.files.some((file) => file.owner !== "clean");
        this.assembler.interrupt(process.state, died ? INTERRUPTIONS.died : INTERRUPTIONS.closed);
        process.over = true;
      }
      if (process.unanswered > 0 || this.assembler.isBatched(process.state)) continue;
      if (process.undelivered > 0) continue;
      for (const file of [...process.files]) {
        if (file.owner !== "replaced") releaseRings(file);
        this.retire(file);
      }
      if (process.files.length === 0) this.forget(process);
    }
  }

  /** Files that were superseded and read to the end, while their process goes on in others. */
  private retireSuperseded(): void {
    if (this.options.once) return;
    for (const process of this.processes.values()) {
      if (process.over) continue;
      for (const file of [...process.files]) {
        if (file.owner !== "superseded" || !hasSuccessor(file)) continue;
        if (file.drain.rings.every((_, ring) => isDrained(file.drain, ring))) this.retire(file);
      }
    }
  }

  /**
   * Closes a file that is read to its end, and removes it if that is ours to do. Stays as it is when
   * its owner still looks at it.
   */
  private retire(file: FollowedFile): void {
    if (performance.now() < file.retireAfter) return;
    const remove = this.mayRemove(file);
    // Held until the name is gone, so that no writer who wants the name can get it in between.
    if (remove && !this.options.once && !file.file.mapping.lock()) {
      file.retireAfter = performance.now() + OWNER_MS;
      return;
    }
    this.close(file, remove && (!this.options.once || file.file.mapping.lock()));
  }

  private isOver(process: FollowedProcess): boolean {
    const { files } = process;
    for (const file of files) {
      if (file.owner === "writing") return false;
      // Its next file may not have been found yet.
      if (
        file.owner === "superseded" && !hasSuccessor(file) && !this.options.once &&
        performance.now() - file.supersededSince < SUCCESSOR_MS
      ) return false;
    }
    return files.every((file) => file.owner === "replaced") || isIdle(process);
  }

  private mayRemove(file: FollowedFile): boolean {
    // Files of other writers are theirs to reuse.
    if (this.options.keep || file.extension === null || file.owner === "replaced") return false;
    return !file.named || file.path.endsWith(LEFTOVER_SUFFIX);
  }

  /** Stops reading a file without touching its memory, which may not be there any more. */
  private abandon(file: FollowedFile): void {
    this.count(file);
    file.file.close();
    file.lock.release();
  }

  private count(file: FollowedFile): void {
    const { drain, process, path } = file;
    for (let ring = 0; ring < drain.rings.length; ring++) {
      this.ledger[ring].taken += drain.rings[ring].taken;
      this.ledger[ring].torn += drain.torn[ring];
      this.ledger[ring].unreadable += drain.rejected[ring];
    }
    for (const [reason, count] of drain.reasons) {
      this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + count);
    }
    // Files that continue it wait for nothing any more.
    file.spansDone = true;
    process.files.splice(process.files.indexOf(file), 1);
    this.followed.delete(path);
  }

  private close(file: FollowedFile, remove: boolean): void {
    this.count(file);
    try {
      closeFile(file, remove);
    } catch (error) {
      this.options.log("warn", `${printable(file.path)}: ${(error as Error).message}`);
    }
    if (!remove && !this.stopping) this.watchlist.finished(file.path, file.owner === "replaced");
  }

  // -------------------------------------------------------------------------------------- batches

  private spanAdded(): void {
    const { batch } = this.assembler;
    if (batch.spans === 1) this.batchSince = performance.now();
    if (batch.spans >= this.options.batchSize || batch.bytes >= MAX_REQUEST_BYTES) this.seal();
  }

  private flushIfDue(): void {
    const { batch } = this.assembler;
    if (batch.spans > 0 && performance.now() - this.batchSince >= this.options.flushIntervalMs) {
      this.seal();
    }
  }

  private seal(): void {
    const request = this.assembler.batch.seal();
    if (request === null) return;
    for (const index of request.processes) this.byIndex(index).unanswered++;
    this.queue.push(request);
  }

  private answered(request: Request, outcome: Outcome): void {
    for (const index of request.processes) {
      const process = this.byIndex(index);
      process.unanswered--;
      // What was refused for good would be refused again.
      if (outcome.gaveUp) process.undelivered += outcome.dropped;
    }
    this.assembler.batch.recycle(request);
    this.wake?.();
  }

  private byIndex(index: number): FollowedProcess {
    for (const process of this.processes.values()) {
      if (process.state.index === index) return process;
    }
    throw new Error(`there is no process ${index}`);
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake?.(), ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }
}

function hasSuccessor(file: FollowedFile): boolean {
  return file.process.files.some(({ older }) => older === file);
}

function immediately(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isNodeError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string";
}
