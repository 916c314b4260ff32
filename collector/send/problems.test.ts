import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createProblems, REPEAT_MS } from "./problems.ts";

function setUp(): {
  lines: string[];
  problems: ReturnType<typeof createProblems>;
  pass: (ms: number) => void;
} {
  const lines: string[] = [];
  let clock = 5;
  const problems = createProblems(
    (level, message) => lines.push(`${level} ${message}`),
    () => clock,
  );
  return { lines, problems, pass: (ms) => void (clock += ms) };
}

describe("problems", () => {
  it("says one once, then at most every 30 s with a count, then that it is over", () => {
    const { lines, problems, pass } = setUp();
    problems.report("a", "warn", "first");
    for (let i = 0; i < 4; i++) problems.report("a", "warn", "again");
    assert.deepEqual(lines, ["warn first"]);
    pass(REPEAT_MS);
    problems.report("a", "warn", "newest");
    assert.equal(lines[1], "warn newest (4 more since this was last said)");
    problems.recovered(() => "works");
    problems.recovered(() => "works");
    assert.deepEqual(lines.slice(2), ["info works"]);
  });

  it("keeps different problems apart", () => {
    const { lines, problems } = setUp();
    problems.report("a", "warn", "one");
    problems.report("b", "error", "two");
    assert.deepEqual(lines, ["warn one", "error two"]);
  });

  it("is not flooded by a backend that works every other time", () => {
    const { lines, problems } = setUp();
    for (let i = 0; i < 100; i++) {
      problems.report("a", "warn", "bad");
      problems.recovered(() => "good");
    }
    assert.deepEqual(lines, ["warn bad", "info good"]);
    problems.flush();
    assert.equal(lines[2], "warn bad (99 more since this was last said)");
  });

  it("does not call it a recovery when nothing was failing", () => {
    const { lines, problems } = setUp();
    problems.report("partial", "warn", "some rejected", false);
    problems.recovered(() => "good");
    assert.deepEqual(lines, ["warn some rejected"]);
  });
});
