/**
 * Instruments by what their definitions say, whichever file says it, and the streams they feed.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ScopeMetricsSchema } from "../../proto/gen/otlp_pb.ts";
import { RefTable } from "../dictionary/refs.ts";
import { REJECT_LIMIT } from "../format/layout.ts";
import type { ResourceEntry, ScopeEntry } from "../otlp/scopes.ts";
import { isLater, type Source } from "../otlp/source.ts";
import { BAD_REF, Rejection } from "../record/wire.ts";
import { Handles } from "./blocks.ts";
import { type Definition, isObservable, readDefinition } from "./definition.ts";
import { KnownRecords } from "./known.ts";
import { NEXT, NO_SERIES, ROW_WORDS, type SeriesPool, TIME } from "./series.ts";
import { createStream, doubleOf, type Stream, type StreamOptions } from "./stream.ts";
import { matchViews, type View } from "./views.ts";

/** How definitions become streams. */
export interface InstrumentOptions extends StreamOptions {
  readonly views: readonly View[];
  /** Gets what people should know of views and instruments. */
  readonly warn?: (message: string) => void;
}

/** Refs of one file whose definitions, or what is wrong with them, are remembered. */
const MAX_REFS = 20_000;
/** More instruments in one process are refused. */
const MAX_INSTRUMENTS = 10_000;
const TOO_MANY = new Rejection("more than 10,000 instruments in a process", REJECT_LIMIT);
/** UTF-16 units of what their definitions say: as much as 10,000 of a usual length, and far more. */
const MAX_DEFINITIONS = 16 << 20;
const TOO_LONG = new Rejection(
  "definitions of instruments that are too long together",
  REJECT_LIMIT,
);

/** Indexes of the streams of an instrument; none where all views drop it. */
export interface Instrument {
  readonly streams: readonly number[];
}

/** An observable instrument. */
interface Observed extends Instrument {
  /** Ns since the epoch. */
  readonly created: bigint;
}

/** Indexes of the streams of a scope, in the order they came. */
export interface ScopeStreams {
  readonly scope: ScopeEntry;
  readonly streams: number[];
}

/** What is kept of a process. */
export interface ProcessMetrics {
  /** By their keys. */
  readonly instruments: Map<string, Instrument>;
  /** Observable instruments by what their definitions say, in the order they were created. */
  readonly observed: Map<string, Observed[]>;
  /** UTF-16 units of these. */
  length: number;
  readonly resources: Map<ResourceEntry, ScopeStreams[]>;
  /**
   * Instruments, by what their definitions say, that begin anew: what was measured from their creation
   * on is in points that are sent already.
   */
  readonly renewed: Set<string>;
}

/** What is kept of a file. */
export interface SourceMetrics {
  /** By metric_ref: index in `found`. */
  readonly refs: RefTable;
  /** Instruments, and why others are none. */
  readonly found: (Instrument | Rejection)[];
  readonly known: KnownRecords;
}

/** The instruments of all processes. */
export class Instruments {
  /** By index; null where the process is forgotten. */
  readonly streams: (Stream | null)[] = [];
  readonly processes: Map<number, ProcessMetrics> = new Map();

  /** Streams that no instrument has any more: they go with the next collection. */
  readonly ending: Set<number> = new Set();
  /** Indexes of streams. */
  readonly numbers: Handles = new Handles();

  private readonly scopeOf: (source: Source, ref: number) => ScopeEntry;
  private readonly options: InstrumentOptions;
  private readonly sources = new WeakMap<Source, SourceMetrics>();
  /** Processes of which it was said that their threads contradict each other. */
  private readonly warned = new WeakSet<ProcessMetrics>();
  private lastSource: Source | null = null;
  private last: SourceMetrics | null = null;

  /** @param scopeOf The scope that a ref of a file's dictionary names; throws a Rejection for none. */
  constructor(
    scopeOf: (source: Source, ref: number) => ScopeEntry,
    options: InstrumentOptions,
  ) {
    this.scopeOf = scopeOf;
    this.options = options;
  }

  /** Adds a process. */
  addProcess(process: number): void {
    const metrics = {
      instruments: new Map(),
      observed: new Map(),
      length: 0,
      resources: new Map(),
      renewed: new Set<string>(),
    };
    this.processes.set(process, metrics);
  }

  /** Forgets a process, having called `release` with each of its streams. */
  removeProcess(process: number, release: (stream: Stream) => void): void {
    for (const scopes of this.processes.get(process)?.resources.values() ?? []) {
      for (const { streams } of scopes) {
        for (const index of streams) this.removeStream(index, release);
      }
    }
    this.processes.delete(process);
    this.lastSource = null;
    this.last = null;
  }

  /** Forgets the streams of a process that are ending, having called `release` with each. */
  removeEnding(process: number, release: (stream: Stream) => void): void {
    for (const scopes of this.processes.get(process)?.resources.values() ?? []) {
      for (const { streams } of scopes) {
        for (let i = streams.length - 1; i >= 0; i--) {
          if (this.ending.has(streams[i])) this.removeStream(streams.splice(i, 1)[0], release);
        }
      }
    }
  }

  private removeStream(index: number, release: (stream: Stream) => void): void {
    release(this.streams[index]!);
    this.streams[index] = null;
    this.numbers.give(index);
    this.ending.delete(index);
  }

  /** What is kept of a file. */
  metricsOf(source: Source): SourceMetrics {
    // Records come from one file for a while.
    if (source === this.lastSource) return this.last!;
    let metrics = this.sources.get(source);
    if (metrics === undefined) {
      metrics = { refs: new RefTable(), found: [], known: new KnownRecords() };
      this.sources.set(source, metrics);
    }
    this.lastSource = source;
    this.last = metrics;
    return metrics;
  }

  /** The instrument that a metric_ref names; throws a Rejection where it names none. */
  instrumentOf(source: Source, metrics: SourceMetrics, metricRef: number): Instrument {
    if (metricRef <= 0) throw BAD_REF;
    const index = metrics.refs.get(metricRef);
    let found = metrics.found[index];
    if (index < 0) {
      found = this.tryLoad(source, metricRef);
      // A definition that makes no sense makes none the next time. There are refs without end,
      // though, that name nothing.
      if (metrics.found.length < MAX_REFS) {
        metrics.refs.set(metricRef, metrics.found.push(found) - 1);
      }
    }
    if (found instanceof Rejection) throw found;
    return found;
  }

  private tryLoad(source: Source, metricRef: number): Instrument | Rejection {
    try {
      return this.load(source, metricRef);
    } catch (error) {
      if (error instanceof Rejection) return error;
      throw error;
    }
  }

  private load(source: Source, metricRef: number): Instrument {
    const read = readDefinition(source.dictionary, metricRef);
    const scope = this.scopeOf(source, read.scopeRef);
    const process = this.processes.get(scope.process)!;
    const { scopeRef: _, created, ...said } = read;
    const key = keyOf(scope.index, created, said);
    const known = process.instruments.get(key);
    if (known !== undefined) return known;
    if (process.instruments.size >= MAX_INSTRUMENTS) throw TOO_MANY;
    if (process.length + key.length > MAX_DEFINITIONS) throw TOO_LONG;
    process.length += key.length;
    // What was measured from its creation on is in points that are sent already: these start with
    // the first measurement that is seen.
    const isSent = process.renewed.delete(key) || source.wasMeasured;
    const definition = isSent ? { ...read, created: 0n } : read;
    let group = process.resources.get(scope.resource);
    if (group === undefined) process.resources.set(scope.resource, group = []);
    let inScope = group.find((each) => each.scope === scope);
    if (inScope === undefined) group.push(inScope = { scope, streams: [] });
    const streams: number[] = [];
    for (const stream of this.streamsOf(definition, scope, this.options.warn)) {
      const index = this.numbers.take();
      this.streams[index] = stream;
      streams.push(index);
      inScope.streams.push(index);
    }
    const instrument = { streams };
    this.enter(process, key, instrument);
    return instrument;
  }

  /** Adds an instrument to those of a process. */
  enter(process: ProcessMetrics, key: string, instrument: Instrument): void {
    process.instruments.set(key, instrument);
    const { scope, created, said } = partsOf(key);
    if (created === TOLD) return;
    const observed = `${scope} ${said}`;
    const same = process.observed.get(observed) ?? [];
    same.push({ created: BigInt(created), streams: instrument.streams });
    same.sort((a, b) => a.created < b.created ? -1 : 1);
    process.observed.set(observed, same);
  }

  /**
   * Warns of what several threads of a process observe. An SDK that took the place of one that was shut
   * down observes what that did, too, but only afterwards. `pool` has their series, before a collection.
   */
  warnOfThreads(process: ProcessMetrics, pool: SeriesPool): void {
    if (this.warned.has(process)) return;
    for (const [observed, same] of process.observed) {
      const isTwice = same.some(({ streams }, i) =>
        i + 1 < same.length && streams.some((index) => {
          const stream = this.streams[index];
          return stream !== null && wasMeasuredAfter(stream, same[i + 1].created, pool);
        })
      );
      if (!isTwice) continue;
      this.warned.add(process);
      const { name } = JSON.parse(observed.slice(observed.indexOf("{")));
      this.options.warn?.(
        `metric ${name}: is observed by several threads, or SDKs, of one process ` +
          `under one resource: their points contradict each other. Give each thread a ` +
          `service.instance.id of its own, or observe it in one of them`,
      );
      return;
    }
  }

  /** The streams that views and options make of an instrument. */
  private streamsOf(
    definition: Definition,
    scope: ScopeEntry,
    warn: ((message: string) => void) | undefined,
  ): Stream[] {
    const { options } = this;
    const { name, unit, isOurs, instrument } = definition;
    const type = isOurs ? instrument : 0;
    const settings = matchViews(options.views, { name, unit, type, ...meterOf(scope) }, warn);
    const made = settings.map((each) => createStream(definition, each, scope, options));
    // Behind the others: the first one says what the instrument can measure.
    if (options.keepsCumulative) made.push(...made.filter((each) => each.isDelta).map(doubleOf));
    const refusesNegative = made.some(({ isMonotonic }) => isMonotonic);
    for (const stream of made) stream.refusesNegative = refusesNegative;
    return made;
  }

  /** Tells people. */
  warn(messages: readonly string[]): void {
    for (const message of messages) this.options.warn?.(message);
  }

  /** The streams of the instrument with a key of `ProcessMetrics.instruments`, all new. */
  streamsOfKey(key: string, scope: ScopeEntry, warn: (message: string) => void): Stream[] {
    const { created, said } = partsOf(key);
    return this.streamsOf(
      { ...JSON.parse(said), scopeRef: 0, created: BigInt(created) },
      scope,
      warn,
    );
  }
}

/** Whether a stream was measured after `time`, and since the last collection. */
function wasMeasuredAfter(stream: Stream, time: bigint, { words }: SeriesPool): boolean {
  if (stream.measured === 0) return false;
  const low = Number(BigInt.asIntN(32, time));
  const high = Number(BigInt.asIntN(32, time >> 32n));
  for (let series = stream.first; series !== NO_SERIES;) {
    const row = series * ROW_WORDS;
    if (isLater(words[row + TIME], words[row + TIME + 1], low, high)) return true;
    series = words[row + NEXT];
  }
  return false;
}

/** In a key, of an instrument that is told. */
const TOLD = "0";

/**
 * The key of an instrument: its scope, when it was created, and what its definition says. What is told
 * may come from several threads of one resource and is one stream then, whenever each of them has
 * created it; what is observed is a total of one thread.
 */
function keyOf(scope: number, created: bigint, said: { readonly instrument: number }): string {
  const when = isObservable(said.instrument) ? created : TOLD;
  return `${scope} ${when} ${JSON.stringify(said)}`;
}

/** The key, which keys of earlier versions were not, of those that are told. */
export function keyOfSaved(key: string): string {
  const { scope, created, said } = partsOf(key);
  return keyOf(Number(scope), BigInt(created), JSON.parse(said));
}

function partsOf(key: string): { scope: string; created: string; said: string } {
  const [scope, created] = key.split(" ", 2);
  return { scope, created, said: key.slice(scope.length + created.length + 2) };
}

/** What views look at in a scope. */
function meterOf(
  { head, tail }: ScopeEntry,
): { meterName: string; meterVersion: string; meterSchemaUrl: string } {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  const { scope, schemaUrl } = fromBinary(ScopeMetricsSchema, bytes);
  return {
    meterName: scope?.name ?? "",
    meterVersion: scope?.version ?? "",
    meterSchemaUrl: schemaUrl,
  };
}
