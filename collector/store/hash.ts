/**
 * Hashes by which the store finds things: 32 bits, so that an index entry is small. Whoever finds
 * something by one looks at the thing itself before it believes it.
 *
 * @module
 */
import { AnyValue, BYTES, FIXED64, OtlpKeyValue, tag, VARINT } from "../../lib/format/fields.ts";
import { cursor, readLength, readTag, readVarint, skipField } from "../../lib/record/wire.ts";

/** FNV-1a's start. */
export const START: number = 0x811c9dc5 | 0;
/** Values nested deeper than this are not told apart. */
const MAX_DEPTH = 64;

/** Goes on with a hash (FNV-1a) over bytes. */
export function addBytes(hash: number, bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash;
}

/** Goes on with a hash over one byte. */
export function addByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Spreads a hash over all its bits, of which FNV-1a leaves the low ones poor. Unsigned. */
export function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The hash of some bytes. */
export function hashBytes(bytes: Uint8Array, from = 0, to: number = bytes.length): number {
  return finish(addBytes(START, bytes, from, to));
}

/** What a trace is found by: its 16 bytes, kept apart from attributes. Never 0. */
export function hashTrace(bytes: Uint8Array, at = 0): number {
  return finish(addBytes(addByte(START, 0xfe), bytes, at, at + 16)) || 1;
}

/** What one span is known by: the bytes of its trace's and its own id. */
export function hashIdentity(
  trace: Uint8Array,
  traceAt: number,
  span: Uint8Array,
  spanAt: number,
): number {
  return finish(
    addBytes(addBytes(START, trace, traceAt, traceAt + 16), span, spanAt, spanAt + 8),
  );
}

/** Where a KeyValue's key lies, after {@linkcode hashAttribute} looked at it. */
export const key: { at: number; end: number; valueAt: number; valueEnd: number } = {
  at: 0,
  end: 0,
  valueAt: 0,
  valueEnd: 0,
};

/**
 * What an attribute is found by: its key, the type of its value and its value, however these are
 * encoded. `from` to `to` is a KeyValue.
 *
 * @throws Rejection when it is malformed.
 */
export function hashAttribute(bytes: Uint8Array, from: number, to: number): number {
  key.at =
    key.end =
    key.valueAt =
    key.valueEnd =
      from;
  for (let at = from; at < to;) {
    const field = readTag(bytes, at, to);
    if (field === tag(OtlpKeyValue.key, BYTES)) {
      key.end = readLength(bytes, cursor.at, to);
      key.at = cursor.at;
      at = key.end;
    } else if (field === tag(OtlpKeyValue.value, BYTES)) {
      key.valueEnd = readLength(bytes, cursor.at, to);
      key.valueAt = cursor.at;
      at = key.valueEnd;
    } else {
      at = skipField(bytes, cursor.at, to, field);
    }
  }
  const hash = addByte(addBytes(START, bytes, key.at, key.end), 0xff);
  return finish(addValue(hash, bytes, key.valueAt, key.valueEnd, 0));
}

const STRING = tag(AnyValue.string, BYTES);
const BOOL = tag(AnyValue.bool, VARINT);
const INT = tag(AnyValue.int, VARINT);
const DOUBLE = tag(AnyValue.double, FIXED64);
const ARRAY = tag(AnyValue.array, BYTES);
const KVLIST = tag(AnyValue.kvlist, BYTES);
const BLOB = tag(AnyValue.bytes, BYTES);

function addValue(
  hash: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  depth: number,
): number {
  if (depth > MAX_DEPTH) return hash;
  for (let at = from; at < to;) {
    const field = readTag(bytes, at, to);
    const start = cursor.at;
    at = skipField(bytes, start, to, field);
    switch (field) {
      case STRING:
      case BLOB:
        hash = addBytes(addByte(hash, field), bytes, cursor.at, at);
        break;
      case BOOL:
        // Of a padded varint only the bits count.
        hash = addByte(addByte(hash, field), readVarint(bytes, start, to) === 0 ? 0 : 1);
        break;
      case INT:
        hash = addInteger(addByte(hash, field), bytes, start, at);
        break;
      case DOUBLE:
        hash = addBytes(addByte(hash, field), bytes, start, at);
        break;
      case ARRAY:
      case KVLIST: {
        const content = cursor.at;
        hash = addItems(addByte(hash, field), bytes, content, at, depth, field === KVLIST);
      }
    }
  }
  return hash;
}

/** The groups of 7 bits of a varint, without the zeros at its end that pad it. */
function addInteger(hash: number, bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from + 1 && (bytes[end - 1] & 0x7f) === 0) end--;
  for (let i = from; i < end; i++) hash = addByte(hash, bytes[i] & 0x7f);
  return hash;
}

function addItems(
  hash: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  depth: number,
  isMap: boolean,
): number {
  for (let at = from; at < to;) {
    const field = readTag(bytes, at, to);
    const start = cursor.at;
    at = skipField(bytes, start, to, field);
    if (field !== tag(1, BYTES)) continue;
    const content = cursor.at;
    hash = addByte(hash, 0xfd);
    if (!isMap) {
      hash = addValue(hash, bytes, content, at, depth + 1);
      continue;
    }
    for (let inner = content; inner < at;) {
      const part = readTag(bytes, inner, at);
      const partStart = cursor.at;
      inner = skipField(bytes, partStart, at, part);
      const partContent = cursor.at;
      if (part === tag(OtlpKeyValue.key, BYTES)) {
        hash = addByte(addBytes(hash, bytes, partContent, inner), 0xff);
      } else if (part === tag(OtlpKeyValue.value, BYTES)) {
        hash = addValue(hash, bytes, partContent, inner, depth + 1);
      }
    }
  }
  return hash;
}
