/**
 * Spans and traces.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExportTraceServiceRequestSchema,
  InstrumentationScopeSchema,
  ResourceSchema,
  type ResourceSpans,
  ResourceSpansSchema,
  ScopeSpansSchema,
  SpanSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { isError } from "../figures.ts";
import { hashTrace } from "../hash.ts";
import { originsOf, type Reader, resourceOf, scopeOf, statement } from "../read/reader.ts";
import { EVERYTHING, scan } from "../read/scan.ts";
import {
  hex,
  SPAN_COLUMNS,
  type SpanRow,
  spanRows,
  toOtlp,
  toSpan,
  toSummary,
} from "../read/spans.ts";
import { compile, cursorOf, idBytes, limitOf } from "./filter.ts";
import {
  InvalidQuery,
  type Page,
  type Paged,
  type Resource,
  type Scope,
  type Span,
  type SpanFilter,
  type SpanPoint,
  type SpanSummary,
  type Trace,
  type TraceSummary,
} from "./types.ts";

/** Rows that fit, newest first, until `take` returns false. */
function search(
  reader: Reader,
  filter: SpanFilter,
  before: number,
  take: (row: SpanRow) => boolean,
): void {
  const { plan, matches } = compile(reader, filter);
  const get = statement(reader, `SELECT ${SPAN_COLUMNS} FROM spans WHERE id = ?`);
  scan(reader, "span", plan, before, (id) => {
    const row = get.get(id) as unknown as SpanRow | undefined;
    return row === undefined || !matches(row) || take(row);
  });
}

/** See {@linkcode StoreQueries}. */
export function searchSpans(reader: Reader, filter: SpanFilter, page?: Page): Paged<SpanSummary> {
  const limit = limitOf(page);
  const rows: SpanSummary[] = [];
  let next: string | null = null;
  search(reader, filter, cursorOf(page), (row) => {
    if (rows.length === limit) {
      next = String(rows.at(-1)!.id);
      return false;
    }
    rows.push(toSummary(reader, row));
    return true;
  });
  return { rows, next };
}

/** See {@linkcode StoreQueries}. */
export function searchTraces(reader: Reader, filter: SpanFilter, page?: Page): Paged<TraceSummary> {
  const limit = limitOf(page);
  const before = cursorOf(page);
  const { matches } = compile(reader, filter);
  const rows: TraceSummary[] = [];
  const seen = new Set<string>();
  let next: string | null = null;
  let last = before;
  search(reader, filter, before, (row) => {
    const id = hex(row.trace);
    if (seen.has(id)) return true;
    if (rows.length === limit) {
      next = String(last);
      return false;
    }
    seen.add(id);
    const spans = rowsOfTrace(reader, row.trace);
    // A trace is listed where its newest span that fits is: on a page before, if that is one.
    if (before < Infinity && spans.some((each) => each.id >= before && matches(each))) return true;
    rows.push(summarize(reader, id, spans));
    last = row.id;
    return true;
  });
  return { rows, next };
}

function summarize(reader: Reader, traceId: string, rows: readonly SpanRow[]): TraceSummary {
  const sorted = [...rows].sort(byStart);
  const root = sorted.find(({ parent }) => parent === null) ?? sorted[0];
  const start = BigInt(sorted[0].start);
  let end = start;
  for (const row of rows) {
    const ends = BigInt(row.start) + BigInt(row.duration);
    if (ends > end) end = ends;
  }
  const origins = originsOf(reader);
  return {
    traceId,
    root: toSummary(reader, root),
    startNs: String(start),
    durationNs: Number(end - start),
    spans: rows.length,
    errors: rows.filter(({ status }) => status === 2).length,
    interrupted: rows.filter(({ interrupted }) => interrupted !== 0).length,
    services: [...new Set(rows.map(({ origin }) => origins.get(origin)?.service ?? ""))].sort(),
  };
}

function byStart(a: SpanRow, b: SpanRow): number {
  // Of one length as a rule, so that the text sorts as the number.
  return a.start.length - b.start.length || (a.start < b.start ? -1 : a.start > b.start ? 1 : 0) ||
    a.id - b.id;
}

/** All spans of a trace, in the order of arrival. */
export function rowsOfTrace(reader: Reader, trace: Uint8Array): SpanRow[] {
  const ids: number[] = [];
  const hash = hashTrace(trace);
  const plan = { ...EVERYTHING, trace: hash, terms: [{ hash, origins: null }] };
  scan(reader, "span", plan, Infinity, (id) => {
    ids.push(id);
    return true;
  });
  return spanRows(reader, ids.reverse()).filter((row) => Buffer.compare(row.trace, trace) === 0);
}

/** See {@linkcode StoreQueries}. */
export function scatter(reader: Reader, filter: SpanFilter, limit = 5_000): SpanPoint[] {
  if (!Number.isInteger(limit) || limit < 1 || limit > 5_000) {
    throw new InvalidQuery(`the limit of points is 1 to 5000: ${limit}`);
  }
  const { plan, exact, matches } = compile(reader, filter);
  const points: SpanPoint[] = [];
  const get = statement(reader, `SELECT ${SPAN_COLUMNS} FROM spans WHERE id = ?`);
  scan(reader, "span", plan, Infinity, (id, block, item) => {
    if (!exact) {
      const row = get.get(id) as unknown as SpanRow | undefined;
      if (row === undefined || !matches(row)) return true;
    }
    points.push({
      id,
      startMs: block.time()[item],
      durationNs: block.duration()[item],
      error: isError(block.meta()[item]),
    });
    return points.length < limit;
  });
  return points;
}

/** See {@linkcode StoreQueries}. */
export function trace(reader: Reader, traceId: string): Trace | null {
  const rows = rowsOfTrace(reader, idBytes(traceId, 16, "trace"));
  if (rows.length === 0) return null;
  const spans = rows.sort(byStart).map((row) => toSpan(reader, row));
  const resources: Record<number, Resource> = {};
  const scopes: Record<number, Scope> = {};
  for (const { resourceId, scopeId } of spans) {
    resources[resourceId] ??= resourceOf(reader, resourceId);
    scopes[scopeId] ??= scopeOf(reader, scopeId);
  }
  return { traceId: traceId.toLowerCase(), spans, resources, scopes };
}

/** See {@linkcode StoreQueries}. */
export function span(reader: Reader, id: number): Span | null {
  const [row] = spanRows(reader, [id]);
  return row === undefined ? null : toSpan(reader, row);
}

/** See {@linkcode StoreQueries}. */
export function traceAsOtlp(reader: Reader, traceId: string): Uint8Array | null {
  const rows = rowsOfTrace(reader, idBytes(traceId, 16, "trace"));
  if (rows.length === 0) return null;
  const byOrigin = Map.groupBy(rows, ({ origin }) => origin);
  const resourceSpans: ResourceSpans[] = [];
  for (const [origin, spans] of byOrigin) {
    const row = statement(
      reader,
      `SELECT resources.body AS resource, resources.schema_url AS resourceUrl,
        scopes.body AS scope, scopes.schema_url AS scopeUrl
        FROM origins JOIN resources ON resources.id = resource JOIN scopes ON scopes.id = scope
        WHERE origins.id = ?`,
    ).get(origin) as {
      resource: Uint8Array;
      resourceUrl: string;
      scope: Uint8Array;
      scopeUrl: string;
    };
    resourceSpans.push(create(ResourceSpansSchema, {
      resource: fromBinary(ResourceSchema, row.resource, DECODING),
      schemaUrl: row.resourceUrl,
      scopeSpans: [create(ScopeSpansSchema, {
        scope: fromBinary(InstrumentationScopeSchema, row.scope, DECODING),
        schemaUrl: row.scopeUrl,
        spans: spans.map((each) => fromBinary(SpanSchema, toOtlp(each), DECODING)),
      })],
    }));
  }
  return toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, { resourceSpans }),
  );
}
