import assert from "node:assert/strict";
import { it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { createBytes } from "../record/bytes.ts";
import { hashOf, NO_SERIES, ROW_WORDS, SeriesPool, STREAM, USE } from "./series.ts";

it("finds the series there are, and none that are gone", () => {
  console.log(`seed ${seed}`);
  const random = new Random();
  const pool = new SeriesPool();
  const memory = pool.attributes as unknown as { make(elements: number): Int32Array };
  const { make } = memory;
  let full = false;
  memory.make = (elements) => {
    if (full) throw new RangeError("no memory");
    return make(elements);
  };
  const bytes = createBytes(4096);
  // A few fill a chunk.
  const length = 4094;
  /** A set of attributes for each name; returns its hash. */
  const put = (name: number): number => {
    bytes.view.setInt32(0, name, true);
    bytes.view.setInt32(4, 0, true);
    return hashOf(name % 5, bytes.u8, length);
  };
  const find = (name: number): number => pool.find(name % 5, bytes, length, put(name));
  const there: { name: number; series: number }[] = [];
  const gone: number[] = [];
  let names = 0;
  let most = 0;
  // More, fewer, neither, and again: the table is made anew when it is full, also of what is gone.
  for (let step = 0; step < 24_000; step++) {
    if (there.length === 0 || random.below(10) < [9, 1, 5, 5][Math.floor(step / 2000) % 4]) {
      const name = names++;
      const hash = put(name);
      const { count } = pool;
      full = random.below(2) === 0;
      let series: number;
      try {
        series = pool.add(name % 5, bytes, length, hash);
      } catch (error) {
        assert.ok(error instanceof RangeError);
        assert.deepEqual([pool.count, find(name)], [count, NO_SERIES]);
        gone.push(name);
        continue;
      }
      assert.equal(pool.words[series * ROW_WORDS + STREAM], name % 5);
      there.push({ name, series });
      most = Math.max(most, there.length);
      assert.ok(series < most, "a row is nobody's");
    } else {
      const [{ name, series }] = there.splice(random.below(there.length), 1);
      const use = pool.words[series * ROW_WORDS + USE];
      pool.remove(series);
      assert.notEqual(pool.words[series * ROW_WORDS + USE], use);
      gone.push(name);
    }
    assert.equal(pool.count, there.length);
    if (there.length > 0) {
      const { name, series } = random.pick(there);
      assert.equal(find(name), series);
    }
    if (gone.length > 0) assert.equal(find(random.pick(gone)), NO_SERIES);
  }
  for (const { name, series } of there) assert.equal(find(name), series);
  for (const name of gone) assert.equal(find(name), NO_SERIES);
});
