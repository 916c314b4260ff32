/**
 * A measurement into its series: sums, last values, histograms, exemplars.
 *
 * @module
 */
import { AnyValue, BYTES, OtlpKeyValue, tag, VARINT } from "../format/fields.ts";
import { isLater, type Source } from "../otlp/source.ts";
import type { Bytes } from "../record/bytes.ts";
import type { RecordCopy } from "../ring/read.ts";
import { putFiltered, set } from "./attribute-set.ts";
import { chunkOf, offsetOf } from "./blocks.ts";
import { ExemplarPool, type Sample } from "./exemplars.ts";
import { ExponentialPool } from "./exponential.ts";
import { measurement } from "./measurement.ts";
import { addNumber } from "./numbers.ts";
import {
  BUCKETS,
  COUNT,
  EXEMPLARS,
  FILE,
  hashOf,
  MAX,
  MEASURED,
  MIN,
  NEXT,
  NO_SERIES,
  ROW_DOUBLES,
  ROW_WORDS,
  SeriesPool,
  START,
  TIME,
  VALUE,
} from "./series.ts";
import { EXPONENTIAL, GAUGE, HISTOGRAM, type Stream, SUM } from "./stream.ts";

/** How measurements are added. */
export interface AccumulatorOptions {
  /** Which measurements become exemplars. */
  readonly exemplars: "trace_based" | "always_on" | "always_off";
  /**
   * Series of all streams at most. A process may have four times as many as are free: whoever has most
   * comes to its end first, from where on everything goes into the series of the overflow, and
   * whoever comes later still finds room.
   */
  readonly maxSeries: number;
}

/** A process may have so many series for each that is free. */
const SHARE = 4;

/** Exemplars of an exponential histogram at most (SDK specification, "Exemplar defaults"). */
const MAX_EXPONENTIAL_EXEMPLARS = 20;

/** The series of all streams. */
export class Accumulator {
  readonly series: SeriesPool = new SeriesPool();
  readonly exponentials: ExponentialPool = new ExponentialPool();
  readonly exemplars: ExemplarPool = new ExemplarPool();
  /** NaN and infinities, and negative increments of monotonic sums, that were refused. */
  nonFinite = 0;
  negative = 0;
  /** Measurements in series of an overflow since their process had its share of all series. */
  crowded = 0;
  /** Series by process. */
  private readonly held: number[] = [];

  private readonly options: AccumulatorOptions;
  private readonly sample: Sample = {
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

  /** @param options See AccumulatorOptions. */
  constructor(options: AccumulatorOptions) {
    this.options = options;
  }

  /** Whether the instrument that a stream is of can't have measured `measurement`; counts it. */
  refuses(stream: Stream): boolean {
    const { isInt, value, hasContext } = measurement;
    if (!isInt && !Number.isFinite(value)) {
      this.nonFinite++;
      return true;
    }
    // A total that went down is a reset.
    if (value < 0 && stream.refusesNegative && !(stream.mayBeAbsolute && !hasContext)) {
      this.negative++;
      return true;
    }
    return false;
  }

  /** The series of a stream with the attributes in `set`, made where there is none. */
  seriesOf(stream: Stream, index: number): number {
    const hash = hashOf(index, set.bytes.u8, set.length);
    const known = this.series.find(index, set.bytes, set.length, hash);
    if (known !== NO_SERIES) return known;
    // What a delta stream holds from earlier intervals must not take the place of what comes now.
    if (!this.hasRoom(stream) && canForget(stream)) this.forget(stream, 0);
    const isCrowded = !this.hasShare(stream);
    if (isCrowded) this.crowded++;
    else if (this.hasRoom(stream)) {
      return this.addSeries(stream, index, set.bytes, set.length, hash);
    }
    if (stream.overflow === NO_SERIES) {
      const bytes = overflowAttributes(stream.attributeTag);
      const length = bytes.u8.length - SLACK;
      const overflowHash = hashOf(index, bytes.u8, length);
      stream.overflow = this.addSeries(stream, index, bytes, length, overflowHash);
    }
    return stream.overflow;
  }

  /** Nothing overflows before there are more sets than the limit (Metrics SDK, "Overflow attribute"). */
  private hasRoom(stream: Stream): boolean {
    const { count, overflow, limit } = stream;
    return count - (overflow === NO_SERIES ? 0 : 1) < limit && this.hasShare(stream);
  }

  private hasShare({ process }: Stream): boolean {
    const free = this.options.maxSeries - this.series.count;
    return (this.held[process] ?? 0) < SHARE * free;
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
    try {
      this.append(stream, added);
    } catch (error) {
      // No memory for its buckets: nobody may find it.
      this.series.remove(added);
      throw error;
    }
    return added;
  }

  /**
   * A thread whose file is read later may have measured before: the series starts there, unless it was
   * sent with another start.
   */
  private startEarlier(stream: Stream, start: number): void {
    const { timeLow, timeHigh } = measurement;
    if (stream.isObservable || stream.mayBeAbsolute || (timeLow | timeHigh) === 0) return;
    const { words } = this.series;
    const { sinceLow, sinceHigh, createdLow, createdHigh } = stream;
    const wasCollected = sinceLow !== createdLow || sinceHigh !== createdHigh;
    if (wasCollected && isLater(sinceLow, sinceHigh, words[start], words[start + 1])) return;
    words[start] = timeLow;
    words[start + 1] = timeHigh;
  }

  /** Gives a new series its buckets, and makes it the last of its stream. */
  append(stream: Stream, series: number): void {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    if (stream.kind === HISTOGRAM) {
      words[row + BUCKETS] = this.series.allocateBuckets(stream.boundaries.length + 1);
      this.clearHistogram(series);
    } else if (stream.kind === EXPONENTIAL) {
      words[row + BUCKETS] = this.exponentials.create(stream.maxBuckets, stream.maxScale);
    }
    if (stream.last === NO_SERIES) stream.first = series;
    else words[stream.last * ROW_WORDS + NEXT] = series;
    stream.last = series;
    stream.count++;
    this.held[stream.process] = (this.held[stream.process] ?? 0) + 1;
  }

  /** Adds `measurement` to a series. */
  add(stream: Stream, series: number, source: Source, copy: RecordCopy): void {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    const first = series * ROW_DOUBLES;
    let bucket = 0;
    switch (stream.kind) {
      case GAUGE:
        if (this.isOutdated(row, source.file)) return;
        addNumber(this.series, stream, series);
        break;
      case HISTOGRAM:
        bucket = this.addToHistogram(stream, words[row + BUCKETS], first);
        break;
      case EXPONENTIAL:
        this.exponentials.record(words[row + BUCKETS], measurement.value);
        break;
      default:
        addNumber(this.series, stream, series);
    }
    const { timeLow, timeHigh } = measurement;
    if (isLater(words[row + START], words[row + START + 1], timeLow, timeHigh)) {
      this.startEarlier(stream, row + START);
    }
    words[row + TIME] = timeLow;
    words[row + TIME + 1] = timeHigh;
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

  /**
   * Whether another thread has measured a gauge since, though its file was read before. Of one file
   * the later record counts: a clock may be set back.
   */
  private isOutdated(row: number, file: number): boolean {
    const { words } = this.series;
    const { timeLow, timeHigh } = measurement;
    if (
      words[row + FILE] !== file && (timeLow | timeHigh) !== 0 &&
      isLater(words[row + TIME], words[row + TIME + 1], timeLow, timeHigh)
    ) return true;
    words[row + FILE] = file;
    return false;
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

  /** A new reservoir for a series of a stream. */
  createReservoir(stream: Stream): number {
    switch (stream.kind) {
      case HISTOGRAM:
        return this.exemplars.createAligned(stream.boundaries.length + 1);
      case EXPONENTIAL:
        return this.exemplars.createFixed(Math.min(MAX_EXPONENTIAL_EXEMPLARS, stream.maxBuckets));
      default:
        return this.exemplars.createFixed(1);
    }
  }

  /** Starts a series of a delta stream anew. */
  clear(stream: Stream, series: number): void {
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

  /** Forgets the series that were not measured in so many collections; 0: since the last one. */
  forget(stream: Stream, collections: number): void {
    if (stream.measured === stream.count) return;
    const { words } = this.series;
    let before = NO_SERIES;
    for (let series = stream.first; series !== NO_SERIES;) {
      const row = series * ROW_WORDS;
      const next = words[row + NEXT];
      if (words[row + MEASURED] > -collections) before = series;
      else {
        if (before === NO_SERIES) stream.first = next;
        else words[before * ROW_WORDS + NEXT] = next;
        if (stream.last === series) stream.last = before;
        if (stream.overflow === series) stream.overflow = NO_SERIES;
        stream.count--;
        this.release(stream, series);
      }
      series = next;
    }
  }

  /** Gives back all that a series holds. */
  release(stream: Stream, series: number): void {
    const { words } = this.series;
    const row = series * ROW_WORDS;
    if (stream.kind === HISTOGRAM) {
      this.series.releaseBuckets(words[row + BUCKETS], stream.boundaries.length + 1);
    } else if (stream.kind === EXPONENTIAL) {
      this.exponentials.free(words[row + BUCKETS]);
    }
    if (words[row + EXEMPLARS] > 0) this.exemplars.free(words[row + EXEMPLARS] - 1);
    this.series.remove(series);
    this.held[stream.process]--;
  }
}

/** Series without a measurement need not be remembered, unless the next one says a total. */
export function canForget(stream: Stream): boolean {
  return stream.isDelta && !stream.mayBeAbsolute;
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
