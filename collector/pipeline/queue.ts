/**
 * Requests of one signal on their way: a few at a time are sent, a few more wait, and beyond that the
 * collector stops taking records of that signal until there is room again, so that the rings hold
 * what memory need not.
 *
 * @module
 */
import type { Request } from "../../lib/otlp/request.ts";
import type { Spool } from "../../lib/spool/mod.ts";
import { addLatency, createLatency, type Latency } from "../health/latency.ts";
import type { Outcome, SenderState } from "../send/send.ts";

/** Where the requests of one signal go. */
export interface Sink {
  /**
   * Delivers one export request with that many items. Never rejects.
   *
   * @param mark What a sink that stores requests keeps with it: it says which was the last.
   */
  send(body: Uint8Array, items: number, mark?: Uint8Array): Promise<Outcome>;
  /** Ends every pending send, and every later one, as dropped. */
  abort(reason: string): void;
  close(): Promise<void>;
  /** Nothing more comes: what waits for something else than its delivery is delivered now. */
  flush?(): void;
  /** Requests to be given at the same time; {@linkcode MAX_RUNNING} where it does not say. */
  readonly concurrency?: number;
  /** True when no more records should be taken. */
  readonly full?: boolean;
  /** True when somebody waits for something to send, though not everything is answered. */
  readonly idle?: boolean;
  /** Told what became of stored requests, and after how many seconds. */
  later?(report: (outcome: Outcome, seconds: number) => void): void;
  /** The sink that does not store. */
  readonly direct?: Sink;
  /** False while stored requests are on their way, and it looks as if they would arrive. */
  readonly settled?: boolean;
  /** Where something is sent. */
  readonly endpoints?: readonly Endpoint[];
}

/** An endpoint of one signal. */
export interface Endpoint {
  /** For messages, without credentials. */
  readonly name: string;
  /** Whether sending works. */
  readonly state?: SenderState;
  /** What is on its way there alone, where there are several. */
  readonly queue?: QueueState;
  /** What waits for it alone on a disk. */
  readonly spool?: Spool;
}

/** What is known of the requests that are not answered, and of those that are. */
export type QueueState = Pick<
  SendQueue,
  "totals" | "running" | "pending" | "pendingBytes" | "empty"
>;

/** A request on its way. */
export interface Parcel {
  /** Its bytes are the first `length`. */
  readonly buffer: Uint8Array;
  readonly length: number;
  /** Spans, data points or log records in it. */
  readonly items: number;
  /** How far what has been emitted so far reaches, this included (collector/journal/). */
  readonly mark?: Uint8Array;
}

/** A request that somebody else made, and waits for. */
export interface ReceivedRequest extends Parcel {
  answer(outcome: Outcome): void;
}

/** Items by what became of them. */
export interface Totals {
  readonly accepted: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly filtered: number;
}

/** Requests sent at the same time. */
export const MAX_RUNNING = 2;
/** Requests that wait for one of these. */
export const MAX_WAITING = 4;

/** The requests that are not answered. */
export class SendQueue<R extends Parcel = Request> {
  readonly totals = { accepted: 0, rejected: 0, dropped: 0, filtered: 0, requests: 0 };
  /** Requests being sent. */
  running = 0;
  /** Items of requests that are sent or wait. */
  unanswered = 0;
  /** How long requests took, every attempt and wait included. */
  readonly latency: Latency = createLatency();
  /** Bytes of the buffers of requests that wait. */
  pendingBytes = 0;
  private readonly waiting: R[] = [];
  private readonly sink: Sink;
  private readonly onAnswer: (request: R, outcome: Outcome) => void;

  /** @param onAnswer Called for each request once its fate is known. */
  constructor(sink: Sink, onAnswer: (request: R, outcome: Outcome) => void) {
    this.sink = sink;
    this.onAnswer = onAnswer;
  }

  /** Requests that wait to be sent. */
  get pending(): number {
    return this.waiting.length;
  }

  /** True when no more records should be taken. */
  get full(): boolean {
    return this.waiting.length >= MAX_WAITING || this.sink.full === true;
  }

  /** True when nothing is on its way. */
  get empty(): boolean {
    return this.running === 0 && this.waiting.length === 0;
  }

  /** True when there is somebody to send the next request to. */
  get idle(): boolean {
    return this.empty || this.sink.idle === true;
  }

  /** The endpoints with queues of their own: none, or several. */
  get lanes(): readonly Required<Pick<Endpoint, "name" | "queue">>[] {
    return (this.sink.endpoints ?? []).flatMap(({ name, queue }) => queue ? [{ name, queue }] : []);
  }

  /** Adds a request. */
  push(request: R): void {
    this.unanswered += request.items;
    if (this.running < (this.sink.concurrency ?? MAX_RUNNING)) void this.send(request);
    else {
      this.waiting.push(request);
      this.pendingBytes += request.buffer.buffer.byteLength;
    }
  }

  /** Drops the request that waits for longest. Returns its items; 0 when none waits. */
  dropOldest(): number {
    const request = this.shift();
    if (request === undefined) return 0;
    const { items } = request;
    this.totals.dropped += items;
    this.unanswered -= items;
    const reason = "the endpoint does not keep up";
    this.onAnswer(request, { accepted: 0, rejected: 0, dropped: items, reason });
    return items;
  }

  private shift(): R | undefined {
    const request = this.waiting.shift();
    if (request !== undefined) this.pendingBytes -= request.buffer.buffer.byteLength;
    return request;
  }

  private async send(request: R): Promise<void> {
    this.running++;
    const body = request.buffer.subarray(0, request.length);
    const begun = performance.now();
    const outcome = await this.sink.send(body, request.items, request.mark);
    this.running--;
    this.unanswered -= request.items;
    if (outcome.stored === undefined) this.count(outcome, (performance.now() - begun) / 1000);
    const next = this.shift();
    if (next !== undefined) void this.send(next);
    this.onAnswer(request, outcome);
  }

  /** Adds what became of a request, and how long it took. One that is stored further on counts there. */
  count(outcome: Outcome, seconds: number): void {
    this.totals.accepted += outcome.accepted;
    this.totals.rejected += outcome.rejected;
    this.totals.dropped += outcome.dropped;
    this.totals.filtered += outcome.filtered ?? 0;
    if (outcome.stored !== undefined) return;
    addLatency(this.latency, seconds);
    this.totals.requests++;
  }
}
