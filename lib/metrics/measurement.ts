/**
 * Records of the measurements ring, taken apart without allocation.
 *
 * Those that our writers lay out (lib/record/measurement.ts) are read as 32-bit words, all others
 * field by field.
 *
 * @module
 */
import {
  BYTES,
  FIXED32,
  FIXED64,
  Measurement,
  SpanContext,
  tag,
  VARINT,
} from "../format/fields.ts";
import { type Bytes, copyBytes, createBytes } from "../record/bytes.ts";
import { isZero, SPAN_ID_BYTES, TRACE_ID_BYTES } from "../record/decode.ts";
import {
  BAD_ID,
  cursor,
  MALFORMED,
  readLength,
  readTag,
  readVarint,
  Rejection,
  skipField,
} from "../record/wire.ts";
import type { RecordCopy } from "../ring/read.ts";

const NO_VALUE = new Rejection("a measurement without a value");
const NO_METRIC = new Rejection("a measurement without a metric");

/** The record that was read last. */
export const measurement = {
  metricRef: 0,
  /** ns since the epoch, low and high 32 bits; both 0 where it has no time. */
  timeLow: 0,
  timeHigh: 0,
  /** Whether the value is an integer, in `low` and `high`; `value` is set for both. */
  isInt: false,
  low: 0,
  high: 0,
  value: 0,
  /** The record has a span_context, whatever is in it. */
  hasContext: false,
  /** Start of the ids of a valid span in the record; -1 for none. */
  traceIdAt: -1,
  spanIdAt: -1,
  flags: 0,
  /** What a counter that began anew said before; 0 for all others. */
  replaced: 0,
  /**
   * The attributes as they came, each with its tag, from `start` to `end` of `attributes`; `start` is
   * a multiple of 4.
   */
  attributes: createBytes(0),
  start: 0,
  end: 0,
};

const M = {
  metricRef: tag(Measurement.metricRef, VARINT),
  attributes: tag(Measurement.attributes, BYTES),
  time: tag(Measurement.time, FIXED64),
  asLong: tag(Measurement.asLong, VARINT),
  asDouble: tag(Measurement.asDouble, FIXED64),
  spanContext: tag(Measurement.spanContext, BYTES),
  replaced: tag(Measurement.replacedTotal, FIXED64),
} as const;

const f64 = new Float64Array(1);
const f64Words = new Int32Array(f64.buffer);
const TWO_TO_32 = 2 ** 32;

// What the heads of our records have in common (lib/record/measurement.ts).
const HEAD_METRIC = 0x0088;
const HEAD_TIME = 0x00808099;
const HEAD_DOUBLE = 0x008080a9;
const HEAD_LONG = 0x008080a0;
const HEAD_CONTEXT = 0x00a800b2;
const HEAD_TRACE = 0x00900092;
const HEAD_SPAN = 0x0088008a;
const HEAD_FLAGS = 0x0080809d;
const CONTINUED = 0x80808080 | 0;
/** Where the attributes begin, without a span's context and with it. */
const PLAIN_HEAD_BYTES = 32;
const CONTEXT_HEAD_BYTES = 76;
const LAST = 0x00808080;

/** Reads a record into `measurement`. Throws a Rejection for one that can't be read. */
export function readMeasurement(copy: RecordCopy): void {
  if (!readHead(copy)) readFields(copy);
}

function readHead(copy: RecordCopy): boolean {
  const { i32, end } = copy;
  if (
    copy.start !== 2 || end < PLAIN_HEAD_BYTES || (i32[0] >>> 16) !== HEAD_METRIC ||
    i32[2] !== HEAD_TIME ||
    (i32[1] & CONTINUED) !== LAST
  ) return false;
  const isDouble = i32[5] === HEAD_DOUBLE;
  if (!isDouble) {
    if (
      i32[5] !== HEAD_LONG || (i32[6] & CONTINUED) !== CONTINUED || (i32[7] & CONTINUED) !== LAST
    ) return false;
  }
  let at = PLAIN_HEAD_BYTES;
  const m = measurement;
  if (end >= CONTEXT_HEAD_BYTES && i32[8] === HEAD_CONTEXT) {
    if (i32[9] !== HEAD_TRACE || i32[14] !== HEAD_SPAN || i32[17] !== HEAD_FLAGS) return false;
    const isValid = (i32[10] | i32[11] | i32[12] | i32[13]) !== 0 && (i32[15] | i32[16]) !== 0;
    m.hasContext = true;
    m.traceIdAt = isValid ? 40 : -1;
    m.spanIdAt = isValid ? 60 : -1;
    m.flags = i32[18];
    at = CONTEXT_HEAD_BYTES;
  } else {
    m.hasContext = false;
    m.traceIdAt = -1;
    m.spanIdAt = -1;
  }
  // Only attributes may follow (and the mark of a cut record, which is none of them).
  if (at < end && copy.u8[at] !== M.attributes) return false;
  m.replaced = 0;
  m.metricRef = groups(i32[1]);
  m.timeLow = i32[3];
  m.timeHigh = i32[4];
  if (isDouble) {
    m.isInt = false;
    f64Words[0] = i32[6];
    f64Words[1] = i32[7];
    m.value = f64[0];
  } else {
    // 28 bits and 28 more.
    const bits = groups(i32[6]);
    const more = groups(i32[7]);
    m.isInt = true;
    m.low = bits | more << 28;
    m.high = more >>> 4;
    m.value = more * 2 ** 28 + bits;
  }
  m.attributes = copy;
  m.start = at;
  m.end = end;
  return true;
}

/** What `glance` found: the metric, and the attributes by their first word and their bytes. */
export const glanced = { metricRef: 0, first: 0, length: 0 };

/**
 * A look at the record in a slot of so many words, from the word `slot` on: false unless our writers
 * seem to have laid it out. Nothing of it may be relied on, but that the attributes are in the slot.
 */
export function glance(words: Int32Array, slot: number, slotWords: number): boolean {
  const head = words[slot];
  const end = 2 + (head & 0x7f | (head & 0x7f00) >>> 1);
  if ((head >>> 16) !== HEAD_METRIC || end < PLAIN_HEAD_BYTES || end > 4 * slotWords) return false;
  const start = end >= CONTEXT_HEAD_BYTES && words[slot + 8] === HEAD_CONTEXT
    ? CONTEXT_HEAD_BYTES
    : PLAIN_HEAD_BYTES;
  glanced.metricRef = groups(words[slot + 1]);
  glanced.first = slot + start / 4;
  glanced.length = end - start;
  return true;
}

/** 28 bits out of four groups of seven. */
function groups(word: number): number {
  return word & 0x7f | (word >>> 1) & 0x3f80 | (word >>> 2) & 0x1fc000 | (word >>> 3) & 0xfe00000;
}

let gathered = createBytes(1024);

/** Reads any record; its attributes are gathered behind one another. */
function readFields(copy: RecordCopy): void {
  const { u8, view } = copy;
  const m = measurement;
  m.metricRef = 0;
  m.timeLow = 0;
  m.timeHigh = 0;
  m.hasContext = false;
  m.traceIdAt = -1;
  m.spanIdAt = -1;
  m.flags = 0;
  m.replaced = 0;
  let hasValue = false;
  let to = 0;
  if (gathered.u8.length < u8.length) gathered = createBytes(u8.length);
  for (let at = copy.start; at < copy.end;) {
    const field = at;
    const t = readTag(u8, at, copy.end);
    at = cursor.at;
    const stop = skipField(u8, at, copy.end, t);
    switch (t) {
      case M.metricRef:
        m.metricRef = readVarint(u8, at, copy.end);
        break;
      case M.time:
        m.timeLow = view.getInt32(at, true);
        m.timeHigh = view.getInt32(at + 4, true);
        break;
      case M.asDouble:
        m.isInt = false;
        m.value = view.getFloat64(at, true);
        hasValue = true;
        break;
      case M.asLong:
        readLong(u8, at, stop);
        hasValue = true;
        break;
      case M.spanContext:
        readLength(u8, at, copy.end);
        m.hasContext = true;
        readContext(copy, cursor.at, stop);
        break;
      case M.replaced: {
        const total = view.getFloat64(at, true);
        m.replaced = total > 0 && total < Infinity ? total : 0;
        break;
      }
      case M.attributes:
        copyBytes(copy, field, stop - field, gathered, to);
        to += stop - field;
        break;
    }
    at = stop;
  }
  if (m.metricRef === 0) throw NO_METRIC;
  if (!hasValue) throw NO_VALUE;
  m.attributes = gathered;
  m.start = 0;
  m.end = to;
}

/** A varint of 64 bits. */
function readLong(u8: Uint8Array, at: number, end: number): void {
  let low = 0;
  let high = 0;
  for (let shift = 0; at < end; shift += 7) {
    const bits = u8[at++] & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high = bits >>> 4;
    } else if (shift < 64) high |= bits << (shift - 32);
  }
  measurement.isInt = true;
  measurement.low = low;
  measurement.high = high;
  measurement.value = high * TWO_TO_32 + (low >>> 0);
}

const C = {
  spanId: tag(SpanContext.spanId, BYTES),
  traceId: tag(SpanContext.traceId, BYTES),
  flags: tag(SpanContext.flags, FIXED32),
} as const;

function readContext(copy: Bytes, start: number, end: number): void {
  const { u8, view } = copy;
  let traceId = -1;
  let spanId = -1;
  for (let at = start; at < end;) {
    const t = readTag(u8, at, end);
    at = cursor.at;
    const stop = skipField(u8, at, end, t);
    if (t === C.flags) measurement.flags = view.getInt32(at, true);
    if (t === C.traceId || t === C.spanId) {
      readLength(u8, at, end);
      const length = stop - cursor.at;
      const expected = t === C.traceId ? TRACE_ID_BYTES : SPAN_ID_BYTES;
      if (length !== 0 && length !== expected) throw BAD_ID;
      const found = length === 0 || isZero(u8, cursor.at, stop) ? -1 : cursor.at;
      if (t === C.traceId) traceId = found;
      else spanId = found;
    }
    at = stop;
  }
  const isValid = traceId >= 0 && spanId >= 0;
  measurement.traceIdAt = isValid ? traceId : -1;
  measurement.spanIdAt = isValid ? spanId : -1;
}

/** Goes through the attributes of `measurement`: calls `visit` with start and end of each content. */
export function eachAttribute(visit: (start: number, end: number) => void): void {
  const { attributes: { u8 }, start, end } = measurement;
  for (let at = start; at < end;) {
    const t = readTag(u8, at, end);
    at = cursor.at;
    const stop = skipField(u8, at, end, t);
    if (t === M.attributes) {
      readLength(u8, at, end);
      visit(cursor.at, stop);
    } else if (t < 8) throw MALFORMED;
    at = stop;
  }
}
