/**
 * What the system refuses while the collector runs: it stays up, says so once, and goes on by itself.
 */
import assert from "node:assert/strict";
import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { observe, receivedBy, waitForSpans } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { mountTmpfs } from "../../tests/support/tmpfs.ts";
import { folders, once, run, TestSink, until } from "../testing/run.ts";

const folder = folders("trouble");
const SMALL = { slots: 16, slotBytes: 512 };

function write(directory: string, name: string): Writer {
  const writer = Writer.create(join(directory, `${name}.otlp`), {
    spans: SMALL,
    events: SMALL,
    measurements: SMALL,
    dictionaryBytes: 4096,
  });
  writer.scope({ name: "s" }).startSpan(name).end();
  return writer;
}

/** What processes that were killed left: a span in each of so many files. */
function leave(directory: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, i) => `file ${i}`);
  for (const name of names) write(directory, name).close({ clean: false });
  return names.sort();
}

/** Waits for two looks for files and at owners. */
function looks(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2200));
}

describe("trouble while following", () => {
  it("keeps what the dead left in their files until somebody has it", async () => {
    const directory = folder();
    const names = leave(directory, 3);
    const away = new TestSink();
    // Until it is stopped.
    away.answer = () => new Promise(() => {});
    const first = run([directory], {}, away);
    await until("all of them read", () => first.pipeline.files.opened === 3);
    await looks();
    first.pipeline.stop();
    await first.ended;
    const again = await once([directory]);
    assert.deepEqual(again.sink.names, names, first.lines.join("\n"));
  });

  it("goes on with a directory that is removed, and made again", async () => {
    const directory = folder();
    const { pipeline, sink, lines, ended } = run([directory]);
    const before = write(directory, "before");
    await until("one span", () => sink.spans.length === 1);
    rmSync(directory, { recursive: true });
    before.scope({ name: "s" }).startSpan("without a name").end();
    await until("what is written to a file without a name", () => sink.spans.length === 2);
    await looks();
    before.close();
    mkdirSync(directory);
    const after = write(directory, "after");
    await until("the new file's", () => sink.spans.length === 3);
    after.close();
    await until("no files", () => readdirSync(directory).length === 0);
    await until("no processes", () => pipeline.files.processes.size === 0);
    assert.deepEqual(lines, [
      `info waiting for ${directory}, which is gone`,
      `info ${directory} is there`,
    ]);
    pipeline.stop();
    assert.equal(await ended, 0);
  });

  it("goes on with a directory that can't be looked at for a while", async () => {
    const directory = folder();
    const { pipeline, sink, lines, ended } = run([directory]);
    const writer = write(directory, "first");
    await until("one span", () => sink.spans.length === 1);
    // Unlike a mode, a link to itself keeps root out as well.
    renameSync(directory, `${directory} aside`);
    symlinkSync(directory, directory);
    writer.scope({ name: "s" }).startSpan("second").end();
    await until("what is written meanwhile", () => sink.spans.length === 2);
    await looks();
    writer.close({ clean: false });
    await looks();
    assert.equal(pipeline.files.processes.size, 1, "not known to be dead");
    unlinkSync(directory);
    renameSync(`${directory} aside`, directory);
    await until("no files", () => readdirSync(directory).length === 0);
    await until("all is over", () => lines.length === 4);
    const [owner, place] = lines.slice(0, 2).sort();
    assert.match(owner, /^warn not known whether its owner lives: .*ELOOP/);
    assert.match(place, /^warn not looked at: .* can't be looked at: ELOOP/);
    assert.deepEqual(lines.slice(2).sort(), [
      "info it is known again which owners live",
      `info this is over: ${place.slice("warn ".length)}`,
    ]);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.deepEqual(sink.names, ["first", "second"]);
  });

  it("reads more files than can be open, one after the other", async () => {
    for (const isOnce of [false, true]) {
      const directory = folder();
      const names = leave(directory, 30);
      // Room for 4 files.
      const started = run([directory], { descriptors: 72, once: isOnce });
      const { pipeline, sink, lines, ended } = started;
      await until("all spans", () => sink.spans.length === names.length);
      if (!isOnce) {
        await until("all are said to be read", () => lines.some((line) => /again$/.test(line)));
        await until("no files", () => readdirSync(directory).length === 0);
        pipeline.stop();
      }
      assert.equal(await ended, 0);
      assert.deepEqual(sink.names, names);
      assert.deepEqual(readdirSync(directory), []);
      assert.match(lines[0], /^warn 4 files are read, and no more can be open at a time/);
      assert.equal(lines[1], "info all files are read again");
      assert.equal(lines.filter((line) => line.startsWith("warn")).length, 1, lines.join("\n"));
    }
  });

  it("ends with 1 when --once can't read all since owners live", async () => {
    const directory = folder();
    const writers = [1, 2, 3].map((i) => write(directory, `${i}`));
    const { code, sink } = await once([directory], undefined, { descriptors: 68 });
    assert.equal(code, 1);
    assert.deepEqual(sink.names, ["1", "2"]);
    for (const writer of writers) writer.close();
  });

  it("keeps within the limit on descriptors", { timeout: 60_000 }, async () => {
    const directory = folder();
    const names = leave(directory, 300);
    const sink = await startSink();
    const collector = observe(
      ownRuntime,
      "collector/main.ts",
      ["collect", "--endpoint", sink.url, directory],
      { shell: "ulimit -n 200" },
    );
    try {
      await waitForSpans(sink, names.length, 30_000);
      await until("no files", () => readdirSync(directory).length === 0);
      const { code } = await collector.stop();
      assert.equal(code, 0, collector.text());
      assert.deepEqual(receivedBy(sink).map(({ span }) => span.name).sort(), names);
      assert.match(collector.text(), /warn: 68 files are read, and no more can be open/);
      assert.doesNotMatch(collector.text(), /EMFILE/);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });
});

const disk = folder();
const unmount = mountTmpfs(disk, "size=512k");
// Only root can make a disk of its own, which can then be filled up.
if (unmount !== undefined) {
  describe("a full disk", () => {
    it("is said once, and what waits for room is read when there is some", async () => {
      const filler = join(disk, "filler");
      try {
        const [first, second] = ["first", "second"].map((name) => write(disk, name));
        writeFileSync(filler, "");
        const { bsize, bfree } = statfsSync(disk);
        writeFileSync(filler, new Uint8Array(bsize * bfree));
        const { pipeline, sink, lines, ended } = run([disk]);
        await until("a line", () => lines.length > 0);
        await looks();
        assert.deepEqual(sink.names, []);
        assert.equal(lines.length, 1, lines.join("\n"));
        assert.match(lines[0], /^warn no more files are read now: .*ENOSPC/);
        unlinkSync(filler);
        await until("both", () => sink.spans.length === 2);
        first.close();
        second.close();
        await until("no files", () => readdirSync(disk).length === 0);
        assert.deepEqual(lines.slice(1), ["info all files are read again"]);
        pipeline.stop();
        assert.equal(await ended, 0);
      } finally {
        unmount();
      }
    });
  });
}
