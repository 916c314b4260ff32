/**
 * Schemas of the answers: what queries/types.ts and live-types.ts say, for those who don't read
 * TypeScript.
 *
 * @module
 */
import { KINDS, STATUSES } from "../store/read/spans.ts";
import {
  BOOLEAN,
  COUNT,
  INTEGER,
  list,
  NANOSECONDS,
  NUMBER,
  object,
  orNothing,
  orNull,
  record,
  ref,
  type Schema,
  SPAN_ID,
  TEXT,
  TRACE_ID,
  words,
} from "./schema.ts";

const ATTRIBUTES = list(ref("Attribute"));
const SPAN_IDS = { traceId: orNothing(TRACE_ID), spanId: orNothing(SPAN_ID) };
const DURATION: Schema = { ...NUMBER, description: "nanoseconds" };

const SPAN_HEAD = {
  traceId: TRACE_ID,
  spanId: SPAN_ID,
  parentSpanId: orNothing(SPAN_ID),
  name: TEXT,
  service: TEXT,
  kind: words(KINDS),
  status: words(STATUSES),
  startNs: NANOSECONDS,
  interrupted: BOOLEAN,
};
const SUMMARY = { ...SPAN_HEAD, id: COUNT, durationNs: DURATION, resourceId: INTEGER };
const DETAILS = {
  statusMessage: TEXT,
  traceState: TEXT,
  flags: COUNT,
  attributes: ATTRIBUTES,
  events: list(ref("SpanEvent")),
  links: list(ref("SpanLink")),
  droppedAttributes: COUNT,
  droppedEvents: COUNT,
  droppedLinks: COUNT,
};
const STATE = {
  path: TEXT,
  bytes: COUNT,
  spans: COUNT,
  logs: COUNT,
  points: COUNT,
  lastSpan: INTEGER,
  lastLog: INTEGER,
};

function pageOf(name: string): Schema {
  return object({ rows: list(ref(name)), next: orNull(TEXT) });
}

/** All schemas by name. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Error: object({ error: TEXT }),
  Value: {
    ...object({}, {
      stringValue: TEXT,
      boolValue: BOOLEAN,
      intValue: { type: "string", pattern: "^-?[0-9]+$" },
      doubleValue: { anyOf: [NUMBER, words(["NaN", "Infinity", "-Infinity"])] },
      bytesValue: { type: "string", contentEncoding: "base64" },
      arrayValue: object({ values: list(ref("Value")) }),
      kvlistValue: object({ values: ATTRIBUTES }),
    }),
    maxProperties: 1,
    description: "as OTLP/JSON writes it; without a member: empty",
  },
  Attribute: object({ key: TEXT, value: ref("Value") }),
  Resource: object({ id: INTEGER, service: TEXT, attributes: ATTRIBUTES }),
  Scope: object({ id: INTEGER, name: TEXT, version: TEXT, attributes: ATTRIBUTES }),
  State: object({
    ...STATE,
    version: TEXT,
    startedAt: { ...NUMBER, description: "unix milliseconds" },
    endpoints: list(TEXT),
    receivers: list(TEXT),
  }),
  News: object({ lastSpan: INTEGER, lastLog: INTEGER, points: COUNT }),

  Overview: object({
    fromMs: NUMBER,
    toMs: NUMBER,
    services: list(object({
      service: TEXT,
      requests: COUNT,
      errors: COUNT,
      spans: COUNT,
      perSecond: NUMBER,
      p50: DURATION,
      p95: DURATION,
      p99: DURATION,
      steps: list(object({ requests: COUNT, errors: COUNT, p95: DURATION })),
    })),
    calls: list(object({
      from: TEXT,
      to: TEXT,
      count: COUNT,
      errors: COUNT,
      p50: DURATION,
      p95: DURATION,
    })),
  }),

  SpanSummary: object(SUMMARY),
  Span: object({ ...SUMMARY, scopeId: INTEGER, ...DETAILS }),
  SpanEvent: object({
    timeNs: NANOSECONDS,
    name: TEXT,
    attributes: ATTRIBUTES,
    droppedAttributes: COUNT,
  }),
  SpanLink: object({ traceId: TEXT, spanId: TEXT, traceState: TEXT, attributes: ATTRIBUTES }),
  SpanPoint: object({ id: COUNT, startMs: NUMBER, durationNs: DURATION, error: BOOLEAN }),
  TraceSummary: object({
    traceId: TRACE_ID,
    root: ref("SpanSummary"),
    startNs: NANOSECONDS,
    durationNs: DURATION,
    spans: COUNT,
    errors: COUNT,
    interrupted: COUNT,
    services: list(TEXT),
  }),
  Trace: object({
    traceId: TRACE_ID,
    spans: list(ref("Span")),
    resources: record(ref("Resource")),
    scopes: record(ref("Scope")),
    open: list(ref("OpenSpan")),
  }),
  PageOfSpans: pageOf("SpanSummary"),
  PageOfTraces: pageOf("TraceSummary"),
  OtlpTraces: {
    type: "object",
    properties: { resourceSpans: list({ type: "object" }) },
    required: ["resourceSpans"],
  },
  TraceFile: object({
    displayTimeUnit: words(["ns"]),
    otherData: object({ traceId: TRACE_ID, startNs: NANOSECONDS }),
    traceEvents: list({
      type: "object",
      properties: { name: TEXT, ph: words(["M", "X", "i", "s", "f"]), pid: COUNT, tid: COUNT },
      required: ["name", "ph", "pid", "tid"],
    }),
  }),

  Log: object({
    id: COUNT,
    timeNs: NANOSECONDS,
    observedNs: NANOSECONDS,
    severity: COUNT,
    severityText: TEXT,
    eventName: TEXT,
    body: ref("Value"),
    attributes: ATTRIBUTES,
    ...SPAN_IDS,
    service: TEXT,
    resourceId: INTEGER,
    scopeId: INTEGER,
  }),
  PageOfLogs: pageOf("Log"),
  LogHistogram: object({
    fromMs: NUMBER,
    stepMs: NUMBER,
    steps: {
      ...list({ ...list(COUNT), minItems: 7, maxItems: 7 }),
      description: "counts of unspecified, trace, debug, info, warn, error, fatal",
    },
  }),

  MetricStream: object({
    id: COUNT,
    name: TEXT,
    description: TEXT,
    unit: TEXT,
    kind: words(["gauge", "sum", "histogram", "exponentialHistogram", "summary"]),
    temporality: words(["unspecified", "delta", "cumulative"]),
    monotonic: BOOLEAN,
    service: TEXT,
    resourceId: INTEGER,
    scope: TEXT,
    series: COUNT,
    lastMs: NUMBER,
  }),
  MetricSeries: object({ id: COUNT, attributes: ATTRIBUTES, points: list(ref("MetricPoint")) }),
  MetricPoint: object({ timeNs: NANOSECONDS, startNs: NANOSECONDS }, {
    value: orNull(NUMBER),
    count: COUNT,
    sum: orNull(NUMBER),
    min: orNull(NUMBER),
    max: orNull(NUMBER),
    bounds: list(NUMBER),
    counts: list(COUNT),
    scale: INTEGER,
    zeroCount: COUNT,
    zeroThreshold: NUMBER,
    positive: ref("ExponentialBuckets"),
    negative: ref("ExponentialBuckets"),
    quantiles: list(object({ quantile: NUMBER, value: orNull(NUMBER) })),
    exemplars: list(ref("Exemplar")),
  }),
  ExponentialBuckets: object({ offset: INTEGER, counts: list(COUNT) }),
  Exemplar: object({
    timeNs: NANOSECONDS,
    value: orNull(NUMBER),
    ...SPAN_IDS,
    attributes: ATTRIBUTES,
  }),

  Loss: object({
    timeMs: NUMBER,
    process: TEXT,
    file: TEXT,
    ring: TEXT,
    reason: TEXT,
    count: COUNT,
  }),
  Crash: object({ resource: ref("Resource"), lastNs: NANOSECONDS, interrupted: COUNT }),
  CrashReport: object({
    resource: ref("Resource"),
    fromNs: NANOSECONDS,
    lastNs: NANOSECONDS,
    open: list(ref("Span")),
    ended: list(ref("SpanSummary")),
    logs: list(ref("Log")),
    metrics: list(object({ stream: ref("MetricStream"), series: list(ref("MetricSeries")) })),
    losses: list(ref("Loss")),
  }),

  Live: object({ processes: list(ref("LiveProcess")) }),
  LiveProcess: object({
    resourceId: orNull(INTEGER),
    service: TEXT,
    pid: COUNT,
    runtime: TEXT,
    alive: BOOLEAN,
    crashed: BOOLEAN,
    since: { ...NUMBER, description: "unix milliseconds" },
    files: list(object({ path: TEXT, rings: list(ref("LiveRing")) })),
    openSpans: COUNT,
  }),
  LiveRing: object({
    name: TEXT,
    fill: { ...NUMBER, minimum: 0, maximum: 1 },
    claimed: COUNT,
    delivered: COUNT,
    torn: COUNT,
    refused: record(COUNT),
    lagMs: { ...NUMBER, minimum: 0 },
  }),
  OpenSpan: object({ ...SPAN_HEAD, resourceId: orNull(INTEGER), ...DETAILS }),
};
