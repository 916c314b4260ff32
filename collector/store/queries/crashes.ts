/**
 * Processes that died, and their last seconds.
 *
 * @module
 */
import { labelOf } from "../../files/names.ts";
import { originsOf, type Reader, resourceOf } from "../read/reader.ts";
import { milliseconds } from "../time.ts";
import { EVERYTHING, scan } from "../read/scan.ts";
import { type SpanRow, spanRows, toSpan, toSummary } from "../read/spans.ts";
import { META_INTERRUPTED } from "../window.ts";
import { searchLogs } from "./logs.ts";
import { metricSeries, metricStreams } from "./metrics.ts";
import {
  type Crash,
  type CrashReport,
  InvalidQuery,
  type Loss,
  type Resource,
  type TimeRange,
} from "./types.ts";

/** Processes in the list, and interrupted spans that are looked at for it. */
const MAX_CRASHES = 100;
const MAX_INTERRUPTED = 10_000;
/** Ended spans and log records of a report. */
const MAX_ITEMS = 200;
/** Its last points are made when its death is noticed, or at the end of an interval before that. */
const LAST_POINTS_MS = 60_000;
/** Open spans of a report. */
const MAX_OPEN = 1_000;

/** See {@linkcode StoreQueries}. */
export function crashes(reader: Reader): Crash[] {
  const byResource = new Map<number, { last: bigint; interrupted: number }>();
  const plan = { ...EVERYTHING, mask: META_INTERRUPTED, meta: META_INTERRUPTED };
  const ids: number[] = [];
  scan(reader, "span", plan, Infinity, (id) => ids.push(id) < MAX_INTERRUPTED);
  for (const row of spanRows(reader, ids)) {
    const resource = originsOf(reader).get(row.origin)?.resource ?? -1;
    const end = endOf(row);
    const crash = byResource.get(resource);
    if (crash === undefined) byResource.set(resource, { last: end, interrupted: 1 });
    else {
      crash.interrupted++;
      if (end > crash.last) crash.last = end;
    }
  }
  const deaths = reader.db.prepare(
    "SELECT resource, CAST(time AS TEXT) AS time FROM deaths ORDER BY time DESC LIMIT ?",
  ).all(MAX_CRASHES) as { resource: number; time: string }[];
  for (const { resource, time } of deaths) {
    const crash = byResource.get(resource) ?? { last: 0n, interrupted: 0 };
    if (BigInt(time) > crash.last) crash.last = BigInt(time);
    byResource.set(resource, crash);
  }
  return [...byResource].sort(([, a], [, b]) => a.last < b.last ? 1 : -1).slice(0, MAX_CRASHES)
    .map(([resource, { last, interrupted }]) => ({
      resource: resourceOf(reader, resource),
      lastNs: String(last),
      interrupted,
    }));
}

/** The end of a cut off span is the last sign of its process. */
function endOf({ start, duration }: SpanRow): bigint {
  return BigInt(start) + BigInt(duration);
}

/** See {@linkcode StoreQueries}. */
export function crash(reader: Reader, resourceId: number, seconds = 30): CrashReport | null {
  if (!(seconds > 0 && seconds <= 3_600)) {
    throw new InvalidQuery(`the seconds to look at are more than 0 and at most 3600: ${seconds}`);
  }
  const origins = new Set<number>();
  for (const { id, resource } of originsOf(reader).values()) {
    if (resource === resourceId) origins.add(id);
  }
  if (origins.size === 0) return null;
  const open: SpanRow[] = [];
  const plan = { ...EVERYTHING, mask: META_INTERRUPTED, meta: META_INTERRUPTED, origins };
  const ids: number[] = [];
  scan(reader, "span", plan, Infinity, (id) => ids.push(id) < MAX_OPEN);
  open.push(...spanRows(reader, ids));
  const last = lastSign(reader, resourceId, origins, open);
  const from = last - BigInt(Math.round(seconds * 1e9));
  const range = { fromMs: milliseconds(from), toMs: milliseconds(last) + 1 };

  const ended: number[] = [];
  const inTime = {
    ...EVERYTHING,
    from: range.fromMs,
    to: range.toMs,
    mask: META_INTERRUPTED,
    origins,
  };
  scan(reader, "span", inTime, Infinity, (id) => ended.push(id) < MAX_ITEMS);
  const logs = searchLogs(reader, { resourceId, ...range }, { limit: MAX_ITEMS }).rows;
  const inMetrics = { ...range, toMs: range.toMs + LAST_POINTS_MS };
  const metrics = metricStreams(reader)
    .filter((stream) => stream.resourceId === resourceId && stream.lastMs >= range.fromMs)
    .map((stream) => ({ stream, series: metricSeries(reader, stream.id, inMetrics) }))
    .filter(({ series }) => series.length > 0);
  return {
    resource: resourceOf(reader, resourceId),
    fromNs: String(from),
    lastNs: String(last),
    open: open.sort(byStart).map((row) => toSpan(reader, row)),
    ended: spanRows(reader, ended).sort(byStart).map((row) => toSummary(reader, row)),
    logs: [...logs].sort((a, b) => BigInt(a.timeNs) < BigInt(b.timeNs) ? -1 : 1),
    metrics,
    losses: losses(reader, range).filter(isOf(resourceOf(reader, resourceId))),
  };
}

/** Whether something was lost of the process with a resource; everything where that can't be told. */
function isOf({ service, attributes }: Resource): (loss: Loss) => boolean {
  const pid = attributes.findLast(({ key }) => key === "process.pid")?.value.intValue;
  if (pid === undefined) return () => true;
  const label = labelOf({ service, pid });
  return ({ process }) => process === label;
}

/** The latest time in anything it left. */
function lastSign(
  reader: Reader,
  resourceId: number,
  origins: ReadonlySet<number>,
  open: readonly SpanRow[],
): bigint {
  let last = 0n;
  const note = (ns: bigint): void => {
    if (ns > last) last = ns;
  };
  for (const row of open) note(endOf(row));
  // The newest that arrived: with those that were open it has the last end.
  const newest: number[] = [];
  scan(reader, "span", { ...EVERYTHING, origins }, Infinity, (id) => newest.push(id) < 100);
  for (const row of spanRows(reader, newest)) note(endOf(row));
  for (const { timeNs } of searchLogs(reader, { resourceId }, { limit: 1 }).rows) {
    note(BigInt(timeNs));
  }
  const death = reader.db.prepare(
    "SELECT CAST(time AS TEXT) AS time FROM deaths WHERE resource = ?",
  ).get(resourceId) as { time: string } | undefined;
  if (death !== undefined) note(BigInt(death.time));
  if (last > 0n) return last;
  for (const stream of metricStreams(reader)) {
    if (stream.resourceId === resourceId) note(BigInt(Math.round(stream.lastMs * 1e6)));
  }
  return last;
}

function byStart(a: SpanRow, b: SpanRow): number {
  const difference = BigInt(a.start) - BigInt(b.start);
  return difference < 0n ? -1 : difference > 0n ? 1 : a.id - b.id;
}

/** See {@linkcode StoreQueries}. */
export function losses(reader: Reader, range: TimeRange): Loss[] {
  const rows = reader.db.prepare(
    `SELECT time AS timeMs, process, file, ring, reason, count FROM loss
      WHERE time >= ? AND time < ? ORDER BY time DESC LIMIT 10000`,
  ).all(range.fromMs ?? 0, range.toMs ?? Number.MAX_SAFE_INTEGER) as unknown as Loss[];
  return rows.map((row) => ({ ...row }));
}
