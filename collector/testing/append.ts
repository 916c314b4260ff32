/**
 * Adds records to a file beside its writer, which must write no dictionary entries and no records of
 * the same rings after that.
 *
 * @module
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Geometry, readGeometry } from "../../lib/file/geometry.ts";
import { MappedFile } from "../../lib/file/mapped.ts";
import {
  DICTIONARY_END,
  DICTIONARY_NUM_ENTRIES,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_SPANS,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import {
  EventSchema,
  MeasurementSchema,
  MetricRefSchema,
  SpanEventSchema,
} from "../../proto/gen/mmap_pb.ts";
import { text } from "../../tests/support/build.ts";

/** Runs `write` with the file mapped. */
function withFile<T>(path: string, write: (file: MappedFile, geometry: Geometry) => T): T {
  const file = MappedFile.open(path);
  try {
    const geometry = readGeometry(path, file.u8, file.size);
    if ("unfinished" in geometry) throw new Error(geometry.unfinished);
    return write(file, geometry);
  } finally {
    file.close();
  }
}

/** The scope of the first span, whose record is still in its slot when it was given back. */
function firstScope(file: MappedFile, geometry: Geometry): bigint {
  const { firstSlot } = geometry.rings[RING_SPANS];
  const length = (file.u8[firstSlot] & 0x7f) | (file.u8[firstSlot + 1] << 7);
  const record = file.u8.slice(firstSlot + 2, firstSlot + 2 + length);
  return fromBinary(SpanEventSchema, record).scopeRef;
}

function put(file: MappedFile, geometry: Geometry, ring: number, record: Uint8Array): void {
  const { availability, firstSlot, offset, slotBytes, slots } = geometry.rings[ring];
  const writerIndex = (offset + RING_WRITER_INDEX) / 8;
  const sequence = Number(file.i64[writerIndex]) + 1;
  const slot = firstSlot + (sequence % slots) * slotBytes;
  if (record.length > 0x7f || record.length >= slotBytes) throw new Error("the record is too long");
  file.u8[slot] = record.length;
  file.u8.set(record, slot + 1);
  file.i64[writerIndex] = BigInt(sequence);
  const flag = Math.floor(sequence / slots);
  Atomics.store(file.i32, availability / 4 + (sequence % slots), flag);
}

/** Log records with these bodies, in the scope of the file's first span. */
export function putLogs(path: string, ...bodies: string[]): void {
  withFile(path, (file, geometry) => {
    const scopeRef = firstScope(file, geometry);
    for (const body of bodies) {
      const event = create(EventSchema, { scopeRef, body: text(body) });
      put(file, geometry, RING_EVENTS, toBinary(EventSchema, event));
    }
  });
}

/** Defines a metric in the scope of the file's first span; returns its ref. */
export function putMetric(path: string, init: MessageInitShape<typeof MetricRefSchema>): bigint {
  return withFile(path, (file, geometry) => {
    const metric = create(MetricRefSchema, init);
    metric.instrumentationScopeRef = firstScope(file, geometry);
    const entry = toBinary(MetricRefSchema, metric);
    if (entry.length > 0x7f) throw new Error("the entry is too long");
    const end = (geometry.dictionary + DICTIONARY_END) / 8;
    const ref = Number(file.i64[end]);
    file.u8[ref] = entry.length;
    file.u8.set(entry, ref + 1);
    file.i64[end] = BigInt(ref + 1 + entry.length);
    file.i64[(geometry.dictionary + DICTIONARY_NUM_ENTRIES) / 8]++;
    return BigInt(ref);
  });
}

/** Measurements of integers, at the times given. */
export function putMeasurements(
  path: string,
  metricRef: bigint,
  ...measurements: { value: bigint; time: bigint }[]
): void {
  withFile(path, (file, geometry) => {
    for (const { value, time } of measurements) {
      const measurement = create(MeasurementSchema, {
        metricRef,
        timeUnixNano: time,
        value: { case: "asLong", value },
      });
      put(file, geometry, RING_MEASUREMENTS, toBinary(MeasurementSchema, measurement));
    }
  });
}
