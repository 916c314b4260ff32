import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readEnvironment } from "../lib/sdk/config.ts";
import { ROOT } from "../tools/runtimes.ts";

/** The variables of the specification's page for SDKs. */
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
OTEL_EXPORTER_ZIPKIN_ENDPOINT OTEL_EXPORTER_ZIPKIN_TIMEOUT
OTEL_EXPORTER_PROMETHEUS_HOST OTEL_EXPORTER_PROMETHEUS_PORT
OTEL_TRACES_EXPORTER OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_METRICS_EXEMPLAR_FILTER
OTEL_METRIC_EXPORT_INTERVAL OTEL_METRIC_EXPORT_TIMEOUT
OTEL_EXPERIMENTAL_CONFIG_FILE OTEL_CONFIG_FILE
OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
`.trim().split(/\s+/);

describe("MOVING.md", () => {
  const rows = new Map<string, string>();
  for (const line of readFileSync(`${ROOT}/MOVING.md`, "utf8").split("\n")) {
    const [, names = "", side = ""] = line.split("|");
    for (const [, name] of names.matchAll(/`(OTEL_\w+)`/g)) rows.set(name, side.trim());
  }

  it("says of every variable of the specification where it counts", () => {
    for (const name of VARIABLES) {
      assert.match(rows.get(name) ?? "", /^(application|collector|both|none)$/, name);
    }
  });

  it("is right about what the application reads", () => {
    const read = new Set<string>();
    readEnvironment(
      new Proxy({}, {
        get: (_, name) => {
          read.add(String(name));
          // Samplers with an argument read that as well.
          return name === "OTEL_TRACES_SAMPLER" ? "traceidratio" : undefined;
        },
      }),
    );
    for (const name of VARIABLES) {
      assert.equal(read.has(name), /application|both/.test(rows.get(name)!), name);
    }
    const unknown = [...read].filter((name) => name.startsWith("OTEL_") && !rows.has(name));
    assert.deepEqual(unknown, []);
  });
});
