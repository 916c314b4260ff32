import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RING_READER_INDEX, RING_SPANS, RING_WRITER_INDEX } from "../../lib/format/layout.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import { repairRing } from "./rings.ts";

const SLOTS = 8;
const WORDS = 1024;
const FIRST_SLOT = WORDS + 4 * SLOTS;

const GEOMETRY = {
  ring: RING_SPANS,
  offset: 0,
  slots: SLOTS,
  slotBytes: 16,
  availability: WORDS,
  firstSlot: FIRST_SLOT,
};

/** A ring, all of whose slots of the first lap are published, and none was read. */
function fullRing(): FileViews {
  const buffer = new ArrayBuffer(2048);
  const file = {
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    i64: new BigInt64Array(buffer),
  };
  file.u8.fill(1, FIRST_SLOT);
  file.i64[RING_READER_INDEX / 8] = -1n;
  file.i64[RING_WRITER_INDEX / 8] = BigInt(SLOTS - 1);
  return file;
}

describe("a ring with a damaged header", () => {
  it("has the records that are in its slots, whatever its indexes say", () => {
    const file = fullRing();
    // All of it is zeros up to the sixth slot, and the last slot was never used.
    file.u8.fill(0, 0, FIRST_SLOT + 5 * 16);
    file.u8.fill(0, FIRST_SLOT + 7 * 16);
    const notes = repairRing(file, GEOMETRY, { all: false, oneProducer: true, damaged: true });
    assert.match(notes[0], /indexes prove nothing \(reader 0, writer 0\): 7 records were written/);
    assert.equal(file.i64[RING_READER_INDEX / 8], -1n);
    assert.equal(file.i64[RING_WRITER_INDEX / 8], 6n);
  });
});

describe("a damaged availability word", () => {
  it("that is ahead of all others pushes no record out", () => {
    const file = fullRing();
    file.i32[WORDS / 4 + 5] = 1;
    const notes = repairRing(file, GEOMETRY, { all: false, oneProducer: true, damaged: false });
    assert.deepEqual(notes, [
      "1 availability word of the spans ring is damaged: the records in question are tried",
    ]);
    assert.equal(file.i64[RING_READER_INDEX / 8], -1n);
    assert.equal(file.i64[RING_WRITER_INDEX / 8], BigInt(SLOTS - 1));
    assert.deepEqual([...file.i32.subarray(WORDS / 4, WORDS / 4 + SLOTS)], Array(SLOTS).fill(0));
  });
});
