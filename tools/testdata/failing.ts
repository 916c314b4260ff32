import assert from "node:assert/strict";
import { describe, it } from "node:test";

describe("outer", () => {
  it("fails", () => assert.equal(1, 2));
  it("rejects", async () => await Promise.reject(new Error("no", { cause: new Error("nothing") })));
  it("passes", () => {});
});
