/**
 * From spans, log records and measurements to requests, and what became of these: when a batch is
 * sealed, when metrics are collected, and how far each signal's backend keeps up.
 *
 * @module
 */
import { Aggregator, type AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import { Assembler, type Limits } from "../../lib/otlp/assemble.ts";
import type { Batch } from "../../lib/otlp/batch.ts";
import type { Request, Signal } from "../../lib/otlp/request.ts";
import type { ProcessState } from "../../lib/otlp/source.ts";
import type { DrainJournal, Intake } from "./drain.ts";
import { type ReceivedRequest, SendQueue, type Sink } from "./queue.ts";
import type { Outcome } from "../send/send.ts";
import { forEachSignal, SIGNALS } from "./signals.ts";

/**
 * A request is sealed when it has this many bytes, however few its items. gRPC servers take 4 MiB
 * unless told otherwise: there is room for the last item, and for what processors add.
 */
export const MAX_REQUEST_BYTES = 3 << 20;

/** How requests are made. */
export interface RequestOptions {
  /** Where requests go, by signal. */
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** Spans or log records in a request at most. */
  readonly batchSize: number;
  /** A batch that is not full is sent after this many milliseconds. */
  readonly flushIntervalMs: number;
  readonly limits: Limits;
  readonly aggregation: AggregatorOptions;
}

/** Who wants to know of requests. */
export interface RequestEvents {
  /** A request that holds something of these processes is on its way. */
  sent(processes: readonly number[]): void;
  /** Its fate is known. */
  answered(request: Request, outcome: Outcome): void;
}

/** Keeps what requests are made of, and requests until that is kept (collector/journal/). */
export interface RequestJournal extends DrainJournal {
  /** Something is sealed that would not have been by itself. */
  sealed(signal: Signal): void;
  /** Points are collected, with `last` for the last time, as of a time. */
  collected(process: number, low: number, high: number, last: boolean): void;
  /** A request is made, which this gives to `give` when its time has come. */
  hold(request: Request): void;
  /** What became of it is known. */
  answered(request: Request, outcome: Outcome): void;
}

/** A process, as far as its metrics are concerned. */
export interface Collected {
  readonly state: ProcessState;
  /** Time of its last points, ns since the Unix epoch; 0 before the first. */
  collectedAt: bigint;
}

/** A request in the making: the points of several collections. */
interface Gathered extends Request {
  readonly isGathered: true;
  buffer: Uint8Array<ArrayBuffer>;
  length: number;
  items: number;
  readonly processes: number[];
}

function nothingGathered(): Gathered {
  return {
    signal: "metrics",
    isGathered: true,
    buffer: new Uint8Array(0),
    length: 0,
    items: 0,
    processes: [],
  };
}

/** The requests of all signals. */
export class Requests {
  readonly assembler: Assembler;
  aggregator: Aggregator;
  readonly queues: Readonly<Record<Signal, SendQueue>>;
  /** Metrics of the collector itself: of the same backend, and counted apart. */
  readonly own: SendQueue;
  /** Requests of others, which go to the same backend, and are counted apart as well. */
  readonly received: Readonly<Record<Signal, SendQueue<ReceivedRequest>>>;
  /** What was lost of applications' records: likewise, but files are kept until it is answered. */
  readonly losses: SendQueue;
  /** What draining needs; `block` keeps it up to date. */
  intake: Intake;
  /** A batch is sealed when it has this many items. */
  batchSize: number;

  /** Points of processes that have few, which are to go together. */
  private gathered: Gathered = nothingGathered();

  private readonly options: RequestOptions;
  private readonly events: RequestEvents;
  private journal: RequestJournal | null = null;
  private readonly blocked = { traces: false, metrics: false, logs: false };
  /** When the first item of the batch in the making came, milliseconds. */
  private readonly since = { traces: 0, logs: 0 };

  /** Begin of this round, and of the last. */
  private roundAt = performance.now();
  private recordedSince = this.roundAt;

  constructor(options: RequestOptions, events: RequestEvents) {
    this.options = options;
    this.events = events;
    this.batchSize = options.batchSize;
    this.assembler = new Assembler((batch) => this.added(batch), options.limits);
    this.aggregator = this.newAggregator(options.aggregation);
    this.queues = forEachSignal((signal) =>
      new SendQueue(options.sinks[signal], (request, outcome) => this.answered(request, outcome))
    );
    // What was stored first has its outcome when it was sent, whoever it is from.
    for (const signal of SIGNALS) {
      options.sinks[signal].later?.((outcome, seconds) =>
        this.queues[signal].count(outcome, seconds)
      );
    }
    this.own = new SendQueue(options.sinks.metrics.direct ?? options.sinks.metrics, () => {});
    this.received = forEachSignal((signal) =>
      new SendQueue(options.sinks[signal], (request, outcome) => request.answer(outcome))
    );
    this.losses = new SendQueue(
      options.sinks.metrics,
      (request, outcome) => this.events.answered(request, outcome),
    );
    const { assembler, aggregator, blocked } = this;
    this.intake = { assembler, aggregator, blocked };
  }

  /** From now on everything is kept there. */
  keepIn(journal: RequestJournal): void {
    this.journal = journal;
    this.intake = { ...this.intake, journal };
  }

  /** Starts all metrics anew, with other options. */
  aggregate(options: AggregatorOptions): void {
    this.aggregator = this.newAggregator(options);
    this.intake = { ...this.intake, aggregator: this.aggregator };
  }

  private newAggregator(options: AggregatorOptions): Aggregator {
    return new Aggregator((source, ref) => this.assembler.scopeOf(source, ref), options);
  }

  /** True when every request of what was recorded is answered. */
  get answeredAll(): boolean {
    return SIGNALS.every((signal) => this.queues[signal].empty);
  }

  /** True when every request is answered, also of the collector's own metrics. */
  get empty(): boolean {
    return this.own.empty && this.losses.empty && this.answeredAll &&
      SIGNALS.every((signal) => this.received[signal].empty);
  }

  /** Items of requests that are not answered. */
  get unanswered(): number {
    return SIGNALS.reduce((sum, signal) => sum + this.queues[signal].unanswered, 0);
  }

  /** True when no stored request is on its way, or none would arrive now. */
  get settled(): boolean {
    return SIGNALS.every((signal) => this.options.sinks[signal].settled !== false);
  }

  /** True when some signal's requests pile up. */
  get full(): boolean {
    return SIGNALS.some((signal) => this.queues[signal].full);
  }

  /** Signals whose requests pile up. */
  get fullQueues(): number {
    let count = 0;
    for (const signal of SIGNALS) if (this.queues[signal].full) count++;
    return count;
  }

  /**
   * Says what may be taken from a process now.
   *
   * @param lives Its measurements are aggregated whatever becomes of requests: that takes no more
   * memory the longer it lasts. The ones of a process that is gone can wait in its files.
   */
  block(lives: boolean): void {
    const { blocked, queues } = this;
    blocked.traces = queues.traces.full;
    blocked.logs = queues.logs.full;
    blocked.metrics = !lives && queues.metrics.full;
  }

  /** A round begins: what it finds may have been recorded right after the last one. */
  beginRound(now: number): void {
    this.recordedSince = this.roundAt;
    this.roundAt = now;
  }

  /** Milliseconds until a batch has waited for long enough; Infinity where there is none. */
  untilFlush(): number {
    const { spans, logs } = this.assembler;
    const since = Math.min(
      spans.items > 0 ? this.since.traces : Infinity,
      logs.items > 0 ? this.since.logs : Infinity,
    );
    return Math.max(1, since + this.options.flushIntervalMs - performance.now());
  }

  /** Sends the batches that waited for long enough. */
  flushIfDue(): void {
    const due = performance.now() - this.options.flushIntervalMs;
    const { spans, logs } = this.assembler;
    if (spans.items > 0 && this.since.traces <= due) this.flushBatch(spans);
    if (logs.items > 0 && this.since.logs <= due) this.flushBatch(logs);
  }

  /** Sends the batches as they are, and the points that were collected. */
  flush(): void {
    this.flushBatch(this.assembler.spans);
    this.flushBatch(this.assembler.logs);
    this.flushMetrics();
  }

  /** Sends a batch as it is, for no reason that lies in it. */
  flushBatch(batch: Batch): void {
    if (batch.items === 0) return;
    this.journal?.sealed(batch.signal);
    this.seal(batch);
  }

  /** Sends the points of a process that lives, as of now. */
  collect(process: Collected): void {
    this.collectAt(process, BigInt(Date.now()) * 1_000_000n, false);
  }

  /**
   * Sends the points of a process that is over, and forgets its series. They are as of the last time
   * in its records, so that they are not dated to when somebody came to read its files.
   */
  collectLast(process: Collected): void {
    const { lastLow, lastHigh } = process.state;
    const last = BigInt(lastHigh >>> 0) << 32n | BigInt(lastLow >>> 0);
    const now = BigInt(Date.now()) * 1_000_000n;
    this.collectAt(process, last > 0n && last < now ? last : now, true);
  }

  /** Sends the points of a process as of a time, and forgets its series if they are the last. */
  collectAt(process: Collected, wanted: bigint, isLast: boolean): void {
    const { index } = process.state;
    const { aggregator } = this;
    const hasPoints = aggregator.hasPoints(index);
    if (!hasPoints && !isLast) return;
    // Never before the points that were sent already, whatever clocks and records say.
    const time = wanted > process.collectedAt ? wanted : process.collectedAt + 1n;
    const low = Number(time & 0xffffffffn) | 0;
    const high = Number(time >> 32n) | 0;
    this.journal?.collected(index, low, high, isLast);
    if (hasPoints) {
      process.collectedAt = time;
      aggregator.collect(index, low, high, (request) => this.gather(request));
    }
    if (isLast) aggregator.removeProcess(index);
  }

  /** Points of many processes go together: a request each would take longer than their interval. */
  private gather(request: Request): void {
    this.events.sent(request.processes);
    const { length } = request;
    const isLarge = 2 * length > MAX_REQUEST_BYTES;
    if (isLarge || this.gathered.length + length > MAX_REQUEST_BYTES) this.pushGathered();
    // A copy would gain nothing.
    if (isLarge) return this.push(request);
    const { gathered } = this;
    const end = gathered.length + length;
    if (gathered.buffer.length < end) {
      const buffer = new Uint8Array(Math.min(MAX_REQUEST_BYTES, Math.max(2 * end, 64 << 10)));
      buffer.set(gathered.buffer.subarray(0, gathered.length));
      gathered.buffer = buffer;
    }
    // Messages one after the other are one message with all their repeated fields.
    gathered.buffer.set(request.buffer.subarray(0, length), gathered.length);
    gathered.length = end;
    gathered.items += request.items;
    // Once for each request that went into it.
    gathered.processes.push(...request.processes);
    this.aggregator.recycle(request);
  }

  /** Sends the points that were collected. */
  flushMetrics(): void {
    if (this.gathered.length === 0) return;
    this.journal?.sealed("metrics");
    this.pushGathered();
  }

  private pushGathered(): void {
    const { gathered } = this;
    if (gathered.length === 0) return;
    this.gathered = nothingGathered();
    this.push(gathered);
  }

  /** Sends what was lost of a process's records. */
  pushLosses(request: Request): void {
    this.events.sent(request.processes);
    this.losses.push(request);
  }

  /** Nothing more comes: nothing is held back any longer. */
  finish(): void {
    for (const signal of SIGNALS) this.options.sinks[signal].flush?.();
  }

  /** Ends every request on its way as dropped. */
  abort(reason: string): void {
    for (const signal of SIGNALS) this.options.sinks[signal].abort(reason);
  }

  /** Closes the sinks. */
  async close(): Promise<void> {
    await Promise.all(SIGNALS.map((signal) => this.options.sinks[signal].close()));
  }

  private added(batch: Batch): void {
    if (batch.items === 1) this.since[batch.signal] = this.recordedSince;
    if (batch.items >= this.batchSize || batch.bytes >= MAX_REQUEST_BYTES) {
      this.seal(batch);
    }
  }

  private seal(batch: Batch): void {
    const request = batch.seal();
    if (request === null) return;
    this.events.sent(request.processes);
    this.push(request);
  }

  private push(request: Request): void {
    if (this.journal === null) this.give(request);
    else this.journal.hold(request);
  }

  /** Gives a request to its queue. */
  give(request: Request): void {
    this.queues[request.signal].push(request);
  }

  /** What became of a request is known. */
  answered(request: Request, outcome: Outcome): void {
    this.journal?.answered(request, outcome);
    this.events.answered(request, outcome);
    if (request.signal !== "metrics") this.batchOf(request.signal).recycle(request);
    // A gathered one's buffer is let go: for the points of one process it is much too large.
    else if (!("isGathered" in request)) this.aggregator.recycle(request);
  }

  private batchOf(signal: "traces" | "logs"): Batch {
    return signal === "traces" ? this.assembler.spans : this.assembler.logs;
  }
}
