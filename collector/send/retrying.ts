/**
 * Keeps trying by the rules of OTLP, whatever carries the requests: backoff, waits that the backend
 * asks for, giving up, and saying what goes wrong.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { createProblems, type Log } from "./problems.ts";
import { type Backoff, backoffMs } from "./retry.ts";
import type { Outcome, Sender } from "./send.ts";
import { ITEMS } from "../pipeline/signals.ts";
import { addOutcomes, halve, leftOf } from "./split.ts";

/** What one attempt came to. */
export type Answer =
  | {
    /** The backend has it: never again. */
    readonly kind: "taken";
    /** Items that it refused all the same, from 0 to the number sent. */
    readonly rejected: number;
    /** What to tell people; absent when there is nothing to tell. */
    readonly reason?: string;
  }
  | {
    /**
     * `retry`: again later. `refused`: never again. `unwanted`: never again, and so it will be for all
     * requests of the signal, which this backend does not take. `too-large`: in smaller parts.
     */
    readonly kind: "retry" | "refused" | "unwanted" | "too-large";
    /** The same for failures of the same kind. */
    readonly key: string;
    /** What happened and what to do, one line. */
    readonly reason: string;
    /** The backend wants no request for so long, milliseconds. */
    readonly waitMs?: number;
  };

/** An attempt on its way. */
export interface Attempt {
  /** Never rejects. */
  readonly answer: Promise<Answer>;
  /** Cuts it off: `answer` resolves at once. */
  cancel(): void;
}

/** What carries requests to one place. */
export interface Transport {
  /** Where to, for messages: without credentials. */
  readonly url: string;
  /**
   * Makes what is sent, once for all attempts, from an export request (protobuf bytes).
   *
   * @throws Error that says what failed.
   */
  prepare(body: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Sends it once; it must stay as it is until there is an answer. */
  attempt(payload: Uint8Array, items: number): Attempt;
  /** Closes the connections. */
  close(): void;
}

/** What became of one body: the backend may take it in smaller parts. */
interface Answered extends Outcome {
  tooLarge?: boolean;
}

/** How to go on trying. */
export interface RetryingOptions {
  readonly signal: Signal;
  readonly backoff: Backoff;
  /**
   * A batch is given up after this many milliseconds of trying, counted from the first attempt that
   * came to nothing since the backend last answered, if that was before.
   */
  readonly maxElapsedMs: number;
  /** Where problems and recoveries are said. */
  readonly log: Log;
}

/** A batch that has failed so often, a matter of minutes, no longer keeps others waiting. */
const MAX_FIRST_ATTEMPTS = 10;

/** Makes a sender of something that makes single attempts. */
export function createRetrying(options: RetryingOptions, transport: Transport): Sender {
  const { signal, backoff, maxElapsedMs, log } = options;
  const { url } = transport;
  const items = ITEMS[signal];
  const now = (): number => performance.now();
  const problems = createProblems(log, now);
  // What abort() has to cut short: running attempts and waits.
  const cancels = new Set<() => void>();
  const state = {
    ok: true,
    lastError: undefined as string | undefined,
    failures: 0,
    allFailures: 0,
    takes: null as boolean | null,
  };
  let failingSince = 0;
  // When the first attempt began of those that came to nothing since the last real answer.
  let silentSince: number | null = null;
  let aborted: string | undefined;
  // The backend asked for quiet until then, whichever batch it told.
  let quietUntil = 0;
  // Batches in the order in which they came. While attempts fail only the first of them is tried: the
  // backend has less to refuse, and gets them in that order when it is back. One that has failed for
  // very long may be why: it goes last.
  const line = new Set<object>();
  const turns = new Map<object, () => void>();

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        cancels.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      cancels.add(done);
    });
  }

  /** Until a batch has left the line. */
  function turn(place: object): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        turns.delete(place);
        cancels.delete(done);
        resolve();
      };
      turns.set(place, done);
      cancels.add(done);
    });
  }

  async function exchange(payload: Uint8Array, count: number): Promise<Answer> {
    const running = transport.attempt(payload, count);
    cancels.add(running.cancel);
    try {
      return await running.answer;
    } finally {
      cancels.delete(running.cancel);
    }
  }

  function failed(reason: string): void {
    if (state.failures === 0) failingSince = now();
    state.ok = false;
    state.lastError = reason;
    state.failures++;
    state.allFailures++;
  }

  function worked(): void {
    const { failures } = state;
    state.ok = true;
    state.lastError = undefined;
    state.failures = 0;
    state.takes = true;
    problems.recovered(() => {
      const seconds = ((now() - failingSince) / 1000).toFixed(1);
      const after = failures === 0 ? "" : ` after ${seconds} s (failed attempts: ${failures})`;
      return `${url}: takes ${items} again${after}`;
    });
  }

  function dropped(count: number, reason: string, gaveUp: boolean): Outcome {
    return { accepted: 0, rejected: 0, dropped: count, reason, ...(gaveUp ? { gaveUp } : {}) };
  }

  /** One attempt: the outcome, or `undefined` when it has to be made again. */
  async function attempt(payload: Uint8Array, count: number): Promise<Answered | undefined> {
    const begun = now();
    const answer = await exchange(payload, count);
    const { kind, reason } = answer;
    silentSince = kind === "retry" ? silentSince ?? begun : null;
    if (kind === "taken") {
      const { rejected } = answer;
      worked();
      if (reason !== undefined) problems.report("partial", "warn", `${url}: ${reason}`, false);
      return { accepted: count - rejected, rejected, dropped: 0, ...(reason ? { reason } : {}) };
    }
    const { key, waitMs = 0 } = answer;
    if (kind === "retry") {
      // An attempt that was cut off says nothing about the backend.
      if (aborted !== undefined) return undefined;
      failed(answer.reason);
      problems.report(key, "warn", `${url}: ${reason}; retrying`);
      quietUntil = Math.max(quietUntil, now() + waitMs);
      return undefined;
    }
    failed(answer.reason);
    if (kind === "unwanted") state.takes = false;
    if (kind === "too-large") return { ...dropped(count, answer.reason, false), tooLarge: true };
    const message = `${url}: ${reason}; ${count} ${items} dropped`;
    // Many backends take traces and nothing else: that goes without repeating.
    if (kind === "unwanted" && signal !== "traces") {
      problems.once(key, "warn", `${message}, and so are all that follow`);
    } else {
      problems.report(key, "error", message);
    }
    if (kind === "refused") return dropped(count, answer.reason, false);
    return { accepted: 0, rejected: count, dropped: 0, reason };
  }

  /** @param started When trying began, which for the halves is when it began for the whole. */
  async function send(body: Uint8Array, count: number, started: number): Promise<Outcome> {
    const { tooLarge, ...outcome } = await sendWhole(body, count, started);
    if (!tooLarge) return outcome;
    const halves = halve(signal, body);
    const said = `${url}: ${outcome.reason}`;
    if (halves === null) {
      problems.report("too-large", "error", `${said}; ${count} ${items} dropped`);
      return outcome;
    }
    problems.report("split", "warn", `${said}; sent again in halves`, false);
    const [first, second] = halves;
    // One after the other: the backend gets no more requests at a time than before.
    const before = await send(first.body, first.items, started);
    const after = await send(second.body, second.items, started);
    const left = [...leftOf(before, first), ...leftOf(after, second)];
    return { ...addOutcomes(before, after), ...(left.length > 0 ? { left } : {}) };
  }

  async function sendWhole(body: Uint8Array, count: number, started: number): Promise<Answered> {
    const place = {};
    line.add(place);
    try {
      return await sendInTurn(place, body, count, started);
    } finally {
      line.delete(place);
      for (const each of [...line]) turns.get(each)?.();
    }
  }

  async function sendInTurn(
    place: object,
    body: Uint8Array,
    count: number,
    started: number,
  ): Promise<Answered> {
    if (aborted !== undefined) return dropped(count, aborted, true);
    let payload: Uint8Array;
    try {
      payload = await transport.prepare(body);
    } catch (error) {
      const reason = (error as Error).message;
      problems.report("prepare", "error", `${reason}; ${count} ${items} dropped`, false);
      return dropped(count, reason, false);
    }
    let nextAttempt = now();
    for (let attempts = 0;;) {
      const wait = Math.max(nextAttempt, quietUntil) - now();
      // Whoever is silent for so long has had its time: with requests that wait, it would take many
      // times as long to give them up one by one.
      const since = Math.min(started, silentSince ?? Infinity);
      if (
        (attempts > 0 || wait > 0 || silentSince !== null) && now() + wait - since > maxElapsedMs
      ) {
        const seconds = Math.round((now() - since) / 1000);
        const reason = `given up after ${seconds} s (attempts: ${attempts}): ${state.lastError}`;
        problems.report("given-up", "error", `${url}: ${count} ${items} ${reason}`);
        return dropped(count, reason, true);
      }
      if (wait > 0 && aborted === undefined) {
        await sleep(wait);
        // Another batch may have been told to be quiet for longer meanwhile.
        continue;
      }
      if (aborted !== undefined) return dropped(count, aborted, true);
      const [first] = line;
      if (state.failures > 0 && first !== place) {
        await turn(place);
        continue;
      }
      const outcome = await attempt(payload, count);
      if (outcome !== undefined) return outcome;
      attempts++;
      if (attempts >= MAX_FIRST_ATTEMPTS && line.size > 1) {
        line.delete(place);
        line.add(place);
        const [next] = line;
        turns.get(next)?.();
      }
      nextAttempt = now() + backoffMs(attempts, Math.random(), backoff);
    }
  }

  function abort(reason: string): void {
    aborted ??= reason;
    for (const cancel of [...cancels]) cancel();
  }

  return {
    send: (body, count) => send(body, count, now()),
    abort,
    close(): Promise<void> {
      abort("the sender was closed");
      transport.close();
      problems.flush();
      return Promise.resolve();
    },
    state,
  };
}
