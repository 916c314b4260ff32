import assert from "node:assert/strict";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { openForSql } from "../collector/store/sql/views.ts";
import { until } from "../collector/testing/run.ts";
import { type Sink, startSink } from "./peers/sink.ts";
import { Arrivals } from "./support/arrivals.ts";
import { startBackend } from "./support/backend.ts";
import { observe, type Observed, startCollector } from "./support/collector.ts";
import { places, sleep, startJournaled, startLoad, untilDone } from "./support/journaled.ts";
import { Random, seed } from "./support/random.ts";
import { otherRuntime, ownRuntime } from "./support/runtimes.ts";
import { assertComplete, decode, type Recorded, takeStored } from "./support/stored.ts";
import type { Death, StoreName } from "./testdata/dying-collector.ts";

const FULL = process.env.OTLP_MMAP_TEST_SIZE === "full";
/** SIGKILLs of one test. */
const KILLS = FULL ? 250 : 20;
/** In all of these the collector is running, reading, or just starting. */
const LONGEST_MS = 400;

const newPlace = places("collector-kill");

describe("a collector that is killed at any moment", () => {
  it(
    `stores everything once, ${KILLS} kills (seed ${seed})`,
    { timeout: 1_200_000 },
    async () => {
      const random = new Random();
      const place = newPlace();
      const options = { logBytes: 200_000 };
      const loads = [
        await startLoad(place, "one", "cumulative"),
        await startLoad(place, "two", "delta"),
      ];
      for (const { ask } of loads) await ask({ run: 2 });
      for (let kill = 0; kill < KILLS; kill++) {
        const runtime = kill % 5 === 4 ? otherRuntime : ownRuntime;
        const collector = await startJournaled(place, options, runtime);
        await sleep(random.below(LONGEST_MS));
        await collector.stop("SIGKILL");
        assert.doesNotMatch(collector.text(), /^(warn|error)/m);
      }
      const recorded: Recorded[] = [];
      for (const { ask, program } of loads) {
        await ask({ stop: true });
        recorded.push(await ask({ leave: 3 }));
        // The one dies while nobody looks, the other shuts down.
        if (recorded.length === 1) await program.stop("kill");
        else await ask({ shutdown: true });
      }
      const last = await startJournaled(place, options);
      await untilDone(place);
      assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
      await loads[1].program.stop();
      const stored = takeStored(place.spool);
      for (const [i, { name, temporality }] of loads.entries()) {
        const repeated = assertComplete(stored, name, temporality, recorded[i], 3);
        assert.deepEqual(repeated, { spans: 0, logs: 0, points: 0 }, `what came twice of ${name}`);
      }
      assert.ok(recorded[0].number > 10 * KILLS, `only ${recorded[0].number} spans`);
    },
  );

  it(`sends everything, and again only what was on its way`, { timeout: 300_000 }, async () => {
    const random = new Random();
    const place = newPlace();
    const backend = await startBackend();
    const arrivals = new Arrivals();
    const sent = {
      bodies: [] as Uint8Array[],
      metrics: [] as Uint8Array[],
      logs: [] as Uint8Array[],
    };
    const take = (): void => {
      const { traces, metrics, logs } = arrivals.take(backend).bodies;
      sent.bodies.push(...traces);
      sent.metrics.push(...metrics);
      sent.logs.push(...logs);
    };
    const args = [place.files, "--endpoint", backend.url, "--spool", place.spool];
    args.push("--batch-size", "50", "--metrics-interval", "100ms");
    try {
      const load = await startLoad(place, "load");
      await load.ask({ run: 2 });
      for (let kill = 0; kill < KILLS / 2; kill++) {
        const collector = startCollector(args);
        await sleep(200 + random.below(LONGEST_MS));
        await collector.stop("SIGKILL");
        assert.doesNotMatch(collector.text(), /warn|error/);
        take();
        arrivals.kills++;
      }
      const recorded = await load.kill(3);
      const last = startCollector(args);
      await untilDone(place);
      const { code } = await last.stop();
      assert.equal(code, 0, last.text());
      take();
      const repeated = assertComplete(decode(sent), "load", "cumulative", recorded, 3);
      assert.deepEqual(repeated, { spans: 0, logs: 0, points: 0 }, "but for whole requests");
    } finally {
      await backend.stop();
    }
  });

  it("has everything once in its store, also what a kill lets it send again", {
    timeout: 300_000,
  }, async () => {
    const place = newPlace();
    const path = join(place.files, "..", "store.db");
    const copy = `${place.spool}.copy`;
    const args = [place.files, "--spool", place.spool, "--batch-size", "50"];
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    // Nobody is there: everything waits in the spool.
    const first = startCollector([...args, "--endpoint", "http://127.0.0.1:9"]);
    await first.wrote(/127\.0\.0\.1:9/);
    const { number } = await load.kill(3);
    await untilDone(place);
    await first.stop("SIGKILL");
    cpSync(place.spool, copy, { recursive: true });
    for (let round = 0; round < 2; round++) {
      const sink = await startSink();
      const collector = startCollector([...args, "--endpoint", sink.url, "--store", path]);
      try {
        await until("all is sent", () => logsOf(sink) === number);
        await until("all is stored", () => stored("count(*) FROM logs") >= number);
        assert.equal((await collector.stop()).code, 0, collector.text());
      } finally {
        await collector.stop("SIGKILL");
        await sink.stop();
      }
      for (const [view, text] of [["spans", "name"], ["logs", "body"]]) {
        assert.equal(
          stored(`count(DISTINCT ${text}) FROM ${view}`),
          number,
          `${view} in the store`,
        );
        assert.equal(stored(`count(*) FROM ${view}`), number, `${view} that are there once`);
      }
      // As if it had been killed when all was stored, and nothing of that given back.
      rmSync(place.spool, { recursive: true });
      cpSync(copy, place.spool, { recursive: true });
    }

    function logsOf(sink: Sink): number {
      return decode(sink).logs.length;
    }
    function stored(what: string): number {
      const db = openForSql(path);
      const [value] = Object.values(db.prepare(`SELECT ${what}`).get()!);
      db.close();
      return Number(value);
    }
  });
});

/** Where the collector dies, and how often it does that there. */
const DEATHS: Readonly<Record<StoreName, readonly Omit<Death, "store">[]>> = {
  "journal written": [
    { when: "before", count: 1 },
    { when: "half", count: 2 },
    { when: "after", count: 1 },
    { when: "before", count: 30 },
    { when: "half", count: 31 },
    { when: "after", count: 32 },
  ],
  "request stored": [
    { when: "before", count: 1 },
    { when: "after", count: 1 },
    { when: "before", count: 7 },
    { when: "half", count: 8 },
    { when: "after", count: 9 },
  ],
  "slots released": [
    { when: "before", count: 1 },
    { when: "after", count: 1 },
    { when: "before", count: 20 },
    { when: "after", count: 21 },
  ],
  "checkpoint begun": [{ when: "before", count: 2 }, { when: "after", count: 2 }],
  "checkpoint written": [
    { when: "before", count: 10 },
    { when: "half", count: 11 },
    { when: "half", count: 13 },
    { when: "half", count: 15 },
    { when: "after", count: 18 },
  ],
  "checkpoint named": [{ when: "before", count: 2 }, { when: "after", count: 2 }],
  "older journal removed": [{ when: "before", count: 1 }, { when: "after", count: 1 }],
  "torn end cut off": [{ when: "before", count: 1 }, { when: "after", count: 1 }],
  "file removed": [{ when: "before", count: 1 }, { when: "after", count: 1 }],
};

describe("a collector that dies at a store that others can see", () => {
  for (const [store, deaths] of Object.entries(DEATHS)) {
    it(`has everything once afterwards: ${store}`, { timeout: 120_000 }, async () => {
      const place = newPlace();
      const options = { logBytes: 30_000 };
      const { spool, journal } = place;
      // The first journal has no end to be cut off, nor anything to remove.
      const first = await startJournaled(place, options);
      const load = await startLoad(place, "load");
      await load.ask({ run: 2 });
      await sleep(200);
      await first.stop("SIGKILL");
      let recorded: Recorded | undefined;
      for (const death of deaths) {
        if (store === "file removed" && recorded === undefined) {
          recorded = await load.kill(3);
        }
        const dying = observe(ownRuntime, "tests/testdata/dying-collector.ts", [
          JSON.stringify({ paths: [place.files], spool, journal, ...options }),
          JSON.stringify({ store, ...death }),
        ]);
        const { signal } = await within(dying, 20_000);
        assert.equal(signal, "SIGKILL", `${JSON.stringify(death)}: ${dying.text()}`);
        // What is left of a file whose removal is done.
        if (store === "file removed" && death.when === "after") {
          assert.deepEqual(readdirSync(place.files).filter((name) => name.endsWith(".otlp")), []);
        }
      }
      recorded ??= await load.kill(3);
      const last = await startJournaled(place, options);
      // The lock of a reader that was killed after the file was gone is nobody's.
      const files = (): string[] =>
        readdirSync(place.files).filter((name) => name.endsWith(".otlp"));
      await until("all files are done", () => files().length === 0);
      assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
      const repeated = assertComplete(takeStored(place.spool), "load", "cumulative", recorded, 3);
      assert.deepEqual(repeated, { spans: 0, logs: 0, points: 0 }, "what came twice");
    });
  }
});

describe("a collector that dies while it makes its first journal", () => {
  const deaths: readonly Death[] = [
    { store: "checkpoint begun", when: "before", count: 1 },
    { store: "checkpoint begun", when: "after", count: 1 },
    { store: "checkpoint written", when: "half", count: 1 },
    { store: "checkpoint written", when: "after", count: 2 },
    { store: "checkpoint written", when: "half", count: 4 },
    { store: "checkpoint named", when: "before", count: 1 },
    { store: "checkpoint named", when: "after", count: 1 },
  ];
  it("has taken nothing before", { timeout: 120_000 }, async () => {
    const place = newPlace();
    const load = await startLoad(place, "load");
    await load.ask({ run: 2 });
    await sleep(100);
    const recorded = await load.kill(3);
    for (const death of deaths) {
      const { files, spool, journal } = place;
      const dying = observe(ownRuntime, "tests/testdata/dying-collector.ts", [
        JSON.stringify({ paths: [files], spool, journal }),
        JSON.stringify(death),
      ]);
      const { signal } = await within(dying, 20_000);
      assert.equal(signal, "SIGKILL", `${JSON.stringify(death)}: ${dying.text()}`);
    }
    const last = await startJournaled(place);
    await untilDone(place);
    assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
    const repeated = assertComplete(takeStored(place.spool), "load", "cumulative", recorded, 3);
    assert.deepEqual(repeated, { spans: 0, logs: 0, points: 0 }, "what came twice");
  });
});

/** The end of a program that ends by itself. */
async function within(program: Observed, ms: number): Promise<{ signal: string | null }> {
  const timer = setTimeout(() => void program.stop("SIGINT"), ms);
  const end = await program.ended;
  clearTimeout(timer);
  return end;
}
