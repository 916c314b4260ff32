/**
 * What is said at the end: what became of every record, span, log record and data point.
 *
 * @module
 */
import { closes, describeLedger } from "../../lib/file/ledger.ts";
import { RING_NAMES } from "../../lib/format/layout.ts";
import type { AggregationCounts } from "../../lib/metrics/aggregate.ts";
import type { AssemblyCounts } from "../../lib/otlp/assemble.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { describeForgotten, type Ledger } from "../files/files.ts";
import { plural } from "../text/text.ts";
import type { SendQueue, Totals } from "./queue.ts";
import { ITEMS, SIGNALS } from "./signals.ts";

/** Items by what became of them, and for each of several endpoints. */
export type Delivered = Pick<SendQueue, "totals" | "lanes">;

/** What a summary is made of. */
export interface Counted {
  /** Files read. */
  readonly files: number;
  readonly spans: AssemblyCounts;
  readonly metrics: AggregationCounts;
  /** What became of items. */
  readonly queues: Readonly<Record<Signal, Delivered>>;
  readonly ledger: Ledger;
  /** Open spans of living owners that were not sent, and where they are now. */
  readonly open: number;
  readonly openAre: string;
}

/** The lines of a summary. */
export function describe(counted: Counted): string[] {
  const { files, spans, metrics, queues, ledger, open, openAre } = counted;
  const notes = [
    spans.interrupted > 0 ? `${spans.interrupted} of them interrupted` : "",
    spans.evicted > 0 ? `${spans.evicted} sent early because too many were open` : "",
    spans.partial > 0 ? `${spans.partial} without their start, which was discarded` : "",
    open > 0 ? `${open} still open, ${openAre}` : "",
    spans.lost > 0 ? `${spans.lost} lost for want of memory` : "",
  ].filter((note) => note !== "");
  const more = notes.length > 0 ? ` (${notes.join(", ")})` : "";
  const lostLogs = spans.lostLogs > 0 ? ` (${spans.lostLogs} lost for want of memory)` : "";
  const lines = [
    `${plural(spans.spans, "span")} from ${plural(files, "file")}${more}${fateOf(queues.traces)}`,
    `${plural(spans.logs, "log record")}${lostLogs}${fateOf(queues.logs)}`,
    `${plural(metrics.points, "data point")} of ${plural(metrics.measurements, "measurement")}${
      fateOf(queues.metrics)
    }`,
    ...SIGNALS.flatMap((signal) => fates(signal, queues[signal])),
  ];
  const { nonFinite, negative, dropped, overflowed, crowded } = metrics;
  const apart = [
    nonFinite > 0 ? `${nonFinite} left out as not finite` : "",
    negative > 0 ? `${negative} left out as negative increments of monotonic sums` : "",
    dropped > 0 ? `${dropped} dropped by views` : "",
    overflowed > 0 ? `${overflowed} in series of an overflow` : "",
    crowded > 0 ? `${crowded} there since their process has its share of all series` : "",
  ].filter((part) => part !== "");
  if (apart.length > 0) lines.push(`of the measurements: ${apart.join(", ")}`);
  ledger.rings.forEach(({ taken, torn, unreadable }, ring) => {
    const read = taken - torn - unreadable;
    lines.push(
      `records of the ${
        RING_NAMES[ring]
      } rings: ${taken} claimed = ${read} read + ${torn} torn + ` +
        `${unreadable} unreadable`,
    );
  });
  for (const life of ledger.life) {
    if (life === undefined || life.offered === 0) continue;
    const [offered, claimed] = describeLedger(life);
    lines.push(
      `ledger of the ${life.ring} rings, since their files were made: ${offered}; ${claimed}` +
        (closes(life) ? "" : ": does not close"),
    );
  }
  const forgotten = describeForgotten(ledger);
  if (forgotten !== null) lines.push(`of those delivered, ${forgotten}`);
  const { unmatched, unmatchedEvents } = spans;
  if (unmatched + unmatchedEvents > 0) {
    lines.push(
      `without an open span: ${plural(unmatched, "record")}, ${plural(unmatchedEvents, "event")}`,
    );
  }
  for (const [reason, count] of ledger.reasons) lines.push(`unreadable, ${reason}: ${count}`);
  return lines;
}

/** What follows the number of items; several endpoints have lines of their own. */
function fateOf({ totals, lanes }: Delivered): string {
  if (lanes.length === 0) return `: ${describeTotals(totals)}`;
  return totals.filtered > 0 ? `: ${totals.filtered} left out as configured` : "";
}

/** A line for each of several endpoints. */
export function fates(signal: Signal, { lanes }: Delivered): string[] {
  return lanes.map(({ name, queue }) =>
    `${ITEMS[signal]} to ${name}: ${describeTotals(queue.totals)}`
  );
}

/** What became of items. */
export function describeTotals({ accepted, rejected, dropped, filtered }: Totals): string {
  const apart = filtered > 0 ? `, ${filtered} left out as configured` : "";
  return `${accepted} delivered, ${rejected} refused by the backend, ${dropped} dropped${apart}`;
}
