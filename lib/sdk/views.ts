/**
 * From an instrument to the streams it feeds: the defaults of the specification, and views, which
 * change them (Metrics SDK, "View").
 *
 * @module
 */
import { diag } from "@opentelemetry/api";
import {
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  INSTRUMENT_UP_DOWN_COUNTER,
  TEMPORALITY_CUMULATIVE,
  TEMPORALITY_DELTA,
} from "../format/fields.ts";
import { type Aggregation, DEFAULT_BOUNDARIES, type MetricDefinition } from "../record/metric.ts";
import { matchesPattern } from "../wildcard.ts";
import type { Temporality } from "./config.ts";
import type { ScopeIdentity } from "./recorder.ts";

/** Kinds of instruments, by what MetricRef calls them. */
export const INSTRUMENT_TYPES = {
  counter: INSTRUMENT_COUNTER,
  up_down_counter: INSTRUMENT_UP_DOWN_COUNTER,
  histogram: INSTRUMENT_HISTOGRAM,
  gauge: INSTRUMENT_GAUGE,
  observable_counter: INSTRUMENT_OBSERVABLE_COUNTER,
  observable_up_down_counter: INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  observable_gauge: INSTRUMENT_OBSERVABLE_GAUGE,
} as const;

/** What the measurements of a view become. */
export type ViewAggregation =
  | { readonly type: "default" | "drop" | "sum" | "last_value" }
  | {
    readonly type: "explicit_bucket_histogram";
    /**
     * Inclusive upper bounds, in any order; infinities and what is there twice is left out. Default:
     * the specification's, not those that the instrument advises.
     */
    readonly boundaries?: readonly number[];
    /** Default true. */
    readonly recordMinMax?: boolean;
  }
  | {
    readonly type: "exponential_histogram";
    /** Buckets of positive, and of negative values, at most: 2 to 16,384. Default 160. */
    readonly maxSize?: number;
    /** Scale to begin with, -10 to 20. Default 20. */
    readonly maxScale?: number;
    /** Default true. */
    readonly recordMinMax?: boolean;
  };

/** Which instruments are meant, all conditions together, and what becomes of them. */
export interface View {
  /** The name, without regard to case; `*` stands for any characters, `?` for one. */
  readonly instrumentName?: string;
  readonly instrumentType?: keyof typeof INSTRUMENT_TYPES;
  readonly instrumentUnit?: string;
  readonly meterName?: string;
  readonly meterVersion?: string;
  readonly meterSchemaUrl?: string;
  /** The stream's name. Default: the instrument's. */
  readonly name?: string;
  /** The stream's description. Default: the instrument's. */
  readonly description?: string;
  /** What is observed can't become a histogram: such a view is not applied. */
  readonly aggregation?: ViewAggregation;
  /** Keys of attributes that are kept, in which `*` and `?` stand for themselves. Default: all. */
  readonly attributeKeys?: readonly string[];
  /** Likewise of those that are left out, also of those that are kept. Default: none. */
  readonly excludedAttributeKeys?: readonly string[];
  /** Series at most, 1 to 2,147,483,647, and one of the overflow. Default: the collector's, 2,000. */
  readonly aggregationCardinalityLimit?: number;
}

/** What an instrument is, before any view. */
export interface InstrumentIdentity {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly instrument: number;
  readonly valueType: number;
  /** Boundaries that the instrument advises; null for none. */
  readonly boundaries: readonly number[] | null;
  readonly createdLow: number;
  readonly createdHigh: number;
}

/** What definitions ask for where no view says otherwise. */
export interface MetricDefaults {
  readonly temporality: Temporality;
  readonly histograms: "explicit" | "exponential";
}

const DEFAULT_MAX_BUCKETS = 160;
const DEFAULT_MAX_SCALE = 20;
/** As many as a collector keeps. */
const MAX_MAX_BUCKETS = 16_384;
const MAX_CARDINALITY = 0x7fffffff;

/**
 * The definitions of the streams of an instrument, each of them once; none for one that is dropped.
 */
export function definitionsOf(
  instrument: InstrumentIdentity,
  scope: ScopeIdentity,
  views: readonly View[],
  defaults: MetricDefaults,
): MetricDefinition[] {
  const matching = views.filter((view) =>
    selects(view, instrument, scope) && isApplicable(view, instrument)
  );
  if (matching.length === 0) matching.push({});
  const definitions = new Map<string, MetricDefinition>();
  for (const view of matching) {
    const definition = define(view, instrument, defaults);
    // Readers know a definition by what it says: measured twice, it would count twice.
    if (definition !== null) definitions.set(JSON.stringify(definition), definition);
  }
  return [...definitions.values()];
}

/** Metrics SDK, "View": what makes no sense of an instrument is as if it were not there. */
function isApplicable({ aggregation }: View, { name, instrument }: InstrumentIdentity): boolean {
  const isHistogram = aggregation?.type === "explicit_bucket_histogram" ||
    aggregation?.type === "exponential_histogram";
  if (!isHistogram || instrument < INSTRUMENT_OBSERVABLE_COUNTER) return true;
  diag.warn(
    `instrument ${name}: a view makes it a histogram, but what is observed has no distribution; the ` +
      `view is not applied to it`,
  );
  return false;
}

function define(
  view: View,
  instrument: InstrumentIdentity,
  defaults: MetricDefaults,
): MetricDefinition | null {
  const { aggregation: wanted } = view;
  if (wanted?.type === "drop") return null;
  const { name, description, unit, valueType, createdLow, createdHigh } = instrument;
  return {
    name: view.name ?? name,
    description: view.description ?? description,
    unit,
    aggregation: aggregationOf(wanted ?? { type: "default" }, instrument, defaults),
    instrument: instrument.instrument,
    valueType,
    createdLow,
    createdHigh,
    // In any order, and said twice, they are the same.
    attributeKeys: view.attributeKeys ? [...new Set(view.attributeKeys)].sort() : null,
    excludedAttributeKeys: [...new Set(view.excludedAttributeKeys)].sort(),
    cardinalityLimit: view.aggregationCardinalityLimit ?? 0,
    omitsMinMax: wanted !== undefined && "recordMinMax" in wanted && wanted.recordMinMax === false,
  };
}

function aggregationOf(
  wanted: ViewAggregation,
  instrument: InstrumentIdentity,
  { temporality: preference, histograms }: MetricDefaults,
): Aggregation {
  const temporality = temporalityOf(instrument.instrument, preference);
  switch (wanted.type) {
    case "sum":
      return { type: "sum", temporality, isMonotonic: isMonotonic(instrument.instrument) };
    case "last_value":
      return { type: "gauge" };
    case "explicit_bucket_histogram": {
      // What the instrument advises is for when no view says anything.
      const boundaries = wanted.boundaries ?? DEFAULT_BOUNDARIES;
      return { type: "histogram", temporality, boundaries };
    }
    case "exponential_histogram": {
      const { maxSize = DEFAULT_MAX_BUCKETS, maxScale = DEFAULT_MAX_SCALE } = wanted;
      return { type: "exponential", temporality, maxBuckets: maxSize, maxScale };
    }
  }
  switch (instrument.instrument) {
    case INSTRUMENT_GAUGE:
    case INSTRUMENT_OBSERVABLE_GAUGE:
      return { type: "gauge" };
    case INSTRUMENT_HISTOGRAM:
      return histograms === "exponential"
        ? aggregationOf({ type: "exponential_histogram" }, instrument, {
          temporality: preference,
          histograms,
        })
        : {
          type: "histogram",
          temporality,
          boundaries: instrument.boundaries ?? DEFAULT_BOUNDARIES,
        };
    default:
      return { type: "sum", temporality, isMonotonic: isMonotonic(instrument.instrument) };
  }
}

/** Metrics SDK, "Sum Aggregation". */
function isMonotonic(instrument: number): boolean {
  return instrument === INSTRUMENT_COUNTER || instrument === INSTRUMENT_OBSERVABLE_COUNTER ||
    instrument === INSTRUMENT_HISTOGRAM;
}

/** OTLP metrics exporter, "Additional environment variable configuration". */
function temporalityOf(instrument: number, preference: Temporality): number {
  const isDelta = preference !== "cumulative" &&
    (instrument === INSTRUMENT_COUNTER || instrument === INSTRUMENT_HISTOGRAM ||
      (preference === "delta" && instrument === INSTRUMENT_OBSERVABLE_COUNTER));
  return isDelta ? TEMPORALITY_DELTA : TEMPORALITY_CUMULATIVE;
}

function selects(view: View, instrument: InstrumentIdentity, scope: ScopeIdentity): boolean {
  const { instrumentName, instrumentType, instrumentUnit } = view;
  return (instrumentName === undefined || matches(instrumentName, instrument.name)) &&
    (instrumentType === undefined || INSTRUMENT_TYPES[instrumentType] === instrument.instrument) &&
    (instrumentUnit === undefined || instrumentUnit === instrument.unit) &&
    (view.meterName === undefined || view.meterName === scope.name) &&
    (view.meterVersion === undefined || view.meterVersion === scope.version) &&
    (view.meterSchemaUrl === undefined || view.meterSchemaUrl === scope.schemaUrl);
}

/** Names of instruments are the same in any case. */
function matches(pattern: string, name: string): boolean {
  return matchesPattern(pattern.toLowerCase(), name.toLowerCase());
}

/** What a field may be, in words, and a value of it as it is used; undefined for one that it may not be. */
type Rule = readonly [allowed: string, read: (value: unknown) => unknown];

const TEXT: Rule = ["a text", (value) => typeof value === "string" ? value : undefined];
const NAME: Rule = ["a text, not empty", (value) => value !== "" ? TEXT[1](value) : undefined];
const FLAG: Rule = ["true or false", (value) => typeof value === "boolean" ? value : undefined];
const TEXTS: Rule = ["a list of texts", (value) => {
  const list = Array.isArray(value) ? [...value] : [0];
  return list.every((each) => typeof each === "string") ? list : undefined;
}];
const BOUNDARIES: Rule = ["a list of numbers", (value) => boundariesOf(value) ?? undefined];

function oneOf(names: object): Rule {
  const all = Object.keys(names);
  return [`one of ${all.join(", ")}`, (value) => all.find((name) => name === value)];
}

function integer(least: number, most: number): Rule {
  const isWithin = (value: unknown): boolean =>
    Number.isInteger(value) && value as number >= least && value as number <= most;
  return [`an integer from ${least} to ${most}`, (value) => isWithin(value) ? value : undefined];
}

type Rules = Readonly<Record<string, Rule>>;

const AGGREGATIONS: Readonly<Record<ViewAggregation["type"], Rules>> = {
  default: {},
  drop: {},
  sum: {},
  last_value: {},
  explicit_bucket_histogram: { boundaries: BOUNDARIES, recordMinMax: FLAG },
  exponential_histogram: {
    maxSize: integer(2, MAX_MAX_BUCKETS),
    maxScale: integer(-10, 20),
    recordMinMax: FLAG,
  },
};

const SELECTORS = {
  instrumentName: TEXT,
  instrumentType: oneOf(INSTRUMENT_TYPES),
  instrumentUnit: TEXT,
  meterName: TEXT,
  meterVersion: TEXT,
  meterSchemaUrl: TEXT,
};

const FIELDS: Readonly<Record<keyof View, Rule>> = {
  ...SELECTORS,
  name: NAME,
  description: TEXT,
  aggregation: [`an object with a type, ${oneOf(AGGREGATIONS)[0]}`, readAggregation],
  attributeKeys: TEXTS,
  excludedAttributeKeys: TEXTS,
  aggregationCardinalityLimit: integer(1, MAX_CARDINALITY),
};

/** What is wrong with a view. */
class Problem extends Error {}

/** Copies of the views that can be used; says what is wrong with the others. Never throws. */
export function checkViews(views: unknown): readonly View[] {
  const usable: View[] = [];
  try {
    if (!Array.isArray(views)) throw new Problem("is not a list of views");
    for (let i = 0; i < views.length; i++) {
      try {
        usable.push(readView(views[i]));
      } catch (error) {
        warn(`metrics view ${i + 1} of ${views.length}`, error);
      }
    }
  } catch (error) {
    warn("metrics.views", error);
  }
  return usable;
}

function warn(what: string, error: unknown): void {
  const reason = error instanceof Problem ? error.message : "could not be read";
  diag.warn(`${what}: ${reason}; it is ignored`);
}

function readView(given: unknown): View {
  const view: View = readFields(given, FIELDS, "a view");
  const { name, instrumentName } = view;
  if (Object.keys(SELECTORS).every((field) => !Object.hasOwn(view, field))) {
    throw new Problem("it must say which instruments are meant");
  }
  if (name !== undefined && (instrumentName === undefined || /[*?]/.test(instrumentName))) {
    throw new Problem("a view with a name must select one instrument by its name");
  }
  return view;
}

/** Undefined for what is none. */
function readAggregation(given: unknown): ViewAggregation | undefined {
  const { type } = given as Partial<ViewAggregation>;
  if (type === undefined || !Object.hasOwn(AGGREGATIONS, type)) return undefined;
  const rules = { type: oneOf(AGGREGATIONS), ...AGGREGATIONS[type] };
  return readFields(given, rules, `an aggregation of type ${type}`);
}

/** What an object says, null being nothing. Throws what is wrong with it. */
function readFields<T>(given: unknown, rules: Rules, what: string): T {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Problem(`${what} is an object`);
  }
  const fields: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    if (!Object.hasOwn(rules, field)) {
      throw new Problem(`${what} has no ${field}, only ${Object.keys(rules).join(", ")}`);
    }
    const [allowed, read] = rules[field];
    fields[field] = read(value);
    if (fields[field] === undefined) throw new Problem(`${field} is not ${allowed}`);
  }
  return fields as T;
}

/**
 * Boundaries of a histogram in their order, each once, without the infinities, which every histogram
 * has at its ends; null for what is no list of numbers.
 */
export function boundariesOf(given: unknown): number[] | null {
  if (!Array.isArray(given)) return null;
  const list: unknown[] = [...given];
  if (!list.every((each) => typeof each === "number" && !Number.isNaN(each))) return null;
  return [...new Set(list as number[])].filter(Number.isFinite).sort((a, b) => a - b);
}
