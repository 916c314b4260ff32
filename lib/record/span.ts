/**
 * What all records of the spans ring have in common.
 *
 * Heads are laid out so that ids and times fall on 4-byte boundaries and go in as 32-bit words:
 * protobuf decoders accept tags and lengths padded to any width (PROTOCOL.md, Padding).
 *
 * @module
 */
import { SpanEvent } from "../format/fields.ts";
import {
  RING_SPANS,
  SPAN_EVENT_BODY,
  SPAN_EVENT_TAG,
  SPAN_SCOPE_REF,
  SPAN_SPAN_ID,
  SPAN_SPAN_ID_TAG,
  SPAN_TRACE_ID,
} from "../format/layout.ts";
import type { RingWriter } from "../ring/write.ts";
import type { Shape } from "./shape.ts";
import { publish, putCutMark, putScopeRef, type RecordFile } from "./slot.ts";
import { wasCut } from "./value.ts";

/** What records of a span carry, and what is remembered between them. Ids are 32-bit words. */
export interface SpanState {
  /** trace_id, 16 bytes as four words in the order and endianness of the file. */
  t0: number;
  t1: number;
  t2: number;
  t3: number;
  /** span_id, 8 bytes as two words. */
  s0: number;
  s1: number;
  /** OTLP span flags: W3C trace flags, and whether the parent is remote. */
  flags: number;
  /** Offset of its scope in the dictionary. */
  scopeRef: number;
  /** Its name when it started, with the keys usual under it. */
  shape: Shape;
  /** Number of distinct attribute keys so far. */
  attributes: number;
  /** Position in the shape where the next key is expected. */
  expected: number;
  /** Which positions of the shape are set, a bit each: the first 32, */
  seen: number;
  /** those from 32, */
  seen32: number;
  /** from 64, */
  seen64: number;
  /** and from 96 on. */
  seen96: number;
  /** Keys set that have no position, made when there are any. */
  seenMore: Set<string> | null;
  droppedAttributes: number;
}

/** Whether a position from 32 on is set. */
export function hasSeen(span: SpanState, position: number): boolean {
  const word = position < 64 ? span.seen32 : position < 96 ? span.seen64 : span.seen96;
  return (word & (1 << position)) !== 0;
}

/** Sets a position from 32 on. */
export function see(span: SpanState, position: number): void {
  if (position < 64) span.seen32 |= 1 << position;
  else if (position < 96) span.seen64 |= 1 << position;
  else span.seen96 |= 1 << position;
}

/** Ids and scope of a record of the spans ring. */
export function putSpanHead(ring: RingWriter, slot: number, span: SpanState): void {
  const i32 = ring.i32;
  let word = (slot + SPAN_TRACE_ID) >> 2;
  i32[word] = span.t0;
  i32[word + 1] = span.t1;
  i32[word + 2] = span.t2;
  i32[word + 3] = span.t3;
  // span_id: tag, then its length 8 in three bytes.
  i32[(slot + SPAN_SPAN_ID_TAG) >> 2] = 0x00808812;
  word = (slot + SPAN_SPAN_ID) >> 2;
  i32[word] = span.s0;
  i32[word + 1] = span.s1;
  putScopeRef(ring, slot + SPAN_SCOPE_REF, 0x01a0, span.scopeRef);
}

// Tags of the members of the oneof in SpanEvent.
export const START = 0x5a;
export const END = 0x62;
export const NAME = 0x6a;
export const ATTRIBUTES = 0x72;
export const LINK = 0x7a;
/** The first bytes of a SpanEvent: tag and length of trace_id. */
const SPAN_FIRST = 0x100a;

/** Puts the event's tag and length (three bytes) in their place, marks a cut record, publishes. */
export function finishSpanRecord(
  file: RecordFile,
  slot: number,
  end: number,
  eventTag: number,
): number {
  const ring = file.spans;
  const length = end - slot - SPAN_EVENT_BODY;
  ring.i32[(slot + SPAN_EVENT_TAG) >> 2] = eventTag | (length & 0x7f | 0x80) << 8 |
    (length >> 7 | 0x80) << 16;
  if (wasCut()) end = putCutMark(ring, end, SpanEvent.truncated, file, RING_SPANS);
  return publish(file, RING_SPANS, ring, slot, end, SPAN_FIRST);
}
