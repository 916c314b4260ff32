/**
 * Files that follow one another: generations of an isolate, processes at one path, Workers of a
 * process. Offsets are written out: nothing here comes from lib/format.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { isLocked, Mapping } from "../ffi/mod.ts";
import { identity } from "../lib/file/identity.ts";
import { type FileSizes, FileWriter } from "../lib/file/write.ts";
import { start } from "../lib/sdk/start.ts";
import { type Program, startProgram } from "./support/programs.ts";
import { record } from "./support/recording.ts";
import { hex } from "./support/records.ts";
import { memoryOf, type Message, readerOf, Version1Reader } from "./support/version1.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-succession-"));
after(() => rmSync(directory, { recursive: true }));

const EVENTS = 0;
const SPANS = 1;
const RING = { slots: 64, slotBytes: 256 };
const SIZES: FileSizes = { events: RING, spans: RING, measurements: { slots: 2, slotBytes: 256 } };

/** A folder of its own for one test. */
const newPlace = (): string => mkdtempSync(join(directory, "place-"));
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The words of the extension block that say how files belong together. */
function words(path: string) {
  const { u8, view } = memoryOf(path);
  return {
    uid: hex(u8.subarray(80, 96)),
    process: hex(u8.subarray(96, 112)),
    predecessor: hex(u8.subarray(112, 128)),
    pid: view.getUint32(128, true),
    isolate: view.getUint32(132, true),
    generation: view.getUint32(136, true),
    state: view.getUint32(192, true),
  };
}

/** Reads a file and releases its records, as a collector would; returns those of spans. */
function drain(path: string): Message[] {
  const mapping = Mapping.open(path, { reserve: 2 ** 20 });
  try {
    const reader = new Version1Reader(mapping, () => mapping.refresh());
    reader.drain(EVENTS);
    return reader.drain(SPANS);
  } finally {
    mapping.close();
  }
}

function loss(path: string, ring: number, reason: number): number {
  return Number(memoryOf(path).view.getBigUint64(256 + (ring * 8 + reason) * 8, true));
}

/** What a program says of the file that it has started. */
type Started = { path: string; pid: number };

const names = (place: string): string[] => readdirSync(place).sort();

/** Runs `body` with programs that are stopped however it ends. */
async function withPrograms(
  count: number,
  body: (...programs: Program[]) => Promise<void>,
): Promise<void> {
  const programs = await Promise.all(
    Array.from({ length: count }, () => startProgram("process.ts")),
  );
  try {
    await body(...programs);
  } finally {
    await Promise.all(programs.map((program) => program.stop("kill")));
  }
}

describe("generations", () => {
  it("share a span that starts in one file and ends in the next", () => {
    const place = newPlace();
    const { recorder, tracer } = record({ directory: place }, SIZES);
    const paths: string[] = [];
    const span = tracer.startSpan("long", { attributes: { a: 1 } });
    for (let generation = 0; generation < 3; generation++) {
      span.setAttribute("generation", generation);
      paths.push(recorder.file!.mapping.path);
      span.addEvent("event", { generation });
      recorder.file!.spans.sequenceLimit = recorder.file!.spans.claimed + 1;
    }
    span.end();
    paths.push(recorder.file!.mapping.path);
    recorder.close();

    const all = paths.map(words);
    assert.deepEqual(all.map(({ generation }) => generation), [0, 1, 2, 3]);
    assert.deepEqual(all.map(({ state }) => state), [2, 2, 2, 1]);
    assert.deepEqual(
      all.map(({ predecessor }) => predecessor),
      ["0".repeat(32), ...all.slice(0, 3).map(({ uid }) => uid)],
    );
    assert.equal(new Set(all.map(({ uid }) => uid)).size, 4);
    const own = identity();
    for (const { process: uid, pid, isolate } of all) {
      assert.equal(uid, hex(own.processUid));
      assert.equal(pid, process.pid);
      assert.equal(isolate, own.isolate);
    }
    const prefix = `${process.pid}-${all[0].process.slice(0, 8)}-${own.isolate}`;
    assert.deepEqual(names(place), [0, 1, 2, 3].map((n) => `${prefix}.${n}.otlp`));

    const { spanId } = span.spanContext();
    const seen = paths.map((path) => {
      const reader = readerOf(path);
      const records = reader.drain(SPANS);
      assert.ok(records.every((record) => record.span_id === spanId));
      // Refs are into the file's own dictionary.
      assert.ok(
        records.every((record) => reader.scope(record.scope_ref as bigint).name === "scope"),
      );
      const attributes = records.flatMap(({ start, attributes }) => {
        const { attributes: list } = (start ?? attributes ?? {}) as Message;
        return Object.entries(reader.attributes(list));
      });
      return [
        records.map((record) => record.start ? "start" : record.end ? "end" : "attributes"),
        Object.fromEntries(attributes),
        reader.drain(EVENTS).map((event) => reader.attributes(event.attributes).generation),
      ];
    });
    assert.deepEqual(seen, [
      [["start", "attributes"], { a: 1n, generation: 0n }, [0n]],
      [["attributes"], { generation: 1n }, [1n]],
      [["attributes"], { generation: 2n }, [2n]],
      [["end"], {}, []],
    ]);
  });

  it("keep room for the ends of spans that started before", () => {
    const { recorder, tracer } = record({ directory: newPlace() }, {
      ...SIZES,
      spans: { slots: 16, slotBytes: 256 },
    });
    const open = ["a", "b", "c", "d"].map((name) => tracer.startSpan(name));
    const first = recorder.file!;
    first.spans.sequenceLimit = 4;
    while (tracer.startSpan("filler").isRecording());
    const next = recorder.file!;
    assert.notEqual(next, first);
    for (const span of open) span.end();
    const ends = readerOf(next.mapping.path).drain(SPANS).filter(({ end }) => end !== undefined);
    assert.equal(ends.length, open.length);
    recorder.close();
  });

  it("begin when the dictionary is full, and again only when the one before was read", () => {
    const { recorder, tracer } = record({ directory: newPlace() }, {
      ...SIZES,
      spans: { slots: 1024, slotBytes: 256 },
      dictionaryBytes: 8192,
    });
    let spans = 0;
    const fill = () => {
      const { path } = recorder.file!.mapping;
      for (let i = 0; i < 200 && recorder.file!.mapping.path === path; i++) {
        const attributes = { [`${spans} ${"k".repeat(60)}`]: true };
        const span = tracer.startSpan(`span ${spans++}`, { attributes });
        if (span.isRecording()) span.end();
      }
      return recorder.file!.mapping.path;
    };
    const first = recorder.file!.mapping.path;
    const second = fill();
    assert.notEqual(second, first);
    assert.equal(words(first).state, 2);
    assert.equal(loss(first, SPANS, 2), 0);

    // Nobody reads: no third file, and what is lost is counted.
    assert.equal(fill(), second);
    const refused = loss(second, SPANS, 2);
    assert.ok(refused > 0 && refused < 200, `${refused} refused`);

    assert.equal(drain(first).length + drain(second).length, 2 * (spans - refused));
    assert.notEqual(fill(), second);
    recorder.close();
  });

  it("never hold records of a scope that found no room", () => {
    const sizes = { ...SIZES, spans: { slots: 1024, slotBytes: 256 }, dictionaryBytes: 8192 };
    const { recorder, provider, tracer } = record({ directory: newPlace() }, sizes);
    for (let i = 0; i < 400; i++) {
      tracer.startSpan("a", { attributes: { [`${i} ${"k".repeat(60)}`]: true } }).end();
    }
    const { path } = recorder.file!.mapping;
    const before = loss(path, SPANS, 2);
    const other = provider.getTracer(`other ${"x".repeat(80)}`);
    assert.equal(other.startSpan("b").isRecording(), false);
    assert.equal(loss(path, SPANS, 2), before + 1);
    // Throws for a scope_ref of 0, on which readers made elsewhere end.
    readerOf(path).drain(SPANS);
    recorder.close();
  });

  it("have names that begin with the exact path", async () => {
    await withPrograms(1, async (program) => {
      const place = newPlace();
      const file = join(place, "exact");
      const options = { file, sizes: { ...SIZES, dictionaryBytes: 6000 } };
      const { path, pid } = await program.ask<Started>({ op: "start", options });
      assert.equal(path, file);
      let done = false;
      const recording = program.ask({ op: "record", batches: 30, spans: 10 })
        .finally(() => done = true);
      const spans = new Set<string>();
      while (!done) {
        // It goes on when its files were read.
        for (const name of names(place).filter((name) => !name.endsWith(".tmp"))) {
          for (const { end, span_id } of drain(join(place, name))) {
            if (end !== undefined) spans.add(span_id as string);
          }
        }
        await wait(1);
      }
      await recording;
      assert.equal(spans.size, 300);
      const found = names(place);
      assert.ok(found.length > 2, found.join());
      assert.deepEqual(found, ["exact", ...found.slice(1).map((_, i) => `exact.0.${i + 1}`)]);
      const all = found.map((name) => words(join(place, name)));
      assert.ok(all.every((file) => file.pid === pid && file.isolate === 0));
      assert.deepEqual(all.map(({ generation }) => generation), found.map((_, i) => i));
    });
  });

  it("that can't be made cost records, not the application", async () => {
    const place = join(newPlace(), "inner");
    const { recorder, tracer } = record({ directory: place }, SIZES);
    const { file } = recorder;
    file!.spans.sequenceLimit = 1;
    const span = tracer.startSpan("a");
    // A file where the folder was: no new file can be made there.
    rmSync(place, { recursive: true });
    writeFileSync(place, "");
    for (let i = 0; i < 10; i++) span.setAttribute("key", i);
    assert.equal(tracer.startSpan("b").isRecording(), false);
    assert.equal(recorder.file, file);
    assert.equal(file!.lost(SPANS, 0), 11);
    assert.equal(file!.mapping.i32[192 / 4], 0);
    rmSync(place);
    const deadline = Date.now() + 20_000;
    while (!tracer.startSpan("c").isRecording()) {
      assert.ok(Date.now() < deadline, "no new file long after it could be made");
      await wait(50);
    }
    assert.notEqual(recorder.file, file);
    assert.equal(words(recorder.file!.mapping.path).generation, 1);
    recorder.close();
  });
});

describe("a file that can't be made", () => {
  it("leaves nothing behind when a folder has its name", () => {
    const place = newPlace();
    // Off the main thread, where a test runner may run this, names have a suffix.
    const { isolate } = identity();
    const name = isolate === 0 ? "taken" : `taken.${isolate}.0`;
    mkdirSync(join(place, name));
    const sdk = start({ env: {}, file: join(place, "taken"), sizes: SIZES });
    assert.equal(sdk.recording, false);
    assert.match(sdk.reason!, /^telemetry is off: .*taken/);
    assert.deepEqual(names(place), [name]);
    void sdk.shutdown();
  });

  it("leaves nothing behind when the dictionary is too small for the resource", () => {
    const place = newPlace();
    const sdk = start({
      env: {},
      directory: place,
      sizes: { ...SIZES, dictionaryBytes: 1024 },
      resource: { long: "x".repeat(2000) },
    });
    assert.equal(sdk.recording, false);
    assert.match(sdk.reason!, /the resource does not fit: set OTLP_MMAP_DICTIONARY_BYTES higher/);
    assert.deepEqual(names(place), []);
    void sdk.shutdown();
  });
});

describe("processes at one path", { timeout: 240_000 }, () => {
  it("set a dead one's file aside, whole", async () => {
    const place = newPlace();
    const file = join(place, "app.otlp");
    const options = { file, sizes: SIZES };
    let dead: ReturnType<typeof words> | undefined;
    await withPrograms(2, async (first, second) => {
      const { path, pid } = await first.ask<Started>({ op: "start", options });
      assert.equal(path, file);
      // Records are in the file when the call returns: nobody reads, so it never resolves.
      first.ask({ op: "record", batches: 1, spans: 3 }).catch(() => {});
      while (readerOf(file).drain(SPANS).length < 9) await wait(5);
      dead = words(file);
      assert.equal(dead.pid, pid);
      assert.equal(isLocked(file), true);
      await first.stop("kill");
      assert.equal(isLocked(file), false);

      const started = await second.ask<Started>({ op: "start", options });
      assert.equal(started.path, file);
      const left = `${file}.${dead.uid.slice(0, 8)}.left`;
      assert.deepEqual(names(place), ["app.otlp", basename(left)]);
      assert.deepEqual(words(left), dead);
      assert.equal(dead.state, 0);
      assert.equal(readerOf(left).drain(SPANS).length, 9);
      const alive = words(file);
      assert.equal(alive.pid, started.pid);
      assert.notEqual(alive.process, dead.process);
      assert.equal(readerOf(file).drain(SPANS).length, 0);
    });
  });

  it("set an ended one's file aside, too", async () => {
    const place = newPlace();
    const file = join(place, "app.otlp");
    const options = { file, sizes: SIZES };
    await withPrograms(1, async (program) => {
      await program.ask({ op: "start", options });
      const { uid } = words(file);
      await program.ask({ op: "shutdown" });
      const { path } = await program.ask<Started>({ op: "start", options });
      assert.equal(path, file);
      const left = join(place, `app.otlp.${uid.slice(0, 8)}.left`);
      assert.equal(words(left).state, 1);
      assert.equal(words(file).state, 0);
    });
  });

  it("never touch a living one's file", async () => {
    const place = newPlace();
    const file = join(place, "app.otlp");
    const options = { file, sizes: SIZES };
    await withPrograms(3, async (first, second, third) => {
      await first.ask({ op: "start", options });
      const before = { ...words(file), inode: statSync(file).ino };
      const others = await Promise.all(
        [second, third].map((program) => program.ask<Started>({ op: "start", options })),
      );
      for (const { path, pid } of others) {
        assert.equal(path, `${file}.${pid}-${words(path).process.slice(0, 8)}.0.0`);
        assert.equal(words(path).pid, pid);
      }
      assert.deepEqual({ ...words(file), inode: statSync(file).ino }, before);
      assert.deepEqual(
        names(place),
        ["app.otlp", ...others.map(({ path }) => basename(path))].sort(),
      );
    });
  });

  it("get a name each when they start at once on the same leftover", async () => {
    const place = newPlace();
    const barrier = Mapping.create(join(directory, "barrier"), { bytes: 4096 });
    barrier.publish();
    await withPrograms(2, async (...programs) => {
      for (const program of programs) await program.ask({ op: "map", path: barrier.path });
      let winners = new Set<number>();
      for (let round = 1; round <= 200; round++) {
        const file = join(place, `${round}.otlp`);
        const dead = FileWriter.create(file, {
          ...SIZES,
          dictionaryBytes: 1024,
          identity: identity(),
        });
        dead.mapping.publish();
        dead.close();
        const { uid } = words(file);
        const paths = await Promise.all(
          programs.map((program) => program.ask<string>({ op: "race", place: { file }, round })),
        );
        const winner = paths.indexOf(file);
        assert.ok(winner >= 0, `round ${round}: ${paths.join(" and ")}`);
        winners = winners.add(winner);
        const other = paths[1 - winner];
        const pids = programs.map((program) => program.process.pid!);
        assert.equal(words(file).pid, pids[winner]);
        assert.equal(words(other).pid, pids[1 - winner]);
        assert.equal(other, `${file}.${pids[1 - winner]}-${words(other).process.slice(0, 8)}.0.0`);
        const left = `${file}.${uid.slice(0, 8)}.left`;
        assert.equal(words(left).uid, uid);
        assert.deepEqual(names(place), [file, other, left].map((path) => basename(path)).sort());
        assert.equal(isLocked(file) && isLocked(other) && !isLocked(left), true);
        for (const path of [file, other, left]) rmSync(path);
      }
      assert.equal(winners.size, 2, "the same one was first in every round: they did not race");
    });
    barrier.close();
  });

  it("leave a file without our extension alone as long as somebody has it mapped", async () => {
    const place = newPlace();
    const file = join(place, "app.otlp");
    const made = FileWriter.create(file, { ...SIZES, identity: identity() });
    made.mapping.u8.fill(0, 64, 4096);
    made.mapping.publish();
    made.close();
    const inode = statSync(file).ino;
    const options = { file, sizes: SIZES };
    await withPrograms(3, async (foreign, second, third) => {
      await foreign.ask({ op: "map", path: file });
      const { path, pid } = await second.ask<Started>({ op: "start", options });
      assert.equal(path, `${file}.${pid}-${words(path).process.slice(0, 8)}.0.0`);
      assert.equal(statSync(file).ino, inode);
      await foreign.stop("kill");
      // Where it can't be known who has a file mapped, it stays where it is.
      const moved = process.platform === "linux";
      const later = await third.ask<Started>({ op: "start", options });
      assert.equal(later.path === file, moved);
      const left = names(place).filter((name) => /^app\.otlp\.[0-9a-f]{8}\.left$/.test(name));
      assert.equal(left.length, moved ? 1 : 0);
      assert.equal(statSync(moved ? join(place, left[0]) : file).ino, inode);
    });
  });
});

describe("Workers", { timeout: 120_000 }, () => {
  for (const kind of ["web", "node"]) {
    it(`of the ${kind} kind get a file each, of the same process`, async () => {
      await withPrograms(1, async (program) => {
        const place = newPlace();
        const file = join(place, "app.otlp");
        const main = await program.ask<Started>({ op: "start", options: { file, sizes: SIZES } });
        assert.equal(main.path, file);
        const paths = (await program.ask<{ path: string }[]>({
          op: "workers",
          kind,
          count: 3,
          place: { file },
        })).map(({ path }) => path);
        assert.deepEqual(names(place), ["app.otlp", ...paths.map((path) => basename(path))].sort());
        const all = [file, ...paths].map(words);
        assert.equal(new Set(all.map(({ uid }) => uid)).size, 4);
        assert.equal(new Set(all.map(({ process: uid }) => uid)).size, 1);
        assert.equal(new Set(all.map(({ isolate }) => isolate)).size, 4);
        assert.ok(all.every(({ pid, generation }) => pid === main.pid && generation === 0));
        assert.equal(all[0].isolate, 0);
        paths.forEach((path, i) => {
          assert.equal(path, `${file}.${all[i + 1].isolate}.0`);
          assert.equal(isLocked(path), true);
          const reader = readerOf(path);
          const records = reader.drain(SPANS);
          assert.equal((records[0].start as Message).name, "in a Worker");
          assert.equal(reader.scope(records[0].scope_ref as bigint).name, "worker");
        });
        await program.ask({ op: "endWorkers" });
        // A Worker that follows takes the place of none of them, ended or not.
        const [next] = (await program.ask<{ path: string }[]>({
          op: "workers",
          kind,
          count: 1,
          place: { file },
        })).map(({ path }) => path);
        assert.equal(words(next).process, all[0].process);
        const uids = names(place).map((name) => words(join(place, name)).uid);
        for (const { uid } of all) assert.ok(uids.includes(uid));
        assert.equal(new Set(uids).size, 5);
        await program.stop("kill");
        for (const path of [file, ...paths]) assert.equal(isLocked(path), false);
      });
    });
  }
});
