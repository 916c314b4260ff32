/**
 * A store as its readers see it: one consistent state for each question.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { InstrumentationScopeSchema, ResourceSchema } from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { openForReading } from "../database.ts";
import type { Attribute, Resource, Scope } from "../queries/types.ts";
import type { Tails } from "../store.ts";
import { clearTail, COLUMN, COLUMNS, createTail, type WindowKind } from "../window.ts";
import { lastWindow, loadTail } from "../write/seal.ts";
import { toAttributes } from "./values.ts";

/** A written window, as far as it says whether to look into it. */
export interface Window {
  readonly id: number;
  readonly first: number;
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly longest: number;
  /** All bits that are in its meta column. */
  readonly meta: number;
  readonly moreNames: number;
}

/** Who recorded something, by numbers. */
export interface Origin {
  readonly id: number;
  readonly resource: number;
  readonly scope: number;
  readonly service: string;
}

/** A store open for reading. */
export interface Reader {
  readonly path: string;
  readonly db: DatabaseSync;
  readonly tails: Tails;
  /** The tails are the writer's. */
  readonly shared: boolean;
  /** Oldest first. */
  readonly windows: Record<WindowKind, Window[]>;
  readonly origins: Map<number, Origin>;
  readonly resources: Map<number, Resource>;
  readonly scopes: Map<number, Scope>;
  readonly columns: Map<number, Uint8Array>;
  /** Filters of traces, by window, of all there are: some 10 KB for each. */
  readonly filters: Readonly<Record<WindowKind, Map<number, Uint8Array>>>;
  readonly statements: Map<string, StatementSync>;
  columnBytes: number;
  version: number;
}

const decoder = new TextDecoder();

/** Columns that stay in memory: those of some 2 million spans. */
const MAX_COLUMN_BYTES = 32 << 20;

/**
 * Opens a store for reading.
 *
 * @param tails The writer's, where it is this process.
 * @throws StoreError when it can't be read.
 */
export function openReader(path: string, tails?: Tails): Reader {
  return {
    path,
    db: openForReading(path),
    tails: tails ?? { span: createTail("span", 0), log: createTail("log", 0) },
    shared: tails !== undefined,
    windows: { span: [], log: [] },
    origins: new Map(),
    resources: new Map(),
    scopes: new Map(),
    columns: new Map(),
    filters: { span: new Map(), log: new Map() },
    statements: new Map(),
    columnBytes: 0,
    version: -1,
  };
}

/** Answers one question from one state of the database. */
export function ask<T>(reader: Reader, answer: () => T): T {
  const { db } = reader;
  db.exec("BEGIN");
  try {
    refresh(reader);
    return answer();
  } finally {
    db.exec("COMMIT");
  }
}

function refresh(reader: Reader): void {
  const { db, windows, tails, shared } = reader;
  // Reading begins here, and with it the state that the rest sees.
  db.prepare("SELECT count(*) FROM sqlite_schema").get();
  const { data_version: version } = db.prepare("PRAGMA data_version").get() as {
    data_version: number;
  };
  if (version === reader.version) return;
  reader.version = version;
  reader.origins.clear();
  reader.resources.clear();
  reader.scopes.clear();
  for (const kind of ["span", "log"] as const) {
    const list = windows[kind];
    const ends = db.prepare(`SELECT min(id) AS low, max(id) AS high FROM ${kind}_windows`)
      .get() as {
        low: number | null;
        high: number | null;
      };
    if ((list.at(-1)?.id ?? -1) > (ends.high ?? -1)) {
      // All were removed, and their numbers are used again.
      list.length = 0;
      reader.filters[kind].clear();
      reader.columns.clear();
      reader.columnBytes = 0;
    }
    const gone = list.findIndex(({ id }) => ends.low !== null && id >= ends.low);
    for (const { id } of list.splice(0, gone < 0 ? list.length : gone)) {
      reader.filters[kind].delete(id);
    }
    const rows = db.prepare(
      `SELECT id, first, count, min_time AS min, max_time AS max, max_duration AS longest, meta,
        more_names AS moreNames FROM ${kind}_windows WHERE id > ? ORDER BY id`,
    ).all(list.at(-1)?.id ?? -1);
    list.push(...rows as unknown as Window[]);
    if (shared) continue;
    const last = lastWindow(db, kind);
    const row = db.prepare(`SELECT min(id) AS id FROM ${kind}s WHERE id >= ?`)
      .get(last === null ? 0 : last.first + last.count) as { id: number | null };
    const first = last === null ? row.id ?? 0 : last.first + last.count;
    if (tails[kind].first !== first) clearTail(tails[kind], first);
    loadTail(db, tails[kind]);
  }
}

/** Bytes of a column of a written window. */
export function readColumn(
  reader: Reader,
  kind: WindowKind,
  window: number,
  column: number,
): Uint8Array {
  const row = window * COLUMNS + column;
  const key = kind === "span" ? row : -1 - row;
  let bytes = reader.columns.get(key);
  if (bytes !== undefined) return bytes;
  const data = readData(reader, kind, window, column);
  bytes = data.byteOffset % 8 === 0 ? data : data.slice();
  if (reader.columnBytes + bytes.length > MAX_COLUMN_BYTES) {
    reader.columns.clear();
    reader.columnBytes = 0;
  }
  reader.columns.set(key, bytes);
  reader.columnBytes += bytes.length;
  return bytes;
}

/** The filter of the traces in a written window. */
export function traceFilter(reader: Reader, kind: WindowKind, window: number): Uint8Array {
  const filters = reader.filters[kind];
  let filter = filters.get(window);
  if (filter === undefined) {
    filters.set(window, filter = readData(reader, kind, window, COLUMN.traces));
  }
  return filter;
}

/** Reads the filters of all windows. */
export function loadFilters(reader: Reader): void {
  for (const kind of ["span", "log"] as const) {
    for (const { id } of reader.windows[kind]) traceFilter(reader, kind, id);
  }
}

function readData(reader: Reader, kind: WindowKind, window: number, column: number): Uint8Array {
  const row = statement(reader, `SELECT data FROM ${kind}_columns WHERE id = ?`)
    .get(window * COLUMNS + column);
  return (row as { data: Uint8Array }).data;
}

/** A statement that is prepared once. */
export function statement(reader: Reader, sql: string): StatementSync {
  let prepared = reader.statements.get(sql);
  if (prepared === undefined) reader.statements.set(sql, prepared = reader.db.prepare(sql));
  return prepared;
}

/** All resources with their scopes, by number. */
export function originsOf(reader: Reader): Map<number, Origin> {
  const { origins, db } = reader;
  if (origins.size === 0) {
    const rows = db.prepare(
      `SELECT origins.id, resource, scope, CAST(service AS BLOB) AS service FROM origins
        JOIN resources ON resources.id = resource`,
    ).all() as unknown as (Omit<Origin, "service"> & { service: Uint8Array })[];
    for (const row of rows) origins.set(row.id, { ...row, service: decoder.decode(row.service) });
  }
  return origins;
}

/** A resource by its number. */
export function resourceOf(reader: Reader, id: number): Resource {
  let resource = reader.resources.get(id);
  if (resource === undefined) {
    const row = statement(
      reader,
      "SELECT CAST(service AS BLOB) AS service, body FROM resources WHERE id = ?",
    ).get(id) as
      | { service: Uint8Array; body: Uint8Array }
      | undefined;
    resource = {
      id,
      service: row === undefined ? "" : decoder.decode(row.service),
      attributes: row === undefined
        ? []
        : read(() => fromBinary(ResourceSchema, row.body, DECODING)),
    };
    reader.resources.set(id, resource);
  }
  return resource;
}

/** A scope by its number. */
export function scopeOf(reader: Reader, id: number): Scope {
  let scope = reader.scopes.get(id);
  if (scope === undefined) {
    const row = statement(reader, "SELECT name, version, body FROM scopes WHERE id = ?").get(id) as
      | { name: string; version: string; body: Uint8Array }
      | undefined;
    scope = {
      id,
      name: row?.name ?? "",
      version: row?.version ?? "",
      attributes: row === undefined
        ? []
        : read(() => fromBinary(InstrumentationScopeSchema, row.body, DECODING)),
    };
    reader.scopes.set(id, scope);
  }
  return scope;
}

/** Attributes of what may be unreadable. */
function read(decode: () => { attributes: Parameters<typeof toAttributes>[0] }): Attribute[] {
  try {
    return toAttributes(decode().attributes);
  } catch {
    return [];
  }
}
