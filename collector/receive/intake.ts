/**
 * Takes requests of others in: those that are whole go to where the pipeline's own requests go, as
 * many as memory and the backend allow, and are answered when they were delivered.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { ReceivedRequest, SendQueue, Sink } from "../pipeline/queue.ts";
import { forEachSignal, ITEMS } from "../pipeline/signals.ts";
import { checkRequest, TooMuch } from "./check.ts";
import { type Refusal, type Reply, replyTo, TAKEN } from "./reply.ts";

/** What requests come by. */
export type TransportName = "http" | "grpc";

/** Bytes of a request at most, as it is sent and decompressed. */
export const MAX_BODY_BYTES = 16 << 20;
/** Requests of one signal that wait to be sent. */
export const MAX_WAITING = 64;
/** Bytes of requests that are not answered, of all signals; and, apart from these, that are being read. */
export const MAX_HELD_BYTES = 64 << 20;
/** What a request takes at least, however small it is. */
const LEAST_BYTES = 1024;
/** A client waits for its answer for so long; most of them give up after 10 s. */
const MAX_ANSWER_MS = 8_000;

/** What was counted since the start. */
export interface Received {
  /** Requests that came, whatever became of them. */
  readonly requests: Record<Signal, number>;
  /** Items of those that were passed on. */
  readonly items: Record<Signal, number>;
  /** Requests by why they were not taken. */
  readonly refused: Map<Refusal, number>;
}

/** What the intake works with. */
export interface IntakeOptions {
  /** What requests wait in. */
  readonly queues: Readonly<Record<Signal, SendQueue<ReceivedRequest>>>;
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /**
   * Is the fate of a signal's requests known late, because somebody holds them on purpose? They are
   * answered when they are held: their clients would give up, and send them again.
   */
  readonly isHeld: (signal: Signal) => boolean;
  /** True when nothing new should be taken. */
  readonly ending: () => boolean;
}

/** Takes requests in. */
export interface Intake {
  readonly counts: Readonly<Record<TransportName, Received>>;
  /** Has a request counted as not taken. */
  refuse(transport: TransportName, kind: Refusal, reason: string): Reply;
  /** Room for bytes that are being read; false when there is none. `release` gives it back. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
  /** Why a request of the signal need not be read at all; `undefined` when it should be. */
  whyNot(signal: Signal): string | undefined;
  /** Delivers a request (protobuf bytes, which must stay as they are). Never rejects. */
  take(transport: TransportName, signal: Signal, body: Uint8Array): Promise<Reply>;
}

function nothing(): Received {
  return { requests: forEachSignal(() => 0), items: forEachSignal(() => 0), refused: new Map() };
}

/** Makes the intake of a collector. */
export function createIntake({ queues, sinks, isHeld, ending }: IntakeOptions): Intake {
  const counts = { http: nothing(), grpc: nothing() };
  let reading = 0;
  let held = 0;

  function refuse(transport: TransportName, kind: Refusal, reason: string): Reply {
    const { refused } = counts[transport];
    refused.set(kind, (refused.get(kind) ?? 0) + 1);
    return { kind, reason };
  }

  function whyNot(signal: Signal): string | undefined {
    if (ending()) return "the collector is ending";
    const queue = queues[signal];
    if (queue.pending >= MAX_WAITING || held >= MAX_HELD_BYTES || sinks[signal].full === true) {
      return `the collector has no room for more ${ITEMS[signal]} now`;
    }
    const endpoints = sinks[signal].endpoints ?? [];
    const isAway = endpoints.length > 0 && endpoints.every(({ state }) => state?.ok === false);
    // One request is let in all the same: it is with it that the backend is tried again.
    if (isAway && !queue.empty) return `the backend takes no ${ITEMS[signal]} now`;
    return undefined;
  }

  async function take(
    transport: TransportName,
    signal: Signal,
    body: Uint8Array,
  ): Promise<Reply> {
    const { requests, items } = counts[transport];
    requests[signal]++;
    let count: number;
    try {
      count = checkRequest(signal, body);
    } catch (error) {
      const kind = error instanceof TooMuch ? "too_large" : "malformed";
      return refuse(transport, kind, (error as Error).message);
    }
    if (count === 0) return TAKEN;
    const reason = whyNot(signal);
    if (reason !== undefined) return refuse(transport, "busy", reason);
    items[signal] += count;
    const bytes = Math.max(body.length, LEAST_BYTES);
    held += bytes;
    const answered = new Promise<Reply>((resolve) => {
      queues[signal].push({
        buffer: body,
        length: body.length,
        items: count,
        answer(outcome) {
          held -= bytes;
          resolve(replyTo(outcome));
        },
      });
    });
    if (isHeld(signal)) return TAKEN;
    const reply = await soon(answered);
    return reply.kind === "taken" ? reply : refuse(transport, reply.kind, reply.reason);
  }

  return {
    counts,
    refuse,
    reserve(bytes) {
      if (reading + bytes > MAX_HELD_BYTES) return false;
      reading += bytes;
      return true;
    },
    release(bytes) {
      reading -= bytes;
    },
    whyNot,
    take,
  };
}

/** The reply, or that it is not known yet. */
async function soon(answered: Promise<Reply>): Promise<Reply> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Reply>((resolve) => {
    timer = setTimeout(() => {
      const reason = `there is no answer from the backend after ${MAX_ANSWER_MS / 1000} s`;
      resolve({ kind: "busy", reason });
    }, MAX_ANSWER_MS);
  });
  const reply = await Promise.race([answered, late]);
  clearTimeout(timer);
  return reply;
}
