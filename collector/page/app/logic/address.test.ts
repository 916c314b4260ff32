import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DEFAULT_LAST,
  first,
  formatAddress,
  LASTS,
  parseAddress,
  rangeOf,
  timeQuery,
} from "./address.ts";

describe("address", () => {
  it("gives back what was put in", () => {
    const text = "a/b?c=d&e#f% ü\n\u0000😀";
    const hash = formatAddress(["traces", text], {
      name: text,
      attribute: [text, "k=1"],
      empty: "",
      none: undefined,
    });
    const { path, query } = parseAddress(hash);
    assert.deepEqual(path, ["traces", text]);
    assert.deepEqual({ ...query }, { name: [text], attribute: [text, "k=1"] });
  });

  it("takes what somebody typed", () => {
    assert.deepEqual(parseAddress("").path, []);
    assert.deepEqual(parseAddress("#/").path, []);
    assert.deepEqual(parseAddress("#/100%").path, ["100%"]);
    assert.equal(first(parseAddress("#/traces?__proto__=x"), "__proto__"), "x");
    assert.equal(first(parseAddress("#/traces"), "constructor"), "");
  });

  it("asks for a length of time that ends now, or for a fixed stretch", () => {
    const now = 1_800_000_000_000;
    const moving = rangeOf(parseAddress("#/?last=5m"), now);
    assert.deepEqual(moving, { fromMs: now - 300_000, toMs: now, last: "5m" });
    assert.deepEqual(rangeOf(parseAddress("#/?from=5&to=9"), now), {
      fromMs: 5,
      toMs: 9,
      last: "",
    });
    for (const wrong of ["", "?last=toString", "?from=9&to=5", "?from=x&to=y"]) {
      const range = rangeOf(parseAddress(`#/${wrong}`), now);
      assert.equal(range.last, DEFAULT_LAST);
      assert.equal(range.toMs - range.fromMs, LASTS[DEFAULT_LAST]!.ms);
    }
  });

  it("keeps the time and nothing else for another view", () => {
    assert.deepEqual(timeQuery(parseAddress("#/logs?from=1&to=2&text=x")), { from: "1", to: "2" });
  });
});
