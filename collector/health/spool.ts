/**
 * Figures of the spool: what waits on the disk, and what was lost there.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Spool, SpoolCounts, Tally } from "../../lib/spool/mod.ts";
import type { Sink } from "../pipeline/queue.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Figure, Labels, Sample } from "./figure.ts";

/** The figures, of what waits for one of several endpoints with its name; none without a spool. */
export function spoolFigures(
  spool: Spool | null,
  sinks: Readonly<Record<Signal, Sink>>,
): Figure[] {
  if (spool === null) return [];
  const all = (): [Labels, SpoolCounts][] =>
    SIGNALS.flatMap((signal) => [
      [{ signal }, spool.counts[signal]],
      ...(sinks[signal].endpoints ?? []).flatMap(({ name, spool }): [Labels, SpoolCounts][] =>
        spool === undefined ? [] : [[{ signal, endpoint: name }, spool.counts[signal]]]
      ),
    ]);
  const requests = (
    name: string,
    help: string,
    states: readonly ("waiting" | "running")[],
  ): Figure => ({
    kind: "gauge" as const,
    name: `otlp_mmap.spool.${name}`,
    unit: "{request}",
    help,
    read: () =>
      states.flatMap((state) =>
        all().map(([labels, counts]): Sample => [{ ...labels, state }, counts[state].requests])
      ),
  });
  const lost = (
    name: string,
    help: string,
    of: (counts: SpoolCounts) => Readonly<Record<string, Tally>>,
    what: keyof Tally,
  ): Figure => ({
    kind: "counter",
    name: `otlp_mmap.spool.${name}`,
    unit: what === "items" ? "{item}" : "{request}",
    help,
    read: () =>
      all().flatMap(([labels, counts]) =>
        Object.entries(of(counts)).map(([reason, tally]): Sample => [
          { ...labels, reason },
          tally[what],
        ])
      ),
  });
  return [
    {
      kind: "gauge",
      name: "otlp_mmap.spool.size",
      unit: "By",
      help: "Bytes of the spool on the disk",
      read: () => all().map(([labels, { bytes }]): Sample => [labels, bytes]),
    },
    requests(
      "requests",
      "Requests in the spool: those that wait, and those on their way",
      ["waiting", "running"],
    ),
    lost(
      "items.dropped",
      "Spans, data points and log records dropped from the spool: too old, for want of room, damaged, gone",
      ({ dropped }) => dropped,
      "items",
    ),
    lost(
      "requests.dropped",
      "The requests they were in; what is damaged too much to be counted is one",
      ({ dropped }) => dropped,
      "requests",
    ),
    lost(
      "requests.refused",
      "Requests that could not be stored, and were sent without",
      ({ refused }) => refused,
      "requests",
    ),
  ];
}
