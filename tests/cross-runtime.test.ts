import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { RECORDS_PER_SPAN } from "./support/numbered.ts";
import { isFullSize, run, type RuntimeName } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-cross-"));
after(() => rmSync(directory, { recursive: true }));

const records = isFullSize ? 1_000_000 : 200_000;
const ways: [RuntimeName, RuntimeName][] = [["deno", "bun"], ["bun", "deno"]];

describe("one process writes, another reads at the same time", () => {
  for (const [writing, reading] of ways) {
    it(`${writing} writes ${records} records, ${reading} reads each once and whole`, {
      timeout: 300_000,
    }, async () => {
      const path = join(directory, `${writing}.otlp`);
      const spans = records / RECORDS_PER_SPAN;
      const reader = run(reading, "numbered-reader.ts", path, `${records}`);
      const writer = run(writing, "numbered-writer.ts", path, `${spans}`, "0", "create");
      try {
        const [taken] = await Promise.all([reader.output, writer.output]);
        assert.equal(Number(taken), records);
      } finally {
        reader.child.kill();
        writer.child.kill();
      }
    });
  }
});
