/** The spool behind the SDK of OpenTelemetry, with its own serializers and processors. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { diag, type DiagLogger } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import {
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { describe, it } from "node:test";
import { folders, until } from "../../collector/testing/run.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { logsReceivedBy, metricsReceivedBy, receivedBy } from "../../tests/support/collector.ts";
import { type Delivery, openSpool, postTo, type Spool, spoolExporter } from "./mod.ts";

const folder = folders("spool-exporter");
/** Nothing listens there. */
const NOWHERE = "http://127.0.0.1:9";

function exporters(spool: Spool, url: string) {
  return {
    traces: spoolExporter({
      spool,
      signal: "traces",
      serializer: ProtobufTraceSerializer,
      send: postTo(`${url}/v1/traces`),
    }),
    metrics: spoolExporter({
      spool,
      signal: "metrics",
      serializer: ProtobufMetricsSerializer,
      send: postTo(`${url}/v1/metrics`, () => ({ "x-tenant": "shop" })),
    }),
    logs: spoolExporter({
      spool,
      signal: "logs",
      serializer: ProtobufLogsSerializer,
      send: postTo(`${url}/v1/logs`),
    }),
  };
}

/** A spool exporter of texts, with a receiver that answers as it is told. */
function texts(
  spool: Spool,
  answers: (body: string) => Delivery["status"],
  retryInMillis?: number,
) {
  const taken: string[] = [];
  const exporter = spoolExporter<string[]>({
    spool,
    signal: "logs",
    serializer: { serializeRequest: (items) => new TextEncoder().encode(items.join()) },
    send: (body) => {
      const text = new TextDecoder().decode(body);
      const status = answers(text);
      if (status === "success") taken.push(text);
      return Promise.resolve({ status, retryInMillis });
    },
    retryMs: 5,
  });
  const put = (...items: string[]): Promise<number> =>
    new Promise((resolve) => exporter.export(items, ({ code }) => resolve(code)));
  return { exporter, taken, put };
}

describe("an exporter with a spool", () => {
  it("stores all signals while nobody listens, and a later process delivers them", async () => {
    const dir = folder();
    const first = openSpool(dir);
    const { traces, metrics, logs } = exporters(first, NOWHERE);
    const tracing = new TracerProvider({
      spanProcessors: [new BatchSpanProcessor({ exporter: traces })],
    });
    const logging = new LoggerProvider({
      processors: [new BatchLogRecordProcessor({ exporter: logs })],
    });
    const reader = new PeriodicExportingMetricReader({ exporter: metrics });
    const metering = new MeterProvider({ readers: [reader] });
    for (let i = 0; i < 20; i++) tracing.getTracer("t").startSpan(`span ${i}`).end();
    logging.getLogger("l").emit({ body: "hello", severityNumber: SeverityNumber.INFO });
    metering.getMeter("m").createCounter("orders").add(3);
    await Promise.all([tracing.forceFlush(), logging.forceFlush(), metering.forceFlush()]);
    await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);
    assert.equal(first.counts.traces.waiting.items, 20);
    assert.equal(first.counts.logs.waiting.items, 1);
    assert.ok(first.counts.metrics.waiting.items >= 1);
    first.close();

    const sink = await startSink();
    const second = openSpool(dir);
    try {
      const next = exporters(second, sink.url);
      await Promise.all(Object.values(next).map((exporter) => exporter.forceFlush()));
      const names = receivedBy(sink).map(({ span }) => span.name);
      assert.deepEqual(names, Array.from({ length: 20 }, (_, i) => `span ${i}`));
      assert.deepEqual(logsReceivedBy(sink).map(({ log }) => log.body?.value.value), ["hello"]);
      assert.equal(metricsReceivedBy(sink)[0].metric.name, "orders");
      for (const signal of ["traces", "metrics", "logs"] as const) {
        assert.equal(second.counts[signal].waiting.requests, 0);
      }
      await Promise.all(Object.values(next).map((exporter) => exporter.shutdown()));
    } finally {
      second.close();
      await sink.stop();
    }
  });

  it("tries again in order, and goes on by itself", async () => {
    const spool = openSpool(folder());
    let failures = 3;
    const { exporter, taken, put } = texts(spool, () => failures-- > 0 ? "retryable" : "success");
    for (const text of ["a", "b", "c"]) assert.equal(await put(text), 0);
    await until("all are taken", () => taken.length === 3);
    assert.deepEqual(taken, ["a", "b", "c"]);
    await exporter.shutdown();
    assert.equal(await put("late"), 1);
    spool.close();
  });

  it("drops what is refused for good, and counts it", async () => {
    const spool = openSpool(folder());
    const { exporter, taken, put } = texts(spool, (text) => text === "bad" ? "failure" : "success");
    for (const text of ["a", "bad", "b"]) await put(text);
    await exporter.forceFlush();
    assert.deepEqual(taken, ["a", "b"]);
    assert.equal(exporter.refused, 1);
    assert.equal(spool.counts.logs.waiting.requests, 0);
    await exporter.shutdown();
    spool.close();
  });

  it("says when something can't be stored", async () => {
    const spool = openSpool(folder(), { maxBytes: 1000 });
    const { exporter, put } = texts(spool, () => "success");
    assert.equal(await put("x".repeat(2000)), 1);
    assert.equal(await put("x"), 0);
    await exporter.shutdown();
    spool.close();
  });

  it("says once that the spool fails, and goes on when it does not", async () => {
    const warnings: string[] = [];
    const ignore = (): void => {};
    const warn = (message: string): void => void warnings.push(message);
    const logger: DiagLogger = {
      error: ignore,
      warn,
      info: ignore,
      debug: ignore,
      verbose: ignore,
    };
    diag.setLogger(logger);
    const dir = folder();
    const spool = openSpool(dir);
    let failures = 3;
    const next: Spool["next"] = (signal) => {
      if (failures-- > 0) throw new Error("EIO: i/o error, read");
      return spool.next(signal);
    };
    let fails = false;
    const adopt: Spool["adopt"] = () => {
      if (fails) throw new Error("EIO: i/o error, scandir");
      return spool.adopt();
    };
    const { exporter, taken, put } = texts(
      Object.create(spool, { next: { value: next }, adopt: { value: adopt } }),
      () => "success",
    );
    const clock = Date.now;
    try {
      await put("a");
      await until("it is taken", () => taken.length === 1);
      assert.equal(failures < 0, true);
      assert.deepEqual(warnings, [`what is stored in ${dir} (logs) can't be read`]);
      fails = true;
      for (const [i, minutes] of [2, 4].entries()) {
        Date.now = () => clock() + minutes * 60_000;
        await put("b");
        await until("that too", () => taken.length === 2 + i);
      }
      assert.equal(warnings.length, 2);
      assert.equal(warnings[1], `what dead processes left in ${dir} can't be looked at`);
      rmSync(dir, { recursive: true });
      for (let i = 0; i < 2; i++) await exporter.forceFlush();
      assert.equal(warnings.length, 3);
      assert.match(
        warnings[2],
        /^the spool \S+ was removed or replaced while it was used: .*\(0 items/,
      );
      await exporter.shutdown();
    } finally {
      Date.now = clock;
      diag.disable();
      spool.close();
    }
  });

  it("tries to read again what it could not", async () => {
    const spool = openSpool(folder());
    let failures = 3;
    const { exporter, taken, put } = texts(
      Object.create(spool, {
        next: { value: (signal: "logs") => failures-- > 0 ? null : spool.next(signal) },
        readError: { value: () => failures >= 0 ? "EMFILE" : undefined },
      }),
      () => "success",
    );
    await put("a");
    await until("it is taken", () => taken.length === 1);
    await exporter.shutdown();
    spool.close();
  });

  it("waits as long as it is asked to, and not for ever", async () => {
    const later = new Date(Date.now() + 60_000).toUTCString();
    const answers = ["7", "3000000", later, "soon"];
    const server = createServer((_request, response) => {
      response.writeHead(503, { "retry-after": answers.shift() }).end();
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const send = postTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`);
    const waits: (number | undefined)[] = [];
    while (answers.length > 0) waits.push((await send(new Uint8Array(1), 5000)).retryInMillis);
    server.close();
    const [seconds, most, date, nothing] = waits;
    assert.deepEqual([seconds, most, nothing], [7000, 900_000, undefined]);
    assert.ok(date! > 50_000 && date! <= 60_000, String(date));

    // Timers fire at once when they are set to more than 25 days.
    const spool = openSpool(folder());
    let attempts = 0;
    const { exporter, put } = texts(spool, () => (attempts++, "retryable"), 3e9);
    await put("a");
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(attempts, 1);
    await exporter.shutdown();
    spool.close();
  });

  it("takes statuses of OTLP/HTTP for what they mean", async () => {
    for (
      const [status, expected] of [[200, "success"], [400, "failure"], [503, "retryable"], [
        429,
        "retryable",
      ]] as const
    ) {
      const sink = await startSink({ statuses: { logs: status } });
      try {
        const answer = await postTo(`${sink.url}/v1/logs`)(new Uint8Array(1), 5000);
        assert.equal(answer.status, expected);
      } finally {
        await sink.stop();
      }
    }
  });
});
