/**
 * One way to bring data points into bytes, or measurements into series, in a process of its own:
 *
 *     program.ts encode ours|protobuf|opentelemetry|control POINTS
 *     program.ts take COUNT
 *
 * Prints JSON of the figures, and asks for a garbage collection before and after what is measured,
 * for whoever reads the collector's log.
 *
 * @module
 */
import process from "node:process";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import { AggregationType, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import {
  type ExportMetricsServiceRequest,
  ExportMetricsServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { BOUNDARIES, createFeed, STREAMS } from "./feed.ts";

const SERIES = 2000;
const [what, how, amount] = process.argv.slice(2);

/**
 * A full collection: begins and ends what is measured in the log, where only one by --expose-gc is told
 * from others.
 */
function collectGarbage(): void {
  const { gc, Bun } = globalThis as unknown as { gc?: () => void; Bun?: { gc(all: true): void } };
  gc?.();
  Bun?.gc(true);
}

/** Runs `body` and returns its time, ns. */
function measured(body: () => void): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  body();
  const time = (performance.now() - start) * 1e6;
  heap = process.memoryUsage().heapUsed - before;
  collectGarbage();
  return time;
}
let heap = 0;

function encode(): void {
  const points = Number(amount);
  const perCollection = 2 * STREAMS * SERIES;
  const collections = Math.round(points / perCollection);
  let bytes = 0;
  let made = 0;
  let once: () => void;
  if (how === "opentelemetry") {
    const { reader, provider } = peer();
    const serialize = async (): Promise<void> => {
      const { resourceMetrics } = await reader.collect();
      bytes += ProtobufMetricsSerializer.serializeRequest(resourceMetrics)!.length;
      made += perCollection;
    };
    void provider;
    void asynchronous(serialize, collections);
    return;
  }
  const { aggregator, measure } = createFeed();
  for (let stream = 0; stream < 2 * STREAMS; stream++) {
    for (let series = 0; series < SERIES; series++) measure(stream, series, 1 + series % 900);
  }
  if (how === "protobuf") {
    const requests: ExportMetricsServiceRequest[] = [];
    aggregator.collect(0, 1, 1, (request) => {
      const body = request.buffer.subarray(0, request.length);
      const message = fromBinary(ExportMetricsServiceRequestSchema, body);
      // The same message both ways.
      const again = fromBinary(
        ExportMetricsServiceRequestSchema,
        toBinary(ExportMetricsServiceRequestSchema, message),
      );
      if (JSON.stringify(plain(message)) !== JSON.stringify(plain(again))) {
        throw new Error("protobuf-es reads something else than it wrote");
      }
      requests.push(message);
      aggregator.recycle(request);
    });
    // From plain objects, as from state that an SDK keeps.
    const inits = requests.map((request) => plain(request));
    once = () => {
      for (const init of inits) {
        const message = create(ExportMetricsServiceRequestSchema, init as never);
        bytes += toBinary(ExportMetricsServiceRequestSchema, message).length;
      }
      made += perCollection;
    };
  } else {
    const kept: unknown[] = [];
    once = () => {
      aggregator.collect(0, 1, 1, (request) => {
        bytes += request.length;
        made += request.items;
        aggregator.recycle(request);
        // The method must see what a point of 64 bytes would cost.
        if (how === "control") {
          for (let i = 0; i < request.items; i++) kept[i & 1023] = new Array(6).fill(i);
        }
      });
    };
  }
  // Until the code is compiled.
  for (let i = 0; i < 3; i++) once();
  bytes = made = 0;
  const time = measured(() => {
    for (let i = 0; i < collections; i++) once();
  });
  report(time, made, bytes);
}

async function asynchronous(once: () => Promise<void>, collections: number): Promise<void> {
  for (let i = 0; i < 2; i++) await once();
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  for (let i = 0; i < collections; i++) await once();
  const time = (performance.now() - start) * 1e6;
  heap = process.memoryUsage().heapUsed - before;
  collectGarbage();
  report(time, collections * 2 * STREAMS * SERIES, 0);
}

function report(time: number, points: number, bytes: number): void {
  console.log(JSON.stringify({ time: time / points, points, bytes: bytes / points, heap }));
  process.exit();
}

/** A message as the object it can be made from. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value;
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => !key.startsWith("$")).map(([k, v]) => [k, plain(v)]),
  );
}
// JSON has no integers of 64 bits.
(BigInt.prototype as unknown as { toJSON(): string }).toJSON = function (this: bigint): string {
  return String(this);
};

function peer(): { reader: MetricReader; provider: MeterProvider } {
  class Reader extends MetricReader {
    protected onForceFlush(): Promise<void> {
      return Promise.resolve();
    }
    protected onShutdown(): Promise<void> {
      return Promise.resolve();
    }
  }
  const reader = new Reader({
    aggregationSelector: () => ({ type: AggregationType.DEFAULT }),
    cardinalitySelector: () => 1 << 20,
  } as never);
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter("bench");
  for (let stream = 0; stream < 2 * STREAMS; stream++) {
    const advice = { explicitBucketBoundaries: [...BOUNDARIES] };
    const counter = stream < STREAMS
      ? meter.createCounter(`metric ${stream}`, { unit: "1" })
      : null;
    const histogram = counter === null
      ? meter.createHistogram(`metric ${stream}`, { unit: "1", advice })
      : null;
    for (let series = 0; series < SERIES; series++) {
      const attributes = { "http.request.method": "GET", "http.route": "/items/{id}", series };
      counter?.add(1 + series % 900, attributes);
      histogram?.record(1 + series % 900, attributes);
    }
  }
  return { reader, provider };
}

function take(): void {
  const count = Number(how);
  const { aggregator, measure } = createFeed();
  const rss: Record<string, number> = {};
  const start = performance.now();
  const cpu = process.cpuUsage();
  let next = count / 10;
  for (let i = 0; i < count; i++) {
    const stream = i % (2 * STREAMS);
    // All of them once before any of them twice, in no order that caches like.
    const series = Math.floor(i / (2 * STREAMS)) * 1237 % SERIES;
    measure(stream, series, i & 0x3ff);
    if (i + 1 === next) {
      rss[String(next)] = process.memoryUsage().rss;
      next = next === count / 10 ? count : 0;
    }
    // As often as every ten seconds.
    if (i % (count / 10) === 0) {
      aggregator.collect(0, 1, 1, (request) => aggregator.recycle(request));
    }
  }
  const used = process.cpuUsage(cpu);
  const time = (performance.now() - start) * 1e6 / count;
  const nanos = (used.user + used.system) * 1000 / count;
  console.log(
    JSON.stringify({ time, cpu: nanos, rss: Object.values(rss), counts: aggregator.counts }),
  );
}

if (what === "take") take();
else encode();
