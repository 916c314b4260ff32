import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import { ArgumentsExit } from "./arguments.ts";
import type { Destination } from "./destinations.ts";
import { addCollect, type CollectOptions, DEFAULT_BATCH_SIZE } from "./options.ts";
import { parseWith } from "../program.ts";
import { forEachSignal, PATHS, SIGNALS } from "../pipeline/signals.ts";
import { CERTIFICATE, KEY, OTHER_CERTIFICATE } from "../testing/tls-fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-options-"));
after(() => rmSync(directory, { recursive: true }));

function parse(args: string[], env: Record<string, string>): CollectOptions {
  let options: CollectOptions | undefined;
  parseWith(args, (program) =>
    addCollect(program, env, (chosen) => {
      options = chosen;
    }));
  return options!;
}

function collect(args: string[], env: Record<string, string> = {}): CollectOptions {
  return parse(["collect", ...args], env);
}

function exit(args: string[], env: Record<string, string> = {}): ArgumentsExit {
  try {
    parse(args, env);
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    return error;
  }
  return assert.fail(`accepted: ${args.join(" ")}`);
}

/** Where a signal goes. */
function destination(
  signal: Signal,
  args: string[],
  env: Record<string, string> = {},
): Destination {
  const found = collect(args, env).destinations?.[signal][0];
  assert.ok(found, `nowhere: ${signal}`);
  return found;
}

const E = "OTEL_EXPORTER_OTLP";
const AGGREGATION = {
  temporality: "definition",
  histograms: "definition",
  exemplars: "trace_based",
  cardinalityLimit: 2000,
  maxSeries: 1_000_000,
  maxRequestBytes: 3 << 20,
  views: [],
};

describe("collect", () => {
  it("has defaults", () => {
    assert.deepEqual(collect([], { XDG_STATE_HOME: "/state" }), {
      paths: [],
      hasConfig: false,
      destinations: null,
      batchSize: DEFAULT_BATCH_SIZE,
      flushIntervalMs: 200,
      metricsIntervalMs: 10_000,
      aggregation: AGGREGATION,
      processors: [],
      tailSampling: null,
      once: false,
      keep: false,
      otherUsers: false,
      print: false,
      giveUpAfterMs: Infinity,
      log: { level: "info", format: "text" },
      health: null,
      prometheus: null,
      selfMetrics: false,
      receiver: null,
      store: {
        path: "/state/otlp-mmap/store.db",
        maxBytes: 2 ** 30,
        maxAgeMs: 7 * 86_400_000,
      },
      page: { address: { host: "127.0.0.1", port: 4319 }, source: "--ui-port" },
      spool: null,
      warnings: [],
    });
  });

  it("receives where it is told to", () => {
    const { receiver } = collect([
      "--otlp-receiver",
      "--otlp-http-port",
      "0",
      "--otlp-grpc-port=14317",
      "--otlp-allow-origin=https://Shop.example:443/",
      "--otlp-allow-origin=*",
    ]);
    assert.deepEqual(receiver, {
      host: "127.0.0.1",
      httpPort: 0,
      grpcPort: 14317,
      origins: ["https://shop.example", "*"],
      sources: { http: "--otlp-http-port", grpc: "--otlp-grpc-port" },
    });
    const everywhere = collect(["--otlp-receiver", "0.0.0.0", "dir"]);
    assert.deepEqual([everywhere.receiver?.host, everywhere.paths], ["0.0.0.0", ["dir"]]);
    assert.deepEqual([everywhere.receiver?.httpPort, everywhere.receiver?.grpcPort], [4318, 4317]);
  });

  it("stores and serves the page where nothing else is asked for", () => {
    const env = { XDG_STATE_HOME: "/state" };
    const said = (args: string[]) => {
      const { page, print, store } = collect(args, env);
      return [store?.path ?? null, page && `${page.address.host}:${page.address.port}`, print];
    };
    const path = "/state/otlp-mmap/store.db";
    const send = ["--endpoint", "http://h"];
    assert.deepEqual(said([]), [path, "127.0.0.1:4319", false]);
    assert.deepEqual(said(["--ui-port", "0"]), [path, "127.0.0.1:0", false]);
    assert.deepEqual(said(send), [null, null, false]);
    assert.deepEqual(said([...send, "--ui"]), [path, "127.0.0.1:4319", false]);
    assert.deepEqual(said([...send, "--ui", "[::1]", "--ui-port", "80"]), [path, "::1:80", false]);
    assert.deepEqual(said(["--store", "/a.db"]), ["/a.db", null, false]);
    assert.deepEqual(said(["--store", "/a.db", "--ui"]), ["/a.db", "127.0.0.1:4319", false]);
    assert.deepEqual(said(["--once"]), [null, null, true]);
    assert.deepEqual(said(["--once", "--store", "/a.db"]), ["/a.db", null, false]);
    assert.deepEqual(said(["--print"]), [null, null, true]);
    assert.deepEqual(said(["--print", "--ui"]), [path, "127.0.0.1:4319", true]);
    assert.deepEqual(said([...send, "--print"]), [null, null, true]);
    assert.match(exit(["collect", "--ui", "--once"]).message, /--ui and --once exclude each other/);
    assert.match(exit(["collect", "--ui", "app.otlp"]).message, /It is no address such as/);
    assert.match(exit(["collect", "--ui-port", "65536"]).message, /It is no port from 0 to 65535/);
  });

  it("takes every flag", () => {
    const options = collect([
      "a.otlp",
      "--endpoint=http://h:4318",
      "dir",
      "--protocol",
      "http/json",
      "--header",
      "A=1=2",
      "--header",
      "b=%20",
      "--compression",
      "gzip",
      "--timeout",
      "500ms",
      "--batch-size",
      "17",
      "--flush-interval",
      "1s",
      "--metrics-interval",
      "1m",
      "--once",
      "--print",
      "--keep",
      "--other-users",
      "--log-level",
      "WARN",
      "--log-format",
      "json",
      "--health",
      "0.0.0.0:13133",
      "--self-metrics",
      "--prometheus",
      "[::1]:9464",
      "--spool",
      "/var/spool",
      "--spool-max-size",
      "1.5 MB",
      "--spool-max-age",
      "90m",
      "--store=/tmp/kept.db",
      "--store-max-size",
      "1.5GiB",
      "--store-max-age",
      "12h",
    ]);
    assert.deepEqual(options, {
      paths: ["a.otlp", "dir"],
      hasConfig: false,
      destinations: forEachSignal((signal) => [{
        url: `http://h:4318/${PATHS[signal]}`,
        protocol: "http/json",
        headers: [
          { name: "A", value: "1=2", source: "--header" },
          { name: "b", value: "%20", source: "--header" },
        ],
        compression: "gzip",
        timeoutMs: 500,
        tls: {},
      }]),
      batchSize: 17,
      flushIntervalMs: 1000,
      metricsIntervalMs: 60_000,
      aggregation: AGGREGATION,
      processors: [],
      tailSampling: null,
      once: true,
      keep: true,
      otherUsers: true,
      print: true,
      giveUpAfterMs: 60_000,
      log: { level: "warn", format: "json" },
      health: { address: { host: "0.0.0.0", port: 13133 }, source: "--health" },
      prometheus: { address: { host: "::1", port: 9464 }, source: "--prometheus" },
      selfMetrics: true,
      receiver: null,
      store: { path: "/tmp/kept.db", maxBytes: 1.5 * 2 ** 30, maxAgeMs: 43_200_000 },
      page: null,
      spool: { folder: "/var/spool", maxBytes: 1_500_000, maxAgeMs: 5_400_000 },
      warnings: ["--metrics-interval has no effect: with --once metrics are sent at the end"],
    });
  });

  it("has a spool where something is sent, with --once only where it is named", () => {
    const folderOf = (args: string[], env: Record<string, string> = {}): unknown =>
      collect(["--endpoint", "http://h:1", ...args], env).spool?.folder;
    assert.equal(folderOf([]), null);
    assert.equal(folderOf(["--no-spool"]), undefined);
    assert.equal(folderOf(["--once"]), undefined);
    assert.equal(folderOf(["--once", "--spool", "/a"]), "/a");
    assert.equal(folderOf([], { OTLP_MMAP_SPOOL: "/b" }), "/b");
    assert.equal(folderOf([], { OTLP_MMAP_SPOOL: "none" }), undefined);
    assert.equal(folderOf(["--spool", "/a"], { OTLP_MMAP_SPOOL: "none" }), "/a");
    assert.equal(collect(["--spool", "/a"]).spool, null);
  });

  it("takes 0 for no limit of time, and long ones", () => {
    const cases: [string, number][] = [
      ["0", 2 ** 31 - 1],
      ["0s", 2 ** 31 - 1],
      ["7200000", 7_200_000],
      ["2147483647", 2 ** 31 - 1],
    ];
    for (const [text, ms] of cases) {
      const flags = ["--endpoint", "http://h:1"];
      const env = { [`${E}_TIMEOUT`]: text };
      assert.equal(destination("traces", flags, env).timeoutMs, ms, text);
      assert.equal(destination("logs", [...flags, "--timeout", text]).timeoutMs, ms, text);
    }
  });

  it("takes a flag before a variable, and a variable for a signal before one for all of them", () => {
    const all = {
      [`${E}_ENDPOINT`]: "http://all:1/base",
      [`${E}_COMPRESSION`]: "gzip",
      [`${E}_TIMEOUT`]: "2000",
      [`${E}_PROTOCOL`]: "http/protobuf",
    };
    for (const signal of SIGNALS) {
      const one = destination(signal, [], all);
      assert.equal(one.url, `http://all:1/base/${PATHS[signal]}`);
      assert.equal(one.compression, "gzip");
      assert.equal(one.timeoutMs, 2000);
      const some = {
        ...all,
        [`${E}_${signal.toUpperCase()}_ENDPOINT`]: "http://one:1/exactly",
        [`${E}_${signal.toUpperCase()}_COMPRESSION`]: "none",
        [`${E}_${signal.toUpperCase()}_TIMEOUT`]: "3000",
      };
      const two = destination(signal, [], some);
      assert.equal(two.url, "http://one:1/exactly");
      assert.equal(two.compression, "none");
      assert.equal(two.timeoutMs, 3000);
      for (const other of SIGNALS) {
        if (other === signal) continue;
        assert.deepEqual(destination(other, [], some), destination(other, [], all));
      }
      const flags = ["--endpoint", "http://flag:1", "--compression", "gzip", "--timeout", "4s"];
      const three = destination(signal, flags, some);
      assert.equal(three.url, `http://flag:1/${PATHS[signal]}`);
      assert.equal(three.compression, "gzip");
      assert.equal(three.timeoutMs, 4000);
    }
  });

  it("sends what an endpoint is named for", () => {
    const env = { [`${E}_LOGS_ENDPOINT`]: "http://logs" };
    const { destinations } = collect([], env);
    assert.deepEqual(destinations?.logs.map(({ url }) => url), ["http://logs/"]);
    assert.deepEqual([destinations?.traces, destinations?.metrics], [[], []]);
  });

  it("sends everything to each of several endpoints", () => {
    const args = ["--endpoint", "http://a", "--endpoint", "https://b/base", "--header", "h=1"];
    const { destinations } = collect(args, { [`${E}_LOGS_ENDPOINT`]: "http://logs" });
    for (const signal of SIGNALS) {
      const urls = destinations?.[signal].map(({ url }) => url);
      assert.deepEqual(urls, [`http://a/${PATHS[signal]}`, `https://b/base/${PATHS[signal]}`]);
      assert.ok(destinations?.[signal].every(({ headers }) => headers.length === 1));
    }
    const grpc = collect("--protocol grpc --insecure --endpoint a --endpoint b:1".split(" "));
    const urls = grpc.destinations?.logs.map(({ url }) => url);
    assert.deepEqual(urls, ["http://a:4317/", "http://b:1/"]);
  });

  it("takes flags for one signal instead of those for all, and before any variable", () => {
    const all = "--endpoint http://a --endpoint http://b --protocol http/json --header h=all";
    const own =
      "--logs-endpoint http://logs/x --logs-endpoint h:1 --logs-protocol grpc --insecure " +
      "--logs-header H=logs --logs-header more=1";
    const env = {
      [`${E}_LOGS_ENDPOINT`]: "http://env",
      [`${E}_LOGS_PROTOCOL`]: "http/protobuf",
      [`${E}_LOGS_HEADERS`]: "h=env,rest=env",
      [`${E}_METRICS_ENDPOINT`]: "http://env",
    };
    const said = (text: string): string[][] => {
      const { destinations } = collect(text.split(" "), env);
      return SIGNALS.map((signal) =>
        destinations![signal].map(({ url, protocol, headers }) =>
          [protocol, url, ...headers.map(({ name, value }) => `${name}=${value}`)].join(" ")
        )
      );
    };
    const everywhere = SIGNALS.map((signal) =>
      ["a", "b"].map((host) => `http/json http://${host}/${PATHS[signal]} h=all`)
    );
    assert.deepEqual(said(all).slice(0, 2), everywhere.slice(0, 2));
    assert.deepEqual(said(all)[2], [
      "http/json http://a/v1/logs h=all rest=env",
      "http/json http://b/v1/logs h=all rest=env",
    ]);
    assert.match(
      exit(["collect", ...`${all} ${own}`.split(" ")], env).message,
      /^--logs-endpoint "http:\/\/logs\/x" is invalid.* has a path, and gRPC endpoints have none\.$/,
    );
    assert.deepEqual(said(`${all} ${own}`.replace("/x", "")), [
      ...everywhere.slice(0, 2),
      ["grpc http://logs:4317/ H=logs rest=env more=1", "grpc http://h:1/ H=logs rest=env more=1"],
    ]);
    // Those for all need not be there.
    assert.deepEqual(said("--traces-endpoint http://t/exactly"), [
      ["http/protobuf http://t/exactly"],
      ["http/protobuf http://env/"],
      ["http/protobuf http://env/ h=env rest=env"],
    ]);
    assert.match(
      exit(["collect", "--traces-endpoint=http://h", "--traces-endpoint=http://h/"]).message,
      /^--traces-endpoint is given twice for http:\/\/h\/$/,
    );
    assert.match(
      exit(["collect", "--bearer-token-file=/none", "--logs-header=Authorization=hunter2"]).message,
      /^--bearer-token-file and --logs-header authorization=… exclude each other: give one of them$/,
    );
    assert.match(
      exit(["collect", "--metrics-endpoint=http://h", "--metrics-header=hunter2"]).message,
      /^--metrics-header is invalid\. It is not NAME=VALUE\.$/,
    );
  });

  it("merges headers by name whatever its case", () => {
    const args = ["--endpoint", "http://h", "--header", "C=flag"];
    const env = {
      [`${E}_HEADERS`]: "a=all,b=all%2C1,c=all",
      [`${E}_TRACES_HEADERS`]: "B=traces,c=traces",
    };
    assert.deepEqual(destination("traces", args, env).headers, [
      { name: "a", value: "all", source: `${E}_HEADERS` },
      { name: "B", value: "traces", source: `${E}_TRACES_HEADERS` },
      { name: "C", value: "flag", source: "--header" },
    ]);
    assert.deepEqual(destination("logs", args, env).headers, [
      { name: "a", value: "all", source: `${E}_HEADERS` },
      { name: "b", value: "all,1", source: `${E}_HEADERS` },
      { name: "C", value: "flag", source: "--header" },
    ]);
  });

  it("takes certificates for https only, and looks at them at once", () => {
    const [ca, cert, key] = ["ca", "cert", "key"].map((name) => join(directory, `${name}.pem`));
    writeFileSync(ca, OTHER_CERTIFICATE);
    writeFileSync(cert, CERTIFICATE);
    writeFileSync(key, KEY);
    const env = { [`${E}_CERTIFICATE`]: ca };
    const files = { ca, cert: undefined, key: undefined };
    assert.deepEqual(destination("metrics", ["--endpoint", "https://h"], env).tls, files);
    const bad = { [`${E}_CERTIFICATE`]: "/none" };
    assert.deepEqual(destination("metrics", ["--endpoint", "http://h"], bad).tls, {});
    const flags = ["--ca-file", ca, "--client-cert-file", cert, "--client-key-file", key];
    const all = destination("logs", ["--endpoint", "https://h", ...flags], bad);
    assert.deepEqual(all.tls, { ca, cert, key });
    const https = ["collect", "--endpoint", "https://h"];
    assert.match(
      exit(https, bad).message,
      /^OTEL_EXPORTER_OTLP_CERTIFICATE names a file.*ENOENT.*\/none/,
    );
    assert.match(
      exit(https, { [`${E}_LOGS_CLIENT_KEY`]: key }).message,
      /^OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY is not enough: .* for logs only the key is set; give --client-cert-file /,
    );
    const wrong: [args: string[], says: RegExp][] = [
      [["--ca-file", key], /key\.pem holds no certificate in PEM form/],
      [["--client-cert-file", cert, "--client-key-file", ca], /ca\.pem holds no private key/],
      [["--client-cert-file", ca, "--client-key-file", key], /does not belong to the certificate/],
    ];
    for (const [args, says] of wrong) assert.match(exit([...https, ...args]).message, says);
  });

  it("takes a protocol for each signal, and the form of an endpoint that goes with it", () => {
    const env = {
      [`${E}_ENDPOINT`]: "http://all:1",
      [`${E}_PROTOCOL`]: "http/json",
      [`${E}_LOGS_PROTOCOL`]: "gRPC",
      [`${E}_METRICS_ENDPOINT`]: "metrics:2",
      [`${E}_METRICS_PROTOCOL`]: "grpc",
    };
    const places = (args: string[], more: Record<string, string> = {}): string[] =>
      SIGNALS.map((signal) => {
        const { url, protocol } = destination(signal, args, { ...env, ...more });
        return `${protocol} ${url}`;
      });
    const traces = "http/json http://all:1/v1/traces";
    assert.deepEqual(places([]), [traces, "grpc https://metrics:2/", "grpc http://all:1/"]);
    const insecure = [traces, "grpc http://metrics:2/", "grpc http://all:1/"];
    assert.deepEqual(places(["--insecure"]), insecure);
    assert.deepEqual(places([], { [`${E}_INSECURE`]: "TRUE" }), insecure);
    const own = { [`${E}_INSECURE`]: "true", [`${E}_METRICS_INSECURE`]: "false" };
    assert.deepEqual(places([], own), places([]));
    const flags = ["--protocol", "grpc", "--endpoint", "h"];
    assert.deepEqual(places(flags), Array(3).fill("grpc https://h:4317/"));
  });

  it("goes through the proxy of the environment", () => {
    const env = { HTTPS_PROXY: "http://p:3128", NO_PROXY: "near.example" };
    const through = (url: string) => destination("logs", ["--endpoint", url], env).proxy?.url;
    assert.equal(through("https://far.example"), "http://p:3128");
    assert.equal(through("https://near.example"), undefined);
    assert.equal(through("http://far.example"), undefined);
    const bad = exit(["collect", "--endpoint", "https://h"], { ALL_PROXY: "socks5://u:hunter2@h" });
    assert.equal(bad.exitCode, 2);
    assert.match(bad.message, /^ALL_PROXY .*http:\/\/.*NO_PROXY/);
    assert.doesNotMatch(bad.message, /hunter2/);
  });

  it("says how to aggregate", () => {
    const env = {
      [`${E}_METRICS_TEMPORALITY_PREFERENCE`]: "LowMemory",
      [`${E}_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`]: "base2_exponential_bucket_histogram",
      OTEL_METRICS_EXEMPLAR_FILTER: "always_off",
    };
    assert.deepEqual(collect([], env).aggregation, {
      ...AGGREGATION,
      temporality: "lowmemory",
      histograms: "exponential",
      exemplars: "always_off",
    });
  });

  it("ignores bad variables about sending when it prints", () => {
    const env = { [`${E}_PROTOCOL`]: "grpc", [`${E}_TIMEOUT`]: "x", [`${E}_HEADERS`]: "x" };
    assert.equal(collect([], env).destinations, null);
  });

  it("ignores bad variables that flags win over, and of gRPC where there is none", () => {
    const env = {
      [`${E}_PROTOCOL`]: "http",
      [`${E}_COMPRESSION`]: "zstd",
      [`${E}_TIMEOUT`]: "x",
      [`${E}_INSECURE`]: "1",
    };
    const flags = ["--protocol", "http/json", "--compression", "gzip", "--timeout", "3s"];
    const { protocol, compression, timeoutMs } = destination(
      "logs",
      [...flags, "--endpoint", "http://h"],
      env,
    );
    assert.deepEqual([protocol, compression, timeoutMs], ["http/json", "gzip", 3000]);
  });
});

describe("bad arguments", () => {
  const bad: [args: string[], env: Record<string, string>, says: RegExp][] = [
    [
      ["--endpoint", "http://u:p@h/", "--endpoint", "http://u:p@h:80/v1/logs"],
      {},
      /^--endpoint is given twice for http:\/\/h\/v1\/traces$/,
    ],
    [["--endpoint", "localhost:4318"], {}, /--endpoint.*write http:\/\/localhost:4318, or https/],
    [["--endpoint", "a:b@h:4318"], {}, /--endpoint.*starts with http:\/\/ or https:\/\/\.$/],
    [["--protocol", "http"], {}, /--protocol.*grpc, http\/protobuf or http\/json/],
    [["--protocol", "grpc", "--endpoint", "http://h/x"], {}, /--endpoint.*has a path/],
    [["--protocol", "grpc", "--endpoint", "h:x"], {}, /--endpoint.*neither HOST:PORT nor a URL/],
    [["--protocol", "grpc", "--endpoint", "h", "--header", "grpc-x=1"], {}, /gRPC itself sets/],
    [["--compression", "zstd"], {}, /--compression.*gzip or none/],
    [["--log-level", "trace"], {}, /--log-level.*trace.*debug, info, warn or error/],
    [["--health", "1:2:3"], {}, /--health.*1:2:3.*HOST:PORT/],
    [[], { OTLP_MMAP_HEALTH: "65536" }, /OTLP_MMAP_HEALTH.*65536.*from 0 to 65535/],
    [["--prometheus", "localhost"], {}, /--prometheus.*localhost.*HOST:PORT/],
    [["--spool-max-size", "5KB"], {}, /--spool-max-size.*5KB.*from 1MiB/],
    [["--spool-max-size", "much"], {}, /--spool-max-size.*much.*no size such as 500MB/],
    [["--spool-max-age", "1ms"], {}, /--spool-max-age.*1ms.*from 1s/],
    [["--log-format", "xml"], {}, /--log-format.*xml.*text or json/],
    [["--timeout", "soon"], {}, /--timeout.*duration/],
    [["--timeout", "0.5ms"], {}, /--timeout.*from 1ms to 2147483647ms.*0 for no limit/],
    [["--timeout", "600h"], {}, /--timeout.*from 1ms/],
    [["--flush-interval", "0"], {}, /--flush-interval.*from 1ms/],
    [["--batch-size", "0"], {}, /--batch-size.*from 1 to/],
    [["--batch-size", "1.5"], {}, /--batch-size/],
    [["--flush-interval", "-1"], {}, /--flush-interval/],
    [["--metrics-interval", "0"], {}, /--metrics-interval.*from 1ms/],
    [
      ["--config", "/none.yaml"],
      {},
      /the configuration \/none\.yaml can't be read: there is no such file/,
    ],
    [["--nonsense"], {}, /unknown option '--nonsense'/],
    [["--endpoint"], {}, /argument missing/],
    [["--header", "Ho st=x"], {}, /not a valid header name/],
    [["--bearer-token-file", "/none"], {}, /--bearer-token-file "\/none": ENOENT/],
    [["--bearer-token-file", "/none", "--header", "Authorization=x"], {}, /exclude each other/],
    [["--header", "content-type=x"], {}, /set by otlp-mmap itself/],
    [[], { [`${E}_ENDPOINT`]: "h" }, new RegExp(`^${E}_ENDPOINT "h" is invalid`)],
    [[], { [`${E}_TRACES_ENDPOINT`]: "h" }, new RegExp(`^${E}_TRACES_ENDPOINT "h"`)],
    [["--endpoint", "http://h"], { [`${E}_PROTOCOL`]: "http" }, /_PROTOCOL "http".*http\/json/],
    [
      [],
      { [`${E}_LOGS_ENDPOINT`]: "h", [`${E}_PROTOCOL`]: "grpc", [`${E}_INSECURE`]: "1" },
      /_INSECURE "1".*true or false/,
    ],
    [["--endpoint", "http://h"], { [`${E}_COMPRESSION`]: "br" }, /_COMPRESSION "br"/],
    [["--endpoint", "http://h"], { [`${E}_TIMEOUT`]: "x" }, /_TIMEOUT "x"/],
    [["--endpoint", "http://h"], { [`${E}_LOGS_TIMEOUT`]: "x" }, /_LOGS_TIMEOUT "x"/],
    [
      [],
      { [`${E}_METRICS_TEMPORALITY_PREFERENCE`]: "both" },
      /_PREFERENCE "both".*cumulative, delta or lowmemory/,
    ],
    [[], { OTEL_METRICS_EXEMPLAR_FILTER: "x" }, /_FILTER "x".*always_on or always_off/],
  ];
  for (const [args, env, says] of bad) {
    it(`${args.join(" ")} ${Object.entries(env).join(" ")}`, () => {
      const { exitCode, message } = exit(["collect", ...args], env);
      assert.equal(exitCode, 2);
      assert.match(message, says);
      assert.equal(message.split("\n").length, 1, message);
    });
  }

  it("does not repeat secrets", () => {
    const flag = exit(["collect", "--header", "hunter2"]);
    assert.match(flag.message, /--header is invalid.*NAME=VALUE/);
    const variable = exit(["collect", "--endpoint", "http://h"], { [`${E}_HEADERS`]: "hunter2" });
    assert.match(variable.message, /_HEADERS is invalid.*entry 1/);
    const args = ["collect", "--endpoint", "h", "--protocol", "grpc"];
    const latin = exit(args, { [`${E}_HEADERS`]: "key=hunter2%C3%BC" });
    assert.match(latin.message, /_HEADERS is invalid\. Header "key": gRPC takes only printable/);
    const urls = ["http://u:hunter2@", "https://u:hunter2@h/x", "u:hunter2@h"].map((url) =>
      exit(["collect", "--endpoint", url, "--protocol", "grpc"])
    );
    urls.push(exit(["collect", "--endpoint", "grpc://u:hunter2@h"]));
    urls.push(exit(["collect", "--logs-endpoint", "https://u:hunter2/?#@h"]));
    for (const url of ["http://u:100%hunter2@h", "http://hunter2%C3:p@h"]) {
      urls.push(exit(["collect", "--endpoint", url]));
      assert.match(urls.at(-1)!.message, /user name or password .* write %25/);
    }
    const query = ["https://h:x/?key=hunter2", "h/?key=hunter2", "ftp://h?hunter2"].map((url) =>
      exit(["collect", "--logs-endpoint", url])
    );
    for (const { message } of query) assert.match(message, /--logs-endpoint ".*h.*\?…" is invalid/);
    // As curl has them.
    const curl = exit(["collect", "--logs-header", "authorization: Basic hunter2=="]);
    assert.match(curl.message, /Header "authorization…": its name is not a valid header name/);
    const list = { [`${E}_HEADERS`]: "authorization: Basic hunter2==" };
    const listed = exit(["collect", "--endpoint", "http://h"], list);
    assert.match(listed.message, /_HEADERS is invalid\. Header "authorization…": its name/);
    for (const { message } of urls) assert.match(message, /-endpoint ".*…@h?.*" is invalid/);
    for (const { message } of [flag, variable, latin, curl, listed, ...urls, ...query]) {
      assert.doesNotMatch(message, /hunter2/);
    }
  });
});

describe("help", () => {
  it("names every flag, variable and exit code", () => {
    const { exitCode, message } = exit(["collect", "--help"]);
    assert.equal(exitCode, 0);
    const words = [
      ..."--endpoint --protocol --insecure --header --bearer-token-file --compression --timeout"
        .split(" "),
      ...SIGNALS.flatMap((signal) =>
        ["endpoint", "protocol", "header"].map((name) => `--${signal}-${name} `)
      ),
      ..."--ca-file --client-cert-file --client-key-file --batch-size".split(" "),
      ..."--flush-interval --metrics-interval --config --once --keep --print --ui --ui-port --store --help OTLP_MMAP_DIR SDK_MMAP_EXPORTER_FILE"
        .split(" "),
      ..."ENDPOINT TRACES_ENDPOINT HEADERS COMPRESSION TIMEOUT PROTOCOL INSECURE CERTIFICATE".split(
        " ",
      )
        .map((name) => `${E}_${name}`),
      ...["TEMPORALITY_PREFERENCE", "DEFAULT_HISTOGRAM_AGGREGATION"]
        .map((name) => `${E}_METRICS_${name}`),
      ..."OTEL_METRICS_EXEMPLAR_FILTER HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split(" "),
      "Exit codes:",
      "Examples:",
    ];
    for (const expected of words) assert.ok(message.includes(expected), expected);
  });

  it("prints the version; without a command it is an error that shows the help", () => {
    assert.match(exit(["--version"]).message, /^\d+\.\d+\.\d+$/);
    assert.equal(exit(["--version"]).exitCode, 0);
    assert.equal(exit(["--help"]).exitCode, 0);
    const nothing = exit([]);
    assert.equal(nothing.exitCode, 2);
    assert.match(nothing.message, /Usage: otlp-mmap/);
    assert.equal(exit(["frobnicate"]).exitCode, 2);
  });
});
