/**
 * Records as field positions: walks a copied record once, checks it, and says where its parts are.
 * What is inside attributes is checked where it is transcoded.
 *
 * The results are constant objects that the next call overwrites: nothing is allocated.
 *
 * @module
 */
import {
  BYTES,
  Event,
  FIXED32,
  FIXED64,
  SpanContext,
  SpanEvent,
  tag,
  VARINT,
} from "../format/fields.ts";
import {
  SLOT_LENGTH_BYTES,
  SPAN_EVENT_BODY,
  SPAN_EVENT_TAG,
  SPAN_SCOPE_REF,
  SPAN_SPAN_ID,
  SPAN_SPAN_ID_TAG,
  SPAN_TRACE_ID,
  SPAN_TRACE_ID_TAG,
} from "../format/layout.ts";
import type { Bytes } from "./bytes.ts";
import { BAD_ID, cursor, NO_EVENT, readLength, readTag, readVarint, skipField } from "./wire.ts";

/** Bytes of a trace id and of a span id. */
export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;

const T = {
  traceId: tag(SpanEvent.traceId, BYTES),
  spanId: tag(SpanEvent.spanId, BYTES),
  start: tag(SpanEvent.start, BYTES),
  link: tag(SpanEvent.link, BYTES),
  scopeRef: tag(SpanEvent.scopeRef, VARINT),
  truncated: tag(SpanEvent.truncated, VARINT),
} as const;

/** Where the parts of a span record are. */
export interface SpanRecord {
  /** Start of the 16 bytes of the trace id. */
  traceId: number;
  /** Start of the 8 bytes of the span id. */
  spanId: number;
  scopeRef: number;
  /** Field number of the event, `SpanEvent.start` to `SpanEvent.link`. */
  event: number;
  /** The event's message. */
  bodyStart: number;
  bodyEnd: number;
  truncated: boolean;
}

const span: SpanRecord = {
  traceId: 0,
  spanId: 0,
  scopeRef: 0,
  event: 0,
  bodyStart: 0,
  bodyEnd: 0,
  truncated: false,
};

// What stands between the parts of a head as our writers lay it out (layout.ts, SPAN_*): see
// PROTOCOL.md, Heads. The bits that belong to refs and lengths are masked out.
const HEAD_TRACE = T.traceId | TRACE_ID_BYTES << 8;
const HEAD_SPAN = T.spanId | 0x008088 << 8;
const HEAD_SCOPE = (T.scopeRef & 0x7f | 0x80) | (T.scopeRef >> 7) << 8 | 0x80800000;
const HEAD_SCOPE_MASK = 0x8080ffff | 0;
const HEAD_REF = 0x00808080;
const HEAD_REF_MASK = 0xfff88080 | 0;
const HEAD_EVENT = 0x00808000;
const HEAD_EVENT_MASK = 0xff808000 | 0;

/**
 * Takes the parts from where our writers put them; false for a record that is not laid out so, of
 * which nothing was taken.
 */
function decodeHead(from: Bytes, end: number): boolean {
  const { u8, view } = from;
  if (end < SPAN_EVENT_BODY) return false;
  if ((u8[SPAN_TRACE_ID_TAG] | u8[SPAN_TRACE_ID_TAG + 1] << 8) !== HEAD_TRACE) return false;
  if (view.getInt32(SPAN_SPAN_ID_TAG, true) !== HEAD_SPAN) return false;
  const low = view.getInt32(SPAN_SCOPE_REF, true);
  const high = view.getInt32(SPAN_SCOPE_REF + 4, true);
  const event = view.getInt32(SPAN_EVENT_TAG, true);
  if (
    (low & HEAD_SCOPE_MASK) !== HEAD_SCOPE || (high & HEAD_REF_MASK) !== HEAD_REF ||
    (event & HEAD_EVENT_MASK) !== HEAD_EVENT
  ) return false;
  const tag = event & 0xff;
  const length = event >>> 8 & 0x7f | (event >>> 16 & 0x7f) << 7;
  if (SPAN_EVENT_BODY + length !== end || tag < T.start || tag > T.link || (tag & 7) !== BYTES) {
    return false;
  }
  span.traceId = SPAN_TRACE_ID;
  span.spanId = SPAN_SPAN_ID;
  span.scopeRef = low >>> 16 & 0x7f | (low >>> 24 & 0x7f) << 7 | (high & 0x7f) << 14 |
    (high >>> 8 & 0x7f) << 21 | (high >>> 16 & 0x7) << 28;
  span.event = tag >>> 3;
  span.bodyStart = SPAN_EVENT_BODY;
  span.bodyEnd = end;
  span.truncated = false;
  return true;
}

/**
 * Walks a record of the spans ring, which is at `start..end` of the copy of its slot. The result is
 * valid until the next call.
 */
export function decodeSpan(from: Bytes, start: number, end: number): SpanRecord {
  if (start === SLOT_LENGTH_BYTES && decodeHead(from, end)) return span;
  const bytes = from.u8;
  let traceId = -1;
  let spanId = -1;
  let event = 0;
  span.scopeRef = 0;
  span.truncated = false;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    if ((t & 7) === BYTES) {
      const stop = readLength(bytes, at, end);
      at = cursor.at;
      if (t === T.traceId) {
        if (stop - at !== TRACE_ID_BYTES) throw BAD_ID;
        traceId = at;
      } else if (t === T.spanId) {
        if (stop - at !== SPAN_ID_BYTES) throw BAD_ID;
        spanId = at;
      } else if (t >= T.start && t <= T.link) {
        event = t >>> 3;
        span.bodyStart = at;
        span.bodyEnd = stop;
      }
      at = stop;
    } else if (t === T.scopeRef) {
      span.scopeRef = readVarint(bytes, at, end);
      at = cursor.at;
    } else if (t === T.truncated) {
      span.truncated = readVarint(bytes, at, end) !== 0;
      at = cursor.at;
    } else {
      at = skipField(bytes, at, end, t);
    }
  }
  if (event === 0) throw NO_EVENT;
  if (traceId < 0 || spanId < 0) throw BAD_ID;
  span.traceId = traceId;
  span.spanId = spanId;
  span.event = event;
  return span;
}

const E = {
  scopeRef: tag(Event.scopeRef, VARINT),
  time: tag(Event.time, FIXED64),
  observedTime: tag(Event.observedTime, FIXED64),
  severityNumber: tag(Event.severityNumber, VARINT),
  severityText: tag(Event.severityText, BYTES),
  body: tag(Event.body, BYTES),
  eventNameRef: tag(Event.eventNameRef, VARINT),
  eventName: tag(Event.eventName, BYTES),
  attributes: tag(Event.attributes, BYTES),
  spanContext: tag(Event.spanContext, BYTES),
  spanEvent: tag(Event.spanEvent, VARINT),
  droppedAttributes: tag(Event.droppedAttributes, VARINT),
  truncated: tag(Event.truncated, VARINT),
} as const;

/** What an event record says, or where that is; 0 for what is absent. */
export interface EventRecord {
  scopeRef: number;
  /** Starts of the 8 bytes of its times. */
  time: number;
  observedTime: number;
  severity: number;
  severityTextStart: number;
  severityTextEnd: number;
  /** The inside of the AnyValue, which may be empty. */
  bodyStart: number;
  bodyEnd: number;
  /** Carries our marker for an event of a span. */
  isSpanEvent: boolean;
  nameRef: number;
  /** The name itself, where there is no ref. */
  nameStart: number;
  nameEnd: number;
  /** Starts of the 16 and 8 bytes of the ids of its span; 0 also for zeros. */
  traceId: number;
  spanId: number;
  /** Start of the 4 bytes of the span context's flags. */
  flags: number;
  /** From the tag of its first attribute to behind its last, with what is between them. */
  attributesStart: number;
  attributesEnd: number;
  droppedAttributes: number;
  truncated: boolean;
}

const event: EventRecord = {
  scopeRef: 0,
  time: 0,
  observedTime: 0,
  severity: 0,
  severityTextStart: 0,
  severityTextEnd: 0,
  bodyStart: 0,
  bodyEnd: 0,
  isSpanEvent: false,
  nameRef: 0,
  nameStart: 0,
  nameEnd: 0,
  traceId: 0,
  spanId: 0,
  flags: 0,
  attributesStart: 0,
  attributesEnd: 0,
  droppedAttributes: 0,
  truncated: false,
};

/** Walks a record of the events ring. The result is valid until the next call. */
export function decodeEvent(bytes: Uint8Array, start: number, end: number): EventRecord {
  event.scopeRef = 0;
  event.time = 0;
  event.observedTime = 0;
  event.severity = 0;
  event.severityTextStart = 0;
  event.severityTextEnd = 0;
  event.bodyStart = 0;
  event.bodyEnd = 0;
  event.isSpanEvent = false;
  event.nameRef = 0;
  event.nameStart = 0;
  event.nameEnd = 0;
  event.traceId = 0;
  event.spanId = 0;
  event.flags = 0;
  event.attributesStart = 0;
  event.attributesEnd = 0;
  event.droppedAttributes = 0;
  event.truncated = false;
  let at = start;
  while (at < end) {
    const field = at;
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    switch (t) {
      case E.scopeRef:
        event.scopeRef = readVarint(bytes, at, end);
        break;
      case E.time:
        event.time = at;
        break;
      case E.observedTime:
        event.observedTime = at;
        break;
      case E.severityNumber:
        event.severity = readVarint(bytes, at, end);
        break;
      case E.severityText:
        readLength(bytes, at, end);
        event.severityTextStart = cursor.at;
        event.severityTextEnd = stop;
        break;
      case E.body:
        readLength(bytes, at, end);
        event.bodyStart = cursor.at;
        event.bodyEnd = stop;
        break;
      case E.eventNameRef:
        event.nameRef = readVarint(bytes, at, end);
        break;
      case E.eventName:
        readLength(bytes, at, end);
        event.nameStart = cursor.at;
        event.nameEnd = stop;
        break;
      case E.attributes:
        if (event.attributesEnd === 0) event.attributesStart = field;
        event.attributesEnd = stop;
        break;
      case E.spanContext:
        readLength(bytes, at, end);
        decodeSpanContext(bytes, cursor.at, stop);
        break;
      case E.spanEvent:
        event.isSpanEvent = readVarint(bytes, at, end) !== 0;
        break;
      case E.droppedAttributes:
        event.droppedAttributes = Math.max(0, readVarint(bytes, at, end));
        break;
      case E.truncated:
        event.truncated = readVarint(bytes, at, end) !== 0;
        break;
    }
    at = stop;
  }
  return event;
}

/** Has it what only log records have: a severity or a body? */
export function isLog(record: EventRecord): boolean {
  return record.severity !== 0 || record.severityTextEnd > record.severityTextStart ||
    record.bodyStart !== 0;
}

const C = {
  spanId: tag(SpanContext.spanId, BYTES),
  traceId: tag(SpanContext.traceId, BYTES),
  flags: tag(SpanContext.flags, FIXED32),
} as const;

function decodeSpanContext(bytes: Uint8Array, start: number, end: number): void {
  let traceId = 0;
  let spanId = 0;
  let flags = 0;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === C.traceId || t === C.spanId) {
      readLength(bytes, at, end);
      const length = stop - cursor.at;
      if (t === C.traceId) {
        if (length !== TRACE_ID_BYTES && length !== 0) throw BAD_ID;
        traceId = length === 0 || isZero(bytes, cursor.at, stop) ? 0 : cursor.at;
      } else {
        if (length !== SPAN_ID_BYTES && length !== 0) throw BAD_ID;
        spanId = length === 0 || isZero(bytes, cursor.at, stop) ? 0 : cursor.at;
      }
    } else if (t === C.flags) {
      flags = at;
    }
    at = stop;
  }
  event.traceId = traceId;
  event.spanId = spanId;
  event.flags = flags;
}

/** True when all bytes are 0. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
