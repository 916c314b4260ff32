/**
 * Reads a file the slow way, with generated protobuf code and nothing of the code under test:
 * the oracle for what the writer has written.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { readFileSync } from "node:fs";
import {
  type AnyValue,
  type Event,
  EventSchema,
  InstrumentationScopeSchema,
  type KeyValueRef,
  type Measurement,
  MeasurementSchema,
  type MetricRef,
  MetricRefSchema,
  ResourceSchema,
  type SpanEvent,
  SpanEventSchema,
} from "../../proto/gen/mmap_pb.ts";

/** A file as bytes, with the words that a version 1 reader looks at. */
export class RawFile {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Offsets of the events, spans and measurements rings. */
  readonly rings: number[];
  readonly dictionary: number;

  constructor(path: string) {
    this.bytes = new Uint8Array(readFileSync(path));
    this.view = new DataView(this.bytes.buffer);
    this.rings = [this.i64(8), this.i64(16), this.i64(24)];
    this.dictionary = this.i64(32);
  }

  /** The i64 at an offset, as a number. */
  i64(offset: number): number {
    return Number(this.view.getBigInt64(offset, true));
  }

  /** The bytes of every record that is published and not released, in order. */
  records(ring: number): Uint8Array[] {
    const offset = this.rings[ring];
    const slots = this.i64(offset);
    const slotBytes = this.i64(offset + 8);
    const found: Uint8Array[] = [];
    for (let sequence = this.i64(offset + 16) + 1;; sequence++) {
      const position = sequence % slots;
      const flag = this.view.getInt32(offset + 32 + position * 4, true);
      if (flag !== Math.floor(sequence / slots)) return found;
      const slot = offset + 32 + slots * 4 + position * slotBytes;
      const [length, start] = this.varint(slot);
      found.push(this.bytes.slice(start, start + length));
    }
  }

  /** Records of the spans ring, decoded. */
  spanEvents(): SpanEvent[] {
    return this.records(1).map((record) => fromBinary(SpanEventSchema, record));
  }

  /** Records of the events ring, decoded. */
  events(): Event[] {
    return this.records(0).map((record) => fromBinary(EventSchema, record));
  }

  /** Records of the measurements ring, decoded. */
  measurements(): Measurement[] {
    return this.records(2).map((record) => fromBinary(MeasurementSchema, record));
  }

  /** The definition that a measurement names. */
  metric(ref: bigint): MetricRef {
    return fromBinary(MetricRefSchema, this.entry(ref));
  }

  /** The body of a dictionary entry. */
  entry(ref: bigint): Uint8Array {
    const [length, start] = this.varint(Number(ref));
    return this.bytes.slice(start, start + length);
  }

  /** A string entry; "" for ref 0. */
  string(ref: bigint): string {
    return ref === 0n ? "" : new TextDecoder("utf-8", { fatal: true }).decode(this.entry(ref));
  }

  /** A scope with its resource, plain. */
  scope(ref: bigint): {
    name: string;
    version: string;
    schemaUrl: string;
    resource: Record<string, unknown>;
  } {
    const scope = fromBinary(InstrumentationScopeSchema, this.entry(ref));
    const resource = fromBinary(ResourceSchema, this.entry(scope.resourceRef));
    return {
      name: this.string(scope.nameRef),
      version: this.string(scope.versionRef),
      schemaUrl: scope.schemaUrl,
      resource: this.attributes(resource.attributes),
    };
  }

  /** Attributes as an object; integers as bigint. */
  attributes(list: KeyValueRef[]): Record<string, unknown> {
    return Object.fromEntries(
      list.map(({ keyRef, value }) => [this.string(keyRef), this.value(value)]),
    );
  }

  /** A value; integers as bigint, an empty one as null. */
  value(any: AnyValue | undefined): unknown {
    const value = any?.value;
    if (value === undefined) return null;
    switch (value.case) {
      case "arrayValue":
        return value.value.values.map((item) => this.value(item));
      case "kvlistValue":
        return this.attributes(value.value.values);
      case undefined:
        return null;
      default:
        return value.value;
    }
  }

  private varint(at: number): [value: number, end: number] {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      const byte = this.bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return [value, at];
    }
  }
}

/** Bytes as hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
