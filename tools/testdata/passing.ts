import assert from "node:assert/strict";
import { describe, it, test } from "node:test";

describe("outer", () => {
  describe("inner", () => {
    it("first", () => assert.ok(true));
    it("second", { timeout: 5_000 }, async () => await Promise.resolve());
  });
  it("beside inner", () => {});
});

test("with subtests", async (t) => {
  await t.test("sub", () => {});
});
