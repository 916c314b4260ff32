/**
 * Parts a request that is too large into several that are not: by spans, log records or data points,
 * each with the resource and scope it had.
 *
 * @module
 */
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type Metric,
} from "../../proto/gen/otlp_pb.ts";
import { DECODING } from "./decoding.ts";
import type { Outcome } from "./send.ts";

/** A request, or a part of one. */
export interface Part {
  readonly body: Uint8Array;
  /** Spans, data points or log records in it. */
  readonly items: number;
}

/** What the three signals have in common: items in scopes in resources. */
interface Tree {
  readonly schema: DescMessage;
  readonly resources: string;
  readonly scopes: string;
  readonly items: string;
}

const TREES: Readonly<Record<Signal, Tree>> = {
  traces: {
    schema: ExportTraceServiceRequestSchema,
    resources: "resourceSpans",
    scopes: "scopeSpans",
    items: "spans",
  },
  metrics: {
    schema: ExportMetricsServiceRequestSchema,
    resources: "resourceMetrics",
    scopes: "scopeMetrics",
    items: "metrics",
  },
  logs: {
    schema: ExportLogsServiceRequestSchema,
    resources: "resourceLogs",
    scopes: "scopeLogs",
    items: "logRecords",
  },
};

type Node = Record<string, Node[]>;

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
  const tree = TREES[signal];
  const message = fromBinary(tree.schema, body, DECODING) as Message & Node;
  const items = countItems(tree, message);
  if (items <= 1 || (items <= maxItems && body.length <= maxBytes)) return [{ body, items }];
  // As many as fit if all were of one size; a part that is too large all the same is parted again.
  const fitting = Math.floor(items * maxBytes / body.length);
  const limit = Math.max(1, Math.min(maxItems, fitting, items - 1));
  return cut(tree, message, limit).flatMap((part) =>
    splitRequest(signal, toBinary(tree.schema, part), maxItems, maxBytes)
  );
}

/**
 * The two halves of a request, neither of them empty; null where there are none: it holds a single
 * item, or is no such request.
 */
export function halve(signal: Signal, body: Uint8Array): readonly [Part, Part] | null {
  const tree = TREES[signal];
  try {
    const message = fromBinary(tree.schema, body, DECODING) as Message & Node;
    const items = countItems(tree, message);
    if (items < 2) return null;
    const first = Math.ceil(items / 2);
    const [one, two] = cut(tree, message, first).map((part) => toBinary(tree.schema, part));
    return [{ body: one, items: first }, { body: two, items: items - first }];
  } catch {
    return null;
  }
}

function countItems(tree: Tree, message: Node): number {
  let count = 0;
  for (const resource of message[tree.resources]) {
    for (const scope of resource[tree.scopes]) {
      for (const item of scope[tree.items]) count += pieces(item).length;
    }
  }
  return count;
}

/** A metric is as many items as it has points. */
function pieces(item: unknown): unknown[] {
  const { $typeName, data } = item as Metric;
  if ($typeName !== "otlp.v1.Metric") return [item];
  return data.case === undefined ? [] : data.value.dataPoints;
}

function withPieces(item: unknown, from: number, to: number): Node {
  const metric = item as Metric;
  if (metric.$typeName !== "otlp.v1.Metric" || metric.data.case === undefined) return item as Node;
  const { value } = metric.data;
  const points = (value.dataPoints as unknown[]).slice(from, to);
  return {
    ...metric,
    data: { ...metric.data, value: { ...value, dataPoints: points } },
  } as unknown as Node;
}

function cut(tree: Tree, message: Message & Node, limit: number): (Message & Node)[] {
  const parts: (Message & Node)[] = [];
  let room = 0;
  for (const resource of message[tree.resources]) {
    let resourceCopy: Node | null = null;
    for (const scope of resource[tree.scopes]) {
      let scopeCopy: Node | null = null;
      for (const item of scope[tree.items]) {
        const count = pieces(item).length;
        for (let from = 0; from < count;) {
          if (room === 0) {
            parts.push({ ...message, [tree.resources]: [] } as unknown as Message & Node);
            room = limit;
            resourceCopy = null;
          }
          if (resourceCopy === null) {
            resourceCopy = { ...resource, [tree.scopes]: [] };
            parts[parts.length - 1][tree.resources].push(resourceCopy);
            scopeCopy = null;
          }
          if (scopeCopy === null) {
            scopeCopy = { ...scope, [tree.items]: [] };
            resourceCopy[tree.scopes].push(scopeCopy);
          }
          const to = Math.min(count, from + room);
          scopeCopy[tree.items].push(withPieces(item, from, to));
          room -= to - from;
          from = to;
        }
      }
    }
  }
  return parts;
}

/** What became of a request that was sent in two parts; what is left of them is not said. */
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

/** What was given up of a request. */
export function leftOf({ gaveUp, left }: Outcome, whole: Part): readonly Part[] {
  return left ?? (gaveUp ? [whole] : []);
}
