import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FileBuilder } from "../../tests/support/build.ts";
import { type Cache, CacheBudget } from "./budget.ts";
import { dictionaryCaches, DictionaryReader } from "./read.ts";

/** One that holds what it is given. */
class Held implements Cache {
  bytes = 0;
  private readonly budget: CacheBudget;

  constructor(budget: CacheBudget) {
    this.budget = budget;
    budget.add(this);
  }

  grow(bytes: number): void {
    this.budget.grow(bytes);
    this.bytes += bytes;
  }

  startOver(): void {
    this.bytes = 0;
  }
}

describe("a budget of caches", () => {
  it("lets the largest start over, and nobody else", () => {
    const budget = new CacheBudget(1000);
    const [small, large, growing] = [1, 2, 3].map(() => new Held(budget));
    small.grow(100);
    large.grow(600);
    growing.grow(290);
    assert.equal(budget.startedOver, 0);
    growing.grow(20);
    assert.deepEqual([small.bytes, large.bytes, growing.bytes], [100, 0, 310]);
    // Itself, where it is the largest.
    growing.grow(700);
    assert.deepEqual([small.bytes, large.bytes, growing.bytes], [100, 0, 700]);
    assert.equal(budget.startedOver, 2);
  });

  it("lets as many start over as it takes", () => {
    const budget = new CacheBudget(1000);
    const all = Array.from({ length: 10 }, () => new Held(budget));
    for (const each of all) each.grow(100);
    all[0].grow(450);
    const left = all.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(left <= 1000 && left > 800, `${left} bytes`);
    assert.equal(budget.startedOver, 5);
  });

  it("does not forget what was counted of one that is small again", () => {
    const budget = new CacheBudget(1000);
    const [one, other] = [new Held(budget), new Held(budget)];
    for (let i = 0; i < 100; i++) {
      one.grow(90);
      if (i % 2 === 0) one.bytes = 0;
      other.grow(1);
      assert.ok(one.bytes + other.bytes <= 1000);
    }
    assert.equal(budget.startedOver, 0, "nothing was too much");
  });

  it("is there for all dictionaries: small files that make us remember much", () => {
    const limit = 256 << 20;
    // Text, in front of which many lengths of 60,000 stand behind one another.
    const file = new FileBuilder({ slots: 1, slotBytes: 64, dictionaryBytes: 140_000 });
    const text = new Uint8Array(130_000).fill(0x78);
    for (let i = 0; i < 1000; i += 3) text.set([0xe0, 0xd4, 0x03], i);
    const first = Number(file.entry(text)) + 3;
    const before = dictionaryCaches.startedOver;
    const readers = Array.from({ length: 20 }, () => new DictionaryReader(file, file.dictionary));
    for (const reader of readers) {
      for (let i = 0; i < 240; i++) {
        const index = reader.key(first + 3 * i);
        assert.equal(reader.items[3 * index + 1], 60_000 + 4);
      }
      const all = readers.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.ok(all <= limit, `${all} bytes`);
    }
    assert.ok(dictionaryCaches.startedOver > before);
    // Those that started over are read again.
    for (const reader of readers) {
      assert.equal(reader.items[3 * reader.key(first) + 1], 60_000 + 4);
    }
  });
});
