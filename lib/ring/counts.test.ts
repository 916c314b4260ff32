/** A reader that is killed after any store, of the first, second or a later release: the counters fit reader_index. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  READ_DELIVERED,
  READ_REJECTED,
  READ_TORN,
  REJECT_FAULT,
  REJECT_REASONS,
  RING_READER_INDEX,
} from "../format/layout.ts";
import { noteBad, readCounts } from "./counts.ts";
import { packIndex, unpackIndex } from "./index.ts";
import { openRing, release } from "./read.ts";

/** Where the test's ring starts, behind the extension block. */
const OFFSET = 4096;
const RING = 1;
const INDEX = (OFFSET + RING_READER_INDEX) / 8;

describe("what became of records", () => {
  for (const discards of [false, true]) {
    it(`is known after every store of each release${discards ? ", also of shared indexes" : ""}`, () => {
      const memory = new ArrayBuffer(8192);
      const real = new BigInt64Array(memory);
      real[INDEX] = discards ? packIndex(-1, 0) : -1n;
      let moments: BigInt64Array[] = [];
      const note = (): number => moments.push(real.slice());
      const i64 = new Proxy(real, {
        get: (target, key) => Reflect.get(target, key, target),
        set(target, key, value) {
          Reflect.set(target, key, value, target);
          note();
          return true;
        },
      });
      const { compareExchange, load, store } = Atomics;
      const unwrap = (array: unknown): BigInt64Array => array === i64 ? real : array as never;
      Object.assign(Atomics, {
        load: (array: unknown, index: number) => load(unwrap(array), index),
        store: (array: unknown, index: number, value: bigint) => {
          store(unwrap(array), index, value);
          note();
        },
        compareExchange: (array: unknown, index: number, before: bigint, after: bigint) => {
          const was = compareExchange(unwrap(array), index, before, after);
          note();
          return was;
        },
      });
      try {
        const u8 = new Uint8Array(memory);
        const geometry = { ring: RING, offset: OFFSET, slots: 64, slotBytes: 64, discards };
        const file = { u8, i32: new Int32Array(memory), i64 };
        const reader = openRing(file, { ...geometry, availability: 0, firstSlot: 0 }, true);
        const counters = (words: readonly number[]): readonly number[] =>
          words.slice(READ_DELIVERED, READ_REJECTED + REJECT_REASONS);
        let before = counters(readCounts(file, RING, 0));
        for (let last = 3; last < 40; last += 4) {
          noteBad(reader.counts!, last, last % 8 === 3 ? READ_TORN : READ_REJECTED + REJECT_FAULT);
          moments = [];
          release(reader, last);
          const after = counters(readCounts(file, RING, last + 1));
          assert.equal(after.reduce((sum, each) => sum + each, 0), last + 1);
          assert.ok(moments.length > 2);
          for (const [step, moment] of moments.entries()) {
            const { sequence } = unpackIndex(moment[INDEX], discards);
            const left = { u8, i32: file.i32, i64: moment };
            const message = `step ${step} of the release of ${last}`;
            assert.deepEqual(
              counters(readCounts(left, RING, sequence + 1)),
              sequence === last ? after : before,
              message,
            );
          }
          before = after;
        }
      } finally {
        Object.assign(Atomics, { compareExchange, load, store });
      }
    });
  }
});
