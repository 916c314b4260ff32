/**
 * What an aggregator holds between two records, as bytes: the instruments of each process, their
 * streams, all series, and what was counted. An aggregator that was made from them gives the same
 * requests for the same records and collections, byte by byte, exemplars chosen at random among them.
 *
 * Not in it are what is remembered of files (which metric_ref is which instrument, which bytes are
 * which series): that is found again. A metric_ref that named nothing is looked at again too.
 *
 * Views and options are those of the new aggregator. An instrument of which they make the same
 * streams goes on, with the limit they say now; of one of which they make others, the next collection
 * has all points for the last time, and what is measured from then on starts anew.
 *
 * @module
 */
import type { ScopeEntry } from "../otlp/scopes.ts";
import { type StateKind, StateReader, StateWriter } from "../state/bytes.ts";
import type { Accumulator } from "./accumulate.ts";
import { MAX_BLOCK } from "./blocks.ts";
import { MAX_BUCKETS, MAX_SCALE, MIN_BUCKETS, MIN_SCALE } from "./exponential.ts";
import { type Instruments, keyOfSaved, type ProcessMetrics } from "./instruments.ts";
import { restoreSeries, saveSeries } from "./series-state.ts";
import { ATTRIBUTE_TAGS, EXPONENTIAL, GAUGE, type Stream } from "./stream.ts";
import { NO_SERIES } from "./series.ts";

/**
 * The version is raised also when other things become part of a stream or of the key of an
 * instrument (lib/metrics/instruments.ts).
 */
const KIND: StateKind = { magic: "OMAG", version: 2, name: "metrics" };

/** The parts of an aggregator. */
export interface AggregatorParts {
  readonly instruments: Instruments;
  readonly accumulator: Accumulator;
}

/** What the aggregator itself counted. */
export interface OwnCounts {
  readonly measurements: number;
  readonly overflowed: number;
  readonly dropped: number;
  readonly points: number;
}

/** A stream that was saved: with the text of its filter, which it does not have yet. */
interface SavedStream {
  stream: Stream;
  readonly filter: string;
  isEnding: boolean;
  /** Some scope has it. */
  isInScope: boolean;
}

/** Saves an aggregator. */
export function saveAggregator(parts: AggregatorParts, counts: OwnCounts): Uint8Array<ArrayBuffer> {
  const { instruments, accumulator } = parts;
  const out = new StateWriter(KIND);
  for (const count of [counts.measurements, counts.overflowed, counts.dropped, counts.points]) {
    out.double(count);
  }
  out.double(accumulator.nonFinite);
  out.double(accumulator.negative);
  out.double(accumulator.crowded);
  out.word(instruments.streams.length);
  for (const [index, stream] of instruments.streams.entries()) {
    out.word(stream === null ? -1 : stream.scope.index);
    if (stream !== null) saveStream(out, stream, instruments.ending.has(index));
  }
  out.word(instruments.processes.size);
  for (const [index, process] of instruments.processes) {
    out.word(index);
    saveProcess(out, process);
  }
  saveSeries(out, accumulator, instruments.streams.filter((stream) => stream !== null));
  return out.finish();
}

/**
 * Puts what was saved into an aggregator that is new. Throws an Error for bytes that are no such
 * state; the aggregator is of no use then.
 *
 * @param scopeAt The scopes by index, those of the assembler that was saved at the same moment.
 */
export function restoreAggregator(
  parts: AggregatorParts,
  bytes: Uint8Array,
  scopeAt: (index: number) => ScopeEntry | null,
): OwnCounts {
  const { instruments, accumulator } = parts;
  if (instruments.processes.size > 0) {
    throw new Error("metrics can be restored only into a new aggregator");
  }
  const from = new StateReader(bytes, KIND);
  const [measurements, overflowed, dropped, points] = [0, 0, 0, 0].map(() => from.counter());
  accumulator.nonFinite = from.counter();
  accumulator.negative = from.counter();
  accumulator.crowded = from.counter();
  const saved: (SavedStream | null)[] = [];
  const length = from.count(4);
  for (let i = 0; i < length; i++) saved.push(restoreStream(from, scopeAt));
  const processes = from.count(16);
  for (let i = 0; i < processes; i++) restoreProcess(from, instruments, saved, scopeAt);
  const streams: Stream[] = [];
  const indexes: number[] = [];
  const free: number[] = [];
  for (const [index, each] of saved.entries()) {
    instruments.streams.push(each?.stream ?? null);
    if (each === null) free.push(index);
    else {
      if (!each.isInScope) from.fail(`stream ${index} is nowhere`);
      streams.push(each.stream);
      indexes.push(index);
      if (each.isEnding) instruments.ending.add(index);
    }
  }
  instruments.numbers.restore(saved.length, Int32Array.from(free));
  restoreSeries(from, accumulator, streams, indexes);
  from.end();
  return { measurements, overflowed, dropped, points };
}

/** What is true of a stream, each a bit. */
const FLAGS = [
  "isMonotonic",
  "refusesNegative",
  "isDelta",
  "isDouble",
  "isObservable",
  "mayBeAbsolute",
  "omitsMinMax",
  "omitsSum",
] as const satisfies readonly (keyof Stream)[];
const IS_ENDING = 1 << FLAGS.length;
/** `isInt` has three values. */
const KINDS_OF_NUMBERS = [null, false, true] as const;

function saveStream(out: StateWriter, stream: Stream, isEnding: boolean): void {
  let flags = isEnding ? IS_ENDING : 0;
  for (const [bit, name] of FLAGS.entries()) if (stream[name]) flags |= 1 << bit;
  out.word(stream.kind);
  out.word(flags);
  out.word(KINDS_OF_NUMBERS.indexOf(stream.isInt));
  out.array(stream.head);
  out.array(stream.boundaries);
  out.word(stream.maxBuckets);
  out.word(stream.maxScale);
  out.text(stream.filter?.said ?? "");
  out.double(stream.limit);
  out.word(stream.createdLow);
  out.word(stream.createdHigh);
  out.word(stream.sinceLow);
  out.word(stream.sinceHigh);
}

function restoreStream(
  from: StateReader,
  scopeAt: (index: number) => ScopeEntry | null,
): SavedStream | null {
  const index = from.word();
  if (index === -1) return null;
  const scope = scopeAt(index) ?? from.fail(`there is no scope ${index}`);
  const kind = from.wordWithin(GAUGE, EXPONENTIAL + 1);
  const flags = from.wordWithin(0, IS_ENDING << 1);
  const is = (name: typeof FLAGS[number]): boolean => (flags & (1 << FLAGS.indexOf(name))) !== 0;
  const isInt = KINDS_OF_NUMBERS[from.wordWithin(0, KINDS_OF_NUMBERS.length)];
  const head = from.array();
  const boundaries = from.doubles();
  if (boundaries.length >= MAX_BLOCK) from.fail(`${boundaries.length} boundaries`);
  const maxBuckets = from.wordWithin(MIN_BUCKETS, MAX_BUCKETS + 1);
  const maxScale = from.wordWithin(MIN_SCALE, MAX_SCALE + 1);
  const filter = from.text();
  const stream: Stream = {
    scope,
    process: scope.process,
    kind,
    head,
    isMonotonic: is("isMonotonic"),
    refusesNegative: is("refusesNegative"),
    isDelta: is("isDelta"),
    isDouble: is("isDouble"),
    isObservable: is("isObservable"),
    mayBeAbsolute: is("mayBeAbsolute"),
    isInt,
    boundaries,
    maxBuckets,
    maxScale,
    omitsMinMax: is("omitsMinMax"),
    omitsSum: is("omitsSum"),
    attributeTag: ATTRIBUTE_TAGS[kind],
    filter: null,
    limit: from.double(),
    createdLow: from.word(),
    createdHigh: from.word(),
    sinceLow: from.word(),
    sinceHigh: from.word(),
    first: NO_SERIES,
    last: NO_SERIES,
    count: 0,
    overflow: NO_SERIES,
    measured: 0,
  };
  return { stream, filter, isEnding: (flags & IS_ENDING) !== 0, isInScope: false };
}

function saveProcess(out: StateWriter, { instruments, resources, renewed }: ProcessMetrics): void {
  out.word(resources.size);
  for (const scopes of resources.values()) {
    out.word(scopes.length);
    for (const { scope, streams } of scopes) {
      out.word(scope.index);
      out.array(Int32Array.from(streams));
    }
  }
  out.word(instruments.size);
  for (const [key, { streams }] of instruments) {
    out.text(key);
    out.array(Int32Array.from(streams));
  }
  out.word(renewed.size);
  for (const key of renewed) out.text(key);
}

function restoreProcess(
  from: StateReader,
  instruments: Instruments,
  saved: (SavedStream | null)[],
  scopeAt: (index: number) => ScopeEntry | null,
): void {
  const index = from.wordWithin(0, 0x7fffffff);
  if (instruments.processes.has(index)) from.fail(`two processes ${index}`);
  instruments.addProcess(index);
  const process = instruments.processes.get(index)!;
  const scopeOf = (number: number): ScopeEntry => {
    const scope = scopeAt(number);
    return scope?.process === index ? scope : from.fail(`process ${index} has no scope ${number}`);
  };
  const streamAt = (number: number): SavedStream => {
    const each = saved[number];
    return each?.stream.process === index
      ? each
      : from.fail(`process ${index} has no stream ${number}`);
  };
  for (let left = from.count(4); left > 0; left--) {
    for (let scopes = from.count(8); scopes > 0; scopes--) {
      const scope = scopeOf(from.word());
      const streams = [...from.words()];
      for (const each of streams) {
        const own = streamAt(each);
        if (own.stream.scope !== scope || own.isInScope) from.fail(`stream ${each} is elsewhere`);
        own.isInScope = true;
      }
      const group = process.resources.get(scope.resource);
      if (group === undefined) process.resources.set(scope.resource, [{ scope, streams }]);
      else group.push({ scope, streams });
    }
  }
  const changed: string[] = [];
  for (let left = from.count(8); left > 0; left--) {
    const key = readKey(from);
    const streams = [...from.words()];
    const own = streams.map(streamAt);
    const scope = scopeOf(Number(key.split(" ", 1)[0]));
    if (process.instruments.has(key)) {
      // Two threads of one resource, which earlier versions told apart.
      for (const each of own) each.isEnding = true;
    } else if (adopt(from, instruments, key, scope, own)) {
      instruments.enter(process, key, { streams });
      process.length += key.length;
    } else changed.push(key);
  }
  for (let left = from.count(4); left > 0; left--) process.renewed.add(readKey(from));
  for (const key of changed) process.renewed.add(key);
}

function readKey(from: StateReader): string {
  const text = from.text();
  try {
    return keyOfSaved(text);
  } catch {
    return from.fail("an instrument that nobody defined");
  }
}

/**
 * Makes of an instrument's saved streams what they are under the views and options there are now:
 * true where these still make the same, else they are ending.
 */
function adopt(
  from: StateReader,
  instruments: Instruments,
  key: string,
  scope: ScopeEntry,
  saved: SavedStream[],
): boolean {
  const warnings: string[] = [];
  let wanted: Stream[];
  try {
    wanted = instruments.streamsOfKey(key, scope, (message) => warnings.push(message));
  } catch {
    return from.fail("an instrument that nobody defined");
  }
  const fits = wanted.length === saved.length && saved.every((each, i) => isSame(each, wanted[i]));
  for (const [i, each] of saved.entries()) {
    if (!fits) each.isEnding = true;
    else each.stream = { ...each.stream, filter: wanted[i].filter, limit: wanted[i].limit };
  }
  instruments.warn(
    fits ? warnings : [
      `${nameOf(key)}: views or options are not what they were before the restart: what was ` +
      "measured so far is sent once more, then it begins anew",
    ],
  );
  return fits;
}

function nameOf(key: string): string {
  return JSON.parse(key.slice(key.indexOf("{"))).name;
}

/** Whether a stream that was saved is what views and options make now. */
function isSame({ stream, filter }: SavedStream, wanted: Stream): boolean {
  return FLAGS.every((name) => stream[name] === wanted[name]) && stream.kind === wanted.kind &&
    stream.maxBuckets === wanted.maxBuckets && stream.maxScale === wanted.maxScale &&
    filter === (wanted.filter?.said ?? "") && isAlike(stream.head, wanted.head) &&
    isAlike(stream.boundaries, wanted.boundaries);
}

function isAlike(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
