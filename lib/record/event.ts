/**
 * Records of the events ring.
 *
 * @module
 */
import { BYTES, Event, tag } from "../format/fields.ts";
import { RING_EVENTS } from "../format/layout.ts";
import { type AttributeSource, listDropped, putAttributeList } from "./attributes.ts";
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
import type { SpanState } from "./span.ts";
import { noteCut, wasCut } from "./value.ts";

/** The first bytes of an Event: tag and length of span_context. */
const EVENT_FIRST = 0x283a;

/**
 * A span event: an Event record with the span's context and our marker. `interned` says whether
 * the name may go into the dictionary (names without bound are written in the record).
 */
export function writeSpanEvent(
  file: RecordFile,
  span: SpanState,
  shape: Shape,
  interned: boolean,
  lo: number,
  hi: number,
  attributes: AttributeSource | undefined,
  limit: number,
): number {
  const ring = file.events;
  const slot = begin(file, span.scopeRef, RING_EVENTS, ring, 0, CUT_MARK_BYTES + DROPPED_BYTES);
  if (slot < 0) return slot;
  const u8 = ring.u8;
  const i32 = ring.i32;
  shape.bind(file.dictionary);
  if (shape.isCut) noteCut();
  // span_context, 40 bytes: ids with padded tags and lengths, flags as fixed32.
  const word = (slot + 4) >> 2;
  i32[word] = 0x00900092;
  i32[word + 1] = span.t0;
  i32[word + 2] = span.t1;
  i32[word + 3] = span.t2;
  i32[word + 4] = span.t3;
  i32[word + 5] = 0x0088008a;
  i32[word + 6] = span.s0;
  i32[word + 7] = span.s1;
  i32[word + 8] = 0x0080809d;
  i32[word + 9] = span.flags;
  // time_unix_nano, its tag in four bytes.
  i32[word + 10] = 0x00808091;
  i32[word + 11] = lo;
  i32[word + 12] = hi;
  putScopeRef(ring, slot + 56, 0x0088, span.scopeRef);
  let at = slot + 64;
  if (interned && shape.nameRef === 0 && shape.name.length > 0) {
    shape.nameRef = file.dictionary.append(shape.name);
    if (shape.nameRef === 0) return DICTIONARY_FULL;
  }
  // span_event = true (ours): 500 << 3 as a varint is a0 1f.
  u8[at] = 0xa0;
  u8[at + 1] = 0x1f;
  u8[at + 2] = 1;
  at += 3;
  if (interned) {
    const ref = shape.nameRef;
    u8[at] = 0x30;
    u8[at + 1] = ref | 0x80;
    u8[at + 2] = (ref >>> 7) | 0x80;
    u8[at + 3] = (ref >>> 14) | 0x80;
    u8[at + 4] = ref >>> 21;
    at += 5;
  } else {
    const nameTag = tag(Event.eventName, BYTES);
    u8[at] = (nameTag & 0x7f) | 0x80;
    u8[at + 1] = nameTag >> 7;
    const length = fit(shape.name, slot + ring.slotBytes - CUT_MARK_BYTES - 8 - at - 4);
    u8[at + 2] = (length & 0x7f) | 0x80;
    u8[at + 3] = length >> 7;
    u8.set(shape.name.subarray(0, length), at + 4);
    at += 4 + length;
  }
  at = putAttributeList(file, at, 0x42, shape, attributes, limit);
  if (at < 0) return DICTIONARY_FULL;
  at = putCount(ring, at, Event.droppedAttributes, listDropped);
  if (wasCut()) at = putCutMark(ring, at, Event.truncated, file, RING_EVENTS);
  return publish(file, RING_EVENTS, ring, slot, at, EVENT_FIRST);
}
