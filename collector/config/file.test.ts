import { Ajv2020 } from "ajv/dist/2020.js";
import { Command } from "commander";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parse } from "yaml";
import type { Signal } from "../../lib/otlp/request.ts";
import { ArgumentsExit } from "../options/arguments.ts";
import {
  addCollect,
  addSending,
  type CollectOptions,
  readOptions,
  scratchCollect,
} from "../options/options.ts";
import { parseWith } from "../program.ts";
import { containerId, detectKubernetes } from "./resource.ts";
import { configurationSchema } from "./schema.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-config-"));
after(() => rmSync(root, { recursive: true }));
const path = join(root, "c.yaml");

/** What `collect --config` makes of a file, with these arguments and variables. */
function read(
  yaml: string,
  args: string[] = [],
  env: Record<string, string> = {},
): CollectOptions {
  writeFileSync(path, yaml);
  let options: CollectOptions | undefined;
  parseWith(
    ["collect", "--config", path, ...args],
    (program) =>
      addCollect(program, env, (chosen) => {
        options = chosen;
      }),
  );
  return options!;
}

function problemsOf(yaml: string): string[] {
  try {
    read(yaml);
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    assert.equal(error.exitCode, 2);
    return error.message.replaceAll(`${path}:`, "").split("\n");
  }
  return [];
}

const WHOLE = `
collect:
  paths: [/run/a, "/run/*.otlp"]
  endpoint: http://localhost:4318
  header: [tenant=one, zone=two]
  flush_interval: 500ms
  batch_size: 100
  timeout: 5000
  keep: true
  other_users: true
  log_level: warn
views:
  - selector: {instrument_name: "http.*"}
    stream: {attribute_keys: {included: [http.route]}}
processors:
  - drop:
      where: [{name: "GET /health*", kind: server}, {signals: [logs], severity_below: info}]
  - redact: {attributes: ["*.password"], by: "***"}
  - set: {where: {service: shop}, attributes: {tier: 1, canary: false}}
tail_sampling:
  decision_wait: 5s
  keep_errors: true
  keep_probability: 0.25
resource:
  detect: [host, container, kubernetes]
  attributes: {deployment.environment.name: production}
`;

describe("a configuration file", () => {
  it("says everything the flags say, and more", () => {
    const options = read(WHOLE);
    assert.deepEqual(options.paths, ["/run/a", "/run/*.otlp"]);
    const traces = options.destinations!.traces[0];
    assert.equal(traces.url, "http://localhost:4318/v1/traces");
    assert.deepEqual(traces.headers.map(({ name, value }) => `${name}=${value}`), [
      "tenant=one",
      "zone=two",
    ]);
    assert.equal(traces.timeoutMs, 5000);
    assert.deepEqual(
      [options.flushIntervalMs, options.batchSize, options.log.level],
      [500, 100, "warn"],
    );
    assert.deepEqual([options.keep, options.otherUsers], [true, true]);
    assert.equal(options.aggregation.views.length, 1);
    const kinds = options.processors.map(({ action }) => action.kind);
    assert.deepEqual(kinds, ["drop", "redact", "set", "complete"]);
    const { action } = options.processors[3];
    assert.ok(action.kind === "complete");
    assert.equal(action.values.get("host.name"), hostname());
    assert.equal(action.values.get("deployment.environment.name"), "production");
    assert.equal(options.tailSampling?.decisionWaitMs, 5_000);
  });

  it("comes after arguments, and before variables", () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://env:1",
      OTEL_EXPORTER_OTLP_TIMEOUT: "7000",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    };
    const options = read(
      WHOLE,
      ["/run/b", "--endpoint", "http://flag:2", "--batch-size", "7"],
      env,
    );
    const { url, timeoutMs, compression } = options.destinations!.traces[0];
    assert.deepEqual([url, timeoutMs, compression], ["http://flag:2/v1/traces", 5000, "gzip"]);
    assert.deepEqual([options.paths, options.batchSize], [["/run/b"], 7]);
    assert.equal(read(WHOLE, [], env).destinations!.logs[0].url, "http://localhost:4318/v1/logs");
  });

  it("may be shared with a command that has fewer options, and is as strict there", () => {
    const readBySome = (yaml: string): CollectOptions => {
      writeFileSync(path, yaml);
      const command = addSending(new Command("run")).parse(["--config", path], { from: "user" });
      return readOptions([], command, {}, scratchCollect({}));
    };
    const shared = WHOLE.replace(
      "  batch_size: 100",
      "  batch_size: 7\n  spool: /s\n  once: true\n  otlp_receiver: true\n  ui_port: 80\n" +
        "  otlp_http_port: 1\n  no_spool: false\n",
    );
    const { batchSize, destinations, once, keep, processors, receiver, warnings } = readBySome(
      shared,
    );
    assert.equal(destinations!.logs[0].url, "http://localhost:4318/v1/logs");
    assert.deepEqual([batchSize, once, keep, receiver], [7, false, false, null]);
    assert.deepEqual([processors.length, warnings], [4, []]);
    const refusals: [yaml: string, what: RegExp][] = [
      ["collect: {spol: /s}", /spol: no such field \(Did you mean spool\?\)/],
      ["collect: {ui_port: 70000}", /c\.yaml:1:20: collect\.ui_port "70000" is invalid/],
      ["collect: {keep: maybe}", /c\.yaml:1:17: collect\.keep: must be true or false/],
    ];
    for (const [yaml, what] of refusals) assert.throws(() => readBySome(yaml), what);
  });

  it("says of one signal what flags say of it; a flag for all of them wins over it", () => {
    const yaml = `
collect:
  endpoint: [http://a, http://b]
  header: h=all
  logs_endpoint: http://logs/exactly
  logs_protocol: http/json
  logs_header: [H=logs, x=1]
`;
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://env" };
    const said = (signal: Signal, ...args: string[]): string[] =>
      read(yaml, args, env).destinations![signal].map(({ protocol, url, headers }) =>
        [protocol, url, ...headers.map(({ name, value }) => `${name}=${value}`)].join(" ")
      );
    const [a, b] = ["http://a", "http://b"].map((url) => `http/protobuf ${url}/v1/traces h=all`);
    assert.deepEqual(said("traces"), [a, b]);
    assert.deepEqual(said("logs"), ["http/json http://logs/exactly H=logs x=1"]);
    assert.deepEqual(
      said("logs", "--endpoint=http://flag", "--header=h=flag", "--protocol=http/protobuf"),
      ["http/protobuf http://flag/v1/logs h=flag x=1"],
    );
    assert.deepEqual(
      said("logs", "--endpoint=http://flag", "--logs-endpoint=http://own", "--logs-header=x=2"),
      ["http/json http://own/ h=all x=2"],
    );
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(configurationSchema());
    assert.ok(validate(parse(yaml)), JSON.stringify(validate.errors));
  });

  it("is named where a header in it is bad", () => {
    const endpoint = "endpoint: http://h, logs_protocol: grpc, logs_endpoint: 'http://h'";
    assert.deepEqual(problemsOf(`collect: {header: [a=1, hunter2]}`), [
      "1:25: collect.header[1] is invalid. It is not NAME=VALUE.",
    ]);
    assert.deepEqual(problemsOf(`collect:\n  ${"traces_header: [Ho st=hunter2]"}`), [
      '2:19: collect.traces_header[0] is invalid. Header "Ho…": its name is not a valid header name.',
    ]);
    assert.deepEqual(problemsOf(`collect: {${endpoint},\n  header: [a=1, grpc-x=hunter2]}`), [
      '2:17: collect.header[1] is invalid. Header "grpc-x": gRPC itself sets this header.',
    ]);
    assert.deepEqual(
      problemsOf("collect:\n  bearer_token_file: /none\n  header: authorization=hunter2"),
      [
        "2:22: collect.bearer_token_file and 3:11: collect.header authorization=… exclude each other: " +
        "give one of them",
      ],
    );
    const { headers } =
      read("collect: {endpoint: http://h, header: [a=1, b=2]}", ["--logs-header=c=3"])
        .destinations!.logs[0];
    assert.deepEqual(headers.map(({ source }) => source), [
      `${path}: collect.header[0]`,
      `${path}: collect.header[1]`,
      "--logs-header",
    ]);
  });

  it("is named where a file in it can't be used, or options in it exclude each other", () => {
    const https = "endpoint: https://h";
    assert.deepEqual(problemsOf(`collect:\n  ${https}\n  client_key_file: /none\n`), [
      "3:20: collect.client_key_file is not enough: certificate and key go together, and for traces " +
      "only the key is set; give --client-cert-file or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too",
    ]);
    assert.match(
      problemsOf(`collect:\n  ${https}\n  ca_file: /none\n`)[0],
      /^3:12: collect\.ca_file names a file that can't be used: ENOENT.*\/none/,
    );
    assert.deepEqual(problemsOf("collect: {once: true, otlp_receiver: true}"), [
      "1:38: collect.otlp_receiver and 1:17: collect.once exclude each other: what comes, comes later",
    ]);
    assert.deepEqual(problemsOf("collect: {once: true, ui: true}"), [
      "1:27: collect.ui and 1:17: collect.once exclude each other: the page is served while files " +
      "are followed",
    ]);
  });

  it("may be empty, or an application's, of which the views count", () => {
    assert.deepEqual(read("").processors, []);
    const declarative = `file_format: "1.0"
resource: {attributes: [{name: service.name, value: shop}]}
meter_provider: {views: [{selector: {}, stream: {}}]}
processors: [{drop: {where: {name: a}}}]`;
    const { aggregation, processors } = read(declarative);
    assert.deepEqual([aggregation.views.length, processors.length], [1, 1]);
  });

  it("is refused with everything that is wrong, by line", () => {
    assert.deepEqual(
      problemsOf(`collect:
  batch_size: 0
  flush-interval: 1s
  keep: maybe
  timeout: [1s]
  header: [tenant]
processors: {}
resource: {detect: [moon]}
extra: 1
`).map((problem) => problem.slice(0, 300)),
      [
        "9:1: extra: no such field; there is collect, views, meter_provider, processors, " +
        "tail_sampling or resource",
        '2:15: collect.batch_size "0" is invalid. It is no whole number from 1 to 65536.',
        problemsOf("collect: {x: 1}")[0]
          .replace("1:14: collect.x", "3:19: collect.flush-interval")
          .replace("field;", "field (Did you mean flush_interval?);").slice(0, 300),
        '4:9: collect.keep: must be true or false, is "maybe"',
        "5:12: collect.timeout: must be one value, not a list",
        "7:13: processors: must be a list, is a mapping",
        '8:21: resource.detect[0]: "moon" is none of host, container or kubernetes',
      ],
    );
    assert.match(problemsOf("collect: {x: 1}")[0], /no such field; there is paths, endpoint, /);
    // What only shows when all is put together is told by its place as well.
    assert.deepEqual(problemsOf("collect: {header: [tenant]}"), [
      "1:20: collect.header[0] is invalid. It is not NAME=VALUE.",
    ]);
    assert.deepEqual(problemsOf("collect:\n  endpoint: localhost:4318"), [
      '2:13: collect.endpoint "localhost:4318" is invalid. "localhost:4318" is not a URL that ' +
      "starts with http:// or https://: write http://localhost:4318, or https:// with TLS.",
    ]);
    assert.match(problemsOf("a: [")[0], /not YAML/);
  });

  it("is told what it may have meant", () => {
    const said = (yaml: string): string => problemsOf(yaml)[0].replace(/; there is .*/, "");
    assert.equal(
      said("proccessors: []"),
      "1:1: proccessors: no such field (Did you mean processors?)",
    );
    assert.equal(
      said("collect: {logs_endpiont: http://h}"),
      "1:26: collect.logs_endpiont: no such field (Did you mean logs_endpoint?)",
    );
    assert.equal(
      said("collect: {logs_protocol: grcp}"),
      '1:26: collect.logs_protocol "grcp" is invalid. It is not grpc, http/protobuf or http/json. ' +
        "(Did you mean grpc?)",
    );
    assert.equal(
      said("resource: {detect: [hosts]}"),
      '1:21: resource.detect[0]: "hosts" is none of host, container or kubernetes (Did you mean host?)',
    );
    assert.equal(
      said("processors: [{drp: {}}]"),
      "1:15: processors[0].drp: no such field (Did you mean drop?)",
    );
  });

  it("may list origins, each of which is looked at", () => {
    const { receiver } = read(
      "collect: {otlp_receiver: true, otlp_allow_origin: [https://a.example, '*']}",
    );
    assert.deepEqual(receiver?.origins, ["https://a.example", "*"]);
    assert.deepEqual(problemsOf("collect: {otlp_allow_origin: [https://a.example, b]}"), [
      '1:50: collect.otlp_allow_origin[1] "b" is invalid. It is no origin such as ' +
      "https://shop.example, nor *.",
    ]);
  });

  it("may say that there is no spool, no store and no page", () => {
    const settings = (yaml: string, env = {}): unknown[] => {
      const { spool, store, page } = read(`collect: {endpoint: http://h, ${yaml}}`, [], env);
      return [spool?.folder, store !== null, page !== null];
    };
    assert.deepEqual(settings("keep: true"), [null, false, false]);
    assert.deepEqual(settings("spool: /a"), ["/a", false, false]);
    assert.deepEqual(settings("spool: true"), [null, false, false]);
    for (const none of ["spool: false", "no_spool: true"]) {
      assert.deepEqual(settings(none), [undefined, false, false], none);
    }
    assert.deepEqual(settings("no_spool: false"), [null, false, false]);
    for (const dir of ["spool: /a, no_spool: false", "no_spool: false, spool: /a"]) {
      assert.deepEqual(settings(dir), ["/a", false, false], dir);
    }
    // What the file says holds, whatever the variable does.
    const none = { OTLP_MMAP_SPOOL: "none" };
    assert.deepEqual(settings("keep: true", none), [undefined, false, false]);
    for (const some of ["spool: true", "no_spool: false"]) {
      assert.deepEqual(settings(some, none), [null, false, false], some);
    }
    assert.deepEqual(settings("spool: true", { OTLP_MMAP_SPOOL: "/b" }), ["/b", false, false]);
    assert.deepEqual(problemsOf('collect: {endpoint: http://h, spool: ""}'), [
      '1:38: collect.spool "" is invalid. It is empty, as of a variable in a script that is not set.',
    ]);
    assert.deepEqual(settings("store: true"), [null, true, false]);
    assert.deepEqual(settings("store: false, ui: false"), [null, false, false]);
    assert.deepEqual(problemsOf("collect: {store: false}"), [
      "1:18: collect.store is off, but the page shows what is in it: leave it out, name an endpoint, " +
      "or print",
    ]);
    assert.deepEqual(problemsOf("collect: {store: false, ui: false}"), [
      "1:18: collect.store is off, but nothing else is done with what comes: leave it out, name an " +
      "endpoint, or print",
    ]);
    const { store, print } = read("collect: {store: false, print: true}");
    assert.deepEqual([store, print], [null, true]);
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(configurationSchema());
    const all = "spool: false, no_spool: true, store: false, ui: false, otlp_receiver: true, " +
      "otlp_allow_origin: [https://a.example, '*']";
    assert.ok(validate(parse(`collect: {${all}}`)), JSON.stringify(validate.errors));
  });

  it("does not take an anchor that is not there for nothing", () => {
    assert.deepEqual(problemsOf("processors: *rules\n"), [
      "1:13: there is no anchor &rules before this",
    ]);
    const twice = "processors: [&one {redact: {attributes: [a]}}, *one]\n";
    assert.equal(read(twice).processors.length, 2);
  });

  it("has a schema that accepts what is right and refuses what is not", () => {
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(configurationSchema());
    assert.ok(validate(parse(WHOLE)), JSON.stringify(validate.errors));
    const wrong = [
      "extra: 1",
      "collect: {flush-interval: 1s}",
      "processors: [{drop: {}}]",
      "processors: [{shrink: {}}]",
      "processors: [{drop: {where: {kind: odd}}}]",
      "processors: [{drop: {where: {name: a}}, keep: {where: {name: a}}}]",
      "tail_sampling: {keep_probability: 2}",
      "tail_sampling: {decision_wait: 5d}",
      "collect: {flush_interval: soon}",
      "views: [{selector: {}}]",
      "views: [{selector: {}, stream: {aggregation: {sum: {a: 1}}}}]",
      "resource: {detect: [moon]}",
    ];
    for (const yaml of wrong) {
      assert.ok(!validate(parse(yaml)), yaml);
      // The program agrees.
      assert.notDeepEqual(problemsOf(yaml), [], yaml);
    }
  });
});

describe("durations in a configuration file", () => {
  it("are texts with a unit or plain numbers of milliseconds, wherever they are", () => {
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(configurationSchema());
    for (const text of ["1500", '"1500"', "1500ms", "1.5s"]) {
      const yaml = `collect: {flush_interval: ${text}}\n` +
        `processors: [{drop: {where: {min_duration: ${text}}}}]\n` +
        `tail_sampling: {decision_wait: ${text}, keep_slower_than: ${text}}\n`;
      assert.ok(validate(parse(yaml)), JSON.stringify(validate.errors));
      const { flushIntervalMs, tailSampling, processors } = read(yaml);
      assert.deepEqual(
        [flushIntervalMs, tailSampling?.decisionWaitMs, tailSampling?.policies.latency],
        [1500, 1500, 1_500_000_000n],
      );
      assert.equal(processors[0].where?.[0].minDuration, 1_500_000_000n);
    }
    const unlimited = "collect: {endpoint: http://h, timeout: 0}";
    assert.ok(validate(parse(unlimited)), JSON.stringify(validate.errors));
    assert.equal(read(unlimited).destinations!.traces[0].timeoutMs, 2 ** 31 - 1);
    const said = JSON.stringify(configurationSchema()).split("a plain number is milliseconds");
    // The flags that take one, and the four fields.
    assert.ok(said.length > 6, String(said.length));
  });
});

describe("where the collector runs", () => {
  const ID = "3f4c".repeat(16);

  it("is a container where its control group or mounts say so", () => {
    assert.equal(containerId(`0::/docker/${ID}\n`, ""), ID);
    assert.equal(containerId(`1:cpu:/kubepods/pod1/cri-containerd-${ID}.scope\n`, ""), ID);
    const mount = `711 602 254:1 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw - ext4`;
    assert.equal(containerId("0::/\n", `1 2 3 / / rw\n${mount}\n`), ID);
    assert.equal(containerId("0::/user.slice/session-1.scope\n", "1 2 3 / / rw\n"), undefined);
  });

  it("is Kubernetes where variables say so", () => {
    assert.deepEqual(
      detectKubernetes({ POD_NAME: "web-1", K8S_NAMESPACE: "shop", NODE_NAME: "" }),
      {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "web-1",
      },
    );
  });
});
