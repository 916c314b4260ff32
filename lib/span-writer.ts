/**
 * Writing one span without the SDK; `writer.ts` starts it.
 *
 * @module
 */
import type { FileWriter } from "./file/write.ts";
import { LOSS_DICTIONARY_FULL, LOSS_RING_FULL, RING_EVENTS, RING_SPANS } from "./format/layout.ts";
import {
  DICTIONARY_FULL,
  REFUSED,
  SEQUENCES_USED_UP,
  type SpanState,
  writeAttributes,
  writeEnd,
  writeLink,
  writeName,
  writeSpanEvent,
  writeStart,
  WRITTEN,
} from "./record/encode.ts";
import { Shape } from "./record/shape.ts";
import { hexToWord, randomWord, wordToHex } from "./record/ids.ts";
import { setTimeNow, timeWords } from "./record/time.ts";

/** A trace id of 16 bytes or a span id of 8, as bytes or as hexadecimal digits; not all zeros. */
export type Id = Uint8Array | string;

/** What an attribute can hold. Numbers that are safe integers become integers, others doubles. */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value };

/** Attributes by key; those that are `undefined` are left out. */
export type Attributes = Readonly<Record<string, Value>>;

/**
 * What came of a call:
 *
 * - `written`: the record is in the file.
 * - `ring_full`: no slot is free, or the free ones are kept for the ends of open spans. Only a reader
 *   makes room.
 * - `dictionary_full`: there is no room for a new key or scope. Only a new file helps.
 * - `used_up`: the ring has had its 2^31 records. Only a new file helps.
 * - `unreadable`: the attributes threw while they were read, or one of their getters records itself.
 * - `not_started`: the start of this span was refused, so nothing else of it is written.
 * - `ended`: the span has ended before.
 * - `closed`: the writer was closed before.
 *
 * The first five are counted in the file; `counters` shows them.
 */
export type WriteResult =
  | "written"
  | "ring_full"
  | "dictionary_full"
  | "used_up"
  | "unreadable"
  | "not_started"
  | "ended"
  | "closed";

/** How a span starts. */
export interface SpanStart {
  /** Default: that of the parent, or else a random one. */
  traceId?: Id;
  /** Default: a random one. */
  spanId?: Id;
  /** The span this one is a child of. Default: none. */
  parent?: { readonly traceId: Id; readonly spanId: Id };
  /** Default `"internal"`. */
  kind?: keyof typeof KINDS;
  /** Start, ns since the Unix epoch. Default: now. */
  time?: bigint;
  attributes?: Attributes;
  /** W3C tracestate. */
  traceState?: string;
  /** OTLP span flags, the W3C trace flags in the lowest 8 of 32 bits. Default 1, sampled. */
  flags?: number;
}

/** A span to link to. */
export interface SpanLink {
  readonly traceId: Id;
  readonly spanId: Id;
  readonly attributes?: Attributes;
  /** W3C tracestate. */
  readonly traceState?: string;
  /** OTLP span flags. Default 0. */
  readonly flags?: number;
}

/** How a span ends. */
export interface SpanEnd {
  /** End, ns since the Unix epoch. Default: now. */
  time?: bigint;
  /** Default: unset. The message is for errors. */
  status?: { readonly code: "ok" | "error"; readonly message?: string };
  /** How many events the caller has left out. Default 0. */
  droppedEvents?: number;
  /** How many links the caller has left out. Default 0. */
  droppedLinks?: number;
}

/** What the spans of a scope share. */
export interface ScopeState {
  readonly file: FileWriter;
  /** The scope's entry in the dictionary; 0 when there was no room. */
  readonly ref: number;
  readonly spanShapes: Map<string, Shape>;
  readonly eventShapes: Map<string, Shape>;
  readonly linkShape: Shape;
}

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
const STATUS_CODES = { ok: 1, error: 2 } as const;
/** Names remembered with their keys; an event's name beyond these is written in full. */
const MAX_NAMES = 1000;

/** A span being written; `ScopeWriter.startSpan` makes it. */
export class SpanWriter {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** What came of its start. */
  readonly started: WriteResult;
  private readonly scope: ScopeState;
  private readonly state: SpanState;
  private ended = false;

  /** Use `ScopeWriter.startSpan`. */
  constructor(scope: ScopeState, name: string, start: SpanStart) {
    const { parent, traceId = parent?.traceId, spanId, kind = "internal", flags = 1 } = start;
    const [t0, t1, t2, t3] = traceId === undefined
      ? randomWords(4)
      : idWords("traceId", 4, traceId);
    const [s0, s1] = spanId === undefined ? randomWords(2) : idWords("spanId", 2, spanId);
    const [p0, p1] = parent === undefined ? [0, 0] : idWords("parent.spanId", 2, parent.spanId);
    setTime(start.time);
    this.traceId = wordToHex(t0) + wordToHex(t1) + wordToHex(t2) + wordToHex(t3);
    this.spanId = wordToHex(s0) + wordToHex(s1);
    this.scope = scope;
    this.state = {
      t0,
      t1,
      t2,
      t3,
      s0,
      s1,
      flags,
      scopeRef: scope.ref,
      shape: shapeOf(scope.spanShapes, name),
      attributes: 0,
      expected: 0,
      seen: 0,
      seen32: 0,
      seen64: 0,
      seen96: 0,
      seenMore: null,
      droppedAttributes: 0,
    };
    const { file } = scope;
    if (file.mapping.closed) {
      this.started = "closed";
      return;
    }
    // Version 1 readers end on a scope_ref of 0.
    const result = scope.ref === 0 ? DICTIONARY_FULL : writeStart(
      file,
      this.state,
      KINDS[kind],
      timeWords[0],
      timeWords[1],
      p0,
      p1,
      start.traceState,
      start.attributes,
      Infinity,
    );
    this.started = settle(file, RING_SPANS, result);
    if (this.started === "written") file.open++;
  }

  /** Attributes left out, because they can't be represented or there was no room for them. */
  get droppedAttributes(): number {
    return this.state.droppedAttributes;
  }

  /** Sets attributes, over those that are there. */
  setAttributes(attributes: Attributes): WriteResult {
    const { file } = this.scope;
    return this.refusal() ??
      settle(file, RING_SPANS, writeAttributes(file, this.state, attributes, Infinity));
  }

  /**
   * Adds a link.
   *
   * @throws TypeError for ids.
   */
  addLink(link: SpanLink): WriteResult {
    const { traceId, spanId, flags = 0, traceState, attributes } = link;
    const [t0, t1, t2, t3] = idWords("traceId", 4, traceId);
    const [s0, s1] = idWords("spanId", 2, spanId);
    const linked = { t0, t1, t2, t3, s0, s1 };
    const { file, linkShape } = this.scope;
    return this.refusal() ?? settle(
      file,
      RING_SPANS,
      writeLink(file, this.state, linked, flags, traceState, attributes, Infinity, linkShape, 0),
    );
  }

  /**
   * Adds an event. `time` is ns since the Unix epoch, now by default.
   *
   * @throws RangeError for times.
   */
  addEvent(name: string, event: { time?: bigint; attributes?: Attributes } = {}): WriteResult {
    setTime(event.time);
    const { file, eventShapes } = this.scope;
    const shape = shapeOf(eventShapes, name);
    return this.refusal() ?? settle(
      file,
      RING_EVENTS,
      writeSpanEvent(
        file,
        this.state,
        shape,
        eventShapes.has(name),
        timeWords[0],
        timeWords[1],
        event.attributes,
        Infinity,
      ),
    );
  }

  /** Gives it another name. */
  rename(name: string): WriteResult {
    const { file } = this.scope;
    return this.refusal() ?? settle(file, RING_SPANS, writeName(file, this.state, name));
  }

  /**
   * Ends it. When that was refused it can be tried again.
   *
   * @throws RangeError for times.
   */
  end(end: SpanEnd = {}): WriteResult {
    setTime(end.time);
    const { status, droppedEvents = 0, droppedLinks = 0 } = end;
    const { file } = this.scope;
    const result = this.refusal() ?? settle(
      file,
      RING_SPANS,
      writeEnd(
        file,
        this.state,
        timeWords[0],
        timeWords[1],
        status === undefined ? 0 : STATUS_CODES[status.code],
        status?.message ?? "",
        droppedEvents,
        droppedLinks,
      ),
    );
    if (result === "written") {
      this.ended = true;
      file.open--;
    }
    return result;
  }

  /** Why nothing more of this span is written. */
  private refusal(): WriteResult | null {
    if (this.ended) return "ended";
    if (this.started !== "written") return "not_started";
    return this.scope.file.mapping.closed ? "closed" : null;
  }
}

/** The encoder's result in words; counts what the encoder leaves to those who go on in another file. */
function settle(file: FileWriter, ring: number, result: number): WriteResult {
  switch (result) {
    case WRITTEN:
      return "written";
    case REFUSED:
      return "ring_full";
    case SEQUENCES_USED_UP:
      file.lose(ring, LOSS_RING_FULL);
      return "used_up";
    case DICTIONARY_FULL:
      file.lose(ring, LOSS_DICTIONARY_FULL);
      return "dictionary_full";
    default:
      return "unreadable";
  }
}

function shapeOf(shapes: Map<string, Shape>, name: string): Shape {
  let shape = shapes.get(name);
  if (shape === undefined) {
    shape = new Shape(name);
    if (shapes.size < MAX_NAMES) shapes.set(name, shape);
  }
  return shape;
}

/** A new id. */
function randomWords(count: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < count; i++) words.push(randomWord());
  return isZero(words) ? randomWords(count) : words;
}

/** An id as words in the byte order of the file. */
function idWords(name: string, count: number, id: Id): number[] {
  const words: number[] = [];
  if (typeof id === "string") {
    if (id.length === count * 8) {
      for (let i = 0; i < count; i++) words.push(hexToWord(id, i * 8));
    }
  } else if (id instanceof Uint8Array && id.length === count * 4) {
    const view = new DataView(id.buffer, id.byteOffset);
    for (let i = 0; i < count; i++) words.push(view.getInt32(i * 4, true));
  }
  if (words.length === count && !words.some(Number.isNaN) && !isZero(words)) return words;
  throw new TypeError(
    `${name} must be ${count * 4} bytes or ${count * 8} hexadecimal digits, not all zeros; it is ` +
      String(id),
  );
}

function isZero(words: number[]): boolean {
  return words.every((word) => word === 0);
}

/** Sets `timeWords`. */
function setTime(time: bigint | undefined): void {
  if (time === undefined) return setTimeNow();
  if (typeof time !== "bigint" || BigInt.asUintN(64, time) !== time) {
    throw new RangeError(`a time must be a bigint of ns since the Unix epoch, not ${time}`);
  }
  timeWords[0] = Number(BigInt.asIntN(32, time));
  timeWords[1] = Number(BigInt.asIntN(32, time >> 32n));
}
