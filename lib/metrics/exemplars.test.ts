import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AnyValueSchema,
  type Exemplar,
  ExemplarSchema,
  HistogramDataPointSchema,
  KeyValueSchema,
} from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { BYTES, OtlpHistogramPoint, tag } from "../format/fields.ts";
import { createBytes } from "../record/bytes.ts";
import { ExemplarPool, MAX_ATTRIBUTE_BYTES, MAX_PLACES, type Sample } from "./exemplars.ts";

const TAG = tag(OtlpHistogramPoint.exemplars, BYTES);

describe("ExemplarPool", () => {
  it("writes times, values, ids and attributes as they were", () => {
    const pool = new ExemplarPool(seed);
    const handle = pool.createFixed(8);
    const expected = [
      exemplar({ time: 2n ** 63n + 5n, int: -(2n ** 63n), span: true, attributes: ["a", "bé"] }),
      exemplar({ time: 1n, int: 2n ** 63n - 1n }),
      exemplar({ time: 1_700_000_000_123_456_789n, double: -0.1, span: true }),
      exemplar({ time: 2n ** 32n, double: 5e-324, attributes: ["x"] }),
    ];
    for (const one of expected) assert.ok(offer(pool, handle, 0, one));
    assert.deepEqual(read(pool, handle), expected);
    assert.equal(pool.countOf(handle), 4);
  });

  it("keeps all in a fixed reservoir until it is full, in their order", () => {
    const pool = new ExemplarPool(seed);
    const handle = pool.createFixed(20);
    for (let i = 0; i < 20; i++) assert.ok(offer(pool, handle, -1, numbered(i)));
    assert.deepEqual(numbersIn(pool, handle), Array.from({ length: 20 }, (_, i) => i));
  });

  it(`keeps each measurement with the same probability (seed ${seed})`, () => {
    const pool = new ExemplarPool(seed);
    const handle = pool.createFixed(4);
    const offered = 20;
    const turns = 20_000;
    const times = new Array<number>(offered).fill(0);
    for (let turn = 0; turn < turns; turn++) {
      for (let i = 0; i < offered; i++) offer(pool, handle, 0, numbered(i));
      assert.equal(pool.countOf(handle), 4);
      for (const number of numbersIn(pool, handle)) times[number]++;
      pool.reset(handle);
    }
    // Binomial with p = 4/20: standard deviation 57; beyond 6 of them once in 500 million.
    for (const [number, count] of times.entries()) {
      assert.ok(Math.abs(count - turns / 5) < 6 * 57, `number ${number}: ${count}, seed ${seed}`);
    }
  });

  it("keeps the last of each bucket in an aligned reservoir", () => {
    const pool = new ExemplarPool(seed);
    const handle = pool.createAligned(4);
    for (const [i, bucket] of [3, 0, 3, 1, 0, 3].entries()) {
      assert.ok(offer(pool, handle, bucket, numbered(i)));
    }
    assert.deepEqual(numbersIn(pool, handle), [4, 3, 5]);
    assert.equal(pool.countOf(handle), 3);
    assert.equal(offer(pool, handle, 4, numbered(9)), false);
    pool.reset(handle);
    assert.deepEqual(numbersIn(pool, handle), []);
    offer(pool, handle, 2, numbered(7));
    assert.deepEqual(numbersIn(pool, handle), [7]);
  });

  it("starts a fixed reservoir anew with each reset", () => {
    const pool = new ExemplarPool(seed);
    const handle = pool.createFixed(2);
    for (let i = 0; i < 1000; i++) offer(pool, handle, 0, numbered(i));
    pool.reset(handle);
    assert.equal(pool.countOf(handle), 0);
    assert.equal(pool.fieldBytes(handle), 0);
    for (const i of [1, 2]) assert.ok(offer(pool, handle, 0, numbered(i)));
    assert.deepEqual(numbersIn(pool, handle), [1, 2]);
  });

  it("keeps attributes of up to MAX_ATTRIBUTE_BYTES, and an exemplar without longer ones", () => {
    const pool = new ExemplarPool(seed);
    for (const length of [1, 63, 64, 65, 1000, MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_BYTES + 1]) {
      const handle = pool.createFixed(1);
      const bytes = createBytes(length);
      bytes.u8.fill(0x55, 0, length);
      const slot = pool.choose(handle, 0);
      pool.keep(slot, {
        ...sampleOf(numbered(1)),
        attributes: bytes,
        attributesStart: 0,
        attributesEnd: length,
      });
      const kept = length <= MAX_ATTRIBUTE_BYTES ? length : 0;
      const out = new Uint8Array(pool.fieldBytes(handle));
      const end = pool.put(handle, out, new DataView(out.buffer), 0, TAG);
      assert.equal(out.subarray(0, end).filter((byte) => byte === 0x55).length, kept);
    }
  });

  it("takes numbers of places out of range for the nearest that is not", () => {
    const pool = new ExemplarPool(seed);
    for (const size of [0, -1, NaN]) {
      const handle = pool.createAligned(size);
      assert.ok(offer(pool, handle, 0, numbered(1)));
      assert.ok(!offer(pool, handle, 1, numbered(1)));
    }
    const handle = pool.createAligned(1e9);
    assert.ok(offer(pool, handle, MAX_PLACES - 1, numbered(3)));
    assert.ok(!offer(pool, handle, MAX_PLACES, numbered(4)));
    assert.deepEqual(numbersIn(pool, handle), [3]);
  });

  it(`agrees with lists of exemplars over many reservoirs that come and go (seed ${seed})`, () => {
    const random = new Random();
    const pool = new ExemplarPool(seed);
    let reservoirs: { handle: number; places: number; last: Map<number, Exemplar> }[] = [];
    for (let turn = 0; turn < 20_000; turn++) {
      if (reservoirs.length < 20) {
        const places = 1 + random.below(40);
        reservoirs.push({ handle: pool.createAligned(places), places, last: new Map() });
      }
      const one = random.pick(reservoirs);
      const bucket = random.below(one.places);
      const attributes = Array.from(
        { length: random.below(4) },
        () => "k".repeat(random.below(99)),
      );
      const offered = exemplar({
        time: random.bits64(),
        ...random.pick([{ int: BigInt.asIntN(64, random.bits64()) }, {
          double: random.word() / 7,
        }]),
        span: random.below(2) === 0,
        attributes,
      });
      assert.ok(offer(pool, one.handle, bucket, offered));
      one.last.set(bucket, offered);
      if (random.below(10) > 0) continue;
      const expected = [...one.last].sort(([a], [b]) => a - b).map(([, kept]) => kept);
      assert.deepEqual(read(pool, one.handle), expected, `seed ${seed}, turn ${turn}`);
      if (random.below(2) === 0) {
        pool.reset(one.handle);
        one.last.clear();
      } else {
        pool.free(one.handle);
        reservoirs = reservoirs.filter((other) => other !== one);
      }
    }
  });

  it("uses handles and memory again", () => {
    const pool = new ExemplarPool(seed);
    const inside = pool as unknown as {
      slots: Int32Array;
      attributes: { capacity: number };
      places: { capacity: number };
    };
    const one = exemplar({ time: 1n, int: 1n, span: true, attributes: ["k".repeat(300)] });
    const round = (): number[] => {
      const handles = Array.from({ length: 300 }, () => pool.createFixed(3));
      for (let turn = 0; turn < 5; turn++) {
        for (const handle of handles) {
          for (let i = 0; i < 9; i++) offer(pool, handle, 0, one);
          pool.reset(handle);
        }
      }
      for (const handle of handles) for (let i = 0; i < 4; i++) offer(pool, handle, 0, one);
      for (const handle of handles) pool.free(handle);
      return handles.toSorted((a, b) => a - b);
    };
    const handles = round();
    const memory = [inside.slots.length, inside.attributes.capacity, inside.places.capacity];
    assert.ok(memory.every((size) => size > 0));
    assert.deepEqual(round(), handles);
    assert.deepEqual(
      [inside.slots.length, inside.attributes.capacity, inside.places.capacity],
      memory,
    );
  });
});

/** What an exemplar is made of; ids, where it has any, are counted up from 1. */
interface Content {
  time: bigint;
  int?: bigint;
  double?: number;
  span?: boolean;
  attributes?: string[];
}

function exemplar(content: Content): Exemplar {
  const { time, int, double, span, attributes = [] } = content;
  return create(ExemplarSchema, {
    timeUnixNano: time,
    value: int === undefined ? { case: "asDouble", value: double! } : { case: "asInt", value: int },
    traceId: span ? Uint8Array.from({ length: 16 }, (_, i) => i + 1) : new Uint8Array(),
    spanId: span ? Uint8Array.from({ length: 8 }, (_, i) => i + 0x81) : new Uint8Array(),
    filteredAttributes: attributes.map((key) =>
      create(KeyValueSchema, {
        key,
        value: create(AnyValueSchema, { value: { case: "stringValue", value: key } }),
      })
    ),
  });
}

function numbered(number: number): Exemplar {
  return exemplar({ time: 7n, int: BigInt(number) });
}

function numbersIn(pool: ExemplarPool, handle: number): number[] {
  return read(pool, handle).map(({ value }) => Number(value.value));
}

function offer(pool: ExemplarPool, handle: number, bucket: number, offered: Exemplar): boolean {
  const slot = pool.choose(handle, bucket);
  if (slot >= 0) pool.keep(slot, sampleOf(offered));
  return slot >= 0;
}

function sampleOf(from: Exemplar): Sample {
  const { value, timeUnixNano, traceId, spanId, filteredAttributes } = from;
  const int = value.case === "asInt" ? value.value : 0n;
  // Somewhere between other bytes, as in a record.
  const ids = createBytes(40);
  ids.u8.fill(0xee).set(traceId, 3);
  ids.u8.set(spanId, 21);
  const list = toBinary(ExemplarSchema, create(ExemplarSchema, { filteredAttributes }));
  const attributes = createBytes(list.length + 10);
  attributes.u8.fill(0xee).set(list, 5);
  return {
    timeLow: Number(timeUnixNano & 0xffffffffn) | 0,
    timeHigh: Number(timeUnixNano >> 32n) | 0,
    isInt: value.case === "asInt",
    valueLow: Number(int & 0xffffffffn) | 0,
    valueHigh: Number(int >> 32n) | 0,
    value: value.case === "asDouble" ? value.value : NaN,
    ids,
    traceIdAt: traceId.length > 0 ? 3 : -1,
    spanIdAt: spanId.length > 0 ? 21 : -1,
    attributes,
    attributesStart: 5,
    attributesEnd: 5 + list.length,
  };
}

function read(pool: ExemplarPool, handle: number): Exemplar[] {
  const at = 3;
  const room = pool.fieldBytes(handle);
  const out = new Uint8Array(at + room + 20).fill(0xee);
  const end = pool.put(handle, out, new DataView(out.buffer), at, TAG);
  assert.ok(end - at <= room, `${end - at} bytes, ${room} expected at most`);
  assert.ok(out.subarray(0, at).every((byte) => byte === 0xee));
  assert.ok(out.subarray(end).every((byte) => byte === 0xee));
  const { exemplars } = fromBinary(HistogramDataPointSchema, out.subarray(at, end));
  assert.equal(exemplars.length, pool.countOf(handle));
  return exemplars;
}
