import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import type { RingGeometry } from "../file/geometry.ts";
import {
  AVAILABILITY_BYTES,
  RING_BUFFER_SIZE,
  RING_HEADER_BYTES,
  RING_NUM_BUFFERS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../format/layout.ts";
import { RingWriter, SEQUENCE_LIMIT } from "./write.ts";

/** Where the test's ring starts. */
const OFFSET = 64;
const READER_WORD = (OFFSET + RING_READER_INDEX) / 8;
const WRITER_WORD = (OFFSET + RING_WRITER_INDEX) / 8;

/** A ring alone in memory, as it is in a new file. */
function ringOf(
  slots: number,
  slotBytes = 64,
): {
  memory: SharedArrayBuffer;
  u8: Uint8Array;
  i32: Int32Array;
  i64: BigInt64Array;
  geometry: RingGeometry;
} {
  const availability = OFFSET + RING_HEADER_BYTES;
  const firstSlot = availability + slots * AVAILABILITY_BYTES;
  const memory = new SharedArrayBuffer(Math.ceil((firstSlot + slots * slotBytes) / 8) * 8);
  const i32 = new Int32Array(memory);
  const i64 = new BigInt64Array(memory);
  i64[(OFFSET + RING_NUM_BUFFERS) / 8] = BigInt(slots);
  i64[(OFFSET + RING_BUFFER_SIZE) / 8] = BigInt(slotBytes);
  i64[READER_WORD] = -1n;
  i64[WRITER_WORD] = -1n;
  i32.fill(-1, availability / 4, availability / 4 + slots);
  const geometry = { ring: 1, offset: OFFSET, slots, slotBytes, availability, firstSlot };
  return { memory, u8: new Uint8Array(memory), i32, i64, geometry };
}

type Ring = ReturnType<typeof ringOf>;

/** What the ring's availability words say. */
function flags({ i32, geometry }: Ring): number[] {
  return [...i32.slice(geometry.availability / 4, geometry.availability / 4 + geometry.slots)];
}

/** The bytes of a slot, its length included. */
function slotOf({ u8, geometry }: Ring, position: number, bytes: number): number[] {
  const start = geometry.firstSlot + position * geometry.slotBytes;
  return [...u8.slice(start, start + bytes)];
}

/** Writes a record of the given bytes, the first two of which go in with the length. */
function write(writer: RingWriter, record: number[], keep = 0): boolean | number {
  const slot = writer.reserve(keep);
  if (slot < 0) return slot;
  for (let i = 2; i < record.length; i++) writer.u8[slot + 2 + i] = record[i];
  return writer.publish(slot, slot + 2 + record.length, record[0] | record[1] << 8);
}

for (const producers of ["one", "many"] as const) {
  describe(`a ring with ${producers === "one" ? "one producer" : "many producers"}`, () => {
    it("puts a padded length before the record, then index and flag", () => {
      const ring = ringOf(4);
      const writer = new RingWriter(ring, OFFSET, producers);
      assert.equal(writer.claimed, -1);
      assert.equal(writer.released, -1);
      assert.equal(writer.maxRecordBytes, 62);
      assert.equal(write(writer, [10, 11, 12, 13, 14]), true);
      assert.deepEqual(slotOf(ring, 0, 8), [0x85, 0, 10, 11, 12, 13, 14, 0]);
      assert.equal(writer.claimed, 0);
      assert.deepEqual(flags(ring), [0, -1, -1, -1]);
    });

    it("writes lengths of two bytes up to the largest slot", () => {
      const ring = ringOf(2, 16_384);
      const writer = new RingWriter(ring, OFFSET, producers);
      for (const length of [127, 128, 255, 256, 16_382]) {
        const record = Array.from({ length }, (_, i) => i & 0xff);
        assert.equal(write(writer, record), true);
        const position = writer.claimed & 1;
        assert.deepEqual(
          slotOf(ring, position, length + 2),
          [(length & 0x7f) | 0x80, length >> 7, ...record],
        );
        ring.i64[READER_WORD] = ring.i64[WRITER_WORD];
      }
    });

    it("changes both halves of writer_index from -1 to 0, and only the low one after", () => {
      const ring = ringOf(4);
      const writer = new RingWriter(ring, OFFSET, producers);
      assert.equal(ring.i64[WRITER_WORD], -1n);
      write(writer, [1, 1]);
      assert.equal(ring.i64[WRITER_WORD], 0n);
      write(writer, [1, 1]);
      assert.equal(ring.i64[WRITER_WORD], 1n);
    });

    it("holds one record less than it has slots", () => {
      for (const slots of [2, 4, 64]) {
        const ring = ringOf(slots);
        const writer = new RingWriter(ring, OFFSET, producers);
        for (let i = 0; i < slots - 1; i++) assert.equal(write(writer, [i, 0]), true);
        assert.equal(write(writer, [0, 0]), -1);
        assert.equal(writer.claimed, slots - 2);
        Atomics.store(ring.i64, READER_WORD, 0n);
        assert.equal(writer.released, 0);
        assert.equal(write(writer, [0, 0]), true);
        assert.equal(write(writer, [0, 0]), -1);
      }
    });

    it("keeps the slots it is told to", () => {
      const ring = ringOf(8);
      const writer = new RingWriter(ring, OFFSET, producers);
      assert.equal(write(writer, [0, 0], 7), -1);
      for (let i = 0; i < 5; i++) assert.equal(write(writer, [0, 0], 2), true);
      assert.equal(write(writer, [0, 0], 2), -1);
      assert.equal(write(writer, [0, 0], 1), true);
      assert.equal(write(writer, [0, 0], 1), -1);
      assert.equal(write(writer, [0, 0], 0), true);
      assert.equal(write(writer, [0, 0], 0), -1);
    });

    it("shows nothing of a place that is reserved and not published", () => {
      const ring = ringOf(4);
      const writer = new RingWriter(ring, OFFSET, producers);
      write(writer, [1, 1]);
      const slot = writer.reserve(0);
      for (let i = 0; i < 64; i++) writer.u8[slot + i] = 0xff;
      assert.equal(writer.claimed, 0);
      assert.deepEqual(flags(ring), [0, -1, -1, -1]);
      assert.equal(writer.reserve(0), slot, "the next record gets the same place");
      assert.equal(write(writer, [2, 2]), true);
      assert.deepEqual(slotOf(ring, 1, 4), [0x82, 0, 2, 2]);
    });

    it("wraps, and flags every lap with its number", () => {
      const ring = ringOf(4);
      const writer = new RingWriter(ring, OFFSET, producers);
      const seen: number[][] = [];
      for (let i = 0; i < 10; i++) {
        assert.equal(write(writer, [i, 0]), true);
        assert.deepEqual(slotOf(ring, i % 4, 4), [0x82, 0, i, 0]);
        Atomics.store(ring.i64, READER_WORD, BigInt(i));
        seen.push(flags(ring));
      }
      assert.deepEqual(seen[3], [0, 0, 0, 0]);
      assert.deepEqual(seen[4], [1, 0, 0, 0]);
      assert.deepEqual(seen[9], [2, 2, 1, 1]);
    });

    it("goes on where the file is", () => {
      const ring = ringOf(4);
      ring.i64[READER_WORD] = 1_000_000n;
      ring.i64[WRITER_WORD] = 1_000_001n;
      const writer = new RingWriter(ring, OFFSET, producers);
      assert.equal(write(writer, [5, 5]), true);
      assert.equal(ring.i64[WRITER_WORD], 1_000_002n);
      assert.equal(flags(ring)[1_000_002 % 4], Math.floor(1_000_002 / 4));
      assert.equal(write(writer, [5, 5]), true);
      assert.equal(write(writer, [5, 5]), -1);
    });

    it("never uses a sequence from its limit on", () => {
      const ring = ringOf(4);
      ring.i64[READER_WORD] = ring.i64[WRITER_WORD] = BigInt(SEQUENCE_LIMIT - 2);
      const writer = new RingWriter(ring, OFFSET, producers);
      assert.equal(write(writer, [5, 5]), true);
      assert.equal(ring.i64[WRITER_WORD], BigInt(SEQUENCE_LIMIT - 1));
      assert.equal(write(writer, [5, 5]), -2);
      assert(SEQUENCE_LIMIT < 2 ** 31);
      writer.sequenceLimit = SEQUENCE_LIMIT + 1;
      assert.equal(write(writer, [5, 5]), true);
      assert.equal(write(writer, [5, 5]), -2);
    });

    it("loses nothing while a reader in another thread drains it", async () => {
      const records = 20_000;
      const ring = ringOf(8);
      const writer = new RingWriter(ring, OFFSET, producers);
      const worker = new Worker(new URL("./testdata/reader.ts", import.meta.url), {
        workerData: { memory: ring.memory, geometry: ring.geometry, records },
      });
      await once(worker, "message");
      const ended = once(worker, "message");
      let full = 0;
      for (let i = 0; i < records;) {
        const text = Array(8 + i % 40).fill(i & 0xff);
        const record = [i & 0xff, (i >> 8) & 0xff, (i >> 16) & 0xff, i >>> 24, ...text];
        if (write(writer, record) === true) i++;
        // Not for ever, should the reader be gone.
        else if (++full % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        if (full > 10_000_000) assert.fail("the reader takes nothing");
      }
      const [problem] = await ended;
      assert.equal(problem, "");
      assert.equal(writer.released, records - 1);
      await worker.terminate();
    });
  });
}

describe("many producers of a ring", () => {
  it("claim only when they publish, one after the other", () => {
    const ring = ringOf(8);
    const [a, b] = [0, 1].map(() => new RingWriter(ring, OFFSET, "many"));
    const places = [a.reserve(0), b.reserve(0)];
    for (const [i, writer] of [a, b].entries()) {
      writer.u8.fill(100 + i, places[i] + 4, places[i] + 10);
    }
    assert.equal(a.claimed, -1);
    assert.equal(b.publish(places[1], places[1] + 10, 0x0201), true);
    assert.equal(a.publish(places[0], places[0] + 10, 0x0201), true);
    assert.deepEqual(slotOf(ring, 0, 10), [0x88, 0, 1, 2, ...Array(6).fill(101)]);
    assert.deepEqual(slotOf(ring, 1, 10), [0x88, 0, 1, 2, ...Array(6).fill(100)]);
    assert.equal(ring.i64[WRITER_WORD], 1n);
    assert.deepEqual(flags(ring), [0, 0, -1, -1, -1, -1, -1, -1]);
  });

  it("are refused at publishing when others were faster, and harm nothing", () => {
    const ring = ringOf(4);
    const [a, b] = [0, 1].map(() => new RingWriter(ring, OFFSET, "many"));
    const place = a.reserve(0);
    for (let i = 0; i < 3; i++) assert.equal(write(b, [i, i]), true);
    const before = [...ring.u8];
    assert.equal(a.publish(place, place + 4, 0x0909), false);
    assert.deepEqual([...ring.u8], before);
    Atomics.store(ring.i64, READER_WORD, 0n);
    assert.equal(write(a, [9, 9]), true);
    assert.deepEqual(slotOf(ring, 3, 4), [0x82, 0, 9, 9]);
  });
});
