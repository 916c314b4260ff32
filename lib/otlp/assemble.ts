/**
 * Records become spans: each record of the spans and events rings is transcoded and added to its
 * open span, and a span that ended goes into the batch.
 *
 * @module
 */
import { DictionaryReader, type GrowingFile } from "../dictionary/read.ts";
import { RefTable } from "../dictionary/refs.ts";
import {
  AnyValue,
  BYTES,
  FIXED64,
  OtlpKeyValue,
  OtlpSpan,
  SpanEvent,
  Status,
  tag,
  VARINT,
} from "../format/fields.ts";
import {
  decodeEvent,
  decodeMeasurement,
  decodeSpan,
  type EventRecord,
  type SpanRecord,
} from "../record/decode.ts";
import { BAD_ID, STARTED_TWICE, TOO_LARGE } from "../record/wire.ts";
import type { RecordCopy } from "../ring/read.ts";
import { SCRATCH_BYTES, SCRATCH_LIMIT } from "./arena.ts";
import { Batch } from "./batch.ts";
import { ScopeCache, type ScopeEntry } from "./scopes.ts";
import {
  ATTRIBUTES,
  BLOCK,
  DROPPED_ATTRIBUTES,
  DROPPED_EVENTS,
  DROPPED_LINKS,
  FILE,
  FLAG_ENDED,
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
  SpanTable,
  START_HIGH,
  START_LOW,
  USE,
} from "./spans.ts";
import { found, putCount, putEnd, putEvent, putLinks, putSpanFields } from "./transcode.ts";
import { countFields, keepLast } from "./unique.ts";
import { aim, expectKeys, repeatedKeys, seenKeys, ValueCache } from "./values.ts";

/** What one collector holds at most. */
export interface Limits {
  /** Open spans of all processes; beyond it the one that started first is sent as it is. */
  readonly openSpans: number;
  /** Bytes of open spans and of the batch, likewise. */
  readonly bytes: number;
  /** Attributes of one span; more are dropped and counted on it. */
  readonly attributes: number;
}

/** Limits that a machine with a few GB does not notice. */
export const DEFAULT_LIMITS: Limits = {
  openSpans: 1_000_000,
  bytes: 1 << 30,
  attributes: 1024,
};

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

/** One file, as far as its records are concerned. */
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
}

/** What was counted since the start. */
export interface AssemblyCounts {
  /** Spans handed to batches. */
  spans: number;
  /** Of these, spans whose end was never recorded. */
  interrupted: number;
  /** Of these, spans that had to go because too many were open. */
  evicted: number;
  /** Records (late attributes, names, links, ends) of spans that are not open. */
  unmatched: number;
  /** Events of spans that are not open. */
  unmatchedEvents: number;
  /** Log records and measurements, which are passed. */
  logs: number;
  measurements: number;
  /** Spans for which there was no memory. */
  lost: number;
}

const TRACE_HEAD = tag(OtlpSpan.traceId, BYTES) | 16 << 8;
const SPAN_HEAD = tag(OtlpSpan.spanId, BYTES) | 8 << 8;
const NAME = tag(OtlpSpan.name, BYTES);
const ATTRIBUTE = tag(OtlpSpan.attributes, BYTES);
const END_TIME = tag(OtlpSpan.endTime, FIXED64);
const END_TIME_BYTES = 9;
const STATUS = tag(OtlpSpan.status, BYTES);
const D_ATTRIBUTES = tag(OtlpSpan.droppedAttributes, VARINT);
const D_EVENTS = tag(OtlpSpan.droppedEvents, VARINT);
const D_LINKS = tag(OtlpSpan.droppedLinks, VARINT);

/** A span needs no more than this beyond its fields (an end after the span is full). */
const END_BYTES = 64 << 10;

/** Field `attributes` with a key and the value true. */
function trueAttribute(key: string): Uint8Array {
  const text = new TextEncoder().encode(key);
  const bytes = [tag(OtlpKeyValue.key, BYTES), text.length, ...text];
  bytes.push(tag(OtlpKeyValue.value, BYTES), 2, tag(AnyValue.bool, VARINT), 1);
  return Uint8Array.of(ATTRIBUTE, bytes.length, ...bytes);
}

/** Part of the span was cut off to fit a slot. */
const TRUNCATED = trueAttribute("otlp_mmap.truncated");
/** The end of the span was not recorded. */
const INTERRUPTED = trueAttribute("otlp_mmap.interrupted");

/** Field `status` of an error. */
function errorStatus(message: string): Uint8Array {
  const text = new TextEncoder().encode(message);
  const bytes = [tag(Status.message, BYTES), text.length, ...text, tag(Status.code, VARINT), 2];
  return Uint8Array.of(STATUS, bytes.length, ...bytes);
}

/** Why a span has no end. */
export const INTERRUPTIONS = {
  died: errorStatus("the process ended before the span did"),
  closed: errorStatus("the process shut down before the span ended"),
  evicted: errorStatus("the collector held too many open spans"),
} as const;

/** All open spans of all processes, and the batch they go into. */
export class Assembler {
  readonly table: SpanTable = new SpanTable();
  readonly batch: Batch = new Batch(this.table.arena);
  readonly counts: AssemblyCounts = {
    spans: 0,
    interrupted: 0,
    evicted: 0,
    unmatched: 0,
    unmatchedEvents: 0,
    logs: 0,
    measurements: 0,
    lost: 0,
  };
  /** By index; null where a process is forgotten. */
  readonly processes: (ProcessState | null)[] = [];

  private readonly limits: Limits;
  private readonly onSpan: () => void;
  private readonly scopes: (ScopeEntry | null)[] = [];

  /**
   * @param onSpan Called after each span that was added to the batch: the moment to seal it.
   */
  constructor(onSpan: () => void, limits: Limits = DEFAULT_LIMITS) {
    this.onSpan = onSpan;
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

  /** Forgets a process that has no open spans and nothing in the batch. */
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
  ): Source {
    return {
      file,
      process,
      dictionary: new DictionaryReader(bytes, dictionary),
      values: new ValueCache(),
      scopes: new RefTable(),
      marksSpanEvents,
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
      if (index < 0) this.counts.unmatched++;
      else this.change(source, copy, record, index);
      return;
    }
    if (index >= 0) throw STARTED_TWICE;
    if ((t0 | t1 | t2 | t3) === 0 || (s0 | s1) === 0) throw BAD_ID;

    let scope = record.scopeRef > 0 ? source.scopes.get(record.scopeRef) : -1;
    if (scope < 0) scope = this.loadScope(source, record.scopeRef);
    const out = table.arena.bytes;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    expectKeys(0);
    // The tags before the ids end on 4-byte boundaries.
    out.u8[0] = TRACE_HEAD & 0xff;
    out.u8[1] = TRACE_HEAD >> 8;
    const o = out.view;
    o.setInt32(2, t0, true);
    o.setInt32(6, t1, true);
    o.setInt32(10, t2, true);
    o.setInt32(14, t3, true);
    out.u8[18] = SPAN_HEAD & 0xff;
    out.u8[19] = SPAN_HEAD >> 8;
    o.setInt32(20, s0, true);
    o.setInt32(24, s1, true);
    const { bodyStart, bodyEnd } = record;
    const end = putSpanFields(copy, bodyStart, bodyEnd, out, 28, this.limits.attributes);
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
        added |= FLAG_ENDED;
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
   * Takes a record of the events ring. False when its span is not open: the record is to be looked
   * at again after the spans ring, or passed with `passEvent`.
   */
  takeEvent(source: Source, copy: RecordCopy): boolean {
    const record = decodeEvent(copy.u8, copy.start, copy.end);
    const { view } = copy;
    if (record.time !== 0) {
      noteTime(
        source.process,
        view.getInt32(record.time, true),
        view.getInt32(record.time + 4, true),
      );
    }
    if (!isEventOfSpan(record, source.marksSpanEvents)) {
      this.counts.logs++;
      return true;
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
    if (index < 0) return false;
    const base = SpanTable.base(index);
    const out = table.arena.bytes;
    aim(out, SCRATCH_LIMIT, source.dictionary, source.values);
    const length = putEvent(copy, copy.start, copy.end, record, out, 0);
    if (!this.keep(index, length, 0)) table.meta[base + DROPPED_EVENTS]++;
    if (record.truncated) table.meta[base + FLAGS] |= FLAG_TRUNCATED;
    return true;
  }

  /** Counts an event whose span is not there. */
  passEvent(): void {
    this.counts.unmatchedEvents++;
  }

  /** Takes a record of the measurements ring: only its time is looked at. */
  takeMeasurement(source: Source, copy: RecordCopy): void {
    const time = decodeMeasurement(copy.u8, copy.start, copy.end);
    if (time !== 0) {
      noteTime(source.process, copy.view.getInt32(time, true), copy.view.getInt32(time + 4, true));
    }
    this.counts.measurements++;
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

  /**
   * The low 32 bits of the sequence of the first start from a file whose span is still open, null
   * when there is none.
   */
  firstOpen(file: number): number | null {
    const { table } = this;
    for (let index = table.oldest; index !== NONE;) {
      const base = SpanTable.base(index);
      if (table.meta[base + FILE] === file) return table.meta[base + SEQUENCE];
      index = table.meta[base + NEXT];
    }
    return null;
  }

  /** True when the batch in the making holds spans of a process. */
  isBatched(process: ProcessState): boolean {
    for (const scope of process.scopes.indexes()) if (this.scopes[scope]!.spans > 0) return true;
    return false;
  }

  /** Open spans of a process. */
  openSpans(process: ProcessState): number {
    const { table } = this;
    let count = 0;
    for (let index = table.oldest; index !== NONE;) {
      const base = SpanTable.base(index);
      if (table.meta[base + PROCESS] === process.index) count++;
      index = table.meta[base + NEXT];
    }
    return count;
  }

  private loadScope(source: Source, ref: number): number {
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

  /** Sends the oldest spans as they are until one more of `bytes` bytes fits the limits. */
  private makeRoom(bytes: number): void {
    const { table, limits } = this;
    while (
      table.oldest !== NONE &&
      (table.count >= limits.openSpans || table.arena.inUse + bytes > limits.bytes)
    ) {
      this.counts.evicted++;
      const flags = table.meta[SpanTable.base(table.oldest) + FLAGS];
      this.emit(table.oldest, (flags & FLAG_ENDED) !== 0 ? null : INTERRUPTIONS.evicted);
    }
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
    if ((meta[base + FLAGS] & FLAG_TRUNCATED) !== 0) {
      out.u8.set(TRUNCATED, to);
      to += TRUNCATED.length;
    }
    to = putCount(out.u8, to, D_ATTRIBUTES, meta[base + DROPPED_ATTRIBUTES]);
    to = putCount(out.u8, to, D_EVENTS, meta[base + DROPPED_EVENTS]);
    to = putCount(out.u8, to, D_LINKS, meta[base + DROPPED_LINKS]);
    const length = meta[base + LENGTH];
    if (this.batch.add(scope, meta[base + BLOCK], length, SCRATCH_BYTES, to - SCRATCH_BYTES)) {
      counts.spans++;
    } else {
      counts.lost++;
    }
    table.remove(index);
    this.onSpan();
  }
}

function isEventOfSpan(record: EventRecord, marked: boolean): boolean {
  if (record.traceId === 0) return false;
  if (marked || record.isSpanEvent) return record.isSpanEvent;
  // Files without our marker: Java's and Python's span events have a name and nothing of a log.
  return !record.isLog && (record.nameRef !== 0 || record.nameEnd > record.nameStart);
}

function isLater(low: number, high: number, thanLow: number, thanHigh: number): boolean {
  return high >>> 0 > thanHigh >>> 0 ||
    (high === thanHigh && low >>> 0 > thanLow >>> 0);
}

function noteTime(process: ProcessState, low: number, high: number): void {
  if (isLater(low, high, process.lastLow, process.lastHigh)) {
    process.lastLow = low;
    process.lastHigh = high;
  }
}
