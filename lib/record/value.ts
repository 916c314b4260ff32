/**
 * Values as bytes: the cursor over the reserved place, and everything that is not hot.
 *
 * The cursor is state of this module: closures and objects around it cost as much as the writing
 * itself. One record is written at a time (encode.ts sees to it).
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import type { Shape } from "./shape.ts";

/** What came of writing a value. */
export const OK = 0;
/** It does not fit in the rest of the slot. */
export const NO_ROOM = 1;
/** Not a value that OpenTelemetry knows (function, symbol, class instance). */
export const INVALID = 2;
/** A key could not be interned: the dictionary is full. */
export const NO_KEY = 3;
/** `undefined`: nothing to write. */
export const ABSENT = 4;

/** A text that was another one this many times in a row is not remembered any more. */
const MAX_CHANGES = 32;
/** Arrays and maps inside this many others are left empty, and so is one inside itself. */
export const MAX_DEPTH = 16;

const encoder = new TextEncoder();
const f64 = new Float64Array(1);
const f64Bytes = new Uint8Array(f64.buffer);
const f64Words = new Int32Array(f64.buffer);

/** The cursor. Fields of one object: engines store to them faster than to variables of a module. */
const cursor = {
  u8: new Uint8Array(0) as Uint8Array,
  i32: new Int32Array(0) as Int32Array,
  /** First byte that may not be written. */
  limit: 0,
  /** Values are cut to fit. */
  cut: false,
  dictionary: null as DictionaryWriter | null,
  /** Longest string or byte value. */
  maxLength: Infinity,
  /** Where the last put ended. */
  pos: 0,
  wasCut: false,
};

/** The arrays and maps around the value that is being written. */
const around: unknown[] = new Array(MAX_DEPTH).fill(null);

/** Notes an array or map that is inside `depth` others; false when it is to be left empty. */
export function enter(value: object, depth: number): boolean {
  if (depth === MAX_DEPTH) return false;
  for (let i = 0; i < depth; i++) {
    if (around[i] === value) return false;
  }
  around[depth] = value;
  return true;
}

/** Lets go of what was entered: it is the caller's. */
export function leaveAll(): void {
  around.fill(null);
}

/** True when a value was cut to fit since `aim`. */
export function wasCut(): boolean {
  return cursor.wasCut;
}

/** Marks the record in the making as cut. */
export function noteCut(): void {
  cursor.wasCut = true;
}

/** Where records are put: bytes, and the same memory as 32-bit words. */
export interface Place {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
}

/**
 * Points the cursor's bounds at a place: `end` is the first byte that may not be written, `units`
 * the longest string or byte value, in UTF-16 units or bytes.
 */
export function aim(place: Place, end: number, keys: DictionaryWriter, units: number): void {
  // Storing a pointer costs more than comparing it: engines note where old objects point to.
  if (cursor.u8 !== place.u8 || cursor.dictionary !== keys) {
    cursor.u8 = place.u8;
    cursor.i32 = place.i32;
    cursor.dictionary = keys;
  }
  cursor.limit = end;
  cursor.maxLength = units;
  cursor.wasCut = false;
}

/** Another longest string or byte value, in UTF-16 units or bytes, for the record in the making. */
export function limitLength(units: number): void {
  cursor.maxLength = units;
}

/** Runs `body`, which aims elsewhere, and gives the cursor back to a record that is being made. */
export function aside<T>(body: () => T): T {
  const before = { ...cursor };
  try {
    return body();
  } finally {
    Object.assign(cursor, before);
  }
}

/** Where the last successful put ended. */
export function endOfPut(): number {
  return cursor.pos;
}

/**
 * Writes `tag, length, KeyValueRef { key_ref, value }` at `at`. With `cutToFit` a string, byte array
 * or array is cut to what fits. `position` is the key's in `shape`, -1 for none. Returns OK and moves `endOfPut()`, or says why not.
 *
 * The usual values are written as 32-bit words: the tag is padded so that its last byte falls on a
 * word boundary, and lengths and tags inside so that text and numbers do, too.
 *
 * ```
 * word 0  tag (its last byte), length, 08, key_ref
 * word 1  key_ref, key_ref, key_ref, 12
 * word 2  length of the AnyValue, its tag, and what pads it
 * word 3  text or double
 * ```
 */
export function putKeyValue(
  at: number,
  tag: number,
  keyRef: number,
  value: unknown,
  cutToFit: boolean,
  shape: Shape,
  position: number,
): number {
  const type = typeof value;
  const units = type === "string" ? (value as string).length : 0;
  // Up to 38 units even 3 bytes a unit leave every length below in one byte.
  if (
    (type !== "string" && type !== "number" && type !== "boolean") || units > 38 ||
    units > cursor.maxLength || at + 24 + units * 3 > cursor.limit
  ) {
    return value === undefined ? ABSENT : putLongKeyValue(at, tag, keyRef, value, cutToFit);
  }
  const i32 = cursor.i32;
  const aligned = (at & 3) === 0;
  const base = aligned ? at : putTagBefore(at, tag);
  const word = base >> 2;
  // Bytes behind the length byte.
  let length = 10;
  if (type === "string") {
    const start = base + 12;
    let bytes: number;
    if (position < 0 || shape.changes[position] === MAX_CHANGES) {
      bytes = putText(start, value as string) - start;
    } else if (shape.texts[position] === value) {
      bytes = putTextAgain(start, value as string, shape, position);
      shape.changes[position] = 0;
    } else {
      bytes = putText(start, value as string) - start;
      shape.texts[position] = value as string;
      shape.textWords[position] = null;
      shape.changes[position]++;
    }
    i32[word + 2] = (bytes + 3) | 0x0a00 | (bytes & 0x7f | 0x80) << 16;
    length += bytes;
  } else if (type === "boolean") {
    // bool_value: its tag 10 in two bytes.
    i32[word + 2] = 0x009003 | (value === true ? 0x01000000 : 0);
  } else {
    const number = value as number;
    if ((number | 0) === number && number >= 0 && number < 0x4000) {
      // int_value in two bytes.
      i32[word + 2] = 0x1803 | (number & 0x7f | 0x80) << 16 | (number >> 7) << 24;
    } else if ((number | 0) === number && number >= 0) {
      // int_value in six bytes.
      i32[word + 2] = 0x1807 | (number & 0x7f | 0x80) << 16 | (number >>> 7 | 0x80) << 24;
      i32[word + 3] = (number >>> 14) & 0x7f | 0x80 | (number >>> 13) & 0x7f00 | 0x8000 |
        (number >>> 12) & 0x7f0000 | 0x800000;
      length = 14;
    } else if (Number.isSafeInteger(number)) {
      cursor.u8[base + 9] = 0x18;
      length = putInteger(base + 10, number) - base - 2;
      cursor.u8[base + 8] = length - 7;
    } else {
      // double_value: its tag 21 in three bytes.
      i32[word + 2] = 0x0080a10b;
      f64[0] = number;
      i32[word + 3] = f64Words[0];
      i32[word + 4] = f64Words[1];
      length = 18;
    }
  }
  i32[word] = (aligned ? tag : 0) | length << 8 | 0x080000 | (keyRef | 0x80) << 24;
  i32[word + 1] = (keyRef >>> 7) & 0x7f | 0x80 | (keyRef >>> 6) & 0x7f00 | 0x8000 |
    (keyRef >>> 5) & 0x7f0000 | 0x12000000;
  cursor.pos = base + 2 + length;
  return OK;
}

/** Pads a tag so that its last byte, 0, starts the next word; returns where that is. */
function putTagBefore(at: number, tag: number): number {
  const { u8 } = cursor;
  const base = (at + 3) & ~3;
  u8[at] = tag | 0x80;
  for (let i = at + 1; i < base; i++) u8[i] = 0x80;
  return base;
}

/** Writes the text that was written at this position before, as words; returns its bytes. */
function putTextAgain(start: number, text: string, shape: Shape, position: number): number {
  const { i32 } = cursor;
  const first = start >> 2;
  const words = shape.textWords[position];
  if (words === null) {
    const bytes = putText(start, text) - start;
    shape.textWords[position] = i32.slice(first, first + ((bytes + 3) >> 2));
    shape.textBytes[position] = bytes;
    return bytes;
  }
  for (let i = 0; i < words.length; i++) i32[first + i] = words[i];
  return shape.textBytes[position];
}

/** Writes text from a word boundary on, four units at a time; returns its end. Room is checked. */
function putText(start: number, text: string): number {
  const { u8, i32 } = cursor;
  const length = text.length;
  const whole = length & ~3;
  let p = start;
  let i = 0;
  for (; i < whole; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    if ((a | b | c | d) > 0x7f) return putWide(text, i, p);
    i32[p >> 2] = a | b << 8 | c << 16 | d << 24;
    p += 4;
  }
  for (; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return putWide(text, i, p);
    u8[p++] = unit;
  }
  return p;
}

/** The same with two-byte lengths and any value. */
function putLongKeyValue(
  at: number,
  tag: number,
  keyRef: number,
  value: unknown,
  cutToFit: boolean,
): number {
  const { u8 } = cursor;
  cursor.cut = cutToFit;
  const start = at + 11;
  if (start > cursor.limit) return NO_ROOM;
  let result: number;
  try {
    result = putAny(start, value, 0);
  } catch {
    // A getter or proxy of the caller's threw.
    result = INVALID;
  }
  if (typeof value === "object") leaveAll();
  if (result !== OK) return result;
  u8[at] = tag;
  putPadded2(at + 1, cursor.pos - at - 3);
  u8[at + 3] = 0x08;
  u8[at + 4] = keyRef | 0x80;
  u8[at + 5] = (keyRef >>> 7) | 0x80;
  u8[at + 6] = (keyRef >>> 14) | 0x80;
  u8[at + 7] = keyRef >>> 21;
  u8[at + 8] = 0x12;
  putPadded2(at + 9, cursor.pos - start);
  return OK;
}

/** Writes the inside of an AnyValue. */
function putAny(at: number, value: unknown, depth: number): number {
  const { u8 } = cursor;
  switch (typeof value) {
    case "string":
      return putStringField(at, 0x0a, cutUnits(value, cursor.maxLength));
    case "number":
      if (at + 11 > cursor.limit) return NO_ROOM;
      cursor.pos = putNumber(at, value);
      return OK;
    case "boolean":
      if (at + 2 > cursor.limit) return NO_ROOM;
      u8[at] = 0x10;
      u8[at + 1] = value ? 1 : 0;
      cursor.pos = at + 2;
      return OK;
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) return INVALID;
      if (at + 11 > cursor.limit) return NO_ROOM;
      u8[at] = 0x18;
      cursor.pos = putVarint64(at + 1, value);
      return OK;
    case "object":
      break;
    default:
      return INVALID;
  }
  if (value === null) {
    cursor.pos = at;
    return OK;
  }
  if (value instanceof Uint8Array) return putBytesField(at, 0x3a, value);
  if (!enter(value, depth)) {
    cursor.wasCut = true;
    cursor.pos = at;
    return OK;
  }
  if (Array.isArray(value)) return putArray(at, value, depth);
  const constructor = (value as { constructor?: unknown }).constructor;
  if (constructor !== Object && constructor !== undefined) return INVALID;
  return putMap(at, value as Record<string, unknown>, depth);
}

function putArray(at: number, values: readonly unknown[], depth: number): number {
  const { u8 } = cursor;
  if (at + 3 > cursor.limit) return NO_ROOM;
  let p = at + 3;
  for (let i = 0; i < values.length; i++) {
    if (p + 3 > cursor.limit) {
      if (!cursor.cut) return NO_ROOM;
      cursor.wasCut = true;
      break;
    }
    // An absent element keeps its place as an empty value, as the specification asks of null.
    const result = putAny(p + 3, values[i] ?? null, depth + 1);
    if (result === NO_ROOM && cursor.cut) {
      cursor.wasCut = true;
      break;
    }
    if (result !== OK) return result;
    u8[p] = 0x0a;
    putPadded2(p + 1, cursor.pos - p - 3);
    p = cursor.pos;
  }
  u8[at] = 0x2a;
  putPadded2(at + 1, p - at - 3);
  cursor.pos = p;
  return OK;
}

function putMap(at: number, map: Record<string, unknown>, depth: number): number {
  const { u8 } = cursor;
  if (at + 3 > cursor.limit) return NO_ROOM;
  let p = at + 3;
  for (const key of Object.keys(map)) {
    const value = map[key];
    if (value === undefined) continue;
    const start = p + 11;
    let result: number = NO_ROOM;
    if (start <= cursor.limit) {
      const ref = cursor.dictionary!.intern(key);
      if (ref === 0) {
        if (cursor.dictionary!.full) return NO_KEY;
        continue;
      }
      result = putAny(start, value, depth + 1);
      if (result === OK) {
        u8[p] = 0x0a;
        putPadded2(p + 1, cursor.pos - p - 3);
        u8[p + 3] = 0x08;
        u8[p + 4] = ref | 0x80;
        u8[p + 5] = (ref >>> 7) | 0x80;
        u8[p + 6] = (ref >>> 14) | 0x80;
        u8[p + 7] = ref >>> 21;
        u8[p + 8] = 0x12;
        putPadded2(p + 9, cursor.pos - start);
        p = cursor.pos;
        continue;
      }
    }
    if (result === NO_ROOM && cursor.cut) {
      cursor.wasCut = true;
      break;
    }
    return result;
  }
  u8[at] = 0x32;
  putPadded2(at + 1, p - at - 3);
  cursor.pos = p;
  return OK;
}

/** Writes `tag, two-byte length, UTF-8`. */
export function putStringField(at: number, tag: number, text: string): number {
  const { u8 } = cursor;
  const start = at + 3;
  if (start > cursor.limit) return NO_ROOM;
  const length = text.length;
  let end: number;
  if (length <= 24 && start + length * 3 <= cursor.limit) {
    end = putWide(text, 0, start);
  } else {
    // Stops on a code point when the room ends.
    const { read, written } = encoder.encodeInto(text, u8.subarray(start, cursor.limit));
    if (read < length) {
      if (!cursor.cut) return NO_ROOM;
      cursor.wasCut = true;
    }
    end = start + written;
  }
  u8[at] = tag;
  putPadded2(at + 1, end - start);
  cursor.pos = end;
  return OK;
}

/** The same, cut to what fits. */
export function putCutStringField(at: number, tag: number, text: string): number {
  cursor.cut = true;
  return putStringField(at, tag, text);
}

/** Writes `tag, two-byte length, bytes`. */
function putBytesField(at: number, tag: number, bytes: Uint8Array): number {
  const { u8 } = cursor;
  const start = at + 3;
  if (start > cursor.limit) return NO_ROOM;
  let length = Math.min(bytes.length, cursor.maxLength);
  if (start + length > cursor.limit) {
    if (!cursor.cut) return NO_ROOM;
    cursor.wasCut = true;
    length = cursor.limit - start;
  }
  for (let i = 0; i < length; i++) u8[start + i] = bytes[i];
  u8[at] = tag;
  putPadded2(at + 1, length);
  cursor.pos = start + length;
  return OK;
}

/** The first `units` UTF-16 units, one less where that would part a surrogate pair. */
function cutUnits(text: string, units: number): string {
  if (text.length <= units) return text;
  const last = text.charCodeAt(units - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? units - 1 : units);
}

/** Writes the UTF-8 of `text` from unit `i` on; a lone surrogate becomes U+FFFD. Room is checked. */
function putWide(text: string, i: number, at: number): number {
  const { u8 } = cursor;
  let p = at;
  for (; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      u8[p++] = code;
      continue;
    }
    if (code < 0x800) {
      u8[p++] = 0xc0 | (code >> 6);
      u8[p++] = 0x80 | (code & 0x3f);
      continue;
    }
    if (code >= 0xd800 && code < 0xe000) {
      const low = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i++;
        u8[p++] = 0xf0 | (code >> 18);
        u8[p++] = 0x80 | ((code >> 12) & 0x3f);
        u8[p++] = 0x80 | ((code >> 6) & 0x3f);
        u8[p++] = 0x80 | (code & 0x3f);
        continue;
      }
      code = 0xfffd;
    }
    u8[p++] = 0xe0 | (code >> 12);
    u8[p++] = 0x80 | ((code >> 6) & 0x3f);
    u8[p++] = 0x80 | (code & 0x3f);
  }
  return p;
}

/** Writes an int_value or double_value field (at most 11 bytes) and returns its end. */
function putNumber(at: number, value: number): number {
  const { u8 } = cursor;
  if (Number.isSafeInteger(value)) {
    u8[at] = 0x18;
    return putInteger(at + 1, value);
  }
  u8[at] = 0x21;
  f64[0] = value;
  for (let i = 0; i < 8; i++) u8[at + 1 + i] = f64Bytes[i];
  return at + 9;
}

/** Varint of any safe integer, negative ones in ten bytes; returns its end. */
function putInteger(at: number, value: number): number {
  const { u8 } = cursor;
  let p = at;
  if (value < 0) {
    if (value < -0x80000000) return putVarint64(at, BigInt(value));
    // Sign-extended to 64 bits: four groups of the low word, the rest ones.
    for (let i = 0; i < 4; i++) {
      u8[p++] = value | 0x80;
      value >>= 7;
    }
    u8[p++] = value | 0xf0;
    for (let i = 0; i < 4; i++) u8[p++] = 0xff;
    u8[p++] = 1;
    return p;
  }
  for (; value > 0x7fffffff; value = Math.floor(value / 128)) u8[p++] = (value % 128) | 0x80;
  for (; value > 0x7f; value >>>= 7) u8[p++] = value | 0x80;
  u8[p++] = value;
  return p;
}

function putVarint64(at: number, value: bigint): number {
  const { u8 } = cursor;
  let p = at;
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    u8[p++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  u8[p++] = Number(rest);
  return p;
}

/** A length below 16,384 in two bytes, whatever it is. */
export function putPadded2(at: number, length: number): void {
  const { u8 } = cursor;
  u8[at] = (length & 0x7f) | 0x80;
  u8[at + 1] = length >> 7;
}
