import assert from "node:assert/strict";
import { it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { createBytes } from "../record/bytes.ts";
import { hashOf, NO_SERIES, ROW_WORDS, SeriesPool, STREAM, USE } from "./series.ts";

it("finds the series there are, and none that are gone", () => {
  console.log(`seed ${seed}`);
  const random = new Random();
  const pool = new SeriesPool();
  const bytes = createBytes(64);
  const length = 6;
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
  // More, fewer, neither, and again: the table is made anew when it is full, also of what is gone.
  for (let step = 0; step < 60_000; step++) {
    if (there.length === 0 || random.below(10) < [9, 1, 5, 5][Math.floor(step / 3000) % 4]) {
      const name = names++;
      const series = pool.add(name % 5, bytes, length, put(name));
      assert.equal(pool.words[series * ROW_WORDS + STREAM], name % 5);
      there.push({ name, series });
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
