/**
 * Log records.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import { type LogRecord, LogRecordSchema } from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { sqliteCode } from "../database.ts";
import { hashTrace } from "../hash.ts";
import { originsOf, type Reader, statement } from "../read/reader.ts";
import { milliseconds } from "../time.ts";
import { EVERYTHING, type Plan, scan } from "../read/scan.ts";
import { hex } from "../read/spans.ts";
import { isAmong, toAttributes, toValue, type Wanted } from "../read/values.ts";
import { cursorOf, idBytes, limitOf, originsOfServices, termsOf, wantedOf } from "./filter.ts";
import {
  InvalidQuery,
  type Log,
  type LogFilter,
  type LogHistogram,
  type Page,
  type Paged,
  type TimeRange,
} from "./types.ts";

interface LogRow {
  readonly id: number;
  readonly origin: number;
  readonly time: string;
  readonly observed: string;
  readonly severity: number;
  readonly trace: Uint8Array | null;
  readonly span: Uint8Array | null;
  /** As bytes, since a NUL is the end of a text to some. */
  readonly body: Uint8Array | null;
  readonly rest: Uint8Array;
}

const LOG_COLUMNS =
  "logs.id AS id, origin, CAST(time AS TEXT) AS time, CAST(observed AS TEXT) AS observed, severity, " +
  "trace, span, CAST(logs.body AS BLOB) AS body, rest";

/** Rows that are read at a time. */
const CHUNK = 200;

interface LogMatcher {
  readonly plan: Plan;
  /** Nothing of it is known by a hash alone. */
  readonly exact: boolean;
  matches(row: LogRow): boolean;
}

function compile(reader: Reader, filter: LogFilter): LogMatcher {
  const wanted: Wanted[] = wantedOf(filter.attributes);
  const terms = termsOf(reader, wanted);
  const trace = filter.traceId === undefined ? null : idBytes(filter.traceId, 16, "trace");
  const traceHash = trace === null ? 0 : hashTrace(trace);
  const span = filter.spanId === undefined ? null : idBytes(filter.spanId, 8, "span");
  const byService = originsOfServices(reader, filter.services);
  let origins = byService;
  if (filter.resourceId !== undefined) {
    origins = new Set();
    for (const { id, resource } of originsOf(reader).values()) {
      if (resource === filter.resourceId && byService?.has(id) !== false) origins.add(id);
    }
  }
  const plan: Plan = {
    ...EVERYTHING,
    from: filter.fromMs ?? -Infinity,
    to: filter.toMs ?? Infinity,
    minMeta: filter.minSeverity ?? 0,
    origins,
    terms: trace === null ? terms : [...terms, { hash: traceHash, origins: null }],
    trace: traceHash,
  };
  return {
    plan,
    exact: wanted.length === 0 && trace === null && span === null,
    matches: (row) => {
      if (row.severity < plan.minMeta) return false;
      if (origins !== null && !origins.has(row.origin)) return false;
      const ms = milliseconds(BigInt(row.time));
      if (!(ms >= plan.from && ms < plan.to)) return false;
      if (trace !== null && (row.trace === null || Buffer.compare(row.trace, trace) !== 0)) {
        return false;
      }
      if (span !== null && (row.span === null || Buffer.compare(row.span, span) !== 0)) {
        return false;
      }
      if (wanted.length === 0) return true;
      const own = toAttributes(decode(row)?.attributes ?? []);
      return wanted.every((each, i) =>
        terms[i].origins?.has(row.origin) === true || isAmong(each, own)
      );
    },
  };
}

/** Rows that fit, newest first (with `afterId` oldest first), until `take` returns false. */
function search(
  reader: Reader,
  filter: LogFilter,
  before: number,
  take: (row: LogRow) => boolean,
): void {
  const { plan, matches } = compile(reader, filter);
  const { afterId, text } = filter;
  if (text === undefined && afterId === undefined) {
    const get = statement(reader, `SELECT ${LOG_COLUMNS} FROM logs WHERE id = ?`);
    scan(reader, "log", plan, before, (id) => {
      const row = get.get(id) as unknown as LogRow | undefined;
      return row === undefined || !matches(row) || take(row);
    });
    return;
  }
  const ahead = afterId !== undefined;
  const order = ahead ? "ASC" : "DESC";
  const get = text === undefined
    ? statement(
      reader,
      `SELECT ${LOG_COLUMNS} FROM logs WHERE id > ? AND id < ? ORDER BY id ${order} LIMIT ${CHUNK}`,
    )
    : statement(
      reader,
      `SELECT ${LOG_COLUMNS} FROM logs_text JOIN logs ON logs.id = logs_text.rowid
        WHERE logs_text.rowid > ? AND logs_text.rowid < ? AND logs_text MATCH ?
        ORDER BY logs_text.rowid ${order} LIMIT ${CHUNK}`,
    );
  let low = afterId ?? -1;
  let high = Math.min(before, Number.MAX_SAFE_INTEGER);
  for (;;) {
    let rows: LogRow[];
    try {
      rows = get.all(...[low, high, ...text === undefined ? [] : [text]]) as unknown as LogRow[];
    } catch (error) {
      if (text === undefined || sqliteCode(error) !== 1) throw error;
      throw new InvalidQuery(
        `the text to look for can't be understood: ${(error as Error).message}`,
      );
    }
    for (const row of rows) if (matches(row) && !take(row)) return;
    if (rows.length < CHUNK) return;
    if (ahead) low = rows.at(-1)!.id;
    else high = rows.at(-1)!.id;
  }
}

/** See {@linkcode StoreQueries}. */
export function searchLogs(reader: Reader, filter: LogFilter, page?: Page): Paged<Log> {
  const limit = limitOf(page);
  const rows: Log[] = [];
  let next: string | null = null;
  // What follows goes on from the last record; pages go back to the first.
  const ahead = filter.afterId !== undefined;
  const from = ahead && page?.cursor !== undefined
    ? { ...filter, afterId: cursorOf(page) }
    : filter;
  search(reader, from, ahead ? Infinity : cursorOf(page), (row) => {
    if (rows.length === limit) {
      next = String(rows.at(-1)!.id);
      return false;
    }
    rows.push(toLog(reader, row));
    return true;
  });
  return { rows, next };
}

/** See {@linkcode StoreQueries}. */
export function logHistogram(
  reader: Reader,
  filter: LogFilter & Required<TimeRange>,
  steps = 60,
): LogHistogram {
  if (!Number.isInteger(steps) || steps < 1 || steps > 1_000) {
    throw new InvalidQuery(`the number of steps is 1 to 1000: ${steps}`);
  }
  const { fromMs, toMs } = filter;
  if (!(toMs > fromMs)) throw new InvalidQuery("the time asked for ends before it begins");
  const stepMs = (toMs - fromMs) / steps;
  const counts = Array.from({ length: steps }, () => [0, 0, 0, 0, 0, 0, 0]);
  const count = (ms: number, severity: number): void => {
    const step = Math.min(steps - 1, Math.floor((ms - fromMs) / stepMs));
    // Four numbers for each name: 1 to 4 are TRACE, 5 to 8 DEBUG and so on.
    counts[step][Math.ceil(severity / 4)]++;
  };
  const { plan, exact } = compile(reader, filter);
  if (exact && filter.text === undefined && filter.afterId === undefined) {
    scan(reader, "log", plan, Infinity, (_id, block, item) => {
      count(block.time()[item], block.meta()[item]);
      return true;
    });
  } else {
    search(reader, filter, Infinity, (row) => {
      count(milliseconds(BigInt(row.time)), row.severity);
      return true;
    });
  }
  return { fromMs, stepMs, steps: counts };
}

function decode({ rest }: LogRow): LogRecord | null {
  try {
    return fromBinary(LogRecordSchema, rest, DECODING);
  } catch {
    return null;
  }
}

function toLog(reader: Reader, row: LogRow): Log {
  const message = decode(row);
  const origin = originsOf(reader).get(row.origin);
  return {
    id: row.id,
    timeNs: row.time,
    observedNs: row.observed,
    severity: row.severity,
    severityText: message?.severityText ?? "",
    eventName: message?.eventName ?? "",
    body: message?.body !== undefined
      ? toValue(message.body)
      : row.body === null
      ? {}
      : { stringValue: new TextDecoder().decode(row.body) },
    attributes: toAttributes(message?.attributes ?? []),
    traceId: row.trace === null ? "" : hex(row.trace),
    spanId: row.span === null ? "" : hex(row.span),
    service: origin?.service ?? "",
    resourceId: origin?.resource ?? -1,
    scopeId: origin?.scope ?? -1,
  };
}
