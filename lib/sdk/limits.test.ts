import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_SPAN_LIMITS, resolveSpanLimits } from "./limits.ts";

describe("resolveSpanLimits", () => {
  it("gives the specification's defaults when nothing is set", () => {
    assert.deepEqual(resolveSpanLimits(undefined), {
      limits: {
        attributeCountLimit: 128,
        attributeValueLengthLimit: Infinity,
        eventCountLimit: 128,
        linkCountLimit: 128,
        attributePerEventCountLimit: 128,
        attributePerLinkCountLimit: 128,
      },
      warnings: [],
    });
  });

  it("takes the program's value before the environment's before the default", () => {
    const { limits, warnings } = resolveSpanLimits(
      { attributeCountLimit: 3, linkCountLimit: 0, attributeValueLengthLimit: Infinity },
      { attributeCountLimit: 5, eventCountLimit: 7, attributeValueLengthLimit: 9 },
    );
    assert.deepEqual(limits, {
      ...DEFAULT_SPAN_LIMITS,
      attributeCountLimit: 3,
      linkCountLimit: 0,
      eventCountLimit: 7,
      attributeValueLengthLimit: Infinity,
    });
    assert.deepEqual(warnings, []);
  });

  it("ignores values that are no limits and says so", () => {
    for (const bad of [-1, NaN, 1.5, -Infinity, "12" as unknown as number]) {
      const { limits, warnings } = resolveSpanLimits({ eventCountLimit: bad }, {
        eventCountLimit: 4,
      });
      assert.equal(limits.eventCountLimit, 4);
      assert.equal(warnings.length, 1);
      assert.ok(warnings[0].includes("eventCountLimit") && warnings[0].includes(String(bad)));
    }
  });

  it("leaves the defaults as they are", () => {
    const before = { ...DEFAULT_SPAN_LIMITS };
    resolveSpanLimits({ eventCountLimit: 1 });
    assert.deepEqual(DEFAULT_SPAN_LIMITS, before);
  });
});
