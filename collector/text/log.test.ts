import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { Writer } from "../../lib/writer.ts";
import { formatLine } from "./log.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-log-"));
after(() => rmSync(root, { recursive: true }));

/** The lines of a run to the end of two files, one of which is not there. */
async function linesOf(...flags: string[]): Promise<string[]> {
  const path = join(root, `${flags.join("")}.otlp`);
  const writer = Writer.create(path);
  writer.scope({ name: "s" }).startSpan("a").end();
  writer.close();
  const args = ["collect", "--once", path, join(root, "none.otlp"), ...flags];
  const collector = observe(ownRuntime, "collector/main.ts", args);
  assert.equal((await collector.ended).code, 2);
  // Spans are printed on standard output: lines of the log are the others.
  return collector.text().trimEnd().split("\n").filter((line) => !line.includes("trace="));
}

describe("the log", () => {
  it("says what happened as text, from info on", async () => {
    const lines = await linesOf();
    assert.equal(lines[0], `otlp-mmap: error: ${join(root, "none.otlp")}: there is no such file`);
    assert.match(lines[1], /^otlp-mmap: 1 span from 1 file: 1 delivered/);
    assert.ok(lines.every((line) => line.startsWith("otlp-mmap: ")), lines.join("\n"));
    assert.doesNotMatch(lines.join("\n"), /debug/);
  });

  it("says more, or less", async () => {
    const debug = (await linesOf("--log-level", "debug")).join("\n");
    assert.match(debug, /^otlp-mmap: debug: .*debug\.otlp: opened$/m);
    assert.match(debug, /^otlp-mmap: debug: .*debug\.otlp: closed$/m);
    assert.match(debug, /^otlp-mmap: 1 span /m);
    assert.deepEqual(await linesOf("--log-level", "error"), [
      `otlp-mmap: error: ${join(root, "none.otlp")}: there is no such file`,
    ]);
  });

  it("says it as JSON, one object a line", async () => {
    const began = Date.now();
    const lines = (await linesOf("--log-format", "json")).map((line) => JSON.parse(line));
    assert.deepEqual(lines[0], {
      time: lines[0].time,
      level: "error",
      message: `${join(root, "none.otlp")}: there is no such file`,
    });
    assert.equal(lines[1].level, "info");
    for (const { time, message } of lines) {
      assert.equal(new Date(time).toISOString(), time);
      assert.ok(Date.parse(time) >= began, time);
      assert.equal(typeof message, "string");
    }
  });

  it("keeps a message on one line as JSON", () => {
    const line = formatLine("json", "warn", 'a\n"b"', new Date(0));
    assert.equal(
      line,
      '{"time":"1970-01-01T00:00:00.000Z","level":"warn","message":"a\\n\\"b\\""}\n',
    );
  });
});
