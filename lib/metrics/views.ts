/**
 * Views: what becomes of an instrument's measurements. Every view that selects an instrument makes a
 * stream of its own.
 *
 * Metrics SDK specification, "View".
 *
 * @module
 */
import {
  INSTRUMENT_GAUGE,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
} from "../format/fields.ts";
import { matchesPattern } from "../wildcard.ts";

export { INSTRUMENT_TYPES, parseViews, readViews } from "./views-file.ts";

/** What a stream makes of its measurements. `default` is what the instrument's definition says. */
export type Aggregation =
  | { readonly kind: "default" }
  | { readonly kind: "sum" }
  | { readonly kind: "last_value" }
  | {
    readonly kind: "explicit_bucket_histogram";
    /** Finite and increasing; none for a single bucket. */
    readonly boundaries: readonly number[];
    readonly recordMinMax: boolean;
  }
  | {
    readonly kind: "base2_exponential_bucket_histogram";
    /** MIN_SCALE to MAX_SCALE. */
    readonly maxScale: number;
    /** MIN_BUCKETS to MAX_BUCKETS. */
    readonly maxSize: number;
    readonly recordMinMax: boolean;
  };

/** Which attributes a stream keeps: patterns of keys, in which `*` is any text and `?` any character. */
export interface AttributeKeys {
  /** Undefined for all. */
  readonly included: readonly string[] | undefined;
  /** Not these, even where they are included. */
  readonly excluded: readonly string[];
}

/** A stream. What is undefined is as the instrument's definition, or the collector, says. */
export interface StreamSettings {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly aggregation: Aggregation;
  readonly cardinalityLimit: number | undefined;
  readonly attributeKeys: AttributeKeys | undefined;
}

/** What views look at in an instrument. */
export interface Instrument {
  readonly name: string;
  /** One of INSTRUMENT_*; 0 where it is not known, which no selector with a type selects. */
  readonly type: number;
  readonly unit: string;
  readonly meterName: string;
  readonly meterVersion: string;
  readonly meterSchemaUrl: string;
}

/** Which instruments a view is for: those that are like this in all that is not undefined. */
export interface Selector {
  /** May have wildcards, `*` and `?`. */
  readonly instrumentName: string | undefined;
  /** One of INSTRUMENT_*. */
  readonly instrumentType: number | undefined;
  readonly unit: string | undefined;
  readonly meterName: string | undefined;
  readonly meterVersion: string | undefined;
  readonly meterSchemaUrl: string | undefined;
}

/** One entry of `views`. */
export interface View {
  /** Where it stands: `FILE:LINE:COLUMN`. */
  readonly place: string;
  readonly selector: Selector;
  /** Undefined for a view that drops the instrument's measurements. */
  readonly stream: StreamSettings | undefined;
}

/** The stream of an instrument that no view selects. */
export const DEFAULT_STREAM: StreamSettings = {
  name: undefined,
  description: undefined,
  aggregation: { kind: "default" },
  cardinalityLimit: undefined,
  attributeKeys: undefined,
};

/**
 * The streams of an instrument: one for each view that selects it and says another, none where all
 * of those drop it, the default one where no view does.
 *
 * @param warn Gets what the specification wants people to be warned of: a view that cannot be applied
 * to the instrument (and is passed over), and streams of one name.
 */
export function matchViews(
  views: readonly View[],
  instrument: Instrument,
  warn: (message: string) => void = () => {},
): StreamSettings[] {
  const streams = new Map<string, StreamSettings>();
  const names = new Set<string>();
  let isSelected = false;
  for (const { place, selector, stream } of views) {
    if (!isMatch(selector, instrument)) continue;
    const reason = stream === undefined ? "" : whyNot(stream.aggregation, instrument.type);
    if (reason !== "") {
      warn(`${place}: this view is not applied to ${instrument.name}: ${reason}`);
      continue;
    }
    isSelected = true;
    if (stream === undefined) continue;
    const name = stream.name ?? instrument.name;
    const said = JSON.stringify({ ...stream, name });
    // The same stream, exported twice, would be two series of the same data.
    if (streams.has(said)) continue;
    streams.set(said, stream);
    // Names of metrics are the same whatever their case.
    if (names.has(name.toLowerCase())) {
      warn(`${place}: this view makes another stream ${name} of ${instrument.name}: rename one`);
    }
    names.add(name.toLowerCase());
  }
  return isSelected ? [...streams.values()] : [DEFAULT_STREAM];
}

/** Whether a stream keeps the attributes with a key, which what is said of keys `matches`. */
export function keepsKey(
  { included, excluded }: AttributeKeys,
  key: string,
  matches: (said: string, key: string) => boolean = matchesPattern,
): boolean {
  const fits = (said: string): boolean => matches(said, key);
  return (included === undefined || included.some(fits)) && !excluded.some(fits);
}

function isMatch(selector: Selector, instrument: Instrument): boolean {
  const { instrumentName, instrumentType } = selector;
  return (instrumentName === undefined || matchesPattern(instrumentName, instrument.name)) &&
    (instrumentType === undefined || instrumentType === instrument.type) &&
    isAlike(selector.unit, instrument.unit) &&
    isAlike(selector.meterName, instrument.meterName) &&
    isAlike(selector.meterVersion, instrument.meterVersion) &&
    isAlike(selector.meterSchemaUrl, instrument.meterSchemaUrl);
}

function isAlike(wanted: string | undefined, is: string): boolean {
  return wanted === undefined || wanted === is;
}

/** Why measurements of an instrument cannot be aggregated like this; empty where they can. */
function whyNot({ kind }: Aggregation, type: number): string {
  const isObservable = type >= INSTRUMENT_OBSERVABLE_COUNTER;
  const isGauge = type === INSTRUMENT_GAUGE || type === INSTRUMENT_OBSERVABLE_GAUGE;
  switch (kind) {
    case "default":
      return "";
    case "sum":
      return isGauge ? "the values of a gauge have no meaning as a sum" : "";
    case "last_value":
      // What the application records of these is how much they grew.
      return isObservable && !isGauge ? "an observable counter is a sum" : "";
    default:
      return isObservable
        ? "observable instruments have no distribution to make a histogram of"
        : "";
  }
}
