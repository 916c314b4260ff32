/**
 * Event records that are no events of spans as OTLP log records.
 *
 * @module
 */
import {
  BYTES,
  Event,
  FIXED32,
  FIXED64,
  OtlpLogRecord,
  SpanContext,
  tag,
  VARINT,
} from "../format/fields.ts";
import type { Bytes } from "../record/bytes.ts";
import { type EventRecord, isZero, SPAN_ID_BYTES, TRACE_ID_BYTES } from "../record/decode.ts";
import { cursor, readLength, readTag, readVarint, skipField } from "../record/wire.ts";
import { TRUNCATED_LOG } from "./marks.ts";
import { putCount } from "./transcode.ts";
import { keepLast } from "./unique.ts";
import {
  closeField,
  expectKeys,
  HEADER_BYTES,
  putAnyValue,
  putKeyValue,
  putText,
  putTextOfRef,
  repeatedKeys,
} from "./values.ts";

const E = {
  scopeRef: tag(Event.scopeRef, VARINT),
  severityNumber: tag(Event.severityNumber, VARINT),
  severityText: tag(Event.severityText, BYTES),
  body: tag(Event.body, BYTES),
  spanContext: tag(Event.spanContext, BYTES),
  attributes: tag(Event.attributes, BYTES),
  observedTime: tag(Event.observedTime, FIXED64),
} as const;

const L = {
  time: tag(OtlpLogRecord.time, FIXED64),
  severityNumber: tag(OtlpLogRecord.severityNumber, VARINT),
  severityText: tag(OtlpLogRecord.severityText, BYTES),
  body: tag(OtlpLogRecord.body, BYTES),
  attributes: tag(OtlpLogRecord.attributes, BYTES),
  dropped: tag(OtlpLogRecord.droppedAttributes, VARINT),
  flags: tag(OtlpLogRecord.flags, FIXED32),
  traceId: tag(OtlpLogRecord.traceId, BYTES),
  spanId: tag(OtlpLogRecord.spanId, BYTES),
  observedTime: tag(OtlpLogRecord.observedTime, FIXED64),
  eventName: tag(OtlpLogRecord.eventName, BYTES),
} as const;

/** The highest severity there is, FATAL4. */
const MAX_SEVERITY = 24;

/** What the last log record says besides its fields. */
export const foundLog = { scopeRef: 0 };

/**
 * Puts an Event record, walked before, as the fields of a LogRecord, at the destination set with
 * `aim`. Sets `foundLog`. Throws a Rejection for what cannot be read.
 *
 * The observed time of a record that has none is its time, and that of one without any the
 * collector's clock.
 *
 * @param maxAttributes More are dropped and counted on the record.
 */
export function putLogRecord(
  from: Bytes,
  start: number,
  end: number,
  record: EventRecord,
  out: Bytes,
  to: number,
  maxAttributes: number,
): number {
  const bytes = from.u8;
  const first = to;
  let severity = 0;
  let textStart = 0;
  let textEnd = 0;
  let bodyStart = -1;
  let bodyEnd = 0;
  let contextStart = 0;
  let contextEnd = 0;
  let observed = 0;
  let attributes = 0;
  let dropped = record.droppedAttributes;
  foundLog.scopeRef = 0;
  expectKeys(0);
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    switch (t) {
      case E.scopeRef:
        foundLog.scopeRef = readVarint(bytes, at, end);
        break;
      case E.severityNumber:
        severity = readVarint(bytes, at, end);
        break;
      case E.severityText:
        readLength(bytes, at, end);
        textStart = cursor.at;
        textEnd = stop;
        break;
      case E.body:
        readLength(bytes, at, end);
        bodyStart = cursor.at;
        bodyEnd = stop;
        break;
      case E.spanContext:
        readLength(bytes, at, end);
        contextStart = cursor.at;
        contextEnd = stop;
        break;
      case E.observedTime:
        observed = at;
        break;
      case E.attributes:
        if (attributes < maxAttributes) {
          readLength(bytes, at, end);
          to = putKeyValue(from, cursor.at, stop, L.attributes, to);
          attributes++;
        } else {
          dropped++;
        }
        break;
    }
    at = stop;
  }
  if (repeatedKeys) to = keepLast(out.u8, first, to, L.attributes, 0);

  if (record.time !== 0) to = putTime(from, record.time, L.time, out, to);
  if (observed === 0) observed = record.time;
  if (observed !== 0) to = putTime(from, observed, L.observedTime, out, to);
  else {
    out.u8[to] = L.observedTime;
    out.view.setBigUint64(to + 1, BigInt(Date.now()) * 1_000_000n, true);
    to += 9;
  }
  if (severity > 0 && severity <= MAX_SEVERITY) {
    out.u8[to++] = L.severityNumber;
    out.u8[to++] = severity;
  }
  if (textEnd > textStart) to = putText(from, textStart, textEnd, L.severityText, to);
  if (bodyStart >= 0) {
    const inside = to + HEADER_BYTES;
    to = closeField(L.body, to, inside, putAnyValue(from, bodyStart, bodyEnd, inside, 0));
  }
  if (record.nameRef !== 0) to = putTextOfRef(record.nameRef, L.eventName, to);
  else if (record.nameEnd > record.nameStart) {
    to = putText(from, record.nameStart, record.nameEnd, L.eventName, to);
  }
  if (contextEnd > contextStart) to = putContext(from, contextStart, contextEnd, out, to);
  if (record.truncated) {
    out.u8.set(TRUNCATED_LOG, to);
    to += TRUNCATED_LOG.length;
  }
  return putCount(out.u8, to, L.dropped, dropped);
}

function putTime(from: Bytes, at: number, fieldTag: number, out: Bytes, to: number): number {
  out.u8[to] = fieldTag;
  out.view.setInt32(to + 1, from.view.getInt32(at, true), true);
  out.view.setInt32(to + 5, from.view.getInt32(at + 4, true), true);
  return to + 9;
}

const C = {
  spanId: tag(SpanContext.spanId, BYTES),
  traceId: tag(SpanContext.traceId, BYTES),
  flags: tag(SpanContext.flags, FIXED32),
} as const;

/**
 * Trace id, span id and flags, as far as they say something: ids of zeros mean none, and neither a
 * span id nor flags mean anything without the trace. The sizes were checked when the record was walked.
 */
function putContext(from: Bytes, start: number, end: number, out: Bytes, to: number): number {
  const bytes = from.u8;
  let traceId = 0;
  let spanId = 0;
  let flags = 0;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === C.flags) flags = from.view.getInt32(at, true);
    else if (t === C.traceId || t === C.spanId) {
      readLength(bytes, at, end);
      const id = stop > cursor.at && !isZero(bytes, cursor.at, stop) ? cursor.at : 0;
      if (t === C.traceId) traceId = id;
      else spanId = id;
    }
    at = stop;
  }
  if (traceId === 0) return to;
  to = putId(bytes, traceId, TRACE_ID_BYTES, L.traceId, out.u8, to);
  if (spanId !== 0) to = putId(bytes, spanId, SPAN_ID_BYTES, L.spanId, out.u8, to);
  if (flags !== 0) {
    out.u8[to] = L.flags;
    out.view.setInt32(to + 1, flags, true);
    to += 5;
  }
  return to;
}

function putId(
  from: Uint8Array,
  start: number,
  length: number,
  fieldTag: number,
  out: Uint8Array,
  to: number,
): number {
  out[to++] = fieldTag;
  out[to++] = length;
  for (let i = 0; i < length; i++) out[to++] = from[start + i];
  return to;
}
