/**
 * Figures of the receiver.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Received } from "../receive/intake.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Figure, Sample } from "./figure.ts";

/** What came by each transport. */
export function receivedFigures(counts: Readonly<Record<string, Received>>): Figure[] {
  const each = (read: (received: Received, signal: Signal) => number): Sample[] =>
    Object.entries(counts).flatMap(([transport, received]) =>
      SIGNALS.map((signal): Sample => [{ transport, signal }, read(received, signal)])
    );
  return [
    {
      kind: "counter",
      name: "otlp_mmap.receiver.requests",
      unit: "{request}",
      help: "Requests received whole from other programs",
      read: () => each(({ requests }, signal) => requests[signal]),
    },
    {
      kind: "counter",
      name: "otlp_mmap.receiver.items",
      unit: "{item}",
      help: "Spans, data points and log records received, and passed on",
      read: () => each(({ items }, signal) => items[signal]),
    },
    {
      kind: "counter",
      name: "otlp_mmap.receiver.refused",
      unit: "{request}",
      help: "Requests that were not taken, by reason",
      read: () =>
        Object.entries(counts).flatMap(([transport, { refused }]) =>
          [...refused].map(([reason, count]): Sample => [{ transport, reason }, count])
        ),
    },
  ];
}
