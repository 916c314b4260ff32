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
import { folders, until } from "../collector/testing/run.ts";
import { Mapping } from "../ffi/mod.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import { closes, describeLedger, readLedger, totalOf } from "../lib/file/ledger.ts";
import { ROOT } from "../tools/runtimes.ts";
import { type Backend, startBackend } from "./support/backend.ts";
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
const [BEFORE, AWAY] = isFullSize ? [30, 600] : [4, 60];
const KILLS = 2;
/** The collector's memory may be this much more during and after the outage, MB. */
const MORE_MEMORY = 64;
/** All that is delivered has come when nothing has for so long. */
const QUIET_MS = 30_000;
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
      const collect = (): Observed =>
        startCollector([
          ...[directory, "--endpoint", backend.url, "--spool", spool, "--spool-max-size", "8GiB"],
          ...["--metrics-interval", "1s", "--batch-size", `${BATCH}`],
        ]);
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
      const came = new Came(backend);
      let mapping: Mapping | undefined;
      try {
        await until("it records", () => text.includes("ready"));
        // Open until the end: the collector removes the file.
        const [name] = readdirSync(directory).filter((each) => each.endsWith(".otlp"));
        const file = mapping = Mapping.open(join(directory, name));
        await until("spans come", () => came.spans.length > 0);
        await pause(BEFORE);
        const before = [...usage.samples];

        backend.away = true;
        for (let kill = 0; kill < KILLS; kill++) {
          await pause(AWAY / (KILLS + 1));
          await collector.stop("SIGKILL");
          collector = collect();
        }
        await pause(AWAY / (KILLS + 1));
        assert.ok(backend.refused > 0);
        backend.away = false;
        const during = usage.samples.slice(before.length);

        await pause(BEFORE / 2);
        child.stdin.end();
        await once(child, "close");
        const load = JSON.parse(text.trim().split("\n").at(-1)!) as Load;
        await until("the file is taken", () => readdirSync(directory).length === 0, {
          timeout: (60 + AWAY) * 1000,
        });
        const geometry = readGeometry(name, file.u8, file.size);
        assert.ok("rings" in geometry);
        const [lostEvents, lostSpans, lostMeasurements] = geometry.rings.map((ring) => {
          const ledger = readLedger(file, ring);
          console.log(describeLedger(ledger)[0]);
          assert.ok(closes(ledger), describeLedger(ledger).join("; "));
          assert.deepEqual([ledger.pending, ledger.torn, totalOf(ledger.rejected)], [0, 0, 0]);
          return totalOf(ledger.refused);
        });
        // Of a span that was refused nothing else is offered, and ends have their place.
        assert.equal(lostSpans, load.refused);
        const [logs, measurements] = [load.tenths - lostEvents, load.tenths - lostMeasurements];
        await came.reach(load.spans, logs, measurements);
        assert.equal((await collector.stop()).code, 0, collector.text());

        came.look();
        assert.equal(came.interrupted, 0, "interrupted");
        const again = KILLS * BATCH;
        inOrder("spans", came.spans, load.spans, again);
        inOrder("logs", came.logs, logs, again);
        const { sums } = came;
        assert.ok(sums.every((sum, i) => i === 0 || sum >= sums[i - 1]), "a sum only grows");
        assert.equal(sums.at(-1), measurements, "measurements");

        const after = usage.samples.slice(before.length + during.length);
        const memory = (samples: Usage[]) => mostOf(samples, "memory");
        const all = [before, during, after].map(memory);
        console.log(`memory ${all.map((each) => each.toFixed(0)).join(", ")} MB`);
        assert.ok(Math.max(all[1], all[2]) <= all[0] + MORE_MEMORY, `memory ${all.join(", ")} MB`);
      } catch (error) {
        throw new Error(`the collector said: ${collector.text()}`, { cause: error });
      } finally {
        usage.stop();
        came.stop();
        child.kill("SIGKILL");
        await collector.stop("SIGKILL");
        mapping?.close();
        await backend.stop();
      }
    });
  });
}

/** What the backend was given, in numbers: the bodies of ten minutes would not fit into memory. */
class Came {
  readonly spans: number[] = [];
  readonly logs: number[] = [];
  readonly sums: number[] = [];
  interrupted = 0;
  private readonly distinct = { spans: new Set<number>(), logs: new Set<number>() };
  private readonly bodies: Backend["bodies"];
  private readonly timer = setInterval(() => this.look(), 200);

  constructor({ bodies }: Backend) {
    this.bodies = bodies;
  }

  look(): void {
    const { traces, logs, metrics } = this.bodies;
    for (const collected of receivedBy({ bodies: traces.splice(0) })) {
      const number = Number(plainAttributes(collected.span.attributes).number);
      this.spans.push(number);
      this.distinct.spans.add(number);
      if (isInterrupted(collected)) this.interrupted++;
    }
    for (const { log } of logsReceivedBy({ logs: logs.splice(0) })) {
      const number = Number(log.body!.value.value);
      this.logs.push(number);
      this.distinct.logs.add(number);
    }
    for (const { metric } of metricsReceivedBy({ metrics: metrics.splice(0) })) {
      if (metric.name !== "calls") continue;
      for (const point of pointsOf(metric)) {
        this.sums.push(Number((point as { value: { value: unknown } }).value.value));
      }
    }
  }

  /** Resolves once all of that has come; fails when nothing new has for a while. */
  async reach(spans: number, logs: number, measurements: number): Promise<void> {
    const wanted = [spans, logs, measurements];
    let had: number[] = [];
    for (let last = performance.now();; await pause(0.2)) {
      const has = [this.distinct.spans.size, this.distinct.logs.size, this.sums.at(-1) ?? 0];
      if (has.every((each, i) => each >= wanted[i])) return;
      if (has.some((each, i) => each !== had[i])) last = performance.now();
      had = has;
      if (performance.now() - last > QUIET_MS) {
        assert.fail(`${has} of ${wanted} spans, logs, calls, and no more in ${QUIET_MS} ms`);
      }
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
