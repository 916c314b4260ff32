/** Whose files the collector takes, what it does about links, and whom it takes for a reader. */
import assert from "node:assert/strict";
import { chownSync, existsSync, readdirSync, renameSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { lockFile, Mapping } from "../../ffi/mod.ts";
import { writeReader } from "../../lib/file/extension.ts";
import { leftoverName } from "../../lib/file/places.ts";
import { Writer } from "../../lib/writer.ts";
import { folders, once } from "../testing/run.ts";
import { isForeign } from "./ownership.ts";

const folder = folders("ownership");
const OTHER = 10_001;

/** A file with one span, whose owner is gone. */
function leave(path: string): string {
  const writer = Writer.create(path);
  writer.scope({ name: "s" }).startSpan("work").end();
  writer.close();
  return path;
}

describe("files of other users", () => {
  it("are those of neither the reader nor, for root, the directory's owner", () => {
    const path = join(folder(), "a.otlp");
    const { uid } = statSync(join(path, ".."));
    assert.equal(isForeign(path, uid + 1, uid + 1), false);
    assert.equal(isForeign(path, uid + 1, uid + 2), true);
    // Another user learns nothing from whose the directory is, root does.
    assert.equal(isForeign(path, uid, uid + 1), true);
    assert.equal(isForeign(path, uid, 0), false);
    assert.equal(isForeign(path, uid + 1, 0), true);
  });

  if (process.getuid?.() === 0) {
    it("are passed in a directory, and said once for all of a user", async () => {
      const directory = folder();
      for (const name of ["a.otlp", "b.otlp", "mine.otlp"]) leave(join(directory, name));
      for (const name of ["a.otlp", "b.otlp"]) chownSync(join(directory, name), OTHER, OTHER);
      const { code, sink, lines } = await once([directory]);
      assert.equal(code, 0);
      assert.deepEqual(sink.names, ["work"]);
      assert.deepEqual(readdirSync(directory), ["a.otlp", "b.otlp"]);
      const said = lines.filter((line) => line.includes("belongs to"));
      assert.equal(said.length, 1, lines.join("\n"));
      assert.match(said[0], /a\.otlp belongs to user 10001: it is read with --other-users only/);
    });

    it("are an error when they are named", async () => {
      const path = leave(join(folder(), "a.otlp"));
      chownSync(path, OTHER, OTHER);
      const { code, sink, lines } = await once([path]);
      assert.equal(code, 2);
      assert.deepEqual(sink.names, []);
      assert.match(lines.join("\n"), /^error .*a\.otlp belongs to user 10001/);
      assert(!existsSync(`${path}.reader`));
    });

    it("are read when that is asked for, and in a directory of their user", async () => {
      const directory = folder();
      chownSync(leave(join(directory, "a.otlp")), OTHER, OTHER);
      const asked = await once([directory], undefined, { otherUsers: true });
      assert.deepEqual([asked.code, asked.sink.names], [0, ["work"]]);
      chownSync(leave(join(directory, "b.otlp")), OTHER, OTHER);
      chownSync(directory, OTHER, OTHER);
      const theirs = await once([join(directory, "*.otlp")]);
      assert.deepEqual([theirs.code, theirs.sink.names], [0, ["work"]]);
    });
  }
});

describe("links", () => {
  it("are not followed where a file was listed, also when they came after", async () => {
    const directory = folder();
    const path = leave(join(folder(), "real.otlp"));
    const link = join(directory, "a.otlp");
    symlinkSync(path, link);
    const scan = {
      files: [{ path: link, named: false }],
      missing: [],
      refused: [],
      directories: [],
      transients: [],
    };
    const { sink, lines } = await once([], undefined, { scan: () => scan });
    assert.deepEqual(sink.names, []);
    assert.match(lines.join("\n"), /skipped: .*ELOOP/);
    assert.deepEqual((await once([join(directory, "*")])).sink.names, []);
    assert(existsSync(path));
    // What is named is looked at wherever it is.
    assert.deepEqual((await once([link])).sink.names, ["work"]);
  });
});

describe("a reader's process id", () => {
  /** Says in a file that a process has just looked at it. */
  function attach(path: string, pid: number): void {
    const mapping = Mapping.open(path);
    writeReader(mapping, pid, BigInt(Date.now()) * 1_000_000n);
    mapping.close();
  }

  it("says nothing where nobody has the lock: it may be another container's", async () => {
    const directory = folder();
    for (const [name, pid] of [["a.otlp", process.ppid], ["b.otlp", 0x7fff_fff0]] as const) {
      attach(leave(join(directory, name)), pid);
    }
    const { code, sink } = await once([directory]);
    assert.deepEqual([code, sink.names], [0, ["work", "work"]]);
  });

  it("need not be of this container, of a file that was set aside while it was read", async () => {
    for (const pid of [process.pid, 0x7fff_fff0]) {
      const directory = folder();
      const path = leave(join(directory, "a.otlp"));
      attach(path, pid);
      const lock = lockFile(`${path}.reader`);
      assert("release" in lock);
      const aside = leftoverName(path, "0123456789abcdef");
      renameSync(path, aside);
      const busy = await once([directory]);
      assert.deepEqual([busy.code, busy.sink.names], [1, []], busy.lines.join("\n"));
      assert.match(busy.lines.join("\n"), new RegExp(`read by another collector, process ${pid}`));
      lock.release();
      // Its reader was killed: what it wrote last is not waited for to grow old.
      const free = await once([directory]);
      assert.deepEqual([free.code, free.sink.names], [0, ["work"]]);
    }
  });
});
