/** Processes and Workers that end by themselves, without `shutdown()`. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { STATE_CLEAN, STATE_OPEN } from "../lib/format/layout.ts";
import { pointsOf } from "./support/collect.ts";
import { collectOnce, isInterrupted, observe } from "./support/collector.ts";
import { RawFile } from "./support/records.ts";
import { ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-exit-in-order-"));
after(() => rmSync(directory, { recursive: true }));

const STATE = 192;
let places = 0;

/** The state that a way to end leaves in the file, and what was recorded. */
async function end(how: string, code: number, ...thread: string[]) {
  const place = join(directory, String(++places));
  mkdirSync(place);
  const program = observe(ownRuntime, "tests/testdata/ending-well.ts", [how, place, ...thread]);
  assert.equal((await program.ended).code, code, `${how}: ${program.text()}`);
  const [name, ...more] = readdirSync(place);
  assert.deepEqual(more, []);
  const state = new RawFile(join(place, name)).view.getUint32(STATE, true);
  return { state, ...await collectOnce([place]) };
}

/** Ways to end in order. */
const IN_ORDER = ["by itself", "process.exit(0)", "exitCode 0", "beforeExit", "caught"];
/** Others, and the exit code. */
const OTHERS: [string, number][] = [
  ["process.exit(3)", 3],
  ["exitCode 3", 3],
  ["exitCode 3 at exit", 3],
  ["exception", 1],
  ["rejection", 1],
  ["rejection at work", 1],
  ["exception at exit", 1],
];
if (ownRuntime === "deno") {
  IN_ORDER.push("Deno.exit(0)");
  OTHERS.push(["Deno.exit(3)", 3]);
}

describe("an application that does not shut down", () => {
  for (const thread of [[], ["node"]]) {
    const where = thread.length === 0 ? "" : " in a Worker";
    // What a Worker does to its process is up to the runtime.
    const ways = thread.length === 0
      ? IN_ORDER
      : IN_ORDER.filter((how) => !["caught", "beforeExit", "Deno.exit(0)"].includes(how));
    for (const how of ways) {
      it(`leaves a clean file when it ends in order${where}: ${how}`, async () => {
        const { state, spans, metrics } = await end(how, 0, ...thread);
        assert.equal(state, STATE_CLEAN);
        const names = spans.map(({ span }) => span.name).sort();
        const late = how === "Deno.exit(0)" ? [] : ["at exit"];
        assert.deepEqual(names, [...late, "done", "open"]);
        for (const each of spans) assert.equal(isInterrupted(each), each.span.name === "open");
        const open = spans.find(({ span }) => span.name === "open")!;
        assert.equal(open.span.status?.message, "the process shut down before the span ended");
        assert.equal(metrics.length, 1);
        const [point] = pointsOf(metrics[0].metric);
        assert.ok("value" in point);
        assert.equal(Number(point.value.value), 7);
      });
    }
  }

  for (const [how, code] of OTHERS) {
    it(`leaves a file that is not clean after ${how}`, async () => {
      const { state, spans } = await end(how, code);
      assert.equal(state, STATE_OPEN);
      const open = spans.find(({ span }) => span.name === "open")!;
      assert.equal(open.span.status?.message, "the process ended before the span did");
    });
  }

  for (const how of ["process.exit(3)", "exception", "rejection at work"]) {
    it(`leaves a file that is not clean after ${how} in a Worker`, async () => {
      assert.equal((await end(how, 0, "node")).state, STATE_OPEN);
    });
  }

  it("loses nothing to listeners that come in the last turn", async () => {
    const { spans } = await end("listener of the last turn", 0);
    assert.ok(spans.some(({ span }) => span.name === "last turn"));
  });
});
