/**
 * The store as the end of a pipeline: requests of all signals that come within a moment are stored in
 * one transaction, and answered when it is committed.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Sink } from "../pipeline/queue.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import type { Log } from "../send/problems.ts";
import type { Outcome } from "../send/send.ts";
import { SQLITE, sqliteCode } from "./database.ts";
import type { Incoming, Store } from "./store.ts";

/** Requests given to the store at the same time, which share its transactions. */
const CONCURRENCY = 8;
/** After a transaction that failed. */
const RETRY_MS = 1_000;
/** How often what is too old or too much is looked for, while nothing comes; and while some is found. */
const RETAIN_MS = 5_000;
const RETAIN_AGAIN_MS = 100;

/** What can be set. */
export interface StoreSinkOptions {
  /** A request is given up after this many milliseconds of trying; Infinity for never. */
  readonly giveUpAfterMs: number;
  readonly log: Log;
}

/** The sinks of a store. */
export interface StoreSinks {
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** Ends what is pending as dropped, and closes the store. */
  close(): void;
}

interface Pending extends Incoming {
  readonly since: number;
  answer(outcome: Outcome): void;
}

/** Makes the sinks, which from now on own the store. */
export function createStoreSinks(
  store: Store,
  { giveUpAfterMs, log }: StoreSinkOptions,
): StoreSinks {
  let pending: Pending[] = [];
  let scheduled: ReturnType<typeof setImmediate> | null = null;
  let retry: ReturnType<typeof setTimeout> | null = null;
  let failing = false;
  let closed = false;

  const schedule = (): void => {
    if (scheduled !== null || retry !== null || closed) return;
    scheduled = setImmediate(() => {
      scheduled = null;
      flush();
    });
  };
  const flush = (): void => {
    if (pending.length === 0 || closed) return;
    const now = pending;
    pending = [];
    let stored: ReturnType<Store["ingest"]>;
    try {
      stored = store.ingest(now);
    } catch (error) {
      giveUp(now, error as Error);
      return;
    }
    // Whatever becomes of this, what came is stored.
    retain();
    if (failing) {
      failing = false;
      log("info", `the store ${store.path} is written again`);
    }
    now.forEach(({ answer, items }, i) => {
      const { taken, rejected, reason } = stored[i];
      answer({
        accepted: Math.min(taken, items),
        rejected,
        dropped: 0,
        ...(reason === undefined ? {} : { reason }),
      });
    });
  };
  /** Keeps for another attempt what is not too old for it. */
  const giveUp = (requests: readonly Pending[], error: Error): void => {
    if (!failing) log("error", explain(store.path, error));
    failing = true;
    const oldest = performance.now() - giveUpAfterMs;
    const kept = requests.filter((request) => request.since >= oldest);
    pending = [...kept, ...pending];
    for (const request of requests) {
      if (request.since < oldest) request.answer(dropped(request, error.message));
    }
    retry = setTimeout(() => {
      retry = null;
      // What is too much may be what fills the disk.
      retain();
      schedule();
    }, RETRY_MS);
  };
  const retain = (): boolean => {
    try {
      return store.retain();
    } catch {
      // Said with the request that failed, or with the next.
      return false;
    }
  };
  let retaining: ReturnType<typeof setTimeout>;
  const retainLater = (ms: number): void => {
    retaining = setTimeout(() => {
      const more = pending.length === 0 && retain();
      retainLater(more ? RETAIN_AGAIN_MS : RETAIN_MS);
    }, ms);
    // It does not keep a process alive that is done.
    retaining.unref();
  };
  retainLater(RETAIN_MS);

  const abort = (reason: string): void => {
    const now = pending;
    pending = [];
    for (const request of now) request.answer(dropped(request, reason));
  };
  return {
    sinks: forEachSignal((signal): Sink => ({
      concurrency: CONCURRENCY,
      endpoints: [{ name: `store ${store.path}` }],
      send: (body, items) =>
        new Promise((answer) => {
          if (closed) {
            answer(dropped({ items }, "the store is closed"));
            return;
          }
          pending.push({ signal, body, items, since: performance.now(), answer });
          schedule();
        }),
      abort: (reason) => abort(reason),
      close: () => Promise.resolve(),
    })),
    close() {
      if (closed) return;
      flush();
      closed = true;
      clearTimeout(retaining);
      if (retry !== null) clearTimeout(retry);
      if (scheduled !== null) clearImmediate(scheduled);
      abort("the store is closed");
      store.close();
    },
  };
}

function dropped({ items }: { readonly items: number }, reason: string): Outcome {
  return { accepted: 0, rejected: 0, dropped: items, gaveUp: true, reason };
}

function explain(path: string, error: Error): string {
  const code = sqliteCode(error);
  const wait = "it is tried again every second, and records stay in their files until then";
  if (code === SQLITE.full || /ENOSPC|disk is full/.test(error.message)) {
    return `the store ${path} can't be written: the disk is full; make room, or set a smaller ` +
      `--store-max-size; ${wait}`;
  }
  if (code === SQLITE.corrupt || code === SQLITE.notADatabase) {
    return `the store ${path} is damaged (${error.message}): end the collector, move the file away ` +
      `and start it again; ${wait}`;
  }
  return `the store ${path} can't be written: ${error.message}; ${wait}`;
}
