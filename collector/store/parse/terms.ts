/**
 * The hashes of an item's attributes, and keys that were not seen before.
 *
 * @module
 */
import { hashAttribute, hashBytes, key } from "../hash.ts";

/** Hashes of the attributes of some items, one after another. */
export interface Terms {
  hashes: Uint32Array;
  count: number;
  /** Keys by their hash: what has no text yet is new. */
  readonly keys: Map<number, string>;
}

/** Keys that are remembered at most, and characters of one. */
const MAX_KEYS = 4_096;
const MAX_KEY_BYTES = 256;

/** Makes an empty list. */
export function createTerms(): Terms {
  return { hashes: new Uint32Array(1 << 12), count: 0, keys: new Map() };
}

const decoder = new TextDecoder();

/** Adds a KeyValue. @throws Rejection when it is malformed. */
export function addTerm(terms: Terms, bytes: Uint8Array, from: number, to: number): void {
  const hash = hashAttribute(bytes, from, to);
  if (terms.count === terms.hashes.length) {
    const grown = new Uint32Array(terms.count * 2);
    grown.set(terms.hashes);
    terms.hashes = grown;
  }
  terms.hashes[terms.count++] = hash;
  if (key.end - key.at > MAX_KEY_BYTES) return;
  const named = hashBytes(bytes, key.at, key.end);
  if (terms.keys.has(named) || terms.keys.size >= MAX_KEYS) return;
  terms.keys.set(named, decoder.decode(bytes.subarray(key.at, key.end)));
}

/** Is the KeyValue that was hashed last this key with the value true? */
export function isTrue(bytes: Uint8Array, name: Uint8Array): boolean {
  if (key.end - key.at !== name.length || key.valueEnd - key.valueAt !== 2) return false;
  for (let i = 0; i < name.length; i++) if (bytes[key.at + i] !== name[i]) return false;
  return bytes[key.valueAt] === 0x10 && bytes[key.valueAt + 1] === 1;
}
