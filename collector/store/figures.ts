/**
 * What the overview needs of a window, added up when it is written: entry spans of each service in
 * steps of 10 s with a histogram of their durations, and who called whom.
 *
 * @module
 */
import {
  META_INTERRUPTED,
  META_KIND,
  META_ROOT,
  META_STATUS,
  META_STATUS_SHIFT,
} from "./window.ts";

/** Width of a step, milliseconds. */
export const STEP_MS = 10_000;
/** Buckets of durations: eight for each power of two of nanoseconds, so their middles are within 5%. */
const PER_DOUBLING = 8;
const LAST_BUCKET = 64 * PER_DOUBLING - 1;

/** The bucket of a duration in nanoseconds. */
export function durationBucket(ns: number): number {
  if (!(ns > 1)) return 0;
  return Math.min(LAST_BUCKET, Math.floor(Math.log2(ns) * PER_DOUBLING));
}

/** The duration that stands for a bucket. */
export function bucketDuration(bucket: number): number {
  return 2 ** ((bucket + 0.5) / PER_DOUBLING);
}

/** The duration below which a share `q` of what was counted lies; 0 when nothing was. */
export function quantile(buckets: ReadonlyMap<number, number>, q: number): number {
  let count = 0;
  for (const each of buckets.values()) count += each;
  if (count === 0) return 0;
  let left = Math.max(1, Math.ceil(count * q));
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    left -= buckets.get(bucket)!;
    if (left <= 0) return bucketDuration(bucket);
  }
  return 0;
}

/** Spans of one origin, or calls from one to another, in one step. */
export interface Figure {
  /** Number of the step: unix time / 10 s. */
  readonly step: number;
  /** The caller's origin; -1 for the figures of `origin` itself. */
  readonly from: number;
  readonly origin: number;
  /** All spans; for calls the same as `requests`. */
  spans: number;
  /** Entry spans: servers, consumers, roots. */
  requests: number;
  errors: number;
  readonly buckets: Map<number, number>;
}

/** Figures by {@linkcode figureKey}. */
export type Figures = Map<string, Figure>;

/** Columns of spans, of a written window or of the tail. */
export interface SpanColumns {
  readonly count: number;
  readonly time: Float64Array;
  readonly origin: Uint32Array;
  readonly meta: Uint8Array;
  readonly duration: Float32Array;
  readonly identity: Uint32Array;
  readonly parent: Uint32Array;
}

/** A span counts for its service when it is how work gets in: others are parts of that work. */
export function isEntry(meta: number): boolean {
  const kind = meta & META_KIND;
  return kind === 2 || kind === 5 || (meta & META_ROOT) !== 0;
}

/** An error: by its status, cut off ones included, whose status is one. */
export function isError(meta: number): boolean {
  return ((meta & META_STATUS) >> META_STATUS_SHIFT) === 2 || (meta & META_INTERRUPTED) !== 0;
}

function figureAt(figures: Figures, step: number, from: number, origin: number): Figure {
  const key = `${step} ${from} ${origin}`;
  let figure = figures.get(key);
  if (figure === undefined) {
    figure = { step, from, origin, spans: 0, requests: 0, errors: 0, buckets: new Map() };
    figures.set(key, figure);
  }
  return figure;
}

function count(figure: Figure, meta: number, duration: number): void {
  figure.requests++;
  if (isError(meta)) figure.errors++;
  const bucket = durationBucket(duration);
  figure.buckets.set(bucket, (figure.buckets.get(bucket) ?? 0) + 1);
}

/** Adds up the spans of a window by origin. */
export function addServices(figures: Figures, columns: SpanColumns): void {
  const { count: spans, time, origin, meta, duration } = columns;
  let last: Figure | null = null;
  for (let i = 0; i < spans; i++) {
    const step = Math.floor(time[i] / STEP_MS);
    if (last === null || last.step !== step || last.origin !== origin[i]) {
      last = figureAt(figures, step, -1, origin[i]);
    }
    last.spans++;
    if (isEntry(meta[i])) count(last, meta[i], duration[i]);
  }
}

/**
 * Adds up the calls between origins that become known with a window: of its spans whose parent is in
 * it or in the one before, and of spans of the one before whose parent is in this one. A parent ends,
 * and so arrives, after its children as a rule.
 */
export function addCalls(
  figures: Figures,
  window: SpanColumns,
  before: SpanColumns | null,
  serviceOf: (origin: number) => string,
): void {
  const size = 1 << Math.ceil(Math.log2((window.count + (before?.count ?? 0)) * 2 + 2));
  const mask = size - 1;
  // Identities and their origins; 0 is an empty place.
  const identities = new Uint32Array(size);
  const origins = new Uint32Array(size);
  const own = new Uint8Array(size);
  const put = ({ count: spans, identity, origin }: SpanColumns, mine: number): void => {
    for (let i = 0; i < spans; i++) {
      let at = identity[i] & mask;
      while (identities[at] !== 0 && identities[at] !== identity[i]) at = (at + 1) & mask;
      identities[at] = identity[i];
      origins[at] = origin[i];
      own[at] = mine;
    }
  };
  if (before !== null) put(before, 0);
  put(window, 1);
  const differ = new Map<number, boolean>();
  const look = (columns: SpanColumns, all: boolean): void => {
    const { count: spans, time, origin, meta, duration, parent } = columns;
    for (let i = 0; i < spans; i++) {
      if (parent[i] === 0) continue;
      let at = parent[i] & mask;
      while (identities[at] !== 0 && identities[at] !== parent[i]) at = (at + 1) & mask;
      if (identities[at] === 0 || (!all && own[at] === 0)) continue;
      const from = origins[at];
      const to = origin[i];
      if (from === to) continue;
      const pair = from * 0x100000 + to;
      let differs = differ.get(pair);
      if (differs === undefined) differ.set(pair, differs = serviceOf(from) !== serviceOf(to));
      if (!differs) continue;
      const figure = figureAt(figures, Math.floor(time[i] / STEP_MS), from, to);
      figure.spans++;
      count(figure, meta[i], duration[i]);
    }
  };
  look(window, true);
  if (before !== null) look(before, false);
}

/** As it is written: numbers of 32 bits, origins that are -1 as 2^32 - 1. */
export function encodeFigures(figures: Figures): Uint8Array {
  const out: number[] = [];
  for (const { step, from, origin, spans, requests, errors, buckets } of figures.values()) {
    out.push(step, from >>> 0, origin, spans, requests, errors, buckets.size);
    for (const [bucket, each] of buckets) out.push(bucket, each);
  }
  return new Uint8Array(Uint32Array.from(out).buffer);
}

/** Calls `each` with what was written, without making anything: buckets are in `words` from `at`. */
export function readFigures(
  bytes: Uint8Array,
  each: (
    figure: {
      step: number;
      from: number;
      origin: number;
      spans: number;
      requests: number;
      errors: number;
    },
    words: Uint32Array,
    at: number,
    buckets: number,
  ) => void,
): void {
  const copy = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Uint32Array(copy.buffer, copy.byteOffset, copy.length >>> 2);
  for (let at = 0; at + 7 <= words.length;) {
    const buckets = words[at + 6];
    const figure = {
      step: words[at],
      from: words[at + 1] | 0,
      origin: words[at + 2],
      spans: words[at + 3],
      requests: words[at + 4],
      errors: words[at + 5],
    };
    each(figure, words, at + 7, buckets);
    at += 7 + buckets * 2;
  }
}
