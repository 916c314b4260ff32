/**
 * The collector as a whole: finds files, drains them in rounds, has what is in them made into
 * requests and sent, and gives slots and files back when that is safe.
 *
 * @module
 */
import { busErrors, containBusErrors } from "../../ffi/mod.ts";
import { RING_EVENTS, RING_MEASUREMENTS, RING_SPANS } from "../../lib/format/layout.ts";
import type { AggregationCounts, AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import { type AssemblyCounts, DEFAULT_LIMITS, type Limits } from "../../lib/otlp/assemble.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import type { Request, Signal } from "../../lib/otlp/request.ts";
import type { Scan } from "../files/discover.ts";
import { isDrained, untaken } from "./drain.ts";
import { Files, hasSuccessor } from "../files/files.ts";
import {
  attach,
  type FollowedFile,
  type FollowedProcess,
  releaseBefore,
  releaseRings,
} from "../files/follow.ts";
import type { Journal } from "../journal/journal.ts";
import type { Log } from "../send/problems.ts";
import { reportLosses } from "./losses.ts";
import type { Sink, Totals } from "./queue.ts";
import { Requests } from "./requests.ts";
import { isIdle, round, ROUND_RECORDS } from "./round.ts";
import type { Outcome } from "../send/send.ts";
import { forEachSignal, itemsOf, SIGNALS } from "./signals.ts";
import { describe } from "./summary.ts";
import { createWatching } from "../files/watch.ts";

/** What the pipeline works with. */
export interface PipelineOptions {
  /** Looks for files. */
  readonly scan: () => Scan;
  /** Where requests go, by signal. */
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** Spans or log records in a request at most. */
  readonly batchSize: number;
  /** A batch that is not full is sent after this many milliseconds. */
  readonly flushIntervalMs: number;
  /** Metrics of living processes are collected this often, milliseconds. */
  readonly metricsIntervalMs: number;
  readonly aggregation: AggregatorOptions;
  /** Take what is there, and end. */
  readonly once: boolean;
  /** Don't remove drained files of dead owners. */
  readonly keep: boolean;
  /** Read files of other users, wherever they are. */
  readonly otherUsers?: boolean;
  readonly log: Log;
  readonly limits?: Limits;
  /** Called with each file before anything of it is taken. */
  readonly onOpen?: (file: FollowedFile) => void;
  /** Called with each file before it is closed. */
  readonly onClose?: (file: FollowedFile) => void;
  /** Descriptors that this process may have open; by default what the system says. */
  readonly descriptors?: number;
  /** Keeps what was taken and is not stored yet, so that a kill loses nothing. */
  readonly journal?: Journal | null;
}

/** Time between two looks for files, at owners, milliseconds. */
const SCAN_MS = 500;
/** The former while files wait for their turn to be open: dead ones are done in no time. */
const CROWDED_SCAN_MS = 100;
/** Between two looks at least, however many files appear: also this many times what a look took. */
const LEAST_SCAN_MS = 20;
const LEAST_SCAN_TIMES = 10;
const OWNER_MS = 1000;
/** Between two looks for input and output while there is more to take; more often costs more CPU. */
const BREATH_MS = 500;
const HEARTBEAT_MS = 1000;
/** For files that outlast a loss of power, the journal goes to the disk no more often. */
const SECURE_MS = 100;
/** Sleep after a round that found much, that found something, and at most, milliseconds. */
const BUSY_SLEEP_MS = 2;
const CALM_SLEEP_MS = 20;
const IDLE_SLEEP_MS = 80;
/** Records in a round that are much: after a longer sleep rings could be full. */
const BUSY_RECORDS = 1024;
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
  readonly logs: number;
  readonly measurements: number;
  /** Items by what became of them. */
  readonly totals: Readonly<Record<Signal, Totals>>;
  /** Open spans of living owners that were not sent. */
  readonly open: number;
}

/** The collector. */
export class Pipeline {
  readonly requests: Requests;
  readonly files: Files;

  private readonly options: PipelineOptions;
  private readonly journal: Journal | null;
  private stopping = false;
  private finishing = false;
  private wake: (() => void) | null = null;
  private open = 0;
  private busErrors = 0;
  /** When input and output were looked for at last, ms of `performance.now()`. */
  private breathedAt = 0;
  /** When what was written goes to the disk again at the earliest, ms of `performance.now()`. */
  private secureAfter = 0;
  /** The journal has everything that was not delivered. */
  private isKept = false;
  /** Counts of earlier runs. */
  private readonly before: { spans: AssemblyCounts; metrics: AggregationCounts };
  /** When the last round ended, milliseconds of `performance.now()`. */
  turnedAt = performance.now();
  /** It has looked for files, and goes on doing so. */
  looking = false;
  /** Makes metrics of the collector itself, which are sent whenever metrics are collected. */
  own: (() => Request) | null = null;

  /** @param options See PipelineOptions. */
  constructor(options: PipelineOptions) {
    this.options = options;
    this.requests = new Requests({ ...options, limits: options.limits ?? DEFAULT_LIMITS }, {
      sent: (processes) => {
        for (const index of processes) this.files.byIndex(index).unanswered++;
      },
      answered: (request, outcome) => this.answered(request, outcome),
    });
    const { requests } = this;
    this.files = new Files(
      options,
      requests.assembler,
      ({ state }) => requests.aggregator.addProcess(state.index),
    );
    this.journal = options.journal ?? null;
    this.journal?.start(requests, this.files, options);
    // What the journal has made again was counted by an earlier run, unless it is sent by this one.
    const { assembler, aggregator } = requests;
    const { unsent } = this.journal ?? { unsent: { traces: 0, metrics: 0, logs: 0 } };
    this.before = {
      spans: {
        ...assembler.counts,
        spans: assembler.counts.spans - unsent.traces,
        logs: assembler.counts.logs - unsent.logs,
      },
      metrics: {
        ...aggregator.counts,
        points: aggregator.counts.points - unsent.metrics,
      },
    };
  }

  /** What this run has counted. */
  private get counted(): { spans: AssemblyCounts; metrics: AggregationCounts } {
    const { before, requests: { assembler, aggregator } } = this;
    return {
      spans: difference(assembler.counts, before.spans),
      metrics: difference(aggregator.counts, before.metrics),
    };
  }

  /** Runs until `stop`, or with `once` until everything there was is sent. Returns the exit code. */
  async run(): Promise<number> {
    const uncontained = containBusErrors();
    if (uncontained !== null) {
      const what = "a file that is truncated while it is read ends this process";
      this.options.log("debug", `${what}: that can't be contained here (${uncontained})`);
    }
    this.busErrors = busErrors();
    if (this.options.once) await this.drainOnce();
    else await this.follow();
    return await this.end();
  }

  /** It ends, or will soon: nothing more should be given to it. */
  get ending(): boolean {
    return this.stopping || this.finishing;
  }

  /** Ends following: what is there is still drained and sent. */
  stop(): void {
    this.stopping = true;
    this.looking = false;
    this.wake?.();
  }

  /** Ends following as soon as every process whose files are there is over, and read to its end. */
  finish(): void {
    this.finishing = true;
    this.wake?.();
  }

  /** Records and items that are on their way: to be taken, or to be answered. */
  get remaining(): number {
    let count = this.requests.unanswered;
    for (const { files } of this.files.processes.values()) {
      for (const { drain, limits } of files) count += untaken(drain, limits);
    }
    return count;
  }

  /** What this run did so far. */
  get summary(): Summary {
    const { queues } = this.requests;
    const { spans: { spans, interrupted, logs }, metrics } = this.counted;
    return {
      spans,
      interrupted,
      logs,
      measurements: metrics.measurements,
      totals: forEachSignal((signal) => ({ ...queues[signal].totals })),
      open: this.open,
    };
  }

  /** Lines that say what became of every record. */
  describe(): string[] {
    return describe({
      files: this.files.opened,
      ...this.counted,
      queues: this.requests.queues,
      ledger: this.files.ledger,
      open: this.open,
      openAre: this.isKept
        ? "kept in the journal for the next start"
        : this.options.once
        ? "left in their files"
        : "which only this collector knew",
    });
  }

  // ------------------------------------------------------------------------------------ following

  private async follow(): Promise<void> {
    const { files, options, requests } = this;
    let nextScan = 0;
    let soonest = 0;
    const watching = createWatching(() => {
      nextScan = Math.min(nextScan, soonest);
      this.wake?.();
    });
    let nextOwners = 0;
    let nextBeat = 0;
    let nextCollection = performance.now() + options.metricsIntervalMs;
    let sleep = BUSY_SLEEP_MS;
    while (!this.stopping) {
      const now = performance.now();
      if (this.finishing) nextScan = nextOwners = now;
      if (now >= nextScan) {
        watching.aim(files.scan(now).directories);
        if (files.watchlist.namedFault) this.stopping = true;
        this.looking = !this.stopping;
        soonest = now + Math.max(LEAST_SCAN_MS, LEAST_SCAN_TIMES * files.lookTook);
        nextScan = now + (files.waiting ? CROWDED_SCAN_MS : SCAN_MS);
        if (files.waiting) nextOwners = now;
      }
      if (this.journal?.hasMissing && files.whole) this.journal.giveUpMissing();
      requests.beginRound(now);
      if (!this.commit() || !this.isClear()) {
        // Everything has to wait for the journal; only the writers are told that they are read.
        if (now >= nextBeat) {
          files.look();
          nextBeat = now + HEARTBEAT_MS;
        }
        await this.sleep(IDLE_SLEEP_MS);
        continue;
      }
      const taken = this.rounds();
      if (now >= nextOwners) {
        files.askOwners(now);
        // What was taken from them is nowhere else.
        if (this.commit()) this.retireSuperseded();
        nextOwners = now + OWNER_MS;
      }
      if (now >= nextBeat) {
        files.look();
        nextBeat = now + HEARTBEAT_MS;
      }
      this.settle();
      if (this.finishing && files.processes.size === 0) break;
      if (this.finishing && taken === 0) requests.flush();
      else requests.flushIfDue();
      if (this.finishing && [...files.processes.values()].every(({ over }) => over)) {
        requests.finish();
      }
      // While the last points are on their way, newer ones add up where they are.
      if (now >= nextCollection && requests.queues.metrics.idle) {
        this.collect();
        nextCollection = Math.max(nextCollection, now - options.metricsIntervalMs) +
          options.metricsIntervalMs;
      }
      this.commit();
      if (taken >= ROUND_RECORDS) {
        // There is more: only let the answers in.
        await this.breathe();
        sleep = BUSY_SLEEP_MS;
        continue;
      }
      if (taken >= BUSY_RECORDS) sleep = BUSY_SLEEP_MS;
      else sleep = taken > 0 ? CALM_SLEEP_MS : Math.min(IDLE_SLEEP_MS, sleep * 1.5);
      const untilScan = Math.max(1, nextScan - performance.now());
      await this.sleep(Math.min(sleep, requests.untilFlush(), untilScan));
    }
    watching.close();
    const deadline = performance.now() + LAST_DRAIN_MS;
    while (performance.now() < deadline && this.commit() && this.isClear()) {
      if (this.rounds() > 0) await this.breathe();
      else if (requests.full) await this.sleep(BUSY_SLEEP_MS);
      else break;
    }
  }

  private async drainOnce(): Promise<void> {
    const { files } = this;
    const patience = performance.now() + ONCE_PATIENCE_MS;
    files.scan(performance.now());
    while (files.watchlist.unfinished > 0 && performance.now() < patience && !this.stopping) {
      await this.sleep(IDLE_SLEEP_MS);
      files.scan(performance.now());
    }
    files.watchlist.giveUp();
    files.noteFaults();
    if (files.whole) this.journal?.giveUpMissing();
    files.askOwners(performance.now());
    await this.drainOpen();
    while (files.waiting && !this.stopping && await this.replaceDone()) await this.drainOpen();
    if (files.waiting) files.exitCode ||= 1;
  }

  /** Files that could not be open beside the others take their place. False when none can. */
  private async replaceDone(): Promise<boolean> {
    const { files, requests } = this;
    const { opened } = files;
    requests.flush();
    this.commit();
    while (!requests.empty && !this.stopping) await this.sleep(IDLE_SLEEP_MS);
    this.settle();
    files.scan(performance.now());
    files.askOwners(performance.now());
    return files.opened > opened;
  }

  private async drainOpen(): Promise<void> {
    const { files, requests } = this;
    let quietSince = performance.now();
    while (!this.stopping) {
      if (!this.commit()) {
        if (this.journal?.isFull && !requests.answeredAll) {
          await this.sleep(BUSY_SLEEP_MS);
          continue;
        }
        // Nobody waits for room on the disk here.
        files.exitCode ||= 1;
        break;
      }
      if (!this.isClear()) {
        await this.sleep(BUSY_SLEEP_MS);
        continue;
      }
      const taken = this.rounds();
      this.settle();
      requests.flushIfDue();
      const now = performance.now();
      if (taken > 0 || requests.full) quietSince = now;
      if ([...files.processes.values()].every(isIdle)) break;
      // What a living owner has claimed and not published may be a while in coming.
      if (taken === 0 && now - quietSince > ONCE_PATIENCE_MS) break;
      if (taken > 0) await this.breathe();
      else await this.sleep(BUSY_SLEEP_MS);
    }
  }

  /** Sends the rest, waits for the answers, closes everything. Returns the exit code. */
  private async end(): Promise<number> {
    const { once, log } = this.options;
    const { files, requests } = this;
    if (this.commit()) {
      this.settle();
      requests.flush();
      this.collect();
      this.commit();
    }
    requests.finish();
    const deadline = once ? Infinity : performance.now() + LAST_SEND_MS;
    const isDone = (): boolean => requests.empty && requests.settled;
    while (!isDone() && performance.now() < deadline && !(once && this.stopping)) {
      await this.sleep(IDLE_SLEEP_MS);
    }
    const isStored = requests.answeredAll;
    if (!isDone()) {
      requests.abort("the collector is shutting down");
      while (!requests.empty) await this.breathe();
    }
    if (this.journal !== null) this.keep(this.journal, isStored);
    else {
      this.settle();
      for (const process of [...files.processes.values()]) this.leave(process);
    }
    await requests.close();
    // Where there was nothing to read, what was said of that is enough.
    const isSilent = files.opened === 0 && this.journal?.hasResumed !== true &&
      SIGNALS.every((signal) => requests.queues[signal].totals.requests === 0);
    if (!isSilent) { for (const line of this.describe()) log("info", line); }
    const lost = SIGNALS.some((signal) => {
      const { dropped, rejected } = requests.queues[signal].totals;
      return dropped + rejected > 0;
    });
    return files.exitCode || (lost && once ? 1 : 0);
  }

  /**
   * Leaves everything to the next start. What was not stored is made again from the log; otherwise a
   * checkpoint says it shorter.
   */
  private keep(journal: Journal, isStored: boolean): void {
    const { files, requests } = this;
    if (isStored && this.commit()) {
      this.settle();
      requests.flush();
      if (this.commit() && requests.answeredAll) journal.checkpoint();
    }
    this.isKept = true;
    // From here on files are only closed, not done with.
    journal.close();
    for (const { files: open, over, state } of files.processes.values()) {
      this.open += over ? 0 : requests.assembler.table.countOf(state.index);
      for (const file of [...open]) files.close(file, false);
    }
  }

  /** Closes the files of a process whose owner lives on, or whose items could not be delivered. */
  private leave(process: FollowedProcess): void {
    const { once, log } = this.options;
    const { table } = this.requests.assembler;
    const { over, state, undelivered } = process;
    this.open += over ? 0 : table.countOf(state.index);
    // Also of a Worker's file that was shut down: the points are those of the process.
    const isRead = over || process.files.some(lives);
    for (const file of [...process.files]) {
      if ((once || over) && file.owner !== "replaced") {
        // The start of a span that is still open must be there for the next reader, and its events.
        const { file: id } = file.drain.source;
        if (undelivered.traces === 0) releaseBefore(file, RING_SPANS, table.firstStart(id));
        if (undelivered.traces + undelivered.logs === 0) {
          const unread = (file.first[RING_EVENTS] + 1) | 0;
          releaseBefore(file, RING_EVENTS, table.firstEvent(state.index, id, unread));
        }
        // Of a process that is gone and not read to its end no points were sent.
        if (undelivered.metrics === 0 && isRead) {
          releaseBefore(file, RING_MEASUREMENTS, null);
        }
      }
      this.files.close(file, false);
    }
    const left = SIGNALS.filter((signal) => undelivered[signal] > 0)
      .map((signal) => itemsOf(signal, undelivered[signal]));
    if (left.length > 0) {
      const what = left.join(", ");
      log("warn", `not delivered, and left in their files for the next run: ${what}`);
    }
    this.forget(process);
  }

  private forget(process: FollowedProcess): void {
    const { assembler, aggregator } = this.requests;
    this.journal?.forgotten(process.state.index);
    assembler.forget(process.state);
    if (!process.over) aggregator.removeProcess(process.state.index);
    assembler.removeProcess(process.state);
    this.files.forget(process);
  }

  // --------------------------------------------------------------------------------------- rounds

  private rounds(): number {
    const { files, journal, options, requests } = this;
    let taken = 0;
    const last: FollowedProcess[] = [];
    journal?.noteSettings();
    for (const process of files.processes.values()) {
      if (process.over) continue;
      requests.block(process.files.some(lives));
      const full = requests.fullQueues;
      taken += round(process, requests.intake);
      // Not before what was taken is written.
      if (journal?.isHeavy && !this.commit()) break;
      if (requests.fullQueues > full) last.push(process);
      if (!options.once && journal === null) releaseLiving(process, true);
    }
    this.commit();
    // Who filled a queue had more than a share: when there is room again, others come first.
    for (const process of last) files.putLast(process);
    if (busErrors() !== this.busErrors) {
      this.busErrors = busErrors();
      files.look();
    }
    this.turnedAt = performance.now();
    return taken;
  }

  /**
   * With a journal: writes what was done, and only then gives away the requests that were made, and
   * gives back the slots. False when it can't be written.
   */
  private commit(): boolean {
    const { files, journal } = this;
    if (journal === null) return true;
    if (!journal.flush() && !(journal.isFull && this.replaceJournal(journal))) return false;
    journal.give();
    const isSecure = this.secure(journal);
    for (const process of files.processes.values()) {
      if (!process.over) releaseLiving(process, isSecure);
    }
    return true;
  }

  /** Now and then, has what was written go to the disk, where files wait for that. */
  private secure(journal: Journal): boolean {
    if (!this.files.someSynced) return false;
    const now = performance.now();
    if (!journal.isSecure) {
      if (now < this.secureAfter) return false;
      this.secureAfter = now + SECURE_MS;
    }
    return journal.secure();
  }

  /**
   * A checkpoint for what the segment has no room for, once everything is stored; nothing is given back
   * before. After a kill in between, the next start makes the requests of one block again.
   */
  private replaceJournal(journal: Journal): boolean {
    const { requests } = this;
    requests.flush();
    return journal.giveBefore() && requests.answeredAll && journal.checkpoint();
  }

  /** Why the journal, which somebody removed, can't be made again: nothing is taken then. */
  get journalProblem(): string | null {
    return this.journal?.problem ?? null;
  }

  /**
   * False while everything is to be stored, because the journal is to be written anew: then nothing
   * is taken.
   */
  private isClear(): boolean {
    const { journal, requests } = this;
    if (journal === null || !journal.due) return true;
    requests.flush();
    if (!this.commit() || !requests.answeredAll) return false;
    journal.checkpoint();
    return true;
  }

  /** Sends the points of the processes that live, and of the collector where that was asked for. */
  private collect(): void {
    const { own } = this.requests;
    if (this.own !== null && own.idle) own.push(this.own());
    const { idle } = this.requests.losses;
    for (const process of this.files.processes.values()) {
      if (process.over || !process.files.some(lives)) continue;
      this.requests.collect(process);
      if (idle) this.reportLosses(process);
    }
    this.requests.flushMetrics();
  }

  private reportLosses(process: FollowedProcess): void {
    const request = reportLosses(process);
    if (request !== null) this.requests.pushLosses(request);
  }

  /** Processes that are over: sends what they left, and closes files whose content is safe. */
  private settle(): void {
    const { files, requests } = this;
    // What was stored is in no journal yet.
    if (this.journal?.isFull) return;
    for (const process of files.processes.values()) {
      if (!process.over) {
        if (!this.isOver(process)) continue;
        // Of a file that went away while nobody looked, nothing else is known.
        const isClean = process.files.length > 0 &&
          process.files.every((file) => file.owner === "clean");
        const why = isClean ? "closed" : "died";
        this.journal?.interrupted(process.state.index, why);
        requests.assembler.interrupt(process.state, INTERRUPTIONS[why]);
        requests.collectLast(process);
        this.reportLosses(process);
        process.over = true;
      }
      if (process.unanswered > 0 || requests.assembler.isBatched(process.state)) continue;
      if (process.missing > 0) continue;
      if (SIGNALS.some((signal) => process.undelivered[signal] > 0)) continue;
      // Nor before what was stored of them is on the disk, which is so once it was.
      const outlasts = process.hadSynced || process.files.some((file) => file.isSynced);
      process.isSafe ||= !outlasts || this.journal?.secure(true) !== false;
      if (!process.isSafe) continue;
      for (const file of [...process.files]) {
        if (file.owner !== "replaced") releaseRings(file);
        files.retire(file);
      }
      if (process.files.length === 0) this.forget(process);
    }
    requests.flushMetrics();
  }

  /** Files that were superseded and read to the end, while their process goes on in others. */
  private retireSuperseded(): void {
    for (const process of this.files.processes.values()) {
      if (process.over) continue;
      for (const file of [...process.files]) {
        if (file.owner !== "superseded" || !hasSuccessor(file)) continue;
        // The older one first: without the one that continues it, it would stay as long as its process.
        if (file.older !== null) continue;
        if (file.drain.rings.every((_, ring) => isDrained(file.drain, ring))) {
          if (file.isSynced && this.journal?.secure() === false) continue;
          if (!file.reported) this.reportLosses(process);
          file.reported = true;
          this.files.retire(file);
        }
      }
    }
  }

  private isOver(process: FollowedProcess): boolean {
    const { files } = process;
    if (process.missing > 0) return false;
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

  private answered(request: Request, outcome: Outcome): void {
    for (const index of request.processes) {
      const process = this.files.byIndex(index);
      process.unanswered--;
      // What was refused for good would be refused again.
      if (outcome.gaveUp) process.undelivered[request.signal] += Math.max(1, outcome.dropped);
    }
    this.wake?.();
  }

  /**
   * Lets answers and connections in. Now and then by a timer: between turns that never wait, Deno looks
   * for input and output only at every 61st, which takes for ever where others want the processor.
   */
  private breathe(): Promise<void> {
    const now = performance.now();
    if (now - this.breathedAt < BREATH_MS) return new Promise((resolve) => setImmediate(resolve));
    this.breathedAt = now;
    return new Promise((resolve) => setTimeout(resolve, 0));
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

/**
 * Gives back what was taken from files whose owners live. Of a file whose owner is gone nothing is
 * given back before its content is delivered. A superseded one is given back at once: its writer may
 * be waiting for it. Those that outlast a loss of power wait until what was taken is on the disk.
 */
function releaseLiving({ files }: FollowedProcess, isSecure: boolean): void {
  for (const file of files) {
    if (!lives(file) || (file.isSynced && !isSecure)) continue;
    releaseRings(file);
    attach(file);
  }
}

/** Somebody may still write to the process's files. */
export function lives({ owner }: FollowedFile): boolean {
  return owner === "writing" || owner === "superseded";
}

/** What was counted since. */
function difference<T extends { readonly [K in keyof T]: number }>(now: T, before: T): T {
  const entries = Object.entries(now) as [keyof T, number][];
  return Object.fromEntries(entries.map(([key, count]) => [key, count - before[key]])) as T;
}
