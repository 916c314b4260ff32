/**
 * Spans taken apart: what has a column of its own, the hashes of attributes, and the rest, which
 * stays as it is.
 *
 * @module
 */
import {
  BYTES,
  FIXED32,
  FIXED64,
  OtlpSpan,
  Status,
  tag,
  VARINT,
} from "../../../lib/format/fields.ts";
import {
  BAD_ID,
  cursor,
  MALFORMED,
  readLength,
  readTag,
  readVarint,
  skipField,
} from "../../../lib/record/wire.ts";
import { endOfFixed64, keepRun } from "./request.ts";
import { addTerm, createTerms, isTrue, type Terms } from "./terms.ts";

/** A span taken apart. Positions are in its request's bytes; -1 where there is none. */
export interface ParsedSpan {
  trace: number;
  span: number;
  parent: number;
  nameFrom: number;
  nameTo: number;
  start: number;
  end: number;
  kind: number;
  status: number;
  interrupted: boolean;
  /** Its other fields, as OTLP has them: from 0 to `restLength`. */
  rest: Uint8Array;
  restLength: number;
  readonly terms: Terms;
}

/** Makes room for a span. */
export function createParsedSpan(): ParsedSpan {
  return {
    trace: -1,
    span: -1,
    parent: -1,
    nameFrom: 0,
    nameTo: 0,
    start: -1,
    end: -1,
    kind: 0,
    status: 0,
    interrupted: false,
    rest: new Uint8Array(1 << 12),
    restLength: 0,
    terms: createTerms(),
  };
}

const TRACE = tag(OtlpSpan.traceId, BYTES);
const SPAN = tag(OtlpSpan.spanId, BYTES);
const PARENT = tag(OtlpSpan.parentSpanId, BYTES);
const NAME = tag(OtlpSpan.name, BYTES);
const KIND = tag(OtlpSpan.kind, VARINT);
const START = tag(OtlpSpan.startTime, FIXED64);
const END = tag(OtlpSpan.endTime, FIXED64);
const ATTRIBUTE = tag(OtlpSpan.attributes, BYTES);
const STATUS = tag(OtlpSpan.status, BYTES);
const CODE = tag(Status.code, VARINT);
const INTERRUPTED = new TextEncoder().encode("otlp_mmap.interrupted");

/** What the fields of a span may have for a type, in the order of their numbers; 7 is unknown. */
const TYPES: Readonly<Record<number, number>> = {
  1: BYTES,
  2: BYTES,
  3: BYTES,
  4: BYTES,
  5: BYTES,
  6: VARINT,
  7: FIXED64,
  8: FIXED64,
  9: BYTES,
  10: VARINT,
  11: BYTES,
  12: VARINT,
  13: BYTES,
  14: VARINT,
  15: BYTES,
  16: FIXED32,
};

/**
 * Takes the span from `from` to `to` apart.
 *
 * @throws Rejection when it is malformed, or an id has the wrong size.
 */
export function parseSpan(out: ParsedSpan, bytes: Uint8Array, from: number, to: number): void {
  out.trace =
    out.span =
    out.parent =
    out.start =
    out.end =
      -1;
  out.nameFrom = out.nameTo = from;
  out.kind =
    out.status =
    out.restLength =
    out.terms.count =
      0;
  out.interrupted = false;
  if (out.rest.length < to - from) out.rest = new Uint8Array((to - from) * 2);
  let kept = from;
  for (let at = from; at < to;) {
    const fieldAt = at;
    const field = readTag(bytes, at, to);
    const value = cursor.at;
    let keep = false;
    switch (field) {
      case TRACE:
        at = readLength(bytes, value, to);
        out.trace = idAt(at, 16);
        break;
      case SPAN:
        at = readLength(bytes, value, to);
        out.span = idAt(at, 8);
        break;
      case PARENT:
        at = readLength(bytes, value, to);
        out.parent = at === cursor.at ? -1 : idAt(at, 8);
        break;
      case NAME:
        out.nameTo = at = readLength(bytes, value, to);
        out.nameFrom = cursor.at;
        break;
      case KIND:
        out.kind = readVarint(bytes, value, to);
        at = cursor.at;
        keep = out.kind < 0 || out.kind > 5;
        if (keep) out.kind = 0;
        break;
      case START:
        at = endOfFixed64(value, to);
        out.start = value;
        break;
      case END:
        at = endOfFixed64(value, to);
        out.end = value;
        break;
      case ATTRIBUTE:
        at = readLength(bytes, value, to);
        addTerm(out.terms, bytes, cursor.at, at);
        if (isTrue(bytes, INTERRUPTED)) out.interrupted = true;
        keep = true;
        break;
      case STATUS:
        at = readLength(bytes, value, to);
        out.status = readStatus(bytes, cursor.at, at);
        keep = true;
        break;
      default:
        if (TYPES[field >>> 3] !== undefined && TYPES[field >>> 3] !== (field & 7)) throw MALFORMED;
        at = skipField(bytes, value, to, field);
        keep = true;
    }
    if (keep) continue;
    keepRun(out, bytes, kept, fieldAt);
    kept = at;
  }
  keepRun(out, bytes, kept, to);
  if (out.trace < 0 || out.span < 0 || isZero(bytes, out.trace, 16) || isZero(bytes, out.span, 8)) {
    throw BAD_ID;
  }
  if (out.parent >= 0 && isZero(bytes, out.parent, 8)) out.parent = -1;
  if (out.end >= 0 && isBefore(bytes, out.end, out.start)) {
    // A duration can't say this: the end stays with the rest.
    out.rest[out.restLength] = END;
    for (let i = 0; i < 8; i++) out.rest[out.restLength + 1 + i] = bytes[out.end + i];
    out.restLength += 9;
    out.end = -1;
  }
}

function idAt(end: number, size: number): number {
  if (end - cursor.at !== size) throw BAD_ID;
  return cursor.at;
}

function isZero(bytes: Uint8Array, at: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

/** Compares two fixed64, the second of which may be missing. */
function isBefore(bytes: Uint8Array, at: number, other: number): boolean {
  if (other < 0) return false;
  for (let i = 7; i >= 0; i--) {
    if (bytes[at + i] !== bytes[other + i]) return bytes[at + i] < bytes[other + i];
  }
  return false;
}

function readStatus(bytes: Uint8Array, from: number, to: number): number {
  let code = 0;
  for (let at = from; at < to;) {
    const field = readTag(bytes, at, to);
    if (field === CODE) {
      code = readVarint(bytes, cursor.at, to);
      at = cursor.at;
    } else at = skipField(bytes, cursor.at, to, field);
  }
  return code === 1 || code === 2 ? code : 0;
}
