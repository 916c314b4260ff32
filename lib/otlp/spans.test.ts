import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { BLOCK, LENGTH, NEXT, NONE, SpanTable } from "./spans.ts";

describe("the table of open spans", () => {
  it(`finds what is in it, keeps its bytes and the order of starts (seed ${seed})`, () => {
    const random = new Random();
    const table = new SpanTable();
    /** By id, in the order of starts: what is in the block. */
    const model = new Map<number, { index: number; bytes: number[] }>();
    // Few different words, so that ids differ in any one of them.
    const words = (id: number): [number, number, number, number, number, number, number] => [
      id % 3,
      (id >> 2) % 5 - 2,
      (id >> 4) % 7,
      1,
      (id >> 6) % 4,
      (id >> 8) - 9,
      -1,
    ];
    const key = (id: number): string => words(id).join();
    const seen = new Set<string>();
    const ids = Array.from({ length: 4000 }, (_, id) => id).filter((id) => {
      if (seen.has(key(id))) return false;
      seen.add(key(id));
      return true;
    });
    const scratch = table.arena.bytes;
    for (let turn = 0; turn < 40_000; turn++) {
      const id = random.pick(ids);
      const [process, ...rest] = words(id);
      const hash = table.hash(process, ...rest);
      const index = table.find(hash, process, ...rest);
      const known = model.get(id);
      assert.equal(index, known?.index ?? NONE, `seed ${seed}, turn ${turn}`);
      const data = Array.from({ length: random.below(90) }, () => random.below(256));
      const put = (): void => table.arena.bytes.u8.set(data, 0);
      if (known === undefined) {
        const added = table.insert(hash, process, ...rest, data.length);
        put();
        table.append(added, 0, data.length);
        model.set(id, { index: added, bytes: data });
      } else if (random.below(2) === 0) {
        assert.ok(table.reserve(index, data.length));
        put();
        table.append(index, 0, data.length);
        known.bytes.push(...data);
      } else {
        table.remove(index);
        model.delete(id);
      }
      if (turn % 4000 !== 0) continue;
      assert.equal(table.count, model.size);
      const order: number[] = [];
      for (let at = table.oldest; at !== NONE; at = table.meta[SpanTable.base(at) + NEXT]) {
        order.push(at);
      }
      assert.deepEqual(order, [...model.values()].map(({ index }) => index));
      for (const { index, bytes } of model.values()) {
        const base = SpanTable.base(index);
        const block = table.meta[base + BLOCK];
        const held = table.arena.bytes.u8.slice(block, block + table.meta[base + LENGTH]);
        assert.deepEqual([...held], bytes);
      }
    }
    assert.ok(scratch.u8.length <= table.arena.bytes.u8.length);
    for (const { index } of model.values()) table.remove(index);
    assert.equal(table.arena.inUse, 0);
    assert.equal(table.count, 0);
  });
});
