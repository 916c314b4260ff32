import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import {
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  Status_StatusCode,
} from "../proto/gen/otlp_pb.ts";
import { startSink } from "./peers/sink.ts";
import { type CollectedSpan, spansOf } from "./support/collect.ts";
import { hex, RawFile } from "./support/records.ts";
import { run, runCollector, type RuntimeName } from "./support/runtimes.ts";
import { ENDED, SPANS, STARTED, WORDS, WORKERS } from "./testdata/workers-app.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-workers-"));
after(() => rmSync(directory, { recursive: true }));

/** Does the collector say that its owner died before it ended? */
function isInterrupted({ span }: CollectedSpan): boolean {
  return span.attributes.some(({ key }) => key === "otlp_mmap.interrupted");
}

describe("Workers with a file each", () => {
  const runtimes: RuntimeName[] = ["deno", "bun"];
  for (const runtime of runtimes) {
    it(`are collected as one process, also the one that was terminated (${runtime})`, async () => {
      const place = mkdtempSync(join(directory, "place-"));
      const counts = join(directory, `${runtime}.counts`);
      const pid = Number(await run(runtime, "workers-app.ts", place, counts).output);
      const words = new Int32Array(new Uint8Array(readFileSync(counts)).buffer);

      const files = readdirSync(place).map((name) => new RawFile(join(place, name)));
      assert.equal(files.length, WORKERS);
      const processes = files.map(({ bytes }) => hex(bytes.subarray(96, 112)));
      assert.equal(new Set(processes).size, 1, "all of one process");
      const threads = files.map(({ view }) => view.getUint32(132, true));
      assert.equal(new Set(threads).size, WORKERS, "each of its own thread");

      const sink = await startSink();
      try {
        const { output } = runCollector(runtime, place, "--once", "--endpoint", sink.url);
        await output;
      } finally {
        await sink.stop();
      }
      const spans = sink.bodies.flatMap((body) =>
        spansOf(fromBinary(ExportTraceServiceRequestSchema, body))
      );
      for (const { resource } of spans) {
        const id = resource.resource!.attributes.find(({ key }) => key === "process.pid");
        assert.equal(id?.value?.value.value, BigInt(pid));
      }
      for (let worker = 0; worker < WORKERS; worker++) {
        const started = words[worker * WORDS + STARTED];
        const ended = words[worker * WORDS + ENDED];
        const own = spans.filter(({ scope }) => scope.scope!.name === `worker ${worker}`);
        const [whole, ...more] = own.filter(({ span }) => span.name === "whole");
        assert.equal(more.length, 0);
        const single = own.filter(({ span }) => span.name !== "whole");
        const complete = single.filter((item) => !isInterrupted(item));
        const names = new Set(single.map(({ span }) => span.name));
        assert.equal(names.size, single.length, "none twice");
        for (let i = 0; i < started; i++) assert(names.has(`${i}`), `span ${i} is there`);
        for (const { span } of complete) {
          const values = span.attributes.map(({ key, value }) => [key, value?.value.value]);
          assert.deepEqual(values, [["i", BigInt(span.name)], ["late", BigInt(span.name)]]);
        }
        if (worker < WORKERS - 1) {
          assert.equal(ended, SPANS);
          assert.equal(single.length, SPANS);
          assert.equal(complete.length, SPANS);
          assert.equal(isInterrupted(whole), false);
        } else {
          // One more may have been written by a call that had not returned.
          const unseen = complete.length - ended;
          assert(unseen === 0 || unseen === 1, `${complete.length} complete, ${ended} returned`);
          assert(single.length - complete.length <= 1);
          assert.equal(isInterrupted(whole), true);
          assert.equal(whole.span.status?.code, Status_StatusCode.ERROR);
        }
      }
    });
  }

  for (const runtime of runtimes) {
    it(`count together where their resource is the same (${runtime})`, async () => {
      const place = mkdtempSync(join(directory, "place-"));
      await run(runtime, "one-resource.ts", place).output;
      assert.equal(readdirSync(place).length, 2);
      const sink = await startSink();
      const { output, child } = runCollector(runtime, place, "--once", "--endpoint", sink.url);
      let said = "";
      child.stderr!.on("data", (chunk) => said += chunk);
      await output.finally(() => sink.stop());
      const found = sink.metrics.flatMap((body) =>
        fromBinary(ExportMetricsServiceRequestSchema, body).resourceMetrics
          .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
      ).flatMap(({ name, data }) => {
        assert.ok(data.case === "sum" || data.case === "histogram");
        return data.value.dataPoints.map((point) =>
          `${name} ${"value" in point ? point.value.value : `${point.count} ${point.sum}`}`
        );
      });
      // What is observed is a total of each thread's own.
      assert.deepEqual(found.sort(), ["counted 7", "observed 1", "observed 2", "spread 2 3"]);
      assert.match(said, /metric observed: is observed by several threads/);
    });
  }
});
