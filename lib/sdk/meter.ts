/**
 * Makes instruments.
 *
 * @module
 */
import {
  type BatchObservableCallback,
  type Counter,
  diag,
  type Gauge,
  type Histogram,
  type Meter as ApiMeter,
  type MetricOptions,
  type Observable,
  type ObservableCallback,
  type ObservableCounter,
  type ObservableGauge,
  type ObservableUpDownCounter,
  type UpDownCounter,
  ValueType,
} from "@opentelemetry/api";
import {
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  INSTRUMENT_UP_DOWN_COUNTER,
  VALUE_DOUBLE,
  VALUE_INT,
} from "../format/fields.ts";
import { fitsEntry, type MetricDefinition } from "../record/metric.ts";
import { setTimeNow, timeWords } from "../record/time.ts";
import { type Instrument, type InstrumentSettings, SynchronousInstrument } from "./instruments.ts";
import { type Asked, ObservableInstrument } from "./observables.ts";
import type { ScopeIdentity } from "./recorder.ts";
import { asText } from "./span.ts";
import {
  boundariesOf,
  definitionsOf,
  type InstrumentIdentity,
  type MetricDefaults,
  type View,
} from "./views.ts";

/** What all meters of a provider share. */
export interface MeterSettings extends InstrumentSettings, MetricDefaults {
  readonly views: readonly View[];
  /** Called when there is a callback to be asked. */
  readonly onCallback: () => void;
}

/** Metrics API, "Instrument name syntax". */
const NAME = /^[a-z][a-z0-9_.\-/]{0,254}$/i;
/** Metrics API, "Instrument unit". */
// deno-lint-ignore no-control-regex
const UNIT = /^[\x00-\x7f]{0,63}$/;
/** What tells streams of one name apart. */
const COMPARED = [
  ...["instrument", "unit", "description", "valueType"],
  ...["aggregation", "attributeKeys", "excludedAttributeKeys", "cardinalityLimit", "omitsMinMax"],
] as Array<keyof MetricDefinition>;

/** Makes the instruments of one instrumentation scope. */
export class Meter implements ApiMeter {
  private readonly settings: MeterSettings;
  private readonly scope: ScopeIdentity;
  private scopeRef = 0;
  /** By their name in lower case: names that differ in case alone are the same. */
  private readonly instruments = new Map<string, Instrument[]>();
  /** The first stream of each name in lower case. */
  private readonly streams = new Map<string, MetricDefinition>();
  private readonly asked = new WeakMap<ObservableCallback, Map<ObservableInstrument, Asked>>();
  private batches: Asked[] = [];

  constructor(settings: MeterSettings, scope: ScopeIdentity) {
    this.settings = settings;
    this.scope = scope;
    this.bind();
  }

  /** Writes scope and definitions into the current file's dictionary; called for every new file. */
  bind(): void {
    this.scopeRef = this.settings.recorder.internScope(this.scope);
    for (const instruments of this.instruments.values()) {
      for (const instrument of instruments) instrument.bind(this.scopeRef);
    }
  }

  createCounter(name: string, options?: MetricOptions): Counter {
    return this.synchronous(name, INSTRUMENT_COUNTER, options);
  }

  createUpDownCounter(name: string, options?: MetricOptions): UpDownCounter {
    return this.synchronous(name, INSTRUMENT_UP_DOWN_COUNTER, options);
  }

  createHistogram(name: string, options?: MetricOptions): Histogram {
    return this.synchronous(name, INSTRUMENT_HISTOGRAM, options);
  }

  createGauge(name: string, options?: MetricOptions): Gauge {
    return this.synchronous(name, INSTRUMENT_GAUGE, options);
  }

  createObservableCounter(name: string, options?: MetricOptions): ObservableCounter {
    return this.observable(name, INSTRUMENT_OBSERVABLE_COUNTER, options);
  }

  createObservableUpDownCounter(name: string, options?: MetricOptions): ObservableUpDownCounter {
    return this.observable(name, INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER, options);
  }

  createObservableGauge(name: string, options?: MetricOptions): ObservableGauge {
    return this.observable(name, INSTRUMENT_OBSERVABLE_GAUGE, options);
  }

  addBatchObservableCallback(callback: BatchObservableCallback, observables: Observable[]): void {
    const instruments = ownObservables(observables);
    if (typeof callback !== "function" || instruments.length === 0) {
      diag.warn(
        "addBatchObservableCallback: needs a function and observable instruments of this SDK",
      );
      return;
    }
    if (this.batches.some((batch) => isSame(batch, callback, instruments))) return;
    this.batches.push({ callback, instruments, isBatch: true, isRunning: false, hasFailed: false });
    this.settings.onCallback();
  }

  removeBatchObservableCallback(
    callback: BatchObservableCallback,
    observables: Observable[],
  ): void {
    const instruments = ownObservables(observables);
    this.batches = this.batches.filter((batch) => !isSame(batch, callback, instruments));
  }

  /** Everything that is to be asked when observations are collected. */
  callbacks(): Asked[] {
    const all: Asked[] = [];
    for (const instruments of this.instruments.values()) {
      for (const instrument of instruments) {
        if (!(instrument instanceof ObservableInstrument)) continue;
        for (const callback of instrument.callbacks) all.push(this.askedOf(callback, instrument));
      }
    }
    return [...all, ...this.batches];
  }

  /** The same object for the same callback and instrument, since it says whether one is running. */
  private askedOf(callback: ObservableCallback, instrument: ObservableInstrument): Asked {
    let byInstrument = this.asked.get(callback);
    if (byInstrument === undefined) this.asked.set(callback, byInstrument = new Map());
    let asked = byInstrument.get(instrument);
    if (asked === undefined) {
      const instruments = [instrument];
      asked = { callback, instruments, isBatch: false, isRunning: false, hasFailed: false };
      byInstrument.set(instrument, asked);
    }
    return asked;
  }

  private synchronous(
    name: string,
    instrument: number,
    options: MetricOptions | undefined,
  ): SynchronousInstrument {
    return this.make(name, instrument, options, SynchronousInstrument);
  }

  private observable(
    name: string,
    instrument: number,
    options: MetricOptions | undefined,
  ): ObservableInstrument {
    const { settings } = this;
    const made = this.make(name, instrument, options, ObservableInstrument);
    made.onCallback = settings.onCallback;
    return made;
  }

  private make<T extends Instrument>(
    name: string,
    kind: number,
    options: MetricOptions | undefined,
    type: new (...args: ConstructorParameters<typeof Instrument>) => T,
  ): T {
    const identity = identify(name, kind, options);
    const key = identity.name.toLowerCase();
    const known = this.instruments.get(key) ?? [];
    const same = known.find((other) => isSameInstrument(other.identity, identity));
    if (same !== undefined) {
      if (same.identity.name !== identity.name) {
        diag.warn(
          `instrument ${identity.name}: is ${same.identity.name}, since names are the same whatever ` +
            `their case`,
        );
      }
      if (this.advisesOther(identity, same)) {
        same.warn("it is asked for with other advice; what was advised first counts");
      }
      return same as T;
    }
    const definitions = this.definitionsOf(identity)
      .filter((definition) => {
        if (fitsEntry(definition)) return true;
        diag.error(
          `instrument ${identity.name}: its definition is larger than 16,000 bytes; nothing is ` +
            `recorded. Use a shorter description, fewer boundaries or attribute keys`,
        );
        return false;
      })
      .map((definition) => this.settled(definition, identity));
    const instrument = new type(this.settings, identity, definitions);
    instrument.bind(this.scopeRef);
    this.instruments.set(key, [...known, instrument]);
    return instrument;
  }

  private definitionsOf(identity: InstrumentIdentity): MetricDefinition[] {
    const { settings, scope } = this;
    return definitionsOf(identity, scope, settings.views, settings);
  }

  /** Whether what an instrument advises would make another of the same one that there is. */
  private advisesOther({ boundaries }: InstrumentIdentity, { identity }: Instrument): boolean {
    if (String(boundaries) === String(identity.boundaries)) return false;
    const [known, added] = [identity, { ...identity, boundaries }]
      .map((each) => JSON.stringify(this.definitionsOf(each)));
    return known !== added;
  }

  /**
   * The definition of a stream, or the same one of another instrument, which is the same stream then.
   * Warns of another one with its name (Metrics SDK, "Measurement processing" and "Duplicate
   * instrument registration").
   */
  private settled(added: MetricDefinition, { name }: InstrumentIdentity): MetricDefinition {
    const key = added.name.toLowerCase();
    const known = this.streams.get(key);
    if (known === undefined) {
      this.streams.set(key, added);
      return added;
    }
    const differences = COMPARED
      .filter((field) => JSON.stringify(known[field]) !== JSON.stringify(added[field]));
    if (differences.length === 0) return known.name === added.name ? known : added;
    const stream = added.name === name ? "" : ` its stream ${added.name}:`;
    diag.warn(
      `instrument ${name}:${stream} there is another of this name in this scope with a different ` +
        `${differences.join(", ")}; both are exported. Give them different names, or one of them ` +
        `another name by a view`,
    );
    return added;
  }
}

/** None for what can't be read. */
function ownObservables(observables: unknown): ObservableInstrument[] {
  try {
    if (!Array.isArray(observables)) return [];
    return observables.filter((each) => each instanceof ObservableInstrument);
  } catch {
    return [];
  }
}

function isSame(
  batch: Asked,
  callback: unknown,
  instruments: readonly ObservableInstrument[],
): boolean {
  return batch.callback === callback && batch.instruments.length === instruments.length &&
    batch.instruments.every((instrument) => instruments.includes(instrument));
}

function identify(
  name: unknown,
  instrument: number,
  options: MetricOptions | undefined,
): InstrumentIdentity {
  const text = asText(name);
  if (!NAME.test(text)) {
    diag.warn(
      `instrument name "${text}": not a letter followed by up to 254 letters, digits, "_", ".", ` +
        `"-" and "/"; backends may refuse it`,
    );
  }
  const { unit, description, valueType, boundaries } = readOptions(text, options);
  if (!UNIT.test(unit)) {
    diag.warn(
      `instrument ${text}: its unit is not up to 63 ASCII characters; backends may refuse it`,
    );
  }
  setTimeNow();
  return {
    name: text,
    description,
    unit,
    instrument,
    valueType,
    boundaries,
    createdLow: timeWords[0],
    createdHigh: timeWords[1],
  };
}

/** What options say; what can't be read of them is as if they did not. Never throws. */
function readOptions(
  name: string,
  options: MetricOptions | undefined,
): Pick<InstrumentIdentity, "unit" | "description" | "valueType" | "boundaries"> {
  let unit = "";
  let description = "";
  let valueType = VALUE_DOUBLE;
  let boundaries: readonly number[] | null = null;
  try {
    // null is not said, either.
    unit = asText(options?.unit ?? "");
    description = asText(options?.description ?? "");
    if (options?.valueType === ValueType.INT) valueType = VALUE_INT;
    const advised = options?.advice?.explicitBucketBoundaries ?? null;
    if (advised !== null) {
      boundaries = boundariesOf(advised);
      if (boundaries === null) {
        diag.warn(`instrument ${name}: its advised boundaries are no list of numbers; ignored`);
      }
    }
  } catch (error) {
    diag.warn(`instrument ${name}: its options could not be read`, error);
  }
  return { unit, description, valueType, boundaries };
}

function isSameInstrument(a: InstrumentIdentity, b: InstrumentIdentity): boolean {
  // Advice is no part of what an instrument is: the first one counts.
  return a.instrument === b.instrument && a.unit === b.unit && a.description === b.description &&
    a.valueType === b.valueType;
}
