import assert from "node:assert/strict";
import { it } from "node:test";
import { clockWords, now } from "./mod.ts";

const nanoseconds = (): bigint =>
  (BigInt(clockWords[1]) << 32n | BigInt(clockWords[0] >>> 0)) * 1_000_000_000n +
  BigInt(clockWords[2]);

it("now() is the wall clock", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  now();
  const time = nanoseconds();
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  assert.ok(time >= before && time <= after, `${before} ${time} ${after}`);
});

it("now() has nanoseconds, each call writes, and the page stays where it is", () => {
  const seen = new Set<number>();
  let last = 0n;
  for (let i = 0; i < 200_000; i++) {
    now();
    assert.ok(clockWords[2] >= 0 && clockWords[2] < 1_000_000_000 && clockWords[3] === 0);
    seen.add(clockWords[2] % 1000);
    // Allocations move what lives on the heap; a clock that wrote there would stand still.
    if (i % 1000 === 0) {
      const time = nanoseconds();
      assert.notEqual(time, last);
      last = time;
      new Array(10_000).fill({ i });
    }
  }
  assert.ok(seen.size > 500, `${seen.size} different values below a microsecond`);
});
