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
  LOSS_NAMES,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_SPANS,
  STATE_CLEAN,
} from "./format/layout.ts";
import { resourceMessage, scopeMessage } from "./record/identity.ts";
import { Shape } from "./record/shape.ts";
import { setAside } from "./file/place.ts";
import { type Attributes, type ScopeState, type SpanStart, SpanWriter } from "./span-writer.ts";

export {
  type Attributes,
  type Id,
  type SpanEnd,
  type SpanLink,
  type SpanStart,
  SpanWriter,
  type Value,
  type WriteResult,
} from "./span-writer.ts";

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
  /**
   * What goes when a ring is full and nobody reads: `"newest"` refuses what comes, `"oldest"` discards
   * what has been there for longest, and is for one producer. Default `"newest"`.
   */
  overflow?: "newest" | "oldest";
}

/** An instrumentation scope. */
export interface Scope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  readonly attributes?: Attributes;
}

/** What happened in one ring, over all its producers. */
export interface RingCounters {
  /** Records written. */
  readonly written: number;
  /** Records of these that the reader is done with, or that were discarded. */
  readonly released: number;
  /** Records given up unread for newer ones (`overflow: "oldest"`). */
  readonly discarded: number;
  /** Records refused, by reason; `truncated` ones are written, but for what did not fit. */
  readonly lost: Readonly<Record<(typeof LOSS_NAMES)[number], number>>;
}

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
    const count = (ring: number, of: typeof spans): RingCounters => ({
      written: of.claimed + 1,
      released: of.released + 1,
      discarded: of.discarded,
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
