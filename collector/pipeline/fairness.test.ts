/**
 * One process that records more than the backend takes does not keep the others' records waiting.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MappedFile } from "../../lib/file/mapped.ts";
import { EXT_PROCESS_UID, UID_BYTES } from "../../lib/format/layout.ts";
import { Writer } from "../../lib/writer.ts";
import { accept, folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("fairness");
const QUIET = 5;
const SPANS_EACH = 3;

/** Makes the file one of another process, before anybody reads it. */
function ofProcess(path: string, number: number): void {
  const file = MappedFile.open(path);
  file.u8.fill(number, EXT_PROCESS_UID, EXT_PROCESS_UID + UID_BYTES);
  file.close();
}

describe("fairness", () => {
  it("a flooding process does not starve the others", async () => {
    const directory = folder();
    const flooded = join(directory, "a.otlp");
    const flooder = Writer.create(flooded, { spans: { slots: 4096, slotBytes: 256 } });
    ofProcess(flooded, 1);
    const flood = flooder.scope({ name: "s" });
    const fill = (): void => {
      for (;;) {
        const span = flood.startSpan("flood");
        if (span.started !== "written") break;
        span.end();
      }
    };
    fill();
    const quiet = Array.from({ length: QUIET }, (_, i) => {
      const path = join(directory, `b${i}.otlp`);
      const writer = Writer.create(path, { spans: { slots: 64, slotBytes: 256 } });
      ofProcess(path, 2 + i);
      const scope = writer.scope({ name: "s" });
      for (let k = 0; k < SPANS_EACH; k++) scope.startSpan("quiet").end();
      return writer;
    });
    const sink = new TestSink();
    // Slower than the flood: whenever a request is answered, the ring is full again.
    let last = 0;
    const order: string[] = [];
    sink.answer = async (count) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      fill();
      for (; last < sink.spans.length; last++) order.push(sink.spans[last].name);
      return accept(count);
    };
    const { pipeline, ended } = run([directory], { batchSize: 100 }, sink);
    try {
      const arrived = (): number => order.filter((name) => name === "quiet").length;
      await until(
        "the quiet ones, or far too much of the flood",
        () => arrived() === QUIET * SPANS_EACH || order.length > 30_000,
      );
      assert.equal(arrived(), QUIET * SPANS_EACH, `after ${order.length} spans`);
      // What was taken in one turn of the flooder, and what was on its way.
      const before = order.lastIndexOf("quiet") - arrived();
      assert.ok(before <= 2 * 2048 + 600, `${before} of the flood came before`);
    } finally {
      for (const writer of [flooder, ...quiet]) writer.close();
      pipeline.stop();
      sink.answer = accept;
      await ended;
    }
  });
});
