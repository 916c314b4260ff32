/**
 * Instruments that are told: counters, up-down counters, histograms, gauges.
 *
 * @module
 */
import type {
  Context,
  Counter,
  Gauge,
  Histogram,
  MetricAttributes,
  UpDownCounter,
} from "@opentelemetry/api";
import { diag } from "@opentelemetry/api";
import { INSTRUMENT_COUNTER, INSTRUMENT_HISTOGRAM, VALUE_INT } from "../format/fields.ts";
import { LOSS_ENCODE, RING_MEASUREMENTS } from "../format/layout.ts";
import { type AttributeSet, AttributeSets } from "../record/attribute-sets.ts";
import { attributesOf } from "../record/attributes.ts";
import { type RecordFile, WRITTEN } from "../record/encode.ts";
import { writeMeasurement } from "../record/measurement.ts";
import { type MetricDefinition, metricMessage } from "../record/metric.ts";
import { Shape } from "../record/shape.ts";
import { setTimeNow, timeWords } from "../record/time.ts";
import { type ActiveSpan, createActiveSpan, readActiveSpan } from "./active-span.ts";
import type { ExemplarFilter } from "./config.ts";
import type { Recorder } from "./recorder.ts";
import type { InstrumentIdentity } from "./views.ts";

/** What all instruments of a provider share. */
export interface InstrumentSettings {
  readonly recorder: Recorder;
  readonly exemplars: ExemplarFilter;
  /** The active context. */
  activeContext(): Context;
  /** True once the provider is shut down. */
  isShutDown: boolean;
}

/** One stream of an instrument, with the ref of its definition in the file that is being written. */
export interface Stream {
  readonly definition: MetricDefinition;
  /** 0 when the dictionary was full. */
  ref: number;
}

/** The largest whole numbers that as_long can say. */
const MAX_LONG = 2 ** 63;

const span: ActiveSpan = createActiveSpan();
const NO_SPAN: ActiveSpan = createActiveSpan();

/** What instruments have in common: their streams, and what may be measured. */
export class Instrument {
  readonly identity: InstrumentIdentity;
  readonly streams: readonly Stream[];
  protected readonly settings: InstrumentSettings;
  protected readonly isInt: boolean;
  private readonly warned = new Set<string>();

  constructor(
    settings: InstrumentSettings,
    identity: InstrumentIdentity,
    definitions: readonly MetricDefinition[],
  ) {
    this.settings = settings;
    this.identity = identity;
    this.streams = definitions.map((definition) => ({ definition, ref: 0 }));
    this.isInt = identity.valueType === VALUE_INT;
  }

  /** Writes the definitions into the current file's dictionary. */
  bind(scopeRef: number): void {
    const { file } = this.settings.recorder;
    for (const stream of this.streams) {
      stream.ref = file === null ? 0 : metricMessage(file.dictionary, stream.definition, scopeRef);
    }
  }

  /** `value` as it is recorded, NaN for one that is not, having said why once. */
  protected accept(value: unknown): number {
    if (typeof value !== "number" || !Number.isFinite(value)) {
      return this.refuse("a value is not a finite number; it is not recorded");
    }
    if (!this.isInt || Number.isInteger(value)) {
      if (this.isInt && (value >= MAX_LONG || value < -MAX_LONG)) {
        return this.refuse("a value does not fit a 64-bit integer; it is not recorded");
      }
      return value;
    }
    this.warn("an instrument of integers was given a fraction, which is cut off");
    return Math.trunc(value);
  }

  /** Counts a measurement that is none, in every stream, and says why once. Returns NaN. */
  protected refuse(why: string): number {
    const { file } = this.settings.recorder;
    for (const _ of this.streams) file?.lose(RING_MEASUREMENTS, LOSS_ENCODE);
    this.warn(why);
    return NaN;
  }

  /** Says something about this instrument, once. */
  warn(message: string): void {
    if (this.warned.has(message)) return;
    this.warned.add(message);
    diag.warn(`instrument ${this.identity.name}: ${message}`);
  }
}

/** An instrument that is told each measurement, which it writes before it returns. */
export class SynchronousInstrument extends Instrument
  implements Counter, UpDownCounter, Histogram, Gauge {
  private readonly sets = new AttributeSets();
  /** Keys of attributes whose sets are not remembered. */
  private readonly shape = new Shape("");
  private readonly isNonNegative: boolean;

  constructor(
    settings: InstrumentSettings,
    identity: InstrumentIdentity,
    definitions: readonly MetricDefinition[],
  ) {
    super(settings, identity, definitions);
    this.isNonNegative = identity.instrument === INSTRUMENT_COUNTER ||
      identity.instrument === INSTRUMENT_HISTOGRAM;
  }

  /** Counters: records an increment. */
  add(value: number, attributes?: MetricAttributes, context?: Context): void {
    this.measure(value, attributes, context);
  }

  /** Histograms and gauges: records a value. */
  record(value: number, attributes?: MetricAttributes, context?: Context): void {
    this.measure(value, attributes, context);
  }

  private measure(
    value: number,
    attributes: MetricAttributes | undefined,
    context: Context | undefined,
  ): void {
    const { settings, streams } = this;
    const { recorder, exemplars } = settings;
    if (settings.isShutDown || recorder.file === null || streams.length === 0) return;
    // Most values need no second look.
    if (
      typeof value !== "number" || !(value >= 0 && value < MAX_LONG) ||
      (this.isInt && Math.floor(value) !== value)
    ) {
      if (this.isNonNegative && typeof value === "number" && value < 0) {
        this.refuse("a negative value can't be recorded");
        return;
      }
      value = this.accept(value);
      if (Number.isNaN(value)) return;
    }
    attributes = attributesOf(attributes) as MetricAttributes | undefined;
    const set = this.sets.find(attributes);
    if (exemplars === "always_off") {
      span.hasSpan = false;
    } else {
      readActiveSpan(context ?? settings.activeContext(), span);
      if (exemplars === "trace_based" && (span.flags & 1) === 0) span.hasSpan = false;
    }
    setTimeNow();
    const low = timeWords[0];
    const high = timeWords[1];
    for (let i = 0; i < streams.length; i++) {
      this.write(streams[i], value, low, high, set, attributes);
    }
  }

  private write(
    stream: Stream,
    value: number,
    low: number,
    high: number,
    set: AttributeSet | null,
    attributes: MetricAttributes | undefined,
  ): void {
    const { recorder } = this.settings;
    const { isInt, shape } = this;
    const { file } = recorder;
    if (file === null) return;
    let result = writeMeasurement(
      file,
      stream.ref,
      value,
      isInt,
      low,
      high,
      span,
      set,
      attributes,
      shape,
      0,
    );
    if (result !== WRITTEN && recorder.moved(result, RING_MEASUREMENTS)) {
      result = writeMeasurement(
        recorder.file!,
        stream.ref,
        value,
        isInt,
        low,
        high,
        span,
        set,
        attributes,
        shape,
        0,
      );
      recorder.again(result, RING_MEASUREMENTS);
    }
  }
}

/**
 * Writes a measurement that belongs to no span; true when it is in the file. `replaced` is what a
 * counter that began anew said before, else 0.
 */
export function writeObservation(
  recorder: Recorder,
  stream: Stream,
  value: number,
  isInt: boolean,
  set: AttributeSet | null,
  attributes: MetricAttributes,
  shape: Shape,
  replaced: number,
): boolean {
  setTimeNow();
  const low = timeWords[0];
  const high = timeWords[1];
  const write = (file: RecordFile): number =>
    writeMeasurement(
      file,
      stream.ref,
      value,
      isInt,
      low,
      high,
      NO_SPAN,
      set,
      attributes,
      shape,
      replaced,
    );
  if (recorder.file === null) return false;
  let result = write(recorder.file);
  if (result !== WRITTEN && recorder.moved(result, RING_MEASUREMENTS)) {
    result = recorder.again(write(recorder.file), RING_MEASUREMENTS);
  }
  return result === WRITTEN;
}
