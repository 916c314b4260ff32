/**
 * MetricRef as a dictionary entry: what an instrument's measurements are to become.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import {
  BYTES,
  ExponentialHistogram,
  FIXED64,
  Histogram,
  MetricRef,
  Sum,
  tag,
  VARINT,
} from "../format/fields.ts";
import { putVarint } from "./slot.ts";
import { aim, aside, endOfPut, OK, type Place, putCutStringField } from "./value.ts";

/** What measurements are aggregated to. */
export type Aggregation =
  | { readonly type: "gauge" }
  | { readonly type: "sum"; readonly temporality: number; readonly isMonotonic: boolean }
  | {
    readonly type: "histogram";
    readonly temporality: number;
    /** Inclusive upper bounds of all buckets but the last. */
    readonly boundaries: readonly number[];
  }
  | {
    readonly type: "exponential";
    readonly temporality: number;
    readonly maxBuckets: number;
    readonly maxScale: number;
  };

/** The specification's boundaries (Metrics SDK, "Explicit Bucket Histogram Aggregation"). */
export const DEFAULT_BOUNDARIES: readonly number[] = [
  ...[0, 5, 10, 25, 50, 75, 100, 250, 500, 750],
  ...[1000, 2500, 5000, 7500, 10000],
];

/** What a MetricRef says. Numbers are those of lib/format/fields.ts. */
export interface MetricDefinition {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly aggregation: Aggregation;
  /** INSTRUMENT_*. */
  readonly instrument: number;
  /** VALUE_*. */
  readonly valueType: number;
  /** When the instrument was created, halves of ns since the epoch. */
  readonly createdLow: number;
  readonly createdHigh: number;
  /** Only these attributes are kept; null for all. */
  readonly attributeKeys: readonly string[] | null;
  /** These are left out. */
  readonly excludedAttributeKeys: readonly string[];
  /** Series at most; 0 for the default. */
  readonly cardinalityLimit: number;
  readonly omitsMinMax: boolean;
}

/** The largest entry; a definition beyond this can't be recorded. */
const MAX_ENTRY_BYTES = 16_000;
const scratch = new Uint8Array(MAX_ENTRY_BYTES);
const view = new DataView(scratch.buffer);
const place: Place = { u8: scratch, i32: new Int32Array(scratch.buffer) };

/** Bytes that are no text: the most they can be for a definition without boundaries and keys. */
const FIXED_BYTES = 80;

/** True when the definition fits an entry of the dictionary. */
export function fitsEntry(definition: MetricDefinition): boolean {
  const { name, description, unit, aggregation, attributeKeys, excludedAttributeKeys } = definition;
  let bytes = FIXED_BYTES + (name.length + description.length + unit.length) * 3;
  if (aggregation.type === "histogram") bytes += aggregation.boundaries.length * 8;
  for (const key of [...attributeKeys ?? [], ...excludedAttributeKeys]) bytes += 5 + key.length * 3;
  return bytes <= MAX_ENTRY_BYTES;
}

/**
 * Appends a MetricRef and returns its ref; 0 when the dictionary is full. The definition must fit
 * (`fitsEntry`).
 */
export function metricMessage(
  dictionary: DictionaryWriter,
  definition: MetricDefinition,
  scopeRef: number,
): number {
  if (scopeRef === 0) return 0;
  // A getter of a record's data may ask for an instrument.
  return aside(() => {
    aim(place, MAX_ENTRY_BYTES, dictionary, Infinity);
    let at = putText(0, MetricRef.name, definition.name);
    at = putText(at, MetricRef.description, definition.description);
    at = putText(at, MetricRef.unit, definition.unit);
    at = putNumber(at, MetricRef.scopeRef, scopeRef);
    at = putAggregation(at, definition.aggregation);
    at = putNumber(at, MetricRef.instrument, definition.instrument);
    at = putNumber(at, MetricRef.valueType, definition.valueType);
    at = putVarint(scratch, at, tag(MetricRef.createdTime, FIXED64));
    view.setInt32(at, definition.createdLow, true);
    view.setInt32(at + 4, definition.createdHigh, true);
    at += 8;
    if (definition.attributeKeys !== null) {
      at = putNumber(at, MetricRef.filtersAttributes, 1);
      for (const key of definition.attributeKeys) at = putText(at, MetricRef.attributeKeys, key);
    }
    at = putNumber(at, MetricRef.cardinalityLimit, definition.cardinalityLimit);
    at = putNumber(at, MetricRef.omitsMinMax, definition.omitsMinMax ? 1 : 0);
    for (const key of definition.excludedAttributeKeys) {
      at = putText(at, MetricRef.excludedAttributeKeys, key);
    }
    return dictionary.append(scratch.subarray(0, at));
  });
}

function putAggregation(at: number, aggregation: Aggregation): number {
  // The content first, with room for tag and a length of two bytes before it.
  const start = at + 3;
  let end = start;
  let field: number = MetricRef.gauge;
  switch (aggregation.type) {
    case "gauge":
      break;
    case "sum":
      field = MetricRef.sum;
      end = putNumber(end, Sum.temporality, aggregation.temporality);
      end = putNumber(end, Sum.isMonotonic, aggregation.isMonotonic ? 1 : 0);
      break;
    case "histogram": {
      field = MetricRef.histogram;
      end = putNumber(end, Histogram.temporality, aggregation.temporality);
      const { boundaries } = aggregation;
      if (boundaries.length === 0) break;
      end = putVarint(scratch, end, tag(Histogram.bucketBoundaries, BYTES));
      end = putVarint(scratch, end, boundaries.length * 8);
      for (const boundary of boundaries) {
        view.setFloat64(end, boundary, true);
        end += 8;
      }
      break;
    }
    case "exponential":
      field = MetricRef.exponentialHistogram;
      end = putNumber(end, ExponentialHistogram.temporality, aggregation.temporality);
      end = putNumber(end, ExponentialHistogram.maxBuckets, aggregation.maxBuckets);
      // An int64: a negative scale takes ten bytes.
      end = putVarint(scratch, end, tag(ExponentialHistogram.maxScale, VARINT));
      end = putInt64(end, aggregation.maxScale);
      break;
  }
  const length = end - start;
  scratch[at] = tag(field, BYTES);
  scratch[at + 1] = (length & 0x7f) | 0x80;
  scratch[at + 2] = length >> 7;
  return end;
}

function putInt64(at: number, value: number): number {
  if (value >= 0) return putVarint(scratch, at, value);
  let bits = BigInt.asUintN(64, BigInt(value));
  for (; bits > 0x7fn; bits >>= 7n) scratch[at++] = Number(bits & 0x7fn) | 0x80;
  scratch[at++] = Number(bits);
  return at;
}

/** A varint field, nothing for 0. */
function putNumber(at: number, field: number, value: number): number {
  if (value === 0) return at;
  return putVarint(scratch, putVarint(scratch, at, tag(field, VARINT)), value);
}

/** A string field, nothing for "". */
function putText(at: number, field: number, text: string): number {
  const isKey = field === MetricRef.attributeKeys || field === MetricRef.excludedAttributeKeys;
  if (text === "" && !isKey) return at;
  const wide = tag(field, BYTES);
  // Of a tag of two bytes the first is written here, the other with the text.
  if (wide > 0x7f) scratch[at++] = (wide & 0x7f) | 0x80;
  return putCutStringField(at, wide > 0x7f ? wide >> 7 : wide, text) === OK ? endOfPut() : at;
}
