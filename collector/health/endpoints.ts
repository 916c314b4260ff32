/**
 * Figures of each endpoint, where there are several of a signal: what became of what is sent to all
 * of them may differ.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Endpoint, Sink } from "../pipeline/queue.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Figure, Sample } from "./figure.ts";

type EndpointFigure = readonly [
  kind: "counter" | "gauge",
  name: string,
  unit: string,
  help: string,
  read: (endpoint: Endpoint, signal: Signal) => number,
];

const FIGURES: readonly EndpointFigure[] = [
  [
    "counter",
    "items.accepted",
    "{item}",
    "Spans, data points and log records that it took",
    ({ queue }) => queue?.totals.accepted ?? 0,
  ],
  [
    "counter",
    "items.rejected",
    "{item}",
    "Those that it refused in a request that it took, or because of their signal",
    ({ queue }) => queue?.totals.rejected ?? 0,
  ],
  [
    "counter",
    "items.dropped",
    "{item}",
    "Those of requests that were refused or given up, or that it lagged behind with",
    ({ queue }) => queue?.totals.dropped ?? 0,
  ],
  [
    "gauge",
    "requests.waiting",
    "{request}",
    "Requests that wait to be sent there",
    ({ queue, spool }, signal) =>
      (queue?.pending ?? 0) + (spool?.counts[signal].waiting.requests ?? 0),
  ],
  [
    "counter",
    "send.failures",
    "{attempt}",
    "Attempts to send that failed",
    ({ state }) => state?.allFailures ?? 0,
  ],
];

/** The figures, without samples where each signal has one endpoint. */
export function endpointFigures(sinks: Readonly<Record<Signal, Sink>>): Figure[] {
  return FIGURES.map(([kind, name, unit, help, read]) => ({
    kind,
    name: `otlp_mmap.endpoint.${name}`,
    unit,
    help: `${help}; of each endpoint, where there are several`,
    read: () =>
      SIGNALS.flatMap((signal) => {
        const { endpoints = [] } = sinks[signal];
        if (endpoints.length < 2) return [];
        return endpoints.map((
          each,
        ): Sample => [{ signal, endpoint: each.name }, read(each, signal)]);
      }),
  }));
}
