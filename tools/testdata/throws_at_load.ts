import { it } from "node:test";

it("is registered", () => {});
throw new Error("at load");
