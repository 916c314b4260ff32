/** Points of many processes, gathered in few requests. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readGeometry } from "../../lib/file/geometry.ts";
import { DEFAULT_LIMITS } from "../../lib/otlp/assemble.ts";
import { PairList } from "../../lib/otlp/source.ts";
import { AggregationTemporality, MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import {
  ExportMetricsServiceRequestSchema,
  type HistogramDataPoint,
} from "../../proto/gen/otlp_pb.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { AGGREGATION, metricsOf, pointsOf } from "../../tests/support/collect.ts";
import { accept, TestSink } from "../testing/run.ts";
import { openDrain } from "./drain.ts";
import type { Sink } from "./queue.ts";
import { type Collected, MAX_REQUEST_BYTES, Requests } from "./requests.ts";
import { newRoundFile, round } from "./round.ts";

const T = 1_780_000_000_000_000_000n;
/** A point of a histogram with so many boundaries has 16 bytes for each, and a few more. */
const BOUNDARIES = 2000;
const POINT_BYTES = 16 * BOUNDARIES;

/** Requests made of histograms, and what arrived. */
class Gathering {
  readonly bodies: { body: Uint8Array; items: number }[] = [];
  readonly requests: Requests;
  /** By process: requests with something of it that are not answered. */
  readonly unanswered: number[] = [];

  constructor() {
    const { sinks } = new TestSink();
    const send: Sink["send"] = (body, items) => {
      this.bodies.push({ body: body.slice(), items });
      return Promise.resolve(accept(items));
    };
    const add = (processes: readonly number[], count: number): void => {
      for (const index of processes) this.unanswered[index] = (this.unanswered[index] ?? 0) + count;
    };
    this.requests = new Requests({
      sinks: { ...sinks, metrics: { ...sinks.metrics, send } },
      batchSize: 100,
      flushIntervalMs: 10,
      limits: DEFAULT_LIMITS,
      aggregation: { ...AGGREGATION, maxRequestBytes: MAX_REQUEST_BYTES },
    }, {
      sent: (processes) => add(processes, 1),
      answered: ({ processes }) => add(processes, -1),
    });
  }

  /** By request: the points in it, as text. */
  get arrived(): string[][] {
    return this.bodies.map(({ body, items }) => {
      const points = pointsIn(body);
      assert.equal(points.length, items);
      return points;
    });
  }

  /** By request: its bytes. */
  get sizes(): number[] {
    return this.bodies.map(({ body }) => body.length);
  }

  /** A process that measured once with each of so many histograms; returns these points, as text. */
  measure(histograms: number): { process: Collected; points: string[] } {
    const { assembler, aggregator, intake } = this.requests;
    const state = assembler.addProcess();
    aggregator.addProcess(state.index);
    const file = new FileBuilder({
      slots: 64,
      dictionaryBytes: 4096 + histograms * (100 + 8 * BOUNDARIES),
    });
    const instrumentationScopeRef = file.simpleScope(`process ${state.index}`);
    const points: string[] = [];
    for (let i = 0; i < histograms; i++) {
      const metric = create(MetricRefSchema, {
        name: `h${i}`,
        instrumentationScopeRef,
        aggregation: {
          case: "histogram",
          value: {
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            bucketBoundaries: Array.from({ length: BOUNDARIES }, (_, k) => k),
          },
        },
      });
      const metricRef = file.entry(toBinary(MetricRefSchema, metric));
      const value = state.index + i / 64;
      file.measurement({ metricRef, timeUnixNano: T, value: { case: "asDouble", value } });
      points.push(`process ${state.index} h${i} ${value} in ${Math.ceil(value)}`);
    }
    const geometry = readGeometry("memory", file.u8, file.size);
    assert.ok(!("unfinished" in geometry));
    const files = [newRoundFile(openDrain(state.index + 1, file, geometry, assembler, state))];
    assert.equal(round({ state, files, waiting: new PairList() }, intake), histograms);
    return { process: { state, collectedAt: 0n }, points };
  }

  /** Measures and collects, process by process; returns the points. */
  collect(...histograms: number[]): string[][] {
    return histograms.map((count) => {
      const { process, points } = this.measure(count);
      this.requests.collectAt(process, T + 1n, false);
      return points;
    });
  }

  /** Sends what is left, and waits for the answers. */
  async end(): Promise<void> {
    this.requests.flushMetrics();
    while (!this.requests.empty) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(this.unanswered.filter((count) => count !== 0), []);
  }
}

/** What a request has, as text: process, metric, sum, and the bucket of the one value. */
function pointsIn(body: Uint8Array): string[] {
  return metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body)).flatMap(
    ({ scope, metric }) =>
      (pointsOf(metric) as HistogramDataPoint[]).map(({ bucketCounts, count, sum }) => {
        assert.deepEqual([count, bucketCounts.length], [1n, BOUNDARIES + 1]);
        return `${scope.scope!.name} ${metric.name} ${sum} in ${bucketCounts.indexOf(1n)}`;
      }),
  );
}

describe("requests with the points of processes", () => {
  it("have those of many that have few, in a buffer that grows", async () => {
    const gathering = new Gathering();
    const points = gathering.collect(...Array(20).fill(1));
    assert.deepEqual(gathering.arrived, [], "they are not sent before all are there");
    await gathering.end();
    assert.deepEqual(gathering.arrived, [points.flat()]);
    assert.ok(gathering.sizes[0] > 20 * POINT_BYTES);
  });

  it("are as large as they may be, and no larger", async () => {
    const gathering = new Gathering();
    const points = gathering.collect(...Array(30).fill(10));
    await gathering.end();
    assert.deepEqual(gathering.arrived.flat(), points.flat());
    const { sizes } = gathering;
    const last = sizes.pop()!;
    assert.ok(sizes.length > 1 && last < MAX_REQUEST_BYTES, sizes.join());
    for (const size of sizes) {
      assert.ok(
        size <= MAX_REQUEST_BYTES && size > MAX_REQUEST_BYTES - 11 * POINT_BYTES,
        `${size}`,
      );
    }
  });

  it("have those of one process that has many alone, in the order of collection", async () => {
    const gathering = new Gathering();
    const [a, b, large, c, d] = gathering.collect(1, 2, 50, 3, 4);
    assert.ok(2 * 50 * POINT_BYTES > MAX_REQUEST_BYTES);
    await gathering.end();
    assert.deepEqual(gathering.arrived, [[...a, ...b], large, [...c, ...d]]);
  });

  it("take no memory once they were sent", async () => {
    const gathering = new Gathering();
    gathering.collect(...Array(30).fill(10));
    await gathering.end();
    assert.ok(gathering.sizes.length >= 3, gathering.sizes.join());
    const { aggregator } = gathering.requests;
    const buffers: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { process: { state: { index } } } = gathering.measure(1);
      aggregator.collect(index, 0, 0, ({ buffer }) => void buffers.push(buffer.length));
    }
    assert.ok(Math.max(...buffers) < MAX_REQUEST_BYTES / 4, buffers.join());
  });
});
