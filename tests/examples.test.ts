import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { ROOT } from "../tools/runtimes.ts";
import { ownRuntime, runCollector, type Running, start } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-examples-"));
after(() => rmSync(directory, { recursive: true }));

function example(name: string, args: string[], env: Record<string, string> = {}): Running {
  return start(ownRuntime, join(ROOT, "examples", name), args, { env });
}

describe("examples", () => {
  it("write a file and read it", async () => {
    const path = join(directory, "example.otlp");
    const written = await example("writer.ts", [path]).output;
    assert.match(written, /^end: written; 5 span records and 1 event written$/m);
    const lines = (await example("reader.ts", [path]).output).trimEnd().split("\n");
    assert.deepEqual(lines.map((line) => line.replace(/^span [0-9a-f]{16}: /, "")), [
      'start "bake bread"',
      'start "heat oven"',
      "end",
      "attributes",
      "end",
      "event hot",
    ]);
  });

  it("serve requests that the collector sees as one trace", async () => {
    const place = join(directory, "service");
    const { child, output } = example("service.ts", [], { PORT: "0", OTLP_MMAP_DIR: place });
    try {
      const [line] = await Promise.race([
        once(child.stdout!, "data"),
        // Rejects with what the service has said, should it end instead.
        output.then(() => Promise.reject(new Error("the service has ended"))),
      ]);
      const [url] = /http:\S+/.exec(line) ?? assert.fail(line);
      assert.equal(await (await fetch(url)).text(), "Hello, You!\n");
      // Not child.kill(): Deno then reports that signal as its end, whatever the end was.
      process.kill(child.pid!, "SIGTERM");
      await output;
    } finally {
      child.kill("SIGKILL");
    }
    const lines = (await runCollector(ownRuntime, place, "--once").output).trimEnd().split("\n");
    const spans = lines.filter((line) => line.includes(" span="));
    assert.deepEqual(
      spans.map((span) => / greeter (\S+ \S+)/.exec(span)?.[1]).sort(),
      ["GET client", "GET server", "GET server", "capitalize internal"],
    );
    const durations = lines.filter((line) => line.includes(" http.server.request.duration "));
    assert.deepEqual(durations.map((line) => /count=(\d+)/.exec(line)?.[1]), ["2"]);
    assert.equal(new Set(spans.map((span) => /trace=(\w+)/.exec(span)?.[1])).size, 1);
  });
});
