/**
 * The views that `otlp-mmap sql` offers: the same names and columns in every version, whatever the
 * tables are.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { openForReading } from "../database.ts";
import { KINDS, STATUSES } from "../read/spans.ts";
import { FUNCTIONS } from "./json.ts";

/** A view: its columns with what they are, and the query behind it. */
interface View {
  readonly columns: Readonly<Record<string, string>>;
  readonly query: string;
}

const names = (column: string, of: readonly string[]): string =>
  `CASE ${column} ${of.map((name, i) => `WHEN ${i} THEN '${name}'`).join(" ")} END`;
const time = (seconds: string): string => `strftime('%Y-%m-%dT%H:%M:%fZ', ${seconds}, 'unixepoch')`;
const text = (column: string): string =>
  `CASE WHEN instr(CAST(${column} AS BLOB), x'00') THEN without_nul(CAST(${column} AS BLOB)) ` +
  `ELSE ${column} END`;
const ORIGIN = `JOIN main.origins o ON o.id = origin JOIN main.resources r ON r.id = o.resource
  JOIN main.scopes s ON s.id = o.scope`;

/** The views by name. */
export const VIEWS: Readonly<Record<string, View>> = {
  spans: {
    columns: {
      trace_id: "hex",
      span_id: "hex",
      parent_id: "hex, null for a root",
      name: "",
      service: "service.name of the resource",
      kind: KINDS.join(", "),
      status: STATUSES.join(", "),
      message: "of the status",
      start: "text, UTC, to the millisecond",
      start_ns: "nanoseconds since the epoch",
      duration_ms: "",
      interrupted: "1 when its process ended before it did",
      attributes: "JSON: attributes ->> 'http.route'",
      events: "JSON: a list of objects with time_ns, name, attributes",
      links: "JSON: a list of objects with trace_id, span_id, attributes",
      resource: "JSON: its attributes",
      scope: "name of the instrumentation scope",
      id: "in the order of arrival",
    },
    query: `SELECT lower(hex(trace)) AS trace_id, lower(hex(span)) AS span_id,
      CASE WHEN parent IS NULL THEN NULL ELSE lower(hex(parent)) END AS parent_id,
      ${text("t.name")} AS name, r.service AS service, ${names("kind", KINDS)} AS kind,
      ${names("status", STATUSES)} AS status, span_message(rest) AS message,
      ${time("start / 1e9")} AS start, start AS start_ns, duration / 1e6 AS duration_ms,
      interrupted, span_attributes(rest) AS attributes, span_events(rest) AS events,
      span_links(rest) AS links, resource_attributes(r.body) AS resource, s.name AS scope,
      t.id AS id
      FROM main.spans t ${ORIGIN}`,
  },
  logs: {
    columns: {
      time: "text, UTC, to the millisecond",
      time_ns: "nanoseconds since the epoch",
      severity: "OTLP's number: 9 to 12 is INFO, 13 WARN, 17 ERROR, 21 FATAL",
      severity_text: "",
      service: "service.name of the resource",
      body: "text; JSON of what is not text",
      event_name: "",
      trace_id: "hex, null where there is none",
      span_id: "hex, null where there is none",
      attributes: "JSON",
      resource: "JSON: its attributes",
      scope: "name of the instrumentation scope",
      id: "in the order of arrival; for full text: id IN (SELECT rowid FROM logs_text('timeout'))",
    },
    query: `SELECT ${time("time / 1e9")} AS time, time AS time_ns, severity,
      log_severity(rest) AS severity_text, r.service AS service, ${text("t.body")} AS body,
      log_event(rest) AS event_name,
      CASE WHEN trace IS NULL THEN NULL ELSE lower(hex(trace)) END AS trace_id,
      CASE WHEN span IS NULL THEN NULL ELSE lower(hex(span)) END AS span_id,
      log_attributes(rest) AS attributes, resource_attributes(r.body) AS resource,
      s.name AS scope, t.id AS id
      FROM main.logs t ${ORIGIN}`,
  },
  metrics: {
    columns: {
      time: "text, UTC, to the millisecond",
      time_ns: "nanoseconds since the epoch",
      name: "",
      service: "service.name of the resource",
      unit: "",
      kind: "gauge, sum, histogram, exponentialHistogram, summary",
      temporality: "unspecified, delta, cumulative",
      attributes: "JSON",
      value: "of gauges and sums",
      data: "JSON: the whole point of other kinds, and of points with exemplars",
      scope: "name of the instrumentation scope",
    },
    query: `SELECT ${time("time / 1e9")} AS time, time AS time_ns, m.name AS name,
      r.service AS service, unit,
      CASE m.kind WHEN 5 THEN 'gauge' WHEN 7 THEN 'sum' WHEN 9 THEN 'histogram'
        WHEN 10 THEN 'exponentialHistogram' ELSE 'summary' END AS kind,
      ${names("temporality", ["unspecified", "delta", "cumulative"])} AS temporality,
      resource_attributes(e.attributes) AS attributes, value,
      point_data(m.kind, rest) AS data, s.name AS scope
      FROM main.points p JOIN main.series e ON e.id = p.series
      JOIN main.streams m ON m.id = e.stream ${ORIGIN}`,
  },
  services: {
    columns: {
      service: "service.name; there is a row for each resource, as a rule one for each process",
      resource_id: "",
      resource: "JSON: its attributes",
    },
    query: `SELECT service, id AS resource_id, resource_attributes(body) AS resource
      FROM main.resources`,
  },
  loss: {
    columns: {
      time: "text, UTC, to the millisecond",
      process: "its service and process id",
      file: "uid of the file",
      ring: "",
      reason: "",
      count: "records lost since the row before",
    },
    query: `SELECT ${time("time / 1e3")} AS time, process, file, ring, reason, count
      FROM main.loss`,
  },
};

/**
 * Opens a store for SQL of users: the views are there, and nothing can be changed.
 *
 * @throws StoreError when it can't be read.
 */
export function openForSql(path: string): DatabaseSync {
  const db = openForReading(path);
  for (const [name, implementation] of Object.entries(FUNCTIONS)) {
    db.function(name, { deterministic: true }, implementation as never);
  }
  db.exec("PRAGMA query_only = OFF");
  for (const [name, { query }] of Object.entries(VIEWS)) {
    db.exec(`CREATE TEMP VIEW ${name} AS ${query}`);
  }
  db.exec("PRAGMA query_only = ON");
  return db;
}
