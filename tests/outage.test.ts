/**
 * The backend is away for a while, under load, and the collector is killed twice meanwhile: all of it
 * arrives afterwards, in order, and neither memory nor rings fill up.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { folders } from "../collector/testing/run.ts";
import { Mapping } from "../ffi/mod.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import { closes, describeLedger, readLedger, totalOf } from "../lib/file/ledger.ts";
import { ROOT } from "../tools/runtimes.ts";
import { startBackend } from "./support/backend.ts";
import { pointsOf } from "./support/collect.ts";
import {
  isInterrupted,
  logsReceivedBy,
  metricsReceivedBy,
  type Observed,
  plainAttributes,
  receivedBy,
  startCollector,
} from "./support/collector.ts";
import { commandLineOf, isFullSize, ownRuntime, plainEnvironment } from "./support/runtimes.ts";
import { mostOf, type Usage, watchUsage } from "./support/usage.ts";
import type { Load } from "./testdata/load.ts";

const folder = folders("outage");

/** Spans a second. */
const RATE = 5000;
/** Seconds before the outage, and of the outage. */
const [BEFORE, AWAY] = isFullSize ? [30, 600] : [4, 20];
const KILLS = 2;
/** The collector's memory may be this much more during and after the outage, MB. */
const MORE_MEMORY = 64;
/** A batch of spans, which is what may be under way when the collector is killed. */
const BATCH = 512;

/** Numbers without those that came before, which there may be `again` of; in order. */
function inOrder(what: string, numbers: readonly number[], count: number, again: number): void {
  const seen = new Set<number>();
  let last = -1;
  for (const number of numbers) {
    if (seen.has(number)) continue;
    seen.add(number);
    assert.ok(number > last, `${what}: ${number} after ${last}`);
    last = number;
  }
  const double = numbers.length - seen.size;
  console.log(`${what}: ${seen.size}, ${double} of them twice`);
  assert.equal(seen.size, count, `${what} that came`);
  assert.ok(double <= again, `${what}: ${double} came twice, at most ${again} were under way`);
}

// Memory of another process is read from /proc.
if (process.platform === "linux") {
  describe(`a backend that is away for ${AWAY} s at ${RATE} spans a second`, () => {
    it("is given all of it afterwards, though the collector was killed twice", {
      timeout: (BEFORE + AWAY * 3 + 180) * 1000,
    }, async () => {
      const [directory, spool] = [folder(), folder()];
      const backend = await startBackend();
      const args = [directory, "--endpoint", backend.url, "--spool", spool, "--metrics-interval"];
      const collect = (): Observed => startCollector([...args, "1s", "--batch-size", `${BATCH}`]);
      let collector = collect();
      const usage = watchUsage(() => collector.child.pid);
      const [program, ...rest] = commandLineOf(
        ownRuntime,
        join(ROOT, "tests/testdata/load.ts"),
        [directory, String(RATE)],
      );
      const child = spawn(program, rest, {
        stdio: ["pipe", "pipe", "inherit"],
        env: plainEnvironment(),
      });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
      const came = new Came(backend.bodies.traces);
      let mapping: Mapping | undefined;
      try {
        await until("it records", 30, () => text.includes("ready"));
        // Open until the end: the collector removes the file.
        const [name] = readdirSync(directory).filter((each) => each.endsWith(".otlp"));
        mapping = Mapping.open(join(directory, name));
        await until("spans come", 60, () => backend.bodies.traces.length > 0);
        await pause(BEFORE);
        const before = [...usage.samples];
        const atFirst = backend.bodies.traces.length;

        backend.away = true;
        for (let kill = 0; kill < KILLS; kill++) {
          await pause(AWAY / (KILLS + 1));
          await collector.stop("SIGKILL");
          collector = collect();
        }
        await pause(AWAY / (KILLS + 1));
        assert.ok(backend.refused > 0 && backend.bodies.traces.length >= atFirst);
        backend.away = false;
        const during = usage.samples.slice(before.length);

        await pause(BEFORE / 2);
        child.stdin.end();
        await once(child, "close");
        const load = JSON.parse(text.trim().split("\n").at(-1)!) as Load;
        await until("the file is taken", 60 + AWAY, () => readdirSync(directory).length === 0);
        await until("all is delivered", 60 + AWAY, () => {
          came.look();
          return came.numbers.size >= load.spans;
        });
        assert.equal((await collector.stop()).code, 0, collector.text());

        const geometry = readGeometry(name, mapping.u8, mapping.size);
        assert.ok("rings" in geometry);
        for (const ring of geometry.rings) {
          const ledger = readLedger(mapping, ring);
          assert.ok(closes(ledger), describeLedger(ledger).join("; "));
          assert.deepEqual([ledger.pending, ledger.torn, totalOf(ledger.rejected)], [0, 0, 0]);
          console.log(describeLedger(ledger)[0]);
        }
        const spans = receivedBy({ bodies: backend.bodies.traces });
        assert.equal(spans.filter(isInterrupted).length, 0, "interrupted");
        const again = KILLS * BATCH;
        inOrder("spans", spans.map(numberOf), load.spans, again);
        const logs = logsReceivedBy({ logs: backend.bodies.logs });
        inOrder("logs", logs.map(({ log }) => Number(log.body!.value.value)), load.logs, again);
        const metrics = metricsReceivedBy({ metrics: backend.bodies.metrics });
        const sums = metrics.filter(({ metric }) => metric.name === "calls")
          .flatMap(({ metric }) => pointsOf(metric))
          .map((point) => Number((point as { value: { value: unknown } }).value.value));
        assert.deepEqual(sums, sums.toSorted((a, b) => a - b), "a sum only grows");
        assert.equal(sums.at(-1), load.calls, "measurements");

        const after = usage.samples.slice(before.length + during.length);
        const memory = (samples: Usage[]) => mostOf(samples, "memory");
        const all = [before, during, after].map(memory);
        console.log(`memory ${all.map((each) => each.toFixed(0)).join(", ")} MB`);
        assert.ok(Math.max(all[1], all[2]) <= all[0] + MORE_MEMORY, `memory ${all.join(", ")} MB`);
      } catch (error) {
        came.look();
        throw new Error(`${came.numbers.size} spans came\n${collector.text()}`, { cause: error });
      } finally {
        usage.stop();
        child.kill("SIGKILL");
        await collector.stop("SIGKILL");
        mapping?.close();
        await backend.stop();
      }
    });
  });
}

/** The numbers of spans that have come, of bodies that are looked at once. */
class Came {
  readonly numbers = new Set<number>();
  private readonly bodies: readonly Uint8Array[];
  private looked = 0;

  constructor(bodies: readonly Uint8Array[]) {
    this.bodies = bodies;
  }

  look(): void {
    const bodies = this.bodies.slice(this.looked);
    this.looked += bodies.length;
    for (const span of receivedBy({ bodies })) this.numbers.add(numberOf(span));
  }
}

function numberOf({ span }: ReturnType<typeof receivedBy>[number]): number {
  return Number(plainAttributes(span.attributes).number);
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

async function until(what: string, seconds: number, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !condition();) {
    assert.ok(performance.now() < end, `never: ${what}`);
    await pause(0.2);
  }
}
