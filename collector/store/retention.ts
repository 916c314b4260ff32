/**
 * What is too old, or too much, goes: the oldest window of spans or log records, or as many data
 * points, at a time, between transactions of what comes in. The pages they were on are used again, and
 * what is more than will soon be used is given back, a few at a time, from the end of the file.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { pragma } from "./database.ts";
import type { Tails } from "./store.ts";
import { BUCKETS, COLUMNS, WINDOW_ITEMS, type WindowKind } from "./window.ts";

/** Removes what is too old or too much. */
export interface Retention {
  /** One portion, in the transaction that is open. False when there was nothing to remove. */
  step(now: number, tails: Tails): boolean;
  /** Gives some free pages back, in the transaction that is open. False when there are none too many. */
  shrink(): boolean;
}

/** Of the size allowed, how much may be in use before something goes. */
const FILL = 0.92;
/** Resources and streams nothing refers to any more are looked for after so many portions. */
const SWEEP_EVERY = 16;
/** Pages given back at a time: each may have to be moved, some 10 us. */
const SHRINK_PAGES = 64;
/** Of the size allowed, what of it may be free: the next windows need as much; bytes at most. */
const FREE = 1 / 16;
const MAX_FREE = 32 << 20;

interface Oldest {
  readonly kind: WindowKind | "point" | "loss";
  readonly time: number;
  /** Of the window; of points the first of the batch, of losses the last that goes. */
  readonly id: number;
  readonly first: number;
  readonly count: number;
}

/** @param limits Bytes and milliseconds. */
export function createRetention(
  db: DatabaseSync,
  { maxBytes, maxAgeMs }: { readonly maxBytes: number; readonly maxAgeMs: number },
): Retention {
  const pageSize = pragma(db, "page_size");
  const shrinks = pragma(db, "auto_vacuum") === 2;
  const windows = {
    span: db.prepare(
      "SELECT id, first, count, written AS time FROM span_windows ORDER BY id LIMIT 1",
    ),
    log: db.prepare(
      "SELECT id, first, count, written AS time FROM log_windows ORDER BY id LIMIT 1",
    ),
  };
  const firstBatch = db.prepare(
    "SELECT first, written AS time FROM point_batches ORDER BY first LIMIT 1",
  );
  const nextBatch = db.prepare(
    "SELECT min(first) AS first FROM point_batches WHERE first > ?",
  );
  const firstLoss = db.prepare("SELECT id, time FROM loss ORDER BY id LIMIT 1");
  let dropped = 0;

  const oldest = (): Oldest | null => {
    const candidates: Oldest[] = [];
    for (const kind of ["span", "log"] as const) {
      const row = windows[kind].get() as Omit<Oldest, "kind"> | undefined;
      if (row !== undefined) candidates.push({ ...row, kind });
    }
    const batch = firstBatch.get() as { first: number; time: number } | undefined;
    if (batch !== undefined) {
      candidates.push({ ...batch, kind: "point", id: batch.first, count: 0 });
    }
    const loss = firstLoss.get() as { id: number; time: number } | undefined;
    if (loss !== undefined) {
      const id = loss.id + WINDOW_ITEMS - 1;
      candidates.push({ kind: "loss", time: loss.time, id, first: loss.id, count: WINDOW_ITEMS });
    }
    return candidates.reduce<Oldest | null>(
      (best, each) => best === null || each.time < best.time ? each : best,
      null,
    );
  };

  const remove = ({ kind, id, first, count }: Oldest, before: number): void => {
    if (kind === "point") {
      const { first: next } = nextBatch.get(id) as { first: number | null };
      db.prepare("DELETE FROM points WHERE id < ?").run(next ?? Number.MAX_SAFE_INTEGER);
      db.prepare("DELETE FROM point_batches WHERE first = ?").run(id);
      return;
    }
    if (kind === "loss") {
      db.prepare("DELETE FROM loss WHERE id <= ? AND time < ?").run(id, before);
      return;
    }
    const last = first + count - 1;
    db.prepare(`DELETE FROM ${kind}s WHERE id <= ?`).run(last);
    if (kind === "log") {
      const forget = db.prepare("DELETE FROM logs_text WHERE rowid = ?");
      for (let each = first; each <= last; each++) forget.run(each);
    }
    db.prepare(`DELETE FROM ${kind}_columns WHERE id < ?`).run((id + 1) * COLUMNS);
    db.prepare(`DELETE FROM ${kind}_terms WHERE id < ?`).run((id + 1) * BUCKETS);
    db.prepare(`DELETE FROM ${kind}_windows WHERE id = ?`).run(id);
  };

  return {
    step(now, tails) {
      const used = (pragma(db, "page_count") - pragma(db, "freelist_count")) * pageSize;
      const tooMuch = used > maxBytes * FILL;
      const first = oldest();
      if (first === null || (!tooMuch && first.time >= now - maxAgeMs)) {
        return false;
      }
      remove(first, tooMuch ? now : now - maxAgeMs);
      if (++dropped % SWEEP_EVERY === 0) sweep(db, tails);
      return true;
    },
    shrink() {
      if (!shrinks) return false;
      const free = pragma(db, "freelist_count") * pageSize;
      if (free <= Math.min(MAX_FREE, maxBytes * FREE)) return false;
      // Not by a prepared statement, each step of which is one page.
      db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`);
      return true;
    },
  };
}

/** Removes streams without points, and resources and scopes of nothing. */
function sweep(db: DatabaseSync, tails: Tails): void {
  db.exec(`
    DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM points WHERE points.series = series.id);
    DELETE FROM streams WHERE NOT EXISTS (SELECT 1 FROM series WHERE series.stream = streams.id)
  `);
  const used = new Set<number>();
  for (const kind of ["span", "log"] as const) {
    const rows = db.prepare(`SELECT origins FROM ${kind}_windows`).all() as {
      origins: Uint8Array;
    }[];
    for (const { origins } of rows) {
      for (const origin of new Uint32Array(origins.slice().buffer)) used.add(origin);
    }
    for (const origin of tails[kind].origin.subarray(0, tails[kind].count)) used.add(origin);
  }
  for (const { origin } of db.prepare("SELECT origin FROM streams").all() as { origin: number }[]) {
    used.add(origin);
  }
  const remove = db.prepare("DELETE FROM origins WHERE id = ?");
  for (const { id } of db.prepare("SELECT id FROM origins").all() as { id: number }[]) {
    if (!used.has(id)) remove.run(id);
  }
  db.exec(`
    DELETE FROM resources WHERE id NOT IN (SELECT resource FROM origins);
    DELETE FROM deaths WHERE resource NOT IN (SELECT id FROM resources);
    DELETE FROM scopes WHERE id NOT IN (SELECT scope FROM origins)
  `);
}
