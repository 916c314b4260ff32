/**
 * Records become spans and log records: each record of the spans ring, and each event of a span, is
 * transcoded and added to its open span, and a span that ended goes into its batch; the other events
 * are log records and go into theirs.
 *
 * @module
 */
import { DictionaryReader, type GrowingFile } from "../dictionary/read.ts";
import { RefTable } from "../dictionary/refs.ts";
import { BYTES, FIXED64, OtlpSpan, SpanEvent, tag, VARINT } from "../format/fields.ts";
import {
  decodeEvent,
  decodeSpan,
  type EventRecord,
  isLog,
  type SpanRecord,
} from "../record/decode.ts";
import { BAD_ID, STARTED_TWICE, TOO_LARGE } from "../record/wire.ts";
import type { RecordCopy } from "../ring/read.ts";
import { type Arena, SCRATCH_BYTES, SCRATCH_LIMIT } from "./arena.ts";
import { Batch } from "./batch.ts";
import { putLogRecord } from "./logs.ts";
import { INTERRUPTED, INTERRUPTIONS, PARTIAL, PARTIAL_NAME, TRUNCATED_SPAN } from "./marks.ts";
import { ScopeCache, type ScopeEntry } from "./scopes.ts";
import { isLater, noteTime, PairList, type ProcessState, type Source } from "./source.ts";
import {
  ATTRIBUTES,
  BLOCK,
  DROPPED_ATTRIBUTES,
  DROPPED_EVENTS,
  DROPPED_LINKS,
  EVENT_FILE,
  EVENT_SEQUENCE,
  FILE,
  FLAG_ENDED,
  FLAG_PARTIAL,
  FLAG_REPEATED,
  FLAG_TRUNCATED,
  FLAGS,
  KEYS,
  LENGTH,
  MAX_SPAN_BYTES,
  NEXT,
  NONE,
  PROCESS,
  SCOPE,
  SEQUENCE,
  SEVERAL_FILES,
  SpanTable,
  START_HIGH,
  START_LOW,
  USE,
} from "./spans.ts";
import { found, putCount, putEnd, putEvent, putLinks, putSpanFields } from "./transcode.ts";
import { restoreAssembler, saveAssembler } from "./state.ts";
import { countFields, keepLast } from "./unique.ts";
import { aim, expectKeys, repeatedKeys, seenKeys, ValueCache } from "./values.ts";

export type { ProcessState, Source } from "./source.ts";

/** What one collector holds at most. */
export interface Limits {
  /** Open spans of all processes; beyond it the first ones of who has most are sent as they are. */
  readonly openSpans: number;
  /** Bytes of open spans and of the batches, likewise. */
  readonly bytes: number;
  /** Attributes of one span or log record; more are dropped and counted on it. */
  readonly attributes: number;
}

/** Limits that a machine with a few GB does not notice. */
export const DEFAULT_LIMITS: Limits = {
  openSpans: 1_000_000,
  bytes: 1 << 30,
  attributes: 1024,
};

/** What was counted since the start. */
export interface AssemblyCounts {
  /** Spans handed to their batch. */
  spans: number;
  /** Of these, spans whose end was never recorded. */
  interrupted: number;
  /** Of these, spans that had to go because too many were open. */
  evicted: number;
  /** Of these, spans whose start the writer had discarded. */
  partial: number;
  /** Records (late attributes, names, links, ends) of spans that are not open. */
  unmatched: number;
  /** Events of spans that are not open. */
  unmatchedEvents: number;
  /** Spans for which there was no memory. */
  lost: number;
  /** Log records handed to their batch. */
  logs: number;
  /** Log records for which there was no memory. */
  lostLogs: number;
}

/** What became of a record of the events ring. */
export type EventFate = typeof TAKEN | typeof WAITS | typeof LEFT;
/** It is where it belongs. */
export const TAKEN = 0;
/** Its span is not open: to be looked at again after the spans ring, or passed with `passEvent`. */
export const WAITS = 1;
/** It is a log record, and these are not wanted now. */
export const LEFT = 2;

const TRACE_HEAD = tag(OtlpSpan.traceId, BYTES) | 16 << 8;
const SPAN_HEAD = tag(OtlpSpan.spanId, BYTES) | 8 << 8;
const NAME = tag(OtlpSpan.name, BYTES);
const ATTRIBUTE = tag(OtlpSpan.attributes, BYTES);
const END_TIME = tag(OtlpSpan.endTime, FIXED64);
const END_TIME_BYTES = 9;
const START_TIME = tag(OtlpSpan.startTime, FIXED64);
/** Both ids of a span, with their tags. */
const IDS_BYTES = 28;
const D_ATTRIBUTES = tag(OtlpSpan.droppedAttributes, VARINT);
const D_EVENTS = tag(OtlpSpan.droppedEvents, VARINT);
const D_LINKS = tag(OtlpSpan.droppedLinks, VARINT);

/** A span needs no more than this beyond its fields (an end after the span is full). */
const END_BYTES = 64 << 10;

/** This part of the limits is free after spans were sent for want of room. */
const ROOM = 1 / 64;

/** All open spans of all processes, and the batches that they and log records go into. */
export class Assembler {
  readonly table: SpanTable = new SpanTable();
  readonly spans: Batch = new Batch("traces", this.table.arena);
  readonly logs: Batch = new Batch("logs", this.table.arena);
  readonly counts: AssemblyCounts = {
    spans: 0,
    interrupted: 0,
    evicted: 0,
    partial: 0,
    unmatched: 0,
    unmatchedEvents: 0,
    lost: 0,
    logs: 0,
    lostLogs: 0,
  };
  /** By index; null where a process is forgotten. */
  readonly processes: (ProcessState | null)[] = [];

  private readonly limits: Limits;
  private readonly onAdded: (batch: Batch) => void;
  private readonly scopes: (ScopeEntry | null)[] = [];

  /**
   * @param onAdded Called after each span or log record that was added to its batch: the moment to
   * seal that.
   */
  constructor(onAdded: (batch: Batch) => void, limits: Limits = DEFAULT_LIMITS) {
    this.onAdded = onAdded;
    this.limits = limits;
  }

  /** Adds a process. */
  addProcess(): ProcessState {
    const free = this.processes.indexOf(null);
    const index = free < 0 ? this.processes.length : free;
    const process = {
      index,
      scopes: new ScopeCache(),
      lastLow: 0,
      lastHigh: 0,
      ended: new PairList(),
    };
    this.processes[index] = process;
    return process;
  }

  /**
   * Everything it holds, to go on with elsewhere; see lib/otlp/state.ts. Throws an Error while a
   * batch in the making has something in it: seal both before.
   */
  save(): Uint8Array<ArrayBuffer> {
    const { table, spans, logs, counts, processes, scopes } = this;
    return saveAssembler({ table, spans, logs, counts, processes, scopes });
  }

  /**
   * Goes on with what another assembler saved. This one must be new, and is of no use when this
   * throws an Error for bytes that are no such state. Sources are to be added again, under the
   * same numbers of files.
   *
   * @returns The processes, in the order of the indexes that they keep.
   */
  restore(bytes: Uint8Array): ProcessState[] {
    const { table, spans, logs, counts, processes, scopes } = this;
    return restoreAssembler({ table, spans, logs, counts, processes, scopes }, bytes);
  }

  /** The scope with an index, null where there is none. */
  scopeAt(index: number): ScopeEntry | null {
    return this.scopes[index] ?? null;
  }

  /** Forgets a process that has no open spans and nothing in a batch. */
  removeProcess(process: ProcessState): void {
    for (const scope of process.scopes.indexes()) this.scopes[scope] = null;
    this.processes[process.index] = null;
  }

  /** What the records of one file need. */
  addSource(
    file: number,
    process: ProcessState,
    bytes: GrowingFile,
    dictionary: number,
    marksSpanEvents: boolean,
    wasMeasured: boolean,
    discards = false,
  ): Source {
    return {
      file,
      process,
      dictionary: new DictionaryReader(bytes, dictionary),
      values: new ValueCache(),
      scopes: new RefTable(),
      marksSpanEvents,
      wasMeasured,
      discards,
    };
  }

  /**
   * Takes a record of the spans ring; throws a Rejection for one that cannot be read, which then
   * has changed nothing.
   */
  takeSpan(source: Source, copy: RecordCopy, sequence: number): void {
    const record = decodeSpan(copy, copy.start, copy.end);
    const { table } = this;
    const { view } = copy;
    const process = source.process.index;
    const t0 = view.getInt32(record.traceId, true);
    const t1 = view.getInt32(record.traceId + 4, true);
    const t2 = view.getInt32(record.traceId + 8, true);
    const t3 = view.getInt32(record.traceId + 12, true);
    const s0 = view.getInt32(record.spanId, true);
    const s1 = view.getInt32(record.spanId + 4, true);
    const hash = table.hash(process, t0, t1, t2, t3, s0, s1);
    const index = table.find(hash, process, t0, t1, t2, t3, s0, s1);
    if (record.event !== SpanEvent.start) {
      if (index >= 0) this.change(source, copy, record, index);
      else if (!source.discards) this.counts.unmatched++;
      else {
        const partial = this.startPartial(source, record, hash, t0, t1, t2, t3, s0, s1, sequence);
        if (partial !== NONE) this.change(source, copy, record, partial);
      }
      return;
    }
    if (index >= 0) throw STARTED_TWICE;
    if ((t0 | t1 | t2 | t3) === 0 || (s0 | s1) === 0) throw BAD_ID;

    const scope = this.scopeIndex(source, record.scopeRef);
    const out = table.arena.bytes;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    expectKeys(0);
    putIds(out, t0, t1, t2, t3, s0, s1);
    const { bodyStart, bodyEnd } = record;
    const end = putSpanFields(copy, bodyStart, bodyEnd, out, IDS_BYTES, this.limits.attributes);
    if (end > MAX_SPAN_BYTES) throw TOO_LARGE;
    this.makeRoom(end);
    const added = table.insert(hash, process, t0, t1, t2, t3, s0, s1, end);
    if (added === NONE) {
      this.counts.lost++;
      return;
    }
    table.append(added, 0, end);
    const { meta } = table;
    const base = SpanTable.base(added);
    meta[base + KEYS] = seenKeys;
    meta[base + ATTRIBUTES] = found.attributes;
    meta[base + DROPPED_ATTRIBUTES] = found.dropped;
    meta[base + SCOPE] = scope;
    meta[base + START_LOW] = found.low;
    meta[base + START_HIGH] = found.high;
    meta[base + FLAGS] = (repeatedKeys ? FLAG_REPEATED : 0) |
      (record.truncated ? FLAG_TRUNCATED : 0);
    meta[base + FILE] = source.file;
    meta[base + SEQUENCE] = sequence | 0;
    noteTime(source.process, found.low, found.high);
  }

  /**
   * A span of which the start was discarded, so that what is left of it is seen: its end, how it
   * ended, what it was said to be on the way. NONE where there is no memory for it.
   */
  private startPartial(
    source: Source,
    record: SpanRecord,
    hash: number,
    t0: number,
    t1: number,
    t2: number,
    t3: number,
    s0: number,
    s1: number,
    sequence: number,
  ): number {
    if ((t0 | t1 | t2 | t3) === 0 || (s0 | s1) === 0) throw BAD_ID;
    const { table } = this;
    const scope = this.scopeIndex(source, record.scopeRef);
    const out = table.arena.bytes;
    putIds(out, t0, t1, t2, t3, s0, s1);
    out.u8.set(PARTIAL_NAME, IDS_BYTES);
    const end = IDS_BYTES + PARTIAL_NAME.length;
    this.makeRoom(end);
    const added = table.insert(hash, source.process.index, t0, t1, t2, t3, s0, s1, end);
    if (added === NONE) {
      this.counts.lost++;
      return NONE;
    }
    table.append(added, 0, end);
    const { meta } = table;
    const base = SpanTable.base(added);
    meta[base + KEYS] = 0;
    meta[base + ATTRIBUTES] = 0;
    meta[base + DROPPED_ATTRIBUTES] = 0;
    meta[base + SCOPE] = scope;
    // It had started by the time of what was recorded before.
    meta[base + START_LOW] = source.process.lastLow;
    meta[base + START_HIGH] = source.process.lastHigh;
    meta[base + FLAGS] = FLAG_PARTIAL;
    meta[base + FILE] = source.file;
    meta[base + SEQUENCE] = sequence | 0;
    return added;
  }

  private change(source: Source, copy: RecordCopy, record: SpanRecord, index: number): void {
    const { table } = this;
    const base = SpanTable.base(index);
    const out = table.arena.bytes;
    const { bodyStart, bodyEnd } = record;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    const flags = table.meta[base + FLAGS];
    let added = flags | (record.truncated ? FLAG_TRUNCATED : 0);
    let length: number;
    switch (record.event) {
      case SpanEvent.end:
        if ((flags & FLAG_ENDED) !== 0) {
          this.counts.unmatched++;
          return;
        }
        length = putEnd(copy, bodyStart, bodyEnd, out, 0);
        noteTime(source.process, found.low, found.high);
        if (
          out.u8[0] === END_TIME &&
          isLater(
            table.meta[base + START_LOW],
            table.meta[base + START_HIGH],
            found.low,
            found.high,
          )
        ) {
          // A clock was set back in between: no time passed, rather than less than none.
          out.view.setInt32(1, table.meta[base + START_LOW], true);
          out.view.setInt32(5, table.meta[base + START_HIGH], true);
        }
        added |= FLAG_ENDED;
        if ((flags & FLAG_PARTIAL) !== 0) {
          // The only time that is known of it.
          table.meta[base + START_LOW] = found.low;
          table.meta[base + START_HIGH] = found.high;
        }
        // An end is always kept, without its status where there is no room for that.
        if (!this.keep(index, length, END_BYTES)) {
          this.keep(index, out.u8[0] === END_TIME ? END_TIME_BYTES : 0, END_BYTES);
        }
        table.meta[base + DROPPED_ATTRIBUTES] += found.droppedAttributes;
        table.meta[base + DROPPED_EVENTS] += found.droppedEvents;
        table.meta[base + DROPPED_LINKS] += found.droppedLinks;
        source.process.ended.push(index, table.meta[base + USE]);
        break;
      case SpanEvent.link:
        length = putLinks(copy, bodyStart, bodyEnd, out, 0);
        if (!this.keep(index, length, 0)) table.meta[base + DROPPED_LINKS] += found.links;
        break;
      default: {
        // A new name, or attributes.
        let room = this.limits.attributes - table.meta[base + ATTRIBUTES];
        if (room <= 0 && (flags & FLAG_REPEATED) !== 0) {
          this.unrepeat(index);
          room = this.limits.attributes - table.meta[base + ATTRIBUTES];
          added &= ~FLAG_REPEATED;
        }
        expectKeys(table.meta[base + KEYS]);
        length = putSpanFields(copy, bodyStart, bodyEnd, out, 0, room);
        if (record.event === SpanEvent.name && !found.name) {
          // Proto3 leaves an empty string out: this is the name "".
          out.u8[length++] = NAME;
          out.u8[length++] = 0;
          found.name = true;
        }
        const repeated = repeatedKeys || found.name;
        const keys = seenKeys;
        const { attributes, dropped } = found;
        if (this.keep(index, length, 0)) {
          table.meta[base + KEYS] = keys;
          table.meta[base + ATTRIBUTES] += attributes;
          table.meta[base + DROPPED_ATTRIBUTES] += dropped;
          if (repeated) added |= FLAG_REPEATED;
        } else {
          table.meta[base + DROPPED_ATTRIBUTES] += attributes + dropped;
        }
      }
    }
    table.meta[base + FLAGS] = added;
  }

  /**
   * Takes a record of the events ring.
   *
   * @param logs Take log records too.
   */
  takeEvent(source: Source, copy: RecordCopy, sequence: number, logs: boolean): EventFate {
    const record = decodeEvent(copy.u8, copy.start, copy.end);
    const { view } = copy;
    noteRecordTime(source, copy, record);
    if (!isEventOfSpan(record, source.marksSpanEvents)) {
      if (!logs) return LEFT;
      this.putLog(source, copy, record);
      return TAKEN;
    }
    const { table } = this;
    const process = source.process.index;
    const t0 = view.getInt32(record.traceId, true);
    const t1 = view.getInt32(record.traceId + 4, true);
    const t2 = view.getInt32(record.traceId + 8, true);
    const t3 = view.getInt32(record.traceId + 12, true);
    const s0 = view.getInt32(record.spanId, true);
    const s1 = view.getInt32(record.spanId + 4, true);
    const hash = table.hash(process, t0, t1, t2, t3, s0, s1);
    const index = table.find(hash, process, t0, t1, t2, t3, s0, s1);
    if (index < 0) return WAITS;
    const base = SpanTable.base(index);
    const out = table.arena.bytes;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    const length = putEvent(copy, record, out, 0);
    if (!this.keep(index, length, 0)) table.meta[base + DROPPED_EVENTS]++;
    else if (table.meta[base + EVENT_FILE] === 0) {
      table.meta[base + EVENT_FILE] = source.file;
      table.meta[base + EVENT_SEQUENCE] = sequence | 0;
    } else if (table.meta[base + EVENT_FILE] !== source.file) {
      table.meta[base + EVENT_FILE] = SEVERAL_FILES;
    }
    if (record.truncated) table.meta[base + FLAGS] |= FLAG_TRUNCATED;
    return TAKEN;
  }

  /**
   * Takes a record of the events ring if it is a log record, whose event `takeEvent` left or will
   * leave: that is also where a record that cannot be read at all is thrown out. True if it was one.
   */
  takeLog(source: Source, copy: RecordCopy): boolean {
    let record: EventRecord;
    try {
      record = decodeEvent(copy.u8, copy.start, copy.end);
    } catch {
      return false;
    }
    noteRecordTime(source, copy, record);
    if (isEventOfSpan(record, source.marksSpanEvents)) return false;
    this.putLog(source, copy, record);
    return true;
  }

  private putLog(source: Source, copy: RecordCopy, record: EventRecord): void {
    // Marked as an event of a span that it does not name: neither the one nor the other.
    if (record.isSpanEvent) throw BAD_ID;
    const out = this.table.arena.bytes;
    const { attributes } = this.limits;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    const end = putLogRecord(copy, record, out, 0, attributes);
    const scope = this.scopeOf(source, record.scopeRef);
    if (this.logs.add(scope, 0, end, end, 0)) this.counts.logs++;
    else this.counts.lostLogs++;
    this.onAdded(this.logs);
  }

  /** Counts an event whose span is not there. */
  passEvent(): void {
    this.counts.unmatchedEvents++;
  }

  /** Puts spans that ended into the batch: a list from `ProcessState.ended`, empty afterwards. */
  emitEnded(pairs: PairList): void {
    const { table } = this;
    const { words } = pairs;
    for (let i = 0; i < pairs.length; i += 2) {
      const index = words[i];
      // It may have had to go before.
      if (table.meta[SpanTable.base(index) + USE] === words[i + 1]) this.emit(index, null);
    }
    pairs.length = 0;
  }

  /** Puts the spans that a process left open into the batch. Returns how many. */
  interrupt(process: ProcessState, status: Uint8Array): number {
    const { table } = this;
    let count = 0;
    for (let index = table.oldest; index !== NONE;) {
      const base = SpanTable.base(index);
      const next = table.meta[base + NEXT];
      if (table.meta[base + PROCESS] === process.index) {
        this.emit(index, (table.meta[base + FLAGS] & FLAG_ENDED) !== 0 ? null : status);
        count++;
      }
      index = next;
    }
    return count;
  }

  /** Forgets the open spans of a process without sending them. Returns how many. */
  forget(process: ProcessState): number {
    const { table } = this;
    let count = 0;
    for (let index = table.oldest; index !== NONE;) {
      const base = SpanTable.base(index);
      const next = table.meta[base + NEXT];
      if (table.meta[base + PROCESS] === process.index) {
        table.remove(index);
        count++;
      }
      index = next;
    }
    return count;
  }

  /** True when a batch in the making holds something of a process. */
  isBatched(process: ProcessState): boolean {
    return this.spans.holds(process.index) || this.logs.holds(process.index);
  }

  /** The scope that a ref of a file names. Throws a Rejection for what is no scope. */
  scopeOf(source: Source, ref: number): ScopeEntry {
    return this.scopes[this.scopeIndex(source, ref)]!;
  }

  private scopeIndex(source: Source, ref: number): number {
    const known = ref > 0 ? source.scopes.get(ref) : -1;
    if (known >= 0) return known;
    const { process, dictionary, values } = source;
    const scope = process.scopes.load(ref, process.index, dictionary, values, this.scopes);
    source.scopes.set(ref, scope);
    return scope;
  }

  /** Adds the first `length` bytes of the scratch to a span; false where that is too much for it. */
  private keep(index: number, length: number, extra: number): boolean {
    const { table } = this;
    const base = SpanTable.base(index);
    if (
      table.meta[base + LENGTH] + length > MAX_SPAN_BYTES &&
      (table.meta[base + FLAGS] & FLAG_REPEATED) !== 0
    ) this.unrepeat(index);
    if (table.meta[base + LENGTH] + length > MAX_SPAN_BYTES + extra) return false;
    if (!table.reserve(index, length)) return false;
    table.append(index, 0, length);
    return true;
  }

  /** Removes what was said again later from a span's block. */
  private unrepeat(index: number): void {
    const { meta } = this.table;
    const base = SpanTable.base(index);
    const bytes = this.table.arena.bytes.u8;
    const block = meta[base + BLOCK];
    const end = keepLast(bytes, block, block + meta[base + LENGTH], ATTRIBUTE, NAME);
    meta[base + LENGTH] = end - block;
    meta[base + ATTRIBUTES] = countFields(bytes, block, end, ATTRIBUTE);
    meta[base + FLAGS] &= ~FLAG_REPEATED;
  }

  /**
   * Sends spans as they are until one more of `bytes` bytes fits the limits: the oldest of the process
   * that holds most, so that one that floods the collector costs others nothing.
   */
  private makeRoom(bytes: number): void {
    if (!this.isFull(bytes, 0)) return;
    const { table } = this;
    // Who holds most is found by a look at all: there is to be room for some time afterwards.
    while (table.oldest !== NONE && this.isFull(bytes, ROOM)) {
      const byBytes = !this.hasTooMany(ROOM);
      const { process, spans } = table.largestHolder(byBytes);
      this.evict(process, Math.ceil(spans / 2), bytes);
    }
  }

  /** Sends the oldest spans of a process until `most` are gone, or there is room. */
  private evict(process: number, most: number, bytes: number): void {
    const { table } = this;
    for (let index = table.oldest; index !== NONE && most > 0;) {
      const base = SpanTable.base(index);
      const next = table.meta[base + NEXT];
      if (table.meta[base + PROCESS] === process) {
        if (!this.isFull(bytes, ROOM)) return;
        this.counts.evicted++;
        const isEnded = (table.meta[base + FLAGS] & FLAG_ENDED) !== 0;
        this.emit(index, isEnded ? null : INTERRUPTIONS.evicted);
        most--;
      }
      index = next;
    }
  }

  /** Whether there is no room for one more span of so many bytes, nor for this part of the limits. */
  private isFull(bytes: number, room: number): boolean {
    const { table, limits } = this;
    return this.hasTooMany(room) ||
      table.arena.inUse + bytes > limits.bytes - Math.floor(limits.bytes * room);
  }

  private hasTooMany(room: number): boolean {
    const { table, limits } = this;
    return table.count >= limits.openSpans - Math.floor(limits.openSpans * room);
  }

  /** Puts a span into the batch, with this status where it has no end of its own. */
  private emit(index: number, status: Uint8Array | null): void {
    const { table, counts } = this;
    const base = SpanTable.base(index);
    if ((table.meta[base + FLAGS] & FLAG_REPEATED) !== 0) this.unrepeat(index);
    const { meta } = table;
    const out = table.arena.bytes;
    const scope = this.scopes[meta[base + SCOPE]]!;
    let to = SCRATCH_BYTES;
    if (status !== null) {
      const process = this.processes[meta[base + PROCESS]]!;
      // The last thing the process recorded; a span does not end before it starts.
      const later = isLater(
        process.lastLow,
        process.lastHigh,
        meta[base + START_LOW],
        meta[base + START_HIGH],
      );
      out.u8[to] = END_TIME;
      out.view.setInt32(to + 1, later ? process.lastLow : meta[base + START_LOW], true);
      out.view.setInt32(to + 5, later ? process.lastHigh : meta[base + START_HIGH], true);
      out.u8.set(status, to + 9);
      to += 9 + status.length;
      out.u8.set(INTERRUPTED, to);
      to += INTERRUPTED.length;
      counts.interrupted++;
    }
    if ((meta[base + FLAGS] & FLAG_PARTIAL) !== 0) {
      out.u8[to] = START_TIME;
      out.view.setInt32(to + 1, meta[base + START_LOW], true);
      out.view.setInt32(to + 5, meta[base + START_HIGH], true);
      out.u8.set(PARTIAL, to + 9);
      to += 9 + PARTIAL.length;
      counts.partial++;
    }
    if ((meta[base + FLAGS] & FLAG_TRUNCATED) !== 0) {
      out.u8.set(TRUNCATED_SPAN, to);
      to += TRUNCATED_SPAN.length;
    }
    to = putCount(out.u8, to, D_ATTRIBUTES, meta[base + DROPPED_ATTRIBUTES]);
    to = putCount(out.u8, to, D_EVENTS, meta[base + DROPPED_EVENTS]);
    to = putCount(out.u8, to, D_LINKS, meta[base + DROPPED_LINKS]);
    const length = meta[base + LENGTH];
    if (this.spans.add(scope, meta[base + BLOCK], length, SCRATCH_BYTES, to - SCRATCH_BYTES)) {
      counts.spans++;
    } else {
      counts.lost++;
    }
    table.remove(index);
    this.onAdded(this.spans);
  }
}

/** The ids, first of all; their tags put them on 2-byte boundaries. */
function putIds(
  out: Arena["bytes"],
  t0: number,
  t1: number,
  t2: number,
  t3: number,
  s0: number,
  s1: number,
): void {
  const { u8, view } = out;
  u8[0] = TRACE_HEAD & 0xff;
  u8[1] = TRACE_HEAD >> 8;
  view.setInt32(2, t0, true);
  view.setInt32(6, t1, true);
  view.setInt32(10, t2, true);
  view.setInt32(14, t3, true);
  u8[18] = SPAN_HEAD & 0xff;
  u8[19] = SPAN_HEAD >> 8;
  view.setInt32(20, s0, true);
  view.setInt32(24, s1, true);
}

function isEventOfSpan(record: EventRecord, marked: boolean): boolean {
  if (record.traceId === 0 || record.spanId === 0) return false;
  if (marked || record.isSpanEvent) return record.isSpanEvent;
  // Files without our marker: Java's and Python's span events have a name and nothing of a log.
  return !isLog(record) && (record.nameRef !== 0 || record.nameEnd > record.nameStart);
}

function noteRecordTime({ process }: Source, { view }: RecordCopy, { time }: EventRecord): void {
  if (time !== 0) noteTime(process, view.getInt32(time, true), view.getInt32(time + 4, true));
}
