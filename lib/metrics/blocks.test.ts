import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { Blocks, chunkOf, classFor, Handles, MAX_BLOCK, offsetOf } from "./blocks.ts";

const SMALLEST = 4;

describe("Blocks", () => {
  it(`gives blocks of zeros that do not overlap, and released ones again (seed ${seed})`, () => {
    const random = new Random();
    const blocks = new Blocks((elements) => new Float64Array(elements), SMALLEST);
    const inUse: { block: number; blockClass: number; mark: number }[] = [];
    let most = 0;
    for (let turn = 1; turn <= 5000; turn++) {
      if (random.below(100) < 55) {
        const elements = random.below(10) === 0
          ? random.below(MAX_BLOCK) + 1
          : random.below(300) + 1;
        const blockClass = classFor(elements, SMALLEST);
        const block = blocks.allocate(blockClass);
        const content = contentOf(block, blockClass);
        assert.ok(content.length >= elements && content.length < Math.max(5, 2 * elements));
        assert.ok(content.every((value) => value === 0), `seed ${seed}, turn ${turn}`);
        content.fill(turn);
        inUse.push({ block, blockClass, mark: turn });
      } else if (inUse.length > 0) {
        const [one] = inUse.splice(random.below(inUse.length), 1);
        const content = contentOf(one.block, one.blockClass);
        assert.ok(content.every((value) => value === one.mark), `seed ${seed}, turn ${turn}`);
        blocks.release(one.block, one.blockClass);
      }
      most = Math.max(most, inUse.length);
    }
    assert.ok(blocks.chunks.length > 3 && most > 100);

    function contentOf(block: number, blockClass: number): Float64Array {
      const offset = offsetOf(block);
      return blocks.chunks[chunkOf(block)].subarray(offset, offset + (SMALLEST << blockClass));
    }
  });

  it("takes no more memory for what comes and goes", () => {
    const blocks = new Blocks((elements) => new Int32Array(elements), 1);
    const round = (): void => {
      const all = Array.from({ length: 10_000 }, () => blocks.allocate(3));
      for (const block of all) blocks.release(block, 3);
    };
    round();
    const { capacity } = blocks;
    for (let turn = 0; turn < 20; turn++) round();
    assert.equal(blocks.capacity, capacity);
    assert.ok(capacity >= 80_000 && capacity < 80_000 + 2 * MAX_BLOCK);
  });
});

describe("Handles", () => {
  it(`never gives a number that is in use, and no more numbers than needed (seed ${seed})`, () => {
    const random = new Random();
    const handles = new Handles();
    const inUse = new Set<number>();
    let most = 0;
    for (let turn = 0; turn < 5000; turn++) {
      if (random.below(2) === 0) {
        const handle = handles.take();
        assert.ok(!inUse.has(handle), `seed ${seed}, turn ${turn}`);
        inUse.add(handle);
        most = Math.max(most, inUse.size);
        assert.ok(handle < most, `seed ${seed}, turn ${turn}`);
      } else if (inUse.size > 0) {
        const handle = random.pick([...inUse]);
        inUse.delete(handle);
        handles.give(handle);
      }
    }
  });
});
