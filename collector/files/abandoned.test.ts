/** What processes that were killed leave beside their files. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { linkSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { lockFile, Mapping } from "../../ffi/mod.ts";
import { folders, once } from "../testing/run.ts";
import { discover } from "./discover.ts";

const folder = folders("abandoned");
const dead = spawnSync("true").pid;

/** Makes a file, the age of which is so many seconds. */
function put(directory: string, name: string, ageSeconds = 0): void {
  const path = join(directory, name);
  writeFileSync(path, "");
  age(path, ageSeconds);
}

function age(path: string, seconds: number): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(path, time, time);
}

describe("a reader's lock", () => {
  it("is removed when nobody holds it and its file is gone, also one in the making", async () => {
    const directory = folder();
    put(directory, "7-0a-0.0.otlp.reader");
    put(directory, `7-0a-0.1.otlp.reader.${dead}-GajTzf.tmp`, 60);
    put(directory, `7-0a-0.2.otlp.reader.${dead}-GajTzf.tmp`);
    put(directory, "notes.txt.reader");
    const held = lockFile(join(directory, "7-0a-0.4.otlp.reader"));
    assert.ok("release" in held);
    try {
      assert.equal((await once([directory])).code, 0);
      assert.deepEqual(readdirSync(directory).sort(), [
        `7-0a-0.2.otlp.reader.${dead}-GajTzf.tmp`,
        "7-0a-0.4.otlp.reader",
        "notes.txt.reader",
      ]);
    } finally {
      held.release();
    }
  });

  it("stays beside its file", () => {
    const directory = folder();
    for (const name of ["a.otlp", "a.otlp.reader", "b.otlp.reader"]) put(directory, name);
    const { transients } = discover([directory], {}, { log: () => {} }).scan();
    assert.deepEqual(transients, [{ path: join(directory, "b.otlp.reader"), maker: null }]);
  });
});

describe("a file in the making", () => {
  it("is removed when its maker is dead, and not before", async () => {
    const directory = folder();
    put(directory, `7-0a-0.0.otlp.${dead}-GajTzf.tmp`, 60);
    put(directory, `7-0a-0.1.otlp.${dead}-GajTzf.tmp`);
    put(directory, `7-0a-0.2.otlp.${process.pid}-GajTzf.tmp`, 60);
    put(directory, `notes.txt.${dead}-GajTzf.tmp`, 60);
    // As in another container: the lock says that its maker lives, the number does not.
    const mapping = Mapping.create(join(directory, "7-0a-0.3.otlp"), { bytes: 4096 });
    const [name] = readdirSync(directory).filter((each) => each.startsWith("7-0a-0.3."));
    const elsewhere = `7-0a-0.3.otlp.${dead}-GajTzf.tmp`;
    linkSync(join(directory, name), join(directory, elsewhere));
    assert.ok(mapping.lock());
    age(join(directory, elsewhere), 60);
    try {
      assert.equal((await once([directory])).code, 0);
      assert.deepEqual(
        readdirSync(directory).sort(),
        [
          `7-0a-0.1.otlp.${dead}-GajTzf.tmp`,
          `7-0a-0.2.otlp.${process.pid}-GajTzf.tmp`,
          elsewhere,
          name,
          `notes.txt.${dead}-GajTzf.tmp`,
        ].sort(),
      );
    } finally {
      mapping.discard();
      mapping.close();
    }
  });

  it("is removed beside a file that was named itself", async () => {
    const directory = folder();
    put(directory, `app.otlp.${dead}-GajTzf.tmp`, 60);
    put(directory, "app.otlp.reader");
    put(directory, `app2.otlp.${dead}-GajTzf.tmp`, 60);
    await once([join(directory, "app.otlp")]);
    assert.deepEqual(readdirSync(directory), [`app2.otlp.${dead}-GajTzf.tmp`]);
  });
});
