/**
 * Requests of one signal on their way: a few at a time are sent, a few more wait, and beyond that the
 * collector stops taking records of that signal until there is room again, so that the rings hold
 * what memory need not.
 *
 * @module
 */
import type { Request } from "../lib/otlp/request.ts";
import { addLatency, createLatency, type Latency } from "./health/latency.ts";
import type { Outcome, SenderState } from "./send.ts";

/** Where the requests of one signal go. */
export interface Sink {
  /** Delivers one export request with that many items. Never rejects. */
  send(body: Uint8Array, items: number): Promise<Outcome>;
  /** Ends every pending send as dropped. */
  abort(reason: string): void;
  close(): Promise<void>;
  /** Nothing more comes: what waits for something else than its delivery is delivered now. */
  flush?(): void;
  /** Requests to be given at the same time; {@linkcode MAX_RUNNING} where it does not say. */
  readonly concurrency?: number;
  /** True when no more records should be taken. */
  readonly full?: boolean;
  /** Whether sending works, where something is sent. */
  readonly state?: SenderState;
}

/** Requests sent at the same time. */
export const MAX_RUNNING = 2;
/** Requests that wait for one of these. */
export const MAX_WAITING = 4;

/** The requests that are not answered. */
export class SendQueue {
  readonly totals = { accepted: 0, rejected: 0, dropped: 0, filtered: 0, requests: 0 };
  /** Requests being sent. */
  running = 0;
  /** How long requests took, every attempt and wait included. */
  readonly latency: Latency = createLatency();
  private readonly waiting: Request[] = [];
  private readonly sink: Sink;
  private readonly onAnswer: (request: Request, outcome: Outcome) => void;

  /** @param onAnswer Called for each request once its fate is known. */
  constructor(sink: Sink, onAnswer: (request: Request, outcome: Outcome) => void) {
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

  /** Adds a request. */
  push(request: Request): void {
    if (this.running < (this.sink.concurrency ?? MAX_RUNNING)) void this.send(request);
    else this.waiting.push(request);
  }

  private async send(request: Request): Promise<void> {
    this.running++;
    const body = request.buffer.subarray(0, request.length);
    const begun = performance.now();
    const outcome = await this.sink.send(body, request.items);
    addLatency(this.latency, (performance.now() - begun) / 1000);
    this.running--;
    this.totals.accepted += outcome.accepted;
    this.totals.rejected += outcome.rejected;
    this.totals.dropped += outcome.dropped;
    this.totals.filtered += outcome.filtered ?? 0;
    this.totals.requests++;
    const next = this.waiting.shift();
    if (next !== undefined) void this.send(next);
    this.onAnswer(request, outcome);
  }
}
