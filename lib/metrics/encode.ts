/**
 * Data points to requests: ExportMetricsServiceRequests in buffers that are used again, straight from
 * the rows of series. Nothing is allocated but what each request is handed over in.
 *
 * @module
 */
import {
  BYTES,
  FIXED64,
  OtlpExponentialPoint,
  OtlpHistogramPoint,
  OtlpMetric,
  OtlpMetricData,
  OtlpNumberPoint,
  OtlpResourceSpans,
  OtlpScopeSpans,
  tag,
  TEMPORALITY_CUMULATIVE,
  TEMPORALITY_DELTA,
  VARINT,
} from "../format/fields.ts";
import type { Request } from "../otlp/request.ts";
import { isLater } from "../otlp/source.ts";
import type { ResourceEntry, ScopeEntry } from "../otlp/scopes.ts";
import { type Bytes, createBytes } from "../record/bytes.ts";
import { putVarint, varintBytes } from "../record/wire.ts";
import { chunkOf, offsetOf } from "./blocks.ts";
import type { ExemplarPool } from "./exemplars.ts";
import type { ExponentialPool } from "./exponential.ts";
import {
  ATTRIBUTE_BYTES,
  ATTRIBUTES,
  BUCKETS,
  COUNT,
  EXEMPLARS,
  INT,
  MAX,
  MIN,
  ROW_DOUBLES,
  ROW_WORDS,
  type SeriesPool,
  START,
  TIME,
  VALUE,
} from "./series.ts";
import { EXPONENTIAL, GAUGE, HISTOGRAM, type Stream, SUM } from "./stream.ts";

/** Room kept for tag and length of a field whose length is not known yet. */
const HEADER_BYTES = 6;
/** Tags, lengths, temporality: what closing everything that is open adds at most. */
const CLOSING_BYTES = 64;
/** Tags, times, value of a point, and tags and lengths of its lists. */
const POINT_BYTES = 128;
/** Buffers of sent requests that are kept for the next ones. */
const MAX_SPARE = 8;

// `ResourceMetrics` and `ScopeMetrics` are numbered like their siblings of spans.
const RESOURCE_METRICS = tag(1, BYTES);
const SCOPE_METRICS = tag(OtlpResourceSpans.scopeSpans, BYTES);
const METRICS = tag(OtlpScopeSpans.spans, BYTES);
const POINTS = tag(OtlpMetricData.dataPoints, BYTES);
const TEMPORALITY = tag(OtlpMetricData.temporality, VARINT);
const IS_MONOTONIC = tag(OtlpMetricData.isMonotonic, VARINT);

const DATA: number[] = [];
DATA[GAUGE] = tag(OtlpMetric.gauge, BYTES);
DATA[SUM] = tag(OtlpMetric.sum, BYTES);
DATA[HISTOGRAM] = tag(OtlpMetric.histogram, BYTES);
DATA[EXPONENTIAL] = tag(OtlpMetric.exponentialHistogram, BYTES);

const N = {
  start: tag(OtlpNumberPoint.startTime, FIXED64),
  time: tag(OtlpNumberPoint.time, FIXED64),
  asDouble: tag(OtlpNumberPoint.asDouble, FIXED64),
  asInt: tag(OtlpNumberPoint.asInt, FIXED64),
  exemplars: tag(OtlpNumberPoint.exemplars, BYTES),
} as const;
const H = {
  start: tag(OtlpHistogramPoint.startTime, FIXED64),
  time: tag(OtlpHistogramPoint.time, FIXED64),
  count: tag(OtlpHistogramPoint.count, FIXED64),
  sum: tag(OtlpHistogramPoint.sum, FIXED64),
  bucketCounts: tag(OtlpHistogramPoint.bucketCounts, BYTES),
  bounds: tag(OtlpHistogramPoint.explicitBounds, BYTES),
  exemplars: tag(OtlpHistogramPoint.exemplars, BYTES),
  min: tag(OtlpHistogramPoint.min, FIXED64),
  max: tag(OtlpHistogramPoint.max, FIXED64),
} as const;
const E = {
  start: tag(OtlpExponentialPoint.startTime, FIXED64),
  time: tag(OtlpExponentialPoint.time, FIXED64),
  exemplars: tag(OtlpExponentialPoint.exemplars, BYTES),
} as const;

/** Start time, time and value of a number. */
const NUMBER_BYTES = 27;
/** Start time, time and count of a histogram. */
const HISTOGRAM_BYTES = 27;

/** Writes requests. */
export class Encoder {
  private readonly series: SeriesPool;
  private readonly exponentials: ExponentialPool;
  private readonly exemplars: ExemplarPool;
  private readonly maxBytes: number;
  private readonly spare: Bytes[] = [];
  private out: Bytes = createBytes(0);
  private to = 0;
  private items = 0;
  private points = 0;
  private processes: number[] = [];
  private nowLow = 0;
  private nowHigh = 0;
  private emit: (request: Request) => void = () => {};

  // What the next point belongs to, and where in the buffer that has begun: -1 for not yet.
  private process = 0;
  private nextResource: ResourceEntry | null = null;
  private nextScope: ScopeEntry | null = null;
  private nextStream: Stream | null = null;
  private isEnding = false;
  private resourceAt = -1;
  private scopeAt = -1;
  private metricAt = -1;
  private dataAt = -1;

  /** @param maxBytes Of a request, unless one point has more. */
  constructor(
    series: SeriesPool,
    exponentials: ExponentialPool,
    exemplars: ExemplarPool,
    maxBytes: number,
  ) {
    this.series = series;
    this.exponentials = exponentials;
    this.exemplars = exemplars;
    this.maxBytes = maxBytes;
  }

  /** Begins a collection: the time of its points, and who gets the requests. */
  begin(nowLow: number, nowHigh: number, emit: (request: Request) => void): void {
    this.nowLow = nowLow;
    this.nowHigh = nowHigh;
    this.emit = emit;
    this.points = 0;
    this.nextStream = null;
  }

  /** Points from now on are of this resource of a process. */
  resource(process: number, resource: ResourceEntry): void {
    this.closeResource();
    this.process = process;
    this.nextResource = resource;
  }

  /** Points from now on are of this scope. */
  scope(scope: ScopeEntry): void {
    this.closeScope();
    this.nextScope = scope;
  }

  /**
   * Points from now on are of this stream. Those of one that is `isEnding` end with their last
   * measurement: what came since is in another's, from its first one on.
   */
  metric(stream: Stream, isEnding: boolean = false): void {
    this.closeMetric();
    this.nextStream = stream;
    this.isEnding = isEnding;
  }

  /** Sends what is left. Returns how many points there were. */
  finish(): number {
    this.flush();
    return this.points;
  }

  /** Gives the buffer of a request back. */
  recycle(request: Request): void {
    if (this.spare.length === MAX_SPARE) return;
    const { buffer } = request.buffer;
    this.spare.push({ u8: request.buffer, view: new DataView(buffer) });
  }

  /** Adds the point of a series. */
  point(stream: Stream, series: number): void {
    const row = series * ROW_WORDS;
    const { words } = this.series;
    const exemplars = words[row + EXEMPLARS] - 1;
    const extra = words[row + ATTRIBUTE_BYTES] +
      (exemplars < 0 ? 0 : this.exemplars.fieldBytes(exemplars));
    let bound = POINT_BYTES + extra;
    if (stream.kind === HISTOGRAM) bound += 16 * (stream.boundaries.length + 1);
    else if (stream.kind === EXPONENTIAL) {
      bound += this.exponentials.fieldBytes(words[row + BUCKETS]);
    }
    this.open(bound);
    this.out.u8[this.to] = POINTS;
    switch (stream.kind) {
      case HISTOGRAM:
        this.putHistogram(stream, series, extra, exemplars);
        break;
      case EXPONENTIAL:
        this.putExponential(stream, series, exemplars);
        break;
      default:
        this.putNumber(stream, series, extra, exemplars);
    }
    this.items++;
    this.points++;
  }

  // ------------------------------------------------------------------------------------------- points

  private putNumber(stream: Stream, series: number, extra: number, exemplars: number): void {
    const { u8, view } = this.out;
    const { words, doubles } = this.series;
    const row = series * ROW_WORDS;
    let to = putVarint(u8, this.to + 1, NUMBER_BYTES + extra);
    to = this.putTimes(stream, row, to, N.start, N.time);
    if (stream.isInt === true) {
      u8[to] = N.asInt;
      view.setInt32(to + 1, words[row + INT], true);
      view.setInt32(to + 5, words[row + INT + 1], true);
    } else {
      u8[to] = N.asDouble;
      view.setFloat64(to + 1, doubles[series * ROW_DOUBLES + VALUE], true);
    }
    to += 9;
    if (exemplars >= 0) to = this.exemplars.put(exemplars, u8, view, to, N.exemplars);
    this.to = this.putAttributes(row, to);
  }

  private putHistogram(stream: Stream, series: number, extra: number, exemplars: number): void {
    const { u8, view } = this.out;
    const { words, doubles } = this.series;
    const row = series * ROW_WORDS;
    const first = series * ROW_DOUBLES;
    const { boundaries, omitsMinMax, omitsSum } = stream;
    const buckets = boundaries.length + 1;
    let length = HISTOGRAM_BYTES + extra + listBytes(buckets);
    if (boundaries.length > 0) length += listBytes(boundaries.length);
    if (!omitsSum) length += 9;
    if (!omitsMinMax) length += 18;
    let to = putVarint(u8, this.to + 1, length);
    to = this.putTimes(stream, row, to, H.start, H.time);
    u8[to] = H.count;
    putCount(view, to + 1, doubles, first + COUNT);
    to += 9;
    if (!omitsSum) to = this.putDouble(to, H.sum, first + VALUE);
    const block = words[row + BUCKETS];
    const counts = this.series.buckets.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    u8[to] = H.bucketCounts;
    to = putVarint(u8, to + 1, 8 * buckets);
    for (let i = 0; i < buckets; i++, to += 8) putCount(view, to, counts, offset + i);
    if (boundaries.length > 0) {
      u8[to] = H.bounds;
      to = putVarint(u8, to + 1, 8 * boundaries.length);
      for (let i = 0; i < boundaries.length; i++, to += 8) {
        view.setFloat64(to, boundaries[i], true);
      }
    }
    if (exemplars >= 0) to = this.exemplars.put(exemplars, u8, view, to, H.exemplars);
    to = this.putAttributes(row, to);
    if (!omitsMinMax) {
      to = this.putDouble(to, H.min, first + MIN);
      to = this.putDouble(to, H.max, first + MAX);
    }
    this.to = to;
  }

  private putExponential(stream: Stream, series: number, exemplars: number): void {
    const { u8, view } = this.out;
    const row = series * ROW_WORDS;
    const at = this.to;
    let to = this.putAttributes(row, at + HEADER_BYTES);
    to = this.putTimes(stream, row, to, E.start, E.time);
    const { omitsMinMax, omitsSum } = stream;
    const handle = this.series.words[row + BUCKETS];
    to = this.exponentials.putFields(handle, u8, view, to, omitsMinMax, omitsSum);
    if (exemplars >= 0) to = this.exemplars.put(exemplars, u8, view, to, E.exemplars);
    this.to = closeField(u8, POINTS, at, to);
  }

  private putTimes(
    stream: Stream,
    row: number,
    to: number,
    startTag: number,
    timeTag: number,
  ): number {
    const { u8, view } = this.out;
    const { words } = this.series;
    u8[to] = startTag;
    view.setInt32(to + 1, stream.isDelta ? stream.sinceLow : words[row + START], true);
    view.setInt32(to + 5, stream.isDelta ? stream.sinceHigh : words[row + START + 1], true);
    u8[to + 9] = timeTag;
    let endLow = this.nowLow;
    let endHigh = this.nowHigh;
    if (this.isEnding) {
      const { sinceLow, sinceHigh } = stream;
      const isIdle = isLater(sinceLow, sinceHigh, words[row + TIME], words[row + TIME + 1]);
      endLow = isIdle ? sinceLow : words[row + TIME];
      endHigh = isIdle ? sinceHigh : words[row + TIME + 1];
    }
    view.setInt32(to + 10, endLow, true);
    view.setInt32(to + 14, endHigh, true);
    return to + 18;
  }

  private putDouble(to: number, fieldTag: number, at: number): number {
    this.out.u8[to] = fieldTag;
    this.out.view.setFloat64(to + 1, this.series.doubles[at], true);
    return to + 9;
  }

  /** Copies the attributes as they are; up to 3 bytes more that mean nothing. */
  private putAttributes(row: number, to: number): number {
    const { words, attributes } = this.series;
    const length = words[row + ATTRIBUTE_BYTES];
    if (length === 0) return to;
    const block = words[row + ATTRIBUTES];
    const from = attributes.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    const { view } = this.out;
    for (let i = 0; i < length; i += 4) view.setInt32(to + i, from[offset + (i >> 2)], true);
    return to + length;
  }

  // ----------------------------------------------------------------------------------------- messages

  /** Makes room for `bytes` more, in the next request where this one is full, and opens messages. */
  private open(bytes: number): void {
    const head = this.headBytes();
    if (this.to > 0 && this.to + head + bytes + CLOSING_BYTES > this.maxBytes) this.flush();
    const need = this.to + this.headBytes() + bytes + CLOSING_BYTES;
    if (this.out.u8.length < need) this.out = this.buffer(need, this.to);
    const { u8 } = this.out;
    if (this.resourceAt < 0) {
      this.resourceAt = this.to;
      this.to = putBytes(u8, this.to + HEADER_BYTES, this.nextResource!.head);
      if (!this.processes.includes(this.process)) this.processes.push(this.process);
    }
    if (this.scopeAt < 0) {
      this.scopeAt = this.to;
      this.to = putBytes(u8, this.to + HEADER_BYTES, this.nextScope!.head);
    }
    if (this.metricAt < 0) {
      this.metricAt = this.to;
      this.to = putBytes(u8, this.to + HEADER_BYTES, this.nextStream!.head);
      this.dataAt = this.to;
      this.to += HEADER_BYTES;
    }
  }

  /** Bytes of the messages that are not open, and of the ends of all. */
  private headBytes(): number {
    const resource = this.nextResource!;
    const scope = this.nextScope!;
    let bytes = resource.tail.length + scope.tail.length;
    if (this.resourceAt < 0) bytes += HEADER_BYTES + resource.head.length;
    if (this.scopeAt < 0) bytes += HEADER_BYTES + scope.head.length;
    if (this.metricAt < 0) bytes += 2 * HEADER_BYTES + this.nextStream!.head.length;
    return bytes;
  }

  private closeMetric(): void {
    if (this.metricAt < 0) return;
    const { u8 } = this.out;
    const stream = this.nextStream!;
    if (stream.kind !== GAUGE) {
      u8[this.to] = TEMPORALITY;
      u8[this.to + 1] = stream.isDelta ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE;
      this.to += 2;
    }
    if (stream.kind === SUM && stream.isMonotonic) {
      u8[this.to] = IS_MONOTONIC;
      u8[this.to + 1] = 1;
      this.to += 2;
    }
    this.to = closeField(u8, DATA[stream.kind], this.dataAt, this.to);
    this.to = closeField(u8, METRICS, this.metricAt, this.to);
    this.metricAt = -1;
    this.dataAt = -1;
  }

  private closeScope(): void {
    this.closeMetric();
    if (this.scopeAt < 0) return;
    const { u8 } = this.out;
    this.to = putBytes(u8, this.to, this.nextScope!.tail);
    this.to = closeField(u8, SCOPE_METRICS, this.scopeAt, this.to);
    this.scopeAt = -1;
  }

  private closeResource(): void {
    this.closeScope();
    if (this.resourceAt < 0) return;
    const { u8 } = this.out;
    this.to = putBytes(u8, this.to, this.nextResource!.tail);
    this.to = closeField(u8, RESOURCE_METRICS, this.resourceAt, this.to);
    this.resourceAt = -1;
  }

  /** Ends the request and hands it over. */
  private flush(): void {
    this.closeResource();
    if (this.items === 0) return;
    const request: Request = {
      signal: "metrics",
      buffer: this.out.u8,
      length: this.to,
      items: this.items,
      processes: this.processes,
    };
    this.out = NO_BYTES;
    this.to = 0;
    this.items = 0;
    this.processes = [];
    this.emit(request);
  }

  /** A buffer of at least so many bytes, with the first `keep` of the one in use. */
  private buffer(bytes: number, keep: number): Bytes {
    let buffer: Bytes | undefined;
    for (let i = 0; i < this.spare.length && buffer === undefined; i++) {
      if (this.spare[i].u8.length >= bytes) buffer = this.spare.splice(i, 1)[0];
    }
    // At least twice what it was, so that a buffer that grows is not copied for every point.
    const wanted = Math.max(bytes, 2 * this.out.u8.length, 64 << 10);
    buffer ??= createBytes(Math.max(bytes, Math.min(wanted, this.maxBytes)));
    if (keep > 0) buffer.u8.set(this.out.u8.subarray(0, keep));
    return buffer;
  }
}

const NO_BYTES = createBytes(0);

function putBytes(u8: Uint8Array, to: number, bytes: Uint8Array): number {
  u8.set(bytes, to);
  return to + bytes.length;
}

/** Tag and length before the content that begins `HEADER_BYTES` behind `at`; returns the end. */
function closeField(u8: Uint8Array, fieldTag: number, at: number, end: number): number {
  const start = at + HEADER_BYTES;
  const length = end - start;
  u8[at] = fieldTag;
  const first = putVarint(u8, at + 1, length);
  u8.copyWithin(first, start, end);
  return first + length;
}

/** Bytes of a packed list of numbers of 8 bytes. */
function listBytes(numbers: number): number {
  return 1 + varintBytes(8 * numbers) + 8 * numbers;
}

/** A count as fixed64. */
function putCount(view: DataView, to: number, column: Float64Array, at: number): void {
  const count = column[at];
  // JavaScriptCore brings doubles into 32 bits slowly unless it knows them to be integers.
  if (count < 2 ** 31) {
    view.setInt32(to, count | 0, true);
    view.setInt32(to + 4, 0, true);
  } else {
    view.setUint32(to, count >>> 0, true);
    view.setUint32(to + 4, count / 2 ** 32, true);
  }
}
