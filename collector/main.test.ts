/** The program as its users run it: arguments and variables in, lines and requests out. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { startSink } from "../tests/peers/sink.ts";
import { pointsOf } from "../tests/support/collect.ts";
import {
  logsReceivedBy,
  metricsReceivedBy,
  observe,
  receivedBy,
} from "../tests/support/collector.ts";
import { ownRuntime } from "../tests/support/runtimes.ts";
import { fromOtlpJson } from "./text/otlp-json.ts";
import { startGrpcBackend } from "./testing/grpc-backend.ts";
import { startProxy } from "./testing/proxy.ts";
import { listen } from "./testing/servers.ts";
import { CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY } from "./testing/tls-fixture.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-main-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
/** A file with 14 spans, 8 log records and 42 measurements (tests/vectors/README.md). */
function vectorFile(): string {
  const path = join(root, `${++count}.otlp`);
  const vector = new URL("../tests/vectors/upstream-python.otlp.gz", import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(vector)));
  return path;
}

/** Runs `collect --once` to its end. */
async function collect(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; lines: string[] }> {
  const collector = observe(
    ownRuntime,
    "collector/main.ts",
    ["collect", "--once", ...args],
    { env },
  );
  const { code } = await collector.ended;
  return { code, lines: collector.text().trimEnd().split("\n") };
}

describe("collect", () => {
  it("sends each signal to its path", async () => {
    const sink = await startSink();
    try {
      const { code, lines } = await collect([vectorFile(), "--endpoint", `${sink.url}/v1/traces`]);
      assert.equal(code, 0, lines.join("\n"));
      assert.equal(receivedBy(sink).length, 14);
      assert.equal(logsReceivedBy(sink).length, 8);
      assert.equal(metricsReceivedBy(sink).flatMap(({ metric }) => pointsOf(metric)).length, 7);
      assert.deepEqual(lines, [
        "otlp-mmap: 14 spans from 1 file (1 of them interrupted): 14 delivered, " +
        "0 refused by the backend, 0 dropped",
        "otlp-mmap: 8 log records: 8 delivered, 0 refused by the backend, 0 dropped",
        "otlp-mmap: 7 data points of 42 measurements: 7 delivered, 0 refused by the backend, " +
        "0 dropped",
        "otlp-mmap: records of the events rings: 8 claimed = 8 read + 0 torn + 0 unreadable",
        "otlp-mmap: records of the spans rings: 27 claimed = 27 read + 0 torn + 0 unreadable",
        "otlp-mmap: records of the measurements rings: 42 claimed = 42 read + 0 torn + 0 unreadable",
      ]);
    } finally {
      await sink.stop();
    }
  });

  it("sends over gRPC what the variables say, and JSON at the same time", async () => {
    const backend = await startGrpcBackend();
    const sink = await startSink();
    try {
      const { code, lines } = await collect([vectorFile()], {
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT: `127.0.0.1:${backend.port}`,
        OTEL_EXPORTER_OTLP_INSECURE: "true",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=hunter2",
        // What grpc-js traces has headers in it.
        GRPC_TRACE: "all",
        GRPC_VERBOSITY: "DEBUG",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${sink.url}/v1/logs`,
        OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http/json",
      });
      assert.equal(code, 0, lines.join("\n"));
      assert.equal(lines.length, 6, lines.join("\n"));
      for (const { metadata } of backend.calls) {
        assert.deepEqual(metadata.get("api-key"), ["hunter2"]);
      }
      const { traces, metrics, logs } = backend.requests;
      const received = { bodies: traces, metrics };
      assert.equal(receivedBy(received).length, 14);
      assert.equal(metricsReceivedBy(received).flatMap(({ metric }) => pointsOf(metric)).length, 7);
      assert.deepEqual(logs, []);
      const json = sink.logs.map((body) => fromOtlpJson("logs", new TextDecoder().decode(body)));
      assert.equal(logsReceivedBy({ logs: json }).length, 8);
    } finally {
      backend.stop();
      await sink.stop();
    }
  });

  it("goes on with what a backend takes, and says once what it does not", async () => {
    const sink = await startSink({ statuses: { logs: 404, metrics: 501 } });
    try {
      const file = vectorFile();
      const { code, lines } = await collect(
        [file, "--endpoint", sink.url, "--batch-size", "1"],
      );
      assert.equal(code, 1);
      assert.equal(receivedBy(sink).length, 14);
      const said = (what: string): number => lines.filter((line) => line.includes(what)).length;
      assert.equal(said("this backend takes no logs at /v1/logs"), 1, lines.join("\n"));
      assert.equal(said("this backend takes no metrics at /v1/metrics"), 1, lines.join("\n"));
      assert.equal(said("8 log records: 0 delivered, 8 refused by the backend, 0 dropped"), 1);
      // Nothing of it is kept for another time.
      assert.deepEqual(
        (await collect([file, "--endpoint", sink.url])).lines.slice(0, 3),
        [
          "otlp-mmap: 0 spans from 1 file: 0 delivered, 0 refused by the backend, 0 dropped",
          "otlp-mmap: 0 log records: 0 delivered, 0 refused by the backend, 0 dropped",
          "otlp-mmap: 0 data points of 0 measurements: 0 delivered, 0 refused by the backend, " +
          "0 dropped",
        ],
      );
    } finally {
      await sink.stop();
    }
  });

  it("sends each signal to an endpoint of its own, and none without one", async () => {
    const logs = await startSink();
    try {
      const { code, lines } = await collect([vectorFile()], {
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${logs.url}/v1/logs`,
      });
      assert.equal(code, 1);
      assert.equal(logsReceivedBy(logs).length, 8);
      assert.deepEqual([logs.bodies, logs.metrics], [[], []]);
      const warnings = lines.filter((line) => line.includes("there is no endpoint for"));
      assert.equal(warnings.length, 2, lines.join("\n"));
      assert.match(
        lines.join("\n"),
        /set --endpoint, --traces-endpoint or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT/,
      );
    } finally {
      await logs.stop();
    }
  });

  it("goes through a proxy, with token, certificates and key from files", async () => {
    const tokens: (string | undefined)[] = [];
    const asked = { cert: CERTIFICATE, key: KEY, ca: OTHER_CERTIFICATE, requestCert: true };
    const server = https.createServer(asked, (request, response) => {
      request.resume();
      request.on("end", () => {
        tokens.push(request.headers.authorization);
        response.end();
      });
    });
    const port = await listen(server);
    const proxy = await startProxy();
    const named = (name: string, text: string): string => {
      const path = join(root, name);
      writeFileSync(path, text);
      return path;
    };
    const flags = [
      ...["--endpoint", `https://localhost:${port}`, "--ca-file", named("ca.pem", CERTIFICATE)],
      ...["--client-cert-file", named("cert.pem", OTHER_CERTIFICATE)],
      ...["--client-key-file", named("key.pem", OTHER_KEY)],
      ...["--bearer-token-file", named("token", "hunter2\n")],
    ];
    const env = {
      HTTPS_PROXY: `http://user:hunter3@127.0.0.1:${proxy.port}`,
      // Deno asks for newer versions of itself through the proxy.
      DENO_NO_UPDATE_CHECK: "1",
    };
    const { code, lines } = await collect([vectorFile(), ...flags], env);
    assert.equal(code, 0, lines.join("\n"));
    assert.deepEqual(tokens, Array(3).fill("Bearer hunter2"));
    assert.deepEqual(
      proxy.seen.map(({ line }) => line),
      Array(3).fill(`CONNECT localhost:${port}`),
    );
    assert.match(lines[0], /: 14 delivered, /);
    assert.doesNotMatch(lines.join("\n"), /hunter/);

    const direct = await collect([vectorFile(), ...flags], { ...env, NO_PROXY: "localhost" });
    assert.equal(direct.code, 0, direct.lines.join("\n"));
    assert.equal(tokens.length, 6);
    assert.equal(proxy.seen.length, 3);
  });

  it("prints all signals without an endpoint", async () => {
    const { code, lines } = await collect([vectorFile()]);
    assert.equal(code, 0);
    const text = lines.join("\n");
    assert.match(text, /checkout "GET \/items\/3" server UNSET trace=0303/);
    assert.match(text, /2026-05-28T20:26:40.000000Z ERROR checkout boot n=-1/);
    assert.match(text, /checkout cpu\.time sum cumulative 70 s cpu=/);
    assert.match(text, /checkout latency histogram delta count=7 sum=42 .*ms route="\/items"/);
  });

  it("aggregates as variables and views say", async () => {
    const config = join(root, "views.yaml");
    writeFileSync(
      config,
      [
        "meter_provider:",
        "  views:",
        "    - selector: { instrument_name: requests }",
        '      stream: { name: all_requests, attribute_keys: { excluded: ["*"] } }',
        "    - selector: { instrument_name: size }",
        "      stream: { aggregation: { drop: {} } }",
      ].join("\n"),
    );
    const { code, lines } = await collect([vectorFile(), "--config", config], {
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "cumulative",
    });
    const text = lines.join("\n");
    assert.equal(code, 0, text);
    assert.match(text, /checkout all_requests sum cumulative 28 1$/m);
    assert.match(text, /checkout latency histogram cumulative count=7/);
    assert.doesNotMatch(text, / size /);
    assert.match(text, /of the measurements: 7 dropped by views$/m);
  });

  it("ends with 2 for a file of views that is bad, and says where", async () => {
    const config = join(root, "bad.yaml");
    writeFileSync(config, "views:\n  - selectr: {}\n");
    const { code, lines } = await collect([vectorFile(), "--config", config]);
    assert.equal(code, 2);
    assert.equal(lines.length, 3);
    for (const line of lines) assert.match(line, /bad\.yaml:2:\d+: views\[0\]/);
    assert.match(lines[0], /selectr: no such field/);
  });
});
