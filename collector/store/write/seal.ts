/**
 * A window that is full is written, and the newest one made again from its rows when a store is opened.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { BYTES, OtlpLogRecord, OtlpSpan, tag } from "../../../lib/format/fields.ts";
import {
  addCalls,
  addServices,
  encodeFigures,
  type Figures,
  type SpanColumns,
} from "../figures.ts";
import { hashBytes, hashIdentity, hashTrace } from "../hash.ts";
import { msOf } from "../time.ts";
import { forEachMessage } from "../parse/request.ts";
import { addTerm, createTerms } from "../parse/terms.ts";
import {
  addTailTerm,
  BUCKETS,
  bucketsOf,
  COLUMNS,
  columnsOf,
  META_INTERRUPTED,
  META_ROOT,
  META_STATUS_SHIFT,
  noteName,
  type Tail,
  type WindowKind,
} from "../window.ts";

/** A window that is written. */
export interface SealedWindow {
  readonly id: number;
  readonly first: number;
  readonly count: number;
}

/** Writes a window, in the transaction that is open. */
export function writeWindow(
  db: DatabaseSync,
  tail: Tail,
  id: number,
  before: SpanColumns | null,
  serviceOf: (origin: number) => string,
): void {
  const { kind, count, first } = tail;
  const figures: Figures = new Map();
  if (kind === "span") {
    addServices(figures, tail);
    addCalls(figures, tail, before, serviceOf);
  }
  let min = Infinity;
  let max = -Infinity;
  let longest = 0;
  let meta = 0;
  for (let i = 0; i < count; i++) {
    if (tail.time[i] < min) min = tail.time[i];
    if (tail.time[i] > max) max = tail.time[i];
    if (kind === "span" && tail.duration[i] > longest) longest = tail.duration[i];
    meta |= tail.meta[i];
  }
  const origins = [...new Set(tail.origin.subarray(0, count))];
  db.prepare(
    `INSERT INTO ${kind}_windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    id,
    first,
    count,
    tail.last,
    min,
    max,
    longest,
    meta,
    tail.moreNames ? 1 : 0,
    JSON.stringify([...tail.names.values()].map(({ origin, name }) => [origin, name])),
    JSON.stringify([...tail.keys.values()]),
    new Uint8Array(Uint32Array.from(origins).buffer),
    encodeFigures(figures),
  );
  const column = db.prepare(`INSERT INTO ${kind}_columns VALUES (?, ?)`);
  for (const [number, data] of columnsOf(tail)) column.run(id * COLUMNS + number, data);
  const terms = db.prepare(`INSERT INTO ${kind}_terms VALUES (?, ?)`);
  bucketsOf(tail).forEach((data, i) => {
    if (data !== null) terms.run(id * BUCKETS + i, data);
  });
}

/** The newest written window; null when there is none. */
export function lastWindow(db: DatabaseSync, kind: WindowKind): SealedWindow | null {
  const row = db.prepare(
    `SELECT id, first, count FROM ${kind}_windows ORDER BY id DESC LIMIT 1`,
  ).get();
  return (row as unknown as SealedWindow | undefined) ?? null;
}

const SPAN_ATTRIBUTE = tag(OtlpSpan.attributes, BYTES);
const LOG_ATTRIBUTE = tag(OtlpLogRecord.attributes, BYTES);

interface SpanRow {
  origin: number;
  trace: Uint8Array;
  span: Uint8Array;
  parent: Uint8Array | null;
  /** As bytes, since a NUL is the end of a text to some. */
  name: Uint8Array;
  kind: number;
  status: number;
  interrupted: number;
  startMs: number;
  duration: number;
  rest: Uint8Array;
}

interface LogRow {
  origin: number;
  timeMs: number;
  severity: number;
  trace: Uint8Array | null;
  length: number;
  rest: Uint8Array;
}

/**
 * Adds the rows to the tail that are in the database and not in it. Not row by row: an iterator of
 * Deno's `node:sqlite` ends at an error as if that were all.
 */
export function loadTail(db: DatabaseSync, tail: Tail): void {
  const terms = createTerms();
  const from = tail.first + tail.count;
  const addTerms = (rest: Uint8Array, attribute: number): void => {
    terms.count = 0;
    forEachMessage(rest, 0, rest.length, attribute, (at, to) => addTerm(terms, rest, at, to));
    for (let i = 0; i < terms.count; i++) addTailTerm(tail, terms.hashes[i]);
  };
  if (tail.kind === "span") {
    const rows = db.prepare(
      `SELECT origin, trace, span, parent, CAST(name AS BLOB) AS name, kind, status, interrupted, ${
        msOf("start")
      } AS startMs,
        duration, rest FROM spans WHERE id >= ? ORDER BY id`,
    ).all(from) as unknown as SpanRow[];
    for (const row of rows) {
      const trace = hashTrace(row.trace);
      addTailTerm(tail, trace);
      addTerms(row.rest, SPAN_ATTRIBUTE);
      const name = hashBytes(row.name);
      noteName(tail, name, row.origin, () => new TextDecoder().decode(row.name));
      const { count } = tail;
      tail.time[count] = row.startMs;
      tail.origin[count] = row.origin;
      tail.meta[count] = spanMeta(row.kind, row.status, row.interrupted !== 0, row.parent === null);
      tail.duration[count] = row.duration;
      tail.name[count] = name;
      tail.trace[count] = trace;
      tail.identity[count] = hashIdentity(row.trace, 0, row.span, 0);
      tail.parent[count] = row.parent === null ? 0 : hashIdentity(row.trace, 0, row.parent, 0);
      tail.bytes += row.rest.length + row.name.length;
      tail.count++;
    }
  } else {
    const rows = db.prepare(
      `SELECT origin, ${msOf("time")} AS timeMs, severity, trace, length(body) AS length, rest
        FROM logs WHERE id >= ? ORDER BY id`,
    ).all(from) as unknown as LogRow[];
    for (const row of rows) {
      const trace = row.trace === null ? 0 : hashTrace(row.trace);
      if (trace !== 0) addTailTerm(tail, trace);
      addTerms(row.rest, LOG_ATTRIBUTE);
      const { count } = tail;
      tail.time[count] = row.timeMs;
      tail.origin[count] = row.origin;
      tail.meta[count] = row.severity;
      tail.trace[count] = trace;
      tail.bytes += row.rest.length + (row.length ?? 0);
      tail.count++;
    }
  }
  for (const [hash, key] of terms.keys) tail.keys.set(hash, key);
}

/** The meta column of a span. */
export function spanMeta(
  kind: number,
  status: number,
  interrupted: boolean,
  root: boolean,
): number {
  return kind | (status << META_STATUS_SHIFT) | (interrupted ? META_INTERRUPTED : 0) |
    (root ? META_ROOT : 0);
}
