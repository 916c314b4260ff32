import process from "node:process";
import { it } from "node:test";

it("one", () => {});
it("exits", () => process.exit(0));
it("never runs", () => {});
