/** Commands whose standard output is a pipe that is full, and that nobody reads. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { observe } from "../tests/support/collector.ts";
import { ownRuntime } from "../tests/support/runtimes.ts";
import { folders } from "./testing/run.ts";

const folder = folders("full-pipe");
const VECTOR = new URL("../tests/vectors/upstream-python.otlp.gz", import.meta.url);

/** Runs a command on a file, and asks it to end once it is under way; what it said. */
async function end(
  args: string[],
): Promise<{ code: number | null; text: string }> {
  const directory = folder();
  writeFileSync(join(directory, "vector.otlp"), gunzipSync(readFileSync(VECTOR)));
  const pipe = join(directory, "pipe");
  const paths = [directory, join(directory, "none")];
  const running = observe(ownRuntime, "collector/main.ts", [...args, ...paths], {
    shell: `mkfifo ${pipe} && exec 3<>${pipe} && ` +
      `{ timeout 0.2 cat /dev/zero >&3 || true; } && exec >${pipe}`,
  });
  await running.wrote(/waiting for/);
  const killer = setTimeout(() => process.kill(running.child.pid!, "SIGKILL"), 9000);
  const { code } = await running.stop();
  clearTimeout(killer);
  return { code, text: running.text() };
}

describe("a full pipe that nobody reads", { concurrency: true }, () => {
  it("holds up no collect that is asked to end, which says what was not written", async () => {
    const { code, text } = await end(["collect", "--print"]);
    assert.equal(code, 0, text);
    assert.match(text, /not delivered, and left in their files for the next run: 13 spans/);
  });

  it("holds up no tail that is asked to end", async () => {
    const { code, text } = await end(["tail", "--all"]);
    assert.equal(code, 1, text);
    assert.match(text, /not all lines are written/);
  });
});
