import assert from "node:assert/strict";
import { linkSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { discover } from "./discover.ts";
import { folders, run, until } from "../testing/run.ts";
import { createWatching } from "./watch.ts";

const folder = folders("watch");

/** Files get their names when they are whole. */
function make(directory: string, name: string): void {
  const temporary = join(directory, "x.tmp");
  writeFileSync(temporary, "x");
  linkSync(temporary, join(directory, name));
  unlinkSync(temporary);
}

describe("watching", () => {
  it("tells of new files with names of ours, also in a directory that was made again", async () => {
    const directory = folder();
    let calls = 0;
    const watching = createWatching(() => calls++);
    try {
      for (let time = 1; time <= 2; time++) {
        watching.aim([directory, join(directory, "not there")]);
        for (const name of ["a.otlp.reader", "notes.txt", "b.otlp.tmp"]) make(directory, name);
        await new Promise((resolve) => setTimeout(resolve, 200));
        assert.equal(calls, time - 1, "names of others");
        make(directory, "a.otlp");
        await until("a call", () => calls === time);
        rmSync(directory, { recursive: true });
        watching.aim([directory]);
        mkdirSync(directory);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      watching.aim([]);
      make(directory, "b.otlp");
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(calls, 2, "not watched any more");
    } finally {
      watching.close();
    }
  });

  it("has the collector look before it is time to", async () => {
    const directory = folder();
    const { scan } = discover([directory], {}, { log: () => {} });
    let scans = 0;
    const begun = performance.now();
    const { pipeline, sink, ended } = run([directory], {
      scan: () => {
        scans++;
        return scan();
      },
    });
    await until("the first look", () => scans > 0);
    for (let i = 1; i <= 10; i++) {
      const writer = Writer.create(join(directory, `${i}.otlp`));
      writer.scope({ name: "s" }).startSpan(`${i}`).end();
      await until("its span", () => sink.spans.length === i);
      writer.close();
    }
    // One every 500 ms is usual.
    const usual = Math.ceil((performance.now() - begun) / 500) + 1;
    assert.ok(scans >= usual + 5, `${scans} looks, ${usual} without any watching`);
    pipeline.stop();
    await ended;
  });
});
