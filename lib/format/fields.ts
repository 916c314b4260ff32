/**
 * Field numbers of the messages in rings and dictionary (proto3, package
 * `opentelemetry.proto.mmap.v1`), and of the OTLP messages they become.
 * Numbers from 500 up are our additions, which version 1 readers skip.
 *
 * @module
 */

/** Protobuf wire types. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** The tag of a field. */
export function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

/** SpanEvent, the record of the spans ring. */
export const SpanEvent = {
  traceId: 1,
  spanId: 2,
  start: 11,
  end: 12,
  name: 13,
  attributes: 14,
  link: 15,
  scopeRef: 20,
  /** bool, ours: part of this record was cut off to fit its slot. */
  truncated: 500,
} as const;

export const StartSpan = {
  parentSpanId: 4,
  name: 5,
  kind: 6,
  startTime: 7,
  attributes: 9,
  flags: 16,
  /** string, ours: W3C tracestate. */
  traceState: 500,
} as const;

export const EndSpan = {
  endTime: 8,
  status: 15,
  /** uint32, ours: totals over the span's life. */
  droppedAttributes: 500,
  droppedEvents: 501,
  droppedLinks: 502,
} as const;

export const ChangeSpanName = { name: 5 } as const;
export const UpdateAttributes = { attributes: 9 } as const;
export const AddLink = { links: 13 } as const;

export const Link = {
  traceId: 1,
  spanId: 2,
  traceState: 3,
  attributes: 4,
  droppedAttributes: 5,
  flags: 6,
} as const;

export const Status = { message: 2, code: 3 } as const;

/** Event, the record of the events ring: a log record or a span event. */
export const Event = {
  scopeRef: 1,
  time: 2,
  severityNumber: 3,
  severityText: 4,
  body: 5,
  eventNameRef: 6,
  spanContext: 7,
  attributes: 8,
  /** bool, ours: this is an event of the span in spanContext, not a log record. */
  spanEvent: 500,
  /** uint32, ours. */
  droppedAttributes: 501,
  /** string, ours: the name itself, where interning it would fill the dictionary (eventNameRef absent). */
  eventName: 502,
  /** fixed64, ours: observed time of a log record. */
  observedTime: 503,
  /** bool, ours: part of this record was cut off to fit its slot. */
  truncated: 504,
} as const;

export const Measurement = {
  metricRef: 1,
  attributes: 2,
  time: 3,
  asLong: 4,
  asDouble: 5,
  spanContext: 6,
  /** bool, ours: attributes were cut or left out to fit the slot. */
  truncated: 500,
  /** double, ours: an observable counter began anew, so much of the sum before counts no more. */
  replacedTotal: 501,
} as const;

export const SpanContext = { spanId: 1, traceId: 2, flags: 3 } as const;
export const KeyValueRef = { keyRef: 1, value: 2 } as const;

export const AnyValue = {
  string: 1,
  bool: 2,
  int: 3,
  double: 4,
  array: 5,
  kvlist: 6,
  bytes: 7,
  valueRef: 8,
} as const;

export const Resource = {
  attributes: 1,
  droppedAttributes: 2,
  /** string, ours. */
  schemaUrl: 500,
} as const;

export const Scope = {
  nameRef: 1,
  versionRef: 2,
  attributes: 3,
  droppedAttributes: 4,
  resourceRef: 5,
  /** string, ours. */
  schemaUrl: 500,
} as const;

export const MetricRef = {
  name: 1,
  description: 2,
  unit: 3,
  scopeRef: 4,
  gauge: 5,
  sum: 6,
  histogram: 7,
  exponentialHistogram: 8,
  /** enum, ours: which instrument measures, INSTRUMENT_*. */
  instrument: 500,
  /** enum, ours: 1 integers, 2 doubles. */
  valueType: 501,
  /** fixed64, ours: when the instrument was created, ns since the epoch; the same in every file. */
  createdTime: 502,
  /** bool, ours: only the attributes in `attributeKeys` are kept. */
  filtersAttributes: 503,
  /** repeated string, ours. */
  attributeKeys: 504,
  /** uint32, ours: series of this stream at most; 0 for the default. */
  cardinalityLimit: 505,
  /** bool, ours: points of histograms carry neither minimum nor maximum. */
  omitsMinMax: 506,
  /** repeated string, ours: attributes that are left out. */
  excludedAttributeKeys: 507,
} as const;

/** What `MetricRef.instrument` says. */
export const INSTRUMENT_COUNTER = 1;
export const INSTRUMENT_UP_DOWN_COUNTER = 2;
export const INSTRUMENT_HISTOGRAM = 3;
export const INSTRUMENT_GAUGE = 4;
export const INSTRUMENT_OBSERVABLE_COUNTER = 5;
export const INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER = 6;
export const INSTRUMENT_OBSERVABLE_GAUGE = 7;

/** What `MetricRef.valueType` says. */
export const VALUE_INT = 1;
export const VALUE_DOUBLE = 2;

/** `aggregation_temporality`, of definitions and of OTLP. */
export const TEMPORALITY_DELTA = 1;
export const TEMPORALITY_CUMULATIVE = 2;

export const Sum = { temporality: 2, isMonotonic: 3 } as const;
export const Histogram = { temporality: 1, bucketBoundaries: 2 } as const;
export const ExponentialHistogram = { temporality: 1, maxBuckets: 2, maxScale: 3 } as const;

/** OTLP `Span`. */
export const OtlpSpan = {
  traceId: 1,
  spanId: 2,
  traceState: 3,
  parentSpanId: 4,
  name: 5,
  kind: 6,
  startTime: 7,
  endTime: 8,
  attributes: 9,
  droppedAttributes: 10,
  events: 11,
  droppedEvents: 12,
  links: 13,
  droppedLinks: 14,
  status: 15,
  flags: 16,
} as const;

/** OTLP `Span.Event`. */
export const OtlpSpanEvent = { time: 1, name: 2, attributes: 3, droppedAttributes: 4 } as const;

/** OTLP `Span.Link`. */
export const OtlpLink = {
  traceId: 1,
  spanId: 2,
  traceState: 3,
  attributes: 4,
  droppedAttributes: 5,
  flags: 6,
} as const;

/** OTLP `LogRecord`. */
export const OtlpLogRecord = {
  time: 1,
  severityNumber: 2,
  severityText: 3,
  body: 5,
  attributes: 6,
  droppedAttributes: 7,
  flags: 8,
  traceId: 9,
  spanId: 10,
  observedTime: 11,
  eventName: 12,
} as const;

/** OTLP `Metric`. */
export const OtlpMetric = {
  name: 1,
  description: 2,
  unit: 3,
  gauge: 5,
  sum: 7,
  histogram: 9,
  exponentialHistogram: 10,
  summary: 11,
  metadata: 12,
} as const;

/** OTLP `Gauge`, `Sum`, `Histogram`, `ExponentialHistogram`: the same numbers in each. */
export const OtlpMetricData = { dataPoints: 1, temporality: 2, isMonotonic: 3 } as const;

/** OTLP `NumberDataPoint`. */
export const OtlpNumberPoint = {
  startTime: 2,
  time: 3,
  asDouble: 4,
  exemplars: 5,
  /** sfixed64. */
  asInt: 6,
  attributes: 7,
  flags: 8,
} as const;

/** OTLP `HistogramDataPoint`. */
export const OtlpHistogramPoint = {
  startTime: 2,
  time: 3,
  count: 4,
  sum: 5,
  bucketCounts: 6,
  explicitBounds: 7,
  exemplars: 8,
  attributes: 9,
  flags: 10,
  min: 11,
  max: 12,
} as const;

/** OTLP `ExponentialHistogramDataPoint`. */
export const OtlpExponentialPoint = {
  attributes: 1,
  startTime: 2,
  time: 3,
  count: 4,
  sum: 5,
  /** sint32. */
  scale: 6,
  zeroCount: 7,
  positive: 8,
  negative: 9,
  flags: 10,
  exemplars: 11,
  min: 12,
  max: 13,
  zeroThreshold: 14,
} as const;

/** OTLP `ExponentialHistogramDataPoint.Buckets`. */
export const OtlpBuckets = { offset: 1, bucketCounts: 2 } as const;

/** OTLP `Exemplar`. */
export const OtlpExemplar = {
  time: 2,
  asDouble: 3,
  spanId: 4,
  traceId: 5,
  /** sfixed64. */
  asInt: 6,
  filteredAttributes: 7,
} as const;

/** OTLP `KeyValue`. */
export const OtlpKeyValue = { key: 1, value: 2 } as const;
/**
 * OTLP `ResourceSpans`, `ScopeSpans`, `Resource`, `InstrumentationScope`. `ResourceLogs`,
 * `ScopeLogs`, `ResourceMetrics` and `ScopeMetrics` have the same numbers.
 */
export const OtlpResourceSpans = { resource: 1, scopeSpans: 2, schemaUrl: 3 } as const;
export const OtlpScopeSpans = { scope: 1, spans: 2, schemaUrl: 3 } as const;
export const OtlpResource = { attributes: 1, droppedAttributes: 2 } as const;
export const OtlpScope = { name: 1, version: 2, attributes: 3, droppedAttributes: 4 } as const;
