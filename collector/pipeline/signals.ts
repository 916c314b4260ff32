/**
 * The three signals: what people call their items, and where they are posted to.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { plural } from "../text/text.ts";

/** All signals. */
export const SIGNALS: readonly Signal[] = ["traces", "metrics", "logs"];

/** What one request of a signal holds many of. */
export const ITEMS: Readonly<Record<Signal, string>> = {
  traces: "spans",
  metrics: "data points",
  logs: "log records",
};

/** So many items of a signal: `12 spans`, `1 data point`. */
export function itemsOf(signal: Signal, count: number): string {
  return plural(count, ITEMS[signal].slice(0, -1));
}

/** The path under a base URL (OpenTelemetry specification, "Endpoint URLs for OTLP/HTTP"). */
export const PATHS: Readonly<Record<Signal, string>> = {
  traces: "v1/traces",
  metrics: "v1/metrics",
  logs: "v1/logs",
};

/** One of something for each signal. */
export function forEachSignal<T>(make: (signal: Signal) => T): Record<Signal, T> {
  return { traces: make("traces"), metrics: make("metrics"), logs: make("logs") };
}
