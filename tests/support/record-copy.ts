/**
 * A record as a ring's reader hands it over, without a ring.
 *
 * @module
 */
import { createBytes } from "../../lib/record/bytes.ts";
import type { RecordCopy } from "../../lib/ring/read.ts";

/** A copy of a record's bytes, without their length. */
export function recordCopy(record: Uint8Array): RecordCopy {
  const { u8, view } = createBytes(record.length);
  u8.set(record);
  return { u8, view, i32: new Int32Array(u8.buffer), start: 0, end: record.length };
}
