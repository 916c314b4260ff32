import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import type { inspect } from "node:util";
import { stackOf } from "./stack.ts";

class OwnError extends Error {
  override name = "OwnError";
  code = "E_OWN";
}

function make(message: string, cause?: unknown): Error {
  return new OwnError(message, { cause });
}

describe("stackOf", () => {
  it("has message and frames", () => {
    for (const message of ["broken", "two\nlines", "", "like\n      at a frame (x.ts:1:2)\nend"]) {
      const stack = stackOf(make(message, new TypeError("the cause"))) ?? "";
      // What an engine keeps of the name may be that of the class it extends.
      const head = stack.replace(/^Error/, "OwnError");
      assert.ok(head.startsWith(`OwnError${message && `: ${message}`}\n    at make (`), stack);
      assert.match(stack, /stack\.test\.ts:\d+:\d+/);
      assert.doesNotMatch(stack, /cause/);
    }
  });

  it("is `stack` where there is nothing else", () => {
    const error = new AggregateError([new Error("inner")], "several");
    assert.equal(stackOf(error), error.stack);
    const none = new Error("none");
    none.stack = undefined;
    assert.doesNotThrow(() => stackOf(none));
  });

  // Elsewhere reading it changes nothing.
  process.versions.bun !== undefined && it("leaves an error as the runtime knows it", () => {
    const { inspect: show } = (globalThis as unknown as { Bun: { inspect: typeof inspect } }).Bun;
    const error = make("broken");
    const before = show(error);
    const stack = stackOf(error);
    assert.equal(show(error), before);
    assert.ok(before.includes(stack!.split("\n")[1].trim()));
  });
});
