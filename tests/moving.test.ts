import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { chooseAggregation } from "../collector/options/aggregation.ts";
import { chooseDestinations } from "../collector/options/destinations.ts";
import { readEnvironment } from "../lib/sdk/config.ts";
import { ROOT } from "../tools/runtimes.ts";

/**
 * The variables of the specification's pages for SDKs and for the OTLP exporter, of which those for one
 * signal count as the one for all.
 */
const VARIABLES = `
OTEL_SDK_DISABLED OTEL_ENTITIES OTEL_RESOURCE_ATTRIBUTES OTEL_SERVICE_NAME OTEL_LOG_LEVEL
OTEL_PROPAGATORS OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG
OTEL_BSP_SCHEDULE_DELAY OTEL_BSP_EXPORT_TIMEOUT OTEL_BSP_MAX_QUEUE_SIZE
OTEL_BSP_MAX_EXPORT_BATCH_SIZE OTEL_BLRP_SCHEDULE_DELAY OTEL_BLRP_EXPORT_TIMEOUT
OTEL_BLRP_MAX_QUEUE_SIZE OTEL_BLRP_MAX_EXPORT_BATCH_SIZE
OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT OTEL_ATTRIBUTE_COUNT_LIMIT
OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT OTEL_SPAN_EVENT_COUNT_LIMIT
OTEL_SPAN_LINK_COUNT_LIMIT OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT OTEL_LINK_ATTRIBUTE_COUNT_LIMIT
OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT
OTEL_EXPORTER_ZIPKIN_ENDPOINT OTEL_EXPORTER_ZIPKIN_TIMEOUT OTEL_EXPORTER_ZIPKIN_PROTOCOL
OTEL_EXPORTER_PROMETHEUS_HOST OTEL_EXPORTER_PROMETHEUS_PORT
OTEL_TRACES_EXPORTER OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_METRICS_EXEMPLAR_FILTER
OTEL_METRIC_EXPORT_INTERVAL OTEL_METRIC_EXPORT_TIMEOUT
OTEL_EXPERIMENTAL_CONFIG_FILE OTEL_CONFIG_FILE
OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_INSECURE OTEL_EXPORTER_OTLP_CERTIFICATE
OTEL_EXPORTER_OTLP_CLIENT_KEY OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE OTEL_EXPORTER_OTLP_HEADERS
OTEL_EXPORTER_OTLP_COMPRESSION OTEL_EXPORTER_OTLP_TIMEOUT OTEL_EXPORTER_OTLP_PROTOCOL
OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
`.trim().split(/\s+/);

/** The variables whose names start with OTEL_ that `read` asks an environment for. */
function namesRead(
  read: (env: Record<string, string | undefined>) => unknown,
  values: Readonly<Record<string, string>>,
): Set<string> {
  const names = new Set<string>();
  read(
    new Proxy({}, {
      get: (_, name) => {
        if (String(name).startsWith("OTEL_")) names.add(String(name));
        return values[String(name)];
      },
    }),
  );
  return names;
}

const byApplication = namesRead(readEnvironment, {
  // Samplers with an argument read that as well.
  OTEL_TRACES_SAMPLER: "traceidratio",
});
const ofCollector = namesRead((env) => {
  // What matters to gRPC alone is read for that alone.
  for (const protocol of ["http/protobuf", "grpc"] as const) chooseDestinations({ protocol }, env);
  chooseDestinations({}, env);
  chooseAggregation([], env);
}, { OTEL_EXPORTER_OTLP_ENDPOINT: "https://h" });
const forSignals = [...ofCollector].filter((name) => /_OTLP_(TRACES|METRICS|LOGS)_/.test(name));
const forAll = (name: string): string => name.replace(/(_OTLP)_(TRACES|METRICS|LOGS)_/, "$1_");
const byCollector = new Set(
  [...ofCollector].map((name) => ofCollector.has(forAll(name)) ? forAll(name) : name),
);

describe("MOVING.md", () => {
  const rows = new Map<string, string>();
  for (const line of readFileSync(`${ROOT}/MOVING.md`, "utf8").split("\n")) {
    const [, names = "", side = ""] = line.split("|");
    if (!/^ *(application|collector|both|none) *$/.test(side)) continue;
    for (const [, name] of names.matchAll(/`(OTEL_\w+)`/g)) rows.set(name, side.trim());
  }

  it("says of every variable where it counts", () => {
    const all = [...VARIABLES, ...byApplication, ...byCollector];
    assert.deepEqual(all.filter((name) => !rows.has(name)), []);
  });

  it("is right about what application and collector read", () => {
    for (const [name, side] of rows) {
      const sides = [
        ...(byApplication.has(name) ? ["application"] : []),
        ...(byCollector.has(name) ? ["collector"] : []),
      ];
      assert.equal(side, sides.length === 2 ? "both" : sides[0] ?? "none", name);
    }
  });

  it("may say of the collector's that there is one for each signal", () => {
    for (const name of new Set(forSignals.map(forAll).filter((name) => byCollector.has(name)))) {
      for (const signal of ["TRACES", "METRICS", "LOGS"]) {
        assert.ok(ofCollector.has(name.replace("_OTLP_", `_OTLP_${signal}_`)), `${signal} ${name}`);
      }
    }
    assert.ok(forSignals.length >= 27);
  });

  it("agrees with README", () => {
    const settings = readFileSync(`${ROOT}/README.md`, "utf8").split("\n## ")
      .find((section) => section.startsWith("Settings\n"))!;
    const [used, unused] = settings.split("\nNot applicable");
    const named = (text: string): RegExp[] =>
      [...text.matchAll(/`(OTEL_[\w…]+)`/g)].map(([, name]) =>
        new RegExp(`^${name.replaceAll("…", "\\w*")}$`)
      );
    for (const name of VARIABLES) {
      const text = rows.get(name) === "none" ? unused : used;
      assert.ok(named(text).some((pattern) => pattern.test(name)), name);
    }
  });
});
