import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDuration } from "./durations.ts";
import { exactUrl, parseTarget, tracesUrl } from "./endpoint.ts";
import { otlpVariable, parseHeaderList } from "./variables.ts";

describe("variables", () => {
  it("prefers the one for traces; empty is unset", () => {
    const env = { OTEL_EXPORTER_OTLP_TIMEOUT: "1", OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "2" };
    assert.deepEqual(otlpVariable(env, "TIMEOUT"), {
      value: "2",
      source: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    });
    const blank = { ...env, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: " " };
    assert.equal(otlpVariable(blank, "TIMEOUT")?.value, "1");
    assert.equal(otlpVariable({}, "TIMEOUT"), undefined);
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
  it("gets v1/traces appended to a base", () => {
    const cases = {
      "http://h:4318": "http://h:4318/v1/traces",
      "http://h:4318/": "http://h:4318/v1/traces",
      "http://h/otlp/": "http://h/otlp/v1/traces",
      "http://h/v1/traces": "http://h/v1/traces",
      "http://h/a/v1/traces/": "http://h/a/v1/traces",
      "https://h/a?key=1#x": "https://h/a/v1/traces?key=1",
    };
    for (const [base, url] of Object.entries(cases)) assert.equal(tracesUrl(base), url);
  });

  it("is used as it is where that is asked for", () => {
    assert.equal(exactUrl("http://h/x"), "http://h/x");
    assert.equal(exactUrl("http://h"), "http://h/");
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
      assert.throws(() => tracesUrl(bad), /is not a (valid )?URL/, bad);
    }
  });
});
