import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  ArgumentsExit,
  type CollectOptions,
  DEFAULT_BATCH_SIZE,
  parseArguments,
} from "./options.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-options-"));
after(() => rmSync(directory, { recursive: true }));

function collect(args: string[], env: Record<string, string> = {}): CollectOptions {
  return parseArguments(["collect", ...args], env);
}

function exit(args: string[], env: Record<string, string> = {}): ArgumentsExit {
  try {
    parseArguments(args, env);
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    return error;
  }
  return assert.fail(`accepted: ${args.join(" ")}`);
}

const E = "OTEL_EXPORTER_OTLP";

describe("collect", () => {
  it("has defaults", () => {
    assert.deepEqual(collect([]), {
      paths: [],
      headers: [],
      compression: "none",
      timeoutMs: 10_000,
      tls: {},
      batchSize: DEFAULT_BATCH_SIZE,
      flushIntervalMs: 200,
      once: false,
      keep: false,
      giveUpAfterMs: Infinity,
    });
  });

  it("takes every flag", () => {
    const options = collect([
      "a.otlp",
      "--endpoint=http://h:4318",
      "dir",
      "--protocol",
      "http/protobuf",
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
      "--once",
      "--keep",
    ]);
    assert.deepEqual(options, {
      paths: ["a.otlp", "dir"],
      url: "http://h:4318/v1/traces",
      headers: [
        { name: "A", value: "1=2", source: "--header" },
        { name: "b", value: "%20", source: "--header" },
      ],
      compression: "gzip",
      timeoutMs: 500,
      tls: {},
      batchSize: 17,
      flushIntervalMs: 1000,
      once: true,
      keep: true,
      giveUpAfterMs: 60_000,
    });
  });

  it("takes a flag before a variable, and a variable for traces before one for all signals", () => {
    const all = {
      [`${E}_ENDPOINT`]: "http://all:1/base",
      [`${E}_COMPRESSION`]: "gzip",
      [`${E}_TIMEOUT`]: "2000",
      [`${E}_PROTOCOL`]: "http/protobuf",
    };
    const one = collect([], all);
    assert.equal(one.url, "http://all:1/base/v1/traces");
    assert.equal(one.compression, "gzip");
    assert.equal(one.timeoutMs, 2000);
    const traces = {
      ...all,
      [`${E}_TRACES_ENDPOINT`]: "http://traces:1/exactly",
      [`${E}_TRACES_COMPRESSION`]: "none",
      [`${E}_TRACES_TIMEOUT`]: "3000",
    };
    const two = collect([], traces);
    assert.equal(two.url, "http://traces:1/exactly");
    assert.equal(two.compression, "none");
    assert.equal(two.timeoutMs, 3000);
    const flags = ["--endpoint", "http://flag:1", "--compression", "gzip", "--timeout", "4s"];
    const three = collect(flags, traces);
    assert.equal(three.url, "http://flag:1/v1/traces");
    assert.equal(three.compression, "gzip");
    assert.equal(three.timeoutMs, 4000);
  });

  it("merges headers by name whatever its case", () => {
    const options = collect(["--endpoint", "http://h", "--header", "C=flag"], {
      [`${E}_HEADERS`]: "a=all,b=all%2C1,c=all",
      [`${E}_TRACES_HEADERS`]: "B=traces,c=traces",
    });
    assert.deepEqual(options.headers, [
      { name: "a", value: "all", source: `${E}_HEADERS` },
      { name: "B", value: "traces", source: `${E}_TRACES_HEADERS` },
      { name: "C", value: "flag", source: "--header" },
    ]);
  });

  it("reads certificates for https only", () => {
    const ca = join(directory, "ca.pem");
    writeFileSync(ca, "PEM");
    const env = { [`${E}_CERTIFICATE`]: ca };
    assert.deepEqual(collect(["--endpoint", "https://h"], env).tls, {
      ca: "PEM",
      cert: undefined,
      key: undefined,
    });
    assert.deepEqual(
      collect(["--endpoint", "http://h"], { [`${E}_CERTIFICATE`]: "/none" }).tls,
      {},
    );
    const https = ["collect", "--endpoint", "https://h"];
    assert.match(
      exit(https, { [`${E}_CERTIFICATE`]: "/none" }).message,
      /_CERTIFICATE names a file/,
    );
    assert.match(
      exit(https, { [`${E}_CLIENT_KEY`]: ca }).message,
      /go together: only the key is set/,
    );
  });

  it("ignores bad variables about sending when it prints", () => {
    const env = { [`${E}_PROTOCOL`]: "grpc", [`${E}_TIMEOUT`]: "x", [`${E}_HEADERS`]: "x" };
    assert.equal(collect([], env).url, undefined);
  });
});

describe("bad arguments", () => {
  const bad: [args: string[], env: Record<string, string>, says: RegExp][] = [
    [["--endpoint", "localhost:4318"], {}, /--endpoint.*starts with http:\/\/ or https:\/\//],
    [["--protocol", "grpc"], {}, /--protocol.*Only http\/protobuf is supported/],
    [["--compression", "zstd"], {}, /--compression.*gzip or none/],
    [["--timeout", "soon"], {}, /--timeout.*duration/],
    [["--timeout", "0"], {}, /--timeout.*from 1ms/],
    [["--batch-size", "0"], {}, /--batch-size.*from 1 to/],
    [["--batch-size", "1.5"], {}, /--batch-size/],
    [["--flush-interval", "-1"], {}, /--flush-interval/],
    [["--nonsense"], {}, /unknown option '--nonsense'/],
    [["--endpoint"], {}, /argument missing/],
    [["--header", "Ho st=x"], {}, /not a valid header name/],
    [["--header", "content-type=x"], {}, /set by otlp-mmap itself/],
    [[], { [`${E}_ENDPOINT`]: "h" }, new RegExp(`^${E}_ENDPOINT "h" is invalid`)],
    [[], { [`${E}_TRACES_ENDPOINT`]: "h" }, new RegExp(`^${E}_TRACES_ENDPOINT "h"`)],
    [["--endpoint", "http://h"], { [`${E}_PROTOCOL`]: "grpc" }, /_PROTOCOL "grpc".*http\/protobuf/],
    [["--endpoint", "http://h"], { [`${E}_COMPRESSION`]: "br" }, /_COMPRESSION "br"/],
    [["--endpoint", "http://h"], { [`${E}_TIMEOUT`]: "x" }, /_TIMEOUT "x"/],
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
    for (const { message } of [flag, variable]) assert.doesNotMatch(message, /hunter2/);
  });
});

describe("help", () => {
  it("names every flag, variable and exit code", () => {
    const { exitCode, message } = exit(["collect", "--help"]);
    assert.equal(exitCode, 0);
    const words = [
      ..."--endpoint --protocol --header --compression --timeout --batch-size".split(" "),
      ..."--flush-interval --once --keep --help OTLP_MMAP_DIR SDK_MMAP_EXPORTER_FILE".split(" "),
      ..."ENDPOINT TRACES_ENDPOINT HEADERS COMPRESSION TIMEOUT PROTOCOL CERTIFICATE".split(" ")
        .map((name) => `${E}_${name}`),
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
