/**
 * What processors do to requests on their way out.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type AnyValue,
  AnyValueSchema,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type KeyValue,
  KeyValueSchema,
  type LogRecord,
  type Metric,
  type Span,
} from "../../proto/gen/otlp_pb.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { DECODING } from "../send/decoding.ts";
import { matchesPattern } from "../../lib/wildcard.ts";
import {
  type Condition,
  fits,
  fitsGroup,
  isOfGroup,
  type Item,
  signalsOf,
  textOf,
} from "./condition.ts";

/** A value of an attribute in a configuration. */
export type Scalar = string | number | boolean;

/** What is done to items. Keys of attributes may have `*` and `?` where they are patterns. */
export type Action =
  /** Leaves items out: those that fit, or with `keep` those of its signals that don't. */
  | { readonly kind: "drop" | "keep" }
  /** Replaces values by a text. */
  | { readonly kind: "redact"; readonly keys: readonly string[]; readonly by: string }
  /** Replaces values by their SHA-256 in hex, keyed (HMAC) where there is a secret. */
  | { readonly kind: "hash"; readonly keys: readonly string[]; readonly secret: string }
  | { readonly kind: "remove"; readonly keys: readonly string[] }
  /** Keys to their new names; where the new one is there already, it stays. */
  | { readonly kind: "rename"; readonly keys: ReadonlyMap<string, string> }
  | { readonly kind: "set"; readonly values: ReadonlyMap<string, Scalar> }
  /** Gives resources the attributes that they don't have. */
  | { readonly kind: "complete"; readonly values: ReadonlyMap<string, Scalar> };

/** One step. */
export interface Processor {
  /** Any of these has to hold; none: always. */
  readonly where: readonly Condition[];
  readonly action: Action;
}

/** What processing left of a request. */
export interface Processed {
  /** The request in protobuf. */
  readonly body: Uint8Array;
  /** Items in it. */
  readonly items: number;
}

interface Group {
  readonly resource: readonly KeyValue[];
  readonly scope: string;
}

/** Puts a request (protobuf bytes) through all processors, in their order. */
export function processRequest(
  signal: Signal,
  body: Uint8Array,
  processors: readonly Processor[],
): Processed {
  if (signal === "traces") {
    const request = fromBinary(ExportTraceServiceRequestSchema, body, DECODING);
    const items = processAll(
      request.resourceSpans,
      ({ scopeSpans }) => scopeSpans,
      ({ spans }, group) => {
        retain(spans, (span) => processSpan(span, group, processors));
        return spans.length;
      },
      (attributes, group, isResource) =>
        processGroup(attributes, { signal, ...group }, processors, isResource),
    );
    return { body: toBinary(ExportTraceServiceRequestSchema, request), items };
  }
  if (signal === "logs") {
    const request = fromBinary(ExportLogsServiceRequestSchema, body, DECODING);
    const items = processAll(
      request.resourceLogs,
      ({ scopeLogs }) => scopeLogs,
      ({ logRecords }, group) => {
        retain(logRecords, (log) => processLog(log, group, processors));
        return logRecords.length;
      },
      (attributes, group, isResource) =>
        processGroup(attributes, { signal, ...group }, processors, isResource),
    );
    return { body: toBinary(ExportLogsServiceRequestSchema, request), items };
  }
  const request = fromBinary(ExportMetricsServiceRequestSchema, body, DECODING);
  const items = processAll(
    request.resourceMetrics,
    ({ scopeMetrics }) => scopeMetrics,
    ({ metrics }, group) => {
      let points = 0;
      retain(metrics, (metric) => {
        const left = processMetric(metric, group, processors);
        points += left;
        return left > 0;
      });
      return points;
    },
    (attributes, group, isResource) =>
      processGroup(attributes, { signal, ...group }, processors, isResource),
  );
  return { body: toBinary(ExportMetricsServiceRequestSchema, request), items };
}

/**
 * Goes through resources and scopes, and leaves out those that nothing is left of. Items come before
 * their scope and resource are changed, since conditions are about what was recorded.
 */
function processAll<
  Scope extends { scope?: { name: string; attributes: KeyValue[] } },
  Resource extends { resource?: { attributes: KeyValue[] } },
>(
  resources: Resource[],
  scopesOf: (resource: Resource) => Scope[],
  processItems: (scope: Scope, group: Group) => number,
  processAttributes: (attributes: KeyValue[], group: Group, isResource: boolean) => void,
): number {
  let items = 0;
  retain(resources, (each) => {
    const resource = each.resource?.attributes ?? [];
    const scopes = scopesOf(each);
    retain(scopes, (one) => {
      const group = { resource, scope: one.scope?.name ?? "" };
      const count = processItems(one, group);
      items += count;
      if (one.scope !== undefined) processAttributes(one.scope.attributes, group, false);
      return count > 0;
    });
    processAttributes(resource, { resource, scope: "" }, true);
    return scopes.length > 0;
  });
  return items;
}

/** Attributes of a resource or scope; `set` is about items. */
function processGroup(
  attributes: KeyValue[],
  group: Group & { readonly signal: Signal },
  processors: readonly Processor[],
  isResource: boolean,
): void {
  // All of them are asked before one of them changes what the others ask for.
  const wanted = processors.filter(({ where, action }) => {
    if (action.kind === "set" || (action.kind === "complete" && !isResource)) return false;
    return where.length === 0 ||
      where.some((condition) =>
        isOfGroup(condition) && !(isResource && condition.scope !== undefined) &&
        fitsGroup(condition, group)
      );
  });
  for (const { action } of wanted) change(attributes, action);
}

function processSpan(span: Span, group: Group, processors: readonly Processor[]): boolean {
  return processItem(
    {
      ...NOTHING,
      ...group,
      signal: "traces",
      name: span.name,
      attributes: span.attributes,
      kind: span.kind,
      status: span.status?.code ?? 0,
      duration: span.endTimeUnixNano - span.startTimeUnixNano,
    },
    processors,
    span.attributes,
    (action) => {
      for (const { attributes } of span.events) change(attributes, action);
      for (const { attributes } of span.links) change(attributes, action);
    },
  );
}

function processLog(log: LogRecord, group: Group, processors: readonly Processor[]): boolean {
  const text = log.body?.value;
  return processItem(
    {
      ...NOTHING,
      ...group,
      signal: "logs",
      name: log.eventName,
      attributes: log.attributes,
      severity: log.severityNumber,
      body: text?.case === "stringValue" ? text.value : "",
    },
    processors,
    log.attributes,
    (action) => changeInside(log.body, action),
  );
}

/** Returns how many points are left. */
function processMetric(metric: Metric, group: Group, processors: readonly Processor[]): number {
  const { data } = metric;
  if (data.case === undefined) return 0;
  const points: readonly { attributes: KeyValue[] }[] = data.value.dataPoints;
  const left = points.filter((point) =>
    processItem(
      {
        ...NOTHING,
        ...group,
        signal: "metrics",
        name: metric.name,
        attributes: point.attributes,
      },
      processors,
      point.attributes,
      (action) => {
        const { exemplars = [] } = point as { exemplars?: { filteredAttributes: KeyValue[] }[] };
        for (const { filteredAttributes } of exemplars) change(filteredAttributes, action);
      },
    )
  );
  (data.value as { dataPoints: unknown }).dataPoints = left;
  return left.length;
}

const NOTHING = { kind: 0, status: 0, duration: 0n, severity: 0, body: "" };

/** False for an item to leave out. `changeMore` is for attributes elsewhere in it. */
function processItem(
  item: Item,
  processors: readonly Processor[],
  attributes: KeyValue[],
  changeMore: (action: Action) => void,
): boolean {
  for (const { where, action } of processors) {
    const holds = where.length === 0 || where.some((condition) => fits(condition, item));
    if (action.kind === "drop") {
      if (holds) return false;
    } else if (action.kind === "keep") {
      // What it says of one signal is no reason to drop another.
      const isMeant = where.some((condition) =>
        signalsOf(condition)?.includes(item.signal) ?? true
      );
      if (!holds && isMeant) return false;
    } else if (holds && action.kind !== "complete") {
      change(attributes, action);
      if (action.kind !== "set") changeMore(action);
    }
  }
  return true;
}

/** Changes a list of attributes in place, and the maps inside it. */
function change(attributes: KeyValue[], action: Action): void {
  switch (action.kind) {
    case "redact":
    case "hash":
      for (const each of attributes) {
        if (isOneOf(each.key, action.keys)) each.value = text(replacement(each.value, action));
      }
      break;
    case "remove":
      retain(attributes, ({ key }) => !isOneOf(key, action.keys));
      break;
    case "rename": {
      // Names that are given up are free: two may be swapped.
      const taken = new Set(
        attributes.map(({ key }) => key).filter((key) => !action.keys.has(key)),
      );
      retain(attributes, (each) => {
        const name = action.keys.get(each.key);
        if (name === undefined) return true;
        if (taken.has(name)) return false;
        taken.add(name);
        each.key = name;
        return true;
      });
      break;
    }
    case "set":
    case "complete":
      for (const [key, value] of action.values) {
        const known = attributes.find((each) => each.key === key);
        if (known === undefined) {
          attributes.push(create(KeyValueSchema, { key, value: scalar(value) }));
        } else if (action.kind === "set") known.value = scalar(value);
      }
      return;
  }
  for (const { value } of attributes) changeInside(value, action);
}

function changeInside(value: AnyValue | undefined, action: Action): void {
  const held = value?.value;
  if (held?.case === "kvlistValue") change(held.value.values, action);
  if (held?.case === "arrayValue") {
    for (const each of held.value.values) changeInside(each, action);
  }
}

function isOneOf(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, key));
}

function retain<T>(list: T[], wanted: (item: T) => boolean): void {
  list.splice(0, list.length, ...list.filter(wanted));
}

function replacement(
  value: AnyValue | undefined,
  action: Extract<Action, { kind: "redact" | "hash" }>,
): string {
  if (action.kind === "redact") return action.by;
  const { secret } = action;
  const hash = secret === "" ? createHash("sha256") : createHmac("sha256", secret);
  return hash.update(textOf(value)).digest("hex");
}

function text(value: string): AnyValue {
  return create(AnyValueSchema, { value: { case: "stringValue", value } });
}

/** A value of a configuration as OTLP has it: whole numbers are integers. */
export function scalar(value: Scalar): AnyValue {
  if (typeof value === "string") return text(value);
  return create(AnyValueSchema, {
    value: typeof value === "boolean"
      ? { case: "boolValue", value }
      : Number.isSafeInteger(value)
      ? { case: "intValue", value: BigInt(value) }
      : { case: "doubleValue", value },
  });
}
