/**
 * The bodies of records as fields of an OTLP span. Set the destination with `aim` first; every put
 * returns the position behind what it wrote, and throws a Rejection for what cannot be read.
 *
 * @module
 */
import {
  AddLink,
  BYTES,
  EndSpan,
  Event,
  FIXED32,
  FIXED64,
  Link,
  OtlpLink,
  OtlpSpan,
  OtlpSpanEvent,
  StartSpan,
  Status,
  tag,
  VARINT,
} from "../format/fields.ts";
import type { Bytes } from "../record/bytes.ts";
import { type EventRecord, isZero, SPAN_ID_BYTES, TRACE_ID_BYTES } from "../record/decode.ts";
import {
  BAD_ID,
  cursor,
  MALFORMED,
  putVarint,
  readLength,
  readTag,
  readVarint,
  skipField,
} from "../record/wire.ts";
import { keepLast } from "./unique.ts";
import {
  closeField,
  expectKeys,
  HEADER_BYTES,
  putKeyValue,
  putText,
  putTextOfRef,
  repeatedKeys,
} from "./values.ts";

/** What the last put found besides what it wrote. Which words are set is said at each put. */
export const found = {
  /** Attributes put. */
  attributes: 0,
  /** Attributes left out because there were too many. */
  dropped: 0,
  /** Links put. */
  links: 0,
  /** A name was put. */
  name: false,
  /** A time, ns since the Unix epoch: low and high 32 bits. */
  low: 0,
  high: 0,
  /** Counts at the end of a span. */
  droppedAttributes: 0,
  droppedEvents: 0,
  droppedLinks: 0,
};

const FLAGS_TAG = tag(StartSpan.flags, FIXED32);
const TRACE_STATE_TAG = tag(StartSpan.traceState, BYTES);

const A = {
  parent: tag(StartSpan.parentSpanId, BYTES),
  name: tag(StartSpan.name, BYTES),
  kind: tag(StartSpan.kind, VARINT),
  startTime: tag(StartSpan.startTime, FIXED64),
  attributes: tag(StartSpan.attributes, BYTES),
} as const;
/** The tag of start_time_unix_nano in four bytes; tag and length of parent_span_id in two each. */
const PADDED_TIME = (A.startTime | 0x80) | 0x008080 << 8;
const PADDED_PARENT = (A.parent | 0x80) | 0x00 << 8 | 0x0088 << 16;

const O = {
  traceState: tag(OtlpSpan.traceState, BYTES),
  endTime: tag(OtlpSpan.endTime, FIXED64),
  attributes: tag(OtlpSpan.attributes, BYTES),
  event: tag(OtlpSpan.events, BYTES),
  link: tag(OtlpSpan.links, BYTES),
  status: tag(OtlpSpan.status, BYTES),
} as const;

/**
 * Puts the fields of a StartSpan, ChangeSpanName or UpdateAttributes, whose numbers are those of a
 * StartSpan. Sets `attributes`, `dropped`, `name`, and `low`, `high` to the start time.
 *
 * @param room Attributes that may still be put; the rest is counted in `dropped`.
 */
export function putSpanFields(
  from: Bytes,
  start: number,
  end: number,
  out: Bytes,
  to: number,
  room: number,
): number {
  const bytes = from.u8;
  let attributes = 0;
  found.dropped = 0;
  found.name = false;
  found.low = 0;
  found.high = 0;
  let at = start;
  // How our writers begin a StartSpan: time, then parent, their tags and lengths padded to words.
  if (end - at >= 12 && from.view.getInt32(at, true) === PADDED_TIME) {
    to = putTime(out, from, at + 4, A.startTime, to);
    at += 12;
    if (end - at >= 12 && from.view.getInt32(at, true) === PADDED_PARENT) {
      const parent0 = from.view.getInt32(at + 4, true);
      const parent1 = from.view.getInt32(at + 8, true);
      if ((parent0 | parent1) !== 0) {
        out.u8[to] = A.parent;
        out.u8[to + 1] = SPAN_ID_BYTES;
        out.view.setInt32(to + 2, parent0, true);
        out.view.setInt32(to + 6, parent1, true);
        to += 10;
      }
      at += 12;
    }
  }
  while (at < end) {
    let t = bytes[at++];
    if (t > 0x7f) {
      if (bytes[at] === 0 && at < end) {
        // A tag of one byte padded to two.
        t &= 0x7f;
        at++;
      } else {
        t = readTag(bytes, at - 1, end);
        at = cursor.at;
      }
    }
    if ((t & 7) === BYTES) {
      let stop = at + 1 + bytes[at];
      if (bytes[at] > 0x7f) {
        stop = readLength(bytes, at, end);
        at = cursor.at;
      } else {
        at++;
        if (stop > end) throw MALFORMED;
      }
      if (t === A.attributes) {
        if (attributes < room) {
          to = putKeyValue(from, at, stop, O.attributes, to);
          attributes++;
        } else {
          found.dropped++;
        }
      } else if (t === A.name) {
        if (found.name) throw MALFORMED;
        found.name = true;
        to = putText(from, at, stop, A.name, to);
      } else if (t === A.parent) {
        const length = stop - at;
        if (length !== 0 && length !== SPAN_ID_BYTES) throw BAD_ID;
        if (length !== 0 && !isZero(bytes, at, stop)) to = putBytes(out, from, at, stop, t, to);
      } else if (t === TRACE_STATE_TAG) {
        if (stop > at) to = putText(from, at, stop, O.traceState, to);
      }
      at = stop;
    } else if (t === A.startTime) {
      if (at + 8 > end) throw MALFORMED;
      to = putTime(out, from, at, t, to);
      at += 8;
    } else if (t === A.kind) {
      const kind = readVarint(bytes, at, end);
      at = cursor.at;
      if (kind > 0 && kind < 0x80) {
        out.u8[to++] = t;
        out.u8[to++] = kind;
      }
    } else if (t === FLAGS_TAG) {
      if (at + 4 > end) throw MALFORMED;
      to = putVarint(out.u8, to, t);
      out.view.setInt32(to, from.view.getInt32(at, true), true);
      to += 4;
      at += 4;
    } else {
      at = skipField(bytes, at, end, t);
    }
  }
  found.attributes = attributes;
  return to;
}

function putTime(out: Bytes, from: Bytes, at: number, fieldTag: number, to: number): number {
  found.low = from.view.getInt32(at, true);
  found.high = from.view.getInt32(at + 4, true);
  out.u8[to] = fieldTag;
  out.view.setInt32(to + 1, found.low, true);
  out.view.setInt32(to + 5, found.high, true);
  return to + 9;
}

function putBytes(
  out: Bytes,
  from: Bytes,
  start: number,
  end: number,
  fieldTag: number,
  to: number,
): number {
  out.u8[to++] = fieldTag;
  out.u8[to++] = end - start;
  for (let i = start; i < end; i++) out.u8[to++] = from.u8[i];
  return to;
}

const N = {
  endTime: tag(EndSpan.endTime, FIXED64),
  status: tag(EndSpan.status, BYTES),
  droppedAttributes: tag(EndSpan.droppedAttributes, VARINT),
  droppedEvents: tag(EndSpan.droppedEvents, VARINT),
  droppedLinks: tag(EndSpan.droppedLinks, VARINT),
} as const;

/** Puts the fields of an EndSpan. Sets `low`, `high` to the end time, and the dropped counts. */
export function putEnd(from: Bytes, start: number, end: number, out: Bytes, to: number): number {
  const bytes = from.u8;
  found.low = 0;
  found.high = 0;
  found.droppedAttributes = 0;
  found.droppedEvents = 0;
  found.droppedLinks = 0;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    switch (t) {
      case N.endTime:
        to = putTime(out, from, at, O.endTime, to);
        break;
      case N.status:
        readLength(bytes, at, end);
        to = putStatus(from, cursor.at, stop, out, to);
        break;
      case N.droppedAttributes:
        found.droppedAttributes = readCount(bytes, at, end);
        break;
      case N.droppedEvents:
        found.droppedEvents = readCount(bytes, at, end);
        break;
      case N.droppedLinks:
        found.droppedLinks = readCount(bytes, at, end);
        break;
    }
    at = stop;
  }
  return to;
}

/** A count, cut to 2^31 - 1. */
export function readCount(bytes: Uint8Array, at: number, end: number): number {
  const count = readVarint(bytes, at, end);
  return count < 0 ? 0x7fffffff : count;
}

const STATUS_MESSAGE = tag(Status.message, BYTES);
const STATUS_CODE = tag(Status.code, VARINT);

function putStatus(from: Bytes, start: number, end: number, out: Bytes, to: number): number {
  const bytes = from.u8;
  const inside = to + HEADER_BYTES;
  let next = inside;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === STATUS_MESSAGE) {
      readLength(bytes, at, end);
      next = putText(from, cursor.at, stop, t, next);
    } else if (t === STATUS_CODE) {
      const code = readVarint(bytes, at, end);
      if (code > 0 && code < 0x80) {
        out.u8[next++] = t;
        out.u8[next++] = code;
      }
    }
    at = stop;
  }
  return next === inside ? to : closeField(O.status, to, inside, next);
}

const LINKS = tag(AddLink.links, BYTES);
const L = {
  traceId: tag(Link.traceId, BYTES),
  spanId: tag(Link.spanId, BYTES),
  traceState: tag(Link.traceState, BYTES),
  attributes: tag(Link.attributes, BYTES),
  dropped: tag(Link.droppedAttributes, VARINT),
  flags: tag(Link.flags, FIXED32),
} as const;

/** Puts the links of an AddLink. Sets `links`. */
export function putLinks(from: Bytes, start: number, end: number, out: Bytes, to: number): number {
  const bytes = from.u8;
  found.links = 0;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === LINKS) {
      readLength(bytes, at, end);
      to = putLink(from, cursor.at, stop, out, to);
      found.links++;
    }
    at = stop;
  }
  return to;
}

function putLink(from: Bytes, start: number, end: number, out: Bytes, to: number): number {
  const bytes = from.u8;
  const inside = to + HEADER_BYTES;
  let next = inside;
  expectKeys(0);
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    switch (t) {
      case L.traceId:
      case L.spanId: {
        readLength(bytes, at, end);
        const size = t === L.traceId ? TRACE_ID_BYTES : SPAN_ID_BYTES;
        if (stop - cursor.at !== size) throw BAD_ID;
        next = putBytes(out, from, cursor.at, stop, t, next);
        break;
      }
      case L.traceState:
        readLength(bytes, at, end);
        if (stop > cursor.at) next = putText(from, cursor.at, stop, t, next);
        break;
      case L.attributes:
        readLength(bytes, at, end);
        next = putKeyValue(from, cursor.at, stop, tag(OtlpLink.attributes, BYTES), next);
        break;
      case L.dropped:
        next = putCount(out.u8, next, t, readCount(bytes, at, end));
        break;
      case L.flags:
        out.u8[next] = t;
        out.view.setInt32(next + 1, from.view.getInt32(at, true), true);
        next += 5;
        break;
    }
    at = stop;
  }
  if (repeatedKeys) next = keepLast(out.u8, inside, next, tag(OtlpLink.attributes, BYTES), 0);
  return closeField(O.link, to, inside, next);
}

/** Puts a field of a count, nothing for 0. The tag has one byte. */
export function putCount(out: Uint8Array, to: number, fieldTag: number, count: number): number {
  if (count === 0) return to;
  out[to] = fieldTag;
  return putVarint(out, to + 1, count);
}

const EVENT_ATTRIBUTES = tag(Event.attributes, BYTES);
const V = {
  time: tag(OtlpSpanEvent.time, FIXED64),
  name: tag(OtlpSpanEvent.name, BYTES),
  attributes: tag(OtlpSpanEvent.attributes, BYTES),
  dropped: tag(OtlpSpanEvent.droppedAttributes, VARINT),
} as const;

/** Puts an Event record, walked before, as an event of a span. */
export function putEvent(
  from: Bytes,
  record: EventRecord,
  out: Bytes,
  to: number,
): number {
  const bytes = from.u8;
  const end = record.attributesEnd;
  const inside = to + HEADER_BYTES;
  let next = inside;
  if (record.time !== 0) next = putTime(out, from, record.time, V.time, next);
  if (record.nameRef !== 0) next = putTextOfRef(record.nameRef, V.name, next);
  else if (record.nameEnd > record.nameStart) {
    next = putText(from, record.nameStart, record.nameEnd, V.name, next);
  }
  expectKeys(0);
  let at = record.attributesStart;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === EVENT_ATTRIBUTES) {
      readLength(bytes, at, end);
      next = putKeyValue(from, cursor.at, stop, V.attributes, next);
    }
    at = stop;
  }
  if (repeatedKeys) next = keepLast(out.u8, inside, next, V.attributes, 0);
  next = putCount(out.u8, next, V.dropped, record.droppedAttributes);
  return closeField(O.event, to, inside, next);
}
