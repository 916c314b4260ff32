import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_RETRY_AFTER_MS, retryAfterMs } from "./retry-after.ts";

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
