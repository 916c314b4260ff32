/**
 * Measurements to data points: every record is added to its series; at a collection the series
 * become requests.
 *
 * Metrics data model, "Temporality", and SDK specification, "Aggregation" and "Cardinality limits".
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ScopeMetricsSchema } from "../../proto/gen/otlp_pb.ts";
import { AnyValue, BYTES, OtlpKeyValue, tag, VARINT } from "../format/fields.ts";
import type { Request } from "../otlp/request.ts";
import type { ResourceEntry, ScopeEntry } from "../otlp/scopes.ts";
import { noteTime, type Source } from "../otlp/source.ts";
import type { Bytes } from "../record/bytes.ts";
import { RefTable } from "../dictionary/refs.ts";
import { BAD_REF, Rejection } from "../record/wire.ts";
import type { RecordCopy } from "../ring/read.ts";
import { putAttributeSet, putFiltered, set } from "./attribute-set.ts";
import { chunkOf, offsetOf } from "./blocks.ts";
import { readDefinition } from "./definition.ts";
import { Encoder } from "./encode.ts";
import { ExemplarPool, type Sample } from "./exemplars.ts";
import { ExponentialPool } from "./exponential.ts";
import { hashOfRecord, KnownRecords } from "./known.ts";
import { measurement, readMeasurement } from "./measurement.ts";
import {
  ABSOLUTE,
  BUCKETS,
  COUNT,
  EXEMPLARS,
  hashOf,
  INT,
  MAX,
  MEASURED,
  MIN,
  NEXT,
  NO_SERIES,
  ROW_DOUBLES,
  ROW_WORDS,
  SeriesPool,
  START,
  STREAM,
  TIME,
  VALUE,
} from "./series.ts";
import {
  createStream,
  EXPONENTIAL,
  GAUGE,
  HISTOGRAM,
  type Stream,
  type StreamOptions,
  SUM,
} from "./stream.ts";
import { matchViews, type View } from "./views.ts";

export type { TemporalityPreference } from "./stream.ts";

/** How measurements are aggregated. */
export interface AggregatorOptions extends StreamOptions {
  /** Which measurements become exemplars. */
  readonly exemplars: "trace_based" | "always_on" | "always_off";
  readonly views: readonly View[];
  /** Series of all streams at most; beyond, everything goes into the series of the overflow. */
  readonly maxSeries: number;
  /** Bytes of a request at most, unless one data point has more. Default 1,000,000. */
  readonly maxRequestBytes?: number;
  /** Gets what people should know of views and instruments. */
  readonly warn?: (message: string) => void;
}

/** What was counted since the start. */
export interface AggregationCounts {
  /** Measurements taken, those in the next three lines among them. */
  measurements: number;
  /** Of these, those that went into the series of an overflow. */
  overflowed: number;
  /** NaN and infinities, which no aggregation can hold. */
  nonFinite: number;
  /** Negative increments of monotonic sums. */
  negative: number;
  /** Measurements of instruments that all views drop. */
  dropped: number;
  /** Data points in requests. */
  points: number;
}

/** More instruments in one process are refused. */
const MAX_INSTRUMENTS = 10_000;
const TOO_MANY = new Rejection("more than 10,000 instruments in a process");
/** Collections without a measurement after which the series of a delta stream is forgotten. */
const IDLE_COLLECTIONS = 4;
/** Below what proxies accept unless told otherwise. */
const MAX_REQUEST_BYTES = 1_000_000;
/** Exemplars of an exponential histogram at most (SDK specification, "Exemplar defaults"). */
const MAX_EXPONENTIAL_EXEMPLARS = 20;

/** The streams of an instrument. */
interface Instrument {
  readonly streams: readonly number[];
}

/** The streams of a scope, in the order they came. */
export interface ScopeStreams {
  readonly scope: ScopeEntry;
  readonly streams: number[];
}

/** What is kept of a process. */
interface ProcessMetrics {
  /** By what their definitions say. */
  readonly instruments: Map<string, Instrument>;
  readonly resources: Map<ResourceEntry, ScopeStreams[]>;
}

/** What is kept of a file. */
interface SourceMetrics {
  /** By metric_ref: index in `found`. */
  readonly refs: RefTable;
  /** Instruments, and why others are none. */
  readonly found: (Instrument | Rejection)[];
  readonly known: KnownRecords;
}

/** All streams of all processes. */
export class Aggregator {
  readonly counts: AggregationCounts = {
    measurements: 0,
    overflowed: 0,
    nonFinite: 0,
    negative: 0,
    dropped: 0,
    points: 0,
  };

  private readonly scopeOf: (source: Source, ref: number) => ScopeEntry;
  private readonly options: AggregatorOptions;
  private readonly processes = new Map<number, ProcessMetrics>();
  private readonly sources = new WeakMap<Source, SourceMetrics>();
  private lastSource: Source | null = null;
  private lastMetrics: SourceMetrics | null = null;
  private readonly series = new SeriesPool();
  private readonly exponentials = new ExponentialPool();
  private readonly exemplars = new ExemplarPool();
  private readonly streams: (Stream | null)[] = [];
  private readonly encoder: Encoder;
  private readonly sample: Sample;

  /**
   * @param scopeOf The scope that a ref of a file's dictionary names; throws a Rejection for none.
   */
  constructor(
    scopeOf: (source: Source, ref: number) => ScopeEntry,
    options: AggregatorOptions,
  ) {
    this.scopeOf = scopeOf;
    this.options = options;
    this.encoder = new Encoder(
      this.series,
      this.exponentials,
      this.exemplars,
      options.maxRequestBytes ?? MAX_REQUEST_BYTES,
    );
    this.sample = {
      timeLow: 0,
      timeHigh: 0,
      isInt: false,
      valueLow: 0,
      valueHigh: 0,
      value: 0,
      ids: set.bytes,
      traceIdAt: -1,
      spanIdAt: -1,
      attributes: set.bytes,
      attributesStart: 0,
      attributesEnd: 0,
    };
  }

  /** Adds a process. */
  addProcess(process: number): void {
    this.processes.set(process, { instruments: new Map(), resources: new Map() });
  }

  /** Forgets a process with all its series. */
  removeProcess(process: number): void {
    const metrics = this.processes.get(process);
    if (metrics === undefined) return;
    for (const scopes of metrics.resources.values()) {
      for (const { streams } of scopes) for (const index of streams) this.removeStream(index);
    }
    this.processes.delete(process);
  }

  /**
   * Takes a record of the measurements ring; throws a Rejection for one that can't be read, which
   * then has changed nothing.
   */
  take(source: Source, copy: RecordCopy): void {
    readMeasurement(copy);
    const metrics = source === this.lastSource ? this.lastMetrics! : this.metricsOf(source);
    noteTime(source.process, measurement.timeLow, measurement.timeHigh);
    const { metricRef, attributes, start, end } = measurement;
    const hash = hashOfRecord(metricRef, attributes, start, end);
    const known = metrics.known.find(this.series, metricRef, attributes, start, end, hash);
    if (known !== NO_SERIES) {
      this.counts.measurements++;
      const stream = this.streams[this.series.words[known * ROW_WORDS + STREAM]]!;
      if (!this.refuses(stream)) this.add(stream, known, source, copy);
      return;
    }
    this.takeUnknown(source, metrics, hash, copy);
  }

  /** Whether a collection of a process would find data points. */
  hasPoints(process: number): boolean {
    for (const scopes of this.processes.get(process)?.resources.values() ?? []) {
      for (const { streams } of scopes) {
        for (const index of streams) {
          const stream = this.streams[index]!;
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
    const metrics = this.processes.get(process);
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
    this.counts.points += encoder.finish();
  }

  /** Gives back the buffer of a request that nobody looks at any more. */
  recycle(request: Request): void {
    this.encoder.recycle(request);
  }

  // ------------------------------------------------------------------------------------ measurements

  private metricsOf(source: Source): SourceMetrics {
    let metrics = this.sources.get(source);
    if (metrics === undefined) {
      metrics = { refs: new RefTable(), found: [], known: new KnownRecords() };
      this.sources.set(source, metrics);
    }
    this.lastSource = source;
    this.lastMetrics = metrics;
    return metrics;
  }

  private takeUnknown(
    source: Source,
    metrics: SourceMetrics,
    hash: number,
    copy: RecordCopy,
  ): void {
    const { streams } = this.instrumentOf(source, metrics);
    const { metricRef, attributes, start, end } = measurement;
    if (streams.length === 0) {
      this.counts.measurements++;
      this.counts.dropped++;
      return;
    }
    // First of all the sets, one of which may be unreadable.
    const found: number[] = [];
    let isOverflow = false;
    for (const index of streams) {
      const stream = this.streams[index]!;
      putAttributeSet(source, stream.attributeTag, stream.filter);
      if (this.refuses(stream)) continue;
      const series = this.seriesOf(stream, index);
      if (series === stream.overflow) isOverflow = true;
      found.push(series);
    }
    this.counts.measurements++;
    if (isOverflow) this.counts.overflowed++;
    if (streams.length === 1 && found.length === 1 && !isOverflow) {
      metrics.known.add(this.series, metricRef, attributes, start, end, hash, found[0]);
    }
    for (const series of found) {
      this.add(this.streams[this.series.words[series * ROW_WORDS + STREAM]]!, series, source, copy);
    }
  }

  /** Whether a stream can't hold `measurement`; counts it. */
  private refuses(stream: Stream): boolean {
    const { isInt, value, hasContext } = measurement;
    if (!isInt && !Number.isFinite(value)) {
      this.counts.nonFinite++;
      return true;
    }
    // A total that went down is a reset.
    const isTotal = stream.mayBeAbsolute && !hasContext;
    if (value < 0 && stream.isMonotonic && stream.kind === SUM && !isTotal) {
      this.counts.negative++;
      return true;
    }
    return false;
  }

  private instrumentOf(source: Source, metrics: SourceMetrics): Instrument {
    const { metricRef } = measurement;
    if (metricRef <= 0) throw BAD_REF;
    const index = metrics.refs.get(metricRef);
    let found = metrics.found[index];
    if (index < 0) {
      found = this.tryLoad(source, metricRef);
      // A definition that makes no sense makes none the next time.
      metrics.refs.set(metricRef, metrics.found.push(found) - 1);
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
    const definition = readDefinition(source.dictionary, metricRef);
    const scope = this.scopeOf(source, definition.scopeRef);
    const process = this.processes.get(scope.process)!;
    const { scopeRef: _, created, ...said } = definition;
    const key = `${scope.index} ${created} ${JSON.stringify(said)}`;
    const known = process.instruments.get(key);
    if (known !== undefined) return known;
    if (process.instruments.size >= MAX_INSTRUMENTS) throw TOO_MANY;
    const { views, warn } = this.options;
    const settings = matchViews(
      views,
      {
        name: definition.name,
        unit: definition.unit,
        type: definition.isOurs ? definition.instrument : 0,
        ...meterOf(scope),
      },
      warn,
    );
    let group = process.resources.get(scope.resource);
    if (group === undefined) process.resources.set(scope.resource, group = []);
    let inScope = group.find((each) => each.scope === scope);
    if (inScope === undefined) group.push(inScope = { scope, streams: [] });
    const streams: number[] = [];
    for (const each of settings) {
      const free = this.streams.indexOf(null);
      const index = free < 0 ? this.streams.length : free;
      this.streams[index] = createStream(definition, each, scope, this.options);
      streams.push(index);
      inScope.streams.push(index);
    }
    const instrument = { streams };
    process.instruments.set(key, instrument);
    return instrument;
  }

  /** The series of a stream with the attributes in `set`, made where there is none. */
  private seriesOf(stream: Stream, index: number): number {
    const hash = hashOf(index, set.bytes.u8, set.length);
    const known = this.series.find(index, set.bytes, set.length, hash);
    if (known !== NO_SERIES) return known;
    const hasRoom = stream.count - (stream.overflow === NO_SERIES ? 0 : 1) < stream.limit - 1 &&
      this.series.count < this.options.maxSeries;
    if (hasRoom) return this.addSeries(stream, index, set.bytes, set.length, hash);
    if (stream.overflow === NO_SERIES) {
      const bytes = overflowAttributes(stream.attributeTag);
      const length = bytes.u8.length - SLACK;
      const overflowHash = hashOf(index, bytes.u8, length);
      stream.overflow = this.addSeries(stream, index, bytes, length, overflowHash);
    }
    return stream.overflow;
  }

  private addSeries(
    stream: Stream,
    index: number,
    bytes: Bytes,
    length: number,
    hash: number,
  ): number {
    const added = this.series.add(index, bytes, length, hash);
    const { words } = this.series;
    const row = added * ROW_WORDS;
    const { timeLow, timeHigh } = measurement;
    if (stream.createdLow === 0 && stream.createdHigh === 0) {
      stream.createdLow = stream.sinceLow = timeLow;
      stream.createdHigh = stream.sinceHigh = timeHigh;
    }
    // Metrics data model, "Start timestamps".
    words[row + START] = stream.isObservable ? stream.createdLow : timeLow;
    words[row + START + 1] = stream.isObservable ? stream.createdHigh : timeHigh;
    if (stream.kind === HISTOGRAM) {
      words[row + BUCKETS] = this.series.allocateBuckets(stream.boundaries.length + 1);
      this.clearHistogram(added);
    } else if (stream.kind === EXPONENTIAL) {
      words[row + BUCKETS] = this.exponentials.create(stream.maxBuckets, stream.maxScale);
    }
    if (stream.last === NO_SERIES) stream.first = added;
    else words[stream.last * ROW_WORDS + NEXT] = added;
    stream.last = added;
    stream.count++;
    return added;
  }

  /** Adds `measurement` to a series. */
  private add(stream: Stream, series: number, source: Source, copy: RecordCopy): void {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    const first = series * ROW_DOUBLES;
    let bucket = 0;
    switch (stream.kind) {
      case HISTOGRAM:
        bucket = this.addToHistogram(stream, words[row + BUCKETS], first);
        break;
      case EXPONENTIAL:
        this.exponentials.record(words[row + BUCKETS], measurement.value);
        break;
      default:
        if (stream.isInt !== measurement.isInt) this.agree(stream);
        this.addNumber(stream, row, first);
    }
    words[row + TIME] = measurement.timeLow;
    words[row + TIME + 1] = measurement.timeHigh;
    if (words[row + MEASURED] <= 0) {
      words[row + MEASURED] = 1;
      stream.measured++;
    }
    const { exemplars } = this.options;
    if (exemplars === "always_off") return;
    if (exemplars === "always_on" || (measurement.spanIdAt >= 0 && (measurement.flags & 1) === 1)) {
      this.offer(stream, row, bucket, source, copy);
    }
  }

  private addToHistogram(stream: Stream, block: number, first: number): number {
    const { boundaries } = stream;
    const { value } = measurement;
    const { doubles, buckets } = this.series;
    let bucket = 0;
    let end = boundaries.length;
    // The first boundary that is not below the value: bounds are inclusive.
    while (bucket < end) {
      const middle = (bucket + end) >> 1;
      if (value <= boundaries[middle]) end = middle;
      else bucket = middle + 1;
    }
    buckets.chunks[chunkOf(block)][offsetOf(block) + bucket]++;
    doubles[first + COUNT]++;
    doubles[first + VALUE] += value;
    if (value < doubles[first + MIN]) doubles[first + MIN] = value;
    if (value > doubles[first + MAX]) doubles[first + MAX] = value;
    return bucket;
  }

  /** Adds to a sum or sets a last value. */
  private addNumber(stream: Stream, row: number, first: number): void {
    const { words, doubles } = this.series;
    const { value } = measurement;
    if (stream.kind === GAUGE) {
      if (stream.isInt === true) {
        words[row + INT] = measurement.low;
        words[row + INT + 1] = measurement.high;
      } else doubles[first + VALUE] = value;
    } else if (stream.mayBeAbsolute && !measurement.hasContext) {
      this.addAbsolute(stream, row, first);
    } else if (stream.isInt === true) {
      const low = (words[row + INT] + measurement.low) | 0;
      const carry = low >>> 0 < measurement.low >>> 0 ? 1 : 0;
      words[row + INT] = low;
      words[row + INT + 1] = words[row + INT + 1] + measurement.high + carry;
    } else doubles[first + VALUE] += value;
  }

  /** An observed total: what it grew by since the last one is what is added. */
  private addAbsolute(stream: Stream, row: number, first: number): void {
    const { words, doubles } = this.series;
    const { value } = measurement;
    const last = doubles[first + ABSOLUTE];
    const began = stream.isMonotonic && value < last;
    doubles[first + ABSOLUTE] = value;
    if (began && !stream.isDelta) {
      // Metrics data model, "Resets": it began anew after the last measurement.
      words[row + START] = words[row + TIME];
      words[row + START + 1] = words[row + TIME + 1];
      this.setNumber(stream, row, first, 0);
    }
    const sum = this.numberOf(stream, row, first);
    this.setNumber(stream, row, first, sum + value - (began ? 0 : last));
  }

  private numberOf(stream: Stream, row: number, first: number): number {
    const { words, doubles } = this.series;
    if (stream.isInt !== true) return doubles[first + VALUE];
    return words[row + INT + 1] * 2 ** 32 + (words[row + INT] >>> 0);
  }

  private setNumber(stream: Stream, row: number, first: number, value: number): void {
    const { words, doubles } = this.series;
    if (stream.isInt !== true) {
      doubles[first + VALUE] = value;
      return;
    }
    const high = Math.floor(value / 2 ** 32);
    words[row + INT] = (value - high * 2 ** 32) | 0;
    words[row + INT + 1] = high;
  }

  /** The first measurement says whether a stream is of integers; one of both kinds is of doubles. */
  private agree(stream: Stream): void {
    if (stream.isInt === null) {
      stream.isInt = measurement.isInt;
      return;
    }
    if (stream.isInt === false) return;
    for (let series = stream.first; series !== NO_SERIES;) {
      const row = series * ROW_WORDS;
      const value = this.numberOf(stream, row, 0);
      this.series.doubles[series * ROW_DOUBLES + VALUE] = value;
      series = this.series.words[row + NEXT];
    }
    stream.isInt = false;
  }

  private offer(
    stream: Stream,
    row: number,
    bucket: number,
    source: Source,
    copy: RecordCopy,
  ): void {
    const { words } = this.series;
    if (words[row + EXEMPLARS] === 0) words[row + EXEMPLARS] = 1 + this.createReservoir(stream);
    const slot = this.exemplars.choose(words[row + EXEMPLARS] - 1, bucket);
    if (slot < 0) return;
    const { sample } = this;
    sample.timeLow = measurement.timeLow;
    sample.timeHigh = measurement.timeHigh;
    // An exemplar's value is of the kind that its point's is.
    sample.isInt = measurement.isInt && stream.isInt === true;
    sample.valueLow = measurement.low;
    sample.valueHigh = measurement.high;
    sample.value = measurement.value;
    sample.ids = copy;
    sample.traceIdAt = measurement.traceIdAt;
    sample.spanIdAt = measurement.spanIdAt;
    sample.attributesEnd = 0;
    if (stream.filter !== null) {
      putFiltered(source, stream.filter);
      sample.attributesEnd = set.length;
    }
    this.exemplars.keep(slot, sample);
  }

  private createReservoir(stream: Stream): number {
    switch (stream.kind) {
      case HISTOGRAM:
        return this.exemplars.createAligned(stream.boundaries.length + 1);
      case EXPONENTIAL:
        return this.exemplars.createFixed(Math.min(MAX_EXPONENTIAL_EXEMPLARS, stream.maxBuckets));
      default:
        return this.exemplars.createFixed(1);
    }
  }

  // ------------------------------------------------------------------------------------- collections

  private collectStream(index: number, nowLow: number, nowHigh: number): void {
    const stream = this.streams[index]!;
    const isAlways = isExportedAlways(stream);
    if (stream.measured === 0 && (!isAlways || stream.count === 0)) {
      if (stream.isDelta) this.ageAll(stream);
    } else {
      const { encoder } = this;
      encoder.metric(stream);
      let before = NO_SERIES;
      for (let series = stream.first; series !== NO_SERIES;) {
        const row = series * ROW_WORDS;
        const next = this.series.words[row + NEXT];
        const isMeasured = this.series.words[row + MEASURED] > 0;
        if (isMeasured || isAlways) encoder.point(stream, series);
        if (this.series.words[row + EXEMPLARS] > 0) {
          this.exemplars.reset(this.series.words[row + EXEMPLARS] - 1);
        }
        if (isMeasured) {
          this.series.words[row + MEASURED] = 0;
          if (stream.isDelta) this.clear(stream, series);
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
      const next = this.series.words[series * ROW_WORDS + NEXT];
      if (!this.age(stream, series, before)) before = series;
      series = next;
    }
  }

  /** Counts a collection without a measurement; true when the series was forgotten for it. */
  private age(stream: Stream, series: number, before: number): boolean {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    if (--words[row + MEASURED] > -IDLE_COLLECTIONS) return false;
    const next = words[row + NEXT];
    if (before === NO_SERIES) stream.first = next;
    else words[before * ROW_WORDS + NEXT] = next;
    if (stream.last === series) stream.last = before;
    if (stream.overflow === series) stream.overflow = NO_SERIES;
    stream.count--;
    this.release(stream, series);
    return true;
  }

  /** Starts a series of a delta stream anew. */
  private clear(stream: Stream, series: number): void {
    const { words, doubles } = this.series;
    const row = series * ROW_WORDS;
    const first = series * ROW_DOUBLES;
    switch (stream.kind) {
      case HISTOGRAM: {
        const block = words[row + BUCKETS];
        const offset = offsetOf(block);
        const end = offset + stream.boundaries.length + 1;
        this.series.buckets.chunks[chunkOf(block)].fill(0, offset, end);
        this.clearHistogram(series);
        break;
      }
      case EXPONENTIAL:
        this.exponentials.reset(words[row + BUCKETS]);
        break;
      case SUM:
        // As an integer this is the same memory.
        doubles[first + VALUE] = 0;
        break;
    }
  }

  private clearHistogram(series: number): void {
    const { doubles } = this.series;
    const first = series * ROW_DOUBLES;
    doubles[first + COUNT] = 0;
    doubles[first + VALUE] = 0;
    doubles[first + MIN] = Infinity;
    doubles[first + MAX] = -Infinity;
  }

  private removeStream(index: number): void {
    const stream = this.streams[index]!;
    for (let series = stream.first; series !== NO_SERIES;) {
      const next = this.series.words[series * ROW_WORDS + NEXT];
      this.release(stream, series);
      series = next;
    }
    this.streams[index] = null;
  }

  private release(stream: Stream, series: number): void {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    if (stream.kind === HISTOGRAM) {
      this.series.releaseBuckets(words[row + BUCKETS], stream.boundaries.length + 1);
    } else if (stream.kind === EXPONENTIAL) {
      this.exponentials.free(words[row + BUCKETS]);
    }
    if (words[row + EXEMPLARS] > 0) this.exemplars.free(words[row + EXEMPLARS] - 1);
    this.series.remove(series);
  }
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

/** Cumulative series that are told, not asked, are always there. */
function isExportedAlways(stream: Stream): boolean {
  return !stream.isDelta && !stream.isObservable;
}

/** Bytes past the end that may be read. */
const SLACK = 8;

const encodedOverflow = new Map<number, Bytes>();

/** The attribute `otel.metric.overflow`, true, as a field with a tag. */
function overflowAttributes(fieldTag: number): Bytes {
  let bytes = encodedOverflow.get(fieldTag);
  if (bytes === undefined) {
    const key = new TextEncoder().encode("otel.metric.overflow");
    const content = [tag(OtlpKeyValue.key, BYTES), key.length, ...key];
    content.push(tag(OtlpKeyValue.value, BYTES), 2, tag(AnyValue.bool, VARINT), 1);
    const u8 = Uint8Array.from([fieldTag, content.length, ...content, ...new Array(SLACK).fill(0)]);
    bytes = { u8, view: new DataView(u8.buffer) };
    encodedOverflow.set(fieldTag, bytes);
  }
  return bytes;
}
