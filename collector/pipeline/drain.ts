/**
 * Takes records out of the rings of one file and gives them to the assembler and the aggregator.
 *
 * @module
 */
import { readExtension } from "../../lib/file/extension.ts";
import type { Geometry } from "../../lib/file/geometry.ts";
import {
  READ_REJECTED,
  READ_TORN,
  REJECT_FAULT,
  RING_COUNT,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_SPANS,
} from "../../lib/format/layout.ts";
import type { Aggregator } from "../../lib/metrics/aggregate.ts";
import { AHEAD } from "../../lib/metrics/ahead.ts";
import { type Assembler, LEFT, WAITS } from "../../lib/otlp/assemble.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import type { ProcessState, Source } from "../../lib/otlp/source.ts";
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { EVENT, LOG, MEASUREMENT, SPAN } from "../journal/format.ts";
import { BAD_LENGTH, Rejection } from "../../lib/record/wire.ts";
import { noteBad } from "../../lib/ring/counts.ts";
import {
  advance,
  claimedAhead,
  copyRecord,
  createCopy,
  isReady,
  openRing,
  passDiscarded,
  type RecordCopy,
  type RingReader,
  seek,
} from "../../lib/ring/read.ts";
import type { FileViews } from "../../lib/ring/write.ts";

/** Kinds of reasons that are counted. */
const MAX_REASONS = 50;

/** Where records go. */
export interface Intake {
  readonly assembler: Assembler;
  readonly aggregator: Aggregator;
  /** Signals of which nothing more is taken now, since too many requests of theirs wait. */
  readonly blocked: Readonly<Record<Signal, boolean>>;
  /** Keeps what was taken. */
  readonly journal?: DrainJournal | null;
}

/** Keeps what was taken out of rings, in the order in which it was (collector/journal/). */
export interface DrainJournal {
  /** A record was taken; `type` is one of SPAN, EVENT, LOG and MEASUREMENT. */
  record(type: number, file: number, sequence: number, copy: RecordCopy): void;
  /** A record was found bad, which its file does not count yet. */
  bad(file: number, record: BadRecord): void;
  /** Ended spans were put into the batch: the first `words` words of the process's list. */
  emitted(process: number, words: number): void;
}

/** A record that is torn or rejected, and not given back: its file counts it when it is. */
export interface BadRecord {
  readonly ring: number;
  /** Null for some that are behind all that are remembered one by one. */
  readonly sequence: number | null;
  /** What it is counted as, `READ_TORN` or `READ_REJECTED + REJECT_*`. */
  readonly word: number;
  /** How many they are: 1 with a sequence. */
  readonly count: number;
}

/** Where an earlier collector was in a file, as its journal says. */
export interface Position {
  /** By ring: the sequence taken last. */
  readonly sequences: readonly number[];
  /** The same for log records, where that differs. */
  readonly logs: number | null;
  readonly wasMeasured: boolean;
  /** What was bad of the records up to these. */
  readonly bad: readonly BadRecord[];
}

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
  /**
   * Where log records are taken from the events ring, while that is not where events of spans are:
   * behind, since the logs' backend is slow, or ahead, since that of traces is.
   */
  logs: RingReader | null;
}

/** Prepares to drain a file. `file` is a number that no other file has at the same time. */
export function openDrain(
  file: number,
  views: FileViews & GrowingFile,
  geometry: Geometry,
  assembler: Assembler,
  process: ProcessState,
  position: Position | null = null,
): Drain {
  const extension = readExtension(views, geometry.rings[0].offset);
  const rings = geometry.rings.map((ring) => openRing(views, ring, extension !== null));
  const logs = position === null ? null : resume(rings, position);
  return {
    rings,
    source: assembler.addSource(
      file,
      process,
      views,
      geometry.dictionary,
      extension !== null,
      position?.wasMeasured ??
        (rings[RING_MEASUREMENTS].sequence >= 0 || (extension?.generation ?? 0) > 0),
      geometry.rings[RING_SPANS].discards,
    ),
    copy: createCopy(geometry.rings),
    over: false,
    torn: new Array(RING_COUNT).fill(0),
    rejected: new Array(RING_COUNT).fill(0),
    reasons: new Map(),
    decidable: -1,
    logs,
  };
}

/**
 * Goes on where the journal ends: what lies before is in it, though it may not have been given back.
 * Returns the ring at the position for log records, where that is another one.
 */
function resume(rings: readonly RingReader[], position: Position): RingReader | null {
  const { sequences, logs, bad } = position;
  let behind: RingReader | null = null;
  for (let ring = 0; ring < rings.length; ring++) {
    const reader = rings[ring];
    const released = reader.sequence;
    const claimed = released + Math.min(claimedAhead(reader), reader.geometry.slots);
    // More than was ever claimed can't have been taken: then this is not the file it was.
    if (sequences[ring] > claimed) continue;
    if (ring === RING_EVENTS && logs !== null && logs >= released && logs <= claimed) {
      behind = { ...reader, missed: [] };
      seek(behind, logs);
    }
    if (sequences[ring] <= released) continue;
    seek(reader, sequences[ring]);
    // Not looked at again: nobody else knows what to count them as.
    for (const each of bad) if (each.ring === ring) noteAgain(reader, each);
  }
  return behind;
}

/** Notes what an earlier run has noted, unless it is counted in the file already. */
function noteAgain({ counts, released }: RingReader, { sequence, word, count }: BadRecord): void {
  if (counts === null) return;
  if (sequence === null) counts.more[word] += count;
  else if (sequence > released) noteBad(counts, sequence, word);
}

/** The records of a ring that are bad and not given back. */
export function badOf({ counts, geometry: { ring } }: RingReader): BadRecord[] {
  if (counts === null) return [];
  const all: BadRecord[] = [];
  for (const [sequence, word] of counts.bad) all.push({ ring, sequence, word, count: 1 });
  counts.more.forEach((count, word) => {
    if (count > 0) all.push({ ring, sequence: null, word, count });
  });
  return all;
}

/** Notes that the next record of a ring is bad. False when that is known. */
function note(drain: Drain, ring: RingReader, word: number, journal: Intake["journal"]): boolean {
  const { counts, geometry } = ring;
  const sequence = ring.sequence + 1;
  if (counts === null) return true;
  if (!noteBad(counts, sequence, word)) return false;
  journal?.bad(drain.source.file, { ring: geometry.ring, sequence, word, count: 1 });
  return true;
}

/** The last sequence of a ring of which nothing more is needed. */
export function takenTo(drain: Drain, ring: number): number {
  const { sequence } = drain.rings[ring];
  return ring === RING_EVENTS && drain.logs !== null
    ? Math.min(sequence, drain.logs.sequence)
    : sequence;
}

/** The sequence up to which a ring is claimed now. */
export function claimedTo({ over, rings }: Drain, ring: number): number {
  const reader = rings[ring];
  const { slots } = reader.geometry;
  const claimed = Math.min(claimedAhead(reader), slots);
  // What is not given back can't be claimed again: where all is written, no word makes a ring longer.
  const room = over ? Math.max(0, reader.released + slots - reader.sequence) : slots;
  return reader.sequence + Math.min(claimed, room);
}

/** Records of all rings that are claimed and not taken, up to these limits. */
export function untaken(drain: Drain, limits?: readonly number[]): number {
  return drain.rings.reduce((sum, _, ring) => {
    const to = Math.min(claimedTo(drain, ring), limits?.[ring] ?? Infinity);
    return sum + Math.max(0, to - takenTo(drain, ring));
  }, 0);
}

/** True when all that was claimed so far, or up to a sequence, has been taken or passed. */
export function isDrained(drain: Drain, ring: number, limit: number = Infinity): boolean {
  return takenTo(drain, ring) >= Math.min(claimedTo(drain, ring), limit);
}

/**
 * Is there a record to take? Passes records that will never be there. `end` is the sequence to
 * stop at.
 */
function next(drain: Drain, ring: RingReader, end: number, journal: Intake["journal"]): boolean {
  while (ring.sequence < end) {
    if (isReady(ring)) return true;
    if (passDiscarded(ring)) continue;
    // Only an owner that is gone leaves a slot for good: a living one may be about to publish it.
    if (!drain.over) return false;
    drain.torn[ring.geometry.ring]++;
    note(drain, ring, READ_TORN, journal);
    advance(ring);
  }
  return false;
}

function reject(
  drain: Drain,
  ring: RingReader,
  error: unknown,
  journal: Intake["journal"],
): void {
  const kind = error instanceof Rejection ? error.kind : REJECT_FAULT;
  // Two cursors may come upon the same record.
  if (!note(drain, ring, READ_REJECTED + kind, journal)) return;
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
  { assembler, journal }: Intake,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_SPANS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  while (next(drain, ring, stop, journal)) {
    const isRecord = copyRecord(ring, copy);
    if (passDiscarded(ring)) continue;
    try {
      if (!isRecord) throw BAD_LENGTH;
      assembler.takeSpan(source, copy, ring.sequence + 1);
      // What was refused has changed nothing.
      journal?.record(SPAN, source.file, ring.sequence + 1, copy);
    } catch (error) {
      reject(drain, ring, error, journal);
    }
    advance(ring);
  }
}

/**
 * Takes up to `limit` event records, none after the sequence `end`: events of spans, and log records
 * too unless these are blocked. Stops before an event whose span is not open when its start may
 * still be in the spans ring.
 */
export function drainEvents(
  drain: Drain,
  { assembler, blocked, journal }: Intake,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_EVENTS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  while (next(drain, ring, stop, journal)) {
    const isRecord = copyRecord(ring, copy);
    if (passDiscarded(ring)) continue;
    try {
      if (!isRecord) throw BAD_LENGTH;
      const logs = drain.logs === null && !blocked.logs;
      const fate = assembler.takeEvent(source, copy, ring.sequence + 1, logs);
      if (fate === WAITS) {
        if (ring.sequence >= drain.decidable) return;
        assembler.passEvent();
      } else if (fate === LEFT) {
        drain.logs ??= { ...ring, missed: [] };
      } else journal?.record(EVENT, source.file, ring.sequence + 1, copy);
    } catch (error) {
      reject(drain, ring, error, journal);
    }
    advance(ring);
  }
}

/**
 * Takes the log records among up to `limit` event records: the ones that were left behind, or, while
 * events of spans wait for spans whose backend is slow, the ones up to the sequence `end`. Returns
 * how many records it went over.
 */
export function drainLogs(
  drain: Drain,
  { assembler, blocked, journal }: Intake,
  limit: number,
  end: number,
): number {
  const ring = drain.rings[RING_EVENTS];
  if (blocked.traces && ring.sequence < end) drain.logs ??= { ...ring, missed: [] };
  const { copy, logs, source } = drain;
  if (logs === null) return 0;
  const last = blocked.traces ? Math.max(end, ring.sequence) : ring.sequence;
  const before = logs.sequence;
  const stop = Math.min(last, before + limit);
  while (logs.sequence < stop) {
    if (isReady(logs)) {
      const isRecord = copyRecord(logs, copy);
      if (passDiscarded(logs)) continue;
      try {
        // What is no record is counted where events of spans are taken.
        if (isRecord && assembler.takeLog(source, copy)) {
          journal?.record(LOG, source.file, logs.sequence + 1, copy);
        }
      } catch (error) {
        reject(drain, logs, error, journal);
      }
    } else if (passDiscarded(logs)) continue;
    else if (logs.sequence >= ring.sequence && !drain.over) break;
    advance(logs);
  }
  const count = logs.sequence - before;
  if (logs.sequence === ring.sequence) drain.logs = null;
  return count;
}

/** Takes up to `limit` measurements, none after the sequence `end`. */
export function drainMeasurements(
  drain: Drain,
  { aggregator, journal }: Intake,
  limit: number,
  end: number,
): void {
  const ring = drain.rings[RING_MEASUREMENTS];
  const { copy, source } = drain;
  const stop = Math.min(end, ring.sequence + limit);
  let ahead: Int32Array | null = null;
  for (let from = ring.sequence - AHEAD; next(drain, ring, stop, journal);) {
    if (ring.sequence >= from + AHEAD) {
      from = ring.sequence;
      const count = Math.min(AHEAD, stop - from, claimedAhead(ring));
      ahead = aggregator.lookAhead(source, ring, count);
    }
    const guess = ahead === null ? 0 : ahead[ring.sequence - from];
    const isRecord = copyRecord(ring, copy);
    if (passDiscarded(ring)) continue;
    try {
      if (!isRecord) throw BAD_LENGTH;
      aggregator.take(source, copy, guess);
      journal?.record(MEASUREMENT, source.file, ring.sequence + 1, copy);
    } catch (error) {
      reject(drain, ring, error, journal);
    }
    advance(ring);
  }
}
