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
import { noteTime, type Source } from "../otlp/source.ts";
import type { RecordCopy } from "../ring/read.ts";
import { Accumulator, type AccumulatorOptions } from "./accumulate.ts";
import { putAttributeSet } from "./attribute-set.ts";
import { Encoder } from "./encode.ts";
import { type InstrumentOptions, Instruments, type SourceMetrics } from "./instruments.ts";
import { hashOfRecord } from "./known.ts";
import { measurement, readMeasurement } from "./measurement.ts";
import { EXEMPLARS, MEASURED, NEXT, NO_SERIES, ROW_WORDS, STREAM } from "./series.ts";
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
  /** Of these, those that went into the series of an overflow. */
  readonly overflowed: number;
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
    const { nonFinite, negative } = this.accumulator;
    return { measurements, overflowed, nonFinite, negative, dropped, points };
  }

  /** Adds a process. */
  addProcess(process: number): void {
    this.instruments.addProcess(process);
  }

  /** Forgets a process with all its series. */
  removeProcess(process: number): void {
    const { series } = this.accumulator;
    this.instruments.removeProcess(process, (stream) => {
      for (let each = stream.first; each !== NO_SERIES;) {
        const next = series.words[each * ROW_WORDS + NEXT];
        this.accumulator.release(stream, each);
        each = next;
      }
    });
  }

  /**
   * Takes a record of the measurements ring; throws a Rejection for one that can't be read, which
   * then has changed nothing.
   */
  take(source: Source, copy: RecordCopy): void {
    readMeasurement(copy);
    noteTime(source.process, measurement.timeLow, measurement.timeHigh);
    const { accumulator, instruments } = this;
    const metrics = instruments.metricsOf(source);
    const { series } = accumulator;
    const { metricRef, attributes, start, end } = measurement;
    const hash = hashOfRecord(metricRef, attributes, start, end);
    const known = metrics.known.find(series, metricRef, attributes, start, end, hash);
    if (known === NO_SERIES) return this.takeUnknown(source, metrics, hash, copy);
    this.measurements++;
    const stream = instruments.streams[series.words[known * ROW_WORDS + STREAM]]!;
    if (!accumulator.refuses(stream)) accumulator.add(stream, known, source, copy);
  }

  /** Whether a collection of a process would find data points. */
  hasPoints(process: number): boolean {
    for (const scopes of this.instruments.processes.get(process)?.resources.values() ?? []) {
      for (const { streams } of scopes) {
        for (const index of streams) {
          const stream = this.instruments.streams[index]!;
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
    encoder.begin(nowLow, nowHigh, emit);
    for (const [resource, scopes] of metrics.resources) {
      encoder.resource(process, resource);
      for (const { scope, streams } of scopes) {
        encoder.scope(scope);
        for (let i = 0; i < streams.length; i++) this.collectStream(streams[i], nowLow, nowHigh);
      }
    }
    this.points += encoder.finish();
  }

  /** Gives back the buffer of a request that nobody looks at any more. */
  recycle(request: Request): void {
    this.encoder.recycle(request);
  }

  /** A record that is like none before, or belongs to several streams. */
  private takeUnknown(
    source: Source,
    metrics: SourceMetrics,
    hash: number,
    copy: RecordCopy,
  ): void {
    const { accumulator, instruments } = this;
    const { series } = accumulator;
    const { metricRef, attributes, start, end } = measurement;
    const { streams } = instruments.instrumentOf(source, metrics, metricRef);
    // First of all the sets, one of which may be unreadable.
    const found: number[] = [];
    let isOverflow = false;
    for (const index of streams) {
      const stream = instruments.streams[index]!;
      putAttributeSet(source, stream.attributeTag, stream.filter);
      if (accumulator.refuses(stream)) continue;
      const one = accumulator.seriesOf(stream, index);
      if (one === stream.overflow) isOverflow = true;
      found.push(one);
    }
    this.measurements++;
    if (streams.length === 0) this.dropped++;
    if (isOverflow) this.overflowed++;
    if (streams.length === 1 && found.length === 1 && !isOverflow) {
      metrics.known.add(series, metricRef, attributes, start, end, hash, found[0]);
    }
    for (const one of found) {
      const stream = instruments.streams[series.words[one * ROW_WORDS + STREAM]]!;
      accumulator.add(stream, one, source, copy);
    }
  }

  private collectStream(index: number, nowLow: number, nowHigh: number): void {
    const stream = this.instruments.streams[index]!;
    const isAlways = isExportedAlways(stream);
    if (stream.measured === 0 && (!isAlways || stream.count === 0)) {
      if (stream.isDelta) this.ageAll(stream);
    } else {
      const { encoder } = this;
      encoder.metric(stream);
      let before = NO_SERIES;
      for (let series = stream.first; series !== NO_SERIES;) {
        const row = series * ROW_WORDS;
        const next = this.accumulator.series.words[row + NEXT];
        const isMeasured = this.accumulator.series.words[row + MEASURED] > 0;
        if (isMeasured || isAlways) encoder.point(stream, series);
        if (this.accumulator.series.words[row + EXEMPLARS] > 0) {
          this.accumulator.exemplars.reset(this.accumulator.series.words[row + EXEMPLARS] - 1);
        }
        if (isMeasured) {
          this.accumulator.series.words[row + MEASURED] = 0;
          if (stream.isDelta) this.accumulator.clear(stream, series);
          before = series;
        } else if (stream.isDelta && this.age(stream, series, before)) {
          // It is gone.
        } else before = series;
        series = next;
      }
      stream.measured = 0;
    }
    stream.sinceLow = nowLow;
    stream.sinceHigh = nowHigh;
  }

  private ageAll(stream: Stream): void {
    let before = NO_SERIES;
    for (let series = stream.first; series !== NO_SERIES;) {
      const next = this.accumulator.series.words[series * ROW_WORDS + NEXT];
      if (!this.age(stream, series, before)) before = series;
      series = next;
    }
  }

  /** Counts a collection without a measurement; true when the series was forgotten for it. */
  private age(stream: Stream, series: number, before: number): boolean {
    const { words } = this.accumulator.series;
    const row = series * ROW_WORDS;
    if (--words[row + MEASURED] > -IDLE_COLLECTIONS) return false;
    const next = words[row + NEXT];
    if (before === NO_SERIES) stream.first = next;
    else words[before * ROW_WORDS + NEXT] = next;
    if (stream.last === series) stream.last = before;
    if (stream.overflow === series) stream.overflow = NO_SERIES;
    stream.count--;
    this.accumulator.release(stream, series);
    return true;
  }
}

/** Cumulative series that are told, not asked, are always there. */
function isExportedAlways(stream: Stream): boolean {
  return !stream.isDelta && !stream.isObservable;
}
