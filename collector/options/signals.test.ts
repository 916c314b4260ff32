/** Signals that go different ways by flags and configuration file, out of a collector that runs. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { Writer } from "../../lib/writer.ts";
import { observe, startCollector } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { startGrpcBackend } from "../testing/grpc-backend.ts";
import { until } from "../testing/run.ts";
import { type HttpBackend, startHttpBackend } from "../testing/servers.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-signals-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
/** A file with spans, log records and measurements (tests/vectors/README.md). */
function vectorFile(): string {
  const path = join(root, `${++count}.otlp`);
  const vector = new URL("../../tests/vectors/upstream-python.otlp.gz", import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(vector)));
  return path;
}

/** What came, in short: path, type, and the header `tenant`. */
function seenBy({ seen }: HttpBackend): string[] {
  return seen.map(({ url, headers }) => `${url} ${headers["content-type"]} ${headers.tenant}`);
}

describe("signals that go different ways", () => {
  it("go where flags, the configuration file and variables say, in this order", async () => {
    const [http, other] = [await startHttpBackend(), await startHttpBackend()];
    const grpc = await startGrpcBackend();
    const config = join(root, "ways.yaml");
    writeFileSync(
      config,
      `collect:
  endpoint: http://127.0.0.1:${other.port}/base
  header: tenant=all
  traces_endpoint: http://127.0.0.1:1/never
  traces_header: tenant=traces
  metrics_endpoint: 127.0.0.1:${grpc.port}
  metrics_protocol: grpc
  insecure: true
`,
    );
    const flags = ["--traces-endpoint", `http://127.0.0.1:${http.port}/exactly`];
    const collector = observe(
      ownRuntime,
      "collector/main.ts",
      [
        "collect",
        "--once",
        vectorFile(),
        "--config",
        config,
        ...flags,
        "--logs-protocol=http/json",
      ],
      {
        env: {
          OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:1/never",
          OTEL_EXPORTER_OTLP_LOGS_HEADERS: "tenant=never",
        },
      },
    );
    try {
      assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
      assert.deepEqual(seenBy(http), ["/exactly application/x-protobuf traces"]);
      assert.deepEqual(seenBy(other), ["/base/v1/logs application/json all"]);
      const { traces, metrics, logs } = grpc.requests;
      assert.deepEqual([traces.length, metrics.length, logs.length], [0, 1, 0]);
      assert.deepEqual(grpc.calls[0].metadata.get("tenant"), ["all"]);
      assert.match(collector.text(), /14 delivered(.|\n)*8 delivered(.|\n)*7 delivered/);
    } finally {
      grpc.stop();
    }
  });

  it("go to one endpoint of their own while the others go to each of several", async () => {
    const backends = await Promise.all([1, 2, 3].map(() => startHttpBackend()));
    const [first, second, own] = backends;
    const endpoints = [first, second].map(({ port }) => `--endpoint=http://127.0.0.1:${port}`);
    const collector = startCollector([
      ...["--once", vectorFile(), ...endpoints, `--spool=${join(root, "spool")}`],
      `--logs-endpoint=http://127.0.0.1:${own.port}/logs`,
    ]);
    assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
    const type = "application/x-protobuf undefined";
    const both = [`/v1/metrics ${type}`, `/v1/traces ${type}`];
    assert.deepEqual(backends.map((backend) => seenBy(backend).sort()), [
      both,
      both,
      [`/logs ${type}`],
    ]);
  });

  it("go elsewhere when the file says so after SIGHUP", async () => {
    const [before, next] = [await startHttpBackend(), await startHttpBackend()];
    const config = join(root, "reload.yaml");
    const write = (more: string): void =>
      writeFileSync(
        config,
        `collect: {endpoint: "http://127.0.0.1:${before.port}", flush_interval: 20ms, ` +
          `spool: "${join(root, "reload")}"${more}}\n`,
      );
    write("");
    const directory = mkdtempSync(join(root, "files-"));
    const writer = Writer.create(join(directory, "a.otlp"));
    const scope = writer.scope({ name: "signals" });
    const collector = startCollector([directory, "--config", config]);
    try {
      scope.startSpan("one").end();
      await until("the first", () => before.seen.length === 1);
      write(
        `, traces_endpoint: "http://127.0.0.1:${next.port}/x", traces_header: [tenant=t], ` +
          "traces_protocol: http/json",
      );
      process.kill(collector.child.pid!, "SIGHUP");
      await collector.wrote(/the configuration was read again/);
      scope.startSpan("two").end();
      await until("the second", () => next.seen.length === 1);
      writer.close();
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.deepEqual(seenBy(before), ["/v1/traces application/x-protobuf undefined"]);
      assert.deepEqual(seenBy(next), ["/x application/json t"]);
    } finally {
      await collector.stop("SIGKILL");
    }
  });
});
