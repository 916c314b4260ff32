/**
 * Attributes and values of records as OTLP bytes. Scalar values are the same bytes on both sides, so
 * most attributes are two copies: the key, encoded once per ref, and the value as it came.
 *
 * Where to write and whose dictionary to use is state of this module: set it with `aim`, then put.
 * Every put takes a position and returns the one behind what it wrote.
 *
 * @module
 */
import type { DictionaryReader } from "../dictionary/read.ts";
import { RefTable } from "../dictionary/refs.ts";
import { AnyValue, BYTES, FIXED64, KeyValueRef, tag, VARINT } from "../format/fields.ts";
import { type Bytes, copyAscii, copyBytes, createBytes } from "../record/bytes.ts";
import { repairUtf8 } from "../record/utf8.ts";
import {
  cursor,
  MAX_TAG_BYTES,
  putVarint,
  readLength,
  readTag,
  readVarint,
  skipField,
  TOO_DEEP,
  TOO_LARGE,
  varintBytes,
} from "../record/wire.ts";

/** Arrays, maps and refs inside each other are followed this far. */
export const MAX_DEPTH = 32;

const KEY_REF = tag(KeyValueRef.keyRef, VARINT);
const VALUE = tag(KeyValueRef.value, BYTES);
const STRING = tag(AnyValue.string, BYTES);
const BOOL = tag(AnyValue.bool, VARINT);
const INT = tag(AnyValue.int, VARINT);
const DOUBLE = tag(AnyValue.double, FIXED64);
const ARRAY = tag(AnyValue.array, BYTES);
const KVLIST = tag(AnyValue.kvlist, BYTES);
const RAW = tag(AnyValue.bytes, BYTES);
const VALUE_REF = tag(AnyValue.valueRef, VARINT);
/** `values` of both ArrayValue and KeyValueList, in records and in OTLP. */
const VALUES = tag(1, BYTES);

let out: Bytes = createBytes(0);
let limit = 0;
let dictionary: DictionaryReader;
let values: ValueCache;

/** One bit for each key put since `expectKeys`, by the hash of its text. */
export let seenKeys = 0;
/** True when a key put since then may have been there before. */
export let repeatedKeys = false;

/** Values by ref, as OTLP, of one dictionary. */
export class ValueCache {
  /** Indexes in the dictionary's `items`. */
  readonly refs: RefTable = new RefTable();
  /** The dictionary's epoch they belong to. */
  epoch = 0;
}

/** Says where puts go: `end` is the first byte that may not be written, with slack behind it. */
export function aim(to: Bytes, end: number, keys: DictionaryReader, cache: ValueCache): void {
  out = to;
  limit = end;
  dictionary = keys;
  values = cache;
}

/** Starts a new set of keys that must be unique; `seen` are the ones there are already. */
export function expectKeys(seen: number): void {
  seenKeys = seen;
  repeatedKeys = false;
}

/**
 * Puts the KeyValueRef in `from[at..end)` as a field KeyValue with this one-byte tag.
 */
export function putKeyValue(
  from: Bytes,
  at: number,
  end: number,
  fieldTag: number,
  to: number,
): number {
  const bytes = from.u8;
  if (bytes[at] !== KEY_REF) return putAnyKeyValue(from, at, end, fieldTag, to, 0);
  // As all writers write it: key_ref in up to four bytes, then a value that is no list.
  let p = at + 1;
  let ref = bytes[p++];
  if (ref > 0x7f) {
    let byte = bytes[p++];
    ref = ref & 0x7f | (byte & 0x7f) << 7;
    if (byte > 0x7f) {
      byte = bytes[p++];
      ref |= (byte & 0x7f) << 14;
      if (byte > 0x7f) {
        byte = bytes[p++];
        ref |= byte << 21;
        if (byte > 0x7f) return putAnyKeyValue(from, at, end, fieldTag, to, 0);
      }
    }
  }
  let length = bytes[p + 1];
  let value = p + 2;
  if (length > 0x7f) {
    length = length & 0x7f | bytes[value] << 7;
    value++;
  }
  if (bytes[p] !== VALUE || value + length !== end) {
    return putAnyKeyValue(from, at, end, fieldTag, to, 0);
  }
  if (length > 1 && bytes[value] === STRING) {
    let textLength = bytes[value + 1];
    let text = value + 2;
    if (textLength > 0x7f) {
      textLength = textLength & 0x7f | bytes[text] << 7;
      text++;
    }
    if (text + textLength !== end) return putAnyKeyValue(from, at, end, fieldTag, to, 0);
    const inner = 1 + varintBytes(textLength) + textLength;
    to = putKey(ref, 1 + varintBytes(inner) + inner, fieldTag, to);
    return putStringField(from, text, textLength, VALUE, to);
  }
  const content = length > 0x7f ? -1 : plainContent(bytes, value, end);
  if (content < 0) return putAnyKeyValue(from, at, end, fieldTag, to, 0);
  const rest = end - content;
  to = putKey(ref, 3 + rest, fieldTag, to);
  const u8 = out.u8;
  u8[to] = VALUE;
  u8[to + 1] = 1 + rest;
  u8[to + 2] = bytes[value] & 0x7f;
  copyBytes(from, content, rest, out, to + 3);
  return to + 3 + rest;
}

/** Puts a field whose inside is an AnyValue, a string; all lengths in their shortest form. */
function putStringField(
  from: Bytes,
  text: number,
  length: number,
  fieldTag: number,
  to: number,
): number {
  const u8 = out.u8;
  u8[to++] = fieldTag;
  to = putVarint(u8, to, 1 + varintBytes(length) + length);
  u8[to++] = STRING;
  to = putVarint(u8, to, length);
  if (!copyAscii(from, text, length, out, to)) repairUtf8(u8, to, to + length);
  return to + length;
}

/** Puts tag and length of a field KeyValue and its key, which `rest` bytes will follow. */
function putKey(ref: number, rest: number, fieldTag: number, to: number): number {
  const index = 3 * dictionary.key(ref);
  const { items } = dictionary;
  const keyLength = items[index + 1];
  const total = keyLength + rest;
  if (to + total + 8 > limit) throw TOO_LARGE;
  const bit = 1 << (items[index + 2] & 31);
  if ((seenKeys & bit) !== 0) repeatedKeys = true;
  seenKeys |= bit;
  out.u8[to++] = fieldTag;
  to = putVarint(out.u8, to, total);
  copyBytes(dictionary.pool, items[index], keyLength, out, to);
  return to + keyLength;
}

/**
 * Where the content of the AnyValue inside `bytes[at..end)` begins, behind its tag, which may be
 * padded; -1 for anything but one scalar (no string) that can be copied as it is.
 */
function plainContent(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return -1;
  const kind = bytes[at++];
  if (kind > 0x7f) {
    const padding = Math.min(at + MAX_TAG_BYTES - 2, end - 1);
    while (at < padding && bytes[at] === 0x80) at++;
    if (at >= end || bytes[at++] !== 0) return -1;
  }
  const length = end - at;
  switch (kind & 0x7f) {
    case BOOL:
      return length === 1 && bytes[at] <= 1 ? at : -1;
    case INT: {
      if (length < 1 || length > 10 || bytes[end - 1] > 0x7f) return -1;
      for (let i = at; i < end - 1; i++) if (bytes[i] < 0x80) return -1;
      return at;
    }
    case DOUBLE:
      return length === 8 ? at : -1;
    case RAW:
      return length > 0 && bytes[at] === length - 1 ? at : -1;
    default:
      return -1;
  }
}

/** The same for any KeyValueRef. */
function putAnyKeyValue(
  from: Bytes,
  start: number,
  end: number,
  fieldTag: number,
  to: number,
  depth: number,
): number {
  const bytes = from.u8;
  let ref = 0;
  let valueStart = -1;
  let valueEnd = -1;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === KEY_REF) {
      ref = readVarint(bytes, at, end);
    } else if (t === VALUE) {
      readLength(bytes, at, end);
      valueStart = cursor.at;
      valueEnd = stop;
    }
    at = stop;
  }
  // Before the value, which may need the dictionary too: only its size is taken here.
  // In two steps: looking a key up may put a larger array into `items`.
  const known = dictionary.key(ref);
  const keyBytes = dictionary.items[3 * known + 1];
  const inside = to + HEADER_BYTES;
  let valueAt = inside + keyBytes;
  if (valueAt + HEADER_BYTES > limit) throw TOO_LARGE;
  if (valueStart >= 0) {
    valueAt = putValueField(from, valueStart, valueEnd, VALUE, valueAt, depth);
  }
  const index = dictionary.key(ref);
  const items = dictionary.items;
  const bit = 1 << (items[3 * index + 2] & 31);
  if (depth === 0) {
    if ((seenKeys & bit) !== 0) repeatedKeys = true;
    seenKeys |= bit;
  }
  const keyAt = items[3 * index];
  out.u8.set(dictionary.pool.u8.subarray(keyAt, keyAt + keyBytes), inside);
  return closeField(fieldTag, to, inside, valueAt);
}

/** Room kept for tag and length of a field whose length is not known yet. */
export const HEADER_BYTES = 6;

/**
 * Writes tag and length of a field at `at` whose content is at `start..end`, and moves the content
 * up to them. Returns the field's end.
 */
export function closeField(fieldTag: number, at: number, start: number, end: number): number {
  const u8 = out.u8;
  const length = end - start;
  const first = at + 1 + varintBytes(length);
  u8[at] = fieldTag;
  putVarint(u8, at + 1, length);
  if (first !== start) u8.copyWithin(first, start, end);
  return first + length;
}

/** Puts the AnyValue in `from[start..end)` as a field with this one-byte tag. */
export function putValueField(
  from: Bytes,
  start: number,
  end: number,
  fieldTag: number,
  to: number,
  depth: number,
): number {
  const bytes = from.u8;
  // Most are one string, whose length may be padded to two bytes.
  if (end - start > 2 && bytes[start] === STRING && depth <= MAX_DEPTH) {
    let length = bytes[start + 1];
    let text = start + 2;
    if (length > 0x7f) {
      length = length & 0x7f | bytes[text] << 7;
      text++;
    }
    if (text + length === end) {
      if (to + length + 2 * HEADER_BYTES > limit) throw TOO_LARGE;
      return putStringField(from, text, length, fieldTag, to);
    }
  }
  const inside = to + HEADER_BYTES;
  return closeField(fieldTag, to, inside, putAnyValue(from, start, end, inside, depth));
}

/** Puts the inside of the AnyValue in `from[start..end)`, without tag and length. */
function putAnyValue(
  from: Bytes,
  start: number,
  end: number,
  to: number,
  depth: number,
): number {
  if (depth > MAX_DEPTH) throw TOO_DEEP;
  const bytes = from.u8;
  // The last member of the oneof counts.
  let kind = 0;
  let first = 0;
  let body = 0;
  let last = 0;
  let at = start;
  while (at < end) {
    const field = at;
    const t = readTag(bytes, at, end);
    const behindTag = cursor.at;
    at = skipField(bytes, behindTag, end, t);
    switch (t) {
      case STRING:
      case BOOL:
      case INT:
      case DOUBLE:
      case ARRAY:
      case KVLIST:
      case RAW:
      case VALUE_REF:
        kind = t;
        first = field;
        body = behindTag;
        last = at;
    }
  }
  if (to + (last - first) + HEADER_BYTES > limit) throw TOO_LARGE;
  switch (kind) {
    case 0:
      return to;
    case STRING:
      if (!copyAscii(from, first, last - first, out, to)) {
        readLength(bytes, body, last);
        repairUtf8(out.u8, to + (cursor.at - first), to + (last - first));
      }
      return to + (last - first);
    case VALUE_REF:
      return putValueOfRef(readVarint(bytes, body, last), to, depth);
    case ARRAY:
    case KVLIST:
      readLength(bytes, body, last);
      return putList(from, cursor.at, last, kind, to, depth);
    default:
      copyBytes(from, first, last - first, out, to);
      return to + (last - first);
  }
}

function putList(
  from: Bytes,
  start: number,
  end: number,
  kind: number,
  to: number,
  depth: number,
): number {
  const bytes = from.u8;
  const inside = to + HEADER_BYTES;
  let next = inside;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    if (t !== VALUES) {
      at = skipField(bytes, at, end, t);
      continue;
    }
    const stop = readLength(bytes, at, end);
    const element = cursor.at;
    if (next + HEADER_BYTES > limit) throw TOO_LARGE;
    if (kind === KVLIST) {
      next = putAnyKeyValue(from, element, stop, VALUES, next, depth + 1);
    } else {
      next = putValueField(from, element, stop, VALUES, next, depth + 1);
    }
    at = stop;
  }
  return closeField(kind, to, inside, next);
}

function putValueOfRef(ref: number, to: number, depth: number): number {
  if (values.epoch !== dictionary.epoch) {
    values.refs.clear();
    values.epoch = dictionary.epoch;
  }
  const known = ref > 0 ? values.refs.get(ref) : -1;
  if (known >= 0) {
    const at = dictionary.items[3 * known];
    const length = dictionary.items[3 * known + 1];
    if (to + length > limit) throw TOO_LARGE;
    out.u8.set(dictionary.pool.u8.subarray(at, at + length), to);
    return to + length;
  }
  const entry = dictionary.entry(ref);
  const end = putAnyValue(entry, 0, entry.length, to, depth + 1);
  const epoch = dictionary.epoch;
  const index = dictionary.remember(out.u8.subarray(to, end), end - to, 0);
  if (dictionary.epoch === epoch) values.refs.set(ref, index);
  return end;
}

/** Puts a string field whose value is `from[start..end)`; the tag has one byte. */
export function putText(
  from: Bytes,
  start: number,
  end: number,
  fieldTag: number,
  to: number,
): number {
  const length = end - start;
  if (to + length + HEADER_BYTES > limit) throw TOO_LARGE;
  const u8 = out.u8;
  u8[to] = fieldTag;
  to = length < 0x80 ? (u8[to + 1] = length, to + 2) : putVarint(u8, to + 1, length);
  if (!copyAscii(from, start, length, out, to)) repairUtf8(u8, to, to + length);
  return to + length;
}

/** Puts the string entry of a ref as a field. */
export function putTextOfRef(ref: number, fieldTag: number, to: number): number {
  const index = dictionary.key(ref);
  const at = dictionary.items[3 * index];
  const length = dictionary.items[3 * index + 1];
  if (to + length > limit) throw TOO_LARGE;
  copyBytes(dictionary.pool, at, length, out, to);
  out.u8[to] = fieldTag;
  return to + length;
}
