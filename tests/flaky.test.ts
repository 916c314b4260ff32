/**
 * A collector whose way to its backend is bad: what the specification lets it keep arrives, and
 * nothing comes twice but what the backend had taken without the collector getting to know.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Signal } from "../lib/otlp/request.ts";
import { forEachSignal, SIGNALS } from "../collector/signals.ts";
import { AggregationTemporality } from "../proto/gen/otlp_pb.ts";
import { type Sink, startSink } from "./peers/sink.ts";
import { pointsOf } from "./support/collect.ts";
import {
  logsReceivedBy,
  metricsReceivedBy,
  type Observed,
  plainAttributes,
  receivedBy,
  startCollector,
} from "./support/collector.ts";
import type { Attempted, Taken } from "./support/deck.ts";
import { MISHAPS, startFlakyProxy } from "./support/flaky-proxy.ts";
import { startProgram } from "./support/programs.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-flaky-"));
after(() => rmSync(directory, { recursive: true }));

const SECONDS = isFullSize ? 600 : 20;
/** Longer than the longest wait between two attempts, several times. */
const PATIENCE_MS = 120_000;

type Bodies = Pick<Sink, "bodies" | "logs" | "metrics">;

/** Requests without repetitions, as a sink has them. */
function distinct(requests: readonly Attempted<Signal>[]): Bodies {
  const bodies = forEachSignal(() => new Map<string, Uint8Array>());
  for (const { signal, body } of requests) bodies[signal].set(hashOf(body), body);
  const { traces, metrics, logs } = forEachSignal((signal) => [...bodies[signal].values()]);
  return { bodies: traces, metrics, logs };
}

function hashOf(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("base64");
}

/** The numbers of spans and log records in requests. */
function numbersIn(requests: Bodies): { traces: number[]; logs: number[] } {
  const number = ({ attributes }: { attributes: Parameters<typeof plainAttributes>[0] }) =>
    Number(plainAttributes(attributes).number);
  return {
    traces: receivedBy(requests).map(({ span }) => number(span)),
    logs: logsReceivedBy(requests).map(({ log }) => number(log)),
  };
}

function itemsIn(requests: Bodies): Record<Signal, number> {
  const points = metricsReceivedBy(requests).map(({ metric }) => pointsOf(metric).length);
  return {
    traces: receivedBy(requests).length,
    logs: logsReceivedBy(requests).length,
    metrics: points.reduce((sum, count) => sum + count, 0),
  };
}

/** What the counters come to: the sum of all deltas, and the last cumulative point. */
function countersIn(requests: Bodies): { deltas: number; level: number } {
  let deltas = 0;
  let level = 0;
  let latest = -1n;
  for (const { metric } of metricsReceivedBy(requests)) {
    assert.ok(metric.data.case === "sum");
    const { aggregationTemporality, dataPoints } = metric.data.value;
    for (const { value, timeUnixNano } of dataPoints) {
      if (metric.name === "deltas") {
        assert.equal(aggregationTemporality, AggregationTemporality.DELTA);
        deltas += Number(value.value);
      } else if (timeUnixNano > latest) {
        assert.equal(aggregationTemporality, AggregationTemporality.CUMULATIVE);
        latest = timeUnixNano;
        level = Number(value.value);
      }
    }
  }
  return { deltas, level };
}

/** Checks that each came again only while the collector could not know that it had been taken. */
function checkRepetitions(taken: readonly Taken<Signal>[]): Record<Signal, number> {
  const repeated = forEachSignal(() => 0);
  const before = new Map<string, Taken<Signal>>();
  for (const each of taken) {
    const key = `${each.signal} ${hashOf(each.body)}`;
    const earlier = before.get(key);
    if (earlier !== undefined) {
      const what = `${each.signal} came again (${each.fate}) after their answer: ${earlier.fate}`;
      assert.equal(earlier.answered, false, what);
      repeated[each.signal]++;
    }
    before.set(key, each);
  }
  return repeated;
}

/** What has been recorded, and what became of it on its way. */
interface Course {
  readonly recorded: number;
  readonly taken: readonly Taken<Signal>[];
  readonly refused: readonly Attempted<Signal>[];
}

/** Waits until all there is to come has come, ends the collector, and compares. */
async function checkAll(course: Course, collector: Observed, place: string): Promise<void> {
  const { recorded, taken, refused } = course;
  // A file is removed once the fate of everything in it is known.
  const deadline = Date.now() + PATIENCE_MS;
  while (readdirSync(place).length > 0 && Date.now() < deadline) await sleep(100);
  assert.deepEqual(readdirSync(place), [], collector.text());
  assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());

  const repeated = checkRepetitions(taken);
  const everything = distinct([...taken, ...refused]);
  const numbers = Array.from({ length: recorded }, (_, i) => i);
  const { traces, logs } = numbersIn(everything);
  assert.deepEqual(traces.sort((a, b) => a - b), numbers, "spans, each in one request");
  assert.deepEqual(logs.sort((a, b) => a - b), numbers, "log records, each in one request");
  assert.deepEqual(countersIn(everything), { deltas: recorded, level: recorded });

  const all = itemsIn(everything);
  const lost = itemsIn(distinct(refused));
  const said = (signal: Signal): string =>
    `${all[signal] - lost[signal]} delivered, 0 refused by the backend, ${lost[signal]} dropped\n`;
  const text = collector.text();
  assert.ok(text.includes(`${recorded} spans from 1 files: ${said("traces")}`), text);
  assert.ok(text.includes(`${recorded} log records: ${said("logs")}`), text);
  assert.ok(text.includes(`${2 * recorded} measurements: ${said("metrics")}`), text);
  for (const signal of SIGNALS) {
    console.log(
      `${signal}: ${all[signal]}, of which ${lost[signal]} were refused for good; ` +
        `${repeated[signal]} requests came again`,
    );
  }
}

describe("a bad way to the backend", () => {
  it(
    `loses nothing over HTTP that could be kept, in ${SECONDS} s`,
    { timeout: SECONDS * 1000 + PATIENCE_MS + 60_000 },
    async () => {
      console.log(`seed ${seed}`);
      const place = mkdtempSync(join(directory, "http-"));
      const sink = await startSink();
      const proxy = await startFlakyProxy(sink.url, new Random());
      const program = await startProgram("paced.ts", place);
      const collector = startCollector([
        ...[place, "--endpoint", proxy.url, "--timeout", "3s"],
        ...["--flush-interval", "50ms", "--metrics-interval", "250ms"],
      ]);
      try {
        await program.ask({ seconds: SECONDS });
        // What is last is the sum of what was cumulative: it must not be among what is refused.
        proxy.refuseNoMore();
        const recorded = await program.ask<number>({ seconds: 1 });
        await program.stop();
        await checkAll({ recorded, ...proxy }, collector, place);
        const { bodies, metrics, logs } = sink;
        assert.equal(bodies.length + metrics.length + logs.length, proxy.taken.length);
        for (const mishap of MISHAPS) assert.ok(proxy.fates.has(mishap), `no ${mishap}`);
        console.log([...proxy.fates].map(([fate, times]) => `${times} ${fate}`).join(", "));
      } finally {
        await program.stop("kill");
        await collector.stop("SIGKILL");
        await proxy.stop();
        await sink.stop();
      }
    },
  );
});
