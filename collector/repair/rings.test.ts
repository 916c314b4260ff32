import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RING_READER_INDEX, RING_SPANS, RING_WRITER_INDEX } from "../../lib/format/layout.ts";
import { repairRing } from "./rings.ts";

const SLOTS = 8;
const WORDS = 1024;
const FIRST_SLOT = WORDS + 4 * SLOTS;

describe("a damaged availability word", () => {
  it("that is ahead of all others pushes no record out", () => {
    const buffer = new ArrayBuffer(2048);
    const file = {
      u8: new Uint8Array(buffer),
      i32: new Int32Array(buffer),
      i64: new BigInt64Array(buffer),
    };
    // All slots of the first lap are published, and none was read.
    file.u8.fill(1, FIRST_SLOT);
    file.i64[RING_READER_INDEX / 8] = -1n;
    file.i64[RING_WRITER_INDEX / 8] = BigInt(SLOTS - 1);
    file.i32[WORDS / 4 + 5] = 1;
    const notes = repairRing(file, {
      ring: RING_SPANS,
      offset: 0,
      slots: SLOTS,
      slotBytes: 16,
      availability: WORDS,
      firstSlot: FIRST_SLOT,
    }, { all: false, oneProducer: true });
    assert.deepEqual(notes, [
      "1 availability words of the spans ring are damaged: their slots are tried",
    ]);
    assert.equal(file.i64[RING_READER_INDEX / 8], -1n);
    assert.equal(file.i64[RING_WRITER_INDEX / 8], BigInt(SLOTS - 1));
    assert.deepEqual([...file.i32.subarray(WORDS / 4, WORDS / 4 + SLOTS)], Array(SLOTS).fill(0));
  });
});
