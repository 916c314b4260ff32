/**
 * Is it an export request? What is passed on is sent byte by byte, so it is looked at as a whole: each
 * field of the type that it should have, texts of UTF-8, ids of their length. Fields from newer
 * versions of OTLP are passed over.
 *
 * @module
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isUtf8 } from "node:buffer";
import { BYTES, FIXED32, FIXED64, VARINT } from "../../lib/format/fields.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { cursor, readTag, readVarint, Rejection, skipField } from "../../lib/record/wire.ts";
import {
  ExponentialHistogramDataPointSchema,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  HistogramDataPointSchema,
  LogRecordSchema,
  NumberDataPointSchema,
  SpanSchema,
  SummaryDataPointSchema,
} from "../../proto/gen/otlp_pb.ts";

/** Messages in messages: as deep as protobuf's own decoders go. */
export const MAX_NESTING = 100;

/** Messages in a request at most: small ones take far more memory decoded than as bytes. */
export const MAX_MESSAGES = 500_000;

const REQUESTS: Readonly<Record<Signal, DescMessage>> = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
};

/** What requests hold many of, and people count. */
const ITEM_NAMES: ReadonlySet<string> = new Set([
  SpanSchema,
  LogRecordSchema,
  NumberDataPointSchema,
  HistogramDataPointSchema,
  ExponentialHistogramDataPointSchema,
  SummaryDataPointSchema,
].map(({ typeName }) => typeName));

/** Bytes of an id; one that is empty is as good as none. */
const ID_BYTES: ReadonlyMap<string, number> = new Map([
  ["trace_id", 16],
  ["span_id", 8],
  ["parent_span_id", 8],
]);

/** A message as it should be: its fields by their numbers. */
interface Table {
  readonly name: string;
  readonly isItem: boolean;
  readonly fields: (Expected | undefined)[];
}

interface Expected {
  readonly name: string;
  readonly wire: number;
  /** Numbers may come one by one or packed. */
  readonly isPackable: boolean;
  readonly isText: boolean;
  /** Bytes of an id; 0 for what is none. */
  readonly idBytes: number;
  readonly child: Table | null;
}

/** It is no request: sending it again would not help. */
export class Malformed extends Error {}

/** It has more in it than is taken at once. */
export class TooMuch extends Error {}

const tables = new Map<string, Table>();

function tableOf(message: DescMessage): Table {
  const known = tables.get(message.typeName);
  if (known !== undefined) return known;
  const { typeName } = message;
  const name = typeName.slice(typeName.lastIndexOf(".") + 1);
  const table: Table = { name, isItem: ITEM_NAMES.has(typeName), fields: [] };
  // Before its fields: messages hold messages of their own kind.
  tables.set(typeName, table);
  for (const field of message.fields) table.fields[field.number] = expected(name, field);
  return table;
}

function expected(message: string, field: DescField): Expected {
  const isList = field.fieldKind === "list";
  const isNumber = field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES;
  return {
    name: `${message}.${field.name}`,
    wire: field.message === undefined ? wireOf(field.scalar) : BYTES,
    isPackable: isList && field.message === undefined && isNumber,
    isText: field.scalar === ScalarType.STRING,
    idBytes: ID_BYTES.get(field.name) ?? 0,
    child: field.message === undefined ? null : tableOf(field.message),
  };
}

function wireOf(scalar: ScalarType | undefined): number {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return FIXED64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return FIXED32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return BYTES;
    default:
      return VARINT;
  }
}

/** What was counted on the way. */
interface Count {
  items: number;
  messages: number;
}

/**
 * The items of an export request.
 *
 * @throws Malformed with what is wrong and where; TooMuch with what there is too much of.
 */
export function checkRequest(signal: Signal, body: Uint8Array): number {
  const table = tableOf(REQUESTS[signal]);
  const count: Count = { items: 0, messages: 0 };
  try {
    walk(body, 0, body.length, table, 1, count);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    throw new Malformed(`the body is no ${table.name}: ${error.reason}`);
  }
  return count.items;
}

function walk(
  bytes: Uint8Array,
  at: number,
  end: number,
  table: Table,
  depth: number,
  count: Count,
): void {
  if (depth > MAX_NESTING) throw new Malformed(`messages are nested more than ${MAX_NESTING} deep`);
  if (++count.messages > MAX_MESSAGES) throw tooMany();
  if (table.isItem) count.items++;
  while (at < end) {
    const tag = readTag(bytes, at, end);
    const value = cursor.at;
    at = skipField(bytes, value, end, tag);
    const field = table.fields[tag >>> 3];
    if (field === undefined) continue;
    // Of a field with a length, `cursor.at` is behind that now.
    const start = cursor.at;
    const wire = tag & 7;
    if (field.isPackable && wire === BYTES) {
      checkPacked(bytes, start, at, field);
    } else if (wire !== field.wire) {
      throw new Malformed(`${field.name} at byte ${value} is of another type`);
    } else if (field.child !== null) {
      walk(bytes, start, at, field.child, depth + 1, count);
    } else if (field.isText) {
      if (!isText(bytes, start, at)) {
        throw new Malformed(`${field.name} at byte ${start} is not UTF-8`);
      }
    } else if (field.idBytes > 0 && at > start && at - start !== field.idBytes) {
      throw new Malformed(
        `${field.name} at byte ${start} has ${at - start} bytes instead of ${field.idBytes}`,
      );
    }
  }
}

function checkPacked(bytes: Uint8Array, at: number, end: number, field: Expected): void {
  if (field.wire === VARINT) {
    while (at < end) {
      readVarint(bytes, at, end);
      at = cursor.at;
    }
  } else if ((end - at) % (field.wire === FIXED64 ? 8 : 4) !== 0) {
    throw new Malformed(`${field.name} at byte ${at} ends inside a number`);
  }
}

/** Most texts are short, and ASCII. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 64) return isUtf8(bytes.subarray(start, end));
  for (let at = start; at < end; at++) {
    if (bytes[at] > 0x7f) return isUtf8(bytes.subarray(at, end));
  }
  return true;
}

/**
 * A look at JSON before it is parsed, for the same reason.
 *
 * @throws TooMuch when it has more objects and arrays than a request may have messages.
 */
export function checkJson(text: Uint8Array): void {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === 0x7b || text[at] === 0x5b) count++;
  }
  if (count > MAX_MESSAGES) throw tooMany();
}

function tooMany(): TooMuch {
  return new TooMuch(
    `a request may have ${MAX_MESSAGES} messages in it at most: send smaller ones`,
  );
}
