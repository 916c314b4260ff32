import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { DICTIONARY_HEADER_BYTES } from "../lib/format/layout.ts";
import { Writer } from "../lib/writer.ts";
import { NumberedReader, RECORDS_PER_SPAN } from "./support/numbered.ts";
import { RawFile } from "./support/records.ts";
import { isFullSize, run } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-many-"));
after(() => rmSync(directory, { recursive: true }));

/** Records of each producer. */
const records = isFullSize ? 250_000 : 50_000;
const spans = records / RECORDS_PER_SPAN;

/** Makes a file for many producers, runs them, and reads meanwhile. */
async function shared(
  name: string,
  producers: number,
  start: (path: string) => { ended: Promise<unknown>; stop: () => unknown }[],
): Promise<void> {
  const path = join(directory, name);
  const owner = Writer.create(path, {
    producers: "many",
    spans: { slots: 1024, slotBytes: 768 },
  });
  const reader = new NumberedReader(path, producers);
  const running = start(path);
  try {
    await Promise.all([
      reader.drainAll(producers * records),
      ...running.map(({ ended }) => ended),
    ]);
    assert.equal(reader.taken, producers * records);
    assert.equal(owner.counters().spans.written, producers * records);
    assert.equal(owner.drained, true);
  } finally {
    for (const { stop } of running) await stop();
    reader.close();
    owner.close();
  }
}

/** Resolves when a Worker has ended in order. */
function ended(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", (code) => code === 0 ? resolve() : reject(new Error(`exit ${code}`)));
  });
}

describe("many producers of one ring", () => {
  it(`four Workers write ${records} records each; none is lost, doubled or torn`, {
    timeout: 300_000,
  }, () =>
    shared("workers.otlp", 4, (path) =>
      [0, 1, 2, 3].map((producer) => {
        const worker = new Worker(new URL("./testdata/numbered-writer.ts", import.meta.url), {
          workerData: { numbered: [path, `${spans}`, `${producer}`, "join"] },
        });
        return { ended: ended(worker), stop: () => worker.terminate() };
      })));

  it(
    `a process of each runtime writes ${records} records; none is lost, doubled or torn`,
    {
      timeout: 300_000,
    },
    () =>
      shared("processes.otlp", 2, (path) =>
        (["deno", "bun"] as const).map((runtime, producer) => {
          const { child, output } = run(
            runtime,
            "numbered-writer.ts",
            path,
            `${spans}`,
            `${producer}`,
            "join",
          );
          return { ended: output, stop: () => child.kill() };
        })),
  );

  it("fill one dictionary together, and no entry is torn or outside of the file", async () => {
    const path = join(directory, "dictionary.otlp");
    const dictionaryBytes = 64 * 1024;
    const owner = Writer.create(path, {
      producers: "many",
      dictionaryBytes,
      spans: { slots: 4096, slotBytes: 512 },
    });
    const joined = new Int32Array(new SharedArrayBuffer(4));
    const names = ["a", "b", "c", "d"];
    const workers = names.map((name) =>
      new Worker(new URL("./testdata/dictionary-filler.ts", import.meta.url), {
        workerData: { path, name, dictionaryBytes, joined, workers: names.length },
      })
    );
    await Promise.all(workers.map(ended));
    assert.equal(owner.counters().spans.lost.dictionary_full, workers.length);
    owner.close();

    const file = new RawFile(path);
    const end = file.i64(file.dictionary);
    assert(end <= file.bytes.length, `${end} <= ${file.bytes.length}`);
    assert(end > file.dictionary + dictionaryBytes * 0.9, "full");
    let attributes = 0;
    for (const { event } of file.spanEvents()) {
      if (event.case !== "attributes") continue;
      for (const [key, value] of Object.entries(file.attributes(event.value.attributes))) {
        assert.equal(value, key);
        attributes++;
      }
    }
    assert(attributes > 500, `${attributes} attributes`);
    // The entries follow one another up to the end.
    let entries = 0;
    let ref = file.dictionary + DICTIONARY_HEADER_BYTES;
    for (; ref < end; entries++) {
      const { length } = file.entry(BigInt(ref));
      ref += length + (length < 0x80 ? 1 : length < 0x4000 ? 2 : 3);
    }
    assert.equal(ref, end);
    assert.equal(entries, file.i64(file.dictionary + 8));
  });
});
