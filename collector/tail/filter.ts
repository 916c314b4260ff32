/**
 * Which spans, log records and metrics are shown.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { LogRecord, Metric, Span } from "../../proto/gen/otlp_pb.ts";

/** What is asked for; what is left out filters nothing. */
export interface Filters {
  /** Names of services, of which one has to be it. */
  readonly services?: readonly string[];
  /** Part of the name, or all of it where it has a `*`. */
  readonly name?: string;
  /** The lowest severity number of log records. */
  readonly severity?: number;
  /** The first hexadecimal digits of the trace id. */
  readonly trace?: string;
  /** The shortest span, ms. */
  readonly minDurationMs?: number;
}

/** Filters, ready for use. */
export interface Filter {
  service(name: string): boolean;
  span(span: Span): boolean;
  log(log: LogRecord): boolean;
  metric(metric: Metric): boolean;
}

/**
 * Makes a filter. A kind of item that a filter says nothing about is hidden by it, unless another
 * filter is for that kind: with a severity alone no spans are shown, with a duration alone no logs.
 */
export function createFilter(filters: Filters): Filter {
  const { services, severity, minDurationMs } = filters;
  const hasName = nameTest(filters.name);
  const trace = filters.trace?.toLowerCase();
  const isOfTrace = (id: Uint8Array): boolean =>
    trace === undefined || Buffer.from(id).toString("hex").startsWith(trace);
  const showSpans = minDurationMs !== undefined || severity === undefined;
  const showLogs = severity !== undefined || minDurationMs === undefined;
  const minNs = BigInt(Math.round((minDurationMs ?? 0) * 1e6));
  return {
    service: (name) => services === undefined || services.includes(name),
    span: (span) =>
      showSpans && hasName(span.name) && isOfTrace(span.traceId) &&
      (minNs === 0n || span.endTimeUnixNano - span.startTimeUnixNano >= minNs),
    log: (log) =>
      showLogs && hasName(log.eventName) && isOfTrace(log.traceId) &&
      log.severityNumber >= (severity ?? 0),
    metric: ({ name }) =>
      severity === undefined && trace === undefined && minDurationMs === undefined && hasName(name),
  };
}

function nameTest(wanted: string | undefined): (name: string) => boolean {
  if (wanted === undefined) return () => true;
  const pieces = wanted.split("*");
  if (pieces.length === 1) return (name) => name.includes(wanted);
  // Not a regular expression made of it, which names from elsewhere could make slow.
  return (name) => {
    let at = 0;
    for (const [i, piece] of pieces.entries()) {
      const isLast = i === pieces.length - 1;
      const found = isLast ? name.length - piece.length : name.indexOf(piece, at);
      if (found < at || (i === 0 && found !== 0) || (isLast && !name.endsWith(piece))) return false;
      at = found + piece.length;
    }
    return true;
  };
}
