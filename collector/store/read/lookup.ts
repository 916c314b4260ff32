/**
 * Spans by trace, for the writer and for queries alike.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync } from "node:sqlite";
import { hashTrace } from "../hash.ts";
import {
  BUCKETS,
  COLUMN,
  COLUMNS,
  findInBucket,
  findInTail,
  mayHold,
  type Tail,
} from "../window.ts";

/** Finds spans by their trace. */
export interface Lookup {
  /** Is this very span stored? */
  has(trace: Uint8Array, span: Uint8Array): boolean;
  /** Windows were written or removed; `all`: some that were written never came to be. */
  forget(all?: boolean): void;
}

/** @param tail The newest spans. */
export function createLookup(db: DatabaseSync, tail: Tail): Lookup {
  const listWindows = db.prepare("SELECT id, first FROM span_windows ORDER BY id DESC");
  const getTerms = db.prepare("SELECT data FROM span_terms WHERE id = ?");
  const getSpan = db.prepare("SELECT trace, span FROM spans WHERE id = ?");
  const getFilter = db.prepare("SELECT data FROM span_columns WHERE id = ?");
  let windows: { id: number; first: number }[] | null = null;
  const filters = new Map<number, Uint8Array>();
  const filterOf = (id: number): Uint8Array => {
    let filter = filters.get(id);
    if (filter === undefined) {
      const row = getFilter.get(id * COLUMNS + COLUMN.traces) as { data: Uint8Array };
      filters.set(id, filter = row.data);
    }
    return filter;
  };
  return {
    has(trace, span) {
      const hash = hashTrace(trace);
      let found = false;
      const look = (id: number): void => {
        if (found) return;
        const row = getSpan.get(id) as { trace: Uint8Array; span: Uint8Array } | undefined;
        found = row !== undefined && Buffer.compare(row.span, span) === 0 &&
          Buffer.compare(row.trace, trace) === 0;
      };
      findInTail(tail, hash, (item) => look(tail.first + item));
      if (windows === null) {
        windows = listWindows.all() as { id: number; first: number }[];
        const oldest = windows.at(-1)?.id ?? 0;
        for (const id of filters.keys()) if (id < oldest) filters.delete(id);
      }
      // Newest first: what comes twice does so within moments.
      for (const { id, first } of windows) {
        if (found) break;
        if (!mayHold(filterOf(id), hash)) continue;
        const row = getTerms.get(id * BUCKETS + (hash & (BUCKETS - 1)));
        if (row === undefined) continue;
        const { data } = row as { data: Uint8Array };
        findInBucket(data, hash, (item) => look(first + item));
      }
      return found;
    },
    forget(all = false) {
      windows = null;
      if (all) filters.clear();
    },
  };
}
