/**
 * One collector, and a population of processes that come, record and are killed or end, all the time:
 * everything arrives, and neither files nor descriptors nor memory stay behind.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { type Sink, startSink } from "./peers/sink.ts";
import type { CollectedLog, CollectedMetric, CollectedSpan } from "./support/collect.ts";
import { pointsOf } from "./support/collect.ts";
import {
  isInterrupted,
  logsReceivedBy,
  metricsReceivedBy,
  plainAttributes,
  receivedBy,
  startCollector,
} from "./support/collector.ts";
import { type Lived, Population } from "./support/population.ts";
import { scrape } from "./support/prometheus.ts";
import { isFullSize } from "./support/runtimes.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-population-"));
after(() => rmSync(work, { recursive: true }));

/** Processes alive at a time, ended and started each second, and for how many seconds. */
const [ALIVE, CHANGES, SECONDS] = isFullSize ? [200, 20, 120] : [40, 4, 15];
const PAUSE_MS = isFullSize ? 100 : 20;

/** What a process uses: open descriptors, and resident memory in kB. */
interface Usage {
  readonly descriptors: number;
  readonly memory: number;
}

function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memory: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]),
  };
}

function byWriter<T extends CollectedSpan | CollectedLog | CollectedMetric>(
  items: readonly T[],
): Map<string, T[]> {
  const writers = new Map<string, T[]>();
  for (const item of items) {
    const { writer } = plainAttributes(item.resource.resource!.attributes);
    assert.equal(typeof writer, "string");
    const known = writers.get(writer as string);
    if (known === undefined) writers.set(writer as string, [item]);
    else known.push(item);
  }
  return writers;
}

/** The numbers from 0 on, each once: as many as calls returned, or entered. */
function assertCalls(what: string, numbers: number[], { entered, returned }: Lived): void {
  const sorted = numbers.sort((a, b) => a - b);
  assert.deepEqual(sorted, sorted.map((_, i) => i), `${what}: gaps or doubles`);
  assert.ok(
    sorted.length === returned || sorted.length === entered,
    `${what}: ${sorted.length} for ${returned} to ${entered} calls`,
  );
}

/** Everything that a process recorded, once; of the call in which it was killed what there was. */
function compare(
  lived: Lived,
  spans: CollectedSpan[],
  logs: CollectedLog[],
  metrics: CollectedMetric[],
): void {
  const { name, entered, returned } = lived;
  assertCalls(`spans of ${name}`, spans.map(({ span }) => Number(span.name)), lived);
  for (const each of spans) {
    const { span } = each;
    if (Number(span.name) >= returned) continue;
    assert.equal(isInterrupted(each), false, `${name}: span ${span.name}`);
    assert.deepEqual(
      span.events.map((event) => plainAttributes(event.attributes)),
      [{ call: BigInt(span.name) }],
      `${name}: span ${span.name}`,
    );
  }
  assertCalls(`logs of ${name}`, logs.map(({ log }) => Number(log.body!.value.value)), lived);
  // The sum goes on from point to point: the last one has all.
  const sums = metrics.flatMap(({ metric }) => pointsOf(metric)).map((point) =>
    Number((point as { value: { value: unknown } }).value.value)
  );
  const sum = Math.max(0, ...sums);
  assert.ok(sum === returned || sum === entered, `${name}: ${sum} measurements for ${returned}`);
}

function compareAll(population: readonly Lived[], sink: Sink): void {
  const spans = byWriter(receivedBy(sink));
  const logs = byWriter(logsReceivedBy(sink));
  const metrics = byWriter(metricsReceivedBy(sink));
  for (const lived of population) {
    const { name } = lived;
    compare(lived, spans.get(name) ?? [], logs.get(name) ?? [], metrics.get(name) ?? []);
  }
  const known = new Set(population.map(({ name }) => name));
  assert.deepEqual([...spans.keys()].filter((name) => !known.has(name)), [], "of nobody else");
}

async function assertNothingIsLeft(place: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (readdirSync(place).length > 0 && Date.now() < deadline) await pause(50);
  assert.deepEqual(readdirSync(place), [], "nothing is left");
}

describe("processes that are over at once", () => {
  it("are found, delivered and removed", { timeout: 60_000 }, async () => {
    const place = join(work, "brief");
    mkdirSync(place);
    const sink = await startSink();
    const population = new Population(join(work, "brief-work"), place, 1);
    const collector = startCollector(["--endpoint", sink.url, place]);
    try {
      for (let i = 0; i < 20; i++) {
        population.start();
        await population.end(i % 2 === 0 ? "SIGKILL" : "SIGTERM", true);
      }
      await assertNothingIsLeft(place);
      assert.equal((await collector.stop()).code, 0, collector.text());
      compareAll(population.lived, sink);
      assert.ok(population.lived.every(({ returned }) => returned > 0));
    } finally {
      await population.endAll();
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });
});

// Descriptors and memory of another process are read from /proc.
if (process.platform === "linux") {
  describe(`${ALIVE} processes, ${CHANGES} of them replaced every second`, () => {
    it(`lose nothing and leave nothing in ${SECONDS} s`, { timeout: 400_000 }, async () => {
      const place = join(work, "place");
      mkdirSync(place);
      const sink = await startSink();
      const population = new Population(join(work, "place-work"), place, PAUSE_MS);
      const collector = startCollector([
        ...["--endpoint", sink.url, "--health", "127.0.0.1:0", "--metrics-interval", "1s", place],
      ]);
      try {
        await collector.wrote(/127\.0\.0\.1:\d+/);
        const health = /127\.0\.0\.1:\d+/.exec(collector.text())![0];
        const before = usageOf(collector.child.pid!);
        const ends: Promise<void>[] = [];
        const used: Usage[] = [];
        let next = performance.now();
        for (let second = 0; second < SECONDS; second++) {
          while (population.alive < ALIVE) {
            // Spread over the second, since starting one takes a while of a core.
            population.start();
            await pause(1000 / CHANGES / 2);
          }
          next = Math.max(next + 1000, performance.now() + 100);
          await pause(next - performance.now());
          const there = readdirSync(place).length;
          used.push(usageOf(collector.child.pid!));
          // Two for each file, which has a lock beside it; the rest are connections.
          const most = before.descriptors + Math.max(there, readdirSync(place).length) + 40;
          assert.ok(used.at(-1)!.descriptors <= most, `${used.at(-1)!.descriptors} of ${most}`);
          for (let i = 0; i < CHANGES; i++) {
            ends.push(population.end(i % 2 === 0 ? "SIGKILL" : "SIGTERM"));
          }
        }
        await Promise.all(ends);
        await population.endAll();
        await assertNothingIsLeft(place);
        const end = usageOf(collector.child.pid!);
        const samples = await scrape(`http://${health}/metrics`);
        const { code } = await collector.stop();
        assert.equal(code, 0, collector.text());

        const spans = receivedBy(sink);
        const logs = logsReceivedBy(sink);
        const spansBy = byWriter(spans);
        const logsBy = byWriter(logs);
        const metricsBy = byWriter(metricsReceivedBy(sink));
        for (const lived of population.lived) {
          const { name } = lived;
          compare(
            lived,
            spansBy.get(name) ?? [],
            logsBy.get(name) ?? [],
            metricsBy.get(name) ?? [],
          );
        }
        const recording = population.lived.filter(({ entered }) => entered > 0);
        assert.equal(spansBy.size <= population.lived.length, true);
        assert.equal(recording.length >= ALIVE + CHANGES * (SECONDS - 1), true);

        // What the collector says of itself.
        assert.equal(samples.get('otlp_mmap_items_accepted_total{signal="traces"}'), spans.length);
        assert.equal(samples.get('otlp_mmap_items_accepted_total{signal="logs"}'), logs.length);
        assert.equal(samples.get("otlp_mmap_processes"), 0);
        const opened = samples.get("otlp_mmap_files_opened_total")!;
        assert.ok(opened >= recording.length && opened <= population.lived.length, `${opened}`);

        const middle = most(used.slice(SECONDS >> 2, SECONDS >> 1));
        const last = most(used.slice(SECONDS - (SECONDS >> 2)));
        console.log(
          `${population.lived.length} processes, ${spans.length} spans; descriptors ` +
            `${before.descriptors}, ${middle.descriptors}, ${last.descriptors}, ${end.descriptors}; ` +
            `memory ${before.memory}, ${middle.memory}, ${last.memory}, ${end.memory} kB`,
        );
        assert.ok(end.descriptors <= before.descriptors + 8, "descriptors at the end");
        assert.ok(last.memory <= middle.memory * 1.5 + 65_536, "memory grows");
        assert.ok(end.memory <= middle.memory * 1.5 + 65_536, "memory stays");
      } finally {
        await population.endAll();
        await collector.stop("SIGKILL");
        await sink.stop();
      }
    });
  });
}

function most(used: readonly Usage[]): Usage {
  return {
    descriptors: Math.max(...used.map(({ descriptors }) => descriptors)),
    memory: Math.max(...used.map(({ memory }) => memory)),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
