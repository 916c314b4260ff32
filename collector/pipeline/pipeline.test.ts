import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { lockFile, Mapping } from "../../ffi/mod.ts";
import { MappedFile } from "../../lib/file/mapped.ts";
import { Writer } from "../../lib/writer.ts";
import type { Span } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf } from "../../tests/support/build.ts";
import { vector } from "../../tests/support/collect.ts";
import { record } from "../../tests/support/recording.ts";
import { inspect } from "../inspect/inspect.ts";
import { createTailSamplingSink } from "../tail-sampling/sink.ts";
import { putLogs } from "../testing/append.ts";
import { heldBy } from "../testing/held.ts";
import { accept, folders, giveUp, once, run, TestSink, until } from "../testing/run.ts";

const folder = folders("pipeline");

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

  it("does not wait for the decision on traces when the last process is over", async () => {
    const directory = folder();
    const sink = new TestSink();
    const policies = { errors: true, latency: null, rate: null, probability: 0 };
    const sampling = { decisionWaitMs: 600_000, maxSpans: 1_000, policies };
    const traces = createTailSamplingSink(sink.sinks.traces, () => sampling, 100);
    const { pipeline, ended } = run([directory], { sinks: { ...sink.sinks, traces } }, sink);
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "s" });
    scope.startSpan("bad").end({ status: { code: "error" } });
    scope.startSpan("good").end();
    writer.close();
    await until("two spans are held", () => traces.held === 2);
    pipeline.finish();
    assert.equal(await ended, 0);
    assert.deepEqual(sink.names, ["bad"]);
    const { accepted, filtered } = pipeline.summary.totals.traces;
    assert.deepEqual([accepted, filtered], [1, 1]);
    assert.deepEqual(readdirSync(directory), []);
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
    const { recorder, tracer } = record({ directory });
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
    recorder.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.equal(sink.spans.filter(interrupted).length, 0, lines.join("\n"));
  });

  it("holds nothing of the older generations of a process that goes on", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory]);
    const { recorder, tracer } = record({ directory });
    let count = 0;
    const next = async (generations: number): Promise<number> => {
      for (let i = 0; i < generations; i++) {
        const { spans } = recorder.file!;
        spans.sequenceLimit = spans.claimed + 1;
        tracer.startSpan(`${count++}`).end();
      }
      await until("all spans", () => sink.spans.length === count);
      await until("older files are gone", () => {
        return readdirSync(directory).filter((name) => name.endsWith(".otlp")).length <= 2;
      });
      return heldBy(pipeline);
    };
    const before = await next(10);
    const after = await next(40);
    assert.equal(pipeline.files.opened, 51);
    // One file more may be open than before, which is a few hundred; not forty.
    assert.ok(after < before + 1000, `${before} before, and after 40 generations ${after}`);
    recorder.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
  });

  it("takes the older generation away first, and leaves none behind", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory]);
    const { recorder, tracer } = record({ directory });
    const held = MappedFile.open(recorder.file!.mapping.path);
    for (let generation = 1; generation <= 4; generation++) {
      const { spans } = recorder.file!;
      spans.sequenceLimit = spans.claimed + 1;
      tracer.startSpan(`${generation}`).end();
      // From here on the writer does not look at the first any more.
      if (generation === 2) assert.ok(held.mapping.lock());
    }
    await until("all spans", () => sink.spans.length === 4);
    const [{ files }] = pipeline.files.processes.values();
    const [first] = files;
    const { retireAfter } = first;
    await until("the first can't be removed", () => first.retireAfter > retireAfter);
    held.close();
    await until("older files are gone", () => {
      return readdirSync(directory).filter((name) => name.endsWith(".otlp")).length <= 2;
    });
    recorder.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
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
      return pipeline.requests.queues.traces.full && !writer.drained;
    });
    release();
    await until("all of them", () => sink.spans.length === written);
    writer.close();
    pipeline.stop();
    await ended;
    assert.equal(sink.spans.length, written);
  });

  it("delivers logs of a living process, and goes on with them when traces are stuck", async () => {
    const directory = folder();
    const sink = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    sink.answer = async (count, signal) => {
      if (signal === "traces") await gate;
      return accept(count);
    };
    const { pipeline, ended } = run([directory], { batchSize: 1 }, sink);
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    const scope = writer.scope({ name: "s" });
    for (let i = 0; i < 20; i++) scope.startSpan(`span ${i}`).end();
    await until("traces are stuck", () => pipeline.requests.queues.traces.full);
    putLogs(file, "one", "two");
    await until("both logs", () => sink.logs.length === 2);
    for (let i = 20; i < 40; i++) scope.startSpan(`span ${i}`).end();
    putLogs(file, "three");
    await until("another log", () => sink.logs.length === 3);
    assert.equal(sink.spans.length, 0);
    assert.equal(pipeline.summary.spans, 20, "the others wait in the file");
    release();
    await until("all spans", () => sink.spans.length === 40);
    writer.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    await ended;
    assert.deepEqual(sink.bodies, ["one", "two", "three"]);
  });

  it("delivers spans when logs are stuck, and takes the file away once they went", async () => {
    const directory = folder();
    const sink = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    sink.answer = async (count, signal) => {
      if (signal === "logs") await gate;
      return accept(count);
    };
    const { pipeline, ended } = run([directory], { batchSize: 1 }, sink);
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    const scope = writer.scope({ name: "s" });
    scope.startSpan("first").end();
    const bodies = Array.from({ length: 40 }, (_, i) => `log ${i}`);
    putLogs(file, ...bodies.slice(0, 20));
    await until("logs are stuck", () => pipeline.requests.queues.logs.full);
    putLogs(file, ...bodies.slice(20));
    scope.startSpan("second").end();
    await until("the second span", () => sink.spans.length === 2);
    assert.equal(pipeline.summary.logs, 20, "the others wait in the file");
    writer.close();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.ok(existsSync(file), "its logs are not delivered");
    release();
    await until("all logs", () => sink.logs.length === 40);
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    await ended;
    assert.deepEqual(sink.bodies, bodies);
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

  it("says of a file that nobody finished what inspect says of it", async () => {
    const directory = folder();
    const file = join(directory, "a.otlp");
    writeFileSync(file, new Uint8Array(100_000));
    utimesSync(file, 1, 1);
    const [problem] = inspect(file).problems;
    assert.match(problem, /nothing but zeros .*: its writer ended .*; remove it$/);
    for (const [path, code] of [[file, 2], [directory, 0]] as const) {
      const found = await once([path]);
      assert.equal(found.code, code);
      assert.equal(found.lines.filter((line) => line.endsWith(`${file}: ${problem}`)).length, 1);
    }
    // Somebody is about to write it.
    const mapping = Mapping.open(file);
    const { code, lines } = await once([file]);
    mapping.close();
    assert.equal(code, 2);
    assert.match(lines.join("\n"), /it is still being made \(version is 0\): look again/);
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
    assert.ok(failed.lines.some((line) => /not delivered, .*: 151 spans$/.test(line)));
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

  it("leaves to the next run only what was not delivered", async () => {
    for (const refused of ["traces", "logs"] as const) {
      const directory = folder();
      const file = join(directory, "a.otlp");
      const writer = Writer.create(file);
      const span = writer.scope({ name: "s" }).startSpan("span");
      span.addEvent("event");
      span.end();
      putLogs(file, "log");
      writer.close();
      const sink = new TestSink();
      sink.answer = (count, signal) => signal === refused ? giveUp(count) : accept(count);
      const first = await once([directory], sink);
      assert.equal(first.code, 1);
      const items = refused === "traces" ? "1 span" : "1 log record";
      assert.ok(first.lines.some((line) => line.endsWith(`for the next run: ${items}`)));
      assert.ok(existsSync(file));
      const second = await once([directory]);
      assert.equal(second.code, 0);
      if (refused === "traces") {
        assert.deepEqual([first.sink.names, first.sink.bodies], [[], ["log"]]);
        assert.deepEqual(second.sink.spans[0].events.map(({ name }) => name), ["event"]);
        // The events of the span are in the same ring as the logs, which are delivered once more.
        assert.deepEqual(second.sink.bodies, ["log"]);
      } else {
        assert.deepEqual([first.sink.names, first.sink.bodies], [["span"], []]);
        assert.deepEqual([second.sink.names, second.sink.bodies], [[], ["log"]]);
      }
      assert.deepEqual(readdirSync(directory), []);
    }
  });

  it("delivers logs of a living owner once, whatever spans are open", async () => {
    const directory = folder();
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    const open = writer.scope({ name: "s" }).startSpan("open");
    putLogs(file, "first", "second");
    const first = await once([directory]);
    assert.deepEqual([first.code, first.sink.bodies, first.sink.names], [
      0,
      ["first", "second"],
      [],
    ]);
    putLogs(file, "third");
    const second = await once([directory]);
    assert.deepEqual([second.code, second.sink.bodies], [0, ["third"]]);
    open.end();
    const third = await once([directory]);
    assert.deepEqual([third.sink.bodies, third.sink.names], [[], ["open"]]);
    writer.close();
  });

  it("does not let one signal that is refused hold up the others", async () => {
    const directory = folder();
    const file = join(directory, "a.otlp");
    const writer = Writer.create(file);
    writer.scope({ name: "s" }).startSpan("span").end();
    putLogs(file, "log");
    writer.close();
    const sink = new TestSink();
    sink.answer = (count, signal) =>
      signal === "logs" ? { accepted: 0, rejected: count, dropped: 0 } : accept(count);
    const { code, pipeline } = await once([directory], sink);
    assert.equal(code, 1);
    assert.deepEqual(sink.names, ["span"]);
    assert.deepEqual(readdirSync(directory), []);
    const { traces, logs } = pipeline.summary.totals;
    assert.deepEqual([traces.accepted, logs.rejected], [1, 1]);
  });

  it("ends with 2 for a named file that is missing or bad, and delivers the rest", async () => {
    const directory = folder();
    const bad = join(directory, "bad.otlp");
    const good = join(directory, "good.otlp");
    const version3 = new FileBuilder();
    version3.setI64(0, 3);
    version3.save(bad);
    const builder = new FileBuilder();
    builder.simpleSpan(builder.simpleScope("s"), 1);
    builder.save(good);
    const missing = join(directory, "missing.otlp");
    const { code, lines, sink } = await once([bad, good, missing]);
    assert.equal(code, 2);
    assert.deepEqual(sink.names, ["span 1"]);
    assert.ok(
      lines.includes(`error ${bad}: version is 3, only 1 and 2 are understood`),
      lines.join("\n"),
    );
    assert.ok(lines.includes(`error ${missing}: there is no such file`), lines.join("\n"));
    const empty = join(directory, "empty.otlp");
    writeFileSync(empty, "");
    const second = await once([empty]);
    const said = "it is still being made (the file is empty): look again in a few seconds";
    assert.deepEqual([second.code, second.lines[0]], [2, `error ${empty}: ${said}`]);
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
    const { pipeline, lines } = await once([file]);
    const said = pipeline.describe();
    assert.deepEqual(said, [
      "1 span from 1 file: 1 delivered, 0 refused by the backend, 0 dropped",
      "0 log records: 0 delivered, 0 refused by the backend, 0 dropped",
      "0 data points of 0 measurements: 0 delivered, 0 refused by the backend, 0 dropped",
      "records of the events rings: 1 claimed = 1 read + 0 torn + 0 unreadable",
      "records of the spans rings: 4 claimed = 2 read + 1 torn + 1 unreadable",
      "records of the measurements rings: 0 claimed = 0 read + 0 torn + 0 unreadable",
      "without an open span: 0 records, 1 event",
      "unreadable, not a readable message: 1",
    ]);
    assert.deepEqual(lines, said.map((line) => `info ${line}`));
  });
});
