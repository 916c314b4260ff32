/**
 * Spans for people: one line each.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import {
  type AnyValue,
  ExportTraceServiceRequestSchema,
  type KeyValue,
  type Span,
  Span_SpanKind,
  Status_StatusCode,
} from "../proto/gen/otlp_pb.ts";
import { quoted, word } from "./text.ts";
import type { Environment } from "./variables.ts";

/** How lines look. */
export interface PrintStyle {
  /** With ANSI colours. */
  readonly color: boolean;
}

const RED = "31";
const GREEN = "32";
const YELLOW = "33";
const CYAN = "36";
const DIM = "2";
const BOLD = "1";

/** Text of a value is cut after this many UTF-16 units. */
const MAX_VALUE = 120;
/** Elements of an array or list that are shown. */
const MAX_ELEMENTS = 16;
const MAX_DEPTH = 4;
const MAX_ATTRIBUTES = 64;

const KINDS: Record<number, string> = {
  [Span_SpanKind.INTERNAL]: "internal",
  [Span_SpanKind.SERVER]: "server",
  [Span_SpanKind.CLIENT]: "client",
  [Span_SpanKind.PRODUCER]: "producer",
  [Span_SpanKind.CONSUMER]: "consumer",
};

/** Colours only on a terminal, and not when NO_COLOR is set to anything (no-color.org). */
export function wantsColor(isTTY: boolean | undefined, env: Environment): boolean {
  const { NO_COLOR } = env;
  return isTTY === true && (NO_COLOR === undefined || NO_COLOR === "");
}

function paint(style: PrintStyle, code: string, text: string): string {
  return style.color ? `\x1b[${code}m${text}\x1b[0m` : text;
}

/** `2026-11-21T09:30:00.123456Z`; "-" when there is no time. */
function formatTime(ns: bigint): string {
  if (ns === 0n) return "-";
  const ms = Number(ns / 1_000_000n);
  // Every time of 64 bits is within what Date can hold.
  const micros = String((ns / 1000n) % 1000n).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", `${micros}Z`);
}

function formatDuration(span: Span): string {
  const { startTimeUnixNano: start, endTimeUnixNano: end } = span;
  if (start === 0n || end === 0n) return "?";
  const ns = Number(end - start);
  const size = Math.abs(ns);
  if (size < 1e3) return `${ns}ns`;
  if (size < 1e6) return `${(ns / 1e3).toFixed(1)}us`;
  if (size < 1e9) return `${(ns / 1e6).toFixed(2)}ms`;
  return `${(ns / 1e9).toFixed(2)}s`;
}

function hex(bytes: Uint8Array): string {
  return bytes.length === 0 ? "-" : Buffer.from(bytes).subarray(0, 16).toString("hex");
}

function formatValue(any: AnyValue | undefined, depth = 0): string {
  const held = any?.value;
  switch (held?.case) {
    case undefined:
      return "null";
    case "stringValue":
      return quoted(held.value, MAX_VALUE);
    case "bytesValue": {
      const shown = Buffer.from(held.value).subarray(0, MAX_VALUE / 2).toString("hex");
      return `0x${shown}${held.value.length > MAX_VALUE / 2 ? "…" : ""}`;
    }
    case "doubleValue":
      // So that 1 and 1.0, which are different types, look different.
      return Number.isInteger(held.value) && Math.abs(held.value) < 1e21
        ? `${Object.is(held.value, -0) ? "-0" : held.value}.0`
        : String(held.value);
    case "arrayValue": {
      const { values } = held.value;
      if (depth >= MAX_DEPTH) return "[…]";
      const shown = values.slice(0, MAX_ELEMENTS).map((value) => formatValue(value, depth + 1));
      return `[${shown.join(",")}${values.length > MAX_ELEMENTS ? ",…" : ""}]`;
    }
    case "kvlistValue": {
      const { values } = held.value;
      if (depth >= MAX_DEPTH) return "{…}";
      const shown = values.slice(0, MAX_ELEMENTS).map((pair) => formatPair(pair, depth + 1));
      return `{${shown.join(",")}${values.length > MAX_ELEMENTS ? ",…" : ""}}`;
    }
    default:
      return String(held?.value);
  }
}

function formatPair(pair: KeyValue, depth: number): string {
  return `${word(pair.key, MAX_VALUE)}=${formatValue(pair.value, depth)}`;
}

function formatAttributes(pairs: readonly KeyValue[], dropped: number): string {
  const shown = pairs.slice(0, MAX_ATTRIBUTES).map((pair) => formatPair(pair, 0)).join(" ");
  const more = pairs.length - Math.min(pairs.length, MAX_ATTRIBUTES) + dropped;
  return more === 0 ? shown : `${shown} (${more} attributes not shown)`;
}

function formatStatus(span: Span, style: PrintStyle): string {
  const { status } = span;
  if (status?.code === Status_StatusCode.ERROR) {
    const message = status.message === "" ? "" : ` ${quoted(status.message, MAX_VALUE)}`;
    return paint(style, RED, `ERROR${message}`);
  }
  return status?.code === Status_StatusCode.OK ? paint(style, GREEN, "OK") : "UNSET";
}

function formatSpan(span: Span, service: string, style: PrintStyle): string {
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
  for (const event of span.events) {
    const attributes = formatAttributes(event.attributes, event.droppedAttributesCount);
    parts.push(`event=${word(event.name, MAX_VALUE)}{${attributes}}`);
  }
  for (const link of span.links) parts.push(`link=${hex(link.traceId)}/${hex(link.spanId)}`);
  return parts.join(" ");
}

function serviceName(attributes: readonly KeyValue[] | undefined): string {
  const value = attributes?.find((pair) => pair.key === "service.name")?.value?.value;
  return value?.case === "stringValue" ? word(value.value, MAX_VALUE) : "-";
}

/**
 * One line, with its line break, for each span of an `ExportTraceServiceRequest`: start time,
 * duration, service, name, kind, status, ids, attributes, events, links. Nothing in the spans can
 * move the cursor, change colours or start another line.
 *
 * @param body The request as protobuf bytes.
 * @throws Error when they are something else.
 */
export function formatRequest(body: Uint8Array, style: PrintStyle): string {
  const request = fromBinary(ExportTraceServiceRequestSchema, body);
  let lines = "";
  for (const { resource, scopeSpans } of request.resourceSpans) {
    const service = serviceName(resource?.attributes);
    for (const { spans } of scopeSpans) {
      for (const span of spans) lines += formatSpan(span, service, style) + "\n";
    }
  }
  return lines;
}
