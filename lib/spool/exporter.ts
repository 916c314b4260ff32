/**
 * An exporter for the SDK of OpenTelemetry that stores what it is given, and sends it from the disk.
 *
 * @module
 */
import { setTimeout } from "node:timers";
import { context, diag } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, suppressTracing } from "@opentelemetry/core";
import { MAX_RETRY_AFTER_MS, retryAfterMs } from "../otlp/retry-after.ts";
import type { SpoolSignal } from "./names.ts";
import type { Spool, Stored } from "./spool.ts";

/** What became of an attempt to send; what `IExporterTransport` of the OTLP exporters answers. */
export interface Delivery {
  /**
   * `success`: it is delivered. `retryable`: it stays stored, and is tried again. `failure`: it would
   * be refused again, and is dropped.
   */
  readonly status: "success" | "retryable" | "failure";
  /** When to try again at the earliest, milliseconds; not more than 15 minutes are waited for it. */
  readonly retryInMillis?: number;
  /** Why it did not work. */
  readonly error?: Error;
}

/** How to store and send. */
export interface SpoolExporterOptions<T> {
  /** Where to store. Exporters of different signals may share it; who opened it closes it. */
  readonly spool: Spool;
  readonly signal: SpoolSignal;
  /** What makes requests of items: one of `@opentelemetry/otlp-transformer`, such as `ProtobufTraceSerializer`. */
  readonly serializer: { serializeRequest(items: T): Uint8Array | undefined };
  /** Sends a request: {@linkcode postTo}, or the `send` of an `IExporterTransport`. */
  send(body: Uint8Array, timeoutMs: number): Promise<Delivery>;
  /** For one attempt, milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Time between two attempts, doubled after each up to 64 times of it, milliseconds. Default 1,000. */
  readonly retryMs?: number;
}

/** Fits where the SDK wants an exporter of spans, metrics or log records. */
export interface SpoolExporter<T> {
  /** Stores items. Succeeds once they are stored. */
  export(items: T, resultCallback: (result: ExportResult) => void): void;
  /** Resolves when everything is delivered, or an attempt has failed. */
  forceFlush(): Promise<void>;
  /** As {@linkcode SpoolExporter.forceFlush}; then nothing more is sent. What is left stays stored. */
  shutdown(): Promise<void>;
  /** Requests that the receiver refused for good. */
  readonly refused: number;
}

const MAX_BACKOFF = 64;
/** How often what dead processes left is looked for, milliseconds. */
const ADOPT_MS = 60_000;

/**
 * Makes an exporter that stores first, and delivers from the disk, in order and one request at a time.
 * What the process leaves behind is sent by the next one that opens the spool.
 */
export function spoolExporter<T>(options: SpoolExporterOptions<T>): SpoolExporter<T> {
  const { spool, signal, serializer, timeoutMs = 10_000, retryMs = 1000 } = options;
  let draining: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let backoff = 1;
  let isOver = false;
  let refused = 0;
  let adoptedAt = Date.now();
  const adopting = warner(`what dead processes left in ${spool.folder} can't be looked at`);
  const missing = warner(`the spool ${spool.folder} is gone, and can't be made again`);
  let vanished = 0;
  const syncing = warner(`what is stored in ${spool.folder} (${signal}) does not come to the disk`);
  const reading = warner(`what is stored in ${spool.folder} (${signal}) can't be read`);

  /** Sends until nothing is left or it does not work. */
  function drain(): Promise<void> {
    clearTimeout(timer);
    return draining ??= run();
  }

  function look(): void {
    const state = spool.check();
    missing(state.error);
    if (state.error !== undefined || state.vanished === vanished) return;
    vanished = state.vanished;
    diag.warn(
      `the spool ${spool.folder} was removed or replaced while it was used: it was made again, and what ` +
        `was in closed files (${
          spool.counts[signal].dropped.gone.items
        } items of ${signal}) is lost`,
    );
  }

  function adopt(): void {
    if (Math.abs(Date.now() - adoptedAt) <= ADOPT_MS) return;
    adoptedAt = Date.now();
    try {
      spool.adopt();
      adopting(undefined);
    } catch (error) {
      adopting(error);
    }
  }

  /** Nobody may wait for it: it never rejects. */
  async function run(): Promise<void> {
    // It must not end before `draining` is set; what is stored once nothing was left needs another run.
    await Promise.resolve();
    try {
      look();
      adopt();
      for (let stored = spool.next(signal); stored !== null; stored = spool.next(signal)) {
        const { status, retryInMillis = 0, error } = await attempt(stored);
        if (status === "retryable") {
          spool.giveBack(stored.id);
          again(Math.min(retryInMillis, MAX_RETRY_AFTER_MS));
          return;
        }
        if (status === "failure") {
          refused++;
          diag.warn(
            `a request of ${stored.items} items (${signal}) was refused, and is dropped`,
            error,
          );
        }
        spool.acknowledge(stored.id);
        backoff = 1;
      }
      const unread = spool.readError(signal);
      reading(unread);
      syncing(spool.counts[signal].unsynced > 0 ? spool.lastError : undefined);
      // Others are not held up meanwhile.
      if (unread !== undefined) later(retryMs);
    } catch (error) {
      reading(error);
      again();
    } finally {
      draining = null;
    }
  }

  async function attempt({ body }: Stored): Promise<Delivery> {
    try {
      // Sending is nothing to be traced.
      const sent = context.with(
        suppressTracing(context.active()),
        () => options.send(body, timeoutMs),
      );
      return await sent;
    } catch (error) {
      return { status: "retryable", error: error as Error };
    }
  }

  /** Tries again after ever longer, and after so many milliseconds at the earliest. */
  function again(leastMs = 0): void {
    later(Math.max(leastMs, retryMs * backoff * (0.8 + Math.random() * 0.4)));
    backoff = Math.min(2 * backoff, MAX_BACKOFF);
  }

  function later(ms: number): void {
    clearTimeout(timer);
    if (isOver) return;
    timer = setTimeout(() => void drain(), ms);
    // A process that has nothing else to do ends: what is stored, stays.
    timer.unref();
  }

  // What was left.
  later(0);
  return {
    export(items, resultCallback) {
      const body = isOver ? undefined : serializer.serializeRequest(items);
      if (body === undefined) {
        const error = new Error(isOver ? "the exporter was shut down" : "nothing to send");
        return resultCallback({ code: ExportResultCode.FAILED, error });
      }
      const placed = spool.put(signal, body, countOf(items));
      if ("refused" in placed) {
        const error = new Error(`not stored in ${spool.folder}: ${placed.refused}`, {
          cause: spool.lastError,
        });
        return resultCallback({ code: ExportResultCode.FAILED, error });
      }
      resultCallback({ code: ExportResultCode.SUCCESS });
      // While it does not work, the next attempt has its time.
      if (backoff === 1) void drain();
    },
    async forceFlush() {
      await draining;
      await drain();
    },
    async shutdown() {
      isOver = true;
      await draining;
      await drain();
    },
    get refused() {
      return refused;
    },
  };
}

/** Warns when something begins to go wrong, and not each time. */
function warner(what: string): (error: unknown) => void {
  let isWrong = false;
  return (error) => {
    if (error !== undefined && !isWrong) diag.warn(what, error);
    isWrong = error !== undefined;
  };
}

/** Spans or log records in a list, data points of metrics. */
function countOf(items: unknown): number {
  if (Array.isArray(items)) return items.length;
  const { scopeMetrics = [] } = items as {
    scopeMetrics?: { metrics: { dataPoints: unknown[] }[] }[];
  };
  let count = 0;
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) count += dataPoints.length;
  }
  return count;
}

/** Statuses after which OTLP/HTTP wants a request to be tried again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Sends requests to an OTLP/HTTP receiver with `fetch`. What it says in `Retry-After`, a number of
 * seconds or a date, is kept to, up to 15 minutes.
 *
 * @param url With its path, `http://localhost:4318/v1/traces` for one.
 * @param headers Request headers, asked for before each attempt where that is a function.
 */
export function postTo(
  url: string,
  headers: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>) = {},
): (body: Uint8Array, timeoutMs: number) => Promise<Delivery> {
  return async (body, timeoutMs) => {
    const given = typeof headers === "function" ? headers() : headers;
    const response = await fetch(url, {
      method: "POST",
      headers: { ...given, "content-type": "application/x-protobuf" },
      // Its own bytes: an attempt that took too long may still read them.
      body: new Uint8Array(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    if (response.ok) return { status: "success" };
    const error = new Error(`${new URL(url).host} answered ${response.status}`);
    if (!RETRYABLE.has(response.status)) return { status: "failure", error };
    const [after, date] = ["retry-after", "date"].map((name) =>
      response.headers.get(name) ?? undefined
    );
    return { status: "retryable", retryInMillis: retryAfterMs(after, date, Date.now()), error };
  };
}
