/**
 * Files put together byte by byte from messages of the generated protobuf code: what a writer of
 * version 1 made elsewhere leaves behind, and whatever no writer would.
 *
 * @module
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { writeFileSync } from "node:fs";
import {
  AnyValueSchema,
  EventSchema,
  InstrumentationScopeSchema,
  MeasurementSchema,
  MetricRefSchema,
  ResourceSchema,
  SpanEventSchema,
} from "../../proto/gen/mmap_pb.ts";

/** A record of the spans ring. */
export type SpanEventInit = MessageInitShape<typeof SpanEventSchema>;
/** A record of the events ring. */
export type EventInit = MessageInitShape<typeof EventSchema>;

/** Sizes of a file. */
export interface BuildOptions {
  slots?: number;
  slotBytes?: number;
  /** Bytes between the header and the first ring. */
  padding?: number;
  /** Bytes for entries of the dictionary. */
  dictionaryBytes?: number;
}

/** A file in the making, in memory. It can be read where it is, or written to disk. */
export class FileBuilder {
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly i32: Int32Array<ArrayBuffer>;
  readonly i64: BigInt64Array<ArrayBuffer>;
  readonly view: DataView;
  readonly size: number;
  readonly slots: number;
  readonly slotBytes: number;
  /** Offsets of the rings in the order events, spans, measurements. */
  readonly rings: number[] = [];
  readonly dictionary: number;
  private readonly strings = new Map<string, bigint>();
  private end: number;
  private entries = 0;

  constructor(options: BuildOptions = {}) {
    const { slots = 64, slotBytes = 512, padding = 0, dictionaryBytes = 65_536 } = options;
    this.slots = slots;
    this.slotBytes = slotBytes;
    let at = 64 + padding;
    for (let ring = 0; ring < 3; ring++) {
      this.rings.push(at);
      at = Math.ceil((at + 32 + slots * (4 + slotBytes)) / 8) * 8;
    }
    this.dictionary = at;
    this.size = at + 64 + dictionaryBytes;
    const buffer = new ArrayBuffer(Math.ceil(this.size / 8) * 8);
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.view = new DataView(buffer);
    this.setI64(0, 1);
    for (let ring = 0; ring < 3; ring++) {
      this.setI64(8 + 8 * ring, this.rings[ring]);
      this.setI64(this.rings[ring], slots);
      this.setI64(this.rings[ring] + 8, slotBytes);
      this.setI64(this.rings[ring] + 16, -1);
      this.setI64(this.rings[ring] + 24, -1);
      for (let i = 0; i < slots; i++) this.view.setInt32(this.rings[ring] + 32 + 4 * i, -1, true);
    }
    this.setI64(32, at);
    this.setI64(40, 1_780_000_000_000_000_000n);
    this.end = at + 64;
    this.setI64(at, this.end);
  }

  /** Stores a 64-bit word. */
  setI64(offset: number, value: number | bigint): void {
    this.view.setBigInt64(offset, BigInt(value), true);
  }

  /** Appends an entry and returns its ref. */
  entry(bytes: Uint8Array): bigint {
    const ref = this.end;
    let length = bytes.length;
    while (length > 0x7f) {
      this.u8[this.end++] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    this.u8[this.end++] = length;
    this.u8.set(bytes, this.end);
    this.end += bytes.length;
    if (this.end > this.size) throw new Error("the dictionary is full");
    this.setI64(this.dictionary, this.end);
    this.setI64(this.dictionary + 8, ++this.entries);
    return BigInt(ref);
  }

  /** The ref of a string. */
  string(text: string): bigint {
    let ref = this.strings.get(text);
    if (ref === undefined) {
      ref = this.entry(new TextEncoder().encode(text));
      this.strings.set(text, ref);
    }
    return ref;
  }

  /** The ref of a value. */
  value(init: MessageInitShape<typeof AnyValueSchema>): bigint {
    return this.entry(toBinary(AnyValueSchema, create(AnyValueSchema, init)));
  }

  /** The ref of a resource. */
  resource(init: MessageInitShape<typeof ResourceSchema>): bigint {
    return this.entry(toBinary(ResourceSchema, create(ResourceSchema, init)));
  }

  /** The ref of a scope. */
  scope(init: MessageInitShape<typeof InstrumentationScopeSchema>): bigint {
    const message = create(InstrumentationScopeSchema, init);
    return this.entry(toBinary(InstrumentationScopeSchema, message));
  }

  /** The ref of a gauge. */
  metric(name: string, unit: string, instrumentationScopeRef: bigint): bigint {
    const message = create(MetricRefSchema, {
      name,
      unit,
      instrumentationScopeRef,
      aggregation: { case: "gauge", value: {} },
    });
    return this.entry(toBinary(MetricRefSchema, message));
  }

  /** The ref of a scope with this name in a resource with this service name. */
  simpleScope(name: string, service = "test"): bigint {
    const resourceRef = this.resource({
      attributes: [{ keyRef: this.string("service.name"), value: text(service) }],
    });
    return this.scope({ nameRef: this.string(name), resourceRef });
  }

  /** Claims, fills and publishes the next slot of a ring. Returns its sequence. */
  put(
    ring: number,
    record: Uint8Array,
    options: { publish?: boolean; length?: number } = {},
  ): number {
    const { publish = true, length = record.length } = options;
    const offset = this.rings[ring];
    const sequence = Number(this.view.getBigInt64(offset + 24, true)) + 1;
    const position = sequence % this.slots;
    let slot = offset + 32 + this.slots * 4 + position * this.slotBytes;
    const limit = slot + this.slotBytes;
    let rest = length;
    do {
      this.u8[slot++] = (rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);
      rest >>>= 7;
    } while (rest > 0);
    this.u8.set(record.subarray(0, Math.max(0, limit - slot)), slot);
    this.setI64(offset + 24, sequence);
    if (publish) {
      Atomics.store(this.i32, (offset + 32) / 4 + position, Math.floor(sequence / this.slots));
    }
    return sequence;
  }

  /** A record of the spans ring. */
  span(init: SpanEventInit): number {
    return this.put(1, toBinary(SpanEventSchema, create(SpanEventSchema, init)));
  }

  /** A record of the events ring. */
  event(init: EventInit): number {
    return this.put(0, toBinary(EventSchema, create(EventSchema, init)));
  }

  /** A record of the measurements ring. */
  measurement(init: MessageInitShape<typeof MeasurementSchema>): number {
    return this.put(2, toBinary(MeasurementSchema, create(MeasurementSchema, init)));
  }

  /** A whole span with nothing special. */
  simpleSpan(scopeRef: bigint, number: number, name = `span ${number}`): void {
    const ids = idsOf(number);
    this.span({
      ...ids,
      scopeRef,
      event: { case: "start", value: { name, kind: 1, startTimeUnixNano: BigInt(1000 + number) } },
    });
    this.span({
      ...ids,
      event: { case: "end", value: { endTimeUnixNano: BigInt(2000 + number) } },
    });
  }

  /** The first `size` bytes: for DictionaryReader. */
  reach(end: number): Uint8Array | null {
    return end <= this.size ? this.u8 : null;
  }

  /** Writes the file. */
  save(path: string): void {
    writeFileSync(path, this.u8.subarray(0, this.size));
  }
}

/** An AnyValue with a string. */
export function text(value: string): MessageInitShape<typeof AnyValueSchema> {
  return { value: { case: "stringValue", value } };
}

/** Trace and span id made from a number above 0. */
export function idsOf(number: number): { traceId: Uint8Array; spanId: Uint8Array } {
  const traceId = new Uint8Array(16).fill(0x11);
  const spanId = new Uint8Array(8).fill(0x22);
  new DataView(traceId.buffer).setUint32(0, number);
  new DataView(spanId.buffer).setUint32(0, number);
  return { traceId, spanId };
}
