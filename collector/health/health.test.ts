/** The collector's own health, as those see it who ask a collector that runs. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import { Writer } from "../../lib/writer.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { observe, type Observed, startCollector } from "../../tests/support/collector.ts";
import { scrape } from "../../tests/support/prometheus.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { putLogs } from "../testing/append.ts";
import { accept, folders, run, TestSink, until } from "../testing/run.ts";
import { checkAlive } from "./checks.ts";
import { createFigures, type Watched } from "./figures.ts";

const folder = folders("health");

async function urlOf(collector: Observed): Promise<string> {
  await collector.wrote(/served at http:\S+\/healthz/);
  return /served at (http:\S+)\/healthz/.exec(collector.text())![1];
}

/** Asks again until something is so, for at most 10 s. */
async function eventually<T>(ask: () => Promise<T>, isSo: (found: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 10_000;;) {
    const found = await ask();
    if (isSo(found)) return found;
    if (Date.now() > deadline) assert.fail(`never so: ${JSON.stringify(found)}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

function writerOf(path: string, service: string): Writer {
  return Writer.create(path, { resource: { "service.name": service } });
}

describe("--health", () => {
  it("counts the records of each ring, and of each file while its owner lives", async () => {
    const directory = folder();
    const sink = await startSink();
    const collector = startCollector([directory, "--endpoint", sink.url, "--health", ":0"]);
    try {
      const url = await urlOf(collector);
      assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
      const writer = writerOf(join(directory, "a.otlp"), "shop");
      const scope = writer.scope({ name: "s" });
      for (let i = 0; i < 5; i++) scope.startSpan(`span ${i}`).end();
      const open = scope.startSpan("open");
      const one = 'file="a.otlp",ring="spans",service="shop"';
      const found = await eventually(
        () => scrape(`${url}/metrics`),
        (all) => all.get('otlp_mmap_items_accepted_total{signal="traces"}') === 5,
      );
      for (const what of ["claimed", "taken"]) {
        assert.equal(found.get(`otlp_mmap_file_records_${what}_total{${one}}`), 11);
        assert.equal(found.get(`otlp_mmap_records_${what}_total{ring="spans"}`), 11);
      }
      for (const what of ["torn", "unreadable", "truncated"]) {
        assert.equal(found.get(`otlp_mmap_file_records_${what}_total{${one}}`), 0);
      }
      assert.equal(found.get(`otlp_mmap_file_lag{${one}}`), 0);
      assert.equal(found.get(`otlp_mmap_file_lag_time_milliseconds{${one}}`), 0);
      assert.equal(found.get("otlp_mmap_spans_open"), 1);
      assert.equal(found.get("otlp_mmap_spans_taken_total"), 5);
      assert.equal(found.get("otlp_mmap_processes"), 1);
      const seconds = 'otlp_mmap_request_duration_seconds_count{signal="traces"}';
      assert.equal(
        found.get(seconds),
        found.get('otlp_mmap_requests_total{signal="traces"}'),
      );
      assert.ok(found.get(seconds)! >= 1);
      assert.ok(found.get("otlp_mmap_process_cpu_seconds_total")! > 0);
      assert.ok(found.get("otlp_mmap_process_resident_memory_bytes")! > 1e6);
      const started = found.get("otlp_mmap_process_start_time_seconds")!;
      assert.ok(Math.abs(started - Date.now() / 1000) < 120, String(started));

      open.end();
      writer.close();
      const after = await eventually(
        () => scrape(`${url}/metrics`),
        (all) => all.get("otlp_mmap_processes") === 0,
      );
      assert.equal(after.get('otlp_mmap_records_taken_total{ring="spans"}'), 12);
      assert.equal(after.get('otlp_mmap_records_claimed_total{ring="spans"}'), 12);
      assert.equal(after.get("otlp_mmap_files_opened_total"), 1);
      assert.deepEqual([...after.keys()].filter((key) => key.includes("file=")), []);
    } finally {
      assert.equal((await collector.stop()).code, 0, collector.text());
      await sink.stop();
    }
  });

  it("is ready while the backends take what they are sent, and says why not", async () => {
    const directory = folder();
    const statuses: Partial<Record<Signal, number>> = { traces: 503 };
    const sink = await startSink({ statuses });
    const collector = startCollector([directory, "--endpoint", sink.url, "--health", "0"]);
    try {
      const url = await urlOf(collector);
      const ready = async (): Promise<[number, string]> => {
        const response = await fetch(`${url}/readyz`);
        return [response.status, await response.text()];
      };
      assert.deepEqual(await eventually(ready, ([status]) => status === 200), [200, "ok\n"]);
      const writer = writerOf(join(directory, "a.otlp"), "shop");
      writer.scope({ name: "s" }).startSpan("a").end();
      const [, reasons] = await eventually(ready, ([status]) => status === 503);
      assert.match(reasons, /^traces: .*503.* \(failed attempts: \d+\)\n$/);
      const alive = await fetch(`${url}/healthz`);
      assert.deepEqual([alive.status, await alive.text()], [200, "ok\n"]);
      const failed = (await scrape(`${url}/metrics`))
        .get('otlp_mmap_send_failures_total{signal="traces"}');
      assert.ok(failed! >= 1);
      delete statuses.traces;
      await eventually(ready, ([status]) => status === 200);
      writer.close();
    } finally {
      assert.equal((await collector.stop()).code, 0, collector.text());
      await sink.stop();
    }
  });

  it("is ready when a backend takes one signal and not another, and says which", async () => {
    const directory = folder();
    const statuses: Partial<Record<Signal, number>> = { logs: 404, traces: 404 };
    const sink = await startSink({ statuses });
    const collector = startCollector([directory, "--endpoint", sink.url, "--health", "0"]);
    try {
      const url = await urlOf(collector);
      const writer = writerOf(join(directory, "a.otlp"), "shop");
      const scope = writer.scope({ name: "s" });
      scope.startSpan("a").end();
      const ready = async (): Promise<[number, string]> => {
        const response = await fetch(`${url}/readyz`);
        return [response.status, await response.text()];
      };
      // Nothing says that it is a backend at all.
      const [, reasons] = await eventually(ready, ([status]) => status === 503);
      assert.match(reasons, /^traces: HTTP 404 .*takes traces at .*\n$/);
      delete statuses.traces;
      scope.startSpan("b").end();
      assert.deepEqual(await eventually(ready, ([status]) => status === 200), [200, "ok\n"]);
      putLogs(join(directory, "a.otlp"), "a log record");
      const [, page] = await eventually(ready, ([, text]) => text !== "ok\n");
      assert.match(page, /^ok\nlogs: HTTP 404 .*takes no logs .*\n$/);
      assert.equal((await ready())[0], 200);
      writer.close();
    } finally {
      assert.equal((await collector.stop()).code, 0, collector.text());
      await sink.stop();
    }
  });

  it("has figures of each of several endpoints, and says which one makes it not ready", async () => {
    const directory = folder();
    const good = await startSink();
    const bad = await startSink({ statuses: { traces: 503 } });
    const collector = startCollector([
      ...[directory, "--health", "0", "--endpoint", good.url],
      ...["--endpoint", bad.url.replace("//", "//user:hunter2@")],
    ]);
    try {
      const url = await urlOf(collector);
      const writer = writerOf(join(directory, "a.otlp"), "shop");
      writer.scope({ name: "s" }).startSpan("a").end();
      const ready = async (): Promise<[number, string]> => {
        const response = await fetch(`${url}/readyz`);
        return [response.status, await response.text()];
      };
      const [, reasons] = await eventually(ready, ([status]) => status === 503);
      const where = `traces to ${bad.url}/v1/traces: `;
      assert.ok(reasons.startsWith(where) && reasons.split("\n").length === 2, reasons);
      const figures = await scrape(`${url}/metrics`);
      const of = (name: string, endpoint: string): number | undefined =>
        figures.get(`otlp_mmap_endpoint_${name}{endpoint="${endpoint}/v1/traces",signal="traces"}`);
      assert.equal(of("items_accepted_total", good.url), 1);
      assert.equal(of("items_accepted_total", bad.url), 0);
      assert.equal(of("send_failures_total", good.url), 0);
      const failures = of("send_failures_total", bad.url)!;
      assert.ok(failures >= 1);
      assert.equal(figures.get('otlp_mmap_send_failures_total{signal="traces"}'), failures);
      assert.equal(figures.get('otlp_mmap_requests_running{signal="traces"}'), 1);
      writer.close();
    } finally {
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.doesNotMatch(collector.text(), /hunter2/);
      await good.stop();
      await bad.stop();
    }
  });

  it("does not hold up the end, whoever is still connected", async () => {
    const collector = startCollector([folder(), "--print", "--health", "127.0.0.1:0"]);
    const url = await urlOf(collector);
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    socket.on("error", () => {}).write("GET /metrics HTTP/1.1\r\n");
    assert.deepEqual(await collector.stop(), { code: 0, signal: null });
    socket.destroy();
  });

  it("ends with 2 where it can't listen, and names who asked for that", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const busy = `127.0.0.1:${port}: another program listens there; choose another port, ` +
      "or 0 for one that is free\n";
    const byFlag = startCollector([folder(), "--print", "--health", `:${port}`]);
    assert.equal((await byFlag.ended).code, 2);
    assert.equal(byFlag.text(), `otlp-mmap: error: --health ${busy}`);
    const env = { OTLP_MMAP_HEALTH: String(port) };
    const byVariable = observe(ownRuntime, "collector/main.ts", ["collect", folder(), "--print"], {
      env,
    });
    assert.equal((await byVariable.ended).code, 2);
    assert.equal(byVariable.text(), `otlp-mmap: error: OTLP_MMAP_HEALTH ${busy}`);
    server.close();
  });
});

/** The figure of that name: its values by labels, as JSON. */
function read(watched: Watched, name: string): Record<string, unknown> {
  const figure = createFigures(watched).find((each) => each.name === name);
  assert.ok(figure, name);
  return Object.fromEntries(
    [...figure.read()].map(([labels, value]) => [Object.values(labels).join(" "), value]),
  );
}

describe("figures", () => {
  it("say what writers refused, how far behind the collector is, and what waits", async () => {
    const directory = folder();
    const sink = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    sink.answer = async (count) => {
      await gate;
      return accept(count);
    };
    const path = join(directory, "b.otlp");
    const writer = Writer.create(path, { spans: { slots: 64, slotBytes: 256 } });
    const scope = writer.scope({ name: "s" });
    const { pipeline, ended } = run([directory], { batchSize: 1 }, sink);
    const watched = { pipeline, sinks: sink.sinks };
    // Two requests on their way and four that wait: nothing more is taken.
    for (let i = 0; i < 6; i++) scope.startSpan("a").end();
    await until("it waits", () => pipeline.requests.queues.traces.full);
    const recorded = Date.now();
    for (let i = 0; i < 100; i++) scope.startSpan("b").end();
    const lag = read(watched, "otlp_mmap.file.lag");
    assert.ok(Number(lag["b.otlp spans"]) > 0, JSON.stringify(lag));
    assert.equal(lag["b.otlp events"], 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const age = Number(read(watched, "otlp_mmap.file.lag.time")["b.otlp spans"]);
    assert.ok(age >= 40 && age <= Date.now() - recorded + 1000, String(age));
    assert.deepEqual(read(watched, "otlp_mmap.requests.running"), {
      traces: 2,
      metrics: 0,
      logs: 0,
    });
    assert.equal(read(watched, "otlp_mmap.requests.waiting").traces, 4);
    const lost = writer.counters().spans.lost;
    assert.ok(lost.reserve + lost.ring_full > 0);
    const found = read(watched, "otlp_mmap.file.records.refused");
    for (const reason of ["reserve", "ring_full"] as const) {
      assert.equal(found[`b.otlp spans ${reason}`] ?? 0, lost[reason], JSON.stringify(found));
    }
    const closes = (): void => {
      const [claimed, taken, torn, bad] = ["claimed", "taken", "torn", "unreadable"]
        .map((what) => Number(read(watched, `otlp_mmap.records.${what}`).spans));
      const behind = Number(read(watched, "otlp_mmap.lag").spans);
      assert.equal(claimed, taken + torn + bad + behind);
    };
    closes();
    release();
    await until("all is read", () => read(watched, "otlp_mmap.lag").spans === 0);
    closes();
    writer.close();
    await until("the file is gone", () => pipeline.files.processes.size === 0);
    closes();
    const all = read(watched, "otlp_mmap.records.refused");
    assert.deepEqual([all["spans reserve"], all["spans ring_full"]], [
      lost.reserve,
      lost.ring_full,
    ]);
    pipeline.stop();
    assert.equal(await ended, 0);
  });

  it("tell files of one name apart", async () => {
    const directories = [folder(), folder()];
    const sink = new TestSink();
    const { pipeline, ended } = run(directories, {}, sink);
    const paths = directories.map((directory) => join(directory, "same.otlp"));
    const writers = paths.map((path) => Writer.create(path));
    for (const writer of writers) writer.scope({ name: "s" }).startSpan("a").end();
    await until("two spans", () => sink.spans.length === 2);
    const taken = read({ pipeline, sinks: sink.sinks }, "otlp_mmap.file.records.taken");
    assert.deepEqual(paths.map((path) => taken[`${path} spans`]), [2, 2]);
    for (const writer of writers) writer.close();
    pipeline.stop();
    assert.equal(await ended, 0);
  });

  it("say that a collector got stuck", () => {
    const pipeline = (ago: number): Watched =>
      ({ pipeline: { turnedAt: performance.now() - ago }, sinks: {} }) as unknown as Watched;
    assert.equal(checkAlive(pipeline(9_000)).status, 200);
    const { body, status } = checkAlive(pipeline(12_000));
    assert.deepEqual([status, body], [503, "the last round ended 12 s ago\n"]);
  });
});
