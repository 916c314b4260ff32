/**
 * A request that is too large, in two or more: by spans, log records or data points, each with the
 * resource and scope it had.
 *
 * @module
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Signal } from "../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type Metric,
} from "../proto/gen/otlp_pb.ts";
import type { Outcome } from "./send.ts";

/** Part of a request, which is an export request itself. */
export interface Part {
  readonly body: Uint8Array;
  /** Spans, data points or log records in it, at least one. */
  readonly items: number;
}

/** The items of a list that are to be kept. */
type Take = <T>(items: T[]) => T[];

/**
 * The two halves of an export request (protobuf bytes), neither of them empty; null where there are
 * none: it holds a single item, or is no such request.
 */
export function halve(signal: Signal, body: Uint8Array): readonly [Part, Part] | null {
  let items = 0;
  const count: Take = (list) => {
    items += list.length;
    return list;
  };
  try {
    reduce(signal, body, count);
    if (items < 2) return null;
    const middle = items >> 1;
    return [
      { body: reduce(signal, body, between(0, middle)), items: middle },
      { body: reduce(signal, body, between(middle, items)), items: items - middle },
    ];
  } catch {
    return null;
  }
}

/**
 * A request in parts of at most so many items and, where more than one item is in a part, so many
 * bytes. One that is small enough is given back as it is.
 *
 * @throws Error when the bytes are no such request.
 */
export function splitRequest(
  signal: Signal,
  body: Uint8Array,
  maxItems: number,
  maxBytes: number,
): Part[] {
  let items = 0;
  reduce(signal, body, (list) => {
    items += list.length;
    return list;
  });
  const halves = items > maxItems || body.length > maxBytes ? halve(signal, body) : null;
  if (halves === null) return [{ body, items }];
  return halves.flatMap((half) => splitRequest(signal, half.body, maxItems, maxBytes));
}

/** Keeps items by where they are in the request as a whole, `begin` to `end` (excluded). */
function between(begin: number, end: number): Take {
  let at = 0;
  return (list) => {
    const kept = list.slice(Math.max(0, begin - at), Math.max(0, end - at));
    at += list.length;
    return kept;
  };
}

/** The request with some of its items, and without what would be empty then. */
function reduce(signal: Signal, body: Uint8Array, take: Take): Uint8Array {
  switch (signal) {
    case "traces": {
      const request = fromBinary(ExportTraceServiceRequestSchema, body);
      request.resourceSpans = request.resourceSpans.filter((resource) => {
        resource.scopeSpans = resource.scopeSpans.filter((scope) => {
          scope.spans = take(scope.spans);
          return scope.spans.length > 0;
        });
        return resource.scopeSpans.length > 0;
      });
      return toBinary(ExportTraceServiceRequestSchema, request);
    }
    case "logs": {
      const request = fromBinary(ExportLogsServiceRequestSchema, body);
      request.resourceLogs = request.resourceLogs.filter((resource) => {
        resource.scopeLogs = resource.scopeLogs.filter((scope) => {
          scope.logRecords = take(scope.logRecords);
          return scope.logRecords.length > 0;
        });
        return resource.scopeLogs.length > 0;
      });
      return toBinary(ExportLogsServiceRequestSchema, request);
    }
    case "metrics": {
      const request = fromBinary(ExportMetricsServiceRequestSchema, body);
      request.resourceMetrics = request.resourceMetrics.filter((resource) => {
        resource.scopeMetrics = resource.scopeMetrics.filter((scope) => {
          scope.metrics = scope.metrics.filter((metric) => reducePoints(metric, take));
          return scope.metrics.length > 0;
        });
        return resource.scopeMetrics.length > 0;
      });
      return toBinary(ExportMetricsServiceRequestSchema, request);
    }
  }
}

/** False when no point is left. */
function reducePoints({ data }: Metric, take: Take): boolean {
  if (data.case === undefined) return false;
  const { value } = data;
  // One list, whatever its points are: the types of TypeScript can't say so.
  const points = value as { dataPoints: unknown[] };
  points.dataPoints = take(points.dataPoints);
  return points.dataPoints.length > 0;
}

/** What became of a request that was sent in two parts. */
export function addOutcomes(one: Outcome, two: Outcome): Outcome {
  const reason = one.reason ?? two.reason;
  return {
    accepted: one.accepted + two.accepted,
    rejected: one.rejected + two.rejected,
    dropped: one.dropped + two.dropped,
    ...(reason === undefined ? {} : { reason }),
    ...(one.gaveUp || two.gaveUp ? { gaveUp: true } : {}),
  };
}
