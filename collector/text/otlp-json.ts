/**
 * OTLP/JSON: export requests as the text that OTLP has for them ("JSON Protobuf Encoding": hex ids,
 * numbers for enums, strings for 64-bit integers) and back.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { DECODING } from "../send/decoding.ts";
import { SIGNALS } from "../pipeline/signals.ts";

const SCHEMAS: Readonly<Record<Signal, DescMessage>> = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
};

const FIELDS: Readonly<Record<Signal, string>> = {
  traces: "resourceSpans",
  metrics: "resourceMetrics",
  logs: "resourceLogs",
};

/**
 * Bytes that are hex in OTLP/JSON. No other field of OTLP has one of these names. Those of the .proto
 * files are not allowed there, but read by many, and would be taken for base64.
 */
const IDS: ReadonlySet<string> = new Set([
  ...["traceId", "spanId", "parentSpanId"],
  ...["trace_id", "span_id", "parent_span_id"],
]);

/** A number that JavaScript may not have exactly. */
const LONG_INTEGER = /[[:,]\s*-?\d{16}/;

/** Deeper JSON is refused before it exhausts the stack. */
const MAX_DEPTH = 200;

/** The JSON of an export request (protobuf bytes), without a line break in it. */
export function toOtlpJson(signal: Signal, body: Uint8Array): string {
  const schema = SCHEMAS[signal];
  const value = toJson(schema, fromBinary(schema, body, DECODING), { enumAsInteger: true });
  return JSON.stringify(withIds(value, (id) => Buffer.from(id, "base64").toString("hex"), 0));
}

/**
 * The protobuf bytes of an export request in JSON; fields it does not know are ignored.
 *
 * @throws Error when it is no such request, with what is wrong.
 */
export function fromOtlpJson(signal: Signal, text: string): Uint8Array {
  return encode(signal, parseJson(text));
}

/**
 * The same for a request of any signal, told by its field `resourceSpans`, `resourceMetrics` or
 * `resourceLogs`.
 *
 * @throws Error when it is no request, with what is wrong.
 */
export function anyFromOtlpJson(text: string): { signal: Signal; body: Uint8Array } {
  const value = parseJson(text);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const signals = isObject ? SIGNALS.filter((signal) => Object.hasOwn(value, FIELDS[signal])) : [];
  if (signals.length !== 1) {
    const names = Object.values(FIELDS).join(", ");
    throw new Error(`it is no OTLP request: it has to have one of the fields ${names}`);
  }
  return { signal: signals[0], body: encode(signals[0], value) };
}

/** What `JSON.parse` tells of a number besides its value (ECMAScript, "JSON.parse source text access"). */
type Parse = (
  text: string,
  revive?: (key: string, value: unknown, context?: { source?: string }) => unknown,
) => JsonValue;

/** Integers of 64 bits may be numbers as well as strings: these stay what they are as strings. */
function parseJson(text: string): JsonValue {
  const parse: Parse = JSON.parse;
  if (!LONG_INTEGER.test(text)) return parse(text);
  return parse(text, (key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    if (source === undefined || !/^-?\d+$/.test(source)) return value;
    return key === "intValue" && !isInt64(BigInt(source)) ? value : source;
  });
}

function isInteger(value: number): boolean {
  return Number.isInteger(value) && isInt64(BigInt(value));
}

function isInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}

function encode(signal: Signal, value: JsonValue): Uint8Array {
  const schema = SCHEMAS[signal];
  const message = fromJson(schema, withIds(value, hexToBase64, 0), {
    ...DECODING,
    ignoreUnknownFields: true,
  });
  return toBinary(schema, message);
}

function hexToBase64(id: string): string {
  if (!/^([0-9a-f]{2})*$/i.test(id)) throw new Error(`an id is not hex: ${JSON.stringify(id)}`);
  return Buffer.from(id, "hex").toString("base64");
}

/** The same with ids in the other form. */
function withIds(value: JsonValue, convert: (id: string) => string, depth: number): JsonValue {
  // What is no Unicode has no form in protobuf.
  if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw new Error(`it is nested more than ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) return value.map((item) => withIds(item, convert, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      // JavaScript's own exporter takes 1e300 for an integer, which no other field has room for.
      key === "intValue" && typeof item === "number" && !isInteger(item) ? "doubleValue" : key,
      IDS.has(key) && typeof item === "string" ? convert(item) : withIds(item, convert, depth + 1),
    ]),
  );
}
