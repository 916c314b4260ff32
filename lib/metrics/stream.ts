/**
 * Streams: what becomes of an instrument's measurements, once definition, views and options have
 * had their say.
 *
 * @module
 */
import {
  BYTES,
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  INSTRUMENT_UP_DOWN_COUNTER,
  OtlpExponentialPoint,
  OtlpHistogramPoint,
  OtlpMetric,
  OtlpNumberPoint,
  tag,
  TEMPORALITY_CUMULATIVE,
  TEMPORALITY_DELTA,
} from "../format/fields.ts";
import type { ScopeEntry } from "../otlp/scopes.ts";
import { DEFAULT_BOUNDARIES } from "../record/metric.ts";
import { putVarint } from "../record/wire.ts";
import { KeyFilter } from "./attribute-set.ts";
import { type Definition, isObservable, type Kind } from "./definition.ts";
import { DEFAULT_MAX_BUCKETS, MAX_SCALE } from "./exponential.ts";
import { NO_SERIES } from "./series.ts";
import type { AttributeKeys, StreamSettings } from "./views.ts";

/** Which temporality to export: what the definition says, or one for everything. */
export type TemporalityPreference = "definition" | "cumulative" | "delta" | "lowmemory";

/** What streams need of the aggregator's options. */
export interface StreamOptions {
  readonly temporality: TemporalityPreference;
  /** What histograms become, whatever their definition says. */
  readonly histograms: "definition" | "explicit" | "exponential";
  /** Series of a stream at most, besides the one for the overflow. */
  readonly cardinalityLimit: number;
  /** Streams of delta temporality are kept a second time, for snapshots, with all that ever came. */
  readonly keepsCumulative?: boolean;
}

// What a stream's series hold: a number for `switch`.
export const GAUGE = 0;
export const SUM = 1;
export const HISTOGRAM = 2;
export const EXPONENTIAL = 3;

/** One stream of data points. */
export interface Stream {
  readonly scope: ScopeEntry;
  /** Index of the process it belongs to. */
  readonly process: number;
  /** GAUGE, SUM, HISTOGRAM or EXPONENTIAL. */
  readonly kind: number;
  /** Fields `name`, `description` and `unit` of the Metric. */
  readonly head: Uint8Array;
  readonly isMonotonic: boolean;
  /** One of its instrument's streams is a sum that only grows: none of them takes a negative value. */
  refusesNegative: boolean;
  readonly isDelta: boolean;
  /** It is for snapshots alone: what is collected is in the stream that it is the double of. */
  readonly isDouble: boolean;
  /** Its series are exported only when they were measured since the last collection. */
  readonly isObservable: boolean;
  /** Measurements without a span context are absolute values, not increments. */
  readonly mayBeAbsolute: boolean;
  /** Whether values are integers; null until the first one. */
  isInt: boolean | null;
  readonly boundaries: Float64Array;
  readonly maxBuckets: number;
  readonly maxScale: number;
  readonly omitsMinMax: boolean;
  readonly omitsSum: boolean;
  /** One-byte tag of the attributes in its points. */
  readonly attributeTag: number;
  readonly filter: KeyFilter | null;
  readonly limit: number;
  /** When it began: its creation, or the first measurement. Low and high 32 bits of ns. */
  createdLow: number;
  createdHigh: number;
  /** The last collection, from which points of a delta stream start; `created` before the first. */
  sinceLow: number;
  sinceHigh: number;
  /** Its series, in the order they came; NO_SERIES for none. */
  first: number;
  last: number;
  count: number;
  /** The series of all that is beyond the limit. */
  overflow: number;
  /** Series measured since the last collection. */
  measured: number;
}

const KINDS: Record<Kind, number> = {
  gauge: GAUGE,
  sum: SUM,
  histogram: HISTOGRAM,
  exponential: EXPONENTIAL,
};

/** Tags of the attributes in points, by kind. */
export const ATTRIBUTE_TAGS: readonly number[] = [
  tag(OtlpNumberPoint.attributes, BYTES),
  tag(OtlpNumberPoint.attributes, BYTES),
  tag(OtlpHistogramPoint.attributes, BYTES),
  tag(OtlpExponentialPoint.attributes, BYTES),
];

/** Makes a stream of an instrument. */
export function createStream(
  definition: Definition,
  settings: StreamSettings,
  scope: ScopeEntry,
  options: StreamOptions,
): Stream {
  const { instrument } = definition;
  const wanted = aggregationOf(definition, settings, options);
  const kind = KINDS[wanted.kind];
  const created = definition.created;
  const createdLow = Number(created & 0xffffffffn) | 0;
  const createdHigh = Number(created >> 32n) | 0;
  return {
    scope,
    process: scope.process,
    kind,
    head: encodeHead(
      settings.name ?? definition.name,
      settings.description ?? definition.description,
      definition.unit,
    ),
    isMonotonic: wanted.isMonotonic,
    refusesNegative: wanted.isMonotonic,
    isDelta: kind !== GAUGE &&
      temporalityOf(definition, options.temporality) === TEMPORALITY_DELTA,
    isDouble: false,
    isObservable: definition.isOurs && isObservable(instrument),
    mayBeAbsolute: !definition.isOurs && kind === SUM && definition.kind === "sum" &&
      definition.temporality === TEMPORALITY_CUMULATIVE,
    isInt: kind === HISTOGRAM || kind === EXPONENTIAL ? false : definition.isInt,
    boundaries: Float64Array.from(wanted.boundaries),
    maxBuckets: wanted.maxBuckets,
    maxScale: wanted.maxScale,
    omitsMinMax: wanted.omitsMinMax,
    // Sums of values that may be negative would not be monotonic, which they must be.
    omitsSum: instrument === INSTRUMENT_UP_DOWN_COUNTER || instrument === INSTRUMENT_GAUGE ||
      instrument === INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER ||
      instrument === INSTRUMENT_OBSERVABLE_GAUGE,
    attributeTag: ATTRIBUTE_TAGS[kind],
    filter: filterOf(definition, settings.attributeKeys),
    limit: settings.cardinalityLimit ??
      (definition.cardinalityLimit > 0 ? definition.cardinalityLimit : options.cardinalityLimit),
    createdLow,
    createdHigh,
    sinceLow: createdLow,
    sinceHigh: createdHigh,
    first: NO_SERIES,
    last: NO_SERIES,
    count: 0,
    overflow: NO_SERIES,
    measured: 0,
  };
}

/** The stream that keeps for snapshots what a new stream of delta temporality starts anew. */
export function doubleOf(stream: Stream): Stream {
  return { ...stream, isDelta: false, isDouble: true };
}

interface Wanted {
  kind: Kind;
  isMonotonic: boolean;
  boundaries: readonly number[];
  maxBuckets: number;
  maxScale: number;
  omitsMinMax: boolean;
}

function aggregationOf(
  definition: Definition,
  { aggregation }: StreamSettings,
  options: StreamOptions,
): Wanted {
  const { instrument } = definition;
  // Metrics SDK, "Sum Aggregation".
  const isMonotonic = instrument === INSTRUMENT_COUNTER ||
    instrument === INSTRUMENT_OBSERVABLE_COUNTER || instrument === INSTRUMENT_HISTOGRAM;
  const defined: Wanted = { ...definition, isMonotonic: definition.isMonotonic };
  switch (aggregation.kind) {
    case "sum":
      return { ...defined, kind: "sum", isMonotonic };
    case "last_value":
      return { ...defined, kind: "gauge" };
    case "explicit_bucket_histogram": {
      const { boundaries, recordMinMax } = aggregation;
      return { ...defined, kind: "histogram", boundaries, omitsMinMax: !recordMinMax };
    }
    case "base2_exponential_bucket_histogram": {
      const { maxScale, maxSize: maxBuckets, recordMinMax } = aggregation;
      return { ...defined, kind: "exponential", maxScale, maxBuckets, omitsMinMax: !recordMinMax };
    }
  }
  if (definition.kind === "histogram" && options.histograms === "exponential") {
    const [maxBuckets, maxScale] = [DEFAULT_MAX_BUCKETS, MAX_SCALE];
    return { ...defined, kind: "exponential", maxBuckets, maxScale };
  }
  if (definition.kind === "exponential" && options.histograms === "explicit") {
    return { ...defined, kind: "histogram", boundaries: DEFAULT_BOUNDARIES };
  }
  return defined;
}

/** OTLP metrics exporter, "Additional environment variable configuration". */
function temporalityOf(
  { instrument, temporality }: Definition,
  preference: TemporalityPreference,
): number {
  switch (preference) {
    case "definition":
      return temporality;
    case "cumulative":
      return TEMPORALITY_CUMULATIVE;
  }
  const isDelta = instrument === INSTRUMENT_COUNTER || instrument === INSTRUMENT_HISTOGRAM ||
    (preference === "delta" && instrument === INSTRUMENT_OBSERVABLE_COUNTER);
  return isDelta ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE;
}

function filterOf(
  { attributeKeys, excludedAttributeKeys: excluded = [] }: Definition,
  chosen: AttributeKeys | undefined,
): KeyFilter | null {
  const names = attributeKeys === null && excluded.length === 0
    ? undefined
    : { included: attributeKeys ?? undefined, excluded };
  return chosen === undefined && names === undefined ? null : new KeyFilter(chosen, names);
}

function encodeHead(name: string, description: string, unit: string): Uint8Array {
  const encoder = new TextEncoder();
  const parts: number[] = [];
  for (
    const [field, text] of [
      [OtlpMetric.name, name],
      [OtlpMetric.description, description],
      [OtlpMetric.unit, unit],
    ] as const
  ) {
    if (text === "") continue;
    const bytes = encoder.encode(text);
    const length = new Uint8Array(5);
    parts.push(tag(field, BYTES), ...length.subarray(0, putVarint(length, 0, bytes.length)));
    for (const byte of bytes) parts.push(byte);
  }
  return Uint8Array.from(parts);
}
