import assert from "node:assert/strict";
import { join, relative } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { ROOT } from "./runtimes.ts";
import {
  ALONE,
  findTests,
  judge,
  LONG,
  type Outcome,
  runFile,
  share,
  startsCollector,
  summary,
} from "./test.ts";

const runtime = process.versions.bun ? "bun" : "deno";

/** Runs a file of tools/testdata on the runtime of this test, with its own name left out. */
async function fixture(name: string): Promise<Outcome> {
  const outcome = await runFile({ runtime, file: join(ROOT, "tools/testdata", `${name}.ts`) });
  const prefix = `${runtime} tools/testdata/${name}.ts: `;
  const strip = (line: string): string => {
    assert.ok(line.startsWith(prefix), line);
    return line.slice(prefix.length);
  };
  return {
    passed: outcome.passed,
    failed: outcome.failed.map(strip),
    skipped: outcome.skipped.map(({ name, reason }) => ({ name: strip(name), reason })),
  };
}

describe("tools/test.ts counts", () => {
  it("passed tests, not suites and not subtests", async () => {
    assert.deepEqual(await fixture("passing"), { passed: 4, failed: [], skipped: [] });
  });

  it("failed tests, with their names and messages", async () => {
    const { passed, failed } = await fixture("failing");
    assert.equal(passed, 1);
    assert.equal(failed.length, 2);
    assert.match(failed[0]!, /^outer > fails: AssertionError: .*1 !== 2/);
    assert.equal(failed[1], "outer > rejects: Error: no; because of Error: nothing");
  });

  it("skipped tests and suites, with their reasons", async () => {
    assert.deepEqual(await fixture("skipped"), {
      passed: 1,
      failed: [],
      skipped: [
        { name: "one", reason: "no receiver here" },
        { name: "two", reason: "no reason given" },
        { name: "suite", reason: "not on this system" },
      ],
    });
  });

  it("a test that skips itself as failed", async () => {
    const { passed, failed, skipped } = await fixture("skips_in_body");
    assert.deepEqual({ passed, failed: failed.length, skipped }, {
      passed: 0,
      failed: 1,
      skipped: [],
    });
  });

  it("a failing before and a failing after", async () => {
    // Bun runs the tests all the same, Deno does not.
    const before = await fixture("before_throws");
    assert.equal(before.failed[0], "outside a test: outer > before: Error: no ground to stand on");
    const after = await fixture("after_throws");
    assert.equal(after.passed, 1);
    assert.deepEqual(after.failed, ["outside a test: outer > after: Error: could not clean up"]);
  });

  it("a throw outside a test", async () => {
    const late = await fixture("throws_late");
    assert.equal(late.failed.length, 1, String(late.failed));
    const load = await fixture("throws_at_load");
    assert.equal(load.failed.length, 1, String(load.failed));
  });

  it("tests that a process.exit(0) cut off", async () => {
    assert.deepEqual(await fixture("exits"), {
      passed: 1,
      failed: ["exits: did not finish", "never runs: did not finish"],
      skipped: [],
    });
  });

  it("a test that ran into its timeout", async () => {
    assert.deepEqual(await fixture("hangs"), {
      passed: 1,
      failed: ["hangs: did not finish"],
      skipped: [],
    });
  });

  it("a file without tests as failed", async () => {
    assert.deepEqual(await fixture("empty"), {
      passed: 0,
      failed: ["no tests in it"],
      skipped: [],
    });
  });

  it("any other end than 0 as failed", () => {
    const entries = [{ event: "test", id: 0, name: "a" }, { event: "pass", id: 0, name: "a" }];
    assert.deepEqual(judge("here", entries as Parameters<typeof judge>[1], "was ended by SIGBUS"), {
      passed: 1,
      failed: ["here: was ended by SIGBUS"],
      skipped: [],
    });
  });
});

describe("tools/test.ts", () => {
  it("finds the test files and leaves fixtures and dependencies alone", () => {
    const found = findTests(ROOT);
    assert.ok(found.includes(join(ROOT, "tools/test.test.ts")));
    assert.ok(!found.some((path) => /node_modules|testdata/.test(path)));
  });

  it("knows which of them start the collector", () => {
    const files = findTests(ROOT).filter(startsCollector).map((file) => relative(ROOT, file));
    assert.ok(files.includes("collector/main.test.ts"), files.join());
    assert.ok(!files.includes("collector/pipeline/pipeline.test.ts"), files.join());
  });

  it("begins with the long ones, one at a time while there are others", async () => {
    const begun: string[] = [];
    let endFirst = (): void => {};
    const last = new Promise<void>((resolve) => endFirst = resolve);
    await share({ long: ["soak", "outage"], rest: ["a", "b", "c"] }, 2, async (each) => {
      begun.push(each);
      // The first one goes on until everything else has begun.
      if (each === "outage") endFirst();
      if (each === "soak") await last;
    });
    assert.deepEqual(begun, ["soak", "a", "b", "c", "outage"]);
    const alone: string[] = [];
    await share({ long: ["soak", "outage"], rest: ["a"] }, 1, async (each) => {
      await Promise.resolve();
      alone.push(each);
    });
    assert.deepEqual(alone, ["soak", "outage", "a"]);
  });

  it("knows long files that there are", () => {
    const files = new Set(findTests(ROOT).map((file) => relative(ROOT, file)));
    assert.deepEqual([...LONG, ...ALONE].filter((file) => !files.has(file)), []);
  });

  it("names skipped tests in the last line only when there are any", () => {
    assert.equal(summary(3, 0, 0), "3 passed, 0 failed");
    assert.equal(summary(3, 1, 2), "3 passed, 1 failed, 2 skipped");
  });
});
