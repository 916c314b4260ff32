/**
 * Metrics of OTLP as the text that Prometheus scrapes: version 0.0.4, or OpenMetrics 1.0.
 *
 * Specification, "Prometheus and OpenMetrics Compatibility", "OTLP Metric points to Prometheus".
 *
 * @module
 */
import {
  AggregationTemporality,
  type Exemplar,
  type ExponentialHistogramDataPoint,
  type HistogramDataPoint,
  type Metric,
  type NumberDataPoint,
  type ResourceMetrics,
  type ScopeMetrics,
} from "../../proto/gen/otlp_pb.ts";
import { plural } from "../text/text.ts";
import { type Bucket, explicitBuckets, exponentialBuckets } from "./buckets.ts";
import { formatLabels, type Labels, labelsOf, textOf } from "./labels.ts";
import { metricName } from "./names.ts";

/** Which text. */
export type Format = "text" | "openmetrics";

/** `Content-Type` by format. */
export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The format that a scraper asks for. */
export function chooseFormat(accept: string): Format {
  return accept.includes("application/openmetrics-text") ? "openmetrics" : "text";
}

type Type = "counter" | "gauge" | "histogram" | "info";

/** All of one name: its lines must stand together. */
interface Family {
  readonly type: Type;
  readonly help: string;
  /** By the labels that they were made of. */
  readonly samples: Map<string, string[]>;
}

/** What a text is made of. */
export interface Text {
  readonly format: Format;
  readonly families: Map<string, Family>;
  /** Points without a place: of another type, or the same labels, as some before. */
  conflicting: number;
}

/** Nothing so far. */
export function createText(format: Format): Text {
  return { format, families: new Map(), conflicting: 0 };
}

/**
 * Adds the metrics of a resource, with labels that say whose they are.
 *
 * @param instance What the label `instance` is where the resource has no `service.instance.id`.
 */
export function addResource(text: Text, of: ResourceMetrics, instance: string): void {
  const { own, rest } = target(of, instance);
  for (const scope of of.scopeMetrics) addScope(text, scope, [...own, ...scopeLabels(scope)]);
  if (rest.size === 0 || of.scopeMetrics.length === 0) return;
  // Labels that say whose it is win over attributes that become the same label.
  const labels = formatLabels(new Map([...rest, ...own]));
  const family = familyOf(text, "target_info", "info", "Target metadata");
  const key = JSON.stringify(own);
  if (!family?.samples.has(key)) family?.samples.set(key, [`target_info${labels} 1`]);
}

/** Adds metrics of which nobody has to say whose they are: the collector's own. */
export function addOwn(text: Text, of: ResourceMetrics): void {
  for (const scope of of.scopeMetrics) addScope(text, scope, []);
}

/** The whole text. */
export function formatText({ conflicting, families, format }: Text): string {
  const lines: string[] = [];
  for (const [name, { help, samples, type }] of families) {
    // OpenMetrics names families without the suffix that tells their samples.
    const family = format === "text" ? name : name.replace(SUFFIXES[type], "");
    const shown = format === "text" && type === "info" ? "gauge" : type;
    if (help !== "") lines.push(`# HELP ${family} ${escapeHelp(help, format)}`);
    lines.push(`# TYPE ${family} ${shown}`);
    for (const sample of samples.values()) lines.push(...sample);
  }
  if (format === "openmetrics") lines.push("# EOF");
  else if (conflicting > 0) {
    lines.push(`# ${plural(conflicting, "point")} left out: name or labels in use`);
  }
  return `${lines.join("\n")}\n`;
}

const SUFFIXES: Readonly<Record<Type, RegExp | "">> = {
  counter: /_total$/,
  info: /_info$/,
  gauge: "",
  histogram: "",
};

function escapeHelp(help: string, format: Format): string {
  const special = format === "text" ? /[\\\n]/g : /[\\\n"]/g;
  return help.replace(special, (c) => c === "\n" ? "\\n" : `\\${c}`);
}

const TARGET: ReadonlySet<string> = new Set([
  "service.name",
  "service.namespace",
  "service.instance.id",
]);

function target(
  { resource }: ResourceMetrics,
  fallback: string,
): { own: [string, string][]; rest: Labels } {
  const attributes = resource?.attributes ?? [];
  const find = (wanted: string): string =>
    textOf(attributes.find(({ key }) => key === wanted)?.value);
  const namespace = find("service.namespace");
  const name = find("service.name");
  return {
    own: [
      ["job", namespace === "" ? name : `${namespace}/${name}`],
      ["instance", find("service.instance.id") || fallback],
    ],
    rest: labelsOf(attributes.filter(({ key }) => !TARGET.has(key))),
  };
}

function scopeLabels({ schemaUrl, scope }: ScopeMetrics): [string, string][] {
  return [
    ...labelsOf(scope?.attributes ?? [], "otel_scope_"),
    ["otel_scope_name", scope?.name ?? ""],
    ["otel_scope_version", scope?.version ?? ""],
    ["otel_scope_schema_url", schemaUrl],
  ];
}

function familyOf(text: Text, name: string, type: Type, help: string): Family | null {
  let family = text.families.get(name);
  if (family === undefined) {
    family = { type, help, samples: new Map() };
    text.families.set(name, family);
  }
  return family.type === type ? family : null;
}

function addScope(text: Text, { metrics }: ScopeMetrics, own: [string, string][]): void {
  for (const metric of metrics) addMetric(text, metric, own);
}

function addMetric(text: Text, metric: Metric, own: [string, string][]): void {
  const { data, description, name, unit } = metric;
  if (data.case === undefined || data.case === "summary") return;
  if (data.case !== "gauge") {
    const { aggregationTemporality } = data.value;
    // Nobody adds increments up here.
    if (aggregationTemporality !== AggregationTemporality.CUMULATIVE) return;
  }
  const isCounter = data.case === "sum" && data.value.isMonotonic;
  const type = isCounter ? "counter" : data.case.endsWith("istogram") ? "histogram" : "gauge";
  const full = metricName(name, unit, type === "histogram" ? "none" : type);
  const family = familyOf(text, full, type, description);
  const points: readonly (NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint)[] =
    data.value.dataPoints;
  for (const point of points) {
    const labels = new Map([...labelsOf(point.attributes), ...own]);
    const key = formatLabels(labels);
    if (family === null || family.samples.has(key)) {
      text.conflicting++;
      continue;
    }
    family.samples.set(key, linesOf(text.format, full, labels, point, isCounter));
  }
}

function linesOf(
  format: Format,
  name: string,
  labels: Labels,
  point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint,
  isCounter: boolean,
): string[] {
  switch (point.$typeName) {
    case "otlp.v1.NumberDataPoint": {
      const { exemplars, startTimeUnixNano, value } = point;
      const own = formatLabels(labels);
      const shown = format === "openmetrics" && isCounter ? largest(exemplars, Infinity) : "";
      const line = `${name}${own} ${formatNumber(value.value ?? 0)}${shown}`;
      if (!isCounter) return [line];
      return [line, ...created(format, name.replace(SUFFIXES.counter, ""), own, startTimeUnixNano)];
    }
    case "otlp.v1.HistogramDataPoint":
      return histogramLines(format, name, labels, point, explicitBuckets(point));
    default:
      return histogramLines(format, name, labels, point, exponentialBuckets(point));
  }
}

function histogramLines(
  format: Format,
  name: string,
  labels: Labels,
  point: HistogramDataPoint | ExponentialHistogramDataPoint,
  buckets: readonly Bucket[],
): string[] {
  const { count, exemplars, min, startTimeUnixNano, sum } = point;
  const own = formatLabels(labels);
  const lines = buckets.map(([bound, upTo]) => {
    const all = formatLabels([...labels, ["le", formatBound(bound)]]);
    const shown = format === "openmetrics" ? largest(exemplars, bound) : "";
    return `${name}_bucket${all} ${upTo}${shown}`;
  });
  // A sum that negative values went into does not only grow.
  const isNegative = (min ?? 0) < 0 || buckets.some(([bound, upTo]) => bound < 0 && upTo > 0n);
  if (sum !== undefined && sum >= 0 && !isNegative) {
    lines.push(`${name}_sum${own} ${formatNumber(sum)}`);
  }
  lines.push(`${name}_count${own} ${count}`, ...created(format, name, own, startTimeUnixNano));
  return lines;
}

/** OpenMetrics says since when something counts. */
function created(format: Format, name: string, labels: string, time: bigint): string[] {
  if (format === "text" || time === 0n) return [];
  return [`${name}_created${labels} ${seconds(time)}`];
}

function seconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1_000_000n) / 1000;
}

/** The exemplar of the largest value up to a bound, where there is any. */
function largest(exemplars: readonly Exemplar[], bound: number): string {
  let found: Exemplar | undefined;
  for (const each of exemplars) {
    if (valueOf(each) <= bound && (found === undefined || valueOf(each) > valueOf(found))) {
      found = each;
    }
  }
  return found === undefined ? "" : formatExemplar(found);
}

function valueOf({ value }: Exemplar): number {
  return Number(value.value ?? 0);
}

/** Characters of all labels of an exemplar at most. */
const EXEMPLAR_CHARACTERS = 128;

function formatExemplar(exemplar: Exemplar): string {
  const { filteredAttributes, spanId, timeUnixNano, traceId, value } = exemplar;
  const ids: [string, string][] = [["trace_id", hex(traceId)], ["span_id", hex(spanId)]];
  const all = [...new Map([...labelsOf(filteredAttributes), ...ids])];
  const length = all.reduce((sum, [name, text]) => sum + [...name, ...text].length, 0);
  const labels = formatLabels(length > EXEMPLAR_CHARACTERS ? ids : all) || "{}";
  return ` # ${labels} ${formatNumber(value.value ?? 0)} ${seconds(timeUnixNano)}`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function formatNumber(value: number | bigint): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

/** Bounds are labels, compared as text: 1 is always "1.0" (OpenMetrics, "Canonical Numbers"). */
function formatBound(bound: number): string {
  return Number.isInteger(bound) && Math.abs(bound) < 1e21
    ? `${bound === 0 ? 0 : bound}.0`
    : formatNumber(bound);
}
