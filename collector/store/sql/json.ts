/**
 * What is stored as protobuf, as JSON that SQL can look into.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary, toJsonString } from "@bufbuild/protobuf";
import {
  type AnyValue,
  InstrumentationScopeSchema,
  type KeyValue,
  LogRecordSchema,
  ResourceSchema,
  SpanSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { hex } from "../read/spans.ts";
import { POINTS } from "../write/metrics.ts";

/** Functions for SQL by name: each takes what its columns hold, and returns text. */
export const FUNCTIONS: Readonly<Record<string, (...args: never[]) => string | null>> = {
  /** Text with NULs, at which Deno's `node:sqlite` ends a text: they become U+2400. */
  without_nul: (text: Uint8Array) => new TextDecoder().decode(text).replaceAll("\0", "\u2400"),
  span_attributes: (rest: Uint8Array) => json(() => object(span(rest).attributes)),
  span_events: (rest: Uint8Array) =>
    json(() =>
      list(
        span(rest).events.map(({ timeUnixNano, name, attributes }) =>
          `{"time_ns":${timeUnixNano},"name":${JSON.stringify(name)},"attributes":${
            object(attributes)
          }}`
        ),
      )
    ),
  span_links: (rest: Uint8Array) =>
    json(() =>
      list(
        span(rest).links.map(({ traceId, spanId, attributes }) =>
          `{"trace_id":"${hex(traceId)}","span_id":"${hex(spanId)}","attributes":${
            object(attributes)
          }}`
        ),
      )
    ),
  span_message: (rest: Uint8Array) => json(() => span(rest).status?.message || null),
  log_attributes: (rest: Uint8Array) => json(() => object(log(rest).attributes)),
  log_severity: (rest: Uint8Array) => json(() => log(rest).severityText || null),
  log_event: (rest: Uint8Array) => json(() => log(rest).eventName || null),
  resource_attributes: (body: Uint8Array) =>
    json(() => object(fromBinary(ResourceSchema, body, DECODING).attributes)),
  scope_attributes: (body: Uint8Array) =>
    json(() => object(fromBinary(InstrumentationScopeSchema, body, DECODING).attributes)),
  point_data: (kind: number, rest: Uint8Array | null) =>
    rest === null
      ? null
      : json(() => toJsonString(POINTS[kind], fromBinary(POINTS[kind], rest, DECODING))),
};

function span(rest: Uint8Array): ReturnType<typeof fromBinary<typeof SpanSchema>> {
  return fromBinary(SpanSchema, rest, DECODING);
}

function log(rest: Uint8Array): ReturnType<typeof fromBinary<typeof LogRecordSchema>> {
  return fromBinary(LogRecordSchema, rest, DECODING);
}

/** Null for what can't be read: other rows can. */
function json(make: () => string | null): string | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function list(items: readonly string[]): string {
  return `[${items.join(",")}]`;
}

function object(attributes: readonly KeyValue[]): string {
  return `{${
    attributes.map(({ key, value }) => `${JSON.stringify(key)}:${text(value)}`).join(",")
  }}`;
}

function text(any: AnyValue | undefined): string {
  const value = any?.value;
  switch (value?.case) {
    case "stringValue":
      return JSON.stringify(value.value);
    case "boolValue":
      return String(value.value);
    case "intValue":
      // All digits, also of what is no JavaScript number.
      return String(value.value);
    case "doubleValue":
      if (!Number.isFinite(value.value)) return `"${value.value}"`;
      // With a point, so that 1 and 1.0 differ here too.
      return Number.isInteger(value.value) && Math.abs(value.value) < 1e21
        ? `${value.value}.0`
        : String(value.value);
    case "bytesValue":
      return `"${Buffer.from(value.value).toString("base64")}"`;
    case "arrayValue":
      return list(value.value.values.map(text));
    case "kvlistValue":
      return object(value.value.values);
    default:
      return "null";
  }
}
