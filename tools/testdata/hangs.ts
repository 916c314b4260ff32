import { it } from "node:test";

it("hangs", { timeout: 200 }, () => new Promise((done) => setTimeout(done, 30_000)));
it("goes on", () => {});
