import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import {
  compare,
  compareRecords,
  holds,
  openSpans,
  readJournal,
  recordsHold,
} from "../examples/demo/account.ts";
import { createClient } from "../collector/page/testing/client.ts";
import { until } from "../collector/testing/run.ts";
import type { DemoLog } from "../examples/demo/signals.ts";
import type { DemoSpan } from "../examples/demo/traces.ts";
import { ROOT } from "../tools/runtimes.ts";
import { commandLineOf, ownRuntime } from "./support/runtimes.ts";

const temporary = mkdtempSync(join(tmpdir(), "otlp-mmap-test-demo-"));
after(() => rmSync(temporary, { recursive: true }));

interface Demo {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  output(): string;
}

/** In a process group of its own, as a shell starts it. */
function startDemo(): Demo {
  const [command, ...args] = commandLineOf(ownRuntime, join(ROOT, "examples/demo.ts"), []);
  const child = spawn(command, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: temporary },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  return { child, ended: once(child, "close"), output: () => output };
}

function assertNothingIsLeft(output: string): void {
  assert.deepEqual(readdirSync(temporary).filter((name) => name.startsWith("otlp-mmap")), []);
  const pids = [...output.matchAll(/: (?:\w+, )?process (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 3, output);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
}

describe("the demo", () => {
  it("proves that nothing is missing, and leaves nothing behind", async () => {
    const { child, ended, output } = startDemo();
    await ended;
    const text = output();
    assert.equal(child.exitCode, 0, text);
    assert.match(text, /^ {3}answered: 200 × 255, 409 × 30, 503 × 15$/m);
    assert.match(text, / stock bake .*CUT OFF: its process died here$/m);
    for (const [name, isKilled] of [["shop", false], ["stock", true]] as const) {
      const [, ...counts] = new RegExp(`^ +${name} ${" +(\\d+)".repeat(6)}$`, "m").exec(text) ??
        assert.fail(text);
      const [started, finished, arrived, cutOff, missing, doubled] = counts.map(Number);
      assert.ok(started > 700, text);
      assert.equal(started - finished > 2, isKilled, text);
      // The kill may come between a call's record and the line about it.
      assert.ok(arrived - started <= Number(isKilled) && arrived >= started, text);
      assert.ok(Math.abs(arrived - finished - cutOff) <= Number(isKilled), text);
      assert.deepEqual([missing, doubled], [0, 0], text);
    }
    for (const name of ["shop", "stock"]) {
      const counts = [...text.matchAll(new RegExp(`^ +${name} ${" +(\\d+)".repeat(6)}$`, "gm"))];
      assert.equal(counts.length, 2, text);
      const [emitted, arrived, missing, , counted, summed] = counts[1].slice(1).map(Number);
      assert.ok(emitted > 200 && arrived >= emitted && arrived - emitted <= 1, text);
      assert.equal(missing, 0, text);
      assert.ok(counted > 200 && summed >= counted && summed - counted <= 1, text);
    }
    assert.match(text, /^ {3}stock INFO the oven is on, for 60 s$/m);
    assert.match(text, /^ {3}stock stock\.reserved stock\.item=wedding-cake = 1$/m);
    assert.match(text, / http\.server\.request\.duration: \d+ values, .* [1-9]\d* exemplars /);
    assert.match(text, /^Nothing is missing and nothing came twice\./m);
    assertNothingIsLeft(text);
  });

  it("takes everything away when it is interrupted", async () => {
    const { child, ended, output } = startDemo();
    try {
      await until("the second step", () => {
        assert.equal(child.exitCode, null, output());
        return output().includes("\n2. ");
      }, { state: output });
      // Like Ctrl-C: to everything that was started from the terminal.
      process.kill(-child.pid!, "SIGINT");
      await ended;
      assert.equal(child.exitCode, 130, output());
      assert.doesNotMatch(output(), /could not/);
      assertNothingIsLeft(output());
    } finally {
      child.kill("SIGKILL");
    }
  });
});

// Only `script` of util-linux can play a terminal.
if (process.platform === "linux") {
  describe("the demo on a terminal", () => {
    it("goes on serving the page over its data, until Ctrl-C", async () => {
      const [command, ...args] = commandLineOf(ownRuntime, join(ROOT, "examples/demo.ts"), []);
      const line = `exec ${[command, ...args].map((word) => `'${word}'`).join(" ")}`;
      const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
        stdio: ["pipe", "pipe", "inherit"],
        env: { ...process.env, TMPDIR: temporary, SHELL: "/bin/sh", CI: "", NO_COLOR: "1" },
      });
      const ended = once(child, "close");
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
      try {
        const deadline = Date.now() + 120_000;
        while (!/Look at the crash/.test(output)) {
          assert.ok(child.exitCode === null && Date.now() < deadline, output);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        const client = await createClient(/^ {3}(http:\S+)\r$/m.exec(output)![1]);
        assert.deepEqual(await client.ask("services"), ["shop", "stock"]);
        const [crash] = await client.ask<{ resource: { id: number; service: string } }[]>(
          "crashes",
        );
        assert.equal(crash.resource.service, "stock");
        const { open } = await client.ask<{ open: { name: string }[] }>(
          "crashes/{resourceId}",
          `crashes/${crash.resource.id}`,
        );
        assert.ok(open.some(({ name }) => name === "bake"));
        child.stdin.write("\x03");
        await ended;
        assert.equal(child.exitCode, 0, output);
        assertNothingIsLeft(output);
      } finally {
        child.kill("SIGKILL");
      }
    });
  });
}

describe("the demo's account", () => {
  const journal = readJournal("start t a GET\nstart t b bake\nend t a\nstart t c cut");
  const span = (spanId: string, interrupted = false): DemoSpan => ({
    ...{ service: "s", label: "l", traceId: "t", spanId, parentSpanId: "", start: 0n, end: 0n },
    ...{ failed: false, interrupted, events: [] },
  });

  it("leaves out a line that was not written to its end", () => {
    assert.deepEqual([...journal.started], [["t a", "GET"], ["t b", "bake"]]);
    assert.deepEqual(openSpans(journal), ["t b"]);
  });

  for (
    const [what, spans, proven, unreturned = 0] of [
      ["holds when everything arrived once", [span("a"), span("b", true)], true],
      ["misses a span", [span("b", true)], false],
      ["misses the end of a span", [span("a", true), span("b", true)], false],
      ["sees a span twice", [span("a"), span("b", true), span("b", true)], false],
      ["sees a start that had not returned", [span("a"), span("b", true), span("c", true)], false],
      ["sees an end that had not returned", [span("a"), span("b")], false],
      ["allows the call that a kill cut off", [span("a"), span("b")], true, 1],
    ] as [string, DemoSpan[], boolean, number?][]
  ) {
    it(what, () => assert.equal(holds(compare(journal, spans), unreturned), proven));
  }

  it("does not hold when nothing was recorded", () => {
    assert.equal(holds(compare(readJournal(""), []), 0), false);
    assert.equal(recordsHold(compareRecords(readJournal(""), [], 0), 0), false);
  });

  it("sees log records and sums that are missing, or more than there should be", () => {
    const noted = readJournal("log t a one\nlog t a one\nlog t b two\nadd 1 c\nadd 2 c\n");
    const log = (spanId: string, text: string): DemoLog => ({
      ...{ service: "s", traceId: "t", severity: "INFO", time: 0n },
      ...{ spanId, text },
    });
    const all = [log("a", "one"), log("b", "two"), log("a", "one")];
    assert.equal(recordsHold(compareRecords(noted, all, 3), 0), true);
    assert.equal(recordsHold(compareRecords(noted, all.slice(1), 3), 0), false);
    assert.equal(recordsHold(compareRecords(noted, [...all, all[0]], 3), 0), false);
    assert.equal(recordsHold(compareRecords(noted, [...all, all[0]], 4), 1), true);
    assert.equal(recordsHold(compareRecords(noted, all, 2), 1), false);
    assert.equal(recordsHold(compareRecords(noted, all, 5), 1), false);
  });
});
