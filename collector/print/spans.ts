/**
 * Spans for people: one line each.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  ExportTraceServiceRequestSchema,
  type Span,
  type Span_Event,
  Span_SpanKind,
  Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";
import { quoted, word } from "../text/text.ts";
import {
  BOLD,
  CYAN,
  DIM,
  formatAttributes,
  formatTime,
  GREEN,
  hex,
  MAX_VALUE,
  paint,
  type PrintStyle,
  RED,
  serviceName,
  YELLOW,
} from "./values.ts";
import { DECODING } from "../send/decoding.ts";

/** What kinds are called. */
export const KINDS: Readonly<Record<number, string>> = {
  [Span_SpanKind.INTERNAL]: "internal",
  [Span_SpanKind.SERVER]: "server",
  [Span_SpanKind.CLIENT]: "client",
  [Span_SpanKind.PRODUCER]: "producer",
  [Span_SpanKind.CONSUMER]: "consumer",
};

/** From start to end, in a unit that suits it; "?" where one of them is not known. */
export function formatDuration(span: Span): string {
  const { startTimeUnixNano: start, endTimeUnixNano: end } = span;
  if (start === 0n || end === 0n) return "?";
  const ns = Number(end - start);
  const size = Math.abs(ns);
  if (size < 1e3) return `${ns}ns`;
  if (size < 1e6) return `${(ns / 1e3).toFixed(1)}us`;
  if (size < 1e9) return `${(ns / 1e6).toFixed(2)}ms`;
  return `${(ns / 1e9).toFixed(2)}s`;
}

/** Its status, with the message of an error. */
export function formatStatus(span: Span, style: PrintStyle): string {
  const { status } = span;
  if (status?.code === Status_StatusCode.ERROR) {
    const message = status.message === "" ? "" : ` ${quoted(status.message, MAX_VALUE)}`;
    return paint(style, RED, `ERROR${message}`);
  }
  return status?.code === Status_StatusCode.OK ? paint(style, GREEN, "OK") : "UNSET";
}

/** An event of a span, on its line: name, and attributes if it has any. */
export function formatEvent({ name, attributes, droppedAttributesCount }: Span_Event): string {
  const details = attributes.length + droppedAttributesCount === 0
    ? ""
    : `{${formatAttributes(attributes, droppedAttributesCount)}}`;
  return `event=${word(name, MAX_VALUE)}${details}`;
}

/** One span, without a line break. */
export function formatSpan(span: Span, service: string, style: PrintStyle): string {
  const parts = [
    paint(style, DIM, formatTime(span.startTimeUnixNano)),
    paint(style, YELLOW, formatDuration(span).padStart(9)),
    paint(style, CYAN, service),
    paint(style, BOLD, word(span.name, MAX_VALUE)),
    KINDS[span.kind] ?? "unspecified",
    formatStatus(span, style),
    paint(style, DIM, `trace=${hex(span.traceId)} span=${hex(span.spanId)}`),
  ];
  if (span.parentSpanId.length > 0) {
    parts.push(paint(style, DIM, `parent=${hex(span.parentSpanId)}`));
  }
  if (span.attributes.length + span.droppedAttributesCount > 0) {
    parts.push(formatAttributes(span.attributes, span.droppedAttributesCount));
  }
  parts.push(...span.events.map(formatEvent));
  for (const link of span.links) parts.push(`link=${hex(link.traceId)}/${hex(link.spanId)}`);
  return parts.join(" ");
}

/**
 * A line for each span of an ExportTraceServiceRequest: start time, duration, service, name, kind,
 * status, ids, attributes, events, links.
 */
export function formatSpans(body: Uint8Array, style: PrintStyle): string {
  const request = fromBinary(ExportTraceServiceRequestSchema, body, DECODING);
  let lines = "";
  for (const { resource, scopeSpans } of request.resourceSpans) {
    const service = serviceName(resource?.attributes);
    for (const { spans } of scopeSpans) {
      for (const span of spans) lines += formatSpan(span, service, style) + "\n";
    }
  }
  return lines;
}
