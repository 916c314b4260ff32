/**
 * Reading files without the collector: for those who build their own. Records come as plain objects
 * with all refs resolved; this is the readable way, the collector has a faster one.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import process from "node:process";
import { type HeldLock, lockFile } from "../ffi/mod.ts";
import {
  type AnyValue,
  AnyValueSchema,
  type Event,
  EventSchema,
  InstrumentationScopeSchema,
  type KeyValueRef,
  type Measurement,
  MeasurementSchema,
  MetricRefSchema,
  ResourceSchema,
  type SpanContext,
  type SpanEvent,
  SpanEventSchema,
} from "../proto/gen/mmap_pb.ts";
import { DictionaryReader } from "./dictionary/read.ts";
import { type Extension, readExtension, writeReader } from "./file/extension.ts";
import { FormatError, type Geometry, readGeometry } from "./file/geometry.ts";
import { readLedger, type RingLedger } from "./file/ledger.ts";
import { MappedFile } from "./file/mapped.ts";
import { type OwnerState, ownerState } from "./file/owner.ts";
import { READER_SUFFIX } from "./file/places.ts";
import { READ_REJECTED, READ_TORN, REJECT_MALFORMED, RING_NAMES } from "./format/layout.ts";
import { BAD_LENGTH, Rejection, TOO_DEEP } from "./record/wire.ts";
import { noteBad } from "./ring/counts.ts";
import {
  advance,
  claimedAhead,
  copyRecord,
  createCopy,
  isReady,
  openRing,
  passDiscarded,
  type RecordCopy,
  release,
  type RingReader,
} from "./ring/read.ts";

export { FormatError } from "./file/geometry.ts";
export type { RefusalReason, RejectReason, RingLedger } from "./file/ledger.ts";
export type { OwnerState } from "./file/owner.ts";

/** The value of an attribute or a body. Integers are bigints, an empty value is null. */
export type ReadValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | ReadValue[]
  | { [key: string]: ReadValue };

/** Attributes by key; of a key that was written twice the last. */
export type ReadAttributes = { [key: string]: ReadValue };

/** An instrumentation scope. */
export interface ReadScope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
  readonly attributes: ReadAttributes;
  readonly resource: { readonly attributes: ReadAttributes; readonly schemaUrl: string };
}

/** What a record of the spans ring says about its span. */
export type SpanChange =
  | {
    readonly what: "start";
    readonly scope: ReadScope;
    readonly name: string;
    /** OTLP's span kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
    readonly kind: number;
    /** ns since the Unix epoch. */
    readonly time: bigint;
    /** 16 hexadecimal digits, or "". */
    readonly parentSpanId: string;
    readonly flags: number;
    readonly traceState: string;
    readonly attributes: ReadAttributes;
  }
  | {
    readonly what: "end";
    /** ns since the Unix epoch. */
    readonly time: bigint;
    /** OTLP's status code: 0 unset, 1 ok, 2 error. */
    readonly statusCode: number;
    readonly statusMessage: string;
  }
  | { readonly what: "name"; readonly name: string }
  | { readonly what: "attributes"; readonly attributes: ReadAttributes }
  | {
    readonly what: "links";
    readonly links: readonly {
      readonly traceId: string;
      readonly spanId: string;
      readonly traceState: string;
      readonly attributes: ReadAttributes;
    }[];
  };

/** A record of the spans ring. */
export interface SpanRead {
  readonly ring: "spans";
  /** Its place in its ring: 0 for the first record ever. */
  readonly sequence: number;
  /** 32 and 16 hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly change: SpanChange;
}

/** A record of the events ring. */
export interface EventRead {
  readonly ring: "events";
  /** Its place in its ring: 0 for the first record ever. */
  readonly sequence: number;
  /** True for an event of a span, false for a log record. */
  readonly isSpanEvent: boolean;
  readonly name: string;
  /** ns since the Unix epoch. */
  readonly time: bigint;
  /** OTLP's numbers, 0 for none. */
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: ReadValue;
  /** 32 and 16 hexadecimal digits; "" outside spans. */
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: ReadAttributes;
}

/** A record of the measurements ring. */
export interface MeasurementRead {
  readonly ring: "measurements";
  /** Its place in its ring: 0 for the first record ever. */
  readonly sequence: number;
  /** Name and unit of the instrument. */
  readonly metric: string;
  readonly unit: string;
  readonly value: number | bigint;
  /** ns since the Unix epoch. */
  readonly time: bigint;
  readonly attributes: ReadAttributes;
}

/** A record that cannot be read. */
export interface UnreadableRead {
  readonly ring: (typeof RING_NAMES)[number];
  /** Its place in its ring: 0 for the first record ever. */
  readonly sequence: number;
  /** Why. */
  readonly unreadable: string;
}

/** A record: `ring` and `"unreadable" in record` tell which. */
export type ReadRecord = SpanRead | EventRead | MeasurementRead | UnreadableRead;

/** Thrown where another reader has the file. */
export class BusyError extends Error {
  /** Process id of the other reader, null where it is not known. */
  readonly heldBy: number | null;

  /** @param path The file. @param heldBy Process id of its reader. */
  constructor(path: string, heldBy: number | null) {
    super(`${path}: is read by ${heldBy === null ? "another reader" : `process ${heldBy}`}`);
    this.name = "BusyError";
    this.heldBy = heldBy;
  }
}

/**
 * The one reader of a file. It does not change the file before the first `release`, but says that
 * it is there in one whose writer discards the oldest records (`overflow: "oldest"`): from then on
 * that refuses the newest instead, as long as the reader lives and looks.
 *
 * @example
 * ```ts
 * import { Reader, Writer } from "otlp-mmap";
 *
 * const writer = Writer.create("read.otlp", { resource: { "service.name": "shop" } });
 * const span = writer.scope({ name: "orders" }).startSpan("buy", { attributes: { items: 3 } });
 * span.end();
 *
 * const reader = Reader.open("read.otlp");
 * for (const record of reader.poll()) {
 *   if (record.ring !== "spans" || !("change" in record)) continue;
 *   const { change } = record;
 *   if (change.what === "start") console.log(change.name, change.attributes.items); // buy 3n
 *   if (change.what === "end") console.log("end"); // end
 * }
 * reader.release();
 * console.log(writer.drained); // true
 * reader.close();
 * writer.close();
 * ```
 */
export class Reader {
  /** The file. */
  readonly path: string;
  /** Where everything is in it. */
  readonly geometry: Geometry;
  /** What our writers add; null in files of other writers. */
  readonly extension: Extension | null;
  private readonly file: MappedFile;
  private readonly lock: HeldLock;
  private readonly rings: RingReader[];
  private readonly copy: RecordCopy;
  private readonly dictionary: DictionaryReader;
  private gone = false;

  private constructor(path: string, file: MappedFile, lock: HeldLock, geometry: Geometry) {
    this.path = path;
    this.file = file;
    this.lock = lock;
    this.geometry = geometry;
    this.extension = readExtension(file, geometry.rings[0].offset);
    const counted = this.extension !== null;
    // Before it looks where to begin: what is there now stays.
    if (geometry.rings[0].discards) this.beat();
    this.rings = geometry.rings.map((ring) => openRing(file, ring, counted));
    this.copy = createCopy(geometry.rings);
    this.dictionary = new DictionaryReader(file, geometry.dictionary);
  }

  /**
   * Opens a file and keeps other readers away from it.
   *
   * @throws FormatError for what is not a file of version 1, or not yet; BusyError where another
   *   reader has it; SystemError with a `code` where it cannot be opened.
   */
  static open(path: string): Reader {
    const file = MappedFile.open(path);
    let lock: HeldLock | null = null;
    try {
      const check = (): Geometry => {
        const geometry = readGeometry(path, file.u8, file.size);
        if ("unfinished" in geometry) throw new FormatError(path, geometry.unfinished);
        return geometry;
      };
      // First, so that nothing is made beside a file that is none of ours.
      check();
      const attempt = lockFile(path + READER_SUFFIX);
      if ("heldBy" in attempt) throw new BusyError(path, attempt.heldBy);
      lock = attempt;
      return new Reader(path, file, lock, check());
    } catch (error) {
      lock?.release();
      file.close();
      throw error;
    }
  }

  /**
   * Takes what there is: up to `limit` records of each ring, spans first. The slots stay as they are
   * until `release`.
   */
  poll(limit: number = 256): ReadRecord[] {
    const records: ReadRecord[] = [];
    if (this.geometry.rings[0].discards) this.beat();
    for (const ring of [this.rings[1], this.rings[0], this.rings[2]]) {
      for (let i = 0; i < limit && claimedAhead(ring) > 0; i++) {
        if (isReady(ring)) {
          const isRecord = copyRecord(ring, this.copy);
          if (passDiscarded(ring)) continue;
          records.push(this.take(ring, isRecord));
        } else if (passDiscarded(ring)) continue;
        else if (!this.gone) break;
        else if (ring.counts !== null) noteBad(ring.counts, ring.sequence + 1, READ_TORN);
        advance(ring);
      }
    }
    return records;
  }

  /** Gives the slots of all records taken so far back to the writer. */
  release(): void {
    for (const ring of this.rings) release(ring, ring.sequence);
    this.beat();
  }

  private beat(): void {
    if (this.extension !== null) {
      writeReader(this.file, process.pid, BigInt(Date.now()) * 1_000_000n);
    }
  }

  /**
   * Is the owner still there? Anything but `writing` means that everything it wrote can be taken
   * now: after this call `poll` passes slots that were claimed and never published.
   */
  owner(): OwnerState {
    const { path, file, extension, geometry } = this;
    const state = ownerState(path, file, extension, geometry.timeUnixNano);
    this.gone = state !== "writing" && state !== "replaced";
    return state;
  }

  /**
   * What became of every record that was offered to the file, by ring: over its whole life and over
   * all its readers. Empty for files of other writers, which count nothing.
   *
   * @example
   * ```ts
   * import { Reader, Writer } from "otlp-mmap";
   *
   * const writer = Writer.create("counted.otlp");
   * writer.scope({ name: "example" }).startSpan("one").end();
   * const reader = Reader.open("counted.otlp");
   * reader.poll();
   * reader.release();
   * const [, spans] = reader.ledger();
   * console.log(spans.offered, spans.claimed, spans.delivered, spans.pending); // 2 2 2 0
   * reader.close();
   * writer.close();
   * ```
   */
  ledger(): RingLedger[] {
    if (this.extension === null) return [];
    return this.geometry.rings.map((ring) => readLedger(this.file, ring));
  }

  /** Lets go of the file. Records that were not released are there for the next reader. */
  close(): void {
    if (this.file.mapping.closed) return;
    if (this.extension !== null) writeReader(this.file, 0, 0n);
    this.file.close();
    this.lock.release();
  }

  private take(ring: RingReader, isRecord: boolean): ReadRecord {
    const sequence = ring.sequence + 1;
    const name = RING_NAMES[ring.geometry.ring];
    try {
      if (!isRecord) throw BAD_LENGTH;
      const bytes = this.copy.u8.slice(this.copy.start, this.copy.end);
      if (name === "spans") return this.span(sequence, fromBinary(SpanEventSchema, bytes));
      if (name === "events") return this.event(sequence, fromBinary(EventSchema, bytes));
      return this.measurement(sequence, fromBinary(MeasurementSchema, bytes));
    } catch (error) {
      const isRejection = error instanceof Rejection;
      const unreadable = isRejection ? error.reason : (error as Error).message;
      const kind = isRejection ? error.kind : REJECT_MALFORMED;
      if (ring.counts !== null) noteBad(ring.counts, sequence, READ_REJECTED + kind);
      return { ring: name, sequence, unreadable };
    }
  }

  private span(sequence: number, message: SpanEvent): SpanRead {
    return {
      ring: "spans",
      sequence,
      traceId: hex(message.traceId),
      spanId: hex(message.spanId),
      change: this.change(message),
    };
  }

  private change({ event, scopeRef }: SpanEvent): SpanChange {
    switch (event.case) {
      case "start":
        return {
          what: "start",
          scope: this.scope(scopeRef),
          name: event.value.name,
          kind: event.value.kind,
          time: event.value.startTimeUnixNano,
          parentSpanId: hex(event.value.parentSpanId),
          flags: event.value.flags,
          traceState: event.value.traceState,
          attributes: this.attributes(event.value.attributes),
        };
      case "end":
        return {
          what: "end",
          time: event.value.endTimeUnixNano,
          statusCode: event.value.status?.code ?? 0,
          statusMessage: event.value.status?.message ?? "",
        };
      case "name":
        return { what: "name", name: event.value.name };
      case "attributes":
        return { what: "attributes", attributes: this.attributes(event.value.attributes) };
      case "link":
        return {
          what: "links",
          links: event.value.links.map((link) => ({
            traceId: hex(link.traceId),
            spanId: hex(link.spanId),
            traceState: link.traceState,
            attributes: this.attributes(link.attributes),
          })),
        };
      default:
        throw new Error("a span record without an event");
    }
  }

  private event(sequence: number, message: Event): EventRead {
    const { traceId, spanId } = context(message.spanContext);
    const name = message.eventNameRef === 0n ? message.eventName : this.text(message.eventNameRef);
    const isLog = message.severityNumber !== 0 || message.severityText !== "" ||
      message.body !== undefined;
    return {
      ring: "events",
      sequence,
      isSpanEvent: traceId !== "" && (message.spanEvent || (!isLog && name !== "")),
      name,
      time: message.timeUnixNano,
      severityNumber: message.severityNumber,
      severityText: message.severityText,
      body: this.value(message.body, 0),
      traceId,
      spanId,
      attributes: this.attributes(message.attributes),
    };
  }

  private measurement(sequence: number, message: Measurement): MeasurementRead {
    const metric = fromBinary(MetricRefSchema, this.entry(message.metricRef));
    return {
      ring: "measurements",
      sequence,
      metric: metric.name,
      unit: metric.unit,
      value: message.value.value ?? 0,
      time: message.timeUnixNano,
      attributes: this.attributes(message.attributes),
    };
  }

  private scope(ref: bigint): ReadScope {
    const scope = fromBinary(InstrumentationScopeSchema, this.entry(ref));
    const resource = fromBinary(ResourceSchema, this.entry(scope.resourceRef));
    return {
      name: this.text(scope.nameRef),
      version: this.text(scope.versionRef),
      schemaUrl: scope.schemaUrl,
      attributes: this.attributes(scope.attributes),
      resource: {
        attributes: this.attributes(resource.attributes),
        schemaUrl: resource.schemaUrl,
      },
    };
  }

  private attributes(pairs: readonly KeyValueRef[], depth = 0): ReadAttributes {
    // No prototype: a key may be called anything.
    const attributes: ReadAttributes = Object.create(null);
    for (const { keyRef, value } of pairs) {
      attributes[this.text(keyRef)] = this.value(value, depth);
    }
    return attributes;
  }

  private value(any: AnyValue | undefined, depth: number): ReadValue {
    if (depth > MAX_DEPTH) throw TOO_DEEP;
    const held = any?.value;
    switch (held?.case) {
      case undefined:
        return null;
      case "arrayValue":
        return held.value.values.map((value) => this.value(value, depth + 1));
      case "kvlistValue":
        return this.attributes(held.value.values, depth + 1);
      case "valueRef":
        return this.value(fromBinary(AnyValueSchema, this.entry(held.value)), depth + 1);
      default:
        return held?.value as ReadValue;
    }
  }

  private text(ref: bigint): string {
    return ref === 0n ? "" : new TextDecoder().decode(this.entry(ref));
  }

  private entry(ref: bigint): Uint8Array {
    const { u8, length } = this.dictionary.entry(Number(ref));
    return u8.subarray(0, length);
  }
}

/** Lists and refs inside each other are followed this far. */
const MAX_DEPTH = 32;

function context(span: SpanContext | undefined): { traceId: string; spanId: string } {
  const none = { traceId: "", spanId: "" };
  if (span === undefined) return none;
  const valid = span.traceId.some((byte) => byte !== 0) && span.spanId.some((byte) => byte !== 0);
  return valid ? { traceId: hex(span.traceId), spanId: hex(span.spanId) } : none;
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
