/**
 * Spans into their table and their window.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { milliseconds } from "../time.ts";
import { hashBytes, hashIdentity, hashTrace } from "../hash.ts";
import { addKnown, type Known } from "../known.ts";
import { createParsedSpan, parseSpan } from "../parse/spans.ts";
import { addTailTerm, noteName, type Tail } from "../window.ts";
import { spanMeta } from "./seal.ts";

/** Adds one span; false when it was there already. Throws Rejection when it can't be read. */
export type AddSpan = (
  bytes: Uint8Array,
  view: DataView,
  from: number,
  to: number,
  origin: number,
) => boolean;

/** Durations beyond 104 days do not fit a number: their end is kept beside. */
const MAX_DURATION = BigInt(Number.MAX_SAFE_INTEGER);

const decoder = new TextDecoder();

/** @param isStored Looks whether a span whose hash is known is really there. */
export function createAddSpan(
  db: DatabaseSync,
  tail: Tail,
  known: () => Known,
  isStored: (trace: Uint8Array, span: Uint8Array) => boolean,
): AddSpan {
  const insert = db.prepare("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const parsed = createParsedSpan();
  const { terms } = parsed;
  // The tail is emptied with every window, the keys of attributes stay the same.
  let keysOf = -1;
  let keys = 0;
  return (bytes, view, from, to, origin) => {
    parseSpan(parsed, bytes, from, to);
    const { trace, span, parent, nameFrom, nameTo, start, end, kind, status, interrupted } = parsed;
    const identity = hashIdentity(bytes, trace, bytes, span);
    const traceBytes = bytes.subarray(trace, trace + 16);
    const spanBytes = bytes.subarray(span, span + 8);
    if (addKnown(known(), identity) && isStored(traceBytes, spanBytes)) return false;
    const startNs = start < 0 ? 0n : view.getBigInt64(start, true);
    let duration = 0;
    if (end >= 0) {
      const ns = view.getBigInt64(end, true) - startNs;
      duration = ns < 0n || ns > MAX_DURATION ? Number.MAX_SAFE_INTEGER : Number(ns);
    }
    const name = decoder.decode(bytes.subarray(nameFrom, nameTo));
    const { first, count } = tail;
    insert.run(
      first + count,
      origin,
      traceBytes,
      spanBytes,
      parent < 0 ? null : bytes.subarray(parent, parent + 8),
      name,
      kind,
      status,
      interrupted ? 1 : 0,
      startNs,
      duration,
      parsed.rest.subarray(0, parsed.restLength),
    );
    const traceHash = hashTrace(bytes, trace);
    addTailTerm(tail, traceHash);
    for (let i = 0; i < terms.count; i++) addTailTerm(tail, terms.hashes[i]);
    const nameHash = hashBytes(bytes, nameFrom, nameTo);
    noteName(tail, nameHash, origin, () => name);
    tail.time[count] = milliseconds(startNs);
    tail.origin[count] = origin;
    tail.meta[count] = spanMeta(kind, status, interrupted, parent < 0);
    tail.duration[count] = duration;
    tail.name[count] = nameHash;
    tail.trace[count] = traceHash;
    tail.identity[count] = identity;
    tail.parent[count] = parent < 0 ? 0 : hashIdentity(bytes, trace, bytes, parent);
    tail.bytes += parsed.restLength + nameTo - nameFrom;
    tail.count++;
    if (keysOf !== first || keys !== terms.keys.size) {
      keysOf = first;
      keys = terms.keys.size;
      for (const [hash, key] of terms.keys) tail.keys.set(hash, key);
    }
    return true;
  };
}
