/**
 * Measurements in the form in which our writers lay them out, and damage to them that keeps this form:
 * what changes bytes at random turns nearly all of them into records that are read the slow way.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT_CONTEXT, trace, ValueType } from "@opentelemetry/api";
import { DictionaryReader } from "../../../lib/dictionary/read.ts";
import { readGeometry } from "../../../lib/file/geometry.ts";
import { DICTIONARY_HEADER_BYTES, RING_MEASUREMENTS } from "../../../lib/format/layout.ts";
import { Aggregator } from "../../../lib/metrics/aggregate.ts";
import { KnownRecords, UNKNOWN } from "../../../lib/metrics/known.ts";
import { measurement } from "../../../lib/metrics/measurement.ts";
import { createBytes } from "../../../lib/record/bytes.ts";
import { cursor, readTag, readVarint, skipField } from "../../../lib/record/wire.ts";
import { start } from "../../../lib/sdk/start.ts";
import type { Random } from "../random.ts";

/** Keys that make what is remembered of a dictionary grow. */
const KEYS = 90;
/** Where what varies begins: behind the head, or behind the span context. */
const HEAD_BYTES = 32;
const CONTEXT_BYTES = 44;
const WORDS_OF_HEAD = [1, 3, 4, 6, 7] as const;

/** Files of our writer that are full of measurements: integers, doubles, with and without a span. */
export function ownMeasurements(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-seed-"));
  try {
    const sdk = start({
      env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
      file: join(directory, "seed"),
      sizes: {
        events: { slots: 2, slotBytes: 256 },
        spans: { slots: 2, slotBytes: 256 },
        measurements: { slots: 128, slotBytes: 256 },
        dictionaryBytes: 16_384,
      },
    });
    if (!sdk.recording) throw new Error(sdk.reason);
    const { path } = sdk;
    const meter = sdk.meterProvider!.getMeter("seed");
    const jobs = meter.createCounter("jobs", { valueType: ValueType.INT });
    const seconds = meter.createHistogram("seconds");
    const level = meter.createUpDownCounter("level", { valueType: ValueType.INT });
    const span = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: "0123456789abcdef".repeat(2),
      spanId: "0123456789abcdef",
      traceFlags: 1,
    });
    for (let i = 0; i < KEYS; i++) {
      const [a, b] = [`key ${i} ${"k".repeat(60)}`, `key ${i >> 1} ${"k".repeat(60)}`];
      const context = i % 3 === 0 ? span : ROOT_CONTEXT;
      const attributes = i % 2 === 0 ? { [a]: i, b: "text" } : { b: true, [a]: 0.5, [b]: 1 };
      if (i % 3 === 0) jobs.add(i, attributes, context);
      else if (i % 3 === 1) seconds.record(i / 3, attributes, context);
      else level.add(-i, { z: [1, 2], y: "x".repeat(i), x: i % 5 }, context);
      // As one before, whatever the order.
      if (i % 4 === 0) jobs.add(1, i % 8 === 0 ? { a: 1, b: 2 } : { b: 2, a: 1 });
    }
    void sdk.shutdown();
    return new Uint8Array(readFileSync(path!));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The slots of the measurements ring that have something in them. */
export interface Measurements {
  readonly slots: readonly number[];
  readonly slotBytes: number;
  /** Refs to be put into records: entries, and what is none. */
  readonly refs: readonly number[];
}

/** Finds what `damageMeasurements` damages. */
export function measurementsOf(file: Uint8Array): Measurements {
  const geometry = readGeometry("fuzz", file, file.length);
  if ("unfinished" in geometry) throw new Error(geometry.unfinished);
  const { firstSlot, slotBytes, slots: count } = geometry.rings[RING_MEASUREMENTS];
  const slots: number[] = [];
  for (let i = 0; i < count; i++) {
    const slot = firstSlot + i * slotBytes;
    if (file[slot] !== 0) slots.push(slot);
  }
  const refs: number[] = [0, 1, geometry.dictionary, file.length - 1];
  for (let ref = geometry.dictionary + DICTIONARY_HEADER_BYTES; ref < file.length;) {
    refs.push(ref);
    const length = readVarint(file, ref, file.length);
    if (length <= 0) break;
    ref = cursor.at + length;
  }
  return { slots, slotBytes, refs };
}

/** A copy with one to six changes to records of the measurements ring, which stay what they were. */
export function damageMeasurements(
  seed: Uint8Array,
  { slots, slotBytes, refs }: Measurements,
  random: Random,
): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(seed);
  const view = new DataView(bytes.buffer);
  for (let change = 0; change <= random.below(6); change++) {
    const slot = random.pick(slots);
    switch (random.below(8)) {
      case 0: {
        // Another metric, time or value, with the bits that say how long a varint is.
        const at = slot + 4 * random.pick(WORDS_OF_HEAD);
        const marks = view.getInt32(at, true) & 0x80808080;
        view.setInt32(at, (random.word() & 0x7f7f7f7f) | marks, true);
        break;
      }
      case 1: {
        const ref = random.pick(refs);
        const groups = ref & 0x7f | (ref & 0x3f80) << 1 | (ref & 0x1fc000) << 2 |
          (ref & 0xfe00000) << 3 | 0x00808080;
        view.setInt32(slot + 4, groups, true);
        break;
      }
      case 2:
        // A double instead of an integer, or the other way round.
        view.setInt32(slot + 20, random.pick([0x008080a9, 0x008080a0]), true);
        break;
      case 3:
        bytes.set(seed.subarray(random.pick(slots)).subarray(0, slotBytes), slot);
        break;
      case 4:
        // Ids and flags, if it has any.
        view.setInt32(slot + 40 + 4 * random.below(9), random.pick([0, -1, random.word()]), true);
        break;
      default:
        damageAttributes(bytes, slot, slotBytes, refs, random);
    }
  }
  return bytes;
}

/** Swaps, repeats or drops attributes of a record, or has them name other keys. */
function damageAttributes(
  bytes: Uint8Array,
  slot: number,
  slotBytes: number,
  refs: readonly number[],
  random: Random,
): void {
  const end = slot + 2 + ((bytes[slot] & 0x7f) | bytes[slot + 1] << 7);
  const fields: Uint8Array[] = [];
  let at = slot + HEAD_BYTES;
  if (bytes[at] === 0xb2) at += CONTEXT_BYTES;
  const first = at;
  try {
    while (at < end) {
      const start = at;
      const tag = readTag(bytes, at, end);
      at = skipField(bytes, cursor.at, end, tag);
      fields.push(bytes.slice(start, at));
    }
  } catch {
    // Damaged before.
    return;
  }
  if (fields.length === 0) return;
  const which = random.below(fields.length);
  switch (random.below(5)) {
    case 0:
      fields.reverse();
      break;
    case 1:
      fields.push(fields[which]);
      break;
    case 2:
      fields.splice(which, 1);
      break;
    case 3:
      // Of a record nearby, so that keys repeat with other values.
      fields.unshift(fields[random.below(fields.length)]);
      break;
    default: {
      const field = fields[which];
      const tagged = field.indexOf(0x08);
      if (tagged > 0 && tagged + 5 < field.length) putPadded(field, tagged + 1, random.pick(refs));
    }
  }
  at = first;
  for (const field of fields) {
    if (at + field.length > slot + slotBytes) break;
    bytes.set(field, at);
    at += field.length;
  }
  const length = at - slot - 2;
  bytes[slot] = length & 0x7f | 0x80;
  bytes[slot + 1] = length >> 7;
}

/** A varint of four bytes. */
function putPadded(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = (value >> 7 * i) & 0x7f | (i < 3 ? 0x80 : 0);
}

/** How often what was to be reached was. */
export interface Reached {
  /** Heads that were read as words. */
  heads: number;
  /** Records that were recognised by their bytes. */
  known: number;
  /** Attribute sets that had to be brought into order. */
  sorted: number;
  /** What is remembered of a dictionary became larger: its bytes, its entries. */
  pools: number;
  items: number;
}

/**
 * Counts what code reaches while `body` runs. The shipped code has no counters for this: methods of its
 * classes, and the sorting of arrays, are stood in for.
 */
export async function countReached(body: () => Promise<void>): Promise<Reached> {
  const reached: Reached = { heads: 0, known: 0, sorted: 0, pools: 0, items: 0 };
  const none = createBytes(0);
  const { take } = Aggregator.prototype;
  const { find } = KnownRecords.prototype;
  const { remember } = DictionaryReader.prototype;
  const { sort } = Array.prototype;
  let isTaking = false;
  Aggregator.prototype.take = function (source, copy, guess) {
    measurement.attributes = none;
    isTaking = true;
    try {
      take.call(this, source, copy, guess);
    } finally {
      isTaking = false;
      if (measurement.attributes === copy) reached.heads++;
    }
  };
  KnownRecords.prototype.find = function (...args) {
    const entry = find.apply(this, args);
    if (entry !== UNKNOWN) reached.known++;
    return entry;
  };
  DictionaryReader.prototype.remember = function (...args) {
    const { pool, items } = this;
    const index = remember.apply(this, args);
    if (this.pool !== pool) reached.pools++;
    if (this.items !== items) reached.items++;
    return index;
  };
  // deno-lint-ignore no-explicit-any -- as it is declared
  Array.prototype.sort = function (this: any[], ...args: any[]) {
    if (isTaking && typeof this[0]?.keyStart === "number") reached.sorted++;
    // deno-lint-ignore no-explicit-any
    return sort.apply(this, args as any);
  };
  try {
    await body();
  } finally {
    Aggregator.prototype.take = take;
    KnownRecords.prototype.find = find;
    DictionaryReader.prototype.remember = remember;
    Array.prototype.sort = sort;
  }
  return reached;
}
