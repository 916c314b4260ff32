import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { readGeometry } from "../../lib/file/geometry.ts";
import {
  EXT_OFFSET,
  FIRST_RING_OFFSET,
  HEADER_BYTES,
  HEADER_TIME,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_READER_INDEX,
  RING_SPANS,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { startSink } from "../../tests/peers/sink.ts";
import { AGGREGATION, pointsOf, spansOf } from "../../tests/support/collect.ts";
import { observe, receivedBy } from "../../tests/support/collector.ts";
import { locate, type Located, type Range } from "../../tests/support/located.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { command, hashOf, requestsOf, startWriter } from "../../tests/support/steady.ts";
import { ReadOut } from "../files/readout.ts";
import { repairFile } from "../repair/file.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("recover");
const ROUNDS = 120;
const VECTOR = new URL("../../tests/vectors/upstream-python.otlp.gz", import.meta.url);

/** What a writer left that was killed. */
let whole: Uint8Array;
let records: Located[];

before(async () => {
  const writer = await startWriter(folder(), ROUNDS, ownRuntime);
  await writer.stop("SIGKILL");
  whole = new Uint8Array(readFileSync(writer.file));
  records = locate(whole);
  assert.ok(records.length > 6 * ROUNDS);
});

/** What comes out of bytes, without a process for it. */
async function recovered(bytes: Uint8Array, all = false): Promise<TestSink & { notes: string[] }> {
  const sink = Object.assign(new TestSink(), { notes: [] as string[] });
  const file = repairFile(bytes, all);
  if (file === null) return sink;
  sink.notes.push(...file.notes);
  const reading = new ReadOut({ sinks: sink.sinks, batchSize: 500, aggregation: AGGREGATION });
  const process = reading.addProcess();
  reading.addFile(process, file, null, false);
  reading.take(process);
  reading.finish(process, INTERRUPTIONS.died);
  await reading.answered();
  reading.describe();
  return sink;
}

/** Sums of the counter by parity. */
function sumsOf(sink: TestSink): Map<unknown, number> {
  const sums = new Map<unknown, number>();
  for (const { metric } of sink.metrics) {
    for (const point of pointsOf(metric)) {
      if (!("value" in point)) continue;
      // A damaged record may have made a series of its own.
      const parity = point.attributes[0]?.value?.value.value;
      sums.set(parity, (sums.get(parity) ?? 0) + Number(point.value.value));
    }
  }
  return sums;
}

/** Everything else that can be told of what was saved, as words. */
function wordsOf(sink: TestSink): string[] {
  const words: string[] = [];
  for (const { name, attributes, events } of sink.spans) {
    const has = (key: string): boolean => attributes.some((each) => each.key === key);
    words.push(`start ${name}`);
    if (has("late")) words.push(`attributes ${name}`);
    if (!has("otlp_mmap.interrupted")) words.push(`end ${name}`);
    for (let i = 0; i < events.length; i++) words.push(`event of ${name}`);
  }
  words.push(...sink.bodies);
  return words.sort();
}

/** The same of the records whose bytes are all intact, and whose span's start is. */
function expected(isIntact: (range: Range) => boolean, readTo: readonly number[]): {
  words: string[];
  sums: Map<unknown, number>;
} {
  const intact = records.filter(({ needs, ring, sequence }) =>
    sequence > readTo[ring] && needs.every(isIntact)
  );
  const id = (bytes: Uint8Array = new Uint8Array(0)): string => [...bytes].join();
  const names = new Map<string, string>();
  const words: string[] = [];
  const sums = new Map<unknown, number>();
  for (const { ring, record } of intact) {
    if (ring !== RING_SPANS) continue;
    const { case: kind, value } = record.event;
    if (kind === "start") names.set(id(record.spanId), value.name);
    const name = names.get(id(record.spanId));
    if (name !== undefined) words.push(`${kind} ${name}`);
  }
  for (const { ring, record } of intact) {
    if (ring === RING_EVENTS) {
      const name = names.get(id(record.spanContext?.spanId));
      if (!record.spanEvent) words.push(record.body.value.value);
      else if (name !== undefined) words.push(`event of ${name}`);
    } else if (ring === RING_MEASUREMENTS) {
      const parity = record.attributes[0].value.value.value;
      sums.set(parity, (sums.get(parity) ?? 0) + record.value.value);
    }
  }
  return { words: words.sort(), sums };
}

/** What of one list of words is not in another. */
function missing(wanted: readonly string[], words: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const word of words) left.set(word, (left.get(word) ?? 0) + 1);
  return wanted.filter((word) => {
    const count = left.get(word) ?? 0;
    left.set(word, count - 1);
    return count <= 0;
  });
}

/** Damages a copy in a few random ways. Returns what was done, for messages. */
function damage(bytes: Uint8Array, random: Random): { bytes: Uint8Array; done: string[] } {
  const geometry = readGeometry("whole", whole, whole.length);
  assert.ok("rings" in geometry);
  const done: string[] = [];
  const fill = (start: number, end: number, what: string): void => {
    const isZero = random.below(2) === 0;
    for (let i = start; i < Math.min(end, bytes.length); i++) {
      bytes[i] = isZero ? 0 : random.below(256);
    }
    done.push(`${what} ${start}-${end} ${isZero ? "zeroed" : "overwritten"}`);
  };
  const ways: (() => void)[] = [
    () => {
      const { ring, firstSlot, slots, slotBytes } = random.pick(geometry.rings);
      for (let i = 1 + random.below(60); i > 0; i--) {
        const slot = firstSlot + random.below(slots) * slotBytes;
        const from = slot + random.pick([0, 0, random.below(100)]);
        fill(from, from + random.pick([1, 20, slotBytes]), `slots of ring ${ring}`);
      }
    },
    () => {
      const { ring, availability, slots } = random.pick(geometry.rings);
      for (let i = 1 + random.below(40); i > 0; i--) {
        const word = availability + 4 * random.below(slots);
        fill(word, word + 4, `availability words of ring ${ring}`);
      }
    },
    () => fill(0, HEADER_BYTES, "header"),
    () => fill(EXT_OFFSET + random.below(100), FIRST_RING_OFFSET - random.below(3000), "extension"),
    () => {
      const { ring, offset } = random.pick(geometry.rings);
      fill(offset, offset + RING_READER_INDEX, `sizes of ring ${ring}`);
    },
    () => {
      const { ring, offset } = random.pick(geometry.rings);
      const at = offset + random.pick([RING_READER_INDEX, RING_WRITER_INDEX]);
      // Cut off before.
      if (at + 8 > bytes.length) return;
      const value = random.pick([-2n, 1n << 40n, -(1n << 63n), 2_000_000_000n, random.bits64()]);
      // The file may have been cut short before.
      if (at + 8 > bytes.length) return;
      new DataView(bytes.buffer).setBigUint64(at, BigInt.asUintN(64, value), true);
      done.push(`index of ring ${ring} at ${at}: ${value}`);
    },
    () => {
      const at = random.below(bytes.length);
      fill(at, at + random.below(65_536), "range");
    },
    () => {
      const at = geometry.dictionary + random.below(2000);
      fill(at, at + 1 + random.below(300), "dictionary");
    },
    () => {
      // Mostly in the dictionary: before it, hardly anything is left.
      const from = random.pick([0, geometry.dictionary, geometry.dictionary]);
      bytes = bytes.slice(0, from + random.below(bytes.length - from));
      done.push(`cut off at ${bytes.length}`);
    },
  ];
  for (let i = 1 + random.below(3); i > 0; i--) random.pick(ways)();
  return { bytes, done };
}

/** What has to be saved of damaged bytes. */
function wanted(bytes: Uint8Array): { words: string[]; sums: Map<unknown, number> } {
  const geometry = readGeometry("whole", whole, whole.length);
  assert.ok("rings" in geometry);
  const isIntact = ({ start, end }: Range): boolean => {
    if (end > bytes.length) return false;
    for (let i = start; i < end; i++) if (bytes[i] !== whole[i]) return false;
    return true;
  };
  const sized = geometry.rings.filter(({ offset }) =>
    isIntact({ start: offset, end: offset + RING_READER_INDEX })
  );
  // Offsets are said in the header and follow from the sizes. Without both nothing tells.
  if (sized.length < 3 && !isIntact({ start: 0, end: HEADER_TIME })) {
    return { words: [], sums: new Map() };
  }
  const readTo = geometry.rings.map(({ offset, ring }) => {
    if (offset + RING_WRITER_INDEX > bytes.length) return -1;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const reader = view.getBigInt64(offset + RING_READER_INDEX, true);
    const last = records.filter((record) => record.ring === ring).at(-1)!.sequence;
    // A reader_index that can be cannot be told from one that is right.
    return reader >= 0n && reader <= last ? Number(reader) : -1;
  });
  return expected(isIntact, readTo);
}

describe("recover", () => {
  it(`saves every record that is intact (seed ${seed})`, async () => {
    const random = new Random();
    let saved = 0;
    let damaged = 0;
    for (let trial = 0; trial < 80; trial++) {
      const { bytes, done } = damage(whole.slice(), random);
      const before = bytes.slice();
      const what = `trial ${trial}, ${done.slice(0, 5).join("; ")} (${done.length})`;
      const { words, sums } = wanted(bytes);
      const sink = await recovered(bytes).catch((error) => assert.fail(`${what}: ${error.stack}`));
      const found = wordsOf(sink);
      const lost = missing(words, found);
      assert.deepEqual(lost, [], `${what}: ${lost.length} of ${words.length} lost; ${sink.notes}`);
      for (const [parity, sum] of sums) {
        assert.ok(
          (sumsOf(sink).get(parity) ?? 0) >= sum,
          `${what}: ${parity} ${sum}, ${[...sumsOf(sink)]}`,
        );
      }
      assert.ok(before.every((byte, i) => byte === bytes[i]), "the bytes stay as they are");
      saved += words.length;
      if (words.length < records.length / 2) damaged++;
    }
    assert.ok(saved > 80 * records.length / 4, `${saved} saved`);
    assert.ok(damaged > 0, "some trials were hard");
  });

  it("saves all of a file without damage, and says nothing is wrong", async () => {
    const sink = await recovered(whole);
    const { words, sums } = wanted(whole);
    assert.deepEqual(sink.notes, []);
    assert.deepEqual(wordsOf(sink).filter((word) => !word.startsWith("end open")), words);
    assert.deepEqual(sumsOf(sink), sums);
  });

  it("leaves files as they are, and says what was saved and what was not", async () => {
    const directory = folder();
    const [damaged, cut, junk] = ["damaged.otlp", "cut.otlp", "junk"].map((name) =>
      join(directory, name)
    );
    const geometry = readGeometry("whole", whole, whole.length);
    assert.ok("rings" in geometry);
    const bytes = whole.slice();
    bytes.fill(0, 0, HEADER_BYTES);
    const { firstSlot, slotBytes } = geometry.rings[RING_SPANS];
    bytes.fill(0, firstSlot + 10 * slotBytes, firstSlot + 20 * slotBytes);
    writeFileSync(damaged, bytes);
    writeFileSync(cut, whole.subarray(0, geometry.dictionary + 20));
    writeFileSync(junk, new Uint8Array(100_000).map((_, i) => i * 167 >> 3));
    const before = [damaged, cut, junk].map(hashOf);

    const output = join(directory, "lines.json");
    const saved = await command(["recover", damaged, "--output", output]);
    assert.equal(saved.code, 1, saved.err);
    const spans = requestsOf(readFileSync(output, "utf8")).traces.flatMap((body) =>
      spansOf(fromBinary(ExportTraceServiceRequestSchema, body))
    );
    const starts = wanted(bytes).words.filter((word) => word.startsWith("start "));
    assert.equal(spans.length, starts.length);
    assert.match(saved.err, /damaged\.otlp: the header's version is 0: taken for 1/);
    assert.match(
      saved.err,
      /the header does not say where the spans ring begins: taken for 268320/,
    );
    assert.match(
      saved.err,
      new RegExp(`${spans.length} spans from 1 file .*${spans.length} deliv`),
    );
    assert.match(saved.err, /unreadable, its length is wrong for its slot: 10/);

    const nothing = await command(["recover", cut]);
    assert.equal(nothing.code, 1);
    assert.equal(nothing.out, "");
    assert.match(
      nothing.err,
      /the dictionary, which holds all names and resources, is cut off: without it hardly any /,
    );
    assert.match(nothing.err, /unreadable, a ref outside the dictionary: \d{3}/);

    const left = join(directory, "nothing.jsonl");
    const hopeless = await command([
      ...["recover", junk, join(directory, "none"), directory],
      ...["--output", left],
    ]);
    assert.equal(hopeless.code, 2);
    assert.ok(!existsSync(left), "it would be in the way of the next try");
    assert.match(
      hopeless.err,
      /junk: nothing can be read of it: neither a header nor a ring is to be found; .*`otlp-mmap inspect`/,
    );
    assert.match(hopeless.err, /none can't be read: there is no such file/);
    assert.match(hopeless.err, /it is a directory: name the files in it \(.*\/\*\.otlp\)/);
    assert.deepEqual([damaged, cut, junk].map(hashOf), before);
  });

  it("sends to an endpoint", async () => {
    const file = join(folder(), "left.otlp");
    writeFileSync(file, whole);
    const sink = await startSink();
    try {
      const { code, err } = await command(["recover", file, "--endpoint", sink.url]);
      assert.equal(code, 0, err);
      assert.equal(receivedBy(sink).length, 2 * ROUNDS + 1);
      const both = await command(["recover", file, "--endpoint", sink.url, "--output", "x"]);
      assert.equal(both.code, 2);
      const logs = await command(["recover", file, "--logs-endpoint", sink.url, "--output", "x"]);
      assert.match(logs.err, /--output and --logs-endpoint: only one of them can be had at a time/);
      assert.match(both.err, /--output and --endpoint/);
    } finally {
      await sink.stop();
    }
  });

  it("says what it has saved when it is to end", async () => {
    const directory = folder();
    const files = ["a.otlp", "b.otlp"].map((name) => join(directory, name));
    writeFileSync(files[0], whole);
    writeFileSync(files[1], gunzipSync(readFileSync(VECTOR)));
    const sink = await startSink({ statuses: { traces: 503 } });
    const args = ["recover", ...files, "--endpoint", sink.url];
    const running = observe(ownRuntime, "collector/main.ts", args);
    try {
      await running.wrote(/retrying/);
      assert.equal((await running.stop("SIGINT")).code, 130);
      const all = 2 * ROUNDS + 1;
      assert.match(
        running.text(),
        new RegExp(`: 0 delivered, 0 refused by the backend, ${all} dropped`),
      );
      assert.match(running.text(), /ended by SIGINT: 1 of 2 files were read$/m);
    } finally {
      await running.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("says that another command copies what is being written", async () => {
    const writer = await startWriter(folder(), "forever");
    try {
      const { err } = await command(["recover", writer.file, "--output", join(folder(), "lines")]);
      assert.match(
        err,
        /its owner is writing it.*: `otlp-mmap export` copies files that are in use/,
      );
    } finally {
      await writer.stop("SIGKILL");
    }
  });

  it("takes what was read again where that is asked for, or can't be told", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory], { keep: true });
    const writer = await startWriter(directory, "forever");
    let bytes: Uint8Array;
    try {
      await until("a lap of the ring", () => sink.spans.length > 2000);
      await writer.stop("SIGKILL");
      await until("all of it read", () => sink.names.includes("open"));
      bytes = new Uint8Array(readFileSync(writer.file));
    } finally {
      await writer.stop("SIGKILL");
      pipeline.stop();
      await ended;
    }
    assert.deepEqual((await recovered(bytes)).names, []);
    const all = await recovered(bytes, true);
    const known = new Set(sink.names);
    const geometry = readGeometry("left", bytes, bytes.length);
    assert.ok("rings" in geometry);
    const { offset } = geometry.rings[RING_SPANS];
    const view = new DataView(bytes.buffer);
    view.setBigInt64(offset + RING_READER_INDEX, 1n << 50n, true);
    const unknown = await recovered(bytes);
    for (const each of [all, unknown]) {
      // Some 5 records are two spans, and the ring has 1,024 slots.
      assert.ok(each.spans.length > 350, `${each.spans.length} spans`);
      assert.ok(each.names.every((name) => known.has(name)));
    }
    assert.match(unknown.notes.join(), /which records of the spans ring were read is not known/);
    // So are the writer's index and with it the laps, which the availability words say.
    view.setBigInt64(offset + RING_WRITER_INDEX, -77n, true);
    assert.deepEqual((await recovered(bytes)).names, unknown.names);
  });

  it("has examples and exit codes in its help", async () => {
    const { code, out } = await command(["recover", "--help"]);
    assert.equal(code, 0);
    assert.match(out, /Examples:\n {2}otlp-mmap recover/);
    assert.match(out, /Exit codes:\n {2}0/);
  });
});
