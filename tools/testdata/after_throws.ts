import { after, describe, it } from "node:test";

describe("outer", () => {
  after(() => {
    throw new Error("could not clean up");
  });
  it("one", () => {});
});
