/**
 * `durability: "power"`: what is synced and when, what a reader trusts after the power went, and places
 * that can't have it. The power itself stays on: what is on a disk is taken from the words that say so.
 */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, describe, it } from "node:test";
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { openJournal } from "../collector/journal/journal.ts";
import type { Pipeline } from "../collector/pipeline/pipeline.ts";
import { accept, type Run, run as collect, TestSink, until } from "../collector/testing/run.ts";
import { inspect } from "../collector/inspect/inspect.ts";
import { Mapping } from "../ffi/mod.ts";
import { whyNoDisk } from "../lib/file/disk.ts";
import { closes } from "../lib/file/ledger.ts";
import { FileWriter } from "../lib/file/write.ts";
import { EXT_BOOT_ID, EXT_SYNCED } from "../lib/format/layout.ts";
import { Reader } from "../lib/reader.ts";
import type { Recorder } from "../lib/sdk/recorder.ts";
import { type Sdk, start, type StartOptions } from "../lib/sdk/start.ts";
import { observe } from "./support/collector.ts";
import { ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-durability-"));
after(() => rmSync(directory, { recursive: true }));
let sdk: Sdk | undefined;
let said: string[] = [];
afterEach(async () => {
  await sdk?.shutdown();
  diag.disable();
  said = [];
});

function run(options: StartOptions): Sdk {
  const say = (message: string): void => void said.push(message);
  const logger = { error: say, warn: say, info() {}, debug() {}, verbose() {} };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  sdk = start({ env: {}, resourceDetectors: [], ...options });
  assert.ok(sdk.recording, `${sdk.reason}`);
  return sdk;
}

/** The number of events and spans that a file says are on the disk. */
function syncedOf(path: string): number[] {
  const file = Mapping.open(path);
  const synced = [0, 1].map((ring) => Number(Atomics.load(file.i64, EXT_SYNCED / 8 + ring)));
  file.close();
  return synced;
}

/** The only process is dead, and was read to its end. */
function isOver({ files }: Pipeline): boolean {
  const [process] = files.processes.values();
  return process?.over === true;
}

const small = { slots: 16, slotBytes: 256 };

// Elsewhere nothing is known of places, and so it can't be had.
if (process.platform === "linux" && whyNoDisk(directory) === null) {
  describe("durability power", () => {
    it("syncs by itself, at once after an error, and at the end", async () => {
      const { tracerProvider, loggerProvider, path } = run({ directory, durability: "power" });
      assert.deepEqual(said, []);
      tracerProvider!.getTracer("t").startSpan("one").end();
      await until("the sync of every second", () => syncedOf(path!)[1] === 2);
      const logger = loggerProvider!.getLogger("l");
      logger.emit({ severityNumber: 17, body: "severe" });
      await until("the sync after an error", () => syncedOf(path!)[0] === 1);
      logger.emit({ severityNumber: 9, body: "not severe" });
      await sdk!.shutdown();
      assert.deepEqual(syncedOf(path!), [2, 2]);
    });

    it("uses slots again only when their release is on the disk", async () => {
      const { loggerProvider, path } = run({
        directory,
        durability: "power",
        sizes: { events: small },
      });
      const logger = loggerProvider!.getLogger("l");
      for (let i = 0; i < 15; i++) logger.emit({ body: i });
      const reader = Reader.open(path!);
      assert.equal(reader.poll().length, 15);
      reader.release();
      logger.emit({ body: "too early" });
      assert.equal(reader.ledger()[0].refused.ring_full, 1);
      await until("a sync after the release", () => {
        logger.emit({ body: "again" });
        return reader.ledger()[0].claimed > 15;
      });
      reader.close();
    });

    it("has readers trust what was synced, and no more, when the system has stopped", async () => {
      const { loggerProvider, path } = run({ directory, durability: "power" });
      const logger = loggerProvider!.getLogger("l");
      for (let i = 0; i < 5; i++) logger.emit({ body: i });
      await sdk!.shutdown();
      // As it would be found after two more were written, another boot ago.
      const file = Mapping.open(path!);
      file.u8[EXT_BOOT_ID] ^= 1;
      assert.doesNotMatch(inspect(path!).notes.join(), /the system stopped/);
      Atomics.store(file.i64, EXT_SYNCED / 8, 3n);
      file.close();
      assert.match(
        inspect(path!).notes.join(),
        /the system stopped after this .*; 2 records of the events ring can't be trusted/,
      );
      const reader = Reader.open(path!);
      assert.equal(reader.owner(), "clean");
      const bodies = reader.poll().map((record) => "body" in record ? record.body : record);
      assert.deepEqual(bodies, [0n, 1n, 2n]);
      reader.release();
      const [events] = reader.ledger();
      assert.deepEqual([events.delivered, events.torn], [3, 2]);
      assert.ok(closes(events));
      reader.close();
    });

    it("has a collector sync once what is stored of the dead, whatever becomes of their file", async () => {
      const files = join(directory, "collected");
      const application = observe(ownRuntime, "tests/testdata/power-writer.ts", [files]);
      await application.wrote(/\.otlp\n/);
      const path = application.text().trim();
      await until("some is synced", () => syncedOf(path)[1] > 10);
      await application.stop("SIGKILL");
      let syncs = 0;
      const journal = openJournal({
        directory: join(directory, "journal"),
        lastMark: () => null,
        syncStored: () => void syncs++,
        log: () => {},
      });
      const sink = new TestSink();
      let answer = (): void => {};
      const answered = new Promise<void>((resolve) => answer = resolve);
      sink.answer = (count) => answered.then(() => accept(count));
      const { pipeline, ended } = collect([files], { journal }, sink);
      const file = Mapping.open(path);
      // As soon as nobody else has to look at it.
      await until("all is taken", () => isOver(pipeline) && file.lock());
      const before = syncs;
      answer();
      await until("it is stored", () => syncs > before);
      for (let turns = 0, last = 0; turns < 10;) {
        await until("the next turn", () => pipeline.turnedAt > last);
        last = pipeline.turnedAt;
        turns++;
      }
      assert.equal(syncs, before + 1);
      assert.ok(existsSync(path));
      file.close();
      await until("it is removed", () => !existsSync(path));
      pipeline.stop();
      await ended;
    });

    it("has a collector keep a former file until what was taken of it is on the disk", async () => {
      const files = join(directory, "generations");
      const { tracerProvider, path } = run({ directory: files, durability: "power" });
      const { settings } = tracerProvider as unknown as { settings: { recorder: Recorder } };
      const journal = openJournal({
        directory: join(directory, "generations-journal"),
        lastMark: () => null,
        syncStored: () => {},
        log: () => {},
      })!;
      const { secure } = journal;
      journal.secure = () => false;
      const { pipeline, sink, ended } = collect([files], { journal });
      const tracer = tracerProvider!.getTracer("t");
      tracer.startSpan("former").end();
      const { spans } = settings.recorder.file!;
      spans.sequenceLimit = spans.claimed + 1;
      tracer.startSpan("latter").end();
      await until("both are sent", () => sink.spans.length === 2);
      const [{ files: followed }] = pipeline.files.processes.values();
      await until("it is known as former", () => followed[0].owner === "superseded");
      const { retire } = pipeline.files;
      let retired = 0;
      pipeline.files.retire = (file) => {
        retired++;
        retire.call(pipeline.files, file);
      };
      // Owners are asked after, and former files looked at, once a second.
      const from = performance.now();
      await until("it was looked at", () => pipeline.turnedAt > from + 1500);
      assert.equal(retired, 0);
      assert.ok(existsSync(path!));
      journal.secure = secure;
      await until("it is done with", () => retired > 0);
      await sdk!.shutdown();
      pipeline.stop();
      await ended;
    });

    it("has a collector sync what it stored before a checkpoint knows nothing of it any more", async () => {
      const files = join(directory, "checkpoints");
      const { loggerProvider } = run({ directory: files, durability: "power" });
      const sink = new TestSink();
      let synced = 0;
      const journal = openJournal({
        directory: join(directory, "checkpoints-journal"),
        lastMark: () => null,
        syncStored: () => void (synced = sink.logs.length),
        log: () => {},
        logBytes: 1000,
      })!;
      let checkpoints = 0;
      const { checkpoint } = journal;
      journal.checkpoint = () => {
        const stored = sink.logs.length;
        const isMade = checkpoint.call(journal);
        if (isMade && stored > 0) checkpoints++;
        if (isMade) assert.equal(synced, stored);
        return isMade;
      };
      const { pipeline, ended } = collect([files], { journal }, sink);
      const logger = loggerProvider!.getLogger("l");
      await until("checkpoints are made", () => {
        logger.emit({ severityNumber: 9, body: "some text that fills the journal".repeat(5) });
        return checkpoints > 2;
      });
      await sdk!.shutdown();
      pipeline.stop();
      await ended;
    });

    it("has a collector that goes on from its journal sync what is stored, though the file is gone", async () => {
      const files = join(directory, "gone");
      const journals = join(directory, "journals");
      const application = observe(ownRuntime, "tests/testdata/power-writer.ts", [files]);
      await application.wrote(/\.otlp\n/);
      const path = application.text().trim();
      await until("two requests are synced", () => syncedOf(path)[1] > 400);
      await application.stop("SIGKILL");
      let syncs = 0;
      let told = 0;
      /** Answers a request, then the others once it is told to. */
      const collector = (name: string, first: number): Run & { answer(): void } => {
        const journal = openJournal({
          directory: join(journals, name),
          lastMark: () => null,
          syncStored: () => void syncs++,
          onSynced: () => void told++,
          log: () => {},
        });
        const sink = new TestSink();
        let answer = (): void => {};
        const answered = new Promise<void>((resolve) => answer = resolve);
        sink.answer = (count) => first-- > 0 ? accept(count) : answered.then(() => accept(count));
        return { ...collect([files], { journal }, sink), answer };
      };
      /** What is there when the collector is killed now. */
      const kill = (from: string, to: string): void =>
        cpSync(join(journals, from), join(journals, to), { recursive: true });
      const end = async (
        { pipeline, ended, answer }: ReturnType<typeof collector>,
      ): Promise<void> => {
        answer();
        pipeline.stop();
        await ended;
      };

      const first = collector("a", 0);
      await until("all is taken", () => isOver(first.pipeline));
      kill("a", "b");
      assert.equal(told, 0);
      await end(first);
      assert.equal(existsSync(path), false);
      const spans = first.sink.names;

      syncs = 0;
      const second = collector("b", 1);
      assert.equal(told, 1, "before anything is stored");
      await until("a request is stored", () => second.sink.spans.length > 0);
      const { turnedAt } = second.pipeline;
      await until("that may be written", () => second.pipeline.turnedAt > turnedAt);
      kill("b", "c");
      assert.equal(syncs, 0, "with the power all would be gone");
      second.answer();
      await until("its process is forgotten", () => second.pipeline.files.processes.size === 0);
      assert.ok(syncs > 0);
      await end(second);
      assert.deepEqual(second.sink.names, spans);

      const third = collector("c", Infinity);
      await until("all is stored", () => third.sink.spans.length === spans.length);
      await end(third);
      assert.deepEqual(third.sink.names, spans);
    });

    it("says that it has ended once all is on the disk", async () => {
      const { loggerProvider, path } = run({ directory, durability: "power" });
      for (let i = 0; i < 3; i++) loggerProvider!.getLogger("l").emit({ body: i });
      const { finish } = FileWriter.prototype;
      let synced: number[] = [];
      FileWriter.prototype.finish = function (state) {
        synced = syncedOf(path!);
        finish.call(this, state);
      };
      try {
        await sdk!.shutdown();
      } finally {
        FileWriter.prototype.finish = finish;
      }
      assert.deepEqual(synced, [3, 0]);
    });

    it("can't be had in memory, nor while the oldest are discarded", async () => {
      run({ directory: mkdtempSync("/dev/shm/otlp-mmap-test-"), durability: "power" });
      const { path } = sdk!;
      after(() => rmSync(join(path!, ".."), { recursive: true }));
      assert.equal(said.length, 1);
      assert.match(
        said[0],
        /^durability "power" can't be had: \/dev\/shm\S+: it is in memory \(tmpfs\)\. .*OTLP_MMAP_DIR/,
      );
      await sdk!.shutdown();
      run({ directory, env: { OTLP_MMAP_DURABILITY: "power", OTLP_MMAP_OVERFLOW: "oldest" } });
      assert.match(said[1], /overflow "oldest" uses slots again before they are on the disk/);
    });
  });
}
