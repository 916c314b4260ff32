/** What is no regular file is refused at once, whichever command it is given to. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { folders } from "../testing/run.ts";

const folder = folders("regular");

/** What a command says, and its exit code; null when it had to be killed. */
async function refusal(...args: string[]): Promise<[code: number | null, text: string]> {
  const command = observe(ownRuntime, "collector/main.ts", args);
  const patience = setTimeout(() => void command.stop("SIGKILL"), 20_000);
  const { code } = await command.ended;
  clearTimeout(patience);
  return [code, command.text()];
}

describe("what is no regular file", () => {
  it("is not waited for when it is a pipe", async () => {
    const pipe = join(folder(), "pipe.otlp");
    execFileSync("mkfifo", [pipe]);
    for (
      const [command, reason] of [
        [
          ["collect", "--once"],
          /pipe\.otlp: ENODEV, this kind of file cannot be mapped: name a regular file /,
        ],
        [["export"], /pipe\.otlp: it is not a regular file$/m],
        [["recover"], /pipe\.otlp can't be read: it is not a regular file$/m],
        [["inspect"], /it is not a regular file: name a file that an application writes$/m],
      ] as const
    ) {
      const [code, text] = await refusal(...command, pipe);
      assert.match(text, reason);
      assert.equal(code, 2, command[0]);
    }
  });

  it("leaves a collector that follows others to its signals", async () => {
    const pipe = join(folder(), "pipe.otlp");
    execFileSync("mkfifo", [pipe]);
    const collector = observe(ownRuntime, "collector/main.ts", ["collect", "--print", pipe]);
    const patience = setTimeout(() => void collector.stop("SIGKILL"), 20_000);
    await collector.wrote(/pipe\.otlp: /);
    // Said once, though it is looked at again and again.
    await new Promise((wake) => setTimeout(wake, 1000));
    assert.deepEqual(await collector.stop(), { code: 2, signal: null });
    clearTimeout(patience);
    assert.equal(collector.text().match(/cannot be mapped/g)?.length, 1, collector.text());
  });

  it("and what is too large is not read into memory", async () => {
    const [code, text] = await refusal("recover", "/dev/zero");
    assert.match(text, /\/dev\/zero can't be read: it is not a regular file$/m);
    assert.equal(code, 2);
    const large = join(folder(), "large.otlp");
    writeFileSync(large, "");
    truncateSync(large, 2 ** 31 + 1);
    const [also, why] = await refusal("recover", large);
    assert.match(why, /can't be read: it has 2147483649 bytes: more than any writer makes$/m);
    assert.equal(also, 2);
  });
});
