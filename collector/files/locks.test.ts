/** What readers that were killed leave beside files that are gone. */
import assert from "node:assert/strict";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { lockFile } from "../../ffi/mod.ts";
import { folders, once } from "../testing/run.ts";
import { discover } from "./discover.ts";

const folder = folders("locks");

describe("a reader's lock", () => {
  it("is removed when nobody holds it and its file is gone, also one in the making", async () => {
    const directory = folder();
    const put = (name: string, ageSeconds = 0): void => {
      const path = join(directory, name);
      writeFileSync(path, "");
      const time = Date.now() / 1000 - ageSeconds;
      utimesSync(path, time, time);
    };
    put("7-0a-0.0.otlp.reader");
    put("7-0a-0.1.otlp.reader.99-GajTzf.tmp", 60);
    put("7-0a-0.2.otlp.reader.99-GajTzf.tmp");
    put("7-0a-0.3.otlp.99-GajTzf.tmp", 60);
    put("notes.txt.reader");
    const held = lockFile(join(directory, "7-0a-0.4.otlp.reader"));
    assert.ok("release" in held);
    try {
      assert.equal((await once([directory])).code, 0);
      assert.deepEqual(readdirSync(directory).sort(), [
        "7-0a-0.2.otlp.reader.99-GajTzf.tmp",
        "7-0a-0.3.otlp.99-GajTzf.tmp",
        "7-0a-0.4.otlp.reader",
        "notes.txt.reader",
      ]);
    } finally {
      held.release();
    }
  });

  it("stays beside its file", () => {
    const directory = folder();
    for (const name of ["a.otlp", "a.otlp.reader", "b.otlp.reader"]) {
      writeFileSync(join(directory, name), "");
    }
    const { locks } = discover([directory], {}, { log: () => {} }).scan();
    assert.deepEqual(locks, [join(directory, "b.otlp.reader")]);
  });
});
