import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffMs, DEFAULT_BACKOFF, MAX_RETRY_AFTER_MS, retryAfterMs } from "./retry.ts";

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

describe("Retry-After", () => {
  const now = Date.parse("2026-11-21T10:00:00Z");

  it("takes seconds and dates", () => {
    assert.equal(retryAfterMs("7", undefined, now), 7000);
    assert.equal(retryAfterMs(" 0 ", undefined, now), 0);
    assert.equal(retryAfterMs("Sat, 21 Nov 2026 10:00:05 GMT", undefined, now), 5000);
    assert.equal(retryAfterMs("Saturday, 21-Nov-26 10:00:05 GMT", undefined, now), 5000);
    assert.equal(retryAfterMs("Sat, 21 Nov 2026 09:00:00 GMT", undefined, now), 0);
  });

  it("goes by the clock of who says it", () => {
    const hour = 3_600_000;
    const [said, later] = ["Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:05 GMT"];
    for (const ours of [now, now - hour, now + hour]) {
      assert.equal(retryAfterMs(later, said, ours), 5000);
      assert.equal(retryAfterMs("7", said, ours), 7000);
    }
    assert.equal(retryAfterMs(later, "nonsense", now), 5000);
  });

  it("has a limit and ignores nonsense", () => {
    assert.equal(retryAfterMs("99999999999999999999", undefined, now), MAX_RETRY_AFTER_MS);
    for (const bad of [undefined, "", "soon", "-5", "1.5", "2026-11-21", "Sat, nonsense"]) {
      assert.equal(retryAfterMs(bad, undefined, now), undefined, String(bad));
    }
  });
});
