/**
 * What can be asked of a store, and what it answers. Everything here can be given to
 * `JSON.stringify` as it is: ids are lowercase hex, times are decimal text of nanoseconds since the
 * epoch (they don't fit a JavaScript number), durations are numbers of nanoseconds.
 *
 * All functions are synchronous: they take milliseconds. They throw {@linkcode InvalidQuery} for what
 * can't be asked (an id that is not hex, a full-text expression that can't be parsed).
 *
 * @module
 */

/** A value as OTLP/JSON writes it. `{}` is an empty one. */
export interface Value {
  stringValue?: string;
  boolValue?: boolean;
  /** Decimal text. */
  intValue?: string;
  /** Text for what JSON has no number for: "NaN", "Infinity", "-Infinity". */
  doubleValue?: number | string;
  /** Base64. */
  bytesValue?: string;
  arrayValue?: { values: Value[] };
  kvlistValue?: { values: Attribute[] };
}

/** A key and its value. */
export interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** Who recorded something. */
export interface Resource {
  readonly id: number;
  /** `service.name`, or "" where there is none. */
  readonly service: string;
  readonly attributes: readonly Attribute[];
}

/** The instrumentation scope of something. */
export interface Scope {
  readonly id: number;
  readonly name: string;
  readonly version: string;
  readonly attributes: readonly Attribute[];
}

/** Names of OTLP's status codes. */
export type Status = "unset" | "ok" | "error";
/** Names of OTLP's span kinds. */
export type Kind = "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";

/** An attribute that has exactly this value, of exactly this type: 1 and "1" differ. */
export interface AttributeFilter {
  readonly key: string;
  /** Scalar values are found; arrays, maps and bytes when they are equal as a whole. */
  readonly value: Value;
}

/** A stretch of time, unix milliseconds, from inclusive, to exclusive; either may be missing. */
export interface TimeRange {
  readonly fromMs?: number;
  readonly toMs?: number;
}

/** Which spans; all conditions hold at once. */
export interface SpanFilter extends TimeRange {
  /** Any of these services. */
  readonly services?: readonly string[];
  /** Exactly this name. */
  readonly name?: string;
  /** Text the name contains, letters of either case. */
  readonly nameContains?: string;
  /** On the span, its resource or its scope. */
  readonly attributes?: readonly AttributeFilter[];
  readonly status?: Status;
  readonly kind?: Kind;
  readonly minDurationNs?: number;
  readonly maxDurationNs?: number;
  /** Only spans that their process did not end (true), or only the others (false). */
  readonly interrupted?: boolean;
  /** Only spans without a parent. */
  readonly root?: boolean;
}

/** Which part of a long answer. */
export interface Page {
  /** Rows at most. Default 50, at most 1,000. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

/** What an answer of several rows has: newest stored first. */
export interface Paged<T> {
  readonly rows: readonly T[];
  /** For the page after this; null when there is none. */
  readonly next: string | null;
}

/** A span without its details. */
export interface SpanSummary {
  /** Its number in the store: grows in the order of arrival. */
  readonly id: number;
  readonly traceId: string;
  readonly spanId: string;
  /** "" for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly kind: Kind;
  readonly status: Status;
  readonly startNs: string;
  readonly durationNs: number;
  /** Its end was not recorded: its process died or was cut off; `durationNs` ends at its last sign. */
  readonly interrupted: boolean;
  readonly resourceId: number;
}

/** A span event. */
export interface SpanEvent {
  readonly timeNs: string;
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly droppedAttributes: number;
}

/** A link to another span. */
export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly attributes: readonly Attribute[];
}

/** All of a span. */
export interface Span extends SpanSummary {
  readonly scopeId: number;
  readonly statusMessage: string;
  readonly traceState: string;
  readonly flags: number;
  readonly attributes: readonly Attribute[];
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly droppedAttributes: number;
  readonly droppedEvents: number;
  readonly droppedLinks: number;
}

/** A trace, with everything that is in the store of it. */
export interface Trace {
  readonly traceId: string;
  /** By start. Parents may be missing: they did not arrive, or were removed by age or size. */
  readonly spans: readonly Span[];
  /** Resources of its spans, by `resourceId`. */
  readonly resources: Readonly<Record<number, Resource>>;
  readonly scopes: Readonly<Record<number, Scope>>;
}

/** A trace in a list. */
export interface TraceSummary {
  readonly traceId: string;
  /** The root, or the span that started first where the root is missing. */
  readonly root: SpanSummary;
  /** From the first start to the last end. */
  readonly startNs: string;
  readonly durationNs: number;
  readonly spans: number;
  readonly errors: number;
  readonly interrupted: number;
  /** Sorted. */
  readonly services: readonly string[];
}

/** A span as a point in a scatter of latencies. */
export interface SpanPoint {
  readonly id: number;
  /** Unix milliseconds, with a fraction. */
  readonly startMs: number;
  readonly durationNs: number;
  readonly error: boolean;
}

/** A service in a stretch of time, by its entry spans: servers, consumers and roots. */
export interface ServiceFigures {
  readonly service: string;
  /** Entry spans. */
  readonly requests: number;
  /** Of these, with status error. */
  readonly errors: number;
  /** All spans. */
  readonly spans: number;
  readonly perSecond: number;
  /** Nanoseconds, within 5%; 0 without requests. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** For a sparkline: `steps` equal stretches of the time asked for. */
  readonly steps: readonly ServiceStep[];
}

/** A service in one of these stretches. */
export interface ServiceStep {
  readonly requests: number;
  readonly errors: number;
  readonly p95: number;
}

/** Who calls whom: spans of `to` whose parent is a span of `from`. */
export interface Call {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly errors: number;
  readonly p50: number;
  readonly p95: number;
}

/** Services and their calls. Times are rounded out to multiples of 10 s. */
export interface Overview {
  readonly fromMs: number;
  readonly toMs: number;
  /** By name. */
  readonly services: readonly ServiceFigures[];
  readonly calls: readonly Call[];
}

/** Which log records; all conditions hold at once. */
export interface LogFilter extends TimeRange {
  readonly services?: readonly string[];
  /** Full text: words, "phrases", prefix*, AND, OR, NOT, as SQLite's FTS5 has it. */
  readonly text?: string;
  /** OTLP severity number, 1 to 24, at least. */
  readonly minSeverity?: number;
  /** On the record, its resource or its scope. */
  readonly attributes?: readonly AttributeFilter[];
  readonly traceId?: string;
  readonly spanId?: string;
  /** Only records that came after the one with this `id`: for following. Oldest first then. */
  readonly afterId?: number;
  /** Of one resource. */
  readonly resourceId?: number;
}

/** A log record. */
export interface Log {
  readonly id: number;
  /** The observed time where the record has none. */
  readonly timeNs: string;
  readonly observedNs: string;
  /** 0 to 24. */
  readonly severity: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: Value;
  readonly attributes: readonly Attribute[];
  /** "" where there is none. */
  readonly traceId: string;
  readonly spanId: string;
  readonly service: string;
  readonly resourceId: number;
  readonly scopeId: number;
}

/** Log records over time. */
export interface LogHistogram {
  readonly fromMs: number;
  /** Width of a step. */
  readonly stepMs: number;
  /** For each step, counts by severity: unspecified, trace, debug, info, warn, error, fatal. */
  readonly steps: readonly (readonly number[])[];
}

/** What kind of points a stream has. */
export type MetricKind = "gauge" | "sum" | "histogram" | "exponentialHistogram" | "summary";
/** OTLP's aggregation temporality. */
export type Temporality = "unspecified" | "delta" | "cumulative";

/** A metric stream: a name in a scope of a resource. */
export interface MetricStream {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: MetricKind;
  readonly temporality: Temporality;
  readonly monotonic: boolean;
  readonly service: string;
  readonly resourceId: number;
  readonly scope: string;
  /** Attribute sets. */
  readonly series: number;
  /** Of its newest point. */
  readonly lastMs: number;
}

/** A stream's points with one set of attributes, by time. */
export interface MetricSeries {
  readonly id: number;
  readonly attributes: readonly Attribute[];
  readonly points: readonly MetricPoint[];
}

/** A point. Which fields there are depends on the stream's kind. */
export interface MetricPoint {
  readonly timeNs: string;
  /** "0" where there is none. */
  readonly startNs: string;
  /** Gauges and sums. */
  readonly value?: number;
  /** Histograms and summaries. */
  readonly count?: number;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
  /** Histograms: one count more than bounds. */
  readonly bounds?: readonly number[];
  readonly counts?: readonly number[];
  /** Exponential histograms. */
  readonly scale?: number;
  readonly zeroCount?: number;
  readonly zeroThreshold?: number;
  readonly positive?: ExponentialBuckets;
  readonly negative?: ExponentialBuckets;
  /** Summaries. */
  readonly quantiles?: readonly { readonly quantile: number; readonly value: number }[];
  readonly exemplars?: readonly Exemplar[];
}

/** Buckets of an exponential histogram: bucket i is of index offset + i. */
export interface ExponentialBuckets {
  readonly offset: number;
  readonly counts: readonly number[];
}

/** A measurement that stands for others. */
export interface Exemplar {
  readonly timeNs: string;
  readonly value: number;
  /** "" where there is none. */
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: readonly Attribute[];
}

/** Records that were lost, and why. */
export interface Loss {
  readonly timeMs: number;
  readonly process: string;
  readonly file: string;
  readonly ring: string;
  readonly reason: string;
  /** Since the row before of the same process, file, ring and reason. */
  readonly count: number;
}

/** A resource whose process died: it did not end in order, or some of its spans have no end of their own. */
export interface Crash {
  readonly resource: Resource;
  /** The last sign of it. */
  readonly lastNs: string;
  /** Spans that were open, if any. */
  readonly interrupted: number;
}

/** The last seconds of a process. */
export interface CrashReport {
  readonly resource: Resource;
  readonly fromNs: string;
  readonly lastNs: string;
  /** Spans that were open at its death, by start. */
  readonly open: readonly Span[];
  /** Spans that ended in its last seconds, by start, the last 200. */
  readonly ended: readonly SpanSummary[];
  /** The last 200 log records, by time. */
  readonly logs: readonly Log[];
  /** Streams with points in its last seconds. */
  readonly metrics: readonly {
    readonly stream: MetricStream;
    readonly series: readonly MetricSeries[];
  }[];
  readonly losses: readonly Loss[];
}

/** What the store holds. */
export interface StoreState {
  readonly path: string;
  /** Bytes in use; free pages of the file are not counted. */
  readonly bytes: number;
  readonly spans: number;
  readonly logs: number;
  readonly points: number;
  /** The numbers of the newest span and log record; -1 where there is none. For seeing news. */
  readonly lastSpan: number;
  readonly lastLog: number;
}

/** A question that can't be asked. The message says what is wrong with it. */
export class InvalidQuery extends Error {
  override readonly name = "InvalidQuery";
}

/** A store opened for reading. */
export interface StoreQueries {
  state(): StoreState;
  /** All services that have a span, a log record or a metric, sorted. */
  services(): string[];
  /** Names of spans of a service (or of all), sorted, at most 1,000. */
  spanNames(service?: string): string[];
  /** Keys of attributes that were seen, sorted, at most 1,000. */
  attributeKeys(): string[];
  /** The resources, newest first. */
  resources(): Resource[];

  overview(range: TimeRange, steps?: number): Overview;

  searchSpans(filter: SpanFilter, page?: Page): Paged<SpanSummary>;
  /** The traces that have a span that fits. */
  searchTraces(filter: SpanFilter, page?: Page): Paged<TraceSummary>;
  /** The newest spans that fit, as points; default and at most 5,000. */
  scatter(filter: SpanFilter, limit?: number): SpanPoint[];
  /** A trace by its id; null when there is none. */
  trace(traceId: string): Trace | null;
  /** One span by its `id`; null when it is gone. */
  span(id: number): Span | null;
  /** The trace as an ExportTraceServiceRequest (protobuf bytes); null when there is none. */
  traceAsOtlp(traceId: string): Uint8Array | null;

  searchLogs(filter: LogFilter, page?: Page): Paged<Log>;
  /** Default 60 steps. */
  logHistogram(filter: LogFilter & Required<TimeRange>, steps?: number): LogHistogram;

  /** By name, then service. */
  metricStreams(): MetricStream[];
  /** At most 20,000 points, the newest of each series. */
  metricSeries(streamId: number, range: TimeRange): MetricSeries[];

  losses(range: TimeRange): Loss[];
  /** Newest first, at most 100. */
  crashes(): Crash[];
  /** `seconds` before the last sign of the process; default 30. Null when there is no such resource. */
  crash(resourceId: number, seconds?: number): CrashReport | null;

  close(): void;
}
