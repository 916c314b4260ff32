import { before, describe, it } from "node:test";

describe("outer", () => {
  before(() => {
    throw new Error("no ground to stand on");
  });
  it("one", () => {});
  it("two", () => {});
});
