/**
 * Records of spans as bytes, written straight into the slot.
 *
 * Every function returns `WRITTEN` or one of the reasons beside it and never throws by itself.
 * Nothing is visible to a reader before the record is whole (`RingWriter.publish`).
 *
 * @module
 */
import { BYTES, EndSpan, StartSpan, tag } from "../format/fields.ts";
import {
  RING_SPANS,
  SPAN_AFTER_TIME,
  SPAN_EVENT_BODY,
  SPAN_TIME,
  SPAN_TIME_TAG,
} from "../format/layout.ts";
import type { RingWriter } from "../ring/write.ts";
import {
  type AttributeSource,
  listDropped,
  putAttributeList,
  putSpanAttributes,
} from "./attributes.ts";
import type { Shape } from "./shape.ts";
import {
  begin,
  CUT_MARK_BYTES,
  DICTIONARY_FULL,
  DROPPED_BYTES,
  fit,
  putCount,
  putVarint,
  type RecordFile,
  reserveForEnds,
} from "./slot.ts";
import { END, finishSpanRecord, LINK, NAME, putSpanHead, type SpanState, START } from "./span.ts";
import { endOfPut, noteCut, OK, putCutStringField } from "./value.ts";

export { onAttributeProblem, writeAttribute, writeAttributes } from "./attributes.ts";
export { writeSpanEvent } from "./event.ts";
export {
  DICTIONARY_FULL,
  type RecordFile,
  REENTERED,
  REFUSED,
  SEQUENCES_USED_UP,
  WRITTEN,
} from "./slot.ts";
export type { SpanState } from "./span.ts";

/**
 * A span's start. `lo` and `hi` are the halves of the start time, ns since the epoch; `parent` is
 * the parent's span id as two words, both 0 for a root span. Attributes that do not fit go into
 * UpdateAttributes records behind it.
 */
export function writeStart(
  file: RecordFile,
  span: SpanState,
  kind: number,
  lo: number,
  hi: number,
  parent0: number,
  parent1: number,
  traceState: string | undefined,
  attributes: AttributeSource | undefined,
  attributeLimit: number,
): number {
  const ring = file.spans;
  const slot = begin(
    file,
    span.scopeRef,
    RING_SPANS,
    ring,
    reserveForEnds(file) + 1,
    CUT_MARK_BYTES,
  );
  if (slot < 0) return slot;
  const u8 = ring.u8;
  const i32 = ring.i32;
  const shape = span.shape;
  shape.bind(file.dictionary);
  putSpanHead(ring, slot, span);
  // start_time_unix_nano: its tag in four bytes.
  i32[(slot + SPAN_TIME_TAG) >> 2] = 0x008080b9;
  const time = (slot + SPAN_TIME) >> 2;
  i32[time] = lo;
  i32[time + 1] = hi;
  let at = slot + SPAN_AFTER_TIME;
  if ((parent0 | parent1) !== 0) {
    // parent_span_id: tag and length in two bytes each.
    const word = at >> 2;
    i32[word] = 0x008800a2;
    i32[word + 1] = parent0;
    i32[word + 2] = parent1;
    at += 12;
  }
  // flags: fixed32, its tag in four bytes.
  i32[at >> 2] = 0x00808185;
  i32[(at >> 2) + 1] = span.flags;
  at += 8;
  at = putKindAndName(ring, at, kind, shape, slot + ring.slotBytes - CUT_MARK_BYTES);
  if (traceState !== undefined && traceState.length > 0) {
    const wide = tag(StartSpan.traceState, BYTES);
    // putCutStringField writes one tag byte: the first one goes before it.
    u8[at] = (wide & 0x7f) | 0x80;
    if (putCutStringField(at + 1, wide >> 7, traceState) === OK) at = endOfPut();
    else noteCut();
  }
  return attributes === undefined
    ? finishSpanRecord(file, slot, at, START)
    : putSpanAttributes(file, slot, at, span, attributes, attributeLimit, START);
}

/** `kind` and `name`, from a word boundary on; the name is cut where it passes `limit`. */
function putKindAndName(
  ring: RingWriter,
  at: number,
  kind: number,
  shape: Shape,
  limit: number,
): number {
  const { i32, u8 } = ring;
  const { nameWords, name } = shape;
  const words = nameWords.length;
  if (shape.isCut) noteCut();
  if (name.length <= 0x7f && at + 4 + words * 4 <= limit) {
    let word = at >> 2;
    i32[word++] = 0x30 | kind << 8 | 0x2a0000 | name.length << 24;
    for (let i = 0; i < words; i++) i32[word + i] = nameWords[i];
    return at + 4 + name.length;
  }
  const length = fit(name, limit - at - 5);
  u8[at] = 0x30;
  u8[at + 1] = kind;
  u8[at + 2] = 0x2a;
  u8[at + 3] = (length & 0x7f) | 0x80;
  u8[at + 4] = length >> 7;
  u8.set(length === name.length ? name : name.subarray(0, length), at + 5);
  return at + 5 + length;
}

/** A span's end, with its final status (code 0 for unset) and totals of what was dropped. */
export function writeEnd(
  file: RecordFile,
  span: SpanState,
  lo: number,
  hi: number,
  statusCode: number,
  statusMessage: string,
  droppedEvents: number,
  droppedLinks: number,
): number {
  const ring = file.spans;
  const slot = begin(file, span.scopeRef, RING_SPANS, ring, 0, CUT_MARK_BYTES);
  if (slot < 0) return slot;
  const i32 = ring.i32;
  putSpanHead(ring, slot, span);
  i32[(slot + SPAN_TIME_TAG) >> 2] = 0x008080c1;
  const time = (slot + SPAN_TIME) >> 2;
  i32[time] = lo;
  i32[time + 1] = hi;
  let at = slot + SPAN_AFTER_TIME;
  if ((span.droppedAttributes | droppedEvents | droppedLinks) !== 0) {
    at = putCount(ring, at, EndSpan.droppedAttributes, span.droppedAttributes);
    at = putCount(ring, at, EndSpan.droppedEvents, droppedEvents);
    at = putCount(ring, at, EndSpan.droppedLinks, droppedLinks);
  }
  if (statusCode !== 0) at = putStatus(ring, at, statusCode, statusMessage);
  return finishSpanRecord(file, slot, at, END);
}

/** `Status { message, code }` as field 15. */
function putStatus(ring: RingWriter, at: number, code: number, message: string): number {
  const u8 = ring.u8;
  u8[at] = 0x7a;
  const start = at + 3;
  u8[start] = 0x18;
  u8[start + 1] = code;
  let end = start + 2;
  if (message.length > 0 && putCutStringField(end, 0x12, message) === OK) end = endOfPut();
  const length = end - start;
  u8[at + 1] = (length & 0x7f) | 0x80;
  u8[at + 2] = length >> 7;
  return end;
}

/** A new name for a span. */
export function writeName(file: RecordFile, span: SpanState, name: string): number {
  const ring = file.spans;
  const slot = begin(file, span.scopeRef, RING_SPANS, ring, reserveForEnds(file), CUT_MARK_BYTES);
  if (slot < 0) return slot;
  putSpanHead(ring, slot, span);
  const body = slot + SPAN_EVENT_BODY;
  putCutStringField(body, 0x2a, name);
  return finishSpanRecord(file, slot, endOfPut(), NAME);
}

/** Ids of another span, as words. */
export interface LinkedSpan {
  t0: number;
  t1: number;
  t2: number;
  t3: number;
  s0: number;
  s1: number;
}

/**
 * A link. `flags` are OTLP span flags of the linked context; attributes beyond `limit` are counted
 * in the link's dropped_attributes_count, which starts at `dropped`.
 */
export function writeLink(
  file: RecordFile,
  span: SpanState,
  linked: LinkedSpan,
  flags: number,
  traceState: string | undefined,
  attributes: AttributeSource | undefined,
  limit: number,
  shape: Shape,
  dropped: number,
): number {
  const ring = file.spans;
  const tail = CUT_MARK_BYTES + DROPPED_BYTES;
  const slot = begin(file, span.scopeRef, RING_SPANS, ring, reserveForEnds(file), tail);
  if (slot < 0) return slot;
  const u8 = ring.u8;
  const i32 = ring.i32;
  shape.bind(file.dictionary);
  putSpanHead(ring, slot, span);
  const body = slot + SPAN_EVENT_BODY;
  // links: tag, length in three bytes; trace_id and span_id with tag and length in four and two.
  u8[body] = 0x6a;
  const word = (body + 4) >> 2;
  i32[word] = 0x0090008a;
  i32[word + 1] = linked.t0;
  i32[word + 2] = linked.t1;
  i32[word + 3] = linked.t2;
  i32[word + 4] = linked.t3;
  i32[word + 5] = 0x00880092;
  i32[word + 6] = linked.s0;
  i32[word + 7] = linked.s1;
  // flags: fixed32, tag in four bytes.
  i32[word + 8] = 0x008080b5;
  i32[word + 9] = flags;
  let at = body + 4 + 40;
  if (traceState !== undefined && traceState.length > 0) {
    if (putCutStringField(at, 0x1a, traceState) === OK) at = endOfPut();
  }
  at = putAttributeList(file, at, 0x22, shape, attributes, limit);
  if (at < 0) return DICTIONARY_FULL;
  dropped += listDropped;
  if (dropped > 0) {
    u8[at++] = 0x28;
    at = putVarint(u8, at, dropped);
  }
  const length = at - body - 4;
  u8[body + 1] = length | 0x80;
  u8[body + 2] = (length >> 7) | 0x80;
  u8[body + 3] = 0;
  return finishSpanRecord(file, slot, at, LINK);
}
