import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import {
  BLOCK,
  EVENT_FILE,
  EVENT_SEQUENCE,
  LENGTH,
  NEXT,
  NONE,
  SEVERAL_FILES,
  SpanTable,
} from "./spans.ts";

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

  it("knows the first events of a process's spans by file, of the spans there are", () => {
    const table = new SpanTable();
    const add = (number: number): number => {
      const hash = table.hash(1, number, 0, 0, 0, number, 0);
      return table.insert(hash, 1, number, 0, 0, 0, number, 0, 10);
    };
    const setEvent = (index: number, file: number, sequence: number): void => {
      const base = SpanTable.base(index);
      table.meta[base + EVENT_FILE] = file;
      table.meta[base + EVENT_SEQUENCE] = sequence;
    };
    const first = add(1);
    const second = add(2);
    assert.equal(table.firstEvent(1, 7, 0), null);
    setEvent(first, 7, 2 ** 31 - 1);
    // Sequences go on beyond 31 bits.
    setEvent(second, 7, -(2 ** 31));
    assert.equal(table.firstEvent(1, 7, 0), 2 ** 31 - 1);
    assert.deepEqual([table.firstEvent(1, 8, 0), table.firstEvent(2, 7, 0)], [null, null]);
    table.remove(first);
    assert.equal(table.firstEvent(1, 7, 0), -(2 ** 31));
    table.remove(second);
    const again = add(3);
    assert.ok(again === first || again === second, "the place is used again");
    assert.equal(table.firstEvent(1, 7, 0), null);
    setEvent(again, SEVERAL_FILES, 0);
    assert.deepEqual([table.firstEvent(1, 7, 42), table.firstEvent(2, 7, 42)], [42, null]);
  });
});
