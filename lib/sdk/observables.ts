/**
 * Instruments that are asked: their callbacks give values when observations are collected.
 *
 * @module
 */
import type {
  BatchObservableCallback,
  BatchObservableResult,
  MetricAttributes,
  Observable,
  ObservableCallback,
  ObservableResult,
} from "@opentelemetry/api";
import { diag } from "@opentelemetry/api";
import { INSTRUMENT_OBSERVABLE_COUNTER } from "../format/fields.ts";
import { LOSS_ENCODE, RING_MEASUREMENTS } from "../format/layout.ts";
import { AttributeSets } from "../record/attribute-sets.ts";
import { attributesOf } from "../record/attributes.ts";
import { Shape } from "../record/shape.ts";
import { type Asking, asking } from "./end-once.ts";
import { Forgotten } from "./forgotten.ts";
import { Instrument, type Stream, writeObservation } from "./instruments.ts";

/** Beyond this many attribute sets, those that were not observed for longest are forgotten. */
const MAX_REMEMBERED = 10_000;

/** What a collection observed, by attribute set: the last value counts. */
type Observations = Map<string, { value: number; attributes: MetricAttributes }>;

/**
 * What was last written of an attribute set, for each stream, and by which collection. Those that were
 * observed last are last.
 */
type LastWritten = Map<string, { readonly values: number[]; collection: number }>;

/** An instrument whose callbacks are asked. */
export class ObservableInstrument extends Instrument implements Observable {
  /** The callbacks of this instrument alone. */
  readonly callbacks: Set<ObservableCallback> = new Set();
  /** Called when there is one. */
  onCallback: () => void = () => {};
  private readonly sets = new AttributeSets();
  private readonly shape = new Shape("");
  private readonly last: LastWritten = new Map();
  private forgotten: Forgotten | null = null;

  addCallback(callback: ObservableCallback): void {
    if (typeof callback !== "function") return this.warn("a callback must be a function");
    this.callbacks.add(callback);
    this.onCallback();
  }

  removeCallback(callback: ObservableCallback): void {
    this.callbacks.delete(callback);
  }

  /** Takes a value, which `write` writes unless another one follows for the same attributes. */
  observe(value: unknown, attributes: unknown, into: Observations): void {
    const accepted = this.accept(value);
    if (Number.isNaN(accepted)) return;
    if (accepted < 0 && this.isCounter && this.streams.some(isIncremental)) {
      // Readers refuse it, and what came after it would be counted from there.
      this.refuse("a counter can't be negative; it is not recorded");
      return;
    }
    const given = attributesOf(attributes) as MetricAttributes | undefined;
    try {
      // A copy: the value is written later, and the callback may go on changing its object.
      const copy = { ...given };
      into.set(keyOf(copy), { value: accepted, attributes: copy });
    } catch {
      this.refuse("attributes of an observation could not be read");
    }
  }

  /**
   * Writes what a collection observed, but what a later one has written: that of the earlier one is
   * older, whenever its callbacks answered, and would look as if a counter had begun anew.
   */
  write(observations: Observations, collection: number): void {
    if (observations.size === 0) return;
    for (const [key, { value, attributes }] of observations) {
      const known = this.last.get(key);
      if (known !== undefined && known.collection > collection) continue;
      const isForgotten = known === undefined && this.forgotten?.has(key) === true;
      const last = known?.values ?? this.streams.map(() => 0);
      this.last.delete(key);
      this.last.set(key, { values: last, collection });
      const set = this.sets.find(attributes);
      for (let i = 0; i < this.streams.length; i++) {
        const stream = this.streams[i];
        // What is not written this time is in the difference of the next.
        const isSum = isIncremental(stream);
        if (isSum && isForgotten) {
          // All of it again would double the sum.
          last[i] = value;
          this.losePart();
          continue;
        }
        // A counter that went down has begun anew: all that it says was added since.
        const began = isSum && this.isCounter && value < last[i];
        const amount = isSum && !began ? value - last[i] : value;
        const replaced = began ? last[i] : 0;
        const { recorder } = this.settings;
        if (
          writeObservation(
            recorder,
            stream,
            amount,
            this.isInt,
            set,
            attributes,
            this.shape,
            replaced,
          )
        ) last[i] = value;
      }
    }
    for (const [key, known] of this.last) {
      if (this.last.size <= MAX_REMEMBERED || known.collection >= collection) break;
      this.last.delete(key);
      // Of which nothing was written all is new.
      if (!this.streams.some((stream, i) => isIncremental(stream) && known.values[i] !== 0)) {
        continue;
      }
      this.forgotten ??= new Forgotten();
      this.forgotten.add(key);
    }
  }

  /** Counts an observation of which nobody knows how much of it is new. */
  private losePart(): void {
    this.settings.recorder.file?.lose(RING_MEASUREMENTS, LOSS_ENCODE);
    this.warn(
      `more than ${MAX_REMEMBERED} attribute sets: what was added to those that are not observed each ` +
        `time is lost and counted. Use attributes with fewer values`,
    );
  }

  private get isCounter(): boolean {
    return this.identity.instrument === INSTRUMENT_OBSERVABLE_COUNTER;
  }
}

/** Sums are written as increments, since existing readers take every measurement for one. */
function isIncremental({ definition }: Stream): boolean {
  return definition.aggregation.type === "sum" && definition.instrument >= FIRST_OBSERVABLE;
}

const FIRST_OBSERVABLE = INSTRUMENT_OBSERVABLE_COUNTER;

/**
 * A text that is the same for attributes with the same content in any order. What is not written of
 * them (lib/record/value.ts) tells nothing apart.
 */
function keyOf(attributes: MetricAttributes): string {
  const pairs = pairsOf(attributes).map(([key, value]) => [key, described(value)]);
  return JSON.stringify(pairs.filter(([, value]) => value !== undefined));
}

/** In one order. */
function pairsOf(map: object): [string, unknown][] {
  return Object.entries(map).filter(([key, value]) => key !== "" && value !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1);
}

/**
 * What JSON tells apart as the value's encoding does: each type but texts, booleans and arrays is a map
 * of its own. Undefined for what is not written.
 */
function described(value: unknown): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return { [Number.isSafeInteger(value) ? "int" : "double"]: `${value}` };
    case "bigint":
      return BigInt.asIntN(64, value) === value ? { int: `${value}` } : undefined;
    case "object":
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) {
    const list = Array.from(value, (each) => described(each ?? null));
    return list.includes(undefined) ? undefined : list;
  }
  const { constructor } = value;
  if (constructor !== Object && constructor !== undefined) return undefined;
  const map = pairsOf(value).map(([key, inner]) => [key, described(inner)]);
  return map.some(([, inner]) => inner === undefined) ? undefined : { map };
}

/** One callback with the instruments it may observe. */
export interface Asked {
  readonly callback: ObservableCallback | BatchObservableCallback;
  /** The one instrument, or those of a batch. */
  readonly instruments: readonly ObservableInstrument[];
  readonly isBatch: boolean;
  /** It was asked and has not answered. */
  isRunning: boolean;
  hasFailed: boolean;
}

/** Counts collections. */
let collections = 0;

/**
 * Asks callbacks, but those that have not answered yet. What they observe before they return, or
 * before the promises they return are settled, is written as soon as all callbacks of an instrument
 * have answered: several may observe the same attributes, of which the last value counts. What comes
 * after `deadline` settles is ignored; without one, promises are not waited for. Never throws.
 */
export function ask(
  callbacks: readonly Asked[],
  deadline: Promise<unknown> | null,
): Promise<unknown> {
  const collection = ++collections;
  const asked = callbacks.filter(({ isRunning }) => !isRunning);
  const all = new Map<ObservableInstrument, Collected>();
  for (const instrument of asked.flatMap(({ instruments }) => instruments)) {
    const collected = all.get(instrument);
    if (collected === undefined) all.set(instrument, { unanswered: 1, observations: new Map() });
    else collected.unanswered++;
  }
  const answer = ({ instruments }: Asked): void => {
    for (const instrument of instruments) {
      const collected = all.get(instrument)!;
      collected.unanswered--;
      if (collected.unanswered === 0) instrument.write(collected.observations, collection);
    }
  };
  return Promise.all(asked.map((each) => askOne(each, all, deadline, answer)));
}

/** What a collection has of an instrument, and how many of its callbacks have not answered. */
interface Collected {
  unanswered: number;
  readonly observations: Observations;
}

/** Asks one callback; calls `onAnswer` once. */
function askOne(
  asked: Asked,
  all: ReadonlyMap<ObservableInstrument, Collected>,
  deadline: Promise<unknown> | null,
  onAnswer: (asked: Asked) => void,
): Promise<void> | null {
  const state: Asking = { isOpen: true };
  const observe = (instrument: unknown, value: unknown, attributes: unknown): void => {
    if (!state.isOpen || !asked.instruments.includes(instrument as ObservableInstrument)) return;
    const own = instrument as ObservableInstrument;
    own.observe(value, attributes, all.get(own)!.observations);
  };
  const finish = (): void => {
    if (!state.isOpen) return;
    state.isOpen = false;
    onAnswer(asked);
  };
  const fail = (error: unknown): void => {
    if (!asked.hasFailed) {
      const names = asked.instruments.map(({ identity }) => identity.name).join(", ");
      diag.error(`a callback of ${names} failed; it is asked again the next time`, error);
    }
    asked.hasFailed = true;
  };
  let answer: void | Promise<void>;
  let isPromise: boolean;
  // Until it returns, too: it may collect itself.
  asked.isRunning = true;
  try {
    if (asked.isBatch) {
      const result: BatchObservableResult = {
        observe: (metric, value, attributes) => observe(metric, value, attributes),
      };
      answer = asking.run(state, asked.callback as BatchObservableCallback, result);
    } else {
      const [instrument] = asked.instruments;
      const result: ObservableResult = {
        observe: (value, attributes) => observe(instrument, value, attributes),
      };
      answer = asking.run(state, asked.callback as ObservableCallback, result);
    }
    isPromise = isThenable(answer);
  } catch (error) {
    asked.isRunning = false;
    fail(error);
    finish();
    return null;
  }
  if (!isPromise) {
    asked.isRunning = false;
    finish();
    return null;
  }
  // Whatever its getters throw rejects, unlike with Promise.resolve.
  const answered = new Promise((resolve) => resolve(answer)).catch(fail).then(() => {
    asked.isRunning = false;
    finish();
  });
  if (deadline === null) {
    // The process is ending: what there is counts.
    finish();
    return null;
  }
  return Promise.race([answered, deadline.then(finish)]);
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | undefined)?.then === "function";
}
