/**
 * A collector whose way to its backend is bad: what the specification lets it keep arrives, and
 * nothing comes twice but what the backend had taken without the collector getting to know.
 */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Signal } from "../lib/otlp/request.ts";
import { MAX_RUNNING } from "../collector/pipeline/queue.ts";
import { forEachSignal } from "../collector/pipeline/signals.ts";
import { startGrpcBackend, UNKNOWN_PEER } from "../collector/testing/grpc-backend.ts";
import { until } from "../collector/testing/run.ts";
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
import { CUTS, startCuttingProxy } from "./support/cutting-proxy.ts";
import { type Attempt, createDeck } from "./support/deck.ts";
import { MISHAPS, startFlakyProxy } from "./support/flaky-proxy.ts";
import { startProgram } from "./support/programs.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-flaky-"));
after(() => rmSync(directory, { recursive: true }));

const SECONDS = isFullSize ? 600 : 60;
const GRPC_SECONDS = isFullSize ? 120 : 12;
/** Longer than the longest wait between two attempts, several times. */
const PATIENCE_MS = 120_000;

type Bodies = Pick<Sink, "bodies" | "logs" | "metrics">;

/** Requests without repetitions, as a sink has them. */
function distinct(requests: readonly Attempt[]): Bodies {
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

/** The last attempt for each request; checks that no earlier one had come to a good end. */
function lastOfEach(attempts: readonly Attempt[]): Attempt[] {
  const last = new Map<string, Attempt>();
  for (const each of attempts) {
    const key = `${each.signal} ${hashOf(each.body)}`;
    const earlier = last.get(key);
    const what = `${each.signal} came again (${each.fate}) after their answer: ${earlier?.fate}`;
    assert.notEqual(earlier?.answered, true, what);
    last.set(key, each);
  }
  return [...last.values()];
}

/** Waits until all there is to come has come, ends the collector, and compares. */
async function checkAll(
  recorded: number,
  attempts: readonly Attempt[],
  collector: Observed,
  place: string,
): Promise<void> {
  // A file is removed once the fate of everything in it is known.
  await until("all files are removed", () => readdirSync(place).length === 0, {
    timeout: PATIENCE_MS,
    state: collector.text,
  });
  assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());

  const last = lastOfEach(attempts);
  const everything = distinct(last);
  const numbers = Array.from({ length: recorded }, (_, i) => i);
  const { traces, logs } = numbersIn(everything);
  assert.deepEqual(traces.sort((a, b) => a - b), numbers, "spans, each in one request");
  assert.deepEqual(logs.sort((a, b) => a - b), numbers, "log records, each in one request");
  assert.deepEqual(countersIn(everything), { deltas: recorded, level: recorded });

  const all = itemsIn(everything);
  const lost = itemsIn(distinct(last.filter(({ outcome }) => outcome === "refused")));
  const said = (signal: Signal): string =>
    `${all[signal] - lost[signal]} delivered, 0 refused by the backend, ${lost[signal]} dropped\n`;
  const text = collector.text();
  assert.ok(text.includes(`${recorded} spans from 1 file: ${said("traces")}`), text);
  assert.ok(text.includes(`${recorded} log records: ${said("logs")}`), text);
  assert.ok(text.includes(`${2 * recorded} measurements: ${said("metrics")}`), text);
  const again = attempts.filter((each) => !last.includes(each)).length;
  console.log(
    `${last.length} requests of ${JSON.stringify(all)}, of which ${JSON.stringify(lost)} were ` +
      `refused for good; ${again} came again`,
  );
}

/** What a gRPC backend answers with. */
interface Status {
  /** None: it takes the request. */
  readonly code?: number;
  readonly metadata?: grpc.Metadata;
  readonly final?: boolean;
}

/** With a RetryInfo that asks for 100 ms. */
function busy(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  const type = Buffer.from("type.googleapis.com/google.rpc.RetryInfo");
  // google.rpc.Status with one detail, an Any of a RetryInfo of a Duration of 100,000,000 ns.
  const info = Buffer.of(0x0a, 5, 0x10, 0x80, 0xc2, 0xd7, 0x2f);
  const any = Buffer.concat([Buffer.of(0x0a, type.length), type, Buffer.of(0x12, 7), info]);
  metadata.set("grpc-status-details-bin", Buffer.concat([Buffer.of(0x1a, any.length), any]));
  return metadata;
}

const STATUSES: Status[] = [
  ...Array.from({ length: 16 }, () => ({})),
  { code: grpc.status.UNAVAILABLE },
  { code: grpc.status.ABORTED },
  { code: grpc.status.RESOURCE_EXHAUSTED, metadata: busy() },
  { code: grpc.status.RESOURCE_EXHAUSTED, final: true },
  { code: grpc.status.INVALID_ARGUMENT, final: true },
];

/** The signal of a method's path. */
function signalOf(method: string): Signal {
  const service = /\.(trace|metrics|logs)\./.exec(method)![1];
  return service === "trace" ? "traces" : service as Signal;
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
        await checkAll(recorded, proxy.attempts, collector, place);
        const { bodies, metrics, logs } = sink;
        const taken = proxy.attempts.filter(({ outcome }) => outcome === "taken");
        assert.equal(bodies.length + metrics.length + logs.length, taken.length);
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

  it(
    `loses nothing over gRPC that could be kept, in ${GRPC_SECONDS} s`,
    { timeout: GRPC_SECONDS * 1000 + PATIENCE_MS + 60_000 },
    async () => {
      console.log(`seed ${seed}`);
      const place = mkdtempSync(join(directory, "grpc-"));
      const random = new Random();
      const draw = createDeck<Status>(STATUSES, random);
      const connections = new Map<object, Attempt[]>();
      const attempts: Attempt[] = [];
      let refuses = true;
      const backend = await startGrpcBackend((reply, count, call) => {
        const { code, final = false, metadata } = draw();
        const fails = code !== undefined && (refuses || !final);
        if (!fails || final) {
          const attempt: Attempt = {
            signal: signalOf(call.getPath()),
            body: call.request,
            outcome: fails ? "refused" : "taken",
            fate: `call ${count}`,
            answered: false,
          };
          attempts.push(attempt);
          const peer = backend.peers[count - 1];
          const connection = proxy.connectionFrom(Number(peer.slice(peer.lastIndexOf(":") + 1)));
          // Its connection was closed before it got here: what is sent there now is lost.
          if (peer !== UNKNOWN_PEER) {
            assert.ok(connection !== undefined, peer);
            const onConnection = connections.get(connection) ?? [];
            connections.set(connection, onConnection);
            // No more are under way at a time, and an answer overtakes one other at most, a refusal
            // one that takes: if the connection is cut now, only the last ones may have lost theirs.
            const before = onConnection.at(-MAX_RUNNING - 1);
            if (before !== undefined) before.answered = true;
            onConnection.push(attempt);
          }
        }
        if (fails) reply({ code, details: "no", metadata });
        else reply(null, Buffer.alloc(0));
      });
      const proxy = await startCuttingProxy(backend.port, random);
      const program = await startProgram("paced.ts", place);
      const collector = startCollector([
        ...[place, "--endpoint", `http://127.0.0.1:${proxy.port}`, "--protocol", "grpc"],
        ...["--timeout", "3s", "--flush-interval", "50ms", "--metrics-interval", "250ms"],
      ]);
      try {
        await program.ask({ seconds: GRPC_SECONDS });
        refuses = false;
        // Luck would have no end otherwise: waits have grown to half a minute by now.
        proxy.calm();
        const recorded = await program.ask<number>({ seconds: 1 });
        await program.stop();
        await checkAll(recorded, attempts, collector, place);
        for (const cut of CUTS) assert.ok(proxy.fates.has(cut), `no connection ${cut}`);
        console.log([...proxy.fates].map(([fate, times]) => `${times} ${fate}`).join(", "));
      } finally {
        await program.stop("kill");
        await collector.stop("SIGKILL");
        await proxy.stop();
        backend.stop();
      }
    },
  );
});
