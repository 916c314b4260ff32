import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { repairUtf8 } from "./utf8.ts";

describe("repairUtf8", () => {
  it(`leaves what is valid alone and makes the rest valid, byte for byte (seed ${seed})`, () => {
    const random = new Random();
    const strict = new TextDecoder("utf-8", { fatal: true });
    const pieces = ["a", "~", "é", "ł", "漢", "\u{ffff}", "🚲", "\u{10ffff}"];
    let damaged = 0;
    for (let turn = 0; turn < 3000; turn++) {
      const text = Array.from({ length: random.below(8) }, () => random.pick(pieces)).join("");
      const bytes = new TextEncoder().encode(`..${text}..`);
      const whole = bytes.slice();
      assert.equal(repairUtf8(bytes, 2, bytes.length - 2), 0);
      assert.deepEqual(bytes, whole);
      for (let i = bytes.length > 4 ? random.below(3) : 0; i > 0; i--) {
        bytes[2 + random.below(bytes.length - 4)] = random.below(256);
      }
      const before = bytes.slice();
      const replaced = repairUtf8(bytes, 2, bytes.length - 2);
      // Throws for what is not UTF-8.
      strict.decode(bytes);
      const changed = bytes.filter((byte, i) => byte !== before[i]);
      assert.equal(changed.length, replaced, `seed ${seed}, turn ${turn}`);
      assert.ok(changed.every((byte) => byte === 0x3f));
      if (replaced > 0) damaged++;
    }
    assert.ok(damaged > 100);
  });

  it("does not take bytes behind the end for the rest of a character", () => {
    const bytes = new TextEncoder().encode("漢");
    assert.equal(repairUtf8(bytes, 0, 2), 2);
    assert.deepEqual([...bytes], [0x3f, 0x3f, 0xa2]);
  });
});
