/**
 * Writers and the collector are killed at random moments under load, one of them or both at once: all
 * that a writer had done is delivered, and again only what was on its way when the collector died.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { folders, until } from "../collector/testing/run.ts";
import { Arrivals } from "./support/arrivals.ts";
import { startBackend } from "./support/backend.ts";
import { type Observed, startCollector } from "./support/collector.ts";
import { sleep } from "./support/journaled.ts";
import { OPEN_CALLS, PressedWriter } from "./support/pressed.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize, otherRuntime, ownRuntime } from "./support/runtimes.ts";
import { takeStored } from "./support/stored.ts";
import { Tally } from "./support/tally.ts";

const ROUNDS = isFullSize ? 1000 : 100;
const KINDS = ["a writer", "the collector", "both"] as const;
/** Writers at a time. */
const WRITERS = 2;
/** A kill comes within this many ms after what was started records, or is still starting. */
const WINDOW_MS = 150;

const folder = folders("random-kills");

describe("writers and a collector that are killed at random moments", () => {
  it(`deliver all there was: ${ROUNDS} rounds (seed ${seed})`, { timeout: 1_800_000 }, async () => {
    const random = new Random();
    const [files, spool, journals] = [folder(), folder(), folder()];
    const backend = await startBackend();
    const arrivals = new Arrivals();
    const tally = new Tally();
    const counts = { "a writer": 0, "the collector": 0, both: 0 };
    const runtime = () => random.below(5) === 0 ? otherRuntime : ownRuntime;
    const collect = (): Observed =>
      startCollector([
        ...["--endpoint", backend.url, "--spool", spool, join(files, "*")],
        ...["--metrics-interval", "100ms", "--batch-size", "100"],
      ], runtime());
    const all: PressedWriter[] = [];
    const startWriter = (): PressedWriter => {
      const writer = new PressedWriter(runtime(), files, journals, `writer-${all.length}`);
      all.push(writer);
      return writer;
    };
    const living = Array.from({ length: WRITERS }, startWriter);
    let dead: PressedWriter[] = [];
    let collector = collect();
    try {
      for (let round = 0; round < ROUNDS; round++) {
        // Now and then while they are starting.
        if (random.below(5) > 0) await Promise.all(living.map((writer) => writer.begun()));
        // Or while the collector has much to do.
        if (random.below(4) === 0) {
          await until("something comes", () => backend.bodies.traces.length > 0);
        }
        await sleep(random.below(WINDOW_MS));
        const kind = random.pick(KINDS);
        counts[kind]++;
        const which = random.below(WRITERS);
        const ends: Promise<unknown>[] = [];
        if (kind !== "the collector") ends.push(living[which].kill());
        if (kind !== "a writer") ends.push(collector.stop("SIGKILL"));
        await Promise.all(ends);
        if (kind !== "the collector") dead.push(living[which]);
        // What is read to its end is looked at once, and closed.
        dead = dead.filter((writer) => {
          if (!writer.isRead) return true;
          writer.check();
          return false;
        });
        for (const writer of [...living, ...dead]) writer.ledger();
        tally.take(arrivals.take(backend));
        if (kind !== "a writer") {
          assert.doesNotMatch(collector.text(), /^(warn|error)|warn:|error:/m);
          arrivals.kills++;
          collector = collect();
        }
        if (kind !== "the collector") living[which] = startWriter();
      }
      for (const writer of living) {
        await writer.begun();
        await writer.kill();
      }
      dead.push(...living);
      await until("all files are read", () => dead.every(({ isRead }) => isRead));
      for (let isLeft = true; isLeft;) {
        const { code } = await collector.stop();
        const text = collector.text();
        assert.equal(code, 0, text);
        assert.doesNotMatch(text, /does not close/);
        // Where the machine is slow the time to end is over before all is sent: the next one goes on.
        isLeft = text.includes("are left in the spool");
        if (isLeft) await (collector = collect()).wrote(/wait in the spool/);
      }
      tally.take(arrivals.take(backend));

      for (const writer of dead) writer.check();
      tally.check(all.map(({ calls }) => calls), OPEN_CALLS);
      const { spans, logs, metrics } = takeStored(spool);
      assert.deepEqual([spans.length, logs.length, metrics.length], [0, 0, 0], "in the spool");
      const kinds = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`).join(", ");
      console.log(
        `killed: ${kinds}; ${tally.spans} spans of ${all.length} writers, ` +
          `${arrivals.again} requests again`,
      );
      assert.ok(tally.spans > 20 * ROUNDS, `only ${tally.spans} spans`);
    } catch (error) {
      throw new Error(`the collector said: ${collector.text()}`, { cause: error });
    } finally {
      for (const writer of living) await writer.kill();
      await collector.stop("SIGKILL");
      await backend.stop();
    }
  });
});
