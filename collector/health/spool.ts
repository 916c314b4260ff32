/**
 * Figures of the spool: what waits on the disk, and what was lost there.
 *
 * @module
 */
import type { Spool, Tally } from "../../lib/spool/mod.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Figure, Sample } from "./figure.ts";

/** The figures; none without a spool. */
export function spoolFigures(spool: Spool | null): Figure[] {
  if (spool === null) return [];
  const { counts } = spool;
  const requests = (
    name: string,
    help: string,
    read: (tally: "waiting" | "running") => Sample[],
  ) => ({
    kind: "gauge" as const,
    name: `otlp_mmap.spool.${name}`,
    unit: "{request}",
    help,
    read: (): Sample[] => [...read("waiting"), ...read("running")],
  });
  const lost = (
    name: string,
    help: string,
    of: (signal: (typeof SIGNALS)[number]) => Readonly<Record<string, Tally>>,
    what: keyof Tally,
  ): Figure => ({
    kind: "counter",
    name: `otlp_mmap.spool.${name}`,
    unit: what === "items" ? "{item}" : "{request}",
    help,
    read: () =>
      SIGNALS.flatMap((signal) =>
        Object.entries(of(signal)).map(([reason, tally]): Sample => [
          { signal, reason },
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
      read: () => SIGNALS.map((signal): Sample => [{ signal }, counts[signal].bytes]),
    },
    requests(
      "requests",
      "Requests in the spool: those that wait, and those on their way",
      (state) => SIGNALS.map((signal) => [{ signal, state }, counts[signal][state].requests]),
    ),
    lost(
      "items.dropped",
      "Spans, data points and log records dropped from the spool: too old, for want of room, damaged",
      (signal) => counts[signal].dropped,
      "items",
    ),
    lost(
      "requests.dropped",
      "The requests they were in; what is damaged too much to be counted is one",
      (signal) => counts[signal].dropped,
      "requests",
    ),
    lost(
      "requests.refused",
      "Requests that could not be stored, and were sent without",
      (signal) => counts[signal].refused,
      "requests",
    ),
  ];
}
