/**
 * What the program says of metrics, over what the environment says. What can't be used is told, and
 * is as if it had not been said.
 *
 * @module
 */
import type { EnvironmentSettings } from "./config.ts";
import { choiceOf } from "./durability.ts";
import type { MeterProviderSettings } from "./meter-provider.ts";
import { asText } from "./span.ts";
import type { MetricOptions } from "./start.ts";

/** Timers take no more: 24 days. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

type Said = Pick<
  MeterProviderSettings,
  "temporality" | "histograms" | "exemplars" | "exportIntervalMs" | "exportTimeoutMs" | "views"
>;

/** The settings of a meter provider, so far as a program may say them. */
export function resolveMetricOptions(
  given: MetricOptions | null | undefined,
  env: EnvironmentSettings,
  warn: (message: string) => void,
): Said {
  const options = given ?? {};
  const choose = <T extends string>(name: keyof MetricOptions, choices: readonly T[]) =>
    choiceOf(`metrics.${name}`, options[name] as T | undefined, choices, warn);
  const milliseconds = (name: "intervalMs" | "timeoutMs", fallback: number): number => {
    const value: unknown = options[name] ?? undefined;
    if (value === undefined) return fallback;
    // Zero stands for no limit of time in the specification ("Timeout"); there is no interval of it.
    if (name === "timeoutMs" && (value === 0 || value === Infinity)) return Infinity;
    if (typeof value === "number" && value >= 1 && value <= MAX_TIMER_MS) return value;
    warn(
      `start({ metrics.${name}: ${asText(value)} }): not a number from 1 to ${MAX_TIMER_MS}; ` +
        `using ${fallback}`,
    );
    return fallback;
  };
  return {
    temporality: choose("temporality", ["cumulative", "delta", "lowmemory"]) ?? env.temporality,
    histograms: choose("histograms", ["explicit", "exponential"]) ?? env.histograms,
    exemplars: choose("exemplars", ["trace_based", "always_on", "always_off"]) ?? env.exemplars,
    exportIntervalMs: milliseconds("intervalMs", env.metricIntervalMs),
    exportTimeoutMs: milliseconds("timeoutMs", env.metricTimeoutMs),
    views: options.views ?? [],
  };
}
