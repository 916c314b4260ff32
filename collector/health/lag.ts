/**
 * How far the collector is behind a writer.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { RING_EVENTS, RING_SPANS } from "../../lib/format/layout.ts";
import { claimedAhead, copyRecord, isReady, type RingReader } from "../../lib/ring/read.ts";
import { EventSchema, MeasurementSchema, SpanEventSchema } from "../../proto/gen/mmap_pb.ts";
import { claimedTo, type Drain, takenTo } from "../pipeline/drain.ts";

/** Records that are claimed and not taken. */
export function lagRecords(drain: Drain, ring: number): number {
  return Math.max(0, claimedTo(drain, ring) - takenTo(drain, ring));
}

/**
 * How old the first of these is by the time in it, milliseconds; 0 where there is none, null where
 * it has no time (a late attribute) or is not published yet. To be asked between rounds.
 *
 * @param now Milliseconds since the Unix epoch.
 */
export function lagMs(drain: Drain, ring: number, now: number): number | null {
  const reader = next(drain, ring);
  if (claimedAhead(reader) === 0) return 0;
  const { copy } = drain;
  if (!isReady(reader) || !copyRecord(reader, copy)) return null;
  const time = timeOf(ring, copy.u8.subarray(copy.start, copy.end));
  return time === 0n ? null : Math.max(0, now - Number(time / 1_000_000n));
}

function next({ logs, rings }: Drain, ring: number): RingReader {
  const reader = rings[ring];
  return ring === RING_EVENTS && logs !== null && logs.sequence < reader.sequence ? logs : reader;
}

function timeOf(ring: number, record: Uint8Array): bigint {
  try {
    if (ring === RING_EVENTS) return fromBinary(EventSchema, record).timeUnixNano;
    if (ring !== RING_SPANS) return fromBinary(MeasurementSchema, record).timeUnixNano;
    const { event } = fromBinary(SpanEventSchema, record);
    if (event.case === "start") return event.value.startTimeUnixNano;
    return event.case === "end" ? event.value.endTimeUnixNano : 0n;
  } catch {
    // What can't be read has no time, and is counted where it is taken.
    return 0n;
  }
}
