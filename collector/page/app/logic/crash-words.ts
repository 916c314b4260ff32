/**
 * What a process was doing when it died, in words.
 *
 * @module
 */
import type { CrashReport, Span } from "../../../store/queries/types.ts";

/** Open spans from a root down to the one that was open innermost. */
export function lastChain(open: readonly Span[]): Span[] {
  const byId = new Map(open.map((span) => [`${span.traceId} ${span.spanId}`, span]));
  let best: Span[] = [];
  for (const span of open) {
    const chain: Span[] = [];
    const seen = new Set<Span>();
    for (let at: Span | undefined = span; at && !seen.has(at);) {
      seen.add(at);
      chain.unshift(at);
      at = byId.get(`${at.traceId} ${at.parentSpanId}`);
    }
    const last = (list: readonly Span[]): bigint => BigInt(list.at(-1)?.startNs ?? "0");
    const later = chain.length === best.length && last(chain) > last(best);
    if (chain.length > best.length || later) best = chain;
  }
  return best;
}

/** Records that were lost, of all kinds. */
export function lost(report: CrashReport): number {
  return report.losses.reduce((sum, { count }) => sum + count, 0);
}

/**
 * Where an axis begins that shows all of a report and no empty time before it, nanoseconds as text:
 * not before the report does.
 */
export function firstSign(report: CrashReport): string {
  const [from, last] = [BigInt(report.fromNs), BigInt(report.lastNs)];
  const times = [
    ...report.open.map(({ startNs }) => startNs),
    ...report.ended.map(({ startNs }) => startNs),
    ...report.logs.map(({ timeNs }) => timeNs),
    ...report.metrics.flatMap(({ series }) =>
      series.flatMap(({ points }) => points.map(({ timeNs }) => timeNs))
    ),
  ];
  let first = last;
  for (const time of times) if (BigInt(time) < first) first = BigInt(time);
  // A little room, so that what came first is not at the very edge.
  const begin = first - (last - first) / 25n;
  return String(first === last || begin < from ? from : begin);
}
