import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { logs, metrics, SpanKind, SpanStatusCode, trace, ValueType } from "@opentelemetry/api";
import { startTesting, type TestingOptions } from "./testing.ts";
import { commandLineOf, ownRuntime } from "./tests/support/runtimes.ts";
import { ROOT } from "./tools/runtimes.ts";

/** One of many, of which few fit a dictionary. */
const keyOf = (i: number): string => `key ${i} ${"x".repeat(150)}`;

describe("startTesting", () => {
  it("gives what the code recorded as plain objects", async () => {
    const telemetry = startTesting({ resource: { "service.name": "tested" } });
    const tracer = trace.getTracer("scope", "1");
    tracer.startActiveSpan("outer", { kind: SpanKind.SERVER }, (outer) => {
      tracer.startSpan("inner", { attributes: { n: 1, list: ["a"], big: 2 ** 40 } }).end();
      logs.getLogger("logger").emit({ body: { a: [1, null] }, severityNumber: 9, eventName: "e" });
      outer.addEvent("event", { x: true }).setStatus({ code: SpanStatusCode.ERROR, message: "m" });
      outer.end();
    });
    tracer.startSpan("still open");
    const [inner, outer, ...rest] = telemetry.spans();
    assert.deepEqual(rest, []);
    assert.deepEqual([inner.name, inner.kind, inner.attributes], [
      "inner",
      "internal",
      { n: 1, list: ["a"], big: 2 ** 40 },
    ]);
    assert.deepEqual([inner.parentSpanId, inner.traceId], [outer.spanId, outer.traceId]);
    assert.deepEqual([outer.kind, outer.parentSpanId], ["server", ""]);
    assert.deepEqual(outer.status, { code: "error", message: "m" });
    assert.deepEqual(outer.events.map(({ name, attributes }) => [name, attributes]), [
      ["event", { x: true }],
    ]);
    assert.deepEqual(outer.scope, { name: "scope", version: "1", attributes: {} });
    assert.equal(outer.resource["service.name"], "tested");
    assert.ok(outer.end >= outer.start);
    const [log] = telemetry.logs();
    assert.deepEqual([log.body, log.severityNumber, log.eventName], [{ a: [1, null] }, 9, "e"]);
    assert.deepEqual([log.traceId, log.spanId], [outer.traceId, outer.spanId]);
    await telemetry.stop();
    assert.equal(telemetry.spans().length, 2);
  });

  it("gives metrics as of now, those of observables as well", async () => {
    const telemetry = startTesting();
    const meter = metrics.getMeter("m");
    meter.createCounter("c", { valueType: ValueType.INT, unit: "1" }).add(2, { a: "x" });
    meter.createHistogram("h", { advice: { explicitBucketBoundaries: [1] } }).record(3);
    meter.createObservableGauge("g").addCallback((result) => result.observe(7.5));
    const byName = async () =>
      Object.fromEntries((await telemetry.metrics()).map((metric) => [metric.name, metric]));
    const { c, h, g } = await byName();
    assert.deepEqual(c.points, [{ attributes: { a: "x" }, value: 2 }]);
    assert.deepEqual([c.kind, c.isMonotonic, c.temporality, c.unit], [
      "sum",
      true,
      "cumulative",
      "1",
    ]);
    assert.deepEqual(h.points, [{
      ...{ attributes: {}, count: 1, sum: 3, min: 3, max: 3 },
      ...{ bucketCounts: [0, 1], boundaries: [1] },
    }]);
    assert.deepEqual(g.points, [{ attributes: {}, value: 7.5 }]);
    meter.createCounter("c", { valueType: ValueType.INT, unit: "1" }).add(3, { a: "x" });
    assert.equal((await byName()).c.points[0].value, 5);
    await telemetry.stop();
  });

  it("forgets at reset, while open spans go on", async () => {
    await using telemetry = startTesting();
    const tracer = trace.getTracer("t");
    const open = tracer.startSpan("open", { attributes: { before: 1 } });
    tracer.startSpan("done").end();
    metrics.getMeter("m").createCounter("c").add(1);
    telemetry.reset();
    assert.deepEqual([telemetry.spans(), await telemetry.metrics()], [[], []]);
    open.end();
    const [span] = telemetry.spans();
    assert.deepEqual([span.name, span.attributes], ["open", { before: 1 }]);
    metrics.getMeter("m").createCounter("c").add(4);
    assert.equal((await telemetry.metrics())[0].points[0].value, 4);
  });

  it("serves one test after the other, and one at a time", async () => {
    for (let i = 0; i < 5; i++) {
      const telemetry = startTesting();
      assert.throws(
        () => startTesting(),
        /nothing can be recorded: .* was started in this thread before/,
      );
      trace.getTracer("t").startSpan(`test ${i}`).end();
      assert.deepEqual(telemetry.spans().map(({ name }) => name), [`test ${i}`]);
      await telemetry.stop();
    }
  });

  it("does not let a test pass that lost something", async () => {
    const telemetry = startTesting({ sizes: { spans: { slots: 64, slotBytes: 512 } } });
    for (let i = 0; i < 100; i++) trace.getTracer("t").startSpan("s").end();
    assert.throws(() => telemetry.spans(), /records were refused: \d+ of spans .*larger rings/);
    await assert.rejects(telemetry.stop(), /refused/);
  });

  it("goes on where a dictionary is full, and leaves no file behind", async () => {
    await using telemetry = startTesting({ sizes: { dictionaryBytes: 4096 } });
    const directory = dirname(telemetry.sdk.path!);
    const open = trace.getTracer("t").startSpan("open");
    let keys = 0;
    const paths = new Set<string>();
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 10; i++, keys++) {
        trace.getTracer("t").startSpan("s", { attributes: { [keyOf(keys)]: keys } }).end();
      }
      const spans = telemetry.spans();
      assert.equal(spans.length, keys);
      assert.deepEqual(spans.at(-1)!.attributes, { [keyOf(keys - 1)]: keys - 1 });
      paths.add(telemetry.sdk.path!);
    }
    open.end();
    assert.equal(telemetry.spans().at(-1)!.name, "open");
    assert.ok(paths.size > 3, `${paths.size} files`);
    assert.equal(existsSync(directory), false);
  });

  it("has a directory of its own, whatever it is given", async () => {
    const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-given-"));
    try {
      const file = join(directory, "given.otlp");
      await using telemetry = startTesting({ file, directory } as TestingOptions);
      assert.notEqual(dirname(telemetry.sdk.path!), directory);
      assert.equal(existsSync(directory), true);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("ends what it could not open, and leaves no file of it behind", async () => {
    const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-unopened-"));
    const { TMPDIR } = process.env;
    process.env.TMPDIR = directory;
    // Runs before the file is made, beside which it puts one that is none.
    const litter = {
      detect() {
        const [own] = readdirSync(directory);
        writeFileSync(join(directory, own, "other.otlp"), "not one of ours");
        return {};
      },
    };
    try {
      assert.throws(() => startTesting({ resourceDetectors: [litter] }), /other\.otlp/);
      assert.deepEqual(readdirSync(directory), []);
      assert.equal(trace.getTracer("t").startSpan("nowhere").isRecording(), false);
      await using telemetry = startTesting();
      trace.getTracer("t").startSpan("next").end();
      assert.deepEqual(telemetry.spans().map(({ name }) => name), ["next"]);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("says what to do about what was lost", async () => {
    const dictionary = startTesting({ sizes: { dictionaryBytes: 4096 } });
    for (let i = 0; i < 500; i++) {
      trace.getTracer("t").startSpan("s", { attributes: { [keyOf(i)]: 1 } }).end();
    }
    assert.throws(() => dictionary.spans(), (error: Error) => {
      assert.match(error.message, /\(dictionary_full\)\. .*sizes: \{ dictionaryBytes \}/);
      return !error.message.includes("larger rings");
    });
    await assert.rejects(dictionary.stop());
    const unusable = startTesting();
    const counter = metrics.getMeter("m").createCounter("c");
    counter.add(NaN);
    counter.add(-1);
    assert.throws(() => unusable.spans(), (error: Error) => {
      assert.match(error.message, /refused: 2 of measurements \(encode\)\. .*diag\.setLogger/);
      return !error.message.includes("sizes");
    });
    await assert.rejects(unusable.stop());
  });

  it("records what the code under test does with providers that it shuts down one by one", async () => {
    await using telemetry = startTesting();
    const { tracerProvider, meterProvider, loggerProvider } = telemetry.sdk;
    const tracer = trace.getTracer("t");
    metrics.getMeter("m").createObservableCounter("observed").addCallback((it) => it.observe(5));
    const open = tracer.startSpan("open");
    await tracerProvider!.shutdown();
    assert.equal(tracer.startSpan("late").isRecording(), false);
    open.end();
    logs.getLogger("l").emit({ body: "last" });
    await loggerProvider!.shutdown();
    logs.getLogger("l").emit({ body: "late" });
    await meterProvider!.shutdown();
    assert.deepEqual(telemetry.spans().map(({ name }) => name), ["open"]);
    assert.deepEqual(telemetry.logs().map(({ body }) => body), ["last"]);
    assert.deepEqual((await telemetry.metrics()).map(({ points }) => points[0].value), [5]);
    // Stopped again at the end.
    await telemetry.stop();
  });

  it("takes thousands of spans in one go", async () => {
    const telemetry = startTesting();
    for (let i = 0; i < 10_000; i++) trace.getTracer("t").startSpan(`s${i}`).end();
    assert.equal(telemetry.spans().length, 10_000);
    await telemetry.stop();
  });
});

describe("a test that is killed", () => {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-killed-"));
  after(() => rmSync(directory, { recursive: true }));

  it("leaves nothing behind", async () => {
    const program = join(directory, "program.ts");
    writeFileSync(
      program,
      `import { startTesting } from ${JSON.stringify(join(ROOT, "testing.ts"))};
      startTesting();
      console.log("started");
      setInterval(() => {}, 1000);`,
    );
    const [command, ...args] = commandLineOf(ownRuntime, program, []);
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: directory },
    });
    await once(child.stdout, "data");
    process.kill(child.pid!, "SIGKILL");
    await once(child, "close");
    const left = readdirSync(directory).filter((name) => name.startsWith("otlp-mmap-testing"));
    assert.deepEqual(left, []);
  });
});
