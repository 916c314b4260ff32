import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { lockFile } from "../ffi/mod.ts";
import { Writer } from "../lib/writer.ts";
import { ExportTraceServiceRequestSchema, type Span } from "../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf } from "../tests/support/build.ts";
import { spansOf, vector } from "../tests/support/collect.ts";
import { record } from "../tests/support/recording.ts";
import { discover } from "./discover.ts";
import { Pipeline, type PipelineOptions } from "./pipeline.ts";
import type { Sink } from "./queue.ts";
import type { Outcome } from "./send.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-pipeline-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
function folder(): string {
  const path = join(root, String(++count));
  mkdirSync(path);
  return path;
}

/** A receiver that can be told to be slow or to fail. */
class TestSink implements Sink {
  readonly spans: Span[] = [];
  readonly sizes: number[] = [];
  /** Called for each request. */
  answer: (spans: number) => Promise<Outcome> | Outcome = (spans) => accept(spans);
  private aborted: (() => void)[] = [];

  async send(body: Uint8Array, spans: number): Promise<Outcome> {
    const abort = new Promise<Outcome>((resolve) => {
      this.aborted.push(() => resolve(giveUp(spans)));
    });
    const outcome = await Promise.race([this.answer(spans), abort]);
    if (outcome.accepted > 0) {
      this.sizes.push(spans);
      const request = fromBinary(ExportTraceServiceRequestSchema, body);
      this.spans.push(...spansOf(request).map(({ span }) => span));
    }
    return outcome;
  }
  abort(): void {
    for (const each of this.aborted) each();
    this.aborted = [];
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  get names(): string[] {
    return this.spans.map(({ name }) => name).sort();
  }
}

function accept(spans: number): Outcome {
  return { accepted: spans, rejected: 0, dropped: 0 };
}

function giveUp(spans: number): Outcome {
  return { accepted: 0, rejected: 0, dropped: spans, gaveUp: true };
}

interface Run {
  readonly pipeline: Pipeline;
  readonly sink: TestSink;
  readonly lines: string[];
  readonly ended: Promise<number>;
}

function run(paths: string[], options: Partial<PipelineOptions> = {}, sink = new TestSink()): Run {
  const lines: string[] = [];
  const log = (level: string, message: string): void => {
    lines.push(`${level} ${message}`);
  };
  const discovery = discover(paths, {}, { log });
  const pipeline = new Pipeline({
    scan: discovery.scan,
    sink,
    batchSize: 100,
    flushIntervalMs: 10,
    once: false,
    keep: false,
    log,
    ...options,
  });
  return { pipeline, sink, lines, ended: pipeline.run() };
}

/** Runs to the end of what is there. */
async function once(paths: string[], sink = new TestSink()): Promise<Run & { code: number }> {
  const started = run(paths, { once: true }, sink);
  return { ...started, code: await started.ended };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never: ${what}`);
}

function interrupted(span: Span): boolean {
  return span.attributes.some(({ key }) => key === "otlp_mmap.interrupted");
}

describe("following", () => {
  it("delivers what a living process writes, and takes its file away when it is done", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory]);
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    const scope = writer.scope({ name: "s" });
    for (let i = 0; i < 250; i++) scope.startSpan(`span ${i}`).end();
    const open = scope.startSpan("open");
    await until("250 spans", () => sink.spans.length === 250);
    assert.ok(sink.sizes.every((size) => size <= 100), "no request is larger than the batch size");
    assert.ok(writer.drained);
    assert.equal(existsSync(`${file}.reader`), true);
    open.setAttributes({ late: true });
    open.end();
    await until("251 spans", () => sink.spans.length === 251);
    assert.ok(existsSync(file), "the file of a living owner stays");
    writer.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.deepEqual(pipeline.summary.interrupted, 0);
  });

  it("sends spans that never ended, and says why", async () => {
    for (const [clean, message] of [[false, /process ended before/], [true, /shut down before/]]) {
      const directory = folder();
      const { pipeline, sink, ended } = run([directory]);
      const writer = Writer.create(join(directory, "a.otlp"));
      const scope = writer.scope({ name: "s" });
      const time = 1_800_000_000_000_000_000n;
      const open = scope.startSpan("open", { time });
      scope.startSpan("child", { parent: open, time }).end({ time: time + 5n });
      open.addEvent("last", { time: time + 9n });
      await until("the child", () => sink.spans.length === 1);
      writer.close({ clean: clean as boolean });
      await until("the open one", () => sink.spans.length === 2);
      const span = sink.spans[1];
      assert.deepEqual([span.name, span.endTimeUnixNano], ["open", time + 9n]);
      assert.equal(span.status?.code, 2);
      assert.match(span.status?.message ?? "", message as RegExp);
      assert.ok(interrupted(span));
      assert.deepEqual(span.events.map(({ name }) => name), ["last"]);
      await until("no files", () => readdirSync(directory).length === 0);
      pipeline.stop();
      await ended;
    }
  });

  it("leaves named files and kept ones, and does not read them twice", async () => {
    for (const keep of [false, true]) {
      const directory = folder();
      const file = join(directory, "a.otlp");
      const { pipeline, sink, ended } = run([keep ? directory : file], { keep });
      const writer = Writer.create(file);
      writer.scope({ name: "s" }).startSpan("one").end();
      writer.close();
      await until("one span", () => sink.spans.length === 1);
      await until("the lock is given back", () => !existsSync(`${file}.reader`));
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.ok(existsSync(file));
      pipeline.stop();
      await ended;
      assert.deepEqual(sink.names, ["one"]);
    }
  });

  it("goes on with the next start of a writer at the same path", async () => {
    const file = join(folder(), "a.otlp");
    const { pipeline, sink, ended } = run([file]);
    for (const name of ["first", "second"]) {
      const writer = Writer.create(file);
      writer.scope({ name: "s" }).startSpan(name).end();
      await until(name, () => sink.names.includes(name));
      writer.close();
      await until("the lock is given back", () => !existsSync(`${file}.reader`));
    }
    pipeline.stop();
    await ended;
    assert.deepEqual(sink.names, ["first", "second"]);
  });

  it("puts generations together and takes the old ones away while the process lives", async () => {
    const directory = folder();
    const { pipeline, sink, lines, ended } = run([directory]);
    const { recorder, provider, tracer } = record({ directory });
    const long = tracer.startSpan("long", { attributes: { first: 0 } });
    for (let generation = 0; generation < 4; generation++) {
      long.setAttribute(`generation ${generation}`, true);
      long.addEvent(`event ${generation}`);
      tracer.startSpan(`short ${generation}`).end();
      const { spans } = recorder.file!;
      spans.sequenceLimit = spans.claimed + 1;
    }
    await until("the short ones", () => sink.spans.length === 4);
    // The newest, which is written to, and the one before, which its writer still looks at.
    await until("older files are gone", () => {
      return readdirSync(directory).filter((name) => name.endsWith(".otlp")).length <= 2;
    });
    long.end();
    await until("the long one", () => sink.spans.length === 5);
    const [span] = sink.spans.filter(({ name }) => name === "long");
    assert.deepEqual(
      span.attributes.map(({ key }) => key),
      ["first", ...[0, 1, 2, 3].map((generation) => `generation ${generation}`)],
    );
    assert.deepEqual(
      span.events.map(({ name }) => name),
      [0, 1, 2, 3].map((generation) => `event ${generation}`),
    );
    void provider.shutdown();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.equal(sink.spans.filter(interrupted).length, 0, lines.join("\n"));
  });

  it("reads two files of one thread beside each other", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory]);
    const writers = ["a", "b"].map((name) => Writer.create(join(directory, `${name}.otlp`)));
    for (const writer of writers) writer.scope({ name: "s" }).startSpan(writer.path).end();
    await until("a span of each", () => sink.spans.length === 2);
    for (const writer of writers) writer.close();
    pipeline.stop();
    await ended;
  });

  it("holds back when nobody takes its requests, and loses nothing", async () => {
    const directory = folder();
    const sink = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    sink.answer = async (spans) => {
      await gate;
      return accept(spans);
    };
    const { pipeline, ended } = run([directory], { batchSize: 50 }, sink);
    const writer = Writer.create(join(directory, "a.otlp"), { spans: { slots: 1024 } });
    const scope = writer.scope({ name: "s" });
    let written = 0;
    await until("the ring is full and stays so", () => {
      for (;;) {
        const span = scope.startSpan("s");
        if (span.started !== "written") break;
        written++;
        assert.equal(span.end(), "written");
      }
      return pipeline.queue.full && !writer.drained;
    });
    release();
    await until("all of them", () => sink.spans.length === written);
    writer.close();
    pipeline.stop();
    await ended;
    assert.equal(sink.spans.length, written);
  });

  it("retries a file that is still being made, and skips bad ones in a directory", async () => {
    const directory = folder();
    const builder = new FileBuilder();
    builder.simpleSpan(builder.simpleScope("s"), 1);
    const half = new FileBuilder();
    half.u8.fill(0, 8);
    const made = join(directory, "made.otlp");
    half.save(made);
    const bad = { "old.otlp": "x".repeat(100), "short.otlp": "abc" };
    for (const [name, content] of Object.entries(bad)) {
      writeFileSync(join(directory, name), content);
    }
    const { pipeline, sink, lines, ended } = run([directory]);
    await until(
      "both are said",
      () => lines.filter((line) => line.includes("skipped")).length === 2,
    );
    builder.save(made);
    const writer = Writer.create(join(directory, "good.otlp"));
    writer.scope({ name: "s" }).startSpan("good").end();
    await until("both spans", () => sink.spans.length === 2);
    pipeline.stop();
    assert.equal(await ended, 0);
    writer.close();
    for (const [name, content] of Object.entries(bad)) {
      const path = join(directory, name);
      assert.equal(readFileSync(path, "utf8"), content);
      assert.equal(lines.filter((line) => line.includes(path)).length, 1, lines.join("\n"));
      assert.ok(!existsSync(`${path}.reader`));
    }
  });

  it("waits for another reader of a file to end", async () => {
    const file = join(folder(), "a.otlp");
    const writer = Writer.create(file);
    writer.scope({ name: "s" }).startSpan("one").end();
    const lock = lockFile(`${file}.reader`);
    assert.ok("release" in lock);
    const { pipeline, sink, lines, ended } = run([file]);
    await until("it is said", () => lines.some((line) => line.includes(`process ${process.pid}`)));
    assert.deepEqual(sink.spans, []);
    lock.release();
    await until("one span", () => sink.spans.length === 1);
    pipeline.stop();
    await ended;
    assert.equal(lines.filter((line) => line.includes("is read by")).length, 1);
    writer.close();
  });
});

describe("once", () => {
  it("drains the files of other writers to the end", async () => {
    const directory = folder();
    for (const name of ["upstream-python", "upstream-java"]) {
      const { u8, size } = vector(name);
      writeFileSync(join(directory, `${name}.otlp`), u8.subarray(0, size));
    }
    const first = await once([directory]);
    assert.deepEqual([first.code, first.sink.spans.length], [0, 34]);
    assert.equal(first.sink.spans.filter(interrupted).length, 1);
    assert.equal(readdirSync(directory).length, 2, "files of other writers are theirs");
    const again = await once([directory]);
    assert.deepEqual([again.code, again.sink.spans.length], [0, 0]);
  });

  it("leaves everything for the next run when it cannot deliver", async () => {
    const directory = folder();
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    const scope = writer.scope({ name: "s" });
    for (let i = 0; i < 150; i++) scope.startSpan(`span ${i}`).end();
    scope.startSpan("open");
    writer.close({ clean: false });
    const sink = new TestSink();
    sink.answer = (spans) => giveUp(spans);
    const failed = await once([directory], sink);
    assert.equal(failed.code, 1);
    assert.ok(failed.lines.some((line) => /151 spans were not delivered/.test(line)));
    assert.ok(existsSync(file));
    const { code, sink: { spans } } = await once([directory]);
    assert.deepEqual([code, spans.length, spans.filter(interrupted).length], [0, 151, 1]);
    assert.deepEqual(readdirSync(directory), []);
  });

  it("does not keep what was refused for good", async () => {
    const directory = folder();
    const writer = Writer.create(join(directory, "a.otlp"));
    writer.scope({ name: "s" }).startSpan("bad").end();
    writer.close();
    const sink = new TestSink();
    sink.answer = (spans) => ({ accepted: 0, rejected: 0, dropped: spans });
    assert.equal((await once([directory], sink)).code, 1);
    assert.deepEqual(readdirSync(directory), []);
  });

  it("leaves the spans of a living owner that are open for the next run", async () => {
    const directory = folder();
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "s" });
    scope.startSpan("before").end();
    const open = scope.startSpan("open", { attributes: { early: 1 } });
    open.addEvent("while open");
    const first = await once([directory]);
    assert.deepEqual([first.code, first.sink.names], [0, ["before"]]);
    assert.equal(first.pipeline.summary.open, 1);
    open.end();
    const second = await once([directory]);
    assert.deepEqual([second.code, second.sink.names], [0, ["open"]]);
    const [span] = second.sink.spans;
    assert.deepEqual(span.attributes.map(({ key }) => key), ["early"]);
    assert.deepEqual(span.events.map(({ name }) => name), ["while open"]);
    assert.ok(writer.drained);
    writer.close();
  });

  it("ends with 2 for a named file that is missing or bad, and delivers the rest", async () => {
    const directory = folder();
    const bad = join(directory, "bad.otlp");
    const good = join(directory, "good.otlp");
    const version2 = new FileBuilder();
    version2.setI64(0, 2);
    version2.save(bad);
    const builder = new FileBuilder();
    builder.simpleSpan(builder.simpleScope("s"), 1);
    builder.save(good);
    const missing = join(directory, "missing.otlp");
    const { code, lines, sink } = await once([bad, good, missing]);
    assert.equal(code, 2);
    assert.deepEqual(sink.names, ["span 1"]);
    assert.ok(lines.includes(`error ${bad}: version is 2, only 1 is understood`), lines.join("\n"));
    assert.ok(lines.includes(`error ${missing}: there is no such file`), lines.join("\n"));
    const empty = join(directory, "empty.otlp");
    writeFileSync(empty, "");
    const second = await once([empty]);
    assert.deepEqual([second.code, second.lines[0]], [2, `error ${empty}: the file is empty`]);
  });

  it("says who has a file", async () => {
    const file = join(folder(), "a.otlp");
    new FileBuilder().save(file);
    const lock = lockFile(`${file}.reader`);
    assert.ok("release" in lock);
    const { code, lines } = await once([file]);
    lock.release();
    assert.equal(code, 1);
    assert.match(lines[0], /is read by another collector, process \d+$/);
  });

  it("counts so that it closes", async () => {
    const file = join(folder(), "a.otlp");
    const builder = new FileBuilder();
    const scopeRef = builder.simpleScope("s");
    builder.simpleSpan(scopeRef, 1);
    builder.put(1, Uint8Array.of(1), { publish: false });
    builder.put(1, Uint8Array.of(0xff));
    builder.event({ scopeRef, spanContext: idsOf(9), spanEvent: true, eventName: "lost" });
    builder.save(file);
    const { pipeline } = await once([file]);
    assert.match(
      pipeline.describe(),
      /^1 spans from 1 files; 1 delivered, 0 refused by the backend, 0 dropped; events 1 claimed = 1 read \+ 0 torn \+ 0 unreadable; spans 4 claimed = 2 read \+ 1 torn \+ 1 unreadable; measurements 0 claimed/,
    );
    assert.match(pipeline.describe(), /without an open span: 0 records, 1 events/);
  });
});
