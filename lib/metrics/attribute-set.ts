/**
 * The attributes of a measurement as the fields of a data point, in one order whatever order they
 * came in: two sets are the same where their bytes are.
 *
 * @module
 */
import { BYTES, OtlpExemplar, tag } from "../format/fields.ts";
import { keepLast } from "../otlp/unique.ts";
import type { Source } from "../otlp/source.ts";
import { aim, expectKeys, putKeyValue, repeatedKeys } from "../otlp/values.ts";
import { type Bytes, createBytes } from "../record/bytes.ts";
import { cursor, readLength, readTag, readVarint, skipField, TOO_LARGE } from "../record/wire.ts";
import { eachAttribute, measurement } from "./measurement.ts";
import { type AttributeKeys, keepsKey } from "./views.ts";

/** Most attributes of a set; what comes after is left out. */
const MAX_ATTRIBUTES = 128;
/** Most bytes of a set. */
export const MAX_SET_BYTES = 16_000;

/** Which attributes a stream keeps, by key. */
export class KeyFilter {
  private readonly choices: readonly AttributeKeys[];
  private readonly known = new Map<string, boolean>();

  /** @param choices All of them must keep a key. */
  constructor(choices: readonly AttributeKeys[]) {
    this.choices = choices;
  }

  /** Whether attributes with this key are kept. */
  keeps(key: string): boolean {
    let keeps = this.known.get(key);
    if (keeps === undefined) {
      keeps = this.choices.every((choice) => keepsKey(choice, key));
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
/** Start and end of each field, in their order. */
const fields: { start: number; end: number; key: Uint8Array }[] = [];

/**
 * Puts the attributes of `measurement` into `set`, each as a field with this one-byte tag; those
 * that `filter` keeps, where there is one. Throws a Rejection for what can't be read.
 */
export function putAttributeSet(source: Source, fieldTag: number, filter: KeyFilter | null): void {
  const { bytes } = set;
  const from = measurement.attributes;
  aim(bytes, SCRATCH_END, source.dictionary, source.values);
  expectKeys(0);
  let to = 0;
  let count = 0;
  eachAttribute((start, end) => {
    if (count === MAX_ATTRIBUTES) return;
    const next = putKeyValue(from, start, end, fieldTag, to);
    if (filter !== null && !filter.keeps(keyAt(bytes.u8, to, next))) return;
    to = next;
    count++;
  });
  if (repeatedKeys) to = keepLast(bytes.u8, 0, to, fieldTag, 0);
  if (count > 1) to = sort(bytes.u8, to);
  if (to > MAX_SET_BYTES) throw TOO_LARGE;
  set.length = to;
}

const FILTERED = tag(OtlpExemplar.filteredAttributes, BYTES);

/** Puts those that `filter` does not keep into `set`, as fields of an exemplar. */
export function putFiltered(source: Source, filter: KeyFilter): void {
  const { bytes } = set;
  const from = measurement.attributes;
  aim(bytes, SCRATCH_END, source.dictionary, source.values);
  expectKeys(0);
  let to = 0;
  eachAttribute((start, end) => {
    const next = putKeyValue(from, start, end, FILTERED, to);
    if (!filter.keeps(keyAt(bytes.u8, to, next))) to = next;
  });
  if (repeatedKeys) to = keepLast(bytes.u8, 0, to, FILTERED, 0);
  set.length = to;
}

/** The key of a field KeyValue of our own encoding. */
function keyAt(u8: Uint8Array, start: number, end: number): string {
  return decoder.decode(keyBytes(u8, start, end));
}

function keyBytes(u8: Uint8Array, start: number, end: number): Uint8Array {
  readTag(u8, start, end);
  readLength(u8, cursor.at, end);
  // The key comes first: tag, length, text.
  const key = cursor.at + 1;
  const length = readVarint(u8, key, end);
  return u8.subarray(cursor.at, cursor.at + length);
}

/** Orders fields by their keys. */
function sort(u8: Uint8Array, end: number): number {
  fields.length = 0;
  for (let at = 0; at < end;) {
    const t = readTag(u8, at, end);
    const stop = skipField(u8, cursor.at, end, t);
    fields.push({ start: at, end: stop, key: keyBytes(u8, at, stop) });
    at = stop;
  }
  let isSorted = true;
  for (let i = 1; i < fields.length; i++) {
    if (compare(fields[i - 1].key, fields[i].key) > 0) isSorted = false;
  }
  if (isSorted) return end;
  fields.sort((a, b) => compare(a.key, b.key));
  // Behind what is there, and back.
  let to = end;
  for (const { start, end: stop } of fields) {
    u8.copyWithin(to, start, stop);
    to += stop - start;
  }
  u8.copyWithin(0, end, to);
  return end;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
