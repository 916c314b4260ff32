/**
 * OTLP as plain objects in which two runs of one program are the same: ids become names, the time
 * of the run becomes "now", and what has no order in OTLP gets one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type DescMessage, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";

type Json = { [key: string]: JsonValue };

/** What arrived from one service. */
export interface Arrived {
  spans: Json[];
  logs: Json[];
  metrics: Json[];
}

/** Times of the run itself: explicit ones of the programs are years before. */
const RUN_BEGAN = BigInt(Date.now() - 600_000) * 1_000_000n;

/** Everything that arrived, by service. */
export function arrivedBy(
  bodies: { traces: Uint8Array[]; logs: Uint8Array[]; metrics: Uint8Array[] },
): Map<string, Arrived> {
  const all = new Map<string, Arrived>();
  const take = (
    schema: DescMessage,
    list: Uint8Array[],
    keys: [string, string, string],
    into: keyof Arrived,
  ): void => {
    for (const body of list) {
      const request = toJson(schema, fromBinary(schema, body)) as Json;
      for (const resource of (request[keys[0]] ?? []) as Json[]) {
        const attributes = clean((resource.resource as Json)?.attributes) as Json;
        const service = String(((attributes ?? {})["service.name"] as Json)?.stringValue);
        let arrived = all.get(service);
        if (arrived === undefined) all.set(service, arrived = { spans: [], logs: [], metrics: [] });
        for (const scope of (resource[keys[1]] ?? []) as Json[]) {
          for (const item of (scope[keys[2]] ?? []) as Json[]) {
            arrived[into].push({
              ...item,
              scope: walk(scope.scope ?? null, String),
              scopeSchemaUrl: scope.schemaUrl ?? "",
              resourceSchemaUrl: resource.schemaUrl ?? "",
              resource: withoutSdk(attributes),
            });
          }
        }
      }
    }
  };
  take(
    ExportTraceServiceRequestSchema,
    bodies.traces,
    ["resourceSpans", "scopeSpans", "spans"],
    "spans",
  );
  take(
    ExportLogsServiceRequestSchema,
    bodies.logs,
    ["resourceLogs", "scopeLogs", "logRecords"],
    "logs",
  );
  take(ExportMetricsServiceRequestSchema, bodies.metrics, [
    "resourceMetrics",
    "scopeMetrics",
    "metrics",
  ], "metrics");
  for (const arrived of all.values()) normalize(arrived);
  return all;
}

function withoutSdk(attributes: Json): Json {
  return Object.fromEntries(
    Object.entries(attributes).filter(([key]) => !key.startsWith("telemetry.sdk.")),
  );
}

function normalize(arrived: Arrived): void {
  const names = new Map<string, string>();
  for (const span of arrived.spans) {
    names.set(hex(span.spanId), `span ${span.name}`);
    if (span.parentSpanId === undefined) names.set(hex(span.traceId), `trace of ${span.name}`);
  }
  const named = (id: JsonValue | undefined): string => {
    const text = hex(id);
    return names.get(text) ?? text;
  };
  arrived.spans = arrived.spans.map((span) => walk(span, named) as Json);
  arrived.logs = arrived.logs.map((log) => walk(log, named) as Json);
  arrived.metrics = arrived.metrics.map((metric) => walk(metric, named) as Json);
  for (const list of [arrived.spans, arrived.logs, arrived.metrics]) {
    list.sort((a, b) => compare(keyOf(a), keyOf(b)));
  }
}

/** What an item is sorted by: ids and order of arrival say nothing. */
function keyOf(item: Json): string {
  const { name, body, eventName, severityText, scope, ...rest } = item;
  return JSON.stringify([name, eventName, severityText, body, scope, rest.attributes]) ?? "";
}

function walk(value: JsonValue, named: (id: JsonValue) => string, key = ""): JsonValue {
  if (key === "attributes" || key === "filteredAttributes" || key === "values") {
    return clean(value, named);
  }
  if (/^(trace|span|parentSpan)Id$/.test(key)) return named(value);
  if (/TimeUnixNano$/.test(key) || key === "timeUnixNano") {
    return BigInt(String(value)) > RUN_BEGAN ? "now" : value;
  }
  if (Array.isArray(value)) {
    const list = value.map((each) => walk(each, named));
    return key === "dataPoints" ? byAttributes(list as Json[]) : list;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    // A message without fields says what its absence says.
    .filter(([name, each]) => !MAY_BE_EMPTY.has(name) || JSON.stringify(each) !== "{}");
  const walked = Object.fromEntries(entries.map(([name, each]) => [name, walk(each, named, name)]));
  // "now" on both ends says nothing of their order.
  return endsBeforeItsStart(value as Json) ? { ...walked, endsBeforeItsStart: true } : walked;
}

function endsBeforeItsStart({ startTimeUnixNano, endTimeUnixNano, timeUnixNano }: Json): boolean {
  const end = endTimeUnixNano ?? timeUnixNano;
  if (startTimeUnixNano === undefined || end === undefined) return false;
  return BigInt(String(end)) < BigInt(String(startTimeUnixNano));
}

/** Data points by what tells them apart, which their order does not. */
function byAttributes(points: Json[]): Json {
  return unique(points.map((point) => [JSON.stringify(point.attributes ?? {}), point] as const));
}

/** An object of pairs; what has a key for the second time is there as well. */
function unique(pairs: ReadonlyArray<readonly [string, JsonValue]>): Json {
  const all: Json = Object.create(null);
  for (const [key, value] of pairs) {
    let free = key;
    for (let i = 2; free in all; i++) free = `${key} again ${i}`;
    all[free] = value;
  }
  return all;
}

const MAY_BE_EMPTY = new Set(["status", "positive", "negative"]);

/** A list of KeyValues as an object; other lists as they are. */
function clean(value: JsonValue | undefined, named?: (id: JsonValue) => string): JsonValue {
  if (!Array.isArray(value)) return value ?? {};
  if (!value.every((each) => typeof each === "object" && each !== null && "key" in each)) {
    return value.map((each) => named === undefined ? each : walk(each, named));
  }
  const pairs = (value as Json[]).map(({ key, value }) => [String(key), value ?? null] as const);
  return unique(pairs.sort(([a], [b]) => compare(a, b)));
}

function hex(id: JsonValue | undefined): string {
  return Buffer.from(String(id ?? ""), "base64").toString("hex");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where two values differ: paths with what is on either side. */
export function differences(
  ours: JsonValue | undefined,
  theirs: JsonValue | undefined,
  path = "",
): string[] {
  if (typeof ours === "object" && typeof theirs === "object" && ours !== null && theirs !== null) {
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...keys].flatMap((key) =>
      differences((ours as Json)[key], (theirs as Json)[key], `${path}/${key}`)
    );
  }
  if (ours === theirs) return [];
  return [`${path}: ${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`];
}
