/**
 * A reader of version 1 that knows nothing of the code under test: offsets and field numbers are
 * written out here, the extension block and fields from 500 up are skipped. It is strict: whatever
 * readers made elsewhere would end on, hang on or read wrongly is an error that says so.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** A file in memory, mapped or read. */
export interface Memory {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
}

/** A file as it was when it was read. */
export interface Snapshot extends Memory {
  /** The file's length, bytes. */
  readonly size: number;
  readonly view: DataView;
}

/** Reads a whole file. */
export function memoryOf(path: string): Snapshot {
  const bytes = readFileSync(path);
  const u8 = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  u8.set(bytes);
  const { buffer } = u8;
  return {
    u8,
    i32: new Int32Array(buffer),
    i64: new BigInt64Array(buffer),
    size: bytes.length,
    view: new DataView(buffer),
  };
}

/** A reader of a file as it is now; what it releases is released in its copy only. */
export function readerOf(path: string): Version1Reader {
  const memory = memoryOf(path);
  return new Version1Reader(memory, () => memory.size);
}

/** A decoded message: fields by name, repeated ones as arrays. */
export type Message = { [field: string]: unknown };

type Kind =
  | "bool"
  | "bytes"
  | "double"
  | "enum"
  | "fixed32"
  | "fixed64"
  | "id8"
  | "id16"
  | "int64"
  | "string"
  | "uint32";
type Field = [name: string, kind: Kind | { of: string }, repeated?: "repeated"];

const message = (of: string) => ({ of });
const ATTRIBUTES = message("KeyValueRef");
const SCHEMA: Record<string, Record<number, Field>> = {
  SpanEvent: {
    1: ["trace_id", "id16"],
    2: ["span_id", "id8"],
    11: ["start", message("StartSpan")],
    12: ["end", message("EndSpan")],
    13: ["name", message("ChangeSpanName")],
    14: ["attributes", message("UpdateAttributes")],
    15: ["link", message("AddLink")],
    20: ["scope_ref", "int64"],
  },
  StartSpan: {
    4: ["parent_span_id", "id8"],
    5: ["name", "string"],
    6: ["kind", "enum"],
    7: ["start_time_unix_nano", "fixed64"],
    9: ["attributes", ATTRIBUTES, "repeated"],
    16: ["flags", "fixed32"],
  },
  EndSpan: { 8: ["end_time_unix_nano", "fixed64"], 15: ["status", message("Status")] },
  ChangeSpanName: { 5: ["name", "string"] },
  UpdateAttributes: { 9: ["attributes", ATTRIBUTES, "repeated"] },
  AddLink: { 13: ["links", message("Link"), "repeated"] },
  Link: {
    1: ["trace_id", "id16"],
    2: ["span_id", "id8"],
    3: ["trace_state", "string"],
    4: ["attributes", ATTRIBUTES, "repeated"],
    5: ["dropped_attributes_count", "uint32"],
    6: ["flags", "fixed32"],
  },
  Status: { 2: ["message", "string"], 3: ["code", "enum"] },
  Event: {
    1: ["scope_ref", "int64"],
    2: ["time_unix_nano", "fixed64"],
    3: ["severity_number", "enum"],
    4: ["severity_text", "string"],
    5: ["body", message("AnyValue")],
    6: ["event_name_ref", "int64"],
    7: ["span_context", message("SpanContext")],
    8: ["attributes", ATTRIBUTES, "repeated"],
  },
  SpanContext: { 1: ["span_id", "id8"], 2: ["trace_id", "id16"], 3: ["flags", "fixed32"] },
  KeyValueRef: { 1: ["key_ref", "int64"], 2: ["value", message("AnyValue")] },
  AnyValue: {
    1: ["string", "string"],
    2: ["bool", "bool"],
    3: ["int64", "int64"],
    4: ["double", "double"],
    5: ["array", message("ArrayValue")],
    6: ["kvlist", message("KeyValueList")],
    7: ["bytes", "bytes"],
    8: ["value_ref", "int64"],
  },
  ArrayValue: { 1: ["values", message("AnyValue"), "repeated"] },
  KeyValueList: { 1: ["values", ATTRIBUTES, "repeated"] },
  Resource: {
    1: ["attributes", ATTRIBUTES, "repeated"],
    2: ["dropped_attributes_count", "uint32"],
  },
  InstrumentationScope: {
    1: ["name_ref", "int64"],
    2: ["version_ref", "int64"],
    3: ["attributes", ATTRIBUTES, "repeated"],
    4: ["dropped_attributes_count", "uint32"],
    5: ["resource_ref", "int64"],
  },
};
const WIRE_TYPES: Record<Kind, number> = {
  bool: 0,
  bytes: 2,
  double: 1,
  enum: 0,
  fixed32: 5,
  fixed64: 1,
  id8: 2,
  id16: 2,
  int64: 0,
  string: 2,
  uint32: 0,
};
const RECORDS = ["Event", "SpanEvent"];
const SPAN_EVENTS = ["start", "end", "name", "attributes", "link"];

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws unless `condition` holds. */
function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** One varint: its value as an unsigned 64-bit number, and where it ends. */
export function varint(bytes: Uint8Array, at: number): [value: bigint, end: number] {
  let value = 0n;
  for (let shift = 0n;; shift += 7n) {
    must(at < bytes.length, "a varint reaches beyond its message");
    must(shift < 70n, "a varint has more than ten bytes");
    const byte = bytes[at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [BigInt.asUintN(64, value), at];
  }
}

/** Decodes a message; fields it does not know are skipped. */
export function decode(name: string, bytes: Uint8Array): Message {
  const fields = SCHEMA[name];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: Message = {};
  for (let at = 0; at < bytes.length;) {
    let tag: bigint;
    [tag, at] = varint(bytes, at);
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    let value: bigint | Uint8Array = 0n;
    if (wireType === 0) {
      [value, at] = varint(bytes, at);
    } else if (wireType === 1) {
      value = view.getBigUint64(at, true);
      at += 8;
    } else if (wireType === 2) {
      [value, at] = varint(bytes, at);
      const end = at + Number(value);
      must(end <= bytes.length, `${name}: field ${number} reaches beyond its message`);
      value = bytes.subarray(at, end);
      at = end;
    } else if (wireType === 5) {
      value = BigInt(view.getUint32(at, true));
      at += 4;
    } else {
      throw new Error(`${name}: wire type ${wireType}`);
    }
    const field = fields[number];
    if (field === undefined) {
      must(number >= 500, `${name}: field ${number} is not one of version 1`);
      continue;
    }
    const [fieldName, kind, repeated] = field;
    const expected = typeof kind === "string" ? WIRE_TYPES[kind] : 2;
    must(wireType === expected, `${name}.${fieldName}: wire type ${wireType}`);
    const read = typeof kind === "string"
      ? scalar(`${name}.${fieldName}`, kind, value)
      : decode(kind.of, value as Uint8Array);
    if (repeated) ((found[fieldName] ??= []) as unknown[]).push(read);
    else {
      must(found[fieldName] === undefined, `${name}.${fieldName} is there twice`);
      found[fieldName] = read;
    }
  }
  return found;
}

function scalar(name: string, kind: Kind, value: bigint | Uint8Array): unknown {
  if (typeof value === "bigint") {
    if (kind === "bool") return value !== 0n;
    if (kind === "int64") return BigInt.asIntN(64, value);
    if (kind === "fixed64") return value;
    if (kind === "double") {
      return new Float64Array(BigInt64Array.of(BigInt.asIntN(64, value)).buffer)[0];
    }
    return Number(value);
  }
  if (kind === "string") return strict.decode(value);
  const length = kind === "id16" ? 16 : kind === "id8" ? 8 : value.length;
  must(value.length === length, `${name} has ${value.length} bytes, not ${length}`);
  if (kind === "bytes") return value.slice();
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Ring {
  readonly offset: number;
  readonly slots: number;
  readonly slotBytes: number;
}

/** A file, and where its one reader is in it. */
export class Version1Reader {
  /** Events, spans and measurements. */
  readonly rings: readonly Ring[];
  readonly dictionary: number;
  private readonly memory: Memory;
  private readonly size: () => number;

  /**
   * Checks everything that is fixed for the life of a file.
   *
   * @param memory The whole file, or more.
   * @param size The file's length at the moment, bytes.
   */
  constructor(memory: Memory, size: () => number) {
    this.memory = memory;
    this.size = size;
    must(this.i64(0) === 1, `version is ${this.i64(0)}`);
    const offsets = [8, 16, 24, 32].map((word) => this.i64(word));
    let end = 64;
    for (const offset of offsets) {
      must(offset >= end, `a section at ${offset} begins before ${end}`);
      must(offset % 8 === 0, `a section at ${offset} is not aligned`);
      end = offset + 64;
    }
    must(end <= size(), `the dictionary at ${offsets[3]} is outside the file of ${size()} bytes`);
    must(size() >= offsets[3] + 1024, "readers would make the file longer: dictionary + 1024");
    for (let at = 48; at < 64; at++) must(memory.u8[at] === 0, `reserved byte ${at} is not 0`);
    this.rings = offsets.slice(0, 3).map((offset, ring) => {
      const slots = this.i64(offset);
      const slotBytes = this.i64(offset + 8);
      must(slots >= 2 && (slots & (slots - 1)) === 0, `ring ${ring} has ${slots} slots`);
      must(slotBytes > 0 && slotBytes % 8 === 0, `ring ${ring} has slots of ${slotBytes} bytes`);
      const ringEnd = offset + 32 + slots * 4 + slots * slotBytes;
      must(ringEnd <= offsets[ring + 1], `ring ${ring} ends at ${ringEnd}, in the next section`);
      must((offset + 32 + slots * 4) % 8 === 0, `the slots of ring ${ring} are not aligned`);
      return { offset, slots, slotBytes };
    });
    this.dictionary = offsets[3];
  }

  /** `time_unix_nano` of the header: readers made elsewhere end when it changes. */
  get time(): bigint {
    return BigInt.asUintN(64, Atomics.load(this.memory.i64, 40 / 8));
  }

  /** The next record of ring 0 (events) or 1 (spans), given back to the writer; null for none. */
  next(ring: number): Message | null {
    const { offset, slots, slotBytes } = this.rings[ring];
    const { u8, i32, i64 } = this.memory;
    const sequence = i64[(offset + 16) / 8] + 1n;
    const position = Number(sequence % BigInt(slots));
    const flag = Number(BigInt.asIntN(32, sequence / BigInt(slots)));
    if (Atomics.load(i32, (offset + 32) / 4 + position) !== flag) return null;
    must(Atomics.load(i64, (offset + 24) / 8) >= sequence, "published before it was claimed");
    const slot = offset + 32 + slots * 4 + position * slotBytes;
    const copy = u8.slice(slot, slot + slotBytes);
    const [length, start] = varint(copy, 0);
    const end = start + Number(length);
    must(end <= slotBytes, `a record of ${length} bytes in a slot of ${slotBytes}`);
    const name = RECORDS[ring];
    const record = decode(name, copy.subarray(start, end));
    this.checkRefs(record);
    must((record.scope_ref as bigint ?? 0n) > 0n, `${name}.scope_ref is 0`);
    this.scope(record.scope_ref as bigint);
    if (name === "SpanEvent") {
      must(record.trace_id !== undefined && record.span_id !== undefined, "a span without ids");
      const events = SPAN_EVENTS.filter((event) => record[event] !== undefined);
      must(events.length === 1, `a SpanEvent with ${events.length} events`);
    }
    Atomics.store(i64, (offset + 16) / 8, sequence);
    return record;
  }

  /** All that can be read now, of one ring. */
  drain(ring: number): Message[] {
    const found: Message[] = [];
    for (let record = this.next(ring); record !== null; record = this.next(ring)) {
      found.push(record);
    }
    return found;
  }

  /** The bytes of a dictionary entry. */
  entry(ref: bigint): Uint8Array {
    const end = Atomics.load(this.memory.i64, this.dictionary / 8);
    must(ref >= BigInt(this.dictionary + 64) && ref < end, `ref ${ref} is outside the dictionary`);
    must(end <= BigInt(this.size()), `the dictionary's end ${end} is outside the file`);
    const [length, start] = varint(this.memory.u8, Number(ref));
    // Existing readers take this many bytes for the length, whatever there is.
    const canonical = length < 0x80n ? 1 : length < 0x4000n ? 2 : length < 0x200000n ? 3 : 4;
    must(start - Number(ref) === canonical, `the length of entry ${ref} is padded`);
    must(BigInt(start) + length <= end, `entry ${ref} reaches beyond the dictionary's end`);
    return this.memory.u8.slice(start, start + Number(length));
  }

  /** A string entry; "" for ref 0. */
  string(ref: bigint | undefined): string {
    return (ref ?? 0n) === 0n ? "" : strict.decode(this.entry(ref!));
  }

  /** Every entry from the first to `end`, one after the other; throws where they don't add up. */
  entries(): Uint8Array[] {
    const end = Atomics.load(this.memory.i64, this.dictionary / 8);
    const found: Uint8Array[] = [];
    for (let at = BigInt(this.dictionary + 64); at < end;) {
      const bytes = this.entry(at);
      at += BigInt(bytes.length + (bytes.length < 0x80 ? 1 : bytes.length < 0x4000 ? 2 : 3));
      found.push(bytes);
    }
    must(
      found.length === this.i64(this.dictionary + 8),
      "num_entries is not the number of entries",
    );
    return found;
  }

  /** A scope's name, version and the resource it belongs to. */
  scope(ref: bigint): { name: string; version: string; resource: { [key: string]: unknown } } {
    const scope = decode("InstrumentationScope", this.entry(ref));
    this.checkRefs(scope);
    must((scope.resource_ref as bigint ?? 0n) > 0n, "InstrumentationScope.resource_ref is 0");
    const resource = decode("Resource", this.entry(scope.resource_ref as bigint));
    this.checkRefs(resource);
    return {
      name: this.string(scope.name_ref as bigint),
      version: this.string(scope.version_ref as bigint),
      resource: this.attributes(resource.attributes),
    };
  }

  /** Attributes as an object. */
  attributes(list: unknown): { [key: string]: unknown } {
    return Object.fromEntries(
      ((list ?? []) as Message[]).map(({ key_ref, value }) => [
        this.string(key_ref as bigint),
        this.value(value as Message),
      ]),
    );
  }

  private value(any: Message): unknown {
    if (any.array !== undefined) {
      return (((any.array as Message).values ?? []) as Message[]).map((item) => this.value(item));
    }
    if (any.kvlist !== undefined) return this.attributes((any.kvlist as Message).values);
    return Object.values(any)[0] ?? null;
  }

  /** Every attribute anywhere in a message must have a key. */
  private checkRefs(value: unknown): void {
    if (Array.isArray(value)) return value.forEach((item) => this.checkRefs(item));
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
    for (const [name, field] of Object.entries(value)) {
      if (name === "key_ref") must(this.string(field as bigint).length > 0, "an empty key");
      else this.checkRefs(field);
    }
  }

  private i64(offset: number): number {
    return Number(this.memory.i64[offset / 8]);
  }
}
