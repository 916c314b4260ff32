/**
 * Rows of spans, in the shape of answers.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import { BYTES, FIXED64, OtlpSpan, tag, VARINT } from "../../../lib/format/fields.ts";
import { putVarint } from "../../../lib/record/wire.ts";
import { type Span as OtlpSpanMessage, SpanSchema } from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import type { Kind, Span, SpanSummary, Status } from "../queries/types.ts";
import { originsOf, type Reader, statement } from "./reader.ts";
import { toAttributes } from "./values.ts";

/** Names of kinds and codes, by OTLP's numbers. */
export const KINDS: readonly Kind[] = [
  "unspecified",
  "internal",
  "server",
  "client",
  "producer",
  "consumer",
];
export const STATUSES: readonly Status[] = ["unset", "ok", "error"];

/** A row of spans. */
export interface SpanRow {
  readonly id: number;
  readonly origin: number;
  readonly trace: Uint8Array;
  readonly span: Uint8Array;
  readonly parent: Uint8Array | null;
  /** As bytes, since a NUL is the end of a text to some. */
  readonly name: Uint8Array;
  readonly kind: number;
  readonly status: number;
  readonly interrupted: number;
  /** Decimal text: it does not fit a number. */
  readonly start: string;
  readonly duration: number;
  readonly rest: Uint8Array;
}

/** The columns of a row, for SELECT. */
export const SPAN_COLUMNS =
  "id, origin, trace, span, parent, CAST(name AS BLOB) AS name, kind, status, interrupted, CAST(start AS TEXT) AS start, " +
  "duration, rest";

/** Reads rows by their ids; those that are gone are left out. */
export function spanRows(reader: Reader, ids: readonly number[]): SpanRow[] {
  const get = statement(reader, `SELECT ${SPAN_COLUMNS} FROM spans WHERE id = ?`);
  return ids.map((id) => get.get(id) as unknown as SpanRow).filter((row) => row !== undefined);
}

/** A span without its details. */
export function toSummary(reader: Reader, row: SpanRow): SpanSummary {
  const origin = originsOf(reader).get(row.origin);
  return {
    id: row.id,
    traceId: hex(row.trace),
    spanId: hex(row.span),
    parentSpanId: row.parent === null ? "" : hex(row.parent),
    name: nameOf(row),
    service: origin?.service ?? "",
    kind: KINDS[row.kind],
    status: STATUSES[row.status],
    startNs: row.start,
    durationNs: row.duration,
    interrupted: row.interrupted !== 0,
    resourceId: origin?.resource ?? -1,
  };
}

const decoder = new TextDecoder();

/** Its name as text. */
export function nameOf({ name }: SpanRow): string {
  return decoder.decode(name);
}

/** A span with its details. */
export function toSpan(reader: Reader, row: SpanRow): Span {
  return {
    ...toSummary(reader, row),
    scopeId: originsOf(reader).get(row.origin)?.scope ?? -1,
    ...toDetails(decodeRest(row)),
  };
}

/** The details of a span as OTLP has it; null: of one that can't be read. */
export function toDetails(
  message: OtlpSpanMessage | null,
): Omit<Span, "scopeId" | keyof SpanSummary> {
  return {
    statusMessage: message?.status?.message ?? "",
    traceState: message?.traceState ?? "",
    flags: message?.flags ?? 0,
    attributes: toAttributes(message?.attributes ?? []),
    events: (message?.events ?? []).map((event) => ({
      timeNs: String(event.timeUnixNano),
      name: event.name,
      attributes: toAttributes(event.attributes),
      droppedAttributes: event.droppedAttributesCount,
    })),
    links: (message?.links ?? []).map((link) => ({
      traceId: hex(link.traceId),
      spanId: hex(link.spanId),
      traceState: link.traceState,
      attributes: toAttributes(link.attributes),
    })),
    droppedAttributes: message?.droppedAttributesCount ?? 0,
    droppedEvents: message?.droppedEventsCount ?? 0,
    droppedLinks: message?.droppedLinksCount ?? 0,
  };
}

/** What has no column; null where it can't be read, which its columns survive. */
export function decodeRest({ rest }: SpanRow): OtlpSpanMessage | null {
  try {
    return fromBinary(SpanSchema, rest, DECODING);
  } catch {
    return null;
  }
}

/** The whole span as OTLP has it. */
export function toOtlp(row: SpanRow): Uint8Array {
  const { trace, span, parent, name, kind, start, duration, rest } = row;
  const out = new Uint8Array(80 + name.length + rest.length);
  const view = new DataView(out.buffer);
  let at = 0;
  const bytes = (field: number, value: Uint8Array): void => {
    out[at++] = tag(field, BYTES);
    at = putVarint(out, at, value.length);
    out.set(value, at);
    at += value.length;
  };
  bytes(OtlpSpan.traceId, trace);
  bytes(OtlpSpan.spanId, span);
  if (parent !== null) bytes(OtlpSpan.parentSpanId, parent);
  bytes(OtlpSpan.name, name);
  out[at++] = tag(OtlpSpan.kind, VARINT);
  out[at++] = kind;
  for (
    const [field, time] of [
      [OtlpSpan.startTime, BigInt(start)],
      [OtlpSpan.endTime, BigInt(start) + BigInt(duration)],
    ] as const
  ) {
    out[at++] = tag(field, FIXED64);
    view.setBigInt64(at, time, true);
    at += 8;
  }
  // An end that a duration can't say is in here, and wins.
  out.set(rest, at);
  return out.subarray(0, at + rest.length);
}

/** Bytes as lowercase hex. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
