/**
 * The collector beside applications that come, record and go.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { until } from "../collector/testing/run.ts";
import type { FileSizes } from "../lib/file/write.ts";
import { type Sdk, start, type StartOptions } from "../lib/sdk/start.ts";
import { ExportTraceServiceRequestSchema } from "../proto/gen/otlp_pb.ts";
import { type Sink, startSink } from "./peers/sink.ts";
import { type CollectedSpan, spansOf } from "./support/collect.ts";
import {
  isInterrupted,
  type Observed,
  plainAttributes,
  receivedBy,
  startCollector,
  waitForSpans,
} from "./support/collector.ts";
import { type Program, startProgram, startProgramOn } from "./support/programs.ts";
import { Random, seed } from "./support/random.ts";
import { hex } from "./support/records.ts";
import { otherRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-live-"));
after(() => rmSync(directory, { recursive: true }));

/** Milliseconds within which whatever is waited for has to happen. */
const PATIENCE = 20_000;

/** Room for a burst that no collector can read while it comes. */
const SIZES: FileSizes = { events: { slots: 4096, slotBytes: 256 } };

const newPlace = (): string => mkdtempSync(join(directory, "place-"));

/** Everything that a test starts, ended with it. */
class Stage {
  readonly place = newPlace();
  private readonly ends: (() => unknown)[] = [];

  async sink(): Promise<Sink> {
    const sink = await startSink();
    this.ends.push(() => sink.stop());
    return sink;
  }

  collector(...args: Parameters<typeof startCollector>): Observed {
    const collector = startCollector(...args);
    this.ends.push(() => collector.stop("SIGKILL"));
    return collector;
  }

  /** An application in a process of its own. */
  async application(starting: Promise<Program>, options: StartOptions = {}): Promise<Program> {
    const program = await starting;
    this.ends.push(() => program.stop("kill"));
    const sizes = { ...SIZES, ...options.sizes };
    await program.ask({ op: "start", options: { directory: this.place, ...options, sizes } });
    return program;
  }

  /** An application that is the test itself. */
  sdk(options: StartOptions = {}): Sdk {
    const sdk = start({ env: {}, directory: this.place, sizes: SIZES, ...options });
    assert.equal(sdk.reason, undefined);
    this.ends.push(() => sdk.shutdown());
    return sdk;
  }

  async clear(): Promise<void> {
    for (const end of this.ends.reverse()) await end();
  }
}

/** A test with a stage of its own. */
function on(name: string, body: (stage: Stage) => Promise<void>): void {
  it(name, { timeout: 60_000 }, async () => {
    const stage = new Stage();
    try {
      await body(stage);
    } finally {
      await stage.clear();
    }
  });
}

function record(sdk: Sdk, from: number, count: number): void {
  const tracer = sdk.tracerProvider!.getTracer("live");
  for (let i = from; i < from + count; i++) {
    const span = tracer.startSpan(`span ${i}`, { attributes: { i } });
    span.addEvent("event", { i });
    span.setAttribute("late", i);
    span.end();
  }
}

/** Spans `from` to `from + count - 1` of `record`: each there once and complete. */
function checkRecorded(spans: CollectedSpan[], count: number, from = 0): void {
  const numbers = spans.map(({ span }) => Number(span.name.slice("span ".length)));
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => from + i),
  );
  for (const { span } of spans) {
    const i = BigInt(span.name.slice("span ".length));
    assert.deepEqual(plainAttributes(span.attributes), { i, late: i });
    assert.deepEqual(span.events.map(({ attributes }) => plainAttributes(attributes)), [{ i }]);
  }
}

describe("a collector that runs first", () => {
  on("receives spans soon after they ended", async (stage) => {
    const SPANS = 300;
    const sink = await stage.sink();
    stage.collector([stage.place, "--endpoint", sink.url]);
    const sdk = stage.sdk();
    // It has found the file.
    record(sdk, 0, 1);
    await waitForSpans(sink, 1);
    const random = new Random();
    for (let i = 1; i <= SPANS; i++) {
      record(sdk, i, 1);
      await new Promise((resolve) => setTimeout(resolve, random.below(20)));
    }
    checkRecorded(await waitForSpans(sink, SPANS + 1), SPANS + 1);
    const latencies = sink.bodies.slice(1).flatMap((body, i) =>
      spansOf(fromBinary(ExportTraceServiceRequestSchema, body)).map(({ span }) =>
        sink.times[i + 1] - Number(span.endTimeUnixNano / 1000n) / 1000
      )
    ).sort((a, b) => a - b);
    const at = (share: number): number => latencies[Math.ceil(latencies.length * share) - 1];
    console.log(
      `${SPANS} spans received after (ms): median ${at(0.5).toFixed(0)}, ` +
        `p99 ${at(0.99).toFixed(0)}, longest ${at(1).toFixed(0)} (seed ${seed})`,
    );
    assert.ok(at(0.99) < 5000, `p99 is ${at(0.99)} ms`);
  });

  on("makes forceFlush resolve true, and removes the file after shutdown", async (stage) => {
    const sink = await stage.sink();
    stage.collector([stage.place, "--endpoint", sink.url]);
    const sdk = stage.sdk();
    record(sdk, 0, 2000);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);
    checkRecorded(await waitForSpans(sink, 2000), 2000);
    sdk.tracerProvider!.getTracer("live").startSpan("open");
    const { path } = sdk;
    await sdk.shutdown();
    await until("the file's removal", () => !existsSync(path!));
    const [last, ...more] = receivedBy(sink).slice(2000);
    assert.deepEqual(more, []);
    assert.equal(last.span.name, "open");
    assert.equal(last.span.status?.message, "the process shut down before the span ended");
    assert.ok(isInterrupted(last));
    assert.deepEqual(readdirSync(stage.place), []);
  });

  on("waits for a directory that is not there yet", async (stage) => {
    const sink = await stage.sink();
    const place = join(stage.place, "later");
    const collector = stage.collector([place, "--endpoint", sink.url]);
    await collector.wrote(/waiting for .*later, which does not exist yet/);
    const sdk = stage.sdk({ directory: place });
    record(sdk, 0, 100);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);
    checkRecorded(await waitForSpans(sink, 100), 100);
    assert.equal(collector.text().match(/waiting for/g)?.length, 1, "says so once");
  });

  on("delivers what is there when it is told to end", async (stage) => {
    const sink = await stage.sink();
    // Nothing is sent before the end.
    const collector = stage.collector([
      ...[stage.place, "--endpoint", sink.url, "--flush-interval", "1h"],
    ]);
    const sdk = stage.sdk();
    record(sdk, 0, 1);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);
    record(sdk, 1, 1499);
    assert.deepEqual(sink.bodies, []);
    assert.deepEqual(await collector.stop("SIGTERM"), { code: 0, signal: null });
    checkRecorded(receivedBy(sink), 1500);
    assert.ok(existsSync(sdk.path!), "the application lives on");
  });

  on("goes on with the next file of an application whose dictionary is full", async (stage) => {
    const [BATCHES, SPANS] = [40, 100];
    const sink = await stage.sink();
    const collector = stage.collector([stage.place, "--endpoint", sink.url]);
    const program = await stage.application(startProgram("process.ts"), {
      sizes: { dictionaryBytes: 64 << 10 },
    });
    const openId = await program.ask<string>({ op: "open", name: "from the first to the last" });
    await program.ask({ op: "record", batches: BATCHES, spans: SPANS });
    // Files that are done with may be gone already.
    const generation = Math.max(
      ...readdirSync(stage.place).map((name) => Number(/\.(\d+)\.otlp$/.exec(name)?.[1] ?? 0)),
    );
    await program.ask({ op: "end" });
    await program.ask({ op: "shutdown" });
    await until("the files' removal", () => readdirSync(stage.place).length === 0);
    assert.ok(generation >= 2, `only generation ${generation}`);

    const spans = receivedBy(sink);
    const [kept, ...others] = spans.filter(({ span }) => span.name.startsWith("from"));
    assert.deepEqual(others, []);
    assert.equal(hex(kept.span.spanId), openId);
    assert.equal(isInterrupted(kept), false);
    const numbered = spans.filter(({ span }) => span.name.startsWith("span "));
    assert.equal(numbered.length, BATCHES * SPANS);
    assert.equal(new Set(numbered.map(({ span }) => span.name)).size, BATCHES * SPANS);
    for (const { span } of numbered) {
      const i = BigInt(span.name.slice("span ".length));
      const attributes = { i, [`key.${i}.${"x".repeat(30)}`]: i };
      assert.deepEqual(plainAttributes(span.attributes), attributes);
      assert.deepEqual(span.events.map((event) => plainAttributes(event.attributes)), [{ i }]);
    }
    assert.deepEqual(await collector.stop(), { code: 0, signal: null });
    assert.match(collector.text(), new RegExp(` from ${generation + 1} files`));
  });
});

describe("a collector that comes later", () => {
  on("takes what was recorded before", async (stage) => {
    const sdk = stage.sdk();
    record(sdk, 0, 1000);
    assert.equal(await sdk.forceFlush({ timeout: 50 }), false, "nobody reads");
    const sink = await stage.sink();
    stage.collector([stage.place, "--endpoint", sink.url]);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);
    record(sdk, 1000, 1000);
    checkRecorded(await waitForSpans(sink, 2000), 2000);
  });

  on("says who has the file already, and takes over when that one ends", async (stage) => {
    const sink = await stage.sink();
    const first = stage.collector([stage.place, "--endpoint", sink.url]);
    const sdk = stage.sdk();
    record(sdk, 0, 100);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);

    const inUse = new RegExp(`${sdk.path}.*another collector, process ${first.child.pid}\\b`);
    const once = stage.collector([stage.place, "--once", "--endpoint", sink.url]);
    assert.deepEqual(await once.ended, { code: 1, signal: null });
    assert.match(once.text(), inUse);
    const second = stage.collector([sdk.path!, "--endpoint", sink.url], otherRuntime);
    await second.wrote(inUse);

    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    record(sdk, 100, 100);
    assert.equal(await sdk.forceFlush({ timeout: PATIENCE }), true);
    checkRecorded(await waitForSpans(sink, 200), 200);
  });
});

describe("a running collector", () => {
  on("delivers what a killed application left, and removes its file", async (stage) => {
    const sink = await stage.sink();
    stage.collector([stage.place, "--endpoint", sink.url]);
    const program = await stage.application(startProgram("process.ts"));
    await program.ask({ op: "spans", from: 0, count: 1000 });
    const openId = await program.ask<string>({ op: "open", name: "open" });
    await program.stop("kill");
    await until("the file's removal", () => readdirSync(stage.place).length === 0);

    const spans = receivedBy(sink);
    checkRecorded(spans.filter((each) => !isInterrupted(each)), 1000);
    const [open, ...others] = spans.filter(isInterrupted);
    assert.deepEqual(others, []);
    assert.equal(hex(open.span.spanId), openId);
    assert.equal(open.span.status?.message, "the process ended before the span did");
  });

  on("reads applications of both runtimes in one directory", async (stage) => {
    const SPANS = 1000;
    const sink = await stage.sink();
    stage.collector([stage.place, "--endpoint", sink.url]);
    const runtimes = ["deno", "bun"] as const;
    const programs = await Promise.all(
      runtimes.map((runtime) =>
        stage.application(startProgramOn(runtime, "process.ts"), {
          resource: { "service.name": `on ${runtime}` },
        })
      ),
    );
    for (let from = 0; from < SPANS; from += 250) {
      await Promise.all(programs.map((each) => each.ask({ op: "spans", from, count: 250 })));
    }
    for (const program of programs) {
      assert.equal(await program.ask({ op: "flush", timeout: PATIENCE }), true);
    }
    const spans = await waitForSpans(sink, 2 * SPANS);
    for (const runtime of runtimes) {
      const own = spans.filter(({ resource }) => {
        const attributes = plainAttributes(resource.resource!.attributes);
        return attributes["service.name"] === `on ${runtime}`;
      });
      checkRecorded(own, SPANS);
    }
    assert.equal(spans.length, 2 * SPANS);
  });
});
