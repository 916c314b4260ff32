/** What is brought to the disk, and when: files, their names, and folders. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { folders } from "../../collector/testing/run.ts";
import { ownRuntime, start } from "../../tests/support/runtimes.ts";
import { ROOT } from "../../tools/runtimes.ts";

const folder = folders("spool-sync");
const PROGRAM = join(ROOT, "lib/spool/testing/synced.ts");
const STAND_IN = ownRuntime === "bun"
  ? ["--preload", join(ROOT, "lib/spool/testing/calls.bun.ts")]
  : [`--import-map=${join(ROOT, "lib/spool/testing/calls.json")}`];
const SEGMENT = "new/spool/traces/N.tmp";
const COMPLETE = `rename ${SEGMENT} new/spool/traces/N.seg`;

const MARK = "new/spool/traces/OWNER.new";
/** The mark is on the disk before it has its name, and what it was in is removed. */
const CLOSED = [
  `acknowledge ${SEGMENT}`,
  `acknowledge ${SEGMENT}`,
  `sync ${SEGMENT}`,
  COMPLETE,
  `open ${MARK}`,
  `sync ${MARK}`,
  `rename ${MARK} new/spool/traces/N.mark`,
];

/** What is done up to each step. */
async function steps(sync: string): Promise<string[][]> {
  const output = await start(ownRuntime, PROGRAM, [folder(), sync], { flags: STAND_IN }).output;
  return output.trim().split("\n--\n").map((step) => step.split("\n"));
}

describe("a spool that waits for the disk", () => {
  for (const sync of ["record", "asked"]) {
    it(`with each request, ${sync}, waits for the names of its file and folders, once`, async () => {
      const [opened, first, second, synced, closed] = await steps(sync);
      assert.deepEqual(opened.slice(0, 3), ["sync new/spool", "sync new", "sync ."]);
      const stored = [`open ${SEGMENT}`, `sync ${SEGMENT}`, "sync new/spool/traces"];
      assert.deepEqual(first, stored);
      assert.deepEqual(second, [`sync ${SEGMENT}`, COMPLETE, ...stored]);
      assert.deepEqual(synced, [`sync ${SEGMENT}`]);
      assert.deepEqual(closed, CLOSED);
    });
  }

  it("from time to time waits for them then", async () => {
    const [, first, second, synced, closed] = await steps("1000000");
    assert.deepEqual(first, [`open ${SEGMENT}`]);
    const all = [`sync ${SEGMENT}`, "sync new/spool/traces"];
    assert.deepEqual(second, [...all, COMPLETE, `open ${SEGMENT}`]);
    assert.deepEqual(synced, all);
    assert.deepEqual(closed, CLOSED);
  });

  it("waits for what somebody else has written and not waited for", async () => {
    const adopted = (await steps("record"))[5];
    const path = "killed/traces/N";
    assert.deepEqual(adopted.slice(-4), [
      `rename ${path}.tmp ${path}.seg`,
      `open ${path}.seg`,
      `sync ${path}.seg`,
      "sync killed/traces",
    ]);
  });
});
