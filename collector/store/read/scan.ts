/**
 * Finds items by conditions that columns and lists of hashes can tell, newest stored first. What it
 * finds by hashes has to be looked at.
 *
 * @module
 */
import {
  BUCKETS,
  COLUMN,
  findInBucket,
  findInTail,
  mayHold,
  WINDOW_ITEMS,
  type WindowKind,
} from "../window.ts";
import { readColumn, type Reader, statement, traceFilter } from "./reader.ts";

/** Conditions, all of which hold. */
export interface Plan {
  /** Unix milliseconds; from inclusive, to exclusive. */
  readonly from: number;
  readonly to: number;
  readonly minDuration: number;
  readonly maxDuration: number;
  /** Bits of the meta column, and what they are. */
  readonly mask: number;
  readonly meta: number;
  /** The meta column at least, as a number: severities. */
  readonly minMeta: number;
  readonly origins: ReadonlySet<number> | null;
  readonly names: ReadonlySet<number> | null;
  /** Windows that do not list all names may have others that fit. */
  readonly namesMayLack: boolean;
  readonly terms: readonly PlanTerm[];
  /** Hash of a trace, which is among the terms too; 0 for any. */
  readonly trace: number;
}

/** Items with this hash, or of these origins. */
export interface PlanTerm {
  readonly hash: number;
  readonly origins: ReadonlySet<number> | null;
}

/** A plan without conditions. */
export const EVERYTHING: Plan = {
  from: -Infinity,
  to: Infinity,
  minDuration: 0,
  maxDuration: Infinity,
  mask: 0,
  meta: 0,
  minMeta: 0,
  origins: null,
  names: null,
  namesMayLack: false,
  terms: [],
  trace: 0,
};

/** Items of a window or of the tail. */
export interface Block {
  readonly first: number;
  readonly count: number;
  time(): Float64Array;
  origin(): Uint32Array;
  meta(): Uint8Array;
  duration(): Float32Array;
  name(): Uint32Array;
}

/**
 * Calls `found` with each item that may fit, newest first, until it returns false.
 *
 * @param before Only items with a smaller row id.
 */
export function scan(
  reader: Reader,
  kind: WindowKind,
  plan: Plan,
  before: number,
  found: (id: number, block: Block, item: number) => boolean,
): void {
  const tail = reader.tails[kind];
  if (tail.count > 0 && before > tail.first) {
    const block: Block = {
      first: tail.first,
      count: tail.count,
      time: () => tail.time,
      origin: () => tail.origin,
      meta: () => tail.meta,
      duration: () => tail.duration,
      name: () => tail.name,
    };
    const find = (hash: number, each: (item: number) => void): void => findInTail(tail, hash, each);
    if (!scanBlock(block, plan, tail.moreNames, before, find, found)) return;
  }
  const windows = reader.windows[kind];
  const { mask, meta } = plan;
  const getTerms = statement(reader, `SELECT data FROM ${kind}_terms WHERE id = ?`);
  for (let i = windows.length - 1; i >= 0; i--) {
    const window = windows[i];
    if (window.first >= before) continue;
    if (window.max < plan.from || window.min >= plan.to) continue;
    if (window.longest < plan.minDuration * (1 - 1e-6)) continue;
    // Bits that have to be set and are in none of its items.
    if ((window.meta & mask & meta) !== (mask & meta)) continue;
    // The bits of all severities together are no smaller than the largest of them.
    if (window.meta < plan.minMeta) continue;
    const { id, first, count } = window;
    if (plan.trace !== 0 && !mayHold(traceFilter(reader, kind, id), plan.trace)) continue;
    const column = (which: number): Uint8Array => readColumn(reader, kind, id, which);
    const block: Block = {
      first,
      count,
      time: () => f64(column(COLUMN.time)),
      origin: () => u32(column(COLUMN.origin)),
      meta: () => column(COLUMN.meta),
      duration: () => f32(column(COLUMN.duration)),
      name: () => u32(column(COLUMN.name)),
    };
    const find = (hash: number, each: (item: number) => void): void => {
      const row = getTerms.get(id * BUCKETS + (hash & (BUCKETS - 1)));
      if (row !== undefined) findInBucket((row as { data: Uint8Array }).data, hash, each);
    };
    const inside = window.min >= plan.from && window.max < plan.to;
    const narrowed = inside ? { ...plan, from: -Infinity, to: Infinity } : plan;
    if (!scanBlock(block, narrowed, window.moreNames !== 0, before, find, found)) return;
  }
}

function scanBlock(
  block: Block,
  plan: Plan,
  moreNames: boolean,
  before: number,
  find: (hash: number, each: (item: number) => void) => void,
  found: (id: number, block: Block, item: number) => boolean,
): boolean {
  const { first } = block;
  const { from, to, origins, terms, mask, meta, minMeta } = plan;
  const count = Math.min(block.count, before - first);
  let hits: Uint8Array | null = null;
  for (let k = 0; k < terms.length; k++) {
    hits ??= new Uint8Array(WINDOW_ITEMS);
    const marks = hits;
    let any = false;
    const mark = (item: number): void => {
      if (marks[item] !== k) return;
      marks[item] = k + 1;
      any = true;
    };
    find(terms[k].hash, mark);
    const fitting = terms[k].origins;
    if (fitting !== null) {
      const origin = block.origin();
      for (let i = 0; i < count; i++) if (fitting.has(origin[i])) mark(i);
    }
    if (!any) return true;
  }
  const wanted = terms.length;
  const names = moreNames && plan.namesMayLack ? null : plan.names;
  const time = from === -Infinity && to === Infinity ? null : block.time();
  const metas = mask === 0 && minMeta === 0 ? null : block.meta();
  const origin = origins === null ? null : block.origin();
  const name = names === null ? null : block.name();
  const checksDuration = plan.minDuration > 0 || plan.maxDuration < Infinity;
  const duration = checksDuration ? block.duration() : null;
  // The column is rounded: what is near is looked at.
  const least = plan.minDuration * (1 - 1e-6);
  const most = plan.maxDuration * (1 + 1e-6);
  for (let i = count - 1; i >= 0; i--) {
    if (hits !== null && hits[i] !== wanted) continue;
    if (metas !== null && ((metas[i] & mask) !== meta || metas[i] < minMeta)) continue;
    if (duration !== null && !(duration[i] >= least && duration[i] <= most)) continue;
    if (time !== null && !(time[i] >= from && time[i] < to)) continue;
    if (name !== null && !names!.has(name[i])) continue;
    if (origin !== null && !origins!.has(origin[i])) continue;
    if (!found(first + i, block, i)) return false;
  }
  return true;
}

function f64(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 3);
}

function u32(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}

function f32(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}
