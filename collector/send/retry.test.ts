import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffMs, DEFAULT_BACKOFF } from "./retry.ts";

describe("backoff", () => {
  it("grows by half from one second to thirty", () => {
    const middles = [1, 2, 3, 4, 20].map((failures) => backoffMs(failures, 0.5, DEFAULT_BACKOFF));
    assert.deepEqual(middles, [1000, 1500, 2250, 3375, 30_000]);
  });

  it("is spread by half, never over the cap", () => {
    assert.equal(backoffMs(1, 0, DEFAULT_BACKOFF), 500);
    assert.ok(backoffMs(1, 0.999_999, DEFAULT_BACKOFF) > 1499);
    assert.equal(backoffMs(1000, 0.999_999, DEFAULT_BACKOFF), 30_000);
    assert.equal(backoffMs(1_000_000, 0, DEFAULT_BACKOFF), 15_000);
  });
});
