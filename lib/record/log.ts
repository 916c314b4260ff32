/**
 * Log records of the events ring.
 *
 * @module
 */
import { BYTES, Event, tag } from "../format/fields.ts";
import { RING_EVENTS } from "../format/layout.ts";
import { type AttributeSource, listDropped, putAttributeList } from "./attributes.ts";
import { bodyWasCut, NO_KEYS, putBody } from "./body.ts";
import type { IdWords } from "./ids.ts";
import type { Shape } from "./shape.ts";
import {
  begin,
  CUT_MARK_BYTES,
  DICTIONARY_FULL,
  DROPPED_BYTES,
  fit,
  publish,
  putCount,
  putCutMark,
  putScopeRef,
  type RecordFile,
} from "./slot.ts";
import { aim, endOfPut, OK, putCutStringField, wasCut } from "./value.ts";

/** The first bytes of a record: tag and length of span_context, or the padded tag of the time. */
const FIRST_CONTEXT = 0x283a;
const FIRST_TIME = 0x0091;
/** UTF-16 units of severity_text that are kept. */
const SEVERITY_UNITS = 32;
/** A name's ref, or the head of its text. */
const NAME_BYTES = 5;
/** Room kept at the end of every record. */
const TAIL_BYTES = CUT_MARK_BYTES + DROPPED_BYTES;

/** The numbers of a log record. */
export interface LogNumbers extends IdWords {
  /** Whether the ids above are those of a span. */
  hasSpan: boolean;
  /** W3C trace flags of that span. */
  flags: number;
  /** The time, ns since the epoch, as two words. */
  low: number;
  high: number;
  /** The time of observation. */
  observedLow: number;
  observedHigh: number;
  /** 1 to 24 as OTLP has them, 0 for none. */
  severity: number;
}

/**
 * A log record. `shape` has the event's name, which `interned` puts into the dictionary (names
 * without bound are written in the record), or no name, and the keys that are usual with it.
 * Attributes beyond `limit` are counted, strings and bytes among them cut to `valueUnits`; the
 * body is not under these limits.
 *
 * What does not fit the slot is cut. The body comes first, since it is what a reader of a cut
 * record needs most, but leaves a quarter of the slot to the attributes where there are any.
 */
export function writeLog(
  file: RecordFile,
  scopeRef: number,
  log: LogNumbers,
  shape: Shape,
  interned: boolean,
  severityText: string,
  body: unknown,
  attributes: AttributeSource | undefined,
  limit: number,
  valueUnits: number,
): number {
  const ring = file.events;
  const slot = begin(file, scopeRef, RING_EVENTS, ring, 0, TAIL_BYTES);
  if (slot < 0) return slot;
  const u8 = ring.u8;
  const i32 = ring.i32;
  const end = slot + ring.slotBytes - TAIL_BYTES;
  shape.bind(file.dictionary);
  // Tags are padded so that ids and times fall on word boundaries.
  let word = (slot + 4) >> 2;
  if (log.hasSpan) {
    // span_context, 40 bytes, and the tag of the time in four.
    i32[word] = 0x00900092;
    i32[word + 1] = log.t0;
    i32[word + 2] = log.t1;
    i32[word + 3] = log.t2;
    i32[word + 4] = log.t3;
    i32[word + 5] = 0x0088008a;
    i32[word + 6] = log.s0;
    i32[word + 7] = log.s1;
    i32[word + 8] = 0x0080809d;
    i32[word + 9] = log.flags;
    i32[word + 10] = 0x00808091;
    word += 11;
  }
  i32[word] = log.low;
  i32[word + 1] = log.high;
  putScopeRef(ring, (word + 2) << 2, 0x0088, scopeRef);
  // observed_time_unix_nano: 503 << 3 | 1 as a varint is b9 1f.
  i32[word + 4] = 0x00809fb9;
  i32[word + 5] = log.observedLow;
  i32[word + 6] = log.observedHigh;
  let at = (word + 7) << 2;
  let cut = shape.isCut;
  if (log.severity !== 0) {
    u8[at] = 0x18;
    u8[at + 1] = log.severity;
    at += 2;
  }
  if (severityText.length > 0) {
    const text = severityText.length > SEVERITY_UNITS
      ? severityText.slice(0, SEVERITY_UNITS)
      : severityText;
    cut ||= text !== severityText;
    if (putCutStringField(at, 0x22, text) === OK) at = endOfPut();
    cut ||= wasCut();
  }
  if (shape.name.length > 0) {
    if (at + NAME_BYTES > end) {
      cut = true;
    } else if (interned) {
      if (shape.nameRef === 0) shape.nameRef = file.dictionary.append(shape.name);
      const ref = shape.nameRef;
      if (ref === 0) return DICTIONARY_FULL;
      u8[at] = 0x30;
      u8[at + 1] = ref | 0x80;
      u8[at + 2] = (ref >>> 7) | 0x80;
      u8[at + 3] = (ref >>> 14) | 0x80;
      u8[at + 4] = ref >>> 21;
      at += 5;
    } else {
      const length = fit(shape.name, Math.min(end - at - 4, ring.slotBytes >> 2));
      cut ||= length < shape.name.length;
      const nameTag = tag(Event.eventName, BYTES);
      u8[at] = (nameTag & 0x7f) | 0x80;
      u8[at + 1] = nameTag >> 7;
      u8[at + 2] = (length & 0x7f) | 0x80;
      u8[at + 3] = length >> 7;
      u8.set(length < shape.name.length ? shape.name.subarray(0, length) : shape.name, at + 4);
      at += 4 + length;
    }
  }
  const { dictionary } = file;
  if (body !== undefined) {
    const bodyEnd = attributes === undefined ? end : end - (ring.slotBytes >> 2);
    at = putBody(ring, at, bodyEnd, dictionary, 0x2a, body);
    if (at === NO_KEYS) return DICTIONARY_FULL;
    cut ||= bodyWasCut();
  }
  if (attributes !== undefined) {
    aim(ring, end, dictionary, valueUnits);
    at = putAttributeList(file, at, 0x42, shape, attributes, limit);
    if (at < 0) return DICTIONARY_FULL;
    cut ||= wasCut();
    at = putCount(ring, at, Event.droppedAttributes, listDropped);
  }
  if (cut) at = putCutMark(ring, at, Event.truncated, file, RING_EVENTS);
  return publish(
    file,
    RING_EVENTS,
    ring,
    slot,
    at,
    log.hasSpan ? FIRST_CONTEXT : FIRST_TIME,
  );
}
