/**
 * Spans, log records and data points as JSON, one flat object each: for `jq` and scripts.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type AnyValue,
  type KeyValue,
  type LogRecord,
  type Metric,
  type Span,
  Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";
import { severityName } from "../print/logs.ts";
import { KINDS } from "../print/spans.ts";

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** RFC 3339 with nanoseconds. */
function timeOf(ns: bigint): string {
  const second = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
  return `${second}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`;
}

function valueOf(any: AnyValue | undefined): Json {
  const held = any?.value;
  switch (held?.case) {
    case undefined:
      return null;
    case "intValue":
      // Beyond what a double holds, as text.
      return Number.isSafeInteger(Number(held.value)) ? Number(held.value) : String(held.value);
    case "doubleValue":
      return Number.isFinite(held.value) ? held.value : String(held.value);
    case "bytesValue":
      return Buffer.from(held.value).toString("base64");
    case "arrayValue":
      return held.value.values.map(valueOf);
    case "kvlistValue":
      return attributesOf(held.value.values);
    default:
      return held?.value as Json;
  }
}

function attributesOf(pairs: readonly KeyValue[]): { [key: string]: Json } {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]));
}

/** On a line, with everything escaped that a terminal could take for more than text. */
function line(object: { [key: string]: Json | undefined }): string {
  return JSON.stringify(object).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}]/gu,
    (character) =>
      Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
      ).join(""),
  );
}

/** A span. */
export function spanObject(span: Span, service: string): string {
  const { startTimeUnixNano: start, endTimeUnixNano: end, status } = span;
  return line({
    type: "span",
    time: timeOf(start),
    durationMs: Number(end - start) / 1e6,
    service,
    name: span.name,
    kind: KINDS[span.kind] ?? "unspecified",
    status: status?.code === Status_StatusCode.ERROR
      ? "error"
      : status?.code === Status_StatusCode.OK
      ? "ok"
      : "unset",
    statusMessage: status?.message || undefined,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId) || undefined,
    attributes: attributesOf(span.attributes),
    events: span.events.map(({ name, timeUnixNano, attributes }) => ({
      time: timeOf(timeUnixNano),
      name,
      attributes: attributesOf(attributes),
    })),
    links: span.links.map(({ traceId, spanId }) => ({
      traceId: hex(traceId),
      spanId: hex(spanId),
    })),
  });
}

/** A log record. */
export function logObject(log: LogRecord, service: string): string {
  const time = log.timeUnixNano === 0n ? log.observedTimeUnixNano : log.timeUnixNano;
  return line({
    type: "log",
    time: timeOf(time),
    severity: log.severityText || severityName(log.severityNumber),
    severityNumber: log.severityNumber,
    service,
    event: log.eventName || undefined,
    body: valueOf(log.body),
    traceId: hex(log.traceId) || undefined,
    spanId: hex(log.spanId) || undefined,
    attributes: attributesOf(log.attributes),
  });
}

/** The points of a metric. */
export function pointObjects({ name, unit, data }: Metric, service: string): string[] {
  if (data.case === undefined) return [];
  return data.value.dataPoints.map((point) =>
    line({
      type: "point",
      time: timeOf(point.timeUnixNano),
      service,
      name,
      unit: unit || undefined,
      kind: data.case!,
      ...("count" in point
        ? { count: Number(point.count), sum: point.sum }
        : { value: point.value.case === undefined ? null : Number(point.value.value) }),
      attributes: attributesOf(point.attributes),
    })
  );
}
