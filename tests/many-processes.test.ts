/**
 * One collector, and a population of processes that come, record and are killed or end, all the time:
 * everything arrives, and neither files nor descriptors nor memory stay behind.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { until } from "../collector/testing/run.ts";
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
import { cpuSecondsOf, mostOf, type Usage, usageOf } from "./support/usage.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-population-"));
after(() => rmSync(work, { recursive: true }));

/** Processes alive at a time, ended and started each second, and for how many seconds from then on. */
const [ALIVE, CHANGES, SECONDS] = [200, 20, isFullSize ? 120 : 30];
/** Processes that are being started at a time. */
const AT_A_TIME = 4;
/** What each records. Whoever wakes up often costs more than whoever records much. */
const TURNS = { pauseMs: 1000, calls: 10 };

/** The numbers of the calls whose records arrived, and what their measurements came to. */
interface Arrived {
  readonly spans: number[];
  readonly logs: number[];
  sum: number;
}

/** What arrived, by writer. One request after the other: together they take gigabytes. */
class Arrivals {
  readonly byWriter = new Map<string, Arrived>();
  spans = 0;
  logs = 0;
  private readonly lived: ReadonlyMap<string, Lived>;

  constructor(population: readonly Lived[], sink: Sink) {
    this.lived = new Map(population.map((lived) => [lived.name, lived]));
    for (const body of sink.bodies) {
      this.take(receivedBy({ bodies: [body] }), (arrived, lived, collected) => {
        this.spans++;
        const { span } = collected;
        arrived.spans.push(Number(span.name));
        // Of the call in which it was killed there is what there was.
        if (Number(span.name) >= lived.returned) return;
        assert.equal(isInterrupted(collected), false, `${lived.name}: span ${span.name}`);
        assert.deepEqual(
          span.events.map((event) => plainAttributes(event.attributes)),
          [{ call: BigInt(span.name) }],
          `${lived.name}: span ${span.name}`,
        );
      });
    }
    for (const body of sink.logs) {
      this.take(logsReceivedBy({ logs: [body] }), (arrived, _, { log }) => {
        this.logs++;
        arrived.logs.push(Number(log.body!.value.value));
      });
    }
    for (const body of sink.metrics) {
      this.take(metricsReceivedBy({ metrics: [body] }), (arrived, _, { metric }) => {
        // The sum goes on from point to point: the last one has all.
        for (const point of pointsOf(metric)) {
          const { value } = (point as { value: { value: unknown } }).value;
          arrived.sum = Math.max(arrived.sum, Number(value));
        }
      });
    }
  }

  private take<T extends CollectedSpan | CollectedLog | CollectedMetric>(
    items: readonly T[],
    each: (arrived: Arrived, lived: Lived, item: T) => void,
  ): void {
    let last: unknown;
    let arrived!: Arrived;
    let lived!: Lived;
    for (const item of items) {
      if (item.resource !== last) {
        last = item.resource;
        const { writer } = plainAttributes(item.resource.resource!.attributes);
        const known = this.lived.get(String(writer));
        assert.ok(known !== undefined, `of nobody: ${String(writer)}`);
        lived = known;
        arrived = this.byWriter.get(lived.name) ?? { spans: [], logs: [], sum: 0 };
        this.byWriter.set(lived.name, arrived);
      }
      each(arrived, lived, item);
    }
  }

  /** Everything that each process recorded is there, once; of its last call what there was. */
  compare(): void {
    for (const lived of this.lived.values()) {
      const { name, entered, returned } = lived;
      const { spans, logs, sum } = this.byWriter.get(name) ?? { spans: [], logs: [], sum: 0 };
      assertCalls(`spans of ${name}`, spans, lived);
      assertCalls(`logs of ${name}`, logs, lived);
      assert.ok(
        sum === returned || sum === entered,
        `${name}: ${sum} measurements for ${returned}`,
      );
    }
  }
}

/** The numbers from 0 on, each once: as many as calls returned, or entered. */
function assertCalls(what: string, numbers: number[], { entered, returned }: Lived): void {
  const sorted = numbers.sort((a, b) => a - b);
  assert.ok(sorted.every((number, i) => number === i), `${what}: gaps or doubles: ${sorted}`);
  assert.ok(
    sorted.length === returned || sorted.length === entered,
    `${what}: ${sorted.length} for ${returned} to ${entered} calls`,
  );
}

async function assertNothingIsLeft(place: string): Promise<void> {
  const left = (): string[] => readdirSync(place);
  await until("nothing is left", () => left().length === 0, { state: left });
}

describe("processes that are over at once", () => {
  it("are found, delivered and removed", { timeout: 60_000 }, async () => {
    const place = join(work, "brief");
    mkdirSync(place);
    const sink = await startSink();
    const population = new Population(join(work, "brief-work"), place, { pauseMs: 1, calls: 1 });
    const collector = startCollector(["--endpoint", sink.url, place]);
    try {
      for (let i = 0; i < 20; i++) {
        population.start();
        await population.end(i % 2 === 0 ? "SIGKILL" : "SIGTERM", true);
      }
      await assertNothingIsLeft(place);
      assert.equal((await collector.stop()).code, 0, collector.text());
      new Arrivals(population.lived, sink).compare();
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
  describe(`${ALIVE} processes, up to ${CHANGES} of them replaced every second`, () => {
    it(`lose nothing and leave nothing in ${SECONDS} s`, {
      timeout: isFullSize ? 800_000 : 400_000,
    }, async () => {
      const place = join(work, "place");
      mkdirSync(place);
      const sink = await startSink();
      const population = new Population(join(work, "place-work"), place, TURNS);
      const collector = startCollector([
        ...["--endpoint", sink.url, "--health", "127.0.0.1:0", "--metrics-interval", "1s", place],
      ]);
      try {
        await collector.wrote(/127\.0\.0\.1:\d+/);
        const health = /127\.0\.0\.1:\d+/.exec(collector.text())![0];
        const pid = collector.child.pid!;
        const before = usageOf(pid)!;
        const ends: Promise<void>[] = [];
        const used: Usage[] = [];
        const complete = async (): Promise<void> => {
          while (population.alive < ALIVE) {
            // Spread over the second, since starting one takes a while of a core, and no more at a
            // time than a busy machine gets done.
            if (population.beginning < AT_A_TIME) population.start();
            await pause(1000 / CHANGES / 2);
          }
        };
        await complete();
        const began = performance.now();
        let next = began;
        // Fewer are replaced by a machine that can't start so many.
        while (next < began + 1000 * SECONDS) {
          await complete();
          next = Math.max(next + 1000, performance.now() + 100);
          await pause(next - performance.now());
          const there = readdirSync(place).length;
          used.push(usageOf(pid)!);
          // Two for each file, which has a lock beside it; the rest are connections.
          const most = before.descriptors + Math.max(there, readdirSync(place).length) + 40;
          assert.ok(used.at(-1)!.descriptors <= most, `${used.at(-1)!.descriptors} of ${most}`);
          for (let i = 0; i < CHANGES; i++) {
            ends.push(population.end(i % 2 === 0 ? "SIGKILL" : "SIGTERM"));
          }
        }
        const lasted = (performance.now() - began) / 1000;
        const cpu = cpuSecondsOf(pid);
        await Promise.all(ends);
        await population.endAll();
        const ended = performance.now();
        await assertNothingIsLeft(place).catch((error) => {
          throw new Error(`${error.message}; the collector said: ${collector.text()}`);
        });
        const drained = performance.now() - ended;
        const end = usageOf(pid)!;
        const samples = await scrape(`http://${health}/metrics`);
        const { code } = await collector.stop();
        assert.equal(code, 0, collector.text());
        // Whatever was refused is missing, and no fault of the collector's.
        assert.doesNotMatch(collector.text(), /offered = \d+ claimed \+ [1-9]\d* refused/);

        const arrivals = new Arrivals(population.lived, sink);
        arrivals.compare();
        const recording = population.lived.filter(({ entered }) => entered > 0);
        assert.ok(recording.length >= population.lived.length - AT_A_TIME, "processes recorded");
        assert.ok(population.lived.length >= ALIVE + CHANGES, "processes were replaced");

        // What the collector says of itself.
        assert.equal(
          samples.get('otlp_mmap_items_accepted_total{signal="traces"}'),
          arrivals.spans,
        );
        assert.equal(samples.get('otlp_mmap_items_accepted_total{signal="logs"}'), arrivals.logs);
        assert.equal(samples.get("otlp_mmap_processes"), 0);
        const opened = samples.get("otlp_mmap_files_opened_total")!;
        assert.ok(opened >= recording.length && opened <= population.lived.length, `${opened}`);

        const middle = used.slice(used.length >> 2, (used.length >> 1) + 1);
        const last = used.slice(-Math.ceil(used.length / 4));
        const over = (what: "descriptors" | "memory"): string =>
          [before[what], mostOf(middle, what), mostOf(last, what), end[what]]
            .map((value) => value.toFixed(0)).join(", ");
        console.log(
          `${population.lived.length} processes and ${arrivals.spans} spans in ` +
            `${lasted.toFixed(1)} s, drained after ${drained.toFixed(0)} ms; the collector took ` +
            `${
              (100 * cpu / lasted).toFixed(0)
            } % of a core; before, in the middle, at last, after: ` +
            `descriptors ${over("descriptors")}; MB of memory ${over("memory")}`,
        );
        const most = mostOf(middle, "memory") * 1.5 + 64;
        assert.ok(mostOf(last, "memory") <= most, "memory grows");
        assert.ok(end.memory <= most, "memory stays");
        // Up to four requests of traces and of logs, one of metrics, and who asks for the health.
        assert.ok(end.descriptors <= before.descriptors + 12, "descriptors at the end");
      } finally {
        await population.endAll();
        await collector.stop("SIGKILL");
        await sink.stop();
      }
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
