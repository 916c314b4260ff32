/**
 * One round over all files of one process: its spans first, then its events, and only then the spans
 * that ended, so that an event recorded before the end of its span is always there.
 *
 * @module
 */
import { RING_EVENTS, RING_MEASUREMENTS, RING_SPANS } from "../lib/format/layout.ts";
import type { Assembler, PairList, ProcessState } from "../lib/otlp/assemble.ts";
import {
  claimedTo,
  type Drain,
  drainEvents,
  drainMeasurements,
  drainSpans,
  isDrained,
} from "./drain.ts";

/** A file in a round. */
export interface RoundFile {
  readonly drain: Drain;
  /** 0 for the first file of an isolate, one more for each that continues it. */
  readonly generation: number;
  /** The file this one continues, where that is (or was) read here too. */
  older: RoundFile | null;
  /** Nothing more is to come from its spans ring. */
  spansDone: boolean;
  /** The owner writes nothing more here. */
  closed: boolean;
  /** Sequences that are the last to take, by ring: Infinity when following. */
  limits: readonly number[];
  /** Events up to here were written before spans of this round were taken. */
  safe: number;
  /** Events up to here are to be taken before the spans that wait for them are sent. */
  target: number;
}

/** A process in rounds. */
export interface RoundProcess {
  readonly state: ProcessState;
  /** Ordered by generation. */
  readonly files: RoundFile[];
  /** Spans that ended and wait for the events written before: pairs of index and use. */
  waiting: PairList;
}

/** At most this many records of one ring are taken in a round: files share the collector. */
export const ROUND_RECORDS = 4096;

/** Does one round. Returns how many records were taken. */
export function round(process: RoundProcess, assembler: Assembler): number {
  const { files, state } = process;
  let before = 0;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    before += taken(file.drain);
    file.safe = Math.min(claimedTo(file.drain, RING_EVENTS), file.limits[RING_EVENTS]);
  }

  const complete = takeSpans(files, assembler);
  if (complete) {
    for (let i = 0; i < files.length; i++) {
      files[i].drain.decidable = Math.max(files[i].drain.decidable, files[i].safe);
    }
  }
  if (process.waiting.length === 0 && state.ended.length > 0) {
    const ended = state.ended;
    state.ended = process.waiting;
    process.waiting = ended;
    for (let i = 0; i < files.length; i++) {
      const file = files[i];
      file.target = Math.min(claimedTo(file.drain, RING_EVENTS), file.limits[RING_EVENTS]);
    }
  }
  let reached = true;
  for (let i = 0; i < files.length; i++) {
    const { drain, limits, target } = files[i];
    const end = Math.min(claimedTo(drain, RING_EVENTS), limits[RING_EVENTS]);
    drainEvents(drain, assembler, ROUND_RECORDS, end);
    if (drain.rings[RING_EVENTS].sequence < target) reached = false;
    const last = Math.min(claimedTo(drain, RING_MEASUREMENTS), limits[RING_MEASUREMENTS]);
    drainMeasurements(drain, assembler, ROUND_RECORDS, last);
  }
  if (reached && process.waiting.length > 0) {
    assembler.emitEnded(process.waiting);
  }

  let after = 0;
  for (let i = 0; i < files.length; i++) after += taken(files[i].drain);
  return after - before;
}

/** Spans of older generations first. True when all that was there at the start was taken. */
function takeSpans(files: readonly RoundFile[], assembler: Assembler): boolean {
  let complete = true;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    const { drain, older } = file;
    const ring = drain.rings[RING_SPANS];
    const end = Math.min(claimedTo(drain, RING_SPANS), file.limits[RING_SPANS]);
    if (older === null || older.spansDone) drainSpans(drain, assembler, ROUND_RECORDS, end);
    if (ring.sequence < end) complete = false;
    else file.spansDone = file.closed;
  }
  return complete;
}

function taken(drain: Drain): number {
  let count = 0;
  for (let ring = 0; ring < drain.rings.length; ring++) count += drain.rings[ring].taken;
  return count;
}

/** True when everything claimed (up to the limits) was taken and every ended span was sent. */
export function isIdle(process: RoundProcess): boolean {
  if (process.waiting.length > 0 || process.state.ended.length > 0) return false;
  for (const { drain, limits } of process.files) {
    for (let ring = 0; ring < drain.rings.length; ring++) {
      if (!isDrained(drain, ring) && drain.rings[ring].sequence < limits[ring]) return false;
    }
  }
  return true;
}
