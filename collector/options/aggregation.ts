/**
 * How measurements are aggregated: the variables that the OpenTelemetry SDK reads in an application,
 * and views.
 *
 * @module
 */
import type { AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import type { View } from "../../lib/metrics/views.ts";
import { MAX_REQUEST_BYTES } from "../pipeline/requests.ts";
import { fromVariable, oneOf } from "./arguments.ts";
import { type Environment, variable } from "./variables.ts";

/** Series of one stream, unless its definition or a view says otherwise (specification's default). */
const CARDINALITY_LIMIT = 2_000;
/** Series of all streams: some hundred MB. */
const MAX_SERIES = 1_000_000;

const HISTOGRAMS = {
  explicit_bucket_histogram: "explicit",
  base2_exponential_bucket_histogram: "exponential",
} as const;

/**
 * @param views From the configuration file.
 * @throws ArgumentsExit when a variable is bad.
 */
export function chooseAggregation(views: readonly View[], env: Environment): AggregatorOptions {
  const histograms = fromVariable(
    variable(env, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"),
    oneOf("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
  );
  return {
    temporality: fromVariable(
      variable(env, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
      oneOf("cumulative", "delta", "lowmemory"),
    ) ?? "definition",
    histograms: histograms === undefined ? "definition" : HISTOGRAMS[histograms],
    exemplars: fromVariable(
      variable(env, "OTEL_METRICS_EXEMPLAR_FILTER"),
      oneOf("trace_based", "always_on", "always_off"),
    ) ?? "trace_based",
    cardinalityLimit: CARDINALITY_LIMIT,
    maxSeries: MAX_SERIES,
    maxRequestBytes: MAX_REQUEST_BYTES,
    views,
  };
}
