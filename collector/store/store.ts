/**
 * The store as who writes it sees it: requests go in, many in one transaction, and what is too old or
 * too much goes out.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { Signal } from "../../lib/otlp/request.ts";
import { Rejection } from "../../lib/record/wire.ts";
import { openForWriting } from "./database.ts";
import { createEarlier, type Earlier } from "./earlier.ts";
import type { SpanColumns } from "./figures.ts";
import { addKnown, createKnown, type Known } from "./known.ts";
import { createOrigins, type Origins } from "./origins.ts";
import { walkRequest } from "./parse/request.ts";
import type { Loss } from "./queries/types.ts";
import { createLookup, type Lookup } from "./read/lookup.ts";
import { createRetention, type Retention } from "./retention.ts";
import {
  clearTail,
  COLUMN,
  COLUMNS,
  createTail,
  isFull,
  type Tail,
  WINDOW_BYTES,
  WINDOW_ITEMS,
  type WindowKind,
} from "./window.ts";
import { type Death, storeDeaths } from "./write/deaths.ts";
import { createAddLog } from "./write/logs.ts";
import { createAddMetric } from "./write/metrics.ts";
import { lastWindow, loadTail, writeWindow } from "./write/seal.ts";
import { createAddSpan } from "./write/spans.ts";

/** How to keep a store. */
export interface StoreOptions {
  readonly path: string;
  /** Bytes of the database at most. */
  readonly maxBytes: number;
  /** What is older is removed, milliseconds since it arrived. */
  readonly maxAgeMs: number;
  /** Bytes of rows in a window; for tests. */
  readonly windowBytes?: number;
}

/** A request to be stored. */
export interface Incoming {
  readonly signal: Signal;
  /** An export request: OTLP protobuf. */
  readonly body: Uint8Array;
  readonly items: number;
}

/** What became of a request. `taken + rejected` is the number of its items. */
export interface Stored {
  /** Items that are in the store now; those that already were count as taken. */
  readonly taken: number;
  readonly rejected: number;
  /** Why some were rejected. */
  readonly reason?: string;
}

/** The newest items, as the writer has them in memory. */
export interface Tails {
  readonly span: Tail;
  readonly log: Tail;
}

/** A store open for writing. */
export interface Store {
  readonly path: string;
  /** For queries in this process, which need not read these again. */
  readonly tails: Tails;
  /**
   * Stores requests: when this returns, they are committed, all of them. When it throws, none is.
   *
   * @throws Error of SQLite (disk full and the like).
   */
  ingest(requests: readonly Incoming[]): Stored[];
  /** Removes one portion of what is too old or too much, or gives back free pages. True: there is more. */
  retain(now?: number): boolean;
  /** Notes what was lost. Rows with a count of 0 are not stored. */
  recordLoss(losses: readonly Loss[]): void;
  /** Notes which processes died. Returns those of whom nothing is stored yet. */
  recordDeaths(deaths: readonly Death[]): Death[];
  /** What was noted of a file so far, by ring and reason. */
  lossesOf(file: string): Pick<Loss, "ring" | "reason" | "count">[];
  close(): void;
}

interface Open extends StoreOptions {
  readonly db: DatabaseSync;
  readonly tails: Tails;
  readonly origins: Origins;
  readonly lookup: Lookup;
  readonly retention: Retention;
  readonly addSpan: ReturnType<typeof createAddSpan>;
  readonly addLog: ReturnType<typeof createAddLog>;
  readonly addMetric: ReturnType<typeof createAddMetric>;
  known: Known;
  earlier: Earlier | null;
  /** Columns of the newest written window of spans: parents of the tail's may be in it. */
  before: SpanColumns | null;
  nextWindow: { span: number; log: number };
}

/**
 * Opens a store for writing, or makes one.
 *
 * @throws StoreError when it can't be used: another collector has it, it is newer, damaged, not ours.
 */
export function openStore(options: StoreOptions): Store {
  const { db, close } = openForWriting(options.path);
  try {
    return createStore(options, db, close);
  } catch (error) {
    close();
    throw error;
  }
}

function createStore(options: StoreOptions, db: DatabaseSync, close: () => void): Store {
  const tails: Tails = { span: createTail("span", 0), log: createTail("log", 0) };
  const lookup = createLookup(db, tails.span);
  const open: Open = {
    ...options,
    db,
    tails,
    origins: createOrigins(db),
    lookup,
    retention: createRetention(db, options),
    addSpan: createAddSpan(db, tails.span, () => open.known, lookup.has),
    addLog: createAddLog(db, tails.log, () => open.earlier!),
    addMetric: createAddMetric(db, options.maxAgeMs / 64),
    known: createKnown(),
    earlier: null,
    before: null,
    nextWindow: { span: 0, log: 0 },
  };
  reload(open);
  rememberSpans(open);
  open.earlier = createEarlier(db, tails.log);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const transaction = <T>(work: () => T): T => {
    begin.run();
    try {
      const result = work();
      commit.run();
      open.earlier?.settle(true);
      return result;
    } catch (error) {
      try {
        db.exec("ROLLBACK");
      } catch {
        // SQLite has rolled back itself.
      }
      open.earlier?.settle(false);
      open.origins.clear();
      open.addMetric.clear();
      reload(open);
      throw error;
    }
  };
  return {
    path: options.path,
    tails,
    ingest: (requests) => transaction(() => requests.map((request) => ingest(open, request))),
    retain: (now = Date.now()) =>
      transaction(() => {
        for (const tail of [tails.span, tails.log]) {
          // Where little comes a window takes long to fill, and its oldest items would outlive others.
          if (tail.count > 0 && now - tail.since > options.maxAgeMs / 8) seal(open, tail);
        }
        if (!open.retention.step(now, tails)) return open.retention.shrink();
        forgetSpans(open);
        // What it removed may have been remembered.
        lookup.forget();
        open.origins.clear();
        open.addMetric.clear();
        return true;
      }),
    recordLoss(losses) {
      const insert = db.prepare(
        "INSERT INTO loss (time, process, file, ring, reason, count) VALUES (?, ?, ?, ?, ?, ?)",
      );
      transaction(() => {
        for (const { timeMs, process, file, ring, reason, count } of losses) {
          if (count > 0) insert.run(timeMs, process, file, ring, reason, count);
        }
      });
    },
    recordDeaths: (deaths) => transaction(() => storeDeaths(db, deaths)),
    lossesOf: (file) =>
      db.prepare("SELECT ring, reason, sum(count) AS count FROM loss WHERE file = ? GROUP BY 1, 2")
        .all(file) as unknown as Pick<Loss, "ring" | "reason" | "count">[],
    close,
  };
}

/** Makes what is in memory from what is in the database. */
function reload(open: Open): void {
  const { db, tails, lookup, nextWindow } = open;
  for (const kind of ["span", "log"] as const) {
    const last = lastWindow(db, kind);
    nextWindow[kind] = last === null ? 0 : last.id + 1;
    clearTail(tails[kind], last === null ? firstRow(db, kind) : last.first + last.count);
    loadTail(db, tails[kind]);
    if (kind === "span") open.before = last === null ? null : spanColumns(db, last.id, last.count);
  }
  lookup.forget(true);
}

/** Where the rows begin of which no window was written. */
function firstRow(db: DatabaseSync, kind: WindowKind): number {
  const { id } = db.prepare(`SELECT min(id) AS id FROM ${kind}s`).get() as { id: number | null };
  return id ?? 0;
}

/** The identities of all spans there are. */
function rememberSpans(open: Open): void {
  const { db, tails: { span } } = open;
  open.known = createKnown();
  const get = db.prepare("SELECT data FROM span_columns WHERE id = ?");
  const windows = db.prepare("SELECT id FROM span_windows ORDER BY id").all() as { id: number }[];
  for (const { id } of windows) {
    const { data } = get.get(id * COLUMNS + COLUMN.identity) as { data: Uint8Array };
    for (const identity of new Uint32Array(data.slice().buffer)) addKnown(open.known, identity);
  }
  for (let i = 0; i < span.count; i++) addKnown(open.known, span.identity[i]);
}

/** What was removed need not be remembered, once that is most of it. */
function forgetSpans(open: Open): void {
  const { db, known, tails } = open;
  const { stored } = db.prepare("SELECT total(count) AS stored FROM span_windows").get() as {
    stored: number;
  };
  if (known.count > 2 * (stored + tails.span.count) + WINDOW_ITEMS) rememberSpans(open);
}

/** The columns of a written window. */
function spanColumns(db: DatabaseSync, window: number, count: number): SpanColumns {
  const get = db.prepare("SELECT data FROM span_columns WHERE id = ?");
  const read = (column: number): ArrayBuffer => {
    const row = get.get(window * COLUMNS + column) as { data: Uint8Array };
    return row.data.slice().buffer as ArrayBuffer;
  };
  return {
    count,
    time: new Float64Array(read(COLUMN.time)),
    origin: new Uint32Array(read(COLUMN.origin)),
    meta: new Uint8Array(read(COLUMN.meta)),
    duration: new Float32Array(read(COLUMN.duration)),
    identity: new Uint32Array(read(COLUMN.identity)),
    parent: new Uint32Array(read(COLUMN.parent)),
  };
}

function ingest(open: Open, { signal, body, items }: Incoming): Stored {
  const { tails, origins } = open;
  tails.span.last = tails.log.last = Date.now();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let origin = -1;
  let taken = 0;
  let reason: string | undefined;
  if (signal === "metrics") open.addMetric.begin();
  try {
    walkRequest(body, (block) => {
      origin = origins.of(body, block);
    }, (from, to) => {
      try {
        if (signal === "traces") {
          open.addSpan(body, view, from, to, origin);
          taken++;
        } else if (signal === "logs") {
          open.addLog(body, view, from, to, origin);
          taken++;
        } else {
          taken += open.addMetric(body, from, to, origin);
        }
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        reason ??= reasonOf(error);
      }
      if (signal === "traces") sealIfFull(open, tails.span);
      else if (signal === "logs") sealIfFull(open, tails.log);
    });
  } catch (error) {
    // The request itself: what came before is good.
    if (!isUnreadable(error)) throw error;
    reason ??= reasonOf(error);
  }
  return reason === undefined
    ? { taken: items, rejected: 0 }
    : { taken: Math.min(taken, items), rejected: Math.max(0, items - taken), reason };
}

/** A fault of what came, not of the database. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Rejection ||
    (error instanceof Error && !("errcode" in error) && !("errno" in error));
}

function reasonOf(error: unknown): string {
  return error instanceof Rejection ? error.reason : (error as Error).message;
}

function sealIfFull(open: Open, tail: Tail): void {
  if (isFull(tail, open.windowBytes ?? Math.min(WINDOW_BYTES, open.maxBytes / 16))) {
    seal(open, tail);
  }
}

function seal(open: Open, tail: Tail): void {
  const { db, nextWindow, origins, lookup } = open;
  const id = nextWindow[tail.kind]++;
  writeWindow(db, tail, id, open.before, origins.serviceOf);
  if (tail.kind === "span") {
    const { count } = tail;
    open.before = {
      count,
      time: tail.time.slice(0, count),
      origin: tail.origin.slice(0, count),
      meta: tail.meta.slice(0, count),
      duration: tail.duration.slice(0, count),
      identity: tail.identity.slice(0, count),
      parent: tail.parent.slice(0, count),
    };
    lookup.forget();
  }
  clearTail(tail, tail.first + tail.count);
}
