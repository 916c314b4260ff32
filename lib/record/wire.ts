/**
 * Protobuf's wire format over bytes that nobody vouches for: every read is checked against the end
 * it was given, and what cannot be read is thrown as one of a few constant rejections.
 *
 * @module
 */
import { BYTES, FIXED32, FIXED64, VARINT } from "../format/fields.ts";
import { REJECT_LENGTH, REJECT_LIMIT, REJECT_MALFORMED, REJECT_REF } from "../format/layout.ts";

/** Why a record was not taken. Not an Error: one is thrown per bad record, without a stack. */
export class Rejection {
  /** What people are told. */
  readonly reason: string;
  /** What it is counted as, `REJECT_*`. */
  readonly kind: number;

  /**
   * @param reason What people are told.
   * @param kind What it is counted as, `REJECT_*`.
   */
  constructor(reason: string, kind: number = REJECT_MALFORMED) {
    this.reason = reason;
    this.kind = kind;
  }
}

/** The slot holds no record: no length, or one that reaches beyond the slot. */
export const BAD_LENGTH: Rejection = new Rejection(
  "its length is wrong for its slot",
  REJECT_LENGTH,
);
/** Not protobuf, or a field of another type than it should have. */
export const MALFORMED: Rejection = new Rejection("not a readable message");
/** A ref that names no entry of the dictionary. */
export const BAD_REF: Rejection = new Rejection("a ref outside the dictionary", REJECT_REF);
/** A trace id that is not 16 bytes or a span id that is not 8, or all zeros. */
export const BAD_ID: Rejection = new Rejection("a trace or span id of the wrong size");
/** A span record that says nothing about its span. */
export const NO_EVENT: Rejection = new Rejection("a span record without an event");
/** A record without a scope, or a scope without a resource. */
export const NO_SCOPE: Rejection = new Rejection("no scope or resource");
/** Arrays and maps inside each other beyond what is followed. */
export const TOO_DEEP: Rejection = new Rejection("values nested too deep", REJECT_LIMIT);
/** A record that would become too large once its refs are filled in. */
export const TOO_LARGE: Rejection = new Rejection(
  "too large once its refs are filled in",
  REJECT_LIMIT,
);
/** A second start of a span that is open. */
export const STARTED_TWICE: Rejection = new Rejection("a second start of an open span");

/** Where the last read ended; one for everybody, since nothing here is reentrant. */
export const cursor: { at: number } = { at: 0 };

/**
 * Reads a varint at `at`, which may be padded, and leaves `cursor.at` behind it: 0 to 2^31 - 1, and
 * -1 for everything larger (and for what is negative on the other side).
 *
 * Always a 32-bit integer: were it a double only once, positions computed from it would be doubles
 * for good, and all code that uses them several times slower.
 */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) throw MALFORMED;
  let byte = bytes[at++];
  if (byte < 0x80) {
    cursor.at = at;
    return byte;
  }
  let value = byte & 0x7f;
  for (let shift = 7; shift < 28; shift += 7) {
    if (at >= end) throw MALFORMED;
    byte = bytes[at++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor.at = at;
      return value;
    }
  }
  return readLongVarint(bytes, at, end, value);
}

function readLongVarint(bytes: Uint8Array, at: number, end: number, low: number): number {
  let value = low;
  for (let i = 4; i < 10; i++) {
    if (at >= end) throw MALFORMED;
    const byte = bytes[at++];
    const bits = byte & 0x7f;
    if (i === 4 && bits < 8) value |= bits << 28;
    else if (bits !== 0) value = -1;
    if (byte < 0x80) {
      cursor.at = at;
      return value;
    }
  }
  throw MALFORMED;
}

/** Bytes of a tag at most, padding included: strict decoders take no more for 32 bits. */
export const MAX_TAG_BYTES = 5;

/** Reads a tag; field 0, numbers from 2^28 on and what is padded beyond 5 bytes are malformed. */
export function readTag(bytes: Uint8Array, at: number, end: number): number {
  const tag = readVarint(bytes, at, end);
  if (tag < 8 || cursor.at - at > MAX_TAG_BYTES) throw MALFORMED;
  return tag;
}

/** Reads a length at `at`; the field's bytes are from `cursor.at` to the returned end. */
export function readLength(bytes: Uint8Array, at: number, end: number): number {
  const length = readVarint(bytes, at, end);
  // Compared this way round, since the sum may pass 2^31.
  if (length < 0 || length > end - cursor.at) throw MALFORMED;
  return cursor.at + length;
}

/** The end of a field's value, whose tag was just read. */
export function skipField(bytes: Uint8Array, at: number, end: number, tag: number): number {
  let stop: number;
  switch (tag & 7) {
    case VARINT:
      readVarint(bytes, at, end);
      return cursor.at;
    case FIXED64:
      stop = at + 8;
      break;
    case BYTES:
      return readLength(bytes, at, end);
    case FIXED32:
      stop = at + 4;
      break;
    default:
      throw MALFORMED;
  }
  if (stop > end) throw MALFORMED;
  return stop;
}

/** Bytes of a varint of `value`, 0 up to 2^31 - 1. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  return 5;
}

/** Writes a varint of `value`, 0 up to 2^31 - 1, and returns its end. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}
