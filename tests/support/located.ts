/**
 * Where the records of a file are, and every byte that reading them needs: known before the file is
 * damaged, and by other code than what reads it after.
 *
 * @module
 */
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { readGeometry } from "../../lib/file/geometry.ts";
import {
  EventSchema,
  InstrumentationScopeSchema,
  MeasurementSchema,
  MetricRefSchema,
  ResourceSchema,
  SpanEventSchema,
} from "../../proto/gen/mmap_pb.ts";

/** Bytes from `start` to before `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A record. */
export interface Located {
  readonly ring: number;
  readonly sequence: number;
  /** The message of the ring. */
  // deno-lint-ignore no-explicit-any
  readonly record: any;
  /** Its length and bytes, its availability word, and the dictionary entries that it leads to. */
  readonly needs: readonly Range[];
}

const RECORDS: readonly DescMessage[] = [EventSchema, SpanEventSchema, MeasurementSchema];
/** Entries that lead to others, by the names of the fields that refer to them. */
const ENTRIES: Readonly<Record<string, DescMessage>> = {
  scopeRef: InstrumentationScopeSchema,
  instrumentationScopeRef: InstrumentationScopeSchema,
  resourceRef: ResourceSchema,
  metricRef: MetricRefSchema,
};

/** Finds every published record of a file whose rings have not been gone through once. */
export function locate(file: Uint8Array): Located[] {
  const geometry = readGeometry("located", file, file.length);
  if ("unfinished" in geometry) throw new Error(geometry.unfinished);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const found: Located[] = [];
  for (const { ring, offset, slots, slotBytes, availability, firstSlot } of geometry.rings) {
    const writer = Number(view.getBigInt64(offset + 24, true));
    if (writer >= slots) throw new Error("the ring has been gone through");
    for (let sequence = 0; sequence <= writer; sequence++) {
      const flag = availability + 4 * sequence;
      if (view.getInt32(flag, true) !== 0) continue;
      const slot = firstSlot + sequence * slotBytes;
      const { start, end } = prefixed(file, slot);
      const record = fromBinary(RECORDS[ring], file.subarray(start, end));
      const needs = [{ start: flag, end: flag + 4 }, { start: slot, end }];
      addEntries(file, record, needs);
      found.push({ ring, sequence, record, needs });
    }
  }
  return found;
}

function prefixed(file: Uint8Array, at: number): Range {
  let length = 0;
  for (let shift = 0;; shift += 7) {
    length |= (file[at] & 0x7f) << shift;
    if (file[at++] < 0x80) return { start: at, end: at + length };
  }
}

/** Every field whose name ends in Ref is one. */
function addEntries(file: Uint8Array, value: unknown, needs: Range[]): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const [name, field] of Object.entries(value)) {
    if (typeof field !== "bigint" || !/Ref$/.test(name)) addEntries(file, field, needs);
    else if (field > 0n) {
      const { start, end } = prefixed(file, Number(field));
      needs.push({ start: Number(field), end });
      const schema = ENTRIES[name];
      if (schema !== undefined) {
        addEntries(file, fromBinary(schema, file.subarray(start, end)), needs);
      }
    }
  }
}
