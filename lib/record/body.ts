/**
 * The body of a log record: any value at all as an AnyValue.
 *
 * Attributes refuse what OpenTelemetry has no type for; a body is all that a record says, so every
 * value gets some form here ("Mapping Arbitrary Data to OTLP AnyValue" of the specification):
 *
 * - strings, numbers, booleans, null, Uint8Array, arrays and plain objects as themselves; other byte
 *   buffers as bytes, other typed arrays and sets as arrays, maps as maps with their keys as strings;
 * - objects of a class as maps of their own enumerable properties; those without any, that have a
 *   text of their own (URL, RegExp), as that text;
 * - dates as ISO 8601, errors as `name: message`, functions and symbols as their text, bigints
 *   beyond 64 bits in decimal.
 *
 * What does not fit is cut at the last value with room. A value inside itself, one more than
 * `MAX_DEPTH` lists deep, and one whose getter or proxy throws is left empty.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import { caller } from "./slot.ts";
import {
  aim,
  endOfPut,
  enter,
  leaveAll,
  OK,
  type Place,
  putCutStringField,
  wasCut,
} from "./value.ts";

/** The value, or the next one, does not fit. */
const NO_ROOM = -1;
/** The dictionary is full: write the record to the next file. */
export const NO_KEYS = -2;

/** Tag and padded length of a list's element. */
const ITEM_BYTES = 3;
/** The same of a map's entry, its key_ref and the head of its value. */
const PAIR_BYTES = 11;
/** Longer text is left to the runtime's encoder. UTF-16 units. */
const TEXT_UNITS = 384;
/** Texts that are remembered: most messages are constants, and reading their units is what costs. */
const KNOWN_TEXTS = 64;

const f64 = new Float64Array(1);
const f64Bytes = new Uint8Array(f64.buffer);
const { toString: plainToString } = Object.prototype;

/** Where the body is being written; see the cursor of value.ts. */
const out = {
  u8: new Uint8Array(0) as Uint8Array,
  i32: new Int32Array(0) as Int32Array,
  /** First byte that may not be written. */
  limit: 0,
  dictionary: null as DictionaryWriter | null,
  cut: false,
};
const knownTexts: string[] = new Array(KNOWN_TEXTS).fill("");
/** Their UTF-8 as words, once they were written a second time. */
const knownWords: Array<Int32Array | null> = new Array(KNOWN_TEXTS).fill(null);

/** True when the last body was not written whole. */
export function bodyWasCut(): boolean {
  return out.cut;
}

/**
 * Writes `tag, length, AnyValue` at `at`, below `limit`, and returns where it ends; `NO_KEYS` when a
 * key found no room in the dictionary. Without room for even the smallest value nothing is written.
 * Aims the cursor of value.ts anew.
 */
export function putBody(
  place: Place,
  at: number,
  limit: number,
  dictionary: DictionaryWriter,
  tag: number,
  body: unknown,
): number {
  if (out.u8 !== place.u8 || out.dictionary !== dictionary) {
    out.u8 = place.u8;
    out.i32 = place.i32;
    out.dictionary = dictionary;
  }
  out.limit = limit;
  out.cut = false;
  if (typeof body === "string" && body.length > 0 && body.length <= TEXT_UNITS) {
    const end = putAscii(at, tag, body);
    if (end !== NO_ROOM) return end;
  }
  aim(place, limit, dictionary, Infinity);
  const start = at + ITEM_BYTES;
  if (start > limit) {
    out.cut = true;
    return at;
  }
  let end: number;
  caller.runs = true;
  try {
    end = putNode(start, body, 0);
  } finally {
    caller.runs = false;
    leaveAll();
  }
  if (end === NO_KEYS) return end;
  if (wasCut() || end === NO_ROOM) out.cut = true;
  if (end === NO_ROOM) return at;
  out.u8[at] = tag;
  putLength(at + 1, end - start);
  return end;
}

/**
 * The usual body: text without anything but ASCII, four units at a time. The tag is padded so that
 * the text starts on a word boundary. `NO_ROOM` for any other text, or when it might not fit.
 */
function putAscii(at: number, tag: number, text: string): number {
  const { u8, i32 } = out;
  const { length } = text;
  // Tag, length of the AnyValue, its tag and length: six bytes and what pads them.
  const start = (at + 9) & ~3;
  if (start + length + 3 > out.limit) return NO_ROOM;
  const place = (length * 31 + text.charCodeAt(0) * 7 + text.charCodeAt(length - 1)) &
    (KNOWN_TEXTS - 1);
  const first = start >> 2;
  const words = knownWords[place];
  const isKnown = knownTexts[place] === text;
  if (isKnown && words !== null) {
    for (let i = 0; i < words.length; i++) i32[first + i] = words[i];
  } else {
    if (!putUnits(start, text)) return NO_ROOM;
    knownTexts[place] = text;
    knownWords[place] = isKnown ? i32.slice(first, first + ((length + 3) >> 2)) : null;
  }
  const last = start - 6;
  for (let p = at; p < last; p++) u8[p] = p === at ? tag | 0x80 : 0x80;
  u8[last] = last === at ? tag : 0;
  putLength(last + 1, length + 3);
  u8[last + 3] = 0x0a;
  putLength(last + 4, length);
  return start + length;
}

/** Writes ASCII from a word boundary on; false for any other text. */
function putUnits(start: number, text: string): boolean {
  const { u8, i32 } = out;
  const { length } = text;
  const whole = length & ~3;
  let word = start >> 2;
  let i = 0;
  for (; i < whole; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    if ((a | b | c | d) > 0x7f) return false;
    i32[word++] = a | b << 8 | c << 16 | d << 24;
  }
  for (; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return false;
    u8[start + i] = unit;
  }
  return true;
}

/** Writes the inside of an AnyValue and returns its end, `NO_ROOM` or `NO_KEYS`. */
function putNode(at: number, value: unknown, depth: number): number {
  switch (typeof value) {
    case "string":
      return putText(at, value);
    case "number":
      return putNumber(at, value);
    case "boolean":
      if (at + 2 > out.limit) return NO_ROOM;
      out.u8[at] = 0x10;
      out.u8[at + 1] = value ? 1 : 0;
      return at + 2;
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) return putText(at, String(value));
      if (at + 11 > out.limit) return NO_ROOM;
      out.u8[at] = 0x18;
      return putVarint(
        at + 1,
        Number(BigInt.asIntN(32, value)),
        Number(BigInt.asIntN(32, value >> 32n)),
      );
    case "undefined":
      return at;
    case "object":
      if (value === null) return at;
      break;
    case "symbol":
      return putText(at, String(value));
  }
  try {
    return typeof value === "function"
      ? putText(at, String(value))
      : putObject(at, value as object, depth);
  } catch {
    // Code of the caller's: a getter, a proxy, a toString.
    out.cut = true;
    return at;
  }
}

function putObject(at: number, value: object, depth: number): number {
  if (value instanceof Uint8Array) return putBytes(at, value);
  // Its stack goes where exceptions go, not into the body.
  if (value instanceof Error) return putText(at, String(value));
  if (value instanceof Date) {
    return putText(at, Number.isNaN(value.getTime()) ? String(value) : value.toISOString());
  }
  if (ArrayBuffer.isView(value) && value instanceof DataView) {
    return putBytes(at, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
  if (value instanceof ArrayBuffer) return putBytes(at, new Uint8Array(value));
  if (!enter(value, depth)) {
    out.cut = true;
    return at;
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return putItems(at, value as ArrayLike<unknown>, depth);
  }
  // Their own iterators, since those of the caller's class may never end.
  if (value instanceof Set) return putItems(at, [...Set.prototype.values.call(value)], depth);
  if (value instanceof Map) return putEntries(at, value, depth);
  const keys = Object.keys(value);
  if (keys.length === 0) {
    const { toString } = value as { toString?: unknown };
    if (typeof toString === "function" && toString !== plainToString) {
      return putText(at, String(value));
    }
  }
  return putProperties(at, value as Record<string, unknown>, keys, depth);
}

function putItems(at: number, values: ArrayLike<unknown>, depth: number): number {
  let p = at + ITEM_BYTES;
  if (p > out.limit) return NO_ROOM;
  const { length } = values;
  for (let i = 0; i < length; i++) {
    const start = p + ITEM_BYTES;
    let end = NO_ROOM;
    if (start <= out.limit) {
      end = putItem(start, values, i, depth);
      if (end === NO_KEYS) return end;
    }
    if (end === NO_ROOM) {
      out.cut = true;
      break;
    }
    out.u8[p] = 0x0a;
    putLength(p + 1, end - start);
    p = end;
  }
  return closeList(at, 0x2a, p);
}

/** An element whose getter throws keeps its place. */
function putItem(at: number, values: ArrayLike<unknown>, i: number, depth: number): number {
  try {
    return putNode(at, values[i], depth + 1);
  } catch {
    out.cut = true;
    return at;
  }
}

function putProperties(
  at: number,
  map: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  depth: number,
): number {
  let p = at + ITEM_BYTES;
  if (p > out.limit) return NO_ROOM;
  for (const key of keys) {
    let value: unknown;
    try {
      value = map[key];
    } catch {
      out.cut = true;
      continue;
    }
    const end = putPair(p, key, value, depth);
    if (end === NO_KEYS) return end;
    if (end === NO_ROOM) {
      out.cut = true;
      break;
    }
    p = end;
  }
  return closeList(at, 0x32, p);
}

function putEntries(at: number, map: Map<unknown, unknown>, depth: number): number {
  let p = at + ITEM_BYTES;
  if (p > out.limit) return NO_ROOM;
  for (const [key, value] of Map.prototype.entries.call(map)) {
    const end = putPair(p, typeof key === "string" ? key : String(key), value, depth);
    if (end === NO_KEYS) return end;
    if (end === NO_ROOM) {
      out.cut = true;
      break;
    }
    p = end;
  }
  return closeList(at, 0x32, p);
}

/** A KeyValueRef as an entry of a map; `at` itself for a key too long to be interned. */
function putPair(at: number, key: string, value: unknown, depth: number): number {
  const start = at + PAIR_BYTES;
  if (start > out.limit) return NO_ROOM;
  const dictionary = out.dictionary!;
  const ref = dictionary.intern(key);
  if (ref === 0 && key !== "") {
    if (dictionary.full) return NO_KEYS;
    out.cut = true;
    return at;
  }
  const end = putNode(start, value, depth + 1);
  if (end < 0) return end;
  const { u8 } = out;
  u8[at] = 0x0a;
  putLength(at + 1, end - at - 3);
  u8[at + 3] = 0x08;
  u8[at + 4] = ref | 0x80;
  u8[at + 5] = (ref >>> 7) | 0x80;
  u8[at + 6] = (ref >>> 14) | 0x80;
  u8[at + 7] = ref >>> 21;
  u8[at + 8] = 0x12;
  putLength(at + 9, end - start);
  return end;
}

function closeList(at: number, tag: number, end: number): number {
  out.u8[at] = tag;
  putLength(at + 1, end - at - ITEM_BYTES);
  return end;
}

/** Cut on a code point where the room ends. */
function putText(at: number, text: string): number {
  return putCutStringField(at, 0x0a, text) === OK ? endOfPut() : NO_ROOM;
}

function putBytes(at: number, bytes: Uint8Array): number {
  const start = at + ITEM_BYTES;
  if (start > out.limit) return NO_ROOM;
  let { length } = bytes;
  if (start + length > out.limit) {
    out.cut = true;
    length = out.limit - start;
  }
  out.u8.set(length === bytes.length ? bytes : bytes.subarray(0, length), start);
  return closeList(at, 0x3a, start + length);
}

/** int_value for what is a safe integer, double_value for the rest, as attributes have it. */
function putNumber(at: number, value: number): number {
  if (at + 11 > out.limit) return NO_ROOM;
  const { u8 } = out;
  if (Number.isSafeInteger(value)) {
    u8[at] = 0x18;
    return putVarint(at + 1, value | 0, Math.floor(value / 2 ** 32) | 0);
  }
  u8[at] = 0x21;
  f64[0] = value;
  for (let i = 0; i < 8; i++) u8[at + 1 + i] = f64Bytes[i];
  return at + 9;
}

/** The varint of 64 bits; returns its end. */
function putVarint(at: number, low: number, high: number): number {
  const { u8 } = out;
  while (high !== 0 || low >>> 0 > 0x7f) {
    u8[at++] = (low & 0x7f) | 0x80;
    low = (low >>> 7) | (high << 25);
    high >>>= 7;
  }
  u8[at++] = low;
  return at;
}

/** A length below 16,384 in two bytes, whatever it is. */
function putLength(at: number, length: number): void {
  out.u8[at] = (length & 0x7f) | 0x80;
  out.u8[at + 1] = length >> 7;
}
