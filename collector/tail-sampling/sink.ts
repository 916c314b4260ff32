/**
 * Tail sampling: holds spans until it is known what became of their trace, and sends those of the
 * traces that are worth it.
 *
 * A request that comes in is answered when the fate of its last span is known, so that files are
 * released no sooner than without.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { MAX_RUNNING, type Sink } from "../pipeline/queue.ts";
import { MAX_REQUEST_BYTES } from "../pipeline/requests.ts";
import type { Outcome } from "../send/send.ts";
import { Decider, type Policies } from "./policies.ts";
import { RequestReader, type SpanBytes, writeRequest } from "./request.ts";

/** How to sample. */
export interface TailSampling {
  /** A trace is decided on so long after its first span came, milliseconds. */
  readonly decisionWaitMs: number;
  /** Spans held at most: beyond it the oldest traces are decided on early. */
  readonly maxSpans: number;
  readonly policies: Policies;
}

/** What was counted since the start. */
export interface TailSamplingCounts {
  /** Traces kept and left out, and those of either decided on early for want of room. */
  kept: number;
  sampledOut: number;
  early: number;
}

/** A sink that samples. */
export interface TailSamplingSink extends Sink {
  readonly counts: TailSamplingCounts;
  /** Spans held: undecided, or kept and not sent yet. */
  readonly held: number;
  /** Decides on the traces that are due. */
  tick(): void;
}

/** Traces whose fate is remembered, for spans that come late. */
const MAX_DECIDED = 100_000;
const TICK_MS = 100;

/** A request that came in. */
interface Incoming {
  /** Spans whose fate is not known. */
  left: number;
  readonly outcome: Outcome & { filtered: number };
  readonly answer: (outcome: Outcome) => void;
}

type Fate = "accepted" | "rejected" | "dropped" | "filtered" | "stored";

interface Held {
  readonly span: SpanBytes;
  readonly of: Incoming;
}

interface Trace {
  /** When its first span came, ms. */
  readonly since: number;
  readonly spans: Held[];
  error: boolean;
  start: bigint;
  end: bigint;
  service: string;
}

/**
 * Puts tail sampling before a sink for traces.
 *
 * @param current Asked at every decision, since it may be another after a reload; null to keep all.
 * @param batchSize Spans in a request to the inner sink at most.
 * @param now Milliseconds that never go back.
 */
export function createTailSamplingSink(
  sink: Sink,
  current: () => TailSampling | null,
  batchSize: number,
  now: () => number = () => performance.now(),
): TailSamplingSink {
  const reader = new RequestReader();
  const decider = new Decider();
  const counts: TailSamplingCounts = { kept: 0, sampledOut: 0, early: 0 };
  /** By trace id, in the order in which their first spans came. */
  const traces = new Map<string, Trace>();
  const decided = new Map<string, boolean>();
  let undecided = 0;
  /** Kept, and to be sent. */
  let outgoing: Held[] = [];
  let running = 0;
  let aborted: string | undefined;
  let flushed = false;
  let timer: ReturnType<typeof setInterval> | undefined;

  function settle({ of }: Held, fate: Fate): void {
    of.outcome[fate] = (of.outcome[fate] ?? 0) + 1;
    if (--of.left === 0) of.answer(of.outcome);
  }

  function decide(id: string, trace: Trace, sampling: TailSampling | null): void {
    traces.delete(id);
    undecided -= trace.spans.length;
    const { traceId } = trace.spans[0].span;
    const isKept = sampling === null ||
      decider.keeps(sampling.policies, { ...trace, traceId }, now());
    counts[isKept ? "kept" : "sampledOut"]++;
    if (decided.size >= MAX_DECIDED) decided.delete(decided.keys().next().value!);
    decided.set(id, isKept);
    for (const held of trace.spans) {
      if (isKept) outgoing.push(held);
      else settle(held, "filtered");
    }
  }

  function tick(): void {
    const sampling = current();
    const due = sampling === null ? Infinity : now() - sampling.decisionWaitMs;
    const most = sampling === null ? 0 : sampling.maxSpans;
    for (const [id, trace] of traces) {
      const isDue = trace.since <= due;
      if (!isDue && undecided <= most) break;
      if (!isDue) counts.early++;
      decide(id, trace, sampling);
    }
    ship();
    // A sink that was full does not say when it is no longer.
    if (undecided + outgoing.length === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  function ship(): void {
    if (aborted !== undefined) {
      const rest = outgoing;
      outgoing = [];
      conclude(rest, givenUp(rest.length, aborted));
    }
    const most = sink.concurrency ?? MAX_RUNNING;
    while (outgoing.length > 0 && running < most && !sink.full) {
      let count = 0;
      for (let bytes = 0; count < outgoing.length && count < batchSize;) {
        bytes += outgoing[count++].span.bytes.length;
        if (bytes >= MAX_REQUEST_BYTES) break;
      }
      const batch = outgoing.slice(0, count);
      outgoing = outgoing.slice(count);
      void send(batch);
    }
  }

  function decideAll(): void {
    const sampling = current();
    for (const [id, trace] of traces) decide(id, trace, sampling);
    ship();
  }

  function givenUp(items: number, reason: string): Outcome {
    return { accepted: 0, rejected: 0, dropped: items, reason, gaveUp: true };
  }

  async function send(batch: readonly Held[]): Promise<void> {
    running++;
    const outcome = await sink.send(writeRequest(batch.map(({ span }) => span)), batch.length);
    running--;
    conclude(batch, outcome);
    ship();
  }

  function conclude(batch: readonly Held[], outcome: Outcome): void {
    // Which ones were refused or left out is not said. What was given up may be of any request.
    let { rejected, dropped, filtered = 0, stored = 0 } = outcome;
    for (const held of batch) {
      const { of } = held;
      if (outcome.gaveUp) of.outcome.gaveUp = true;
      if (outcome.reason !== undefined) of.outcome.reason ??= outcome.reason;
      if (dropped-- > 0) settle(held, "dropped");
      else if (rejected-- > 0) settle(held, "rejected");
      else if (filtered-- > 0) settle(held, "filtered");
      else settle(held, stored-- > 0 ? "stored" : "accepted");
    }
  }

  function add(held: Held, sampling: TailSampling): void {
    const { span } = held;
    const id = Buffer.from(span.traceId).toString("latin1");
    const fate = decided.get(id);
    if (fate !== undefined) {
      if (fate) outgoing.push(held);
      else settle(held, "filtered");
      return;
    }
    undecided++;
    const trace = traces.get(id);
    if (trace === undefined) {
      const { error, start, end, scope: { resource: { service } } } = span;
      traces.set(id, { since: now(), spans: [held], error, start, end, service });
    } else {
      trace.spans.push(held);
      trace.error ||= span.error;
      if (span.start < trace.start) trace.start = span.start;
      if (span.end > trace.end) trace.end = span.end;
      if (span.isRoot) trace.service = span.scope.resource.service;
    }
    if (undecided > sampling.maxSpans) tick();
  }

  return {
    counts,
    tick,
    get concurrency() {
      // Requests are held for as long as their spans are.
      return current() === null ? sink.concurrency : Infinity;
    },
    get endpoints() {
      return sink.endpoints;
    },
    get held() {
      return undecided + outgoing.length;
    },
    get full() {
      return outgoing.length > (current()?.maxSpans ?? 0) || sink.full === true;
    },
    async send(body, items) {
      if (aborted !== undefined) return givenUp(items, aborted);
      const sampling = current();
      if (sampling === null && traces.size === 0) return await sink.send(body, items);
      return await new Promise((answer) => {
        const spans = reader.read(body);
        const outcome = { accepted: 0, rejected: 0, dropped: 0, filtered: 0 };
        const of: Incoming = { left: spans.length, outcome, answer };
        for (const span of spans) {
          if (sampling === null) outgoing.push({ span, of });
          else add({ span, of }, sampling);
        }
        ship();
        if (flushed) decideAll();
        else timer ??= setInterval(tick, TICK_MS);
      });
    },
    flush() {
      flushed = true;
      decideAll();
    },
    abort(reason) {
      aborted ??= reason;
      sink.abort(reason);
      // One by one: a trace may have more spans than a call can have arguments.
      for (const { spans } of traces.values()) for (const held of spans) outgoing.push(held);
      traces.clear();
      undecided = 0;
      ship();
    },
    close() {
      clearInterval(timer);
      return sink.close();
    },
    later: (report) => sink.later?.(report),
    get settled() {
      return sink.settled;
    },
  };
}
