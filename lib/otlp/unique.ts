/**
 * OTLP wants every key once and a span has one name: removes what was said again later.
 *
 * @module
 */
import { cursor, readLength, readTag, skipField } from "../record/wire.ts";

/** Four words a field: its start, its end (0: to be removed), start and end of its key. */
let fields = new Int32Array(4 * 64);
/** Keys seen: index of their field plus 1, by the hash of their text. */
let table = new Int32Array(256);

/**
 * Keeps of each key the last attribute, and of the fields with `lastTag` the last one, in the
 * message `bytes[start..end)`. What stays keeps its order. The bytes are our own encoding.
 *
 * @param attributeTag Tag of the KeyValue fields.
 * @param lastTag Tag of a field that may occur once (the name of a span), 0 for none.
 * @returns The new end.
 */
export function keepLast(
  bytes: Uint8Array,
  start: number,
  end: number,
  attributeTag: number,
  lastTag: number,
): number {
  let count = 0;
  let last = -1;
  let at = start;
  while (at < end) {
    if (4 * (count + 1) > fields.length) {
      const grown = new Int32Array(fields.length * 2);
      grown.set(fields);
      fields = grown;
    }
    const tag = readTag(bytes, at, end);
    const value = cursor.at;
    const stop = skipField(bytes, value, end, tag);
    const field = 4 * count;
    fields[field] = at;
    fields[field + 1] = stop;
    fields[field + 2] = 0;
    if (tag === attributeTag) {
      // The content starts with the key: tag, length, text.
      readLength(bytes, value, end);
      const key = cursor.at;
      fields[field + 3] = readLength(bytes, key + 1, end);
      fields[field + 2] = key;
    } else if (tag === lastTag) {
      if (last >= 0) fields[4 * last + 1] = 0;
      last = count;
    }
    count++;
    at = stop;
  }
  dropRepeated(bytes, count);
  let to = start;
  for (let i = 0; i < count; i++) {
    const from = fields[4 * i];
    const stop = fields[4 * i + 1];
    if (stop === 0) continue;
    if (from !== to) bytes.copyWithin(to, from, stop);
    to += stop - from;
  }
  return to;
}

/** From the last to the first: a key that is in the table already was said again later. */
function dropRepeated(bytes: Uint8Array, count: number): void {
  let size = 256;
  while (size < count * 2) size *= 2;
  if (size > table.length) table = new Int32Array(size);
  else table.fill(0, 0, size);
  const mask = size - 1;
  for (let i = count - 1; i >= 0; i--) {
    const key = fields[4 * i + 2];
    if (key === 0) continue;
    const end = fields[4 * i + 3];
    let at = hash(bytes, key, end) & mask;
    while (table[at] !== 0 && !isSame(bytes, key, end, 4 * (table[at] - 1))) at = (at + 1) & mask;
    if (table[at] === 0) table[at] = i + 1;
    else fields[4 * i + 1] = 0;
  }
}

function isSame(bytes: Uint8Array, key: number, end: number, other: number): boolean {
  const otherKey = fields[other + 2];
  if (fields[other + 3] - otherKey !== end - key) return false;
  for (let i = end - key - 1; i >= 0; i--) if (bytes[key + i] !== bytes[otherKey + i]) return false;
  return true;
}

// Where the hash starts: chosen anew by each process, so that nobody can prepare colliding keys.
const seed = Math.floor(Math.random() * 0x7fffffff);

function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = seed;
  for (let i = start; i < end; i++) value = Math.imul(value ^ bytes[i], 0x01000193);
  return value ^ (value >>> 15);
}

/** Counts the fields with a tag. */
export function countFields(bytes: Uint8Array, start: number, end: number, tag: number): number {
  let count = 0;
  let at = start;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = skipField(bytes, cursor.at, end, t);
    if (t === tag) count++;
  }
  return count;
}
