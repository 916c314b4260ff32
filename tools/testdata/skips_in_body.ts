import { it } from "node:test";

it("changes its mind", (t) => t.skip("too late"));
