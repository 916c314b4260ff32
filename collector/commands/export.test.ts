import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { gunzipSync } from "node:zlib";
import { lockFile } from "../../ffi/mod.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  SpanSchema,
} from "../../proto/gen/otlp_pb.ts";
import {
  AGGREGATION,
  type CollectedLog,
  type CollectedMetric,
  type CollectedSpan,
  logsOf,
  metricsOf,
  pointsOf,
  spansOf,
} from "../../tests/support/collect.ts";
import { collectOnce, isInterrupted, observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { command, hashOf, requestsOf, startWriter } from "../../tests/support/steady.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import { FileCopy } from "../files/copy.ts";
import { ReadOut } from "../files/readout.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("export");

interface Exported {
  readonly spans: CollectedSpan[];
  readonly logs: CollectedLog[];
  readonly metrics: CollectedMetric[];
}

function parse(lines: string): Exported {
  const { traces, metrics, logs } = requestsOf(lines);
  return {
    spans: traces.flatMap((body) => spansOf(fromBinary(ExportTraceServiceRequestSchema, body))),
    logs: logs.flatMap((body) => logsOf(fromBinary(ExportLogsServiceRequestSchema, body))),
    metrics: metrics.flatMap((body) =>
      metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body))
    ),
  };
}

function vectorFile(directory: string): string {
  const path = join(directory, "vector.otlp");
  const vector = new URL("../../tests/vectors/upstream-python.otlp.gz", import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(vector)));
  return path;
}

/** Spans in a form and an order in which they can be compared. */
function plain(spans: readonly CollectedSpan[]): string[] {
  return spans.map(({ span }) => JSON.stringify(toJson(SpanSchema, span))).sort();
}

describe("export", () => {
  it("writes what collect would send, and leaves the file as it is", async () => {
    const directory = folder();
    const file = vectorFile(directory);
    const before = hashOf(file);
    const { code, out, err } = await command(["export", file]);
    assert.equal(code, 0, err);
    assert.equal(hashOf(file), before);
    assert.deepEqual(readdirSync(directory), ["vector.otlp"]);
    const exported = parse(out);
    const sent = await collectOnce([file]);
    assert.deepEqual(
      plain(exported.spans),
      plain(sent.spans),
    );
    const bodies = (logs: CollectedLog[]): unknown[] =>
      logs.map(({ log }) => log.body?.value.value);
    assert.deepEqual(bodies(exported.logs), bodies(sent.logs));
    assert.deepEqual(
      exported.metrics.map(({ metric }) => [metric.name, pointsOf(metric).length]).sort(),
      sent.metrics.map(({ metric }) => [metric.name, pointsOf(metric).length]).sort(),
    );
    // The collector has read it, so only --all finds it again.
    assert.equal((await command(["export", file])).out, "");
    const all = parse((await command(["export", "--all", file])).out);
    assert.deepEqual(
      plain(all.spans),
      plain(exported.spans),
    );
    assert.equal(all.logs.length, 8);
  });

  it("reads a living process's file that another reader has", async () => {
    const directory = folder();
    const writer = await startWriter(directory, 50);
    const lock = lockFile(`${writer.file}.reader`);
    assert.ok("release" in lock);
    try {
      const before = hashOf(writer.file);
      const { code, out, err } = await command(["export", directory, "--batch-size", "10"]);
      assert.equal(code, 0, err);
      assert.equal(hashOf(writer.file), before);
      const { spans, logs, metrics } = parse(out);
      assert.equal(spans.length, 101);
      assert.equal(logs.length, 50);
      assert.deepEqual(metrics.map(({ metric }) => metric.name), ["rounds"]);
      for (const body of requestsOf(out).traces) {
        assert.ok(spansOf(fromBinary(ExportTraceServiceRequestSchema, body)).length <= 10);
      }
      const [{ span: open }, ...others] = spans.filter(isInterrupted);
      assert.equal(others.length, 0);
      assert.deepEqual([open.name, open.events.map(({ name }) => name)], ["open", ["still there"]]);
      assert.match(open.status?.message ?? "", /still open when its file was read/);

      lock.release();
      await writer.stop("SIGKILL");
      const dead = parse((await command(["export", directory])).out);
      const [left] = dead.spans.filter(isInterrupted);
      assert.match(left.span.status?.message ?? "", /process ended before/);
      assert.equal((await collectOnce([directory])).spans.length, 101);
    } finally {
      lock.release();
      await writer.stop("SIGKILL");
    }
  });

  it("reads whole records while a process writes and a collector gives slots back", async () => {
    const directory = folder();
    const sink = new TestSink();
    const { pipeline, ended } = run([directory], {}, sink);
    const writer = await startWriter(directory, "forever");
    let complete = 0;
    try {
      await until("a lap of the ring", () => sink.spans.length > 1000);
      for (let i = 0; i < 30; i++) {
        const copied = new TestSink();
        const reading = new ReadOut({
          sinks: copied.sinks,
          batchSize: 1000,
          aggregation: AGGREGATION,
        });
        const process = reading.addProcess();
        const copy = FileCopy.open(writer.file);
        reading.addFile(process, copy, copy, true);
        reading.take(process);
        reading.finish(process, INTERRUPTIONS.open);
        await reading.answered();
        const { rings, reasons } = reading.ledger;
        assert.deepEqual([...reasons], []);
        assert.deepEqual(rings.map(({ torn }) => torn), [0, 0, 0]);
        assert.ok(copied.spans.length > 100, `${copied.spans.length} spans`);
        for (const span of copied.spans) {
          const ended = !span.attributes.some(({ key }) => key === "otlp_mmap.interrupted");
          // Where the ring was full the writer refused the attribute, and said so.
          if (span.name.startsWith("work ") && ended && span.droppedAttributesCount === 0) {
            complete++;
            const number = span.name.slice(5);
            const late = span.attributes.find(({ key }) => key === "late")?.value?.value;
            assert.deepEqual(late, { case: "stringValue", value: `late ${number}` });
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    } finally {
      await writer.stop("SIGKILL");
      pipeline.stop();
      await ended;
    }
    assert.ok(complete > 1000, `${complete} spans`);
    assert.deepEqual([...pipeline.files.ledger.reasons], [], "the collector got everything");
  });

  it("writes to a new file, and to no other", async () => {
    const directory = folder();
    const file = vectorFile(directory);
    const output = join(directory, "lines.json");
    assert.equal((await command(["export", file, "--output", output])).code, 0);
    assert.equal(parse(readFileSync(output, "utf8")).spans.length, 14);
    assert.equal(statSync(output).mode & 0o777, 0o600);
    const before = hashOf(file);
    const { code, err } = await command(["export", file, "--output", file]);
    assert.equal(code, 2);
    assert.match(err, /--output: \S+ is there already, .*: name a new file, or remove it\n$/);
    assert.equal(hashOf(file), before);
  });

  it("goes on after a file that can't be read, and ends with 2", async () => {
    const directory = folder();
    const file = vectorFile(directory);
    const bad = join(directory, "bad.otlp");
    writeFileSync(bad, new Uint8Array(100).fill(7));
    const { code, out, err } = await command(["export", bad, join(directory, "none"), file]);
    assert.equal(code, 2);
    assert.match(err, /bad\.otlp: it is no otlp-mmap file/);
    assert.match(err, /none: there is no such file/);
    const output = join(directory, "nothing.jsonl");
    assert.equal((await command(["export", bad, "--output", output])).code, 2);
    assert.ok(!existsSync(output), "it would be in the way of the next try");
    assert.equal(parse(out).spans.length, 14);
  });

  it("says once why it can't write", { skip: process.platform !== "linux" }, async () => {
    const path = vectorFile(folder());
    const full = observe(ownRuntime, "collector/main.ts", ["export", "--all", path], {
      shell: "exec > /dev/full",
    });
    assert.equal((await full.ended).code, 1);
    assert.match(full.text(), /^otlp-mmap: error: standard output can't be written: .*space/im);
    assert.equal(full.text().match(/can't be written|Uncaught/g)?.length, 1, full.text());
  });

  it("has examples and exit codes in its help", async () => {
    const { code, out } = await command(["export", "--help"]);
    assert.equal(code, 0);
    assert.match(out, /Examples:\n {2}otlp-mmap export/);
    assert.match(out, /Exit codes:\n {2}0/);
  });

  it("says so where there is nothing to read, as collect --once does", async () => {
    const directory = folder();
    for (const args of [["export"], ["collect", "--once"]]) {
      const { code, err } = await command([...args, directory]);
      assert.deepEqual([code, err], [0, `otlp-mmap: there is nothing to read in ${directory}\n`]);
    }
  });

  it("says how much it has written when it is to end", async () => {
    const directory = folder();
    const vector = readFileSync(vectorFile(directory));
    const count = 60;
    for (let i = 1; i < count; i++) writeFileSync(join(directory, `${i}.otlp`), vector);
    const { child, ended, text, wrote } = observe(ownRuntime, "collector/main.ts", [
      "export",
      directory,
    ]);
    // Nobody reads what it writes for a while.
    child.stdout!.once("data", () => child.stdout!.pause());
    await wrote(/resourceSpans/);
    process.kill(child.pid!, "SIGINT");
    setTimeout(() => child.stdout!.resume(), 100);
    assert.equal((await ended).code, 130);
    const said = /ended by SIGINT: (\d+) of 60 processes were read$/m.exec(text());
    assert.ok(Number(said?.[1]) < count, text().slice(-1000));
    assert.match(text(), new RegExp(` from ${said![1]} files?`));
  });
});
