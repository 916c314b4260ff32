/**
 * Event records that are no events of spans as OTLP log records.
 *
 * @module
 */
import { BYTES, Event, FIXED32, FIXED64, OtlpLogRecord, tag, VARINT } from "../format/fields.ts";
import { type Bytes, copyBytes } from "../record/bytes.ts";
import { type EventRecord, SPAN_ID_BYTES, TRACE_ID_BYTES } from "../record/decode.ts";
import { cursor, readLength, readTag, skipField } from "../record/wire.ts";
import { TRUNCATED_LOG } from "./marks.ts";
import { putCount } from "./transcode.ts";
import { keepLast } from "./unique.ts";
import {
  expectKeys,
  putKeyValue,
  putText,
  putTextOfRef,
  putValueField,
  repeatedKeys,
} from "./values.ts";

const ATTRIBUTES = tag(Event.attributes, BYTES);

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

/**
 * Puts an Event record, walked before, as the fields of a LogRecord, at the destination set with
 * `aim`. Throws a Rejection for what cannot be read.
 *
 * The observed time of a record that has none is its time, and that of one without any the
 * collector's clock.
 *
 * @param maxAttributes More are dropped and counted on the record.
 */
export function putLogRecord(
  from: Bytes,
  record: EventRecord,
  out: Bytes,
  to: number,
  maxAttributes: number,
): number {
  const bytes = from.u8;
  const first = to;
  let attributes = 0;
  let dropped = record.droppedAttributes;
  expectKeys(0);
  let at = record.attributesStart;
  const end = record.attributesEnd;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === ATTRIBUTES) {
      if (attributes < maxAttributes) {
        readLength(bytes, at, end);
        to = putKeyValue(from, cursor.at, stop, L.attributes, to);
        attributes++;
      } else {
        dropped++;
      }
    }
    at = stop;
  }
  if (repeatedKeys) to = keepLast(out.u8, first, to, L.attributes, 0);

  if (record.time !== 0) to = putTime(from, record.time, L.time, out, to);
  const observed = record.observedTime === 0 ? record.time : record.observedTime;
  if (observed !== 0) to = putTime(from, observed, L.observedTime, out, to);
  else {
    out.u8[to] = L.observedTime;
    out.view.setBigUint64(to + 1, BigInt(Date.now()) * 1_000_000n, true);
    to += 9;
  }
  if (record.severity > 0 && record.severity <= MAX_SEVERITY) {
    out.u8[to++] = L.severityNumber;
    out.u8[to++] = record.severity;
  }
  if (record.severityTextEnd > record.severityTextStart) {
    to = putText(from, record.severityTextStart, record.severityTextEnd, L.severityText, to);
  }
  if (record.bodyStart !== 0) {
    to = putValueField(from, record.bodyStart, record.bodyEnd, L.body, to, 0);
  }
  if (record.nameRef !== 0) to = putTextOfRef(record.nameRef, L.eventName, to);
  else if (record.nameEnd > record.nameStart) {
    to = putText(from, record.nameStart, record.nameEnd, L.eventName, to);
  }
  if (record.traceId !== 0) to = putContext(from, record, out, to);
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

/** Neither a span id nor flags mean anything without the trace. */
function putContext(from: Bytes, record: EventRecord, out: Bytes, to: number): number {
  to = putId(from, record.traceId, TRACE_ID_BYTES, L.traceId, out, to);
  if (record.spanId !== 0) to = putId(from, record.spanId, SPAN_ID_BYTES, L.spanId, out, to);
  const flags = record.flags === 0 ? 0 : from.view.getInt32(record.flags, true);
  if (flags !== 0) {
    out.u8[to] = L.flags;
    out.view.setInt32(to + 1, flags, true);
    to += 5;
  }
  return to;
}

function putId(
  from: Bytes,
  start: number,
  length: number,
  fieldTag: number,
  out: Bytes,
  to: number,
): number {
  out.u8[to] = fieldTag;
  out.u8[to + 1] = length;
  copyBytes(from, start, length, out, to + 2);
  return to + 2 + length;
}
