/**
 * `overflow: "oldest"` between processes: the last moments are there, every record is accounted for,
 * and no reader ever gets a mix of two records.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { Mapping } from "../ffi/mod.ts";
import { closes } from "../lib/file/ledger.ts";
import { EXT_READER_HEARTBEAT } from "../lib/format/layout.ts";
import { Reader } from "../lib/reader.ts";
import { Writer } from "../lib/writer.ts";
import { ROOT } from "../tools/runtimes.ts";
import { startSink } from "./peers/sink.ts";
import { logsReceivedBy, plainAttributes, receivedBy } from "./support/collector.ts";
import { afterDeath } from "./support/death.ts";
import { numberOf } from "./support/flight.ts";
import { Random, seed } from "./support/random.ts";
import {
  commandLineOf,
  isFullSize,
  otherRuntime,
  ownRuntime,
  plainEnvironment,
  runCollector,
  type RuntimeName,
} from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-flight-"));
after(() => rmSync(directory, { recursive: true }));
let files = 0;
const newPath = (): string => join(directory, `${files++}.otlp`);

function startWriter(
  runtime: RuntimeName,
  path: string,
  count: number,
  slots: number,
  ...more: string[]
): ChildProcess {
  const file = join(ROOT, "tests/testdata/flight-writer.ts");
  const [command, ...args] = commandLineOf(runtime, file, [path, `${count}`, `${slots}`, ...more]);
  return spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: plainEnvironment() });
}

/** Numbers of the log records that a reader finds now, all of them whole. */
function numbersFrom(reader: Reader): number[] {
  const numbers: number[] = [];
  for (const record of reader.poll(1 << 20)) {
    assert.ok(!("unreadable" in record), `${record.ring} ${record.sequence}`);
    if (record.ring === "events" && !record.isSpanEvent) numbers.push(numberOf(record.body));
  }
  return numbers;
}

describe("a file that discards the oldest", () => {
  it("has the last records of a process that was killed, and says how many were before", {
    timeout: 120_000,
  }, async () => {
    for (const [count, slots] of [[10_000, 64], [100, 256], [255, 256], [256, 256]]) {
      const path = newPath();
      await once(startWriter(ownRuntime, path, count, slots), "close");
      const reader = Reader.open(path);
      assert.equal(await afterDeath(reader), "dead");
      const numbers = numbersFrom(reader);
      reader.release();
      // One more was there: the event of a span.
      const kept = Math.min(count, slots - 1);
      assert.deepEqual(numbers, Array.from({ length: kept }, (_, i) => count - kept + i));
      const [events, spans] = reader.ledger();
      const isEventKept = count + 1 < slots;
      const { claimed, delivered, discarded } = events;
      assert.deepEqual(
        { claimed, delivered, discarded },
        {
          claimed: count + 1,
          delivered: kept + (isEventKept ? 1 : 0),
          discarded: count - kept + (isEventKept ? 0 : 1),
        },
      );
      // Two starts, a hundred spans, two records of attributes, an end.
      assert.deepEqual([spans.claimed, spans.delivered, spans.discarded], [205, 15, 190]);
      for (const ledger of reader.ledger()) {
        assert.ok(closes(ledger), JSON.stringify(ledger));
        assert.equal(ledger.pending, 0);
      }
      reader.close();
    }
  });

  it("shows what is left of spans whose start was discarded", { timeout: 120_000 }, async () => {
    const path = newPath();
    await once(startWriter(ownRuntime, path, 10, 256), "close");
    const sink = await startSink();
    try {
      const { output } = runCollector(otherRuntime, "--once", "--endpoint", sink.url, path);
      await output;
      const spans = new Map(receivedBy(sink).map(({ span }) => [span, span]));
      const partial = [...spans.keys()].filter(({ attributes }) =>
        plainAttributes(attributes)["otlp_mmap.partial"] === true
      );
      const named = partial.map(({ name, attributes, events, startTimeUnixNano, ...rest }) => ({
        name,
        keys: Object.keys(plainAttributes(attributes)).sort(),
        events: events.map((event) => event.name),
        takesTime: startTimeUnixNano !== rest.endTimeUnixNano,
        isKnownTime: startTimeUnixNano > 1_700_000_000_000_000_000n,
      }));
      const facts = { name: "(start discarded)", isKnownTime: true };
      const long = named.find(({ keys }) => keys.includes("answer"));
      assert.deepEqual(long, {
        ...facts,
        keys: ["answer", "otlp_mmap.partial"],
        events: ["near the end"],
        takesTime: false,
      });
      const { takesTime: _, ...dangling } = named.find(({ keys }) => keys.includes("step"))!;
      assert.deepEqual(dangling, {
        ...facts,
        keys: ["otlp_mmap.interrupted", "otlp_mmap.partial", "step"],
        events: [],
      });
      // 15 records: 6 short spans, these, and nothing of the others.
      assert.equal(spans.size, 8);
      assert.equal(logsReceivedBy(sink).length, 10);
    } finally {
      await sink.stop();
    }
  });

  it(`gives whole records to readers that come and go, seed ${seed}`, {
    timeout: 300_000,
  }, async () => {
    const random = new Random();
    const writers = [ownRuntime, otherRuntime].flatMap((runtime) =>
      [[], ["blind"]].map((more) => ({ runtime, more }))
    );
    for (const { runtime, more } of writers) {
      const path = newPath();
      const child = startWriter(runtime, path, 0, 64, ...more);
      const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, "ready");
      const taken: number[] = [];
      let again = 0;
      const rounds = isFullSize ? 300 : 40;
      for (let i = 0; i < rounds; i++) {
        const reader = Reader.open(path);
        const before = taken.length;
        const polls = random.below(30);
        let given = before;
        for (let poll = 0; poll < polls; poll++) {
          const numbers = numbersFrom(reader);
          taken.push(...numbers);
          if (random.below(3) > 0) {
            reader.release();
            given = taken.length;
          }
        }
        // What it has not given back is for the next one, or discarded.
        again += taken.length - given;
        taken.length = given;
        reader.close();
        await new Promise((resolve) => setTimeout(resolve, random.below(4)));
      }
      child.stdin!.write("stop\n");
      const written = Number((await lines.next()).value);
      await once(child, "close");
      const last = Reader.open(path);
      assert.equal(await afterDeath(last), "clean");
      taken.push(...numbersFrom(last));
      last.release();
      const [events] = last.ledger();
      assert.ok(closes(events), JSON.stringify(events));
      assert.equal(events.offered, written);
      assert.equal(events.pending, 0);
      assert.equal(events.delivered, taken.length, `${again} taken again`);
      assert.ok(events.discarded > 0);
      assert.ok(taken.every((number, i) => i === 0 || number > taken[i - 1]), "in order, once");
      last.close();
    }
  });

  it("keeps what is there while a reader is attached, also one that was stopped", () => {
    const path = newPath();
    const small = { slots: 16, slotBytes: 256 };
    const writer = Writer.create(path, { overflow: "oldest", spans: small });
    const scope = writer.scope({ name: "s" });
    const fill = (count: number): void => {
      for (let i = 0; i < count; i++) scope.startSpan(`${i}`);
    };
    fill(40);
    assert.deepEqual([writer.counters().spans.written, writer.counters().spans.discarded], [
      40,
      25,
    ]);
    const reader = Reader.open(path);
    fill(3);
    assert.equal(writer.counters().spans.lost.ring_full, 3);
    // Silent for long, and it still has its lock.
    const other = Mapping.open(path);
    Atomics.store(other.i64, EXT_READER_HEARTBEAT / 8, 1n);
    other.close();
    fill(3);
    assert.equal(writer.counters().spans.lost.ring_full, 6);
    assert.equal(reader.poll().length, 15);
    reader.release();
    fill(1);
    assert.equal(writer.counters().spans.written, 41);
    reader.close();
    fill(20);
    assert.deepEqual([writer.counters().spans.written, writer.counters().spans.discarded], [
      61,
      31,
    ]);
    writer.close();
  });

  it("goes on discarding as soon as its reader was killed", { timeout: 60_000 }, () => {
    const path = newPath();
    const spans = { slots: 16, slotBytes: 256 };
    const writer = Writer.create(path, { overflow: "oldest", spans });
    const scope = writer.scope({ name: "s" });
    const file = join(ROOT, "tests/testdata/killed-at-the-file.ts");
    const [command, ...args] = commandLineOf(otherRuntime, file, [path]);
    const { signal } = spawnSync(command, args, { stdio: "inherit", env: plainEnvironment() });
    assert.equal(signal, "SIGKILL");
    const mapping = Mapping.open(path);
    const silentMs = Date.now() - Number(mapping.i64[EXT_READER_HEARTBEAT / 8]) / 1e6;
    mapping.close();
    for (let i = 0; i < 40; i++) scope.startSpan(`${i}`);
    assert.ok(silentMs < 5000, `the reader was there ${silentMs} ms ago`);
    const { written, discarded, lost } = writer.counters().spans;
    assert.deepEqual([written, discarded, lost.ring_full], [40, 25, 0]);
    writer.close();
  });

  it("has one producer", () => {
    assert.throws(
      () => Writer.create(newPath(), { overflow: "oldest", producers: "many" }),
      /overflow "oldest" is for one producer/,
    );
  });
});
