/**
 * MetricRef entries of dictionaries: what measurements are to become, as their writer says.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type MetricRef, MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import type { DictionaryReader } from "../dictionary/read.ts";
import {
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_UP_DOWN_COUNTER,
  TEMPORALITY_CUMULATIVE,
  TEMPORALITY_DELTA,
  VALUE_INT,
} from "../format/fields.ts";
import { DEFAULT_BOUNDARIES } from "../record/metric.ts";
import { MALFORMED, Rejection } from "../record/wire.ts";
import { MAX_BLOCK } from "./blocks.ts";
import {
  DEFAULT_MAX_BUCKETS,
  MAX_BUCKETS,
  MAX_SCALE,
  MIN_BUCKETS,
  MIN_SCALE,
} from "./exponential.ts";

/** What a stream is made of. */
export type Kind = "gauge" | "sum" | "histogram" | "exponential";

/** An instrument, as its definition describes it. */
export interface Definition {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly scopeRef: number;
  readonly kind: Kind;
  /** The temporality to export: TEMPORALITY_*. */
  readonly temporality: number;
  readonly isMonotonic: boolean;
  /** Inclusive upper bounds of a histogram's buckets but the last. */
  readonly boundaries: readonly number[];
  readonly maxBuckets: number;
  readonly maxScale: number;
  /** INSTRUMENT_*; guessed from the aggregation where the writer does not say. */
  readonly instrument: number;
  /** The writer says which instrument it is: a file of ours. */
  readonly isOurs: boolean;
  /** True for integers, false for doubles, null where the first measurement decides. */
  readonly isInt: boolean | null;
  /** When the instrument was created, ns since the epoch; 0 where that is not known. */
  readonly created: bigint;
  /** Only these attributes are kept; null for all. */
  readonly attributeKeys: readonly string[] | null;
  /** These are left out; undefined for none, as in state that was saved before there were such. */
  readonly excludedAttributeKeys: readonly string[] | undefined;
  /** Series at most; 0 for the default. */
  readonly cardinalityLimit: number;
  readonly omitsMinMax: boolean;
}

/** A definition that does not say what its measurements are to become. */
const NO_AGGREGATION = new Rejection("a metric without an aggregation");
const BAD_BOUNDARIES = new Rejection("a histogram whose boundaries do not increase");

/** Reads an entry. Throws a Rejection for one that makes no sense. */
export function readDefinition(dictionary: DictionaryReader, ref: number): Definition {
  const entry = dictionary.entry(ref);
  const metric = parse(entry.u8.subarray(0, entry.length));
  const { aggregation } = metric;
  const isOurs = metric.instrument !== 0;
  const scopeRef = Number(metric.instrumentationScopeRef);
  const common = {
    name: metric.name,
    description: metric.description,
    unit: metric.unit,
    scopeRef: scopeRef < 2 ** 31 ? scopeRef : -1,
    isOurs,
    isInt: metric.valueType === 0 ? null : metric.valueType === VALUE_INT,
    created: metric.createdTimeUnixNano,
    attributeKeys: metric.filtersAttributes ? metric.attributeKeys : null,
    excludedAttributeKeys: metric.excludedAttributeKeys.length > 0
      ? metric.excludedAttributeKeys
      : undefined,
    cardinalityLimit: metric.cardinalityLimit,
    omitsMinMax: metric.omitsMinMax,
    isMonotonic: false,
    boundaries: DEFAULT_BOUNDARIES,
    maxBuckets: DEFAULT_MAX_BUCKETS,
    maxScale: MAX_SCALE,
  };
  const instrument = (guess: number): number => isOurs ? metric.instrument : guess;
  switch (aggregation.case) {
    case "gauge":
      return {
        ...common,
        kind: "gauge",
        instrument: instrument(INSTRUMENT_GAUGE),
        temporality: TEMPORALITY_CUMULATIVE,
      };
    case "sum": {
      const { isMonotonic, aggregationTemporality } = aggregation.value;
      return {
        ...common,
        kind: "sum",
        isMonotonic,
        instrument: instrument(isMonotonic ? INSTRUMENT_COUNTER : INSTRUMENT_UP_DOWN_COUNTER),
        temporality: temporalityOf(aggregationTemporality),
      };
    }
    case "histogram": {
      const { bucketBoundaries, aggregationTemporality } = aggregation.value;
      // Ours always say them; elsewhere none means the default ones.
      const boundaries = isOurs || bucketBoundaries.length > 0
        ? bucketBoundaries
        : DEFAULT_BOUNDARIES;
      checkBoundaries(boundaries);
      return {
        ...common,
        kind: "histogram",
        boundaries,
        instrument: instrument(INSTRUMENT_HISTOGRAM),
        temporality: temporalityOf(aggregationTemporality),
      };
    }
    case "exponentialHistogram": {
      const { maxBuckets, maxScale, aggregationTemporality } = aggregation.value;
      const buckets = Number(maxBuckets);
      const scale = Number(maxScale);
      return {
        ...common,
        kind: "exponential",
        maxBuckets: buckets >= MIN_BUCKETS && buckets <= MAX_BUCKETS
          ? buckets
          : DEFAULT_MAX_BUCKETS,
        maxScale: scale >= MIN_SCALE && scale <= MAX_SCALE ? scale : MAX_SCALE,
        instrument: instrument(INSTRUMENT_HISTOGRAM),
        temporality: temporalityOf(aggregationTemporality),
      };
    }
  }
  throw NO_AGGREGATION;
}

/** True where series are measured only when a callback says so. */
export function isObservable(instrument: number): boolean {
  return instrument > INSTRUMENT_GAUGE && instrument <= INSTRUMENT_OBSERVABLE_GAUGE;
}

function parse(bytes: Uint8Array): MetricRef {
  try {
    return fromBinary(MetricRefSchema, bytes);
  } catch {
    throw MALFORMED;
  }
}

function temporalityOf(number: number): number {
  return number === TEMPORALITY_DELTA ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE;
}

/** Throws where buckets could not be told apart, or are too many. */
function checkBoundaries(boundaries: readonly number[]): void {
  if (boundaries.length >= MAX_BLOCK) throw BAD_BOUNDARIES;
  for (let i = 0; i < boundaries.length; i++) {
    if (!Number.isFinite(boundaries[i])) throw BAD_BOUNDARIES;
    if (i > 0 && !(boundaries[i - 1] < boundaries[i])) throw BAD_BOUNDARIES;
  }
}
