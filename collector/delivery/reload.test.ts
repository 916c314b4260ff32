/** The configuration file of a collector that runs, changed and read again. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { start } from "../../mod.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { until } from "../testing/run.ts";
import { freePort } from "../testing/servers.ts";
import {
  metricsReceivedBy,
  receivedBy,
  startCollector,
  waitForSpans,
} from "../../tests/support/collector.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-reload-"));
const relays: Server[] = [];
after(() => {
  for (const relay of relays) relay.close();
  rmSync(root, { recursive: true });
});

describe("SIGHUP", () => {
  it("takes the new configuration without losing a record, and refuses a bad one", async () => {
    const sink = await startSink();
    const config = join(root, "c.yaml");
    const directory = mkdtempSync(join(root, "files-"));
    const write = (endpoint: string, more = ""): void =>
      writeFileSync(
        config,
        `collect: {endpoint: "${endpoint}", flush_interval: 50ms}\nprocessors:${more || " []"}\n`,
      );
    const writer = Writer.create(join(directory, "a.otlp"), { resource: { "service.name": "a" } });
    const scope = writer.scope({ name: "reload" });
    let count = 0;
    const record = (): void => {
      scope.startSpan(`span ${count++}`, { attributes: { secret: "s" } }).end();
    };
    write(`http://127.0.0.1:${await freePort()}`);
    const collector = startCollector([directory, "--config", config]);
    const hangUp = async (said: RegExp): Promise<void> => {
      const before = collector.text().length;
      process.kill(collector.child.pid!, "SIGHUP");
      await until(`${said}`, () => said.test(collector.text().slice(before)), {
        state: collector.text,
      });
    };
    try {
      for (let i = 0; i < 100; i++) record();
      await collector.wrote(/nothing listens/);
      // What the old backend did not take goes to the new one.
      write(sink.url);
      await hangUp(/the configuration was read again/);
      await waitForSpans(sink, 100);
      write(sink.url, "\n  - redact: {attributes: [secret]}\n  - drop: {where: {name: span 100}}");
      await hangUp(/the configuration was read again/);
      record();
      record();
      const spans = await waitForSpans(sink, 101);
      const last = spans.find(({ span }) => span.name === "span 101")!;
      assert.equal(last.span.attributes[0].value?.value.value, "[redacted]");
      writeFileSync(config, "processors: [{shrink: {}}]\n");
      await hangUp(/the configuration stays as it was: .*shrink: no such field/);
      record();
      await waitForSpans(sink, 102);
      write(sink.url, "\n  - redact: {attributes: [secret]}\ncollect: {}");
      await hangUp(/the configuration stays as it was: .*not YAML/);
      writeFileSync(config, `collect: {endpoint: "${sink.url}", batch_size: 7}\n`);
      await hangUp(/this changes with a restart only: batch_size, flush_interval/);
      writer.close();
      const { code } = await collector.stop();
      assert.equal(code, 0, collector.text());
      const names = receivedBy(sink).map(({ span }) => span.name);
      const wanted = Array.from({ length: count }, (_, i) => `span ${i}`);
      assert.deepEqual(names.sort(), wanted.filter((name) => name !== "span 100").sort());
      assert.match(collector.text(), /102 delivered, .* 0 dropped, 1 left out as configured/);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("goes from one endpoint to a list of them, and keeps connections that stay the same", async () => {
    const [first, second] = [await startSink(), await startSink()];
    const connections = [0, 0];
    const [a, b] = await Promise.all([first, second].map((sink, index) => {
      // Counts connections on the way.
      const relay = createServer((socket) => {
        connections[index]++;
        const onward = connect(Number(new URL(sink.url).port), "127.0.0.1");
        for (const each of [socket, onward]) each.on("error", () => {});
        socket.pipe(onward).pipe(socket);
      });
      relays.push(relay);
      return new Promise<string>((resolve) => {
        relay.listen(0, "127.0.0.1", () => {
          resolve(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
        });
      });
    }));
    const config = join(root, "list.yaml");
    const token = join(root, "token");
    const directory = mkdtempSync(join(root, "files-"));
    writeFileSync(token, "hunter2\n");
    const write = (endpoint: string, processors: string): void =>
      writeFileSync(
        config,
        `collect: {endpoint: ${endpoint}, bearer_token_file: "${token}", flush_interval: 20ms}\n` +
          `processors: ${processors}\n`,
      );
    write(`"${a}"`, "[]");
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "list" });
    const collector = startCollector([directory, "--config", config]);
    const hangUp = async (): Promise<void> => {
      const before = collector.text().length;
      process.kill(collector.child.pid!, "SIGHUP");
      await until(
        "it is read again",
        () => collector.text().slice(before).includes("was read again"),
        { state: collector.text },
      );
    };
    try {
      scope.startSpan("one").end();
      await waitForSpans(first, 1);
      write(`["${a}"]`, "[{drop: {where: {name: nothing}}}]");
      await hangUp();
      scope.startSpan("two").end();
      await waitForSpans(first, 2);
      assert.deepEqual(connections, [1, 0]);
      write(`["${a}", "${b}"]`, "[]");
      await hangUp();
      scope.startSpan("three").end();
      await waitForSpans(first, 3);
      await waitForSpans(second, 1);
      const before = [...connections];
      write(`["${a}", "${b}"]`, "[{drop: {where: {name: nothing}}}]");
      await hangUp();
      scope.startSpan("four").end();
      await waitForSpans(first, 4);
      await waitForSpans(second, 2);
      assert.deepEqual(connections, before);
      writer.close();
      assert.equal((await collector.stop()).code, 0, collector.text());
      const text = collector.text();
      assert.match(text, new RegExp(`spans to ${b}/v1/traces: 2 delivered, 0 .*, 0 dropped`));
      assert.doesNotMatch(text, /hunter2/);
    } finally {
      await collector.stop("SIGKILL");
      await first.stop();
      await second.stop();
    }
  });

  it("ends a collector that has no configuration to read again", async () => {
    const sink = await startSink();
    const directory = mkdtempSync(join(root, "files-"));
    const writer = Writer.create(join(directory, "a.otlp"));
    const collector = startCollector([directory, "--endpoint", sink.url]);
    try {
      writer.scope({ name: "end" }).startSpan("last").end();
      await waitForSpans(sink, 1);
      process.kill(collector.child.pid!, "SIGHUP");
      assert.deepEqual(await collector.ended, { code: 0, signal: null });
      assert.match(collector.text(), /1 delivered/);
    } finally {
      writer.close();
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("samples whole traces that end while it follows", async () => {
    const sink = await startSink();
    const config = join(root, "tail.yaml");
    const directory = mkdtempSync(join(root, "files-"));
    writeFileSync(
      config,
      `collect: {endpoint: "${sink.url}", flush_interval: 50ms}
tail_sampling: {decision_wait: 1s, keep_errors: true}\n`,
    );
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "tail" });
    const collector = startCollector([directory, "--config", config]);
    try {
      for (let i = 0; i < 50; i++) {
        const parent = scope.startSpan(`parent ${i}`);
        const child = scope.startSpan(`child ${i}`, { parent });
        child.end(i % 10 === 0 ? { status: { code: "error" } } : {});
        parent.end();
      }
      const spans = await waitForSpans(sink, 10);
      assert.deepEqual(
        spans.map(({ span }) => span.name).sort(),
        [0, 10, 20, 30, 40].flatMap((i) => [`child ${i}`, `parent ${i}`]).sort(),
      );
      // Those that wait for their decision at the end are decided on then.
      scope.startSpan("late", {}).end({ status: { code: "error" } });
      scope.startSpan("good").end();
      while (!writer.drained) await new Promise((wake) => setTimeout(wake, 5));
      writer.close();
      const { code } = await collector.stop();
      assert.equal(code, 0);
      assert.equal(receivedBy(sink).length, 11);
      assert.match(collector.text(), /11 delivered, .*, 91 left out as configured/);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  for (const spool of ["", ", spool: SPOOL"]) {
    it(`takes new views for instruments that are met from then on${spool && ", with a journal"}`, async () => {
      const sink = await startSink();
      const config = join(root, "views.yaml");
      const directory = mkdtempSync(join(root, "files-"));
      const settings = `endpoint: "${sink.url}", metrics_interval: 100ms${spool}`
        .replace("SPOOL", `"${mkdtempSync(join(root, "spool-"))}"`);
      const write = (views: string): void =>
        writeFileSync(config, `collect: {${settings}}\nviews: ${views}\n`);
      write("[]");
      const collector = startCollector([directory, "--config", config]);
      const sdk = start({ directory });
      const meter = sdk.meterProvider!.getMeter("m");
      const receive = async (name: string): Promise<void> => {
        const names = (): string[] => metricsReceivedBy(sink).map(({ metric }) => metric.name);
        const deadline = Date.now() + 20_000;
        while (!names().includes(name)) {
          const seen = [...new Set(names())].join(", ");
          assert.ok(Date.now() < deadline, `no ${name} but ${seen}: ${collector.text()}`);
          await new Promise((wake) => setTimeout(wake, 20));
        }
      };
      try {
        meter.createCounter("before").add(1);
        await receive("before");
        write('[{selector: {instrument_name: "late"}, stream: {name: "renamed"}}]');
        process.kill(collector.child.pid!, "SIGHUP");
        await collector.wrote(/the configuration was read again/);
        meter.createCounter("late").add(1);
        await receive("renamed");
      } finally {
        await sdk.shutdown();
        await collector.stop("SIGKILL");
        await sink.stop();
      }
    });
  }
});
