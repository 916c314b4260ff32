/**
 * Where records come from: processes and their files, as far as their records are concerned.
 *
 * @module
 */
import type { DictionaryReader } from "../dictionary/read.ts";
import type { RefTable } from "../dictionary/refs.ts";
import type { ScopeCache } from "./scopes.ts";
import type { ValueCache } from "./values.ts";

/** A list of pairs of numbers that keeps its memory. */
export class PairList {
  /** The pairs, two words each. */
  words: Int32Array = new Int32Array(16);
  /** Words in use. */
  length = 0;

  /** Adds a pair. */
  push(first: number, second: number): void {
    if (this.length === this.words.length) {
      const grown = new Int32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    this.words[this.length++] = first;
    this.words[this.length++] = second;
  }
}

/** A process that writes files: what its files have in common. */
export interface ProcessState {
  /** Index in `Assembler.processes`. */
  readonly index: number;
  readonly scopes: ScopeCache;
  /** The latest time in its records, ns since the Unix epoch: low and high 32 bits. */
  lastLow: number;
  lastHigh: number;
  /** Spans that ended and are not in a batch yet: pairs of index and use. */
  ended: PairList;
}

/** One file. */
export interface Source {
  /** A number that no other file has at the same time. */
  readonly file: number;
  readonly process: ProcessState;
  readonly dictionary: DictionaryReader;
  readonly values: ValueCache;
  /** Indexes of scopes by ref. */
  readonly scopes: RefTable;
  /** Its writer marks events of spans; without that they are guessed. */
  readonly marksSpanEvents: boolean;
  /** Its writer discards the oldest records: of a span the start may be missing. */
  readonly discards: boolean;
  /** A reader before this one took measurements of it, or of a file that it continues. */
  wasMeasured: boolean;
}

/** Is one time (unsigned, low and high 32 bits) later than another? */
export function isLater(low: number, high: number, thanLow: number, thanHigh: number): boolean {
  return high >>> 0 > thanHigh >>> 0 ||
    (high === thanHigh && low >>> 0 > thanLow >>> 0);
}

/** A record of the process says this time, ns since the Unix epoch: low and high 32 bits. */
export function noteTime(process: ProcessState, low: number, high: number): void {
  if (isLater(low, high, process.lastLow, process.lastHigh)) {
    process.lastLow = low;
    process.lastHigh = high;
  }
}
