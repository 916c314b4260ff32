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
} as const;

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

/** OTLP `KeyValue`. */
export const OtlpKeyValue = { key: 1, value: 2 } as const;
/** OTLP `ResourceSpans`, `ScopeSpans`, `Resource`, `InstrumentationScope`. */
export const OtlpResourceSpans = { resource: 1, scopeSpans: 2, schemaUrl: 3 } as const;
export const OtlpScopeSpans = { scope: 1, spans: 2, schemaUrl: 3 } as const;
export const OtlpResource = { attributes: 1, droppedAttributes: 2 } as const;
export const OtlpScope = { name: 1, version: 2, attributes: 3, droppedAttributes: 4 } as const;
