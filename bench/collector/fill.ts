/**
 * What writers of collector.ts have in common. Says `fifth` and `all` when so much has been taken
 * from the ring, and goes on when it hears a line.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import type { Mapping } from "../../ffi/mod.ts";
import { RING_READER_INDEX, RING_WRITER_INDEX } from "../../lib/format/layout.ts";

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Leaves the processor to others for a millisecond. */
export function wait(): void {
  Atomics.wait(pause, 0, 0, 1);
}

/** Records of the ring at this offset that are claimed and not taken yet. */
export function inRing({ i32 }: Mapping, ring: number): number {
  return (Atomics.load(i32, (ring + RING_WRITER_INDEX) >> 2) -
    Atomics.load(i32, (ring + RING_READER_INDEX) >> 2)) | 0;
}

/** Writes `total` records in two parts; `write` returns when so many have been taken. */
export async function fill(total: number, write: (count: number) => void): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const lines = input[Symbol.asyncIterator]();
  const fifth = Math.round(total / 5);
  write(fifth);
  process.stdout.write("fifth\n");
  await lines.next();
  write(total - fifth);
  process.stdout.write("all\n");
  await lines.next();
  input.close();
}
