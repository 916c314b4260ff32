import { describe, it } from "node:test";

it("one", { skip: "no receiver here" }, () => {});
it.skip("two", () => {});
it("three", { skip: false }, () => {});
describe("suite", { skip: "not on this system" }, () => {
  it("four", () => {});
  it("five", () => {});
});
