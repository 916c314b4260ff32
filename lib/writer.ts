/**
 * Writing files without the SDK: for those who build their own.
 *
 * Every call has its record in the file when it returns, and says in its result whether it has.
 * Nothing waits and nothing throws because a file is full; what does throw is an argument that can
 * never be right, such as an id of 15 bytes.
 *
 * @module
 */
import { identity } from "./file/identity.ts";
import { type FileSizes, FileWriter } from "./file/write.ts";
import {
  LOSS_DICTIONARY_FULL,
  LOSS_NAMES,
  LOSS_RING_FULL,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_SPANS,
  STATE_CLEAN,
} from "./format/layout.ts";
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
import { resourceMessage, scopeMessage } from "./record/identity.ts";
import { Shape } from "./record/shape.ts";
import { hexToWord, randomWord, wordToHex } from "./sdk/ids.ts";
import { setAside } from "./sdk/place.ts";
import { setTimeNow, timeWords } from "./sdk/time.ts";

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

/** Who writes, and how a file is shared. */
export interface JoinOptions {
  /** Attributes of the resource. Default none. */
  resource?: Attributes;
  /** Schema URL of the resource. */
  schemaUrl?: string;
  /** The most bytes the dictionary may take; the file grows towards it. Default 16 MiB. */
  dictionaryBytes?: number;
}

/** How a file is made. */
export interface WriterOptions extends JoinOptions, FileSizes {
  /** `"many"` lets other Workers and processes join with {@link Writer.join}. Default `"one"`. */
  producers?: "one" | "many";
}

/** An instrumentation scope. */
export interface Scope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  readonly attributes?: Attributes;
}

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

/** What happened in one ring, over all its producers. */
export interface RingCounters {
  /** Records written. */
  readonly written: number;
  /** Records of these that the reader is done with. */
  readonly released: number;
  /** Records refused, by reason; `truncated` ones are written, but for what did not fit. */
  readonly lost: Readonly<Record<(typeof LOSS_NAMES)[number], number>>;
}

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
const STATUS_CODES = { ok: 1, error: 2 } as const;
/** Names remembered with their keys; an event's name beyond these is written in full. */
const MAX_NAMES = 1000;

/**
 * A file being written.
 *
 * @example
 * ```ts
 * import { Writer } from "otlp-mmap";
 *
 * const writer = Writer.create("example.otlp", { resource: { "service.name": "shop" } });
 * const span = writer.scope({ name: "orders", version: "1.0.0" }).startSpan("buy", {
 *   kind: "server",
 *   attributes: { "order.items": 3 },
 * });
 * span.addEvent("paid", { attributes: { "payment.method": "card" } });
 * const result = span.end({ status: { code: "ok" } });
 * console.log(result); // written
 * writer.close();
 * ```
 */
export class Writer {
  private readonly file: FileWriter;
  private readonly resourceRef: number;
  private readonly owner: boolean;
  private readonly eventShapes = new Map<string, Shape>();
  private readonly linkShape = new Shape("");

  private constructor(file: FileWriter, options: JoinOptions, owner: boolean) {
    this.file = file;
    this.owner = owner;
    const { resource = {}, schemaUrl } = options;
    this.resourceRef = resourceMessage(file.dictionary, { attributes: resource, schemaUrl });
    if (this.resourceRef === 0) {
      throw file.dictionary.failure ??
        new RangeError(`${this.path}: the resource does not fit: use more dictionaryBytes`);
    }
  }

  /**
   * Makes a file. What a dead process left at `path` is set aside for its reader, under the name
   * `<path>.<uid>.left`.
   *
   * @throws SystemError with a `code` (EEXIST while the owner of a file at `path` lives, ENOSPC,
   *   EACCES, ENOSYS where files can't be mapped), RangeError for sizes.
   */
  static create(path: string, options: WriterOptions = {}): Writer {
    const file = FileWriter.create(path, { ...options, identity: identity() });
    const { mapping } = file;
    try {
      const writer = new Writer(file, options, true);
      try {
        mapping.publish(path);
      } catch (error) {
        if ((error as { code?: string }).code !== "EEXIST" || !setAside(path)) throw error;
        mapping.publish(path);
      }
      return writer;
    } catch (error) {
      mapping.discard();
      file.close();
      throw error;
    }
  }

  /**
   * Becomes one more producer of a file that another Worker or process made with
   * `producers: "many"`. The file ends with the one who made it: close those who joined first.
   *
   * @throws SystemError with a `code`, Error when the file is not one to join.
   *
   * @example
   * ```ts
   * import { Writer } from "otlp-mmap";
   *
   * const owner = Writer.create("shared.otlp", { producers: "many" });
   * const guest = Writer.join("shared.otlp", { resource: { "service.name": "guest" } });
   * guest.scope({ name: "visits" }).startSpan("visit").end();
   * console.log(owner.counters().spans.written); // 2
   * guest.close();
   * owner.close();
   * ```
   */
  static join(path: string, options: JoinOptions = {}): Writer {
    const file = FileWriter.join(path, options.dictionaryBytes);
    try {
      return new Writer(file, options, false);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The file. */
  get path(): string {
    return this.file.mapping.path;
  }

  /** True after {@link Writer.close}. */
  get closed(): boolean {
    return this.file.mapping.closed;
  }

  /** True when the reader is done with everything written so far. */
  get drained(): boolean {
    return !this.closed && this.file.drained;
  }

  /**
   * Puts a scope into the file, to start spans in. Call it once for each scope and keep the result:
   * every call takes room in the dictionary.
   */
  scope(scope: Scope): ScopeWriter {
    const ref = this.closed ? 0 : scopeMessage(this.file.dictionary, scope, this.resourceRef);
    return new ScopeWriter({
      file: this.file,
      ref,
      spanShapes: new Map(),
      eventShapes: this.eventShapes,
      linkShape: this.linkShape,
    });
  }

  /**
   * What happened so far, by ring.
   *
   * @example
   * ```ts
   * import { Writer } from "otlp-mmap";
   *
   * // Of four slots one always stays unused, and one is kept for the span's end.
   * const writer = Writer.create("small.otlp", { spans: { slots: 4 } });
   * const span = writer.scope({ name: "example" }).startSpan("small");
   * console.log(span.rename("smaller"), span.rename("smallest")); // written ring_full
   * console.log(span.end()); // written
   * console.log(writer.counters().spans.written); // 3
   * writer.close();
   * ```
   */
  counters(): Record<"events" | "spans" | "measurements", RingCounters> {
    if (this.closed) throw new Error(`${this.path}: the writer is closed: count before closing it`);
    const { events, spans, measurements } = this.file;
    const count = (ring: number, { claimed, released }: typeof spans): RingCounters => ({
      written: claimed + 1,
      released: released + 1,
      lost: Object.fromEntries(
        LOSS_NAMES.map((name, reason) => [name, this.file.lost(ring, reason)]),
      ) as RingCounters["lost"],
    });
    return {
      events: count(RING_EVENTS, events),
      spans: count(RING_SPANS, spans),
      measurements: count(RING_MEASUREMENTS, measurements),
    };
  }

  /**
   * Lets go of the file, which stays for its reader. `clean: false` leaves it as a process does that
   * dies: spans that are open are then sent as interrupted. Default true. For those who joined it
   * makes no difference: only who made the file ends it.
   */
  close(options: { clean?: boolean } = {}): void {
    if (this.closed) return;
    if (this.owner && options.clean !== false) this.file.finish(STATE_CLEAN);
    this.file.close();
  }
}

/** What the spans of a scope share. */
interface ScopeState {
  readonly file: FileWriter;
  /** The scope's entry in the dictionary; 0 when there was no room. */
  readonly ref: number;
  readonly spanShapes: Map<string, Shape>;
  readonly eventShapes: Map<string, Shape>;
  readonly linkShape: Shape;
}

/** Starts the spans of one instrumentation scope; {@link Writer.scope} makes it. */
export class ScopeWriter {
  private readonly state: ScopeState;

  /** Use {@link Writer.scope}. */
  constructor(state: ScopeState) {
    this.state = state;
  }

  /**
   * Starts a span; `started` of the result says whether its record was written.
   *
   * @throws TypeError for ids, RangeError for times.
   *
   * @example
   * ```ts
   * import { Writer } from "otlp-mmap";
   *
   * const writer = Writer.create("family.otlp");
   * const scope = writer.scope({ name: "example" });
   * const parent = scope.startSpan("parent", {
   *   traceId: "0af7651916cd43dd8448eb211c80319c",
   *   spanId: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
   *   time: 1_700_000_000_000_000_000n,
   * });
   * const child = scope.startSpan("child", { parent });
   * console.log(child.traceId === parent.traceId); // true
   * child.end();
   * parent.end({ time: 1_700_000_000_250_000_000n });
   * writer.close();
   * ```
   */
  startSpan(name: string, start: SpanStart = {}): SpanWriter {
    return new SpanWriter(this.state, name, start);
  }
}

/** A span being written; {@link ScopeWriter.startSpan} makes it. */
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

  /** Use {@link ScopeWriter.startSpan}. */
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
