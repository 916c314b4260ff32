/**
 * Windows: what is searched is kept beside the rows in blocks of up to 16,384 items, as columns and as
 * lists of hashes. The newest window is in memory only (its rows are in the database, from which it is
 * made again); a window that is full is written, once, in a few dozen rows.
 *
 * Why not indexes of SQLite: an entry in one costs 2 to 3 us of insertion, spread over the whole tree,
 * and a span has ten; here it costs 0.1 us. A scan over a column of 5 million items takes some 20 ms.
 *
 * @module
 */

/** Items in a window at most: their number in it fits 16 bits with room to spare. */
export const WINDOW_ITEMS: number = 1 << 14;
/** Bytes of rows in a window at most, so that megabytes of text do not stay unsearched. */
export const WINDOW_BYTES: number = 16 << 20;
/** Lists of hashes, by their low bits. */
export const BUCKETS = 256;

/** The columns of a window. Log records have the first three. */
export const COLUMN = {
  /** Float64, unix milliseconds: start of a span, time of a log record. */
  time: 0,
  /** Uint32: id of resource and scope. */
  origin: 1,
  /** Uint8: `META_*` of a span, severity number of a log record. */
  meta: 2,
  /** Float32, nanoseconds. */
  duration: 3,
  /** Uint32: hash of the name. */
  name: 4,
  /** Uint32: hash of trace and span id. */
  identity: 5,
  /** Uint32: the same of the parent; 0 for a root. */
  parent: 6,
  /** A Bloom filter of the traces in it: of both kinds. */
  traces: 7,
} as const;
/** Columns are numbered apart for each window. */
export const COLUMNS = 8;

/** Bits of a span's meta column: kind, status, and two flags. */
export const META_KIND = 7;
export const META_STATUS_SHIFT = 3;
export const META_STATUS: number = 3 << META_STATUS_SHIFT;
export const META_INTERRUPTED = 32;
export const META_ROOT = 64;

/** Which table's items. */
export type WindowKind = "span" | "log";

/** The newest window, in memory. */
export interface Tail {
  readonly kind: WindowKind;
  /** Row id of its first item. */
  first: number;
  count: number;
  /** Bytes of its rows, about. */
  bytes: number;
  /** When its first item came, unix milliseconds; for one that was loaded, when that was. */
  since: number;
  /** When its newest item came. */
  last: number;
  readonly time: Float64Array<ArrayBuffer>;
  readonly origin: Uint32Array<ArrayBuffer>;
  readonly meta: Uint8Array<ArrayBuffer>;
  readonly duration: Float32Array<ArrayBuffer>;
  readonly name: Uint32Array<ArrayBuffer>;
  readonly identity: Uint32Array<ArrayBuffer>;
  readonly parent: Uint32Array<ArrayBuffer>;
  /** Hash of the trace; 0 for a log record without one. */
  readonly trace: Uint32Array<ArrayBuffer>;
  /** Hashes of attributes and traces, and of which item. */
  terms: Uint32Array<ArrayBuffer>;
  termItems: Uint16Array<ArrayBuffer>;
  termCount: number;
  /** Names of spans by hash and origin, of which the first `MAX_NAMES` are kept. */
  readonly names: Map<number, WindowName>;
  /** Some names were not kept. */
  moreNames: boolean;
  /** Keys of attributes by hash. */
  readonly keys: Map<number, string>;
}

/** A name that spans of an origin have. */
export interface WindowName {
  readonly origin: number;
  readonly name: string;
}

/** Names that are listed of one window. */
export const MAX_NAMES = 2_048;

/** Makes an empty one. */
export function createTail(kind: WindowKind, first: number): Tail {
  const size = kind === "span" ? WINDOW_ITEMS : 0;
  return {
    kind,
    first,
    count: 0,
    bytes: 0,
    since: Date.now(),
    last: Date.now(),
    time: new Float64Array(WINDOW_ITEMS),
    origin: new Uint32Array(WINDOW_ITEMS),
    meta: new Uint8Array(WINDOW_ITEMS),
    duration: new Float32Array(size),
    name: new Uint32Array(size),
    identity: new Uint32Array(size),
    parent: new Uint32Array(size),
    trace: new Uint32Array(WINDOW_ITEMS),
    terms: new Uint32Array(1 << 14),
    termItems: new Uint16Array(1 << 14),
    termCount: 0,
    names: new Map(),
    moreNames: false,
    keys: new Map(),
  };
}

/** Empties it for items from row `first` on. */
export function clearTail(tail: Tail, first: number): void {
  tail.first = first;
  tail.count = tail.bytes = tail.termCount = 0;
  tail.since = tail.last = Date.now();
  tail.names.clear();
  tail.moreNames = false;
  tail.keys.clear();
}

/** Is it time to write it? */
export function isFull(tail: Tail, bytes: number = WINDOW_BYTES): boolean {
  return tail.count === WINDOW_ITEMS || tail.bytes >= bytes;
}

/** Adds a hash to the item that is added next. */
export function addTailTerm(tail: Tail, hash: number): void {
  if (tail.termCount === tail.terms.length) {
    const terms = new Uint32Array(tail.termCount * 2);
    terms.set(tail.terms);
    tail.terms = terms;
    const items = new Uint16Array(tail.termCount * 2);
    items.set(tail.termItems);
    tail.termItems = items;
  }
  tail.terms[tail.termCount] = hash;
  tail.termItems[tail.termCount++] = tail.count;
}

/** Notes the name of the span that is added next; `text` is asked for once for each name. */
export function noteName(tail: Tail, hash: number, origin: number, text: () => string): void {
  const known = (hash ^ Math.imul(origin, 0x9e3779b1)) | 0;
  if (tail.names.has(known)) return;
  if (tail.names.size >= MAX_NAMES) tail.moreNames = true;
  else tail.names.set(known, { origin, name: text() });
}

/** Its columns as they are written, by their numbers. */
export function columnsOf(tail: Tail): Map<number, Uint8Array> {
  const { kind, count, time, origin, meta, duration, name, identity, parent } = tail;
  const all = [time, origin, meta];
  if (kind === "span") all.push(duration as never, name, identity, parent);
  const columns = new Map(all.map((column, i) => [
    i,
    new Uint8Array(column.buffer, 0, count * column.BYTES_PER_ELEMENT),
  ]));
  return columns.set(COLUMN.traces, filterOf(tail.trace.subarray(0, count)));
}

/** Bits for each trace, and how many of them are set: 3% of other traces seem to be there. */
const FILTER_BITS = 8;
const FILTER_PROBES = 3;

function filterOf(traces: Uint32Array): Uint8Array<ArrayBuffer> {
  const distinct = new Set(traces);
  distinct.delete(0);
  if (distinct.size === 0) return new Uint8Array(0);
  const bits = 1 << Math.ceil(Math.log2(distinct.size * FILTER_BITS));
  const filter = new Uint8Array(bits >>> 3);
  for (const hash of distinct) {
    const step = Math.imul(hash, 0x9e3779b1) | 1;
    for (let i = 0, at = hash; i < FILTER_PROBES; i++, at += step) {
      filter[(at & (bits - 1)) >>> 3] |= 1 << (at & 7);
    }
  }
  return filter;
}

/** False when a window with this filter has no item of the trace with this hash. */
export function mayHold(filter: Uint8Array, hash: number): boolean {
  const mask = filter.length * 8 - 1;
  if (mask < 0) return false;
  const step = Math.imul(hash, 0x9e3779b1) | 1;
  for (let i = 0, at = hash; i < FILTER_PROBES; i++, at += step) {
    if ((filter[(at & mask) >>> 3] & (1 << (at & 7))) === 0) return false;
  }
  return true;
}

/**
 * Its lists as they are written, one for each bucket, null for an empty one: hashes in order (Uint32),
 * and behind them the items (Uint16).
 */
export function bucketsOf(tail: Tail): (Uint8Array | null)[] {
  const { terms, termItems, termCount } = tail;
  const starts = new Uint32Array(BUCKETS + 1);
  for (let i = 0; i < termCount; i++) starts[(terms[i] & (BUCKETS - 1)) + 1]++;
  for (let i = 0; i < BUCKETS; i++) starts[i + 1] += starts[i];
  const next = starts.slice(0, BUCKETS);
  // Hash and item as one number, which a typed array sorts fastest: 46 bits.
  const sorted = new Float64Array(termCount);
  for (let i = 0; i < termCount; i++) {
    sorted[next[terms[i] & (BUCKETS - 1)]++] = terms[i] * WINDOW_ITEMS + termItems[i];
  }
  const buckets: (Uint8Array | null)[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const from = starts[bucket];
    const to = starts[bucket + 1];
    if (from === to) {
      buckets.push(null);
      continue;
    }
    const part = sorted.subarray(from, to).sort();
    const bytes = new Uint8Array((to - from) * 6);
    const hashes = new Uint32Array(bytes.buffer, 0, to - from);
    const items = new Uint16Array(bytes.buffer, (to - from) * 4);
    for (let i = 0; i < part.length; i++) {
      const hash = Math.floor(part[i] / WINDOW_ITEMS);
      hashes[i] = hash;
      items[i] = part[i] - hash * WINDOW_ITEMS;
    }
    buckets.push(bytes);
  }
  return buckets;
}

/** Calls `found` with each item of a written list that has this hash, in their order. */
export function findInBucket(
  bytes: Uint8Array,
  hash: number,
  found: (item: number) => void,
): void {
  const count = (bytes.length / 6) | 0;
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const hashes = new Uint32Array(aligned.buffer, aligned.byteOffset, count);
  const items = new Uint16Array(aligned.buffer, aligned.byteOffset + count * 4, count);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle] < hash) low = middle + 1;
    else high = middle;
  }
  let last = -1;
  for (; low < count && hashes[low] === hash; low++) {
    // An attribute may be there twice.
    if (items[low] !== last) found(last = items[low]);
  }
}

/** Calls `found` with each item of the tail that has this hash, in their order. */
export function findInTail(tail: Tail, hash: number, found: (item: number) => void): void {
  const { terms, termItems, termCount } = tail;
  let last = -1;
  for (let i = 0; i < termCount; i++) {
    if (terms[i] === hash && termItems[i] !== last) found(last = termItems[i]);
  }
}
