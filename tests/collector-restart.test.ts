import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { readImage } from "../collector/inspect/image.ts";
import { POSITIONS } from "../collector/journal/format.ts";
import { numberOf, readBlocks } from "../collector/journal/read.ts";
import { until } from "../collector/testing/run.ts";
import { RING_COUNT, RING_MEASUREMENTS, RING_NAMES } from "../lib/format/layout.ts";
import type { View } from "../lib/metrics/views.ts";
import { loadIndex } from "../lib/ring/index.ts";
import {
  observe,
  type Observed,
  type ObserveOptions,
  plainAttributes,
} from "./support/collector.ts";
import {
  type JournalPlace,
  type Load,
  places,
  sleep,
  startJournaled,
  startLoad,
  untilDone,
} from "./support/journaled.ts";
import { otherRuntime, ownRuntime } from "./support/runtimes.ts";
import { type Arrived, assertComplete, takeStored } from "./support/stored.ts";
import type { JournaledOptions } from "./testdata/journaled-collector.ts";

const newPlace = places("collector-restart");
const NOTHING = { spans: 0, logs: 0, points: 0 };

/** A view that renames the counter of load programs. */
const RENAMED: readonly View[] = [{
  place: "views.yaml:1:1",
  selector: {
    instrumentName: "counted",
    instrumentType: undefined,
    unit: undefined,
    meterName: undefined,
    meterVersion: undefined,
    meterSchemaUrl: undefined,
  },
  stream: {
    name: "renamed",
    description: undefined,
    aggregation: { kind: "default" },
    cardinalityLimit: undefined,
    attributeKeys: undefined,
  },
}];

/** The last value of each sum's series, by name and series. */
function lastSums({ metrics }: Arrived): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { metric } of metrics) {
    if (metric.data.case !== "sum") continue;
    for (const point of metric.data.value.dataPoints) {
      const series = String(point.attributes[0].value?.value.value);
      sums.set(`${metric.name} ${series}`, Number(point.value.value));
    }
  }
  return sums;
}

/** Segments of a journal. */
function segments({ journal }: JournalPlace): string[] {
  return readdirSync(journal).filter((name) => /\.journal$/.test(name));
}

/** By ring: the sequence taken last of the only file that a segment has, as far as it can be read. */
function takenOf(path: string): number[] {
  const fd = openSync(path, "r");
  const taken: number[] = [];
  readBlocks(fd, fstatSync(fd).size, (forEach) =>
    forEach((entry) => {
      if (entry.type !== POSITIONS) return;
      for (let ring = 0; ring < RING_COUNT; ring++) taken[ring] = numberOf(entry, 1 + 2 * ring);
    }));
  closeSync(fd);
  return taken;
}

/** By ring: the sequence given back last. */
function releasedOf(path: string): number[] {
  const image = readImage(path);
  assert.ok("rings" in image.geometry);
  return image.geometry.rings.map((ring) => loadIndex(image.i64, ring).sequence);
}

/** The number of the newest segment, 0 where there is none. */
function numberOfSegment(place: JournalPlace): number {
  return Math.max(0, ...segments(place).map((name) => parseInt(name, 10)));
}

/** Bytes of the newest segment. */
function sizeOfJournal(place: JournalPlace): number {
  const name = segments(place).sort().at(-1);
  return name === undefined ? 0 : statSync(join(place.journal, name)).size;
}

/** Waits until so many more records of each ring of a load are taken and given back. */
async function someTaken(load: Load, count = 1500): Promise<void> {
  const { path } = await load.ask({});
  const before = releasedOf(path);
  const isTaken = (now: number, ring: number): boolean => now >= before[ring] + count;
  await until("records of each ring are taken", () => releasedOf(path).every(isTaken));
}

/** Starts a collector and a load, some of which it has taken. */
async function startBoth(
  place: JournalPlace,
  temporality?: Load["temporality"],
): Promise<{ first: Observed; load: Load }> {
  const first = await startJournaled(place);
  const load = await startLoad(place, "load", temporality);
  await load.ask({ run: 2 });
  await someTaken(load);
  return { first, load };
}

/** Reads what is left, to its end. */
async function finish(
  place: JournalPlace,
  options: Partial<JournaledOptions> = {},
): Promise<{ stored: Arrived; text: string }> {
  const last = await startJournaled(place, options);
  await untilDone(place);
  assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
  return { stored: takeStored(place.spool), text: last.text() };
}

describe("a collector that is started again", () => {
  it("goes on with spans and series after a stop, twice in a row", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    assert.match(first.text(), /4\d still open, kept in the journal for the next start/);
    // Once more, without anything to do.
    await load.ask({ stop: true });
    const second = await startJournaled(place, {}, otherRuntime);
    await sleep(300);
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
    assert.match(second.text(), /goes on from the journal: \d+ open spans and 14 series of 1 /);
    assert.doesNotMatch(second.text(), /interrupted|warn|error/);
    await load.ask({ run: 2 });
    await sleep(100);
    const recorded = await load.kill(2);
    const { stored } = await finish(place);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 2), NOTHING);
  });

  for (const stop of ["SIGTERM", "SIGKILL"] as const) {
    it(`sends open spans of a process that died in between as interrupted, ${stop}`, async () => {
      const place = newPlace();
      const { first, load } = await startBoth(place, "delta");
      await first.stop(stop);
      await sleep(100);
      const recorded = await load.kill(30);
      const { stored } = await finish(place);
      assert.deepEqual(assertComplete(stored, "load", "delta", recorded, 30), NOTHING);
    });

    it(`sends what it knew of files that were removed in between, ${stop}`, async () => {
      const place = newPlace();
      const { first, load } = await startBoth(place);
      await load.ask({ stop: true });
      const recorded = await load.ask({ leave: 12 });
      // The slots were given back: nobody else knows of it.
      await load.ask({ flush: true });
      await first.stop(stop);
      await load.program.stop("kill");
      for (const name of readdirSync(place.files)) unlinkSync(join(place.files, name));
      const last = await startJournaled(place);
      assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
      assert.match(last.text(), /12 of them interrupted/);
      const stored = takeStored(place.spool);
      assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 12), NOTHING);
    });
  }

  it("keeps what it knows of files that it is not told to read now", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    await first.stop("SIGKILL");
    const other = newPlace();
    for (const stop of ["SIGTERM", "SIGKILL"] as const) {
      const second = await startJournaled(place, { paths: [other.files], logBytes: 1000 });
      await sleep(300);
      await second.stop(stop);
    }
    const recorded = await load.kill(3);
    const { stored } = await finish(place);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });

  it("repeats little where the spool does not know any more what was stored last", async () => {
    const place = newPlace();
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    for (let i = 0; i < 3; i++) {
      const collector = await startJournaled(place, { forgetsMarks: true });
      await sleep(400);
      await collector.stop("SIGKILL");
    }
    const recorded = await load.kill(3);
    const { stored } = await finish(place, { forgetsMarks: true });
    const { spans, logs } = assertComplete(stored, "load", "cumulative", recorded, 3);
    // A look at all rings makes some requests, and what became of them is written with the next.
    const most = Math.max(1000, recorded.number / 2);
    assert.ok(spans < most && logs < most, `${spans} spans and ${logs} log records came again`);
  });

  it("puts spans together whose parts are in files that continue each other", {
    timeout: 180_000,
  }, async () => {
    const place = newPlace();
    const load = await startLoad(place, "load", "cumulative", "4096");
    await load.ask({ run: 2 });
    const paths = new Set<string>();
    for (let i = 0; i < 6 || (paths.size < 3 && i < 60); i++) {
      const collector = await startJournaled(place, { logBytes: 100_000 });
      await sleep(250);
      paths.add((await load.ask({})).path);
      await collector.stop(i % 3 === 2 ? "SIGTERM" : "SIGKILL");
      await sleep(50);
    }
    assert.ok(paths.size > 2, `${paths.size} files`);
    const recorded = await load.kill(3);
    const { stored } = await finish(place);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });

  it("aggregates by the views of the new start, and loses nothing of the old one", async () => {
    const place = newPlace();
    const first = await startJournaled(place);
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    const { path } = await load.ask({});
    const measured = (): number => releasedOf(path)[RING_MEASUREMENTS];
    await until("some measurements are in the old stream", () => measured() > 0);
    await first.stop("SIGKILL");
    const before = measured();
    const options = { aggregation: { views: RENAMED } };
    const second = await startJournaled(place, options);
    await until("some are in the new one", () => measured() > before);
    await second.stop("SIGKILL");
    const recorded = await load.kill(3);
    const { stored } = await finish(place, options);
    // The old stream and the new one together are the instrument.
    const sums = lastSums(stored);
    const together = recorded.sums.map((_, series) =>
      (sums.get(`counted ${series}`) ?? 0) + (sums.get(`renamed ${series}`) ?? 0)
    );
    assert.deepEqual(together, recorded.sums);
    assert.ok([...sums.keys()].some((key) => key.startsWith("renamed")));
    assert.ok([...sums.keys()].some((key) => key.startsWith("counted")));
    const others = {
      ...stored,
      metrics: stored.metrics.filter(({ metric }) => metric.name === "spread"),
    };
    const expected = { ...recorded, sums: [] };
    assert.deepEqual(assertComplete(others, "load", "cumulative", expected, 3), NOTHING);
  });

  for (const logBytes of [undefined, 50_000]) {
    it(`knows which instruments were met before views changed, log of ${logBytes}`, async () => {
      const place = newPlace();
      const first = await startJournaled(place, { nextViews: RENAMED, logBytes });
      const before = await startLoad(place, "before");
      await before.ask({ run: 2 });
      await someTaken(before);
      process.kill(first.child.pid!, "SIGHUP");
      await first.wrote(/views changed/);
      const after = await startLoad(place, "after");
      await after.ask({ run: 2 });
      await someTaken(after);
      await first.stop("SIGKILL");
      const recorded = [await before.kill(0), await after.kill(0)];
      const { stored } = await finish(place, { aggregation: { views: RENAMED } });
      for (const [i, { name }] of [before, after].entries()) {
        const its = stored.metrics.filter(({ resource }) =>
          plainAttributes(resource.resource!.attributes)["service.name"] === name
        );
        const sums = lastSums({ ...stored, metrics: its });
        const [counted, renamed] = ["counted", "renamed"].map((metric) =>
          recorded[i].sums.map((_, series) => sums.get(`${metric} ${series}`) ?? 0)
        );
        const together = counted.map((sum, series) => sum + renamed[series]);
        assert.deepEqual(together, recorded[i].sums, name);
        // A checkpoint lets the old ones end.
        if (i === 1 || logBytes === undefined) assert.deepEqual([counted, renamed][i], together);
      }
    });
  }

  it("puts a journal aside that a newer version wrote, and starts anew", async () => {
    const place = newPlace();
    await (await startJournaled(place)).stop("SIGKILL");
    const [name] = segments(place);
    const path = join(place.journal, name);
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(2, 8);
    writeFileSync(path, bytes);
    const second = await startJournaled(place);
    assert.match(second.text(), /error the journal .* has version 2, and 1 is what this collector/);
    await second.stop();
    assert.deepEqual(readFileSync(`${path}.unread-1`), bytes);
    assert.ok(!existsSync(path));
  });

  it("says what is lost with a damaged checkpoint, and goes on with what the rings hold", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    await load.ask({ stop: true });
    await first.stop();
    const [name] = segments(place);
    const path = join(place.journal, name);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(path, bytes);
    const before = await load.ask({});
    const second = await startJournaled(place);
    assert.match(
      second.text(),
      /error the journal .* is damaged: open spans .* are lost; it is kept/,
    );
    await load.ask({ run: 2 });
    await someTaken(load);
    await second.stop("SIGKILL");
    const after = await load.kill(0);
    const { stored, text } = await finish(place);
    assert.doesNotMatch(text, /error/);
    const names = new Set(stored.spans.map(({ span }) => span.name));
    // The ones that were open at the stop are the loss.
    assert.equal(names.size, after.number - before.open);
    assert.equal(new Set(stored.logs.map(({ log }) => log.body?.value.value)).size, after.number);
  });

  it("says what is lost with a damaged log, counts it, and keeps a copy", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    await load.ask({ stop: true });
    await load.ask({ flush: true });
    await first.stop("SIGKILL");
    const [name] = segments(place);
    const path = join(place.journal, name);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(path, bytes);
    const before = await load.ask({});
    const taken = takenOf(path);
    const lost = releasedOf(before.path).map((released, ring) => released - taken[ring]);
    assert.ok(lost.every((count) => count > 0), `${lost}`);
    const list = RING_NAMES.map((ring, i) => `${lost[i]} of the ${ring} rings`).join(", ");

    const second = await startJournaled(place);
    await second.wrote(/error records that only the damaged journal had/);
    const said = second.text();
    assert.match(
      said,
      /error the journal .* is damaged at byte \d+, and can't be followed .* lost/,
    );
    assert.ok(said.includes(`it is kept as ${path}.unread-1;`), said);
    assert.ok(said.includes(`lost but for what was sent of them: ${list}\n`), said);
    assert.deepEqual(readFileSync(`${path}.unread-1`), bytes);
    await load.ask({ run: 2 });
    await someTaken(load);
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
    assert.ok(second.text().includes(`of those delivered, records that only the damaged`));
    assert.equal(second.text().match(/^error /gm)?.length, 2, second.text());

    // What came after the damage is all there, and the copy is no journal.
    const after = await load.kill(0);
    const { stored, text } = await finish(place);
    assert.doesNotMatch(text, /error|damaged/);
    const names = new Set(stored.spans.map(({ span }) => span.name));
    for (let i = before.number; i < after.number; i++) assert.ok(names.has(`load ${i}`), `${i}`);
    assert.deepEqual(readFileSync(`${path}.unread-1`), bytes);
  });

  it("says what was given back behind the end of a log whose last blocks are gone", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    await load.ask({ stop: true });
    await load.ask({ flush: true });
    await first.stop("SIGKILL");
    const path = join(place.journal, segments(place)[0]);
    truncateSync(path, Math.floor(sizeOfJournal(place) * 0.7));
    const before = await load.ask({});
    const taken = takenOf(path);
    const lost = releasedOf(before.path).map((released, ring) => released - taken[ring]);
    assert.ok(lost.every((count) => count > 0), `${lost}`);
    const list = RING_NAMES.map((ring, i) => `${lost[i]} of the ${ring} ring`).join(", ");

    const second = await startJournaled(place);
    await second.wrote(/warn .* records were given back that are not in the journal/);
    assert.ok(second.text().includes(`not in the journal: ${list};`), second.text());
    await load.ask({ run: 2 });
    await someTaken(load);
    await second.stop();
    const after = await load.kill(0);
    const { stored, text } = await finish(place);
    assert.doesNotMatch(text, /error|warn/);
    const names = new Set(stored.spans.map(({ span }) => span.name));
    for (let i = before.number; i < after.number; i++) assert.ok(names.has(`load ${i}`), `${i}`);
  });

  it("says nothing of a block that a kill has cut off", async () => {
    const place = newPlace();
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    const first = await startJournaled(place);
    await someTaken(load);
    await first.stop("SIGKILL");
    const path = join(place.journal, segments(place)[0]);
    // As far as it got: nothing of it was given back.
    const begun = new Int32Array(20).fill(1);
    begun[0] = 400;
    appendFileSync(path, new Uint8Array(begun.buffer));
    const recorded = await load.kill(3);
    const { stored, text } = await finish(place);
    assert.doesNotMatch(text, /warn|error|damaged/);
    assert.deepEqual(readdirSync(place.journal).filter((name) => /unread/.test(name)), []);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });

  it("uses the checkpoint before a damaged one, where that is still there", async () => {
    const place = newPlace();
    const { first, load } = await startBoth(place);
    await first.stop("SIGKILL");
    const [name] = segments(place);
    // A crash between the name of the new one and the removal of the old one, and then a bad disk.
    const next = name.replace(/\d(?=\.)/, (digit) => String(Number(digit) + 1));
    writeFileSync(
      join(place.journal, next),
      readFileSync(join(place.journal, name)).subarray(0, 100),
    );
    const recorded = await load.kill(3);
    const { stored, text } = await finish(place);
    assert.match(text, /error the journal .* is damaged/);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });

  it("leaves a journal alone that another collector has", async () => {
    const place = newPlace();
    const first = await startJournaled(place);
    const second = await startJournaled(place);
    assert.match(second.text(), /warn the journal in .* is that of process \d+; this collector/);
    await second.stop();
    await first.stop();
  });
});

describe("a disk without room for the journal", () => {
  it("holds everything back, says so once, and goes on when there is room", async () => {
    const place = newPlace();
    const { spool, journal, files } = place;
    const full = join(files, "..", "full");
    const start = () =>
      observe(ownRuntime, "tests/testdata/dying-collector.ts", [
        JSON.stringify({ paths: [files], spool, journal }),
        JSON.stringify({ store: "journal written", when: "full", count: 1, full }),
      ]);
    const load = await startLoad(place, "load");
    let collector = start();
    await collector.wrote(/ready/);
    await load.ask({ run: 2 });
    for (let round = 0; round < 2; round++) {
      await someTaken(load);
      writeFileSync(full, "");
      await collector.wrote(/error the journal in .* can't be written: .*ENOSPC/);
      // Nothing more is given back: the rings hold it.
      const { path } = await load.ask({});
      const released = releasedOf(path);
      await sleep(200);
      assert.deepEqual(releasedOf(path), released);
      if (round === 1) {
        // Killed while it can't write: what was half written is nothing.
        await collector.stop("SIGKILL");
        unlinkSync(full);
        collector = start();
        await collector.wrote(/ready/);
      } else {
        unlinkSync(full);
        await collector.wrote(/info the journal is written again/);
      }
    }
    assert.doesNotMatch(collector.text(), /can't be written[^]*can't be written/);
    const recorded = await load.kill(3);
    await untilDone(place);
    assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());
    const stored = takeStored(spool);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });
});

describe("a process that may only write files of some size", () => {
  /** After the load is gone: all of it was stored once, and nothing was complained of. */
  async function assertStored(place: JournalPlace, load: Load, collector: Observed): Promise<void> {
    const recorded = await load.kill(3);
    await untilDone(place);
    assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());
    assert.doesNotMatch(collector.text(), /warn|error/);
    const stored = takeStored(place.spool);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  }

  /** In blocks of 512 or 1024 bytes. Deno's own caches on the disk are larger. */
  const limited = (blocks: number): ObserveOptions => ({
    shell: `ulimit -f ${blocks}`,
    env: { DENO_DIR: "/dev/null/none" },
  });

  // What is taken at a time may be too large for the smaller one: then a kill may repeat some of it.
  for (const [blocks, stop] of [[4096, "SIGKILL"], [1024, "SIGTERM"]] as const) {
    it(`begins another journal before that, and stores everything once, ${blocks}`, async () => {
      const place = newPlace();
      const load = await startLoad(place, "load");
      await load.ask({ run: 2 });
      let collector = await startJournaled(place, {}, ownRuntime, limited(blocks));
      await until("a third journal is begun", () => numberOfSegment(place) > 3);
      // A start goes on with what is there.
      await collector.stop(stop);
      collector = await startJournaled(place, {}, ownRuntime, limited(blocks));
      const goal = numberOfSegment(place) + 4096 / blocks;
      await until("others are begun", () => numberOfSegment(place) >= goal);
      await assertStored(place, load, collector);
    });
  }

  it("goes on with a journal that is larger", async () => {
    const place = newPlace();
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    const first = await startJournaled(place);
    await until("the journal is large", () => sizeOfJournal(place) > 9 << 20);
    await first.stop("SIGKILL");
    const collector = await startJournaled(place, {}, ownRuntime, limited(4096));
    await until("another one is begun", () => numberOfSegment(place) > 1);
    await assertStored(place, load, collector);
  });

  it("holds everything back where nothing can be written, says what to do, and loses nothing", async () => {
    const place = newPlace();
    // A dictionary that grows, which is in each checkpoint.
    const load = await startLoad(place, "load", "cumulative", "4000000");
    await load.ask({ run: 2 });
    const first = await startJournaled(place);
    await until("there is much to be known", () => sizeOfJournal(place) > 9 << 20);
    assert.deepEqual(await first.stop(), { code: 0, signal: null }, first.text());
    const checkpoint = sizeOfJournal(place);
    const blocks = 32;
    assert.ok(checkpoint > 1024 * blocks, `a checkpoint of ${checkpoint} bytes`);

    const collector = await startJournaled(place, {}, ownRuntime, limited(blocks));
    await collector.wrote(
      /error the journal in .* can't be written: EFBIG: .* \(ulimit -f\); nothing/,
    );
    await sleep(500);
    assert.equal(collector.text().match(/^error /gm)?.length, 1, collector.text());
    assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());
    const recorded = await load.kill(3);
    const { stored } = await finish(place);
    assert.deepEqual(assertComplete(stored, "load", "cumulative", recorded, 3), NOTHING);
  });
});
