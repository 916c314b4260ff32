/**
 * What collectors stored or sent of the programs in tests/testdata/journal-load.ts, compared with what
 * these recorded: everything once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { openSpool } from "../../lib/spool/mod.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import {
  type CollectedLog,
  type CollectedMetric,
  type CollectedSpan,
  logsOf,
  metricsOf,
  pointsOf,
  spansOf,
} from "./collect.ts";
import { isInterrupted, plainAttributes } from "./collector.ts";

/** What a load program says of itself. */
export interface Recorded {
  /** Spans and log records: each has a number below this. */
  readonly number: number;
  /** Spans that are open. */
  readonly open: number;
  /** By series: the sum of the counter, and the measurements of the histogram. */
  readonly sums: readonly number[];
  readonly counts: readonly number[];
  /** Its file. */
  readonly path: string;
}

/** Everything that arrived. */
export interface Arrived {
  readonly spans: readonly CollectedSpan[];
  readonly logs: readonly CollectedLog[];
  readonly metrics: readonly CollectedMetric[];
}

/** Everything in a spool whose collector is over; empties it. */
export function takeStored(folder: string): Arrived {
  const spool = openSpool(folder, { maxBytes: 2 ** 31, sync: "none" });
  const bodies = (signal: "traces" | "metrics" | "logs"): Uint8Array[] => {
    const all: Uint8Array[] = [];
    for (let next = spool.next(signal); next !== null; next = spool.next(signal)) {
      // Its bytes are used again.
      all.push(Uint8Array.from(next.body));
      spool.acknowledge(next.id);
    }
    return all;
  };
  try {
    return decode({
      bodies: bodies("traces"),
      metrics: bodies("metrics"),
      logs: bodies("logs"),
    });
  } finally {
    spool.close();
  }
}

/** Requests as what is in them. */
export function decode(sent: {
  bodies: readonly Uint8Array[];
  metrics: readonly Uint8Array[];
  logs: readonly Uint8Array[];
}): Arrived {
  return {
    spans: sent.bodies.flatMap((body) =>
      spansOf(fromBinary(ExportTraceServiceRequestSchema, body))
    ),
    logs: sent.logs.flatMap((body) => logsOf(fromBinary(ExportLogsServiceRequestSchema, body))),
    metrics: sent.metrics.flatMap((body) =>
      metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body))
    ),
  };
}

/** How often things came more than once. */
export interface Repeated {
  readonly spans: number;
  readonly logs: number;
  readonly points: number;
}

/**
 * Asserts that everything a program recorded has arrived, whole, and nothing else of it. Returns how
 * much of that came again.
 *
 * @param interrupted Its spans that had no end.
 * @param begins How often series began anew, of cumulative ones.
 */
export function assertComplete(
  arrived: Arrived,
  name: string,
  temporality: "cumulative" | "delta",
  { number, sums, counts }: Recorded,
  interrupted: number,
  begins = 1,
): Repeated {
  const isIts = ({ resource }: { resource: { resource?: { attributes: [] | unknown[] } } }) =>
    plainAttributes(resource.resource!.attributes as never)["service.name"] === name;
  const spans = arrived.spans.filter(isIts);
  const numbers = new Set<number>();
  const withoutEnd = new Set<string>();
  for (const each of spans) {
    const { span } = each;
    const { i, late } = plainAttributes(span.attributes);
    assert.equal(span.name, `${name} ${i}`);
    assert.equal(span.events.length, 1, `events of ${span.name}`);
    if (isInterrupted(each)) withoutEnd.add(span.name);
    else assert.equal(late, true, `${span.name} without what came late`);
    numbers.add(Number(i));
  }
  assert.equal(numbers.size, number, `spans of ${name}`);
  assert.equal(withoutEnd.size, interrupted, `interrupted spans of ${name}`);

  const logs = arrived.logs.filter(isIts);
  const bodies = new Set(logs.map(({ log }) => String(log.body?.value.value)));
  assert.equal(bodies.size, number, `log records of ${name}`);

  const points = pointsOfEach(arrived.metrics.filter(isIts), temporality);
  for (const [metric, expected] of [["counted", sums], ["spread", counts]] as const) {
    const actual = expected.map((_, series) => points.values.get(`${metric} ${series}`) ?? 0);
    assert.deepEqual(actual, expected, `${metric} of ${name}`);
  }
  if (temporality === "cumulative") {
    assert.equal(points.starts.size, begins * points.values.size, "begins of series");
  }
  return {
    spans: spans.length - numbers.size,
    logs: logs.length - bodies.size,
    points: points.repeated,
  };
}

/** The value of each series after all its points, and when these began. */
function pointsOfEach(
  metrics: readonly CollectedMetric[],
  temporality: "cumulative" | "delta",
): { values: Map<string, number>; starts: Set<string>; repeated: number } {
  const values = new Map<string, number>();
  const starts = new Set<string>();
  const seen = new Set<string>();
  let repeated = 0;
  for (const { metric } of metrics) {
    for (const point of pointsOf(metric)) {
      const key = `${metric.name} ${plainAttributes(point.attributes).series}`;
      const id = `${key} ${point.timeUnixNano}`;
      // A point that is sent again is the same point.
      if (seen.has(id)) {
        repeated++;
        continue;
      }
      seen.add(id);
      starts.add(`${key} ${point.startTimeUnixNano}`);
      const value = Number(
        "count" in point ? point.count : (point as { value: { value?: unknown } }).value.value,
      );
      const before = values.get(key) ?? 0;
      if (temporality === "delta") values.set(key, before + value);
      else {
        assert.ok(value >= before, `${key} went from ${before} to ${value}`);
        values.set(key, value);
      }
    }
  }
  return { values, starts, repeated };
}
