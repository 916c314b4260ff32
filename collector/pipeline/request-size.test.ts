import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { start } from "../../mod.ts";
import { Writer } from "../../lib/writer.ts";
import { pointsOf } from "../../tests/support/collect.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("request-size");
/** What gRPC servers take at most, unless told otherwise. */
const GRPC_LIMIT = 4 << 20;
const SPANS = 2000;
const [STREAMS, SERIES] = [20, 800];

describe("requests", () => {
  it("are small enough for gRPC servers, however many items are allowed", async () => {
    const directory = folder();
    const sink = new TestSink();
    const sizes: number[] = [];
    const { traces } = sink.sinks;
    const send = (body: Uint8Array, items: number): ReturnType<typeof traces.send> => {
      sizes.push(body.length);
      return traces.send(body, items);
    };
    const { pipeline, ended } = run(
      [directory],
      {
        sinks: { ...sink.sinks, traces: { ...traces, send } },
        batchSize: 65_536,
        flushIntervalMs: 60_000,
      },
      sink,
    );
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "s" });
    for (let i = 0; i < SPANS; i++) {
      const span = scope.startSpan("work");
      for (let k = 0; k < 10; k++) span.setAttributes({ [`key ${k}`]: "x".repeat(300) });
      span.end();
      if (i % 100 === 99) await until("room", () => writer.drained);
    }
    writer.close();
    await until("all spans", () => pipeline.summary.spans === SPANS);
    pipeline.stop();
    await ended;
    assert.equal(sink.spans.length, SPANS);
    assert.ok(sizes.length > 1 && Math.max(...sizes) > GRPC_LIMIT / 2, sizes.join());
    assert.ok(Math.max(...sizes) < GRPC_LIMIT, sizes.join());
  });

  it("have all points between them, however many requests these take", async () => {
    const directory = folder();
    const { pipeline, sink, ended } = run([directory], { metricsIntervalMs: 60_000 });
    const sdk = start({ directory });
    const meter = sdk.meterProvider!.getMeter("m");
    const padding = "x".repeat(300);
    for (let stream = 0; stream < STREAMS; stream++) {
      const counter = meter.createCounter(`counter.${stream}`);
      for (let series = 0; series < SERIES; series++) {
        counter.add(1, { series, padding });
      }
      await sdk.forceFlush();
    }
    await sdk.shutdown();
    await until("the file is done with", () => readdirSync(directory).length === 0);
    pipeline.stop();
    await ended;
    const counted = sink.metrics.filter(({ metric }) => metric.name.startsWith("counter."));
    const points = counted.flatMap(({ metric }) => pointsOf(metric));
    assert.ok(sink.sizes.length > 1, sink.sizes.join());
    assert.equal(points.length, STREAMS * SERIES);
  });
});
