/**
 * One round over all files of one process: its spans first, then its events, and only then the spans
 * that ended, so that an event recorded before the end of its span is always there. Log records are
 * taken with the events, measurements last.
 *
 * @module
 */
import { RING_EVENTS, RING_MEASUREMENTS, RING_SPANS } from "../../lib/format/layout.ts";
import type { PairList, ProcessState } from "../../lib/otlp/source.ts";
import {
  claimedTo,
  type Drain,
  drainEvents,
  drainLogs,
  drainMeasurements,
  drainSpans,
  type Intake,
  isDrained,
} from "./drain.ts";

/** A file in a round. */
export interface RoundFile {
  readonly drain: Drain;
  /** 0 for the first file of an isolate, one more for each that continues it. */
  readonly generation: number;
  /** The file this one continues, while that is read here too. */
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

/** A file of which nothing was taken in a round yet: the first of its isolate, with no limits. */
export function newRoundFile(drain: Drain): RoundFile {
  return {
    drain,
    generation: 0,
    older: null,
    spansDone: false,
    closed: drain.over,
    limits: [Infinity, Infinity, Infinity],
    safe: -1,
    target: -1,
  };
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
export function round(process: RoundProcess, intake: Intake): number {
  const { files, state } = process;
  const { assembler, blocked } = intake;
  let count = 0;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    count -= taken(file.drain);
    file.safe = lastOf(file, RING_EVENTS);
  }

  if (!blocked.traces && takeSpans(files, intake)) {
    for (let i = 0; i < files.length; i++) {
      files[i].drain.decidable = Math.max(files[i].drain.decidable, files[i].safe);
    }
  }
  if (process.waiting.length === 0 && state.ended.length > 0) {
    const ended = state.ended;
    state.ended = process.waiting;
    process.waiting = ended;
    for (let i = 0; i < files.length; i++) files[i].target = lastOf(files[i], RING_EVENTS);
  }
  let reached = true;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    const { drain } = file;
    const end = lastOf(file, RING_EVENTS);
    drainEvents(drain, intake, ROUND_RECORDS, end);
    if (drain.rings[RING_EVENTS].sequence < file.target) reached = false;
    if (!blocked.logs) count += drainLogs(drain, intake, ROUND_RECORDS, end);
    if (!blocked.metrics) {
      drainMeasurements(drain, intake, ROUND_RECORDS, lastOf(file, RING_MEASUREMENTS));
    }
  }
  if (reached && !blocked.traces && process.waiting.length > 0) {
    intake.journal?.emitted(state.index, process.waiting.length);
    assembler.emitEnded(process.waiting);
  }

  for (let i = 0; i < files.length; i++) count += taken(files[i].drain);
  return count;
}

/** The last sequence to take for now. */
function lastOf({ drain, limits }: RoundFile, ring: number): number {
  return Math.min(claimedTo(drain, ring), limits[ring]);
}

/** Spans of older generations first. True when all that was there at the start was taken. */
function takeSpans(files: readonly RoundFile[], intake: Intake): boolean {
  let complete = true;
  for (let i = 0; i < files.length; i++) {
    const file = files[i];
    const { drain, older } = file;
    const ring = drain.rings[RING_SPANS];
    const end = lastOf(file, RING_SPANS);
    if (older === null || older.spansDone) drainSpans(drain, intake, ROUND_RECORDS, end);
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
      if (!isDrained(drain, ring, limits[ring])) return false;
    }
  }
  return true;
}
