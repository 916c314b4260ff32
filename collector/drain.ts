/**
 * Takes records out of the rings of one file and gives them to the assembler.
 *
 * @module
 */
import { readExtension } from "../lib/file/extension.ts";
import type { Geometry } from "../lib/file/geometry.ts";
import { RING_COUNT, RING_EVENTS, RING_MEASUREMENTS, RING_SPANS } from "../lib/format/layout.ts";
import type { Assembler, ProcessState, Source } from "../lib/otlp/assemble.ts";
import type { GrowingFile } from "../lib/dictionary/read.ts";
import { BAD_LENGTH, Rejection } from "../lib/record/wire.ts";
import {
  advance,
  claimedAhead,
  copyRecord,
  createCopy,
  isReady,
  openRing,
  type RecordCopy,
  type RingReader,
} from "../lib/ring/read.ts";
import type { FileViews } from "../lib/ring/write.ts";

/** Kinds of reasons that are counted. */
const MAX_REASONS = 50;

/** The rings of one file, and what was counted in them since it was opened. */
export interface Drain {
  readonly rings: readonly RingReader[];
  readonly source: Source;
  readonly copy: RecordCopy;
  /** Nothing more will be written: a record that is claimed and not published never will be. */
  over: boolean;
  /** By ring: records that were claimed and never published. */
  readonly torn: number[];
  /** By ring: records that could not be read. */
  readonly rejected: number[];
  /** How often each reason was met. */
  readonly reasons: Map<string, number>;
  /** Events up to this sequence were written before spans that have all been taken. */
  decidable: number;
}

/** Prepares to drain a file. `file` is a number that no other file has at the same time. */
export function openDrain(
  file: number,
  views: FileViews & GrowingFile,
  geometry: Geometry,
  assembler: Assembler,
  process: ProcessState,
): Drain {
  return {
    rings: geometry.rings.map((ring) => openRing(views, ring)),
    source: assembler.addSource(
      file,
      process,
      views,
      geometry.dictionary,
      readExtension(views, geometry.rings[0].offset) !== null,
    ),
    copy: createCopy(geometry.rings),
    over: false,
    torn: new Array(RING_COUNT).fill(0),
    rejected: new Array(RING_COUNT).fill(0),
    reasons: new Map(),
    decidable: -1,
  };
}

/** The sequence up to which a ring is claimed now. */
export function claimedTo(drain: Drain, ring: number): number {
  return drain.rings[ring].sequence + ahead(drain.rings[ring]);
}

function ahead(ring: RingReader): number {
  return Math.min(claimedAhead(ring), ring.geometry.slots);
}

/** True when all that was claimed so far has been taken or passed. */
export function isDrained(drain: Drain, ring: number): boolean {
  return claimedAhead(drain.rings[ring]) === 0;
}

/**
 * Is there a record to take? Passes records that will never be there. `end` is the sequence to
 * stop at.
 */
function next(drain: Drain, ring: RingReader, end: number): boolean {
  while (ring.sequence < end) {
    if (isReady(ring)) return true;
    // Only an owner that is gone leaves a slot for good: a living one may be about to publish it.
    if (!drain.over) return false;
    drain.torn[ring.geometry.ring]++;
    advance(ring);
  }
  return false;
}

function reject(drain: Drain, ring: RingReader, error: unknown): void {
  drain.rejected[ring.geometry.ring]++;
  // Anything else is a fault of ours: one record is lost to it, not the collector.
  const reason = error instanceof Rejection ? error.reason : `a fault in the collector (${error})`;
  const count = drain.reasons.get(reason);
  if (count !== undefined || drain.reasons.size < MAX_REASONS) {
    drain.reasons.set(reason, (count ?? 0) + 1);
  }
}

/** Takes up to `limit` span records, none after the sequence `end`. */
export function drainSpans(
  drain: Drain,
  assembler: Assembler,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_SPANS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  while (next(drain, ring, stop)) {
    try {
      if (!copyRecord(ring, copy)) throw BAD_LENGTH;
      assembler.takeSpan(source, copy, ring.sequence + 1);
    } catch (error) {
      reject(drain, ring, error);
    }
    advance(ring);
  }
}

/**
 * Takes up to `limit` event records, none after the sequence `end`. Stops before an event whose span
 * is not open when its start may still be in the spans ring.
 */
export function drainEvents(
  drain: Drain,
  assembler: Assembler,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_EVENTS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  while (next(drain, ring, stop)) {
    try {
      if (!copyRecord(ring, copy)) throw BAD_LENGTH;
      if (!assembler.takeEvent(source, copy)) {
        if (ring.sequence >= drain.decidable) return;
        assembler.passEvent();
      }
    } catch (error) {
      reject(drain, ring, error);
    }
    advance(ring);
  }
}

/** Takes up to `limit` measurements, none after the sequence `end`. */
export function drainMeasurements(
  drain: Drain,
  assembler: Assembler,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_MEASUREMENTS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  while (next(drain, ring, stop)) {
    try {
      if (!copyRecord(ring, copy)) throw BAD_LENGTH;
      assembler.takeMeasurement(source, copy);
    } catch (error) {
      reject(drain, ring, error);
    }
    advance(ring);
  }
}
