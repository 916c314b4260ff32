import { it } from "node:test";

it("leaves a timer", () => {
  setTimeout(() => {
    throw new Error("late");
  }, 20);
});
it("waits", () => new Promise((done) => setTimeout(done, 80)));
