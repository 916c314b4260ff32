import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDuration } from "./durations.ts";
import { exactUrl, grpcUrl, parseTarget, signalUrls } from "./endpoint.ts";
import { otlpVariable, parseHeaderList } from "./variables.ts";

describe("variables", () => {
  it("prefers the one for the signal; empty is unset", () => {
    const env = { OTEL_EXPORTER_OTLP_TIMEOUT: "1", OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "2" };
    assert.deepEqual(otlpVariable(env, "traces", "TIMEOUT"), {
      value: "2",
      source: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    });
    const blank = { ...env, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: " " };
    assert.equal(otlpVariable(blank, "traces", "TIMEOUT")?.value, "1");
    assert.equal(otlpVariable({}, "traces", "TIMEOUT"), undefined);
    assert.equal(otlpVariable(env, "logs", "TIMEOUT")?.value, "1");
    const logs = { ...env, OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: "3" };
    assert.equal(otlpVariable(logs, "logs", "TIMEOUT")?.value, "3");
    assert.equal(otlpVariable(logs, "metrics", "TIMEOUT")?.value, "1");
  });

  it("decodes header lists like baggage", () => {
    assert.deepEqual(parseHeaderList(" api-key = a%20b%2Cc , x=1=2,, y= "), [
      ["api-key", "a b,c"],
      ["x", "1=2"],
      ["y", ""],
    ]);
    assert.throws(() => parseHeaderList("a=1,nonsense"), /entry 2 is not NAME=VALUE/);
    assert.throws(() => parseHeaderList("a=%zz"), /entry 1 has a "%"/);
  });
});

describe("durations", () => {
  it("are milliseconds unless a unit says otherwise", () => {
    const cases: [string, number | undefined][] = [
      ["500", 500],
      ["500ms", 500],
      ["10s", 10_000],
      ["1.5 s", 1500],
      ["2m", 120_000],
      ["1h", 3_600_000],
      ["", undefined],
      ["-1", undefined],
      ["10d", undefined],
      ["1e3", undefined],
      ["s", undefined],
    ];
    for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  });
});

describe("endpoints", () => {
  it("gets v1/traces and so on appended to a base", () => {
    const cases = {
      "http://h:4318": "http://h:4318",
      "http://h:4318/": "http://h:4318",
      "http://h/otlp/": "http://h/otlp",
      "http://h/v1/traces": "http://h",
      "http://h/a/v1/traces/": "http://h/a",
      "http://h/v1/logs": "http://h",
      "http://h//v1/metrics": "http://h",
      "http://h/av1/traces": "http://h/av1/traces",
    };
    for (const [base, prefix] of Object.entries(cases)) {
      assert.deepEqual(signalUrls(base), {
        traces: `${prefix}/v1/traces`,
        metrics: `${prefix}/v1/metrics`,
        logs: `${prefix}/v1/logs`,
      });
    }
    assert.equal(signalUrls("https://h/a?key=1#x").logs, "https://h/a/v1/logs?key=1");
  });

  it("is used as it is where that is asked for", () => {
    assert.equal(exactUrl("http://h/x"), "http://h/x");
    assert.equal(exactUrl("http://h"), "http://h/");
  });

  it("has no path with gRPC, and a port whether one is given or not", () => {
    const cases = {
      "h": "https://h:4317/",
      "127.0.0.1:4": "https://127.0.0.1:4/",
      "h:443": "https://h/",
      "[::1]:5": "https://[::1]:5/",
      "http://h": "http://h:4317/",
      "http://h:80/": "http://h/",
      "http://u:8080@h": "http://u:8080@h:4317/",
      "http://h:443": "http://h:443/",
      "https://h": "https://h/",
      "https://h:80": "https://h:80/",
      "https://h:4317/": "https://h:4317/",
    };
    for (const [text, url] of Object.entries(cases)) assert.equal(grpcUrl(text, false), url, text);
    assert.equal(grpcUrl("h", true), "http://h:4317/");
    assert.equal(grpcUrl("h:443", true), "http://h:443/");
    assert.equal(grpcUrl("h:80", true), "http://h/");
    assert.equal(grpcUrl("https://h", true), "https://h/");
    for (const bad of ["", "grpc://h", "h:", "h:x", "h:99999", "h/x", "::1", "u@h", "http://"]) {
      assert.throws(
        () => grpcUrl(bad, true),
        /neither HOST:PORT nor a URL|is not a valid URL/,
        bad,
      );
    }
    for (const bad of ["http://h/v1/traces", "https://h:1/?a"]) {
      assert.throws(() => grpcUrl(bad, true), /has a path/, bad);
    }
  });

  it("is taken apart", () => {
    assert.deepEqual(parseTarget("https://u:p@[::1]/x?y"), {
      secure: true,
      host: "::1",
      port: 443,
      path: "/x?y",
      hostHeader: "[::1]",
      url: "https://[::1]/x",
      authorization: "Basic dTpw",
    });
    assert.equal(parseTarget("http://h:4318/").hostHeader, "h:4318");
  });

  it("must be http or https", () => {
    for (const bad of ["localhost:4318", "grpc://h", "http://", "", "http://h:99999"]) {
      assert.throws(() => signalUrls(bad), /is not a (valid )?URL/, bad);
    }
  });
});
