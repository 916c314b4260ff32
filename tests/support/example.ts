/**
 * The file that PROTOCOL.md shows byte by byte: written by the SDK, always the same but for the
 * words that say who wrote it and when, and annotated from the generated protobuf descriptors.
 *
 * @module
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import {
  EventSchema,
  InstrumentationScopeSchema,
  ResourceSchema,
  SpanEventSchema,
} from "../../proto/gen/mmap_pb.ts";
import { DEFAULT_SPAN_LIMITS } from "../../lib/sdk/limits.ts";
import { TracerProvider } from "../../lib/sdk/provider.ts";
import { Recorder } from "../../lib/sdk/recorder.ts";
import { AlwaysOnSampler, compileSampler } from "../../lib/sdk/sampler.ts";
import { memoryOf, type Snapshot, varint } from "./version1.ts";

const TIME = 1_780_000_000;

/** Writes the example into `directory` and returns its path. */
export function writeExample(directory: string): string {
  const limits = { ...DEFAULT_SPAN_LIMITS, eventCountLimit: 1 };
  const small = { slots: 2, slotBytes: 256 };
  const recorder = new Recorder(
    { directory },
    {
      sizes: {
        events: small,
        spans: { slots: 8, slotBytes: 256 },
        measurements: small,
        dictionaryBytes: 1024,
      },
    },
    { attributes: { "service.name": "shop" }, warnings: [] },
    limits,
  );
  const { path } = recorder.file!.mapping;
  const provider = new TracerProvider({
    recorder,
    sampler: compileSampler(new AlwaysOnSampler()),
    limits,
    idGenerator: {
      generateTraceId: () => "0102030405060708090a0b0c0d0e0f10",
      generateSpanId: () => "a1a2a3a4a5a6a7a8",
    },
    onStart: null,
    activeContext: () => ROOT_CONTEXT,
    runIn: (_, run, span) => run(span),
  });
  const parent = {
    traceId: "0102030405060708090a0b0c0d0e0f10",
    spanId: "b1b2b3b4b5b6b7b8",
    traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState("v=1"),
    isRemote: true,
  };
  const linked = {
    traceId: "f1f2f3f4f5f6f7f8f9fafbfcfdfeff00",
    spanId: "c1c2c3c4c5c6c7c8",
    traceFlags: TraceFlags.NONE,
  };
  const span = provider.getTracer("http", "1.0").startSpan(
    "GET",
    { kind: SpanKind.SERVER, startTime: [TIME, 1], attributes: { method: "GET", size: 300 } },
    trace.setSpanContext(ROOT_CONTEXT, parent),
  );
  span.setAttribute("method", "é".repeat(20));
  span.addLink({ context: linked, attributes: { ok: true } });
  span.updateName("GET /");
  span.addEvent("miss", { tags: ["a", 0.5] }, [TIME, 2]);
  span.addEvent("over the limit of events, so only counted");
  span.setStatus({ code: SpanStatusCode.ERROR, message: "no" });
  span.end([TIME, 3]);
  recorder.close();
  return path;
}

/** Bytes that differ from run to run, [offset, length]: shown as `xx`. */
const VARYING = [[40, 8], [80, 16], [96, 16], [128, 4], [132, 4], [140, 4], [144, 8]];

/** Words of header and extension that are not zero: offset, bytes, name. */
const WORDS: [offset: number, bytes: number, name: string][] = [
  [0, 8, "version"],
  [8, 8, "events"],
  [16, 8, "spans"],
  [24, 8, "measurements"],
  [32, 8, "dictionary"],
  [40, 8, "time_unix_nano"],
  [64, 8, "magic"],
  [72, 4, "version"],
  [76, 4, "length"],
  [80, 16, "file_uid"],
  [96, 16, "process_uid"],
  [112, 16, "predecessor_uid"],
  [128, 4, "owner_pid"],
  [132, 4, "isolate"],
  [136, 4, "generation"],
  [140, 4, "runtime"],
  [144, 8, "owner_start_time"],
  [152, 4, "owner_locks"],
  [156, 4, "many_producers"],
  [192, 4, "state"],
];

/** A dump of a file, by section. */
export interface Dump {
  /** Lines by section: `offset: bytes  note`. */
  readonly sections: { readonly [name: string]: readonly string[] };
  /** True for each byte of the file that is in one of the sections. */
  readonly shown: readonly boolean[];
  readonly bytes: Uint8Array;
}

/** Dumps a file with notes. */
export function dump(path: string): Dump {
  const file = memoryOf(path);
  const sections: { [name: string]: string[] } = {};
  const shown: boolean[] = Array(file.size).fill(false);
  let lines: string[] = [];
  const begin = (name: string) => sections[name] = lines = [];
  const show: Show = (offset, length, note) => {
    for (let at = offset; at < offset + length; at += 16) {
      const count = Math.min(16, offset + length - at);
      const bytes = Array.from({ length: count }, (_, i) => {
        shown[at + i] = true;
        const varies = VARYING.some(([start, size]) => at + i >= start && at + i < start + size);
        return varies ? "xx" : file.u8[at + i].toString(16).padStart(2, "0");
      }).join(" ");
      const text = at === offset ? `  ${note}` : "";
      lines.push(`${at.toString(16).padStart(4, "0")}: ${bytes.padEnd(47)}${text}`.trimEnd());
    }
  };
  const i64 = (offset: number) => Number(file.view.getBigInt64(offset, true));

  begin("header");
  for (const [offset, bytes, name] of WORDS) {
    if (name === "magic") begin("extension");
    show(offset, bytes, wordNote(file, offset, bytes, name));
  }
  const rings = ["events", "spans", "measurements"];
  rings.forEach((name, ring) => {
    const offset = i64(8 + 8 * ring);
    const slots = i64(offset);
    begin(`${name} ring`);
    show(offset, 8, `num_buffers = ${slots}`);
    show(offset + 8, 8, `buffer_size = ${i64(offset + 8)}`);
    show(offset + 16, 8, `reader_index = ${i64(offset + 16)}`);
    show(offset + 24, 8, `writer_index = ${i64(offset + 24)}`);
    for (let i = 0; i < slots; i++) {
      const at = offset + 32 + 4 * i;
      show(at, 4, `availability[${i}] = ${file.view.getInt32(at, true)}`);
    }
    for (let sequence = 0; sequence <= i64(offset + 24); sequence++) {
      const slot = offset + 32 + 4 * slots + sequence * i64(offset + 8);
      const schema = ring === 0 ? EventSchema : SpanEventSchema;
      const [length, start] = varint(file.u8, slot);
      const end = start + Number(length);
      begin(`${name} slot ${sequence}`);
      show(slot, start - slot, `length = ${length}`);
      fields(file.u8, start, end, schema, "", show);
    }
  });
  begin("dictionary");
  const dictionary = i64(32);
  show(dictionary, 8, `end = 0x${i64(dictionary).toString(16)}`);
  show(dictionary + 8, 8, `num_entries = ${i64(dictionary + 8)}`);
  for (let at = dictionary + 64; at < i64(dictionary);) {
    const [length, start] = varint(file.u8, at);
    const end = start + Number(length);
    const schema = file.u8[start] === 0x0a ? ResourceSchema : InstrumentationScopeSchema;
    // Entries don't say what they are; in this file only messages begin with such a byte.
    if (file.u8[start] < 0x20) {
      show(at, start - at, `length = ${length}: ${schema.name}`);
      fields(file.u8, start, end, schema, "  ", show);
    } else {
      show(at, end - at, `length = ${length}: ${quoted(file.u8, start, end)}`);
    }
    at = end;
  }
  return { sections, shown, bytes: file.u8.subarray(0, file.size) };
}

type Show = (offset: number, length: number, note: string) => void;

function wordNote(file: Snapshot, offset: number, bytes: number, name: string): string {
  if (VARYING.some(([start]) => start === offset) || bytes === 16) return name;
  if (name === "magic") return `magic = ${quoted(file.u8, offset, offset + bytes)}`;
  const value = bytes === 8
    ? file.view.getBigInt64(offset, true)
    : file.view.getInt32(offset, true);
  const isOffset = bytes === 8 && value > 1;
  return `${name} = ${isOffset ? `0x${value.toString(16)}` : value}`;
}

function quoted(bytes: Uint8Array, start: number, end: number): string {
  return JSON.stringify(new TextDecoder().decode(bytes.subarray(start, end)));
}

/** Shows every field of a message, one a line; messages inside it indented below their own line. */
function fields(
  bytes: Uint8Array,
  start: number,
  end: number,
  schema: DescMessage,
  indent: string,
  show: Show,
): void {
  for (let at = start; at < end;) {
    const [tag, value] = varint(bytes, at);
    const number = Number(tag >> 3n);
    const field = schema.fields.find((field) => field.number === number)!;
    const note = (text: string) => `${indent}${field.name} (${number})${text}`;
    const wireType = Number(tag & 7n);
    if (wireType !== 2) {
      const [text, next] = scalar(bytes, value, wireType, field);
      show(at, next - at, note(` = ${text}`));
      at = next;
      continue;
    }
    const [length, body] = varint(bytes, value);
    at = showBytes(bytes, at, body, body + Number(length), field, indent, show, note);
  }
}

function showBytes(
  bytes: Uint8Array,
  at: number,
  body: number,
  next: number,
  field: DescField,
  indent: string,
  show: Show,
  note: (text: string) => string,
): number {
  if (field.message !== undefined) {
    show(at, body - at, note(`, ${next - body} bytes: ${field.message.name}`));
    fields(bytes, body, next, field.message, `${indent}  `, show);
  } else if (field.scalar === 9) {
    // 9 is TYPE_STRING of descriptor.proto.
    show(at, next - at, note(` = ${quoted(bytes, body, next)}`));
  } else {
    show(at, body - at, note(`, ${next - body} bytes`));
    show(body, next - body, "");
  }
  return next;
}

function scalar(
  bytes: Uint8Array,
  at: number,
  wireType: number,
  field: DescField,
): [text: string, next: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (wireType === 5) return [`0x${view.getUint32(at, true).toString(16)}`, at + 4];
  if (wireType === 1) {
    // 1 is TYPE_DOUBLE.
    const value = field.scalar === 1 ? view.getFloat64(at, true) : view.getBigUint64(at, true);
    return [`${value}`, at + 8];
  }
  const [value, next] = varint(bytes, at);
  if (field.name.endsWith("_ref")) return [`0x${value.toString(16)}`, next];
  const name = field.enum?.value[Number(value)]?.name;
  return [name === undefined ? `${value}` : `${name} ${value}`, next];
}
