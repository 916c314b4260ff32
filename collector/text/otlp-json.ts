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

/** Bytes that are hex in OTLP/JSON. No other field of OTLP has one of these names. */
const IDS: ReadonlySet<string> = new Set(["traceId", "spanId", "parentSpanId"]);

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
  return encode(signal, JSON.parse(text));
}

/**
 * The same for a request of any signal, told by its field `resourceSpans`, `resourceMetrics` or
 * `resourceLogs`.
 *
 * @throws Error when it is no request, with what is wrong.
 */
export function anyFromOtlpJson(text: string): { signal: Signal; body: Uint8Array } {
  const value = JSON.parse(text) as JsonValue;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const signals = isObject ? SIGNALS.filter((signal) => Object.hasOwn(value, FIELDS[signal])) : [];
  if (signals.length !== 1) {
    const names = Object.values(FIELDS).join(", ");
    throw new Error(`it is no OTLP request: it has to have one of the fields ${names}`);
  }
  return { signal: signals[0], body: encode(signals[0], value) };
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
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw new Error(`it is nested more than ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) return value.map((item) => withIds(item, convert, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      IDS.has(key) && typeof item === "string" ? convert(item) : withIds(item, convert, depth + 1),
    ]),
  );
}
