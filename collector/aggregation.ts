/**
 * How measurements are aggregated: the variables that the OpenTelemetry SDK reads in an application,
 * and a file with views.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { AggregatorOptions } from "../lib/metrics/aggregate.ts";
import { parseViews, type View } from "../lib/metrics/views.ts";
import { ArgumentsExit, fromVariable, oneOf } from "./arguments.ts";
import { printable } from "./text.ts";
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
 * @param config Path of a file with views.
 * @throws ArgumentsExit when a variable or the file is bad.
 */
export function chooseAggregation(config: string | undefined, env: Environment): AggregatorOptions {
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
    views: config === undefined ? [] : readViews(config),
  };
}

function readViews(path: string): readonly View[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = printable((error as Error).message, 200);
    throw new ArgumentsExit(2, `--config names a file that can't be read: ${reason}`);
  }
  try {
    return parseViews(text, path);
  } catch (error) {
    throw new ArgumentsExit(2, printable((error as Error).message));
  }
}
