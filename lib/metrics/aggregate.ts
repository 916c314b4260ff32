/**
 * Measurements to data points: every record is added to its series; at a collection the series
 * become requests.
 *
 * Metrics data model, "Temporality", and SDK specification, "Aggregation" and "Cardinality limits".
 *
 * @module
 */
import type { Request } from "../otlp/request.ts";
import type { ScopeEntry } from "../otlp/scopes.ts";
import { isLater, noteTime, type Source } from "../otlp/source.ts";
import type { RecordCopy, RingReader } from "../ring/read.ts";
import { Accumulator, type AccumulatorOptions, canForget } from "./accumulate.ts";
import { lookAhead } from "./ahead.ts";
import { putAttributeSet } from "./attribute-set.ts";
import { Encoder } from "./encode.ts";
import { type InstrumentOptions, Instruments, type SourceMetrics } from "./instruments.ts";
import { hashOfRecord, UNKNOWN } from "./known.ts";
import { measurement, readMeasurement } from "./measurement.ts";
import { EXEMPLARS, MEASURED, NEXT, NO_SERIES, ROW_WORDS, START, STREAM, TIME } from "./series.ts";
import { type AggregatorParts, restoreAggregator, saveAggregator } from "./state.ts";
import type { Stream } from "./stream.ts";

export type { TemporalityPreference } from "./stream.ts";

/** How measurements are aggregated. */
export interface AggregatorOptions extends InstrumentOptions, AccumulatorOptions {
  /** Bytes of a request at most, unless one data point has more. Default 1,000,000. */
  readonly maxRequestBytes?: number;
}

/** What was counted since the start. */
export interface AggregationCounts {
  /** Measurements taken, those in the next three lines among them. */
  readonly measurements: number;
  /** Of these, those that went into the series of an overflow, in whatever stream. */
  readonly overflowed: number;
  /** What went there since its process has its share of all series, counted by stream. */
  readonly crowded: number;
  /** NaN and infinities, which no aggregation can hold. */
  readonly nonFinite: number;
  /** Negative increments of monotonic sums. */
  readonly negative: number;
  /** Measurements of instruments that all views drop. */
  readonly dropped: number;
  /** Data points in requests. */
  readonly points: number;
}

/** Collections without a measurement after which the series of a delta stream is forgotten. */
const IDLE_COLLECTIONS = 4;
/** As long as Prometheus takes a sample for the present. */
const STALE_SECONDS = 300;
/** What is remembered of a file's records and is small is in the processor's cache as it is. */
const CACHED_BYTES = 1 << 20;
/** Below what proxies accept unless told otherwise. */
const MAX_REQUEST_BYTES = 1_000_000;

/** All streams of all processes. */
export class Aggregator {
  private readonly instruments: Instruments;
  private readonly accumulator: Accumulator;
  private readonly encoder: Encoder;
  private measurements = 0;
  private overflowed = 0;
  private dropped = 0;
  private points = 0;

  /**
   * @param scopeOf The scope that a ref of a file's dictionary names; throws a Rejection for none.
   */
  constructor(
    scopeOf: (source: Source, ref: number) => ScopeEntry,
    options: AggregatorOptions,
  ) {
    this.instruments = new Instruments(scopeOf, options);
    this.accumulator = new Accumulator(options);
    const { series, exponentials, exemplars } = this.accumulator;
    const maxBytes = options.maxRequestBytes ?? MAX_REQUEST_BYTES;
    this.encoder = new Encoder(series, exponentials, exemplars, maxBytes);
  }

  /** What was counted since the start. */
  get counts(): AggregationCounts {
    const { measurements, overflowed, dropped, points } = this;
    const { nonFinite, negative, crowded } = this.accumulator;
    return { measurements, overflowed, crowded, nonFinite, negative, dropped, points };
  }

  /** Series there are now. */
  get series(): number {
    return this.accumulator.series.count;
  }

  /** Adds a process. */
  addProcess(process: number): void {
    this.instruments.addProcess(process);
  }

  /** Forgets a process with all its series. */
  removeProcess(process: number): void {
    this.instruments.removeProcess(process, (stream) => this.releaseAll(stream));
  }

  private releaseAll(stream: Stream): void {
    const { series } = this.accumulator;
    for (let each = stream.first; each !== NO_SERIES;) {
      const next = series.words[each * ROW_WORDS + NEXT];
      this.accumulator.release(stream, each);
      each = next;
    }
  }

  /** Everything it holds, to go on with elsewhere; see lib/metrics/state.ts. */
  save(): Uint8Array<ArrayBuffer> {
    const { measurements, overflowed, dropped, points } = this;
    return saveAggregator(this.parts, { measurements, overflowed, dropped, points });
  }

  /**
   * Goes on with what another aggregator saved: this one must be new, its processes are there
   * afterwards, and it is of no use when this throws an Error for bytes that are no such state.
   * Instruments of which views and options make other streams now are exported once more, then they
   * begin anew.
   *
   * @param scopeAt The scopes by index: `scopeAt` of the assembler that was saved at the same moment
   * and is restored already.
   */
  restore(bytes: Uint8Array, scopeAt: (index: number) => ScopeEntry | null): void {
    const counts = restoreAggregator(this.parts, bytes, scopeAt);
    this.measurements = counts.measurements;
    this.overflowed = counts.overflowed;
    this.dropped = counts.dropped;
    this.points = counts.points;
  }

  private get parts(): AggregatorParts {
    return { instruments: this.instruments, accumulator: this.accumulator };
  }

  /**
   * Takes a record of the measurements ring; throws a Rejection for one that can't be read, which
   * then has changed nothing.
   *
   * @param guess What `lookAhead` says of it, right or wrong; 0 where it says nothing.
   */
  take(source: Source, copy: RecordCopy, guess: number = 0): void {
    readMeasurement(copy);
    noteTime(source.process, measurement.timeLow, measurement.timeHigh);
    const { accumulator, instruments } = this;
    const metrics = instruments.metricsOf(source);
    const { series } = accumulator;
    const { metricRef, attributes: { i32 }, start, end } = measurement;
    const first = start >> 2;
    const length = end - start;
    const { known } = metrics;
    let entry = guess === 0 ? UNKNOWN : known.find(series, metricRef, i32, first, length, guess);
    if (entry === UNKNOWN) {
      const hash = hashOfRecord(metricRef, i32, first, length);
      entry = known.find(series, metricRef, i32, first, length, hash);
      if (entry === UNKNOWN) return this.takeUnknown(source, metrics, hash, copy);
    }
    this.measurements++;
    if (accumulator.refuses(this.streamOf(known.seriesOf(entry, 0)))) return;
    const count = known.countOf(entry);
    for (let i = 0; i < count; i++) {
      const one = known.seriesOf(entry, i);
      accumulator.add(this.streamOf(one), one, source, copy);
    }
  }

  /**
   * Looks at the next `count` measurements of a ring, AHEAD at most. Returns what to tell `take` of each,
   * until the next call; null where there is nothing to be gained.
   */
  lookAhead(source: Source, ring: RingReader, count: number): Int32Array | null {
    const { known } = this.instruments.metricsOf(source);
    if (known.bytes < CACHED_BYTES) return null;
    return lookAhead(ring, count, known, this.accumulator.series);
  }

  /** Whether a collection of a process would find data points. */
  hasPoints(process: number): boolean {
    for (const scopes of this.instruments.processes.get(process)?.resources.values() ?? []) {
      for (const { streams } of scopes) {
        for (const index of streams) {
          const stream = this.instruments.streams[index]!;
          if (stream.isDouble) continue;
          if (stream.measured > 0 || (stream.count > 0 && isExportedAlways(stream))) return true;
        }
      }
    }
    return false;
  }

  /**
   * Makes requests of all that there is to export of a process, and begins the next interval.
   * `nowLow` and `nowHigh` are the time of the points, ns since the epoch.
   */
  collect(
    process: number,
    nowLow: number,
    nowHigh: number,
    emit: (request: Request) => void,
  ): void {
    const metrics = this.instruments.processes.get(process);
    if (metrics === undefined) return;
    const { encoder } = this;
    this.instruments.warnOfThreads(metrics, this.accumulator.series);
    encoder.begin(nowLow, nowHigh, emit);
    for (const [resource, scopes] of metrics.resources) {
      encoder.resource(process, resource);
      for (const { scope, streams } of scopes) {
        encoder.scope(scope);
        for (let i = 0; i < streams.length; i++) this.collectStream(streams[i], nowLow, nowHigh);
      }
    }
    this.points += encoder.finish();
    const { instruments } = this;
    if (instruments.ending.size > 0) {
      instruments.removeEnding(process, (stream) => this.releaseAll(stream));
    }
  }

  /**
   * Makes requests of everything of a process, always cumulative, and changes nothing: neither
   * intervals nor exemplars begin anew. Metrics of delta temporality are in it with the option
   * `keepsCumulative`.
   */
  snapshot(
    process: number,
    nowLow: number,
    nowHigh: number,
    emit: (request: Request) => void,
  ): void {
    const metrics = this.instruments.processes.get(process);
    if (metrics === undefined) return;
    const { accumulator, encoder } = this;
    encoder.begin(nowLow, nowHigh, emit);
    for (const [resource, scopes] of metrics.resources) {
      encoder.resource(process, resource);
      for (const { scope, streams } of scopes) {
        encoder.scope(scope);
        for (const index of streams) {
          const stream = this.instruments.streams[index]!;
          if (stream.count === 0 || stream.isDelta) continue;
          encoder.metric(stream);
          for (let series = stream.first; series !== NO_SERIES;) {
            if (!this.isStale(stream, series, nowLow, nowHigh)) encoder.point(stream, series);
            series = accumulator.series.words[series * ROW_WORDS + NEXT];
          }
        }
      }
    }
    encoder.finish();
  }

  /** What is observable and was not observed for long is not there any more. */
  private isStale(stream: Stream, series: number, nowLow: number, nowHigh: number): boolean {
    if (!stream.isObservable) return false;
    const { words } = this.accumulator.series;
    const at = series * ROW_WORDS + TIME;
    return seconds(nowLow, nowHigh) - seconds(words[at], words[at + 1]) > STALE_SECONDS;
  }

  /** Gives back the buffer of a request that nobody looks at any more. */
  recycle(request: Request): void {
    this.encoder.recycle(request);
  }

  private streamOf(series: number): Stream {
    return this.instruments.streams[this.accumulator.series.words[series * ROW_WORDS + STREAM]]!;
  }

  /** A record that is like none before. */
  private takeUnknown(
    source: Source,
    metrics: SourceMetrics,
    hash: number,
    copy: RecordCopy,
  ): void {
    const { accumulator, instruments } = this;
    const { series } = accumulator;
    const { metricRef, attributes: { i32 }, start, end } = measurement;
    const { streams } = instruments.instrumentOf(source, metrics, metricRef);
    // All sets before the first series is made, since one may be unreadable.
    for (let i = streams.length - 1; i >= 0; i--) this.putSet(source, streams[i]);
    this.measurements++;
    if (streams.length === 0) {
      this.dropped++;
      return;
    }
    if (accumulator.refuses(instruments.streams[streams[0]]!)) return;
    const found: number[] = [];
    let isOverflow = false;
    for (let i = 0; i < streams.length; i++) {
      // The first one's set is the last that was put.
      if (i > 0) this.putSet(source, streams[i]);
      const stream = instruments.streams[streams[i]]!;
      const one = accumulator.seriesOf(stream, streams[i]);
      if (one === stream.overflow) isOverflow = true;
      found.push(one);
    }
    if (isOverflow) this.overflowed++;
    else metrics.known.add(series, metricRef, i32, start >> 2, end - start, hash, found);
    for (const one of found) accumulator.add(this.streamOf(one), one, source, copy);
  }

  private putSet(source: Source, index: number): void {
    const { attributeTag, filter } = this.instruments.streams[index]!;
    putAttributeSet(source, attributeTag, filter);
  }

  private collectStream(index: number, nowLow: number, nowHigh: number): void {
    const { accumulator } = this;
    const stream = this.instruments.streams[index]!;
    if (stream.isDouble) return;
    const isAlways = isExportedAlways(stream);
    const hasIdle = stream.measured < stream.count && canForget(stream);
    if (isLater(stream.sinceLow, stream.sinceHigh, nowLow, nowHigh)) {
      stream.sinceLow = nowLow;
      stream.sinceHigh = nowHigh;
    }
    if (stream.measured > 0 || hasIdle || isAlways) {
      if (stream.measured > 0 || (isAlways && stream.count > 0)) {
        this.encoder.metric(stream, this.instruments.ending.has(index));
      }
      for (let series = stream.first; series !== NO_SERIES;) {
        this.collectSeries(stream, series, isAlways, nowLow, nowHigh);
        series = accumulator.series.words[series * ROW_WORDS + NEXT];
      }
      stream.measured = 0;
      if (hasIdle) accumulator.forget(stream, IDLE_COLLECTIONS);
    }
    stream.sinceLow = nowLow;
    stream.sinceHigh = nowHigh;
  }

  private collectSeries(
    stream: Stream,
    series: number,
    isAlways: boolean,
    nowLow: number,
    nowHigh: number,
  ): void {
    const { exemplars, series: { words } } = this.accumulator;
    const row = series * ROW_WORDS;
    const isMeasured = words[row + MEASURED] > 0;
    if (isMeasured || isAlways) {
      // The clock of a collection may be behind that of a measurement.
      if (isLater(words[row + START], words[row + START + 1], nowLow, nowHigh)) {
        words[row + START] = nowLow;
        words[row + START + 1] = nowHigh;
      }
      this.encoder.point(stream, series);
    }
    if (words[row + EXEMPLARS] > 0) exemplars.reset(words[row + EXEMPLARS] - 1);
    if (!stream.isDelta) words[row + MEASURED] = 0;
    else if (!isMeasured) words[row + MEASURED]--;
    else {
      words[row + MEASURED] = 0;
      this.accumulator.clear(stream, series);
    }
  }
}

function seconds(low: number, high: number): number {
  return ((high >>> 0) * 2 ** 32 + (low >>> 0)) / 1e9;
}

/** Cumulative series that are told, not asked, are always there. */
function isExportedAlways(stream: Stream): boolean {
  return !stream.isDelta && !stream.isObservable;
}
