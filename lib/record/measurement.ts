/**
 * Records of the measurements ring.
 *
 * The head is laid out in 32-bit words like that of a span (span.ts):
 *
 * ```
 * +0   length of the record (2 bytes), tag of metric_ref in two
 * +4   metric_ref as a varint of four bytes
 * +8   tag of the time in four bytes
 * +12  time
 * +20  tag of the value in four bytes
 * +24  as_double, or as_long as a varint of eight bytes (ten for a negative one)
 * +32  span_context, 44 bytes, or replaced_total, 12 bytes, where there is one
 *      attributes
 * ```
 *
 * @module
 */
import { BYTES, FIXED64, Measurement, tag } from "../format/fields.ts";
import { RING_MEASUREMENTS } from "../format/layout.ts";
import type { AttributeSet } from "./attribute-sets.ts";
import { type AttributeSource, listDropped, putAttributeList } from "./attributes.ts";
import type { IdWords } from "./ids.ts";
import type { Shape } from "./shape.ts";
import {
  begin,
  CUT_MARK_BYTES,
  DICTIONARY_FULL,
  publish,
  putCutMark,
  type RecordFile,
} from "./slot.ts";
import { wasCut } from "./value.ts";

/** The first bytes of a Measurement: the tag of metric_ref in two bytes. */
const FIRST = 0x0088;
/** Tag of `attributes`. */
const ATTRIBUTES = tag(Measurement.attributes, BYTES);
const REPLACED = tag(Measurement.replacedTotal, FIXED64);
/** Where the attributes start at the latest: a negative integer and a span context. */
const LONGEST_HEAD = 80;
/** From here on a whole number has no varint of eight bytes. */
const TWO_TO_53 = 2 ** 53;
const TWO_TO_28 = 2 ** 28;

const f64 = new Float64Array(1);
const f64Words = new Int32Array(f64.buffer);

/** The ids of a span, or none. */
export interface MeasurementSpan extends IdWords {
  hasSpan: boolean;
  /** W3C trace flags. */
  flags: number;
}

/**
 * A measurement at the time `lo`, `hi` (halves of ns since the epoch). `isInt` writes as_long:
 * `value` is a whole number within 64 bits then. The attributes are those of `set`, or with null
 * `attributes`, whose keys `shape` remembers. `replaced` is what a counter that began anew said before,
 * and 0 for all others; such a measurement has no span.
 */
export function writeMeasurement(
  file: RecordFile,
  metricRef: number,
  value: number,
  isInt: boolean,
  lo: number,
  hi: number,
  span: MeasurementSpan,
  set: AttributeSet | null,
  attributes: AttributeSource | undefined,
  shape: Shape,
  replaced: number,
): number {
  const ring = file.measurements;
  const slot = begin(file, metricRef, RING_MEASUREMENTS, ring, 0, CUT_MARK_BYTES);
  if (slot < 0) return slot;
  const room = ring.slotBytes - LONGEST_HEAD - CUT_MARK_BYTES;
  if (set !== null && !set.bind(file.dictionary, room, ATTRIBUTES)) return DICTIONARY_FULL;
  const { i32, u8 } = ring;
  const word = slot >> 2;
  i32[word + 1] = metricRef & 0x7f | (metricRef & 0x3f80) << 1 | (metricRef & 0x1fc000) << 2 |
    (metricRef & 0xfe00000) << 3 | 0x00808080;
  i32[word + 2] = 0x00808099;
  i32[word + 3] = lo;
  i32[word + 4] = hi;
  let at = slot + 32;
  if (!isInt) {
    i32[word + 5] = 0x008080a9;
    f64[0] = value;
    i32[word + 6] = f64Words[0];
    i32[word + 7] = f64Words[1];
  } else {
    i32[word + 5] = 0x008080a0;
    if (value >= 0 && value < TWO_TO_53) {
      i32[word + 6] = groups(value % TWO_TO_28) | 0x80000000;
      i32[word + 7] = groups(Math.floor(value / TWO_TO_28));
    } else {
      at = putLong(u8, slot + 24, value);
    }
  }
  // True after a varint of ten bytes: what follows makes up for the two.
  const isOff = (at & 3) !== 0;
  if (span.hasSpan) {
    // span_context: tag in two bytes, length in two, or four where that gives a word boundary.
    u8[at] = 0xb2;
    u8[at + 1] = 0;
    at += 2;
    if (isOff) {
      i32[at >> 2] = 0x008080a8;
      at += 4;
    } else {
      u8[at] = 0xa8;
      u8[at + 1] = 0;
      at += 2;
    }
    const context = at >> 2;
    i32[context] = 0x00900092;
    i32[context + 1] = span.t0;
    i32[context + 2] = span.t1;
    i32[context + 3] = span.t2;
    i32[context + 4] = span.t3;
    i32[context + 5] = 0x0088008a;
    i32[context + 6] = span.s0;
    i32[context + 7] = span.s1;
    i32[context + 8] = 0x0080809d;
    i32[context + 9] = span.flags;
    at += 40;
  } else if (replaced > 0) {
    // The tag up to the next word, in two bytes or four; the double is at +36 then.
    u8[at++] = (REPLACED & 0x7f) | 0x80;
    u8[at++] = REPLACED >> 7 | (isOff ? 0 : 0x80);
    if (!isOff) {
      u8[at++] = 0x80;
      u8[at++] = 0;
    }
    f64[0] = replaced;
    i32[at >> 2] = f64Words[0];
    i32[(at >> 2) + 1] = f64Words[1];
    at += 8;
  }
  let isCut: boolean;
  if (set === null) {
    shape.bind(file.dictionary);
    at = putAttributeList(file, at, ATTRIBUTES, shape, attributes, Infinity);
    if (at < 0) return DICTIONARY_FULL;
    isCut = wasCut() || listDropped > 0;
  } else {
    isCut = set.isCut;
    if (set.bytes > 0) at = putSet(i32, u8, at, set);
  }
  if (isCut) at = putCutMark(ring, at, Measurement.truncated, file, RING_MEASUREMENTS);
  return publish(file, RING_MEASUREMENTS, ring, slot, at, FIRST);
}

/** Copies the attributes of a set to `at` and returns their end. */
function putSet(i32: Int32Array, u8: Uint8Array, at: number, set: AttributeSet): number {
  const { words } = set;
  const isOff = (at & 3) !== 0;
  if (isOff) {
    // The first tag is padded up to the next word, which then has its last byte, 0.
    u8[at] = ATTRIBUTES | 0x80;
    u8[at + 1] = 0x80;
    at += 2;
  }
  const first = at >> 2;
  for (let i = 0; i < words.length; i++) i32[first + i] = words[i];
  if (isOff) u8[at] = 0;
  return at + set.bytes;
}

/** Four groups of seven bits, all but the last with a continuation bit. */
function groups(bits: number): number {
  return bits & 0x7f | (bits & 0x3f80) << 1 | (bits & 0x1fc000) << 2 | (bits & 0xfe00000) << 3 |
    0x00808080;
}

/** The varint of a negative or very large whole number in ten bytes; returns its end. */
function putLong(u8: Uint8Array, at: number, value: number): number {
  let bits = BigInt.asUintN(64, BigInt(value));
  for (let i = 0; i < 9; i++) {
    u8[at++] = Number(bits & 0x7fn) | 0x80;
    bits >>= 7n;
  }
  u8[at++] = Number(bits);
  return at;
}
