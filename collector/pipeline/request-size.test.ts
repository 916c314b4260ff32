import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("request-size");
/** What gRPC servers take at most, unless told otherwise. */
const GRPC_LIMIT = 4 << 20;
const SPANS = 2000;

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
});
