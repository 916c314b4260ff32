import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DiagLogLevel } from "@opentelemetry/api";
import { type Environment, INSTRUMENTATION_NAMES, readEnvironment } from "./config.ts";
import { resolveLogLimits, resolveSpanLimits } from "./limits.ts";

const SIGNALS = [
  ["OTEL_TRACES_EXPORTER", "traces"],
  ["OTEL_METRICS_EXPORTER", "metrics"],
  ["OTEL_LOGS_EXPORTER", "logs"],
] as const;

/** Exactly one warning, which names the variable and shows the value. */
function assertOneWarning(env: Environment, name: string, value = env[name]): void {
  const { warnings } = readEnvironment(env);
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.ok(warnings[0].includes(name) && warnings[0].includes(String(value)), warnings[0]);
}

describe("readEnvironment", () => {
  it("has the specification's defaults, with every variable unset, empty or blank", () => {
    const names: string[] = [];
    const recording = new Proxy({}, {
      get(_target, name): undefined {
        names.push(String(name));
        return undefined;
      },
    });
    const unset = readEnvironment(recording);
    assert.ok(names.length >= 18);
    const { sampler, limits, logLimits, ...rest } = unset;
    assert.deepEqual(rest, {
      disabled: false,
      traces: true,
      metrics: true,
      logs: true,
      metricIntervalMs: 60_000,
      metricTimeoutMs: 30_000,
      temporality: "cumulative",
      histograms: "explicit",
      exemplars: "trace_based",
      instrumentations: [],
      serviceName: undefined,
      resourceAttributes: {},
      detectors: ["host", "os", "process", "serviceinstance"],
      propagators: ["tracecontext", "baggage"],
      logLevel: undefined,
      file: undefined,
      directory: undefined,
      overflow: "newest",
      durability: "process",
      sizes: {},
      warnings: [],
    });
    assert.ok(`${sampler}`.startsWith("ParentBased{root=AlwaysOnSampler,"));
    assert.deepEqual(resolveSpanLimits(undefined, limits), resolveSpanLimits(undefined));
    assert.deepEqual(resolveLogLimits(undefined, logLimits), resolveLogLimits(undefined));
    for (const blank of ["", " ", "\t "]) {
      const env = Object.fromEntries(names.map((name) => [name, blank]));
      assert.deepEqual(readEnvironment(env), unset);
    }
  });

  it("turns signals off one by one", () => {
    for (const [name, signal] of SIGNALS) {
      assert.equal(readEnvironment({ [name]: "none" })[signal], false);
      assert.deepEqual(readEnvironment({ [name]: "otlp" }), readEnvironment({}));
      for (const text of ["console", "zipkin", "none,otlp"]) {
        assert.equal(readEnvironment({ [name]: text })[signal], true);
        assertOneWarning({ [name]: text }, name);
      }
    }
  });

  it("takes names in any case", () => {
    for (const [name, signal] of SIGNALS) {
      assert.equal(readEnvironment({ [name]: "None" })[signal], false);
      assert.deepEqual(readEnvironment({ [name]: "OTLP" }), readEnvironment({}));
    }
    const settings = readEnvironment({
      OTEL_TRACES_SAMPLER: "ALWAYS_OFF",
      OTEL_PROPAGATORS: "TraceContext",
      OTEL_NODE_RESOURCE_DETECTORS: "Host,OS",
      OTLP_MMAP_INSTRUMENT: "HTTP",
    });
    assert.deepEqual(settings.warnings, []);
    assert.equal(`${settings.sampler}`, "AlwaysOffSampler");
    assert.deepEqual(settings.propagators, ["tracecontext"]);
    assert.deepEqual(settings.detectors, ["host", "os"]);
    assert.deepEqual(settings.instrumentations, ["http"]);
    assert.deepEqual(readEnvironment({ OTEL_PROPAGATORS: "NONE" }).propagators, []);
    assertOneWarning({ OTEL_TRACES_SAMPLER: "AlwaysOn" }, "OTEL_TRACES_SAMPLER");
  });

  it("reads what metrics are to look like", () => {
    const settings = readEnvironment({
      OTEL_METRIC_EXPORT_INTERVAL: "5000",
      OTEL_METRIC_EXPORT_TIMEOUT: "100",
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "LowMemory",
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION:
        "BASE2_EXPONENTIAL_BUCKET_HISTOGRAM",
      OTEL_METRICS_EXEMPLAR_FILTER: "always_off",
    });
    assert.deepEqual(settings.warnings, []);
    const { metricIntervalMs, metricTimeoutMs, temporality, histograms, exemplars } = settings;
    assert.deepEqual(
      { metricIntervalMs, metricTimeoutMs, temporality, histograms, exemplars },
      {
        metricIntervalMs: 5000,
        metricTimeoutMs: 100,
        temporality: "lowmemory",
        histograms: "exponential",
        exemplars: "always_off",
      },
    );
    const unlimited = readEnvironment({
      OTEL_METRIC_EXPORT_INTERVAL: "5000",
      OTEL_METRIC_EXPORT_TIMEOUT: "0",
    });
    assert.deepEqual([unlimited.metricTimeoutMs, unlimited.warnings], [Infinity, []]);
    for (
      const [name, value] of [
        ["OTEL_METRIC_EXPORT_INTERVAL", "0"],
        ["OTEL_METRIC_EXPORT_INTERVAL", "1s"],
        ["OTEL_METRIC_EXPORT_TIMEOUT", "-1"],
        ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"],
        ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "constructor"],
        ["OTEL_METRICS_EXEMPLAR_FILTER", "on"],
      ]
    ) assertOneWarning({ [name]: value }, name);
  });

  it("reads the limits of log records, the general ones where they have none", () => {
    const { logLimits, warnings } = readEnvironment({
      OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: "7",
      OTEL_ATTRIBUTE_COUNT_LIMIT: "9",
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "11",
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(logLimits, { attributeCountLimit: 7, attributeValueLengthLimit: 11 });
    assertOneWarning({ OTEL_ATTRIBUTE_COUNT_LIMIT: "x" }, "OTEL_ATTRIBUTE_COUNT_LIMIT");
    assertOneWarning(
      { OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: "x" },
      "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    );
  });

  it("reads what is to be recorded by itself", () => {
    const read = (text: string) => readEnvironment({ OTLP_MMAP_INSTRUMENT: text }).instrumentations;
    assert.deepEqual(read("http, console"), ["http", "console"]);
    assert.deepEqual(read("all"), [...INSTRUMENTATION_NAMES]);
    assert.deepEqual(read("none,http"), []);
    assertOneWarning({ OTLP_MMAP_INSTRUMENT: "https" }, "OTLP_MMAP_INSTRUMENT");
  });

  it("reads booleans by the specification's rule", () => {
    for (const text of ["true", "TRUE", "True", " true "]) {
      const { disabled, warnings } = readEnvironment({ OTEL_SDK_DISABLED: text });
      assert.deepEqual([disabled, warnings], [true, []]);
    }
    for (const text of ["false", "FALSE"]) {
      const { disabled, warnings } = readEnvironment({ OTEL_SDK_DISABLED: text });
      assert.deepEqual([disabled, warnings], [false, []]);
    }
    for (const text of ["1", "yes", "on", "truee", "0"]) {
      assert.equal(readEnvironment({ OTEL_SDK_DISABLED: text }).disabled, false);
      assertOneWarning({ OTEL_SDK_DISABLED: text }, "OTEL_SDK_DISABLED");
    }
  });

  it("decodes resource attributes", () => {
    const { resourceAttributes, warnings } = readEnvironment({
      OTEL_RESOURCE_ATTRIBUTES:
        " service.version = 1.2 ,,a%20b=c%2Cd%3De,empty=,ü=%F0%9F%A6%95,twice=1,twice=2,__proto__=p,",
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(Object.entries(resourceAttributes), [
      ["service.version", "1.2"],
      ["a b", "c,d=e"],
      ["empty", ""],
      ["ü", "🦕"],
      ["twice", "2"],
      ["__proto__", "p"],
    ]);
  });

  it("discards resource attributes with an error, all of them", () => {
    for (const bad of ["novalue", "a=b=c", "=v", " =v", "a=%zz", "a=%", "a=%ff", "%=v"]) {
      const text = `good=1,${bad},also=2`;
      const settings = readEnvironment({ OTEL_RESOURCE_ATTRIBUTES: text });
      assert.deepEqual(settings.resourceAttributes, {}, text);
      assertOneWarning(
        { OTEL_RESOURCE_ATTRIBUTES: text },
        "OTEL_RESOURCE_ATTRIBUTES",
        bad.trim(),
      );
    }
  });

  it("reads service name, file and directory", () => {
    const settings = readEnvironment({
      OTEL_SERVICE_NAME: " shop ",
      SDK_MMAP_EXPORTER_FILE: "/tmp/a.mmap",
      OTLP_MMAP_DIR: "/tmp/dir",
    });
    assert.equal(settings.serviceName, "shop");
    assert.equal(settings.file, "/tmp/a.mmap");
    assert.equal(settings.directory, "/tmp/dir");
  });

  it("makes the sampler that is named", () => {
    const made = (name: string, arg?: string): string => {
      const { sampler, warnings } = readEnvironment({
        OTEL_TRACES_SAMPLER: name,
        OTEL_TRACES_SAMPLER_ARG: arg,
      });
      assert.deepEqual(warnings, []);
      return `${sampler}`.replace(/, remoteParentSampled=.*/, "");
    };
    assert.equal(made("always_on"), "AlwaysOnSampler");
    assert.equal(made("always_off"), "AlwaysOffSampler");
    assert.equal(made("traceidratio", "0.25"), "TraceIdRatioBased{0.25}");
    assert.equal(made("traceidratio", "0"), "TraceIdRatioBased{0}");
    assert.equal(made("traceidratio", "1e-3"), "TraceIdRatioBased{0.001}");
    assert.equal(made("traceidratio"), "TraceIdRatioBased{1}");
    assert.equal(made("parentbased_always_on"), "ParentBased{root=AlwaysOnSampler");
    assert.equal(made("parentbased_always_off"), "ParentBased{root=AlwaysOffSampler");
    assert.equal(
      made("parentbased_traceidratio", "0.5"),
      "ParentBased{root=TraceIdRatioBased{0.5}",
    );
    assert.equal(made("parentbased_traceidratio"), "ParentBased{root=TraceIdRatioBased{1}");
    assert.equal(made("always_on", "0.5"), "AlwaysOnSampler");
  });

  it("uses the default for samplers and ratios it can't use", () => {
    for (const name of ["jaeger_remote", "xray", "AlwaysOn", "toString"]) {
      const env = { OTEL_TRACES_SAMPLER: name };
      assertOneWarning(env, "OTEL_TRACES_SAMPLER");
      assert.ok(`${readEnvironment(env).sampler}`.startsWith("ParentBased{root=AlwaysOnSampler,"));
    }
    for (const arg of ["-0.1", "1.1", "half", "NaN", "Infinity", "50%"]) {
      const env = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: arg };
      assertOneWarning(env, "OTEL_TRACES_SAMPLER_ARG");
      assert.equal(`${readEnvironment(env).sampler}`, "TraceIdRatioBased{1}");
    }
  });

  it("reads propagators, each once, and says what is not built in", () => {
    const read = (text: string): string[] =>
      readEnvironment({ OTEL_PROPAGATORS: text }).propagators;
    assert.deepEqual(read("baggage"), ["baggage"]);
    assert.deepEqual(read(" baggage , tracecontext,baggage,"), ["baggage", "tracecontext"]);
    assert.deepEqual(read("none"), []);
    assert.deepEqual(readEnvironment({ OTEL_PROPAGATORS: "none" }).warnings, []);
    assert.deepEqual(read("none,baggage"), []);
    assertOneWarning({ OTEL_PROPAGATORS: "none,baggage" }, "OTEL_PROPAGATORS");
    for (const name of ["b3", "b3multi", "jaeger", "xray", "ottrace"]) {
      assert.deepEqual(read(`tracecontext,${name}`), ["tracecontext"]);
      assertOneWarning({ OTEL_PROPAGATORS: `tracecontext,${name}` }, "OTEL_PROPAGATORS", name);
    }
  });

  it("reads limits, the ones for spans before the general ones", () => {
    const { limits, warnings } = readEnvironment({
      OTEL_ATTRIBUTE_COUNT_LIMIT: "10",
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "20",
      OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "11",
      OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: "0",
      OTEL_SPAN_EVENT_COUNT_LIMIT: "12",
      OTEL_SPAN_LINK_COUNT_LIMIT: "2147483647",
      OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: "13",
      OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: "14",
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(limits, {
      attributeCountLimit: 11,
      attributeValueLengthLimit: 0,
      eventCountLimit: 12,
      linkCountLimit: 2147483647,
      attributePerEventCountLimit: 13,
      attributePerLinkCountLimit: 14,
    });
    const general = readEnvironment({
      OTEL_ATTRIBUTE_COUNT_LIMIT: "10",
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "20",
    }).limits;
    assert.deepEqual(resolveSpanLimits({ linkCountLimit: 1 }, general).limits, {
      attributeCountLimit: 10,
      attributeValueLengthLimit: 20,
      eventCountLimit: 128,
      linkCountLimit: 1,
      attributePerEventCountLimit: 10,
      attributePerLinkCountLimit: 10,
    });
  });

  it("ignores limits that are no integers from 0 to 2^31 - 1, and falls back to the general one", () => {
    for (const bad of ["-1", "1.5", "1e3", "many", "0x10", "2147483648", "Infinity"]) {
      const env = {
        OTEL_ATTRIBUTE_COUNT_LIMIT: "10",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: bad,
      };
      assertOneWarning(env, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT");
      assert.equal(readEnvironment(env).limits.attributeCountLimit, 10);
    }
  });

  it("reads the log level", () => {
    const read = (text: string): DiagLogLevel | undefined =>
      readEnvironment({ OTEL_LOG_LEVEL: text }).logLevel;
    assert.equal(read("debug"), DiagLogLevel.DEBUG);
    assert.equal(read("WARN"), DiagLogLevel.WARN);
    assert.equal(read("none"), DiagLogLevel.NONE);
    assert.equal(read("loud"), undefined);
    assertOneWarning({ OTEL_LOG_LEVEL: "loud" }, "OTEL_LOG_LEVEL");
    assertOneWarning({ OTEL_LOG_LEVEL: "constructor" }, "OTEL_LOG_LEVEL");
  });

  it("reads detectors, and says which it doesn't have", () => {
    const read = (text: string): string[] =>
      readEnvironment({ OTEL_NODE_RESOURCE_DETECTORS: text }).detectors;
    assert.deepEqual(read("all"), ["host", "os", "process", "serviceinstance"]);
    assert.deepEqual(read("none"), []);
    assert.deepEqual(read("process, env,host"), ["host", "process"]);
    assert.deepEqual(read("service,process"), ["process", "serviceinstance"]);
    for (const text of ["service,process", "env", "none"]) {
      const env = { OTEL_NODE_RESOURCE_DETECTORS: text, OTEL_SERVICE_NAME: "shop" };
      assert.deepEqual(readEnvironment(env).warnings, []);
    }
    assert.deepEqual(read("os,container"), ["os"]);
    assertOneWarning(
      { OTEL_NODE_RESOURCE_DETECTORS: "os,container" },
      "OTEL_NODE_RESOURCE_DETECTORS",
      "container",
    );
  });

  it("survives an environment it may not read, with one warning", () => {
    const env: Environment = new Proxy({}, {
      get(): never {
        throw new Error("requires env access");
      },
    });
    const settings = readEnvironment(env);
    assert.equal(settings.warnings.length, 1);
    assert.ok(settings.warnings[0].includes("requires env access"));
    assert.deepEqual(settings.propagators, ["tracecontext", "baggage"]);
  });
});
