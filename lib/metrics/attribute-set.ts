/**
 * The attributes of a measurement as the fields of a data point, in one order whatever order they
 * came in, and so are maps inside them: two sets are the same where their bytes are.
 *
 * @module
 */
import { AnyValue, BYTES, OtlpExemplar, OtlpKeyValue, tag, VARINT } from "../format/fields.ts";
import { keepLast } from "../otlp/unique.ts";
import type { Source } from "../otlp/source.ts";
import { aim, expectKeys, MAX_DEPTH, putKeyValue, repeatedKeys } from "../otlp/values.ts";
import { type Bytes, createBytes } from "../record/bytes.ts";
import {
  cursor,
  putVarint,
  readLength,
  readTag,
  readVarint,
  Rejection,
  skipField,
  TOO_DEEP,
  TOO_LARGE,
  varintBytes,
} from "../record/wire.ts";
import { eachAttribute, measurement } from "./measurement.ts";
import { type AttributeKeys, keepsKey } from "./views.ts";

/** Most attributes of a set; what comes after is left out. */
const MAX_ATTRIBUTES = 128;
/** Most bytes of a set. */
export const MAX_SET_BYTES = 16_000;

/** Which attributes a stream keeps, by key. */
export class KeyFilter {
  private readonly patterns: AttributeKeys | undefined;
  private readonly names: AttributeKeys | undefined;
  private readonly known = new Map<string, boolean>();

  /**
   * @param patterns What a view of the collector's keeps.
   * @param names What a definition keeps, keys as they are; both must keep a key.
   */
  constructor(patterns: AttributeKeys | undefined, names: AttributeKeys | undefined) {
    this.patterns = patterns;
    this.names = names;
  }

  /** What it keeps, as text: the same text keeps the same. */
  get said(): string {
    return JSON.stringify([this.patterns, this.names].filter((each) => each !== undefined));
  }

  /** Whether attributes with this key are kept. */
  keeps(key: string): boolean {
    let keeps = this.known.get(key);
    if (keeps === undefined) {
      keeps = (this.patterns === undefined || keepsKey(this.patterns, key)) &&
        (this.names === undefined || keepsKey(this.names, key, Object.is));
      // Keys without bound must not fill the memory.
      if (this.known.size < 10_000) this.known.set(key, keeps);
    }
    return keeps;
  }
}

/** Where the last set is. */
export const set: { readonly bytes: Bytes; length: number } = {
  bytes: createBytes(1 << 18),
  length: 0,
};
const SCRATCH_END = 1 << 17;
const decoder = new TextDecoder();
/** Where a field is, and its key. */
interface Field {
  start: number;
  end: number;
  keyStart: number;
  keyEnd: number;
}
/** Those of a set in their order; used again by the next one. */
const fields: Field[] = [];
/** Whether the set that is being put has arrays or maps. */
let hasLists = false;

/**
 * Puts the attributes of `measurement` into `set`, each as a field with this one-byte tag; those
 * that `filter` keeps, where there is one. Throws a Rejection for what can't be read.
 */
export function putAttributeSet(source: Source, fieldTag: number, filter: KeyFilter | null): void {
  const { bytes } = set;
  const from = measurement.attributes;
  aim(bytes, SCRATCH_END, source.dictionary, source.values);
  expectKeys(0);
  hasLists = false;
  let to = 0;
  let count = 0;
  eachAttribute((start, end) => {
    if (count === MAX_ATTRIBUTES) return;
    const next = putKeyValue(from, start, end, fieldTag, to);
    if (filter !== null && !filter.keeps(keyAt(bytes.u8, to, next))) return;
    to = shorten(bytes.u8, to, next);
    count++;
  });
  if (repeatedKeys) to = keepLast(bytes.u8, 0, to, fieldTag, 0);
  if (to > MAX_SET_BYTES) throw TOO_LARGE;
  if (count > 1) sort(bytes.u8, 0, to);
  if (hasLists) sortMaps(bytes.u8, to);
  set.length = to;
}

const VALUE = tag(OtlpKeyValue.value, BYTES);
const ARRAY = tag(AnyValue.array, BYTES);
const KVLIST = tag(AnyValue.kvlist, BYTES);
const FILTERED = tag(OtlpExemplar.filteredAttributes, BYTES);

/**
 * Puts those that `filter` does not keep into `set`, as fields of an exemplar; none where they are
 * too many.
 */
export function putFiltered(source: Source, filter: KeyFilter): void {
  try {
    putNotKept(source, filter);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    // The measurement is in its series by now.
    set.length = 0;
  }
}

function putNotKept(source: Source, filter: KeyFilter): void {
  const { bytes } = set;
  const from = measurement.attributes;
  aim(bytes, SCRATCH_END, source.dictionary, source.values);
  expectKeys(0);
  let to = 0;
  eachAttribute((start, end) => {
    if (to > MAX_SET_BYTES) throw TOO_LARGE;
    const next = putKeyValue(from, start, end, FILTERED, to);
    if (!filter.keeps(keyAt(bytes.u8, to, next))) to = next;
  });
  if (repeatedKeys) to = keepLast(bytes.u8, 0, to, FILTERED, 0);
  set.length = to;
}

/**
 * Writes the value of a field KeyValue in its shortest form where it is a scalar, since a value that
 * is padded is the same value. Returns the field's end.
 */
function shorten(u8: Uint8Array, start: number, end: number): number {
  readLength(u8, start + 1, end);
  const key = cursor.at;
  const value = readLength(u8, key + 1, end);
  if (value === end) return end;
  readLength(u8, value + 1, end);
  const inside = cursor.at;
  if (inside === end) return end;
  const fieldTag = readTag(u8, inside, end);
  let from = cursor.at;
  let length = end - from;
  switch (fieldTag & 7) {
    case VARINT:
      // Groups of seven zeros at its end say nothing.
      while (length > 1 && (u8[from + length - 1] & 0x7f) === 0) length--;
      u8[from + length - 1] &= 0x7f;
      break;
    case BYTES:
      if (fieldTag === KVLIST || fieldTag === ARRAY) hasLists = true;
      readLength(u8, from, end);
      from = cursor.at;
      length = end - from;
      break;
  }
  const head = (fieldTag & 7) === BYTES ? 1 + varintBytes(length) : 1;
  if (head + length === end - inside) return end;
  const inner = head + length;
  let to = putVarint(u8, start + 1, value - key + 1 + varintBytes(inner) + inner);
  to = moveDown(u8, to, key, value);
  u8[to] = VALUE;
  to = putVarint(u8, to + 1, inner);
  u8[to++] = fieldTag;
  if (head > 1) to = putVarint(u8, to, length);
  return moveDown(u8, to, from, from + length);
}

/** Up to so many bytes are moved faster one by one than by `copyWithin`. */
const FEW_BYTES = 64;

/** Moves bytes to a place that is not behind theirs. Returns the end of that. */
function moveDown(u8: Uint8Array, to: number, from: number, end: number): number {
  if (end - from > FEW_BYTES) {
    u8.copyWithin(to, from, end);
    return to + end - from;
  }
  while (from < end) u8[to++] = u8[from++];
  return to;
}

/** The key of a field KeyValue of our own encoding. */
function keyAt(u8: Uint8Array, start: number, end: number): string {
  findKey(u8, start, end);
  return decoder.decode(u8.subarray(key.start, key.end));
}

/** Where `findKey` found one. */
const key = { start: 0, end: 0 };

function findKey(u8: Uint8Array, start: number, end: number): void {
  readTag(u8, start, end);
  readLength(u8, cursor.at, end);
  // The key comes first: tag, length, text.
  const at = cursor.at + 1;
  const length = readVarint(u8, at, end);
  key.start = cursor.at;
  key.end = cursor.at + length;
}

/** Orders the maps in the values of a set's fields. */
function sortMaps(u8: Uint8Array, length: number): void {
  for (let at = 0; at < length;) {
    const t = readTag(u8, at, length);
    const end = skipField(u8, cursor.at, length, t);
    sortInKeyValue(u8, at, end, 0);
    at = end;
  }
}

/** The same in a field KeyValue. */
function sortInKeyValue(u8: Uint8Array, start: number, end: number, depth: number): void {
  readLength(u8, start + 1, end);
  const value = readLength(u8, cursor.at + 1, end);
  if (value === end) return;
  readLength(u8, value + 1, end);
  sortInValue(u8, cursor.at, end, depth);
}

/** The same in what is inside of an AnyValue. */
function sortInValue(u8: Uint8Array, start: number, end: number, depth: number): void {
  if (start === end) return;
  const kind = readTag(u8, start, end);
  if (kind !== KVLIST && kind !== ARRAY) return;
  if (depth > MAX_DEPTH) throw TOO_DEEP;
  const stop = readLength(u8, cursor.at, end);
  const first = cursor.at;
  for (let at = first; at < stop;) {
    const next = readLength(u8, at + 1, stop);
    if (kind === KVLIST) sortInKeyValue(u8, at, next, depth + 1);
    else sortInValue(u8, cursor.at, next, depth + 1);
    at = next;
  }
  if (kind === KVLIST) sort(u8, first, stop);
}

/** Orders the fields at `start..end` by their keys. */
function sort(u8: Uint8Array, start: number, end: number): void {
  let count = 0;
  let isSorted = true;
  for (let at = start; at < end; count++) {
    const t = readTag(u8, at, end);
    const stop = skipField(u8, cursor.at, end, t);
    findKey(u8, at, stop);
    const field = fields[count] ??= { start: 0, end: 0, keyStart: 0, keyEnd: 0 };
    field.start = at;
    field.end = stop;
    field.keyStart = key.start;
    field.keyEnd = key.end;
    if (count > 0 && compare(u8, fields[count - 1], field) > 0) isSorted = false;
    at = stop;
  }
  if (isSorted) return;
  const ordered = fields.slice(0, count).sort((a, b) => compare(u8, a, b));
  // Behind the set, and back.
  let to = MAX_SET_BYTES;
  for (const { start: from, end: stop } of ordered) {
    u8.copyWithin(to, from, stop);
    to += stop - from;
  }
  u8.copyWithin(start, MAX_SET_BYTES, to);
}

/** Compares keys byte by byte. */
function compare(u8: Uint8Array, a: Field, b: Field): number {
  const length = Math.min(a.keyEnd - a.keyStart, b.keyEnd - b.keyStart);
  for (let i = 0; i < length; i++) {
    const difference = u8[a.keyStart + i] - u8[b.keyStart + i];
    if (difference !== 0) return difference;
  }
  return (a.keyEnd - a.keyStart) - (b.keyEnd - b.keyStart);
}
