/**
 * Which spans, log records and data points a processor is about.
 *
 * @module
 */
import type { AnyValue, KeyValue } from "../../proto/gen/otlp_pb.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { matchesPattern } from "../../lib/wildcard.ts";

/** Of an item, what can be asked about. */
export interface Item {
  readonly signal: Signal;
  readonly resource: readonly KeyValue[];
  /** Name of the instrumentation scope. */
  readonly scope: string;
  /** Of a span, a metric, or a log record's event. */
  readonly name: string;
  readonly attributes: readonly KeyValue[];
  /** Of a span: SpanKind, StatusCode, and end minus start, ns. 0 for other signals. */
  readonly kind: number;
  readonly status: number;
  readonly duration: bigint;
  /** Of a log record: SeverityNumber, and its body where that is text. */
  readonly severity: number;
  readonly body: string;
}

/** Keys, and patterns (`*`, `?`) that their values, as text, must be like. */
export type Wanted = ReadonlyArray<readonly [key: string, pattern: string]>;

/** All that is given must be so. What only one signal has is never so of others. */
export interface Condition {
  readonly signals?: readonly Signal[];
  /** Pattern of `service.name`. */
  readonly service?: string;
  readonly resource?: Wanted;
  readonly scope?: string;
  readonly name?: string;
  readonly attributes?: Wanted;
  readonly kind?: number;
  readonly status?: number;
  /** Spans that took at least so long, ns. */
  readonly minDuration?: bigint;
  /** Log records whose severity is known, and at least or below this. */
  readonly severityAtLeast?: number;
  readonly severityBelow?: number;
  readonly body?: string;
}

/** Whether a condition can be true of a resource and scope as a whole. */
export function isOfGroup(condition: Condition): boolean {
  const { signals: _1, service: _2, resource: _3, scope: _4, ...ofItems } = condition;
  return Object.values(ofItems).every((value) => value === undefined);
}

/** The signals that a condition can be true of; undefined for all. */
export function signalsOf(condition: Condition): readonly Signal[] | undefined {
  const { signals, kind, status, minDuration, severityAtLeast, severityBelow, body } = condition;
  if (signals !== undefined) return signals;
  if ((kind ?? status ?? minDuration) !== undefined) return ["traces"];
  if ((severityAtLeast ?? severityBelow ?? body) !== undefined) return ["logs"];
  return undefined;
}

/** Whether the part of a condition that is about signal, resource and scope holds. */
export function fitsGroup(
  condition: Condition,
  { signal, resource, scope }: Pick<Item, "signal" | "resource" | "scope">,
): boolean {
  return (condition.signals === undefined || condition.signals.includes(signal)) &&
    (condition.service === undefined || hasAll(resource, [["service.name", condition.service]])) &&
    (condition.resource === undefined || hasAll(resource, condition.resource)) &&
    (condition.scope === undefined || matchesPattern(condition.scope, scope));
}

/** Whether a condition holds. */
export function fits(condition: Condition, item: Item): boolean {
  if (!fitsGroup(condition, item)) return false;
  const { signal } = item;
  const { kind, status, minDuration, severityAtLeast, severityBelow, body } = condition;
  if (condition.name !== undefined && !matchesPattern(condition.name, item.name)) return false;
  if (condition.attributes !== undefined && !hasAll(item.attributes, condition.attributes)) {
    return false;
  }
  if (kind !== undefined || status !== undefined || minDuration !== undefined) {
    if (signal !== "traces") return false;
    if (kind !== undefined && item.kind !== kind) return false;
    if (status !== undefined && item.status !== status) return false;
    if (minDuration !== undefined && item.duration < minDuration) return false;
  }
  if (severityAtLeast !== undefined || severityBelow !== undefined || body !== undefined) {
    if (signal !== "logs") return false;
    if (severityAtLeast !== undefined && item.severity < severityAtLeast) return false;
    if (severityBelow !== undefined && (item.severity === 0 || item.severity >= severityBelow)) {
      return false;
    }
    if (body !== undefined && !matchesPattern(body, item.body)) return false;
  }
  return true;
}

function hasAll(attributes: readonly KeyValue[], wanted: Wanted): boolean {
  return wanted.every(([key, pattern]) =>
    attributes.some((each) => each.key === key && matchesPattern(pattern, textOf(each.value)))
  );
}

/** A value as it is compared and hashed; arrays and maps as JSON. */
export function textOf(value: AnyValue | undefined): string {
  const held = value?.value;
  if (held?.case === undefined) return "";
  switch (held.case) {
    case "arrayValue":
    case "kvlistValue":
    case "bytesValue":
      return JSON.stringify(plain(value));
    default:
      return String(held.value);
  }
}

function plain(value: AnyValue | undefined): unknown {
  const held = value?.value;
  switch (held?.case) {
    case "arrayValue":
      return held.value.values.map(plain);
    case "kvlistValue":
      return Object.fromEntries(held.value.values.map((each) => [each.key, plain(each.value)]));
    case "bytesValue":
      return [...held.value];
    case "intValue":
      return String(held.value);
    default:
      return held?.value;
  }
}
