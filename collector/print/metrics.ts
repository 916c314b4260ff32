/**
 * Metrics for people: one line for each data point.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  AggregationTemporality,
  ExportMetricsServiceRequestSchema,
  type KeyValue,
  type Metric,
  type NumberDataPoint,
} from "../../proto/gen/otlp_pb.ts";
import { word } from "../text/text.ts";
import {
  BOLD,
  CYAN,
  DIM,
  formatAttributes,
  formatTime,
  MAX_VALUE,
  paint,
  type PrintStyle,
  serviceName,
} from "./values.ts";
import { DECODING } from "../send/decoding.ts";

/** Points of both kinds of histograms, as far as they are printed. */
interface HistogramPoint {
  readonly count: bigint;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
}

/** A point and what is said of its value. */
interface Line {
  readonly time: bigint;
  readonly attributes: readonly KeyValue[];
  readonly value: string;
}

const TEMPORALITIES: Record<number, string> = {
  [AggregationTemporality.DELTA]: "delta",
  [AggregationTemporality.CUMULATIVE]: "cumulative",
};

function formatNumber({ value }: NumberDataPoint): string {
  return value.case === undefined ? "-" : String(value.value);
}

function formatHistogram({ count, sum, min, max }: HistogramPoint): string {
  const parts = [`count=${count}`];
  if (sum !== undefined) parts.push(`sum=${sum}`);
  if (min !== undefined) parts.push(`min=${min}`);
  if (max !== undefined) parts.push(`max=${max}`);
  return parts.join(" ");
}

/** What a metric is, and its points. */
function linesOf({ data }: Metric): { kind: string; lines: Line[] } {
  const line = (
    { timeUnixNano, attributes }: { timeUnixNano: bigint; attributes: KeyValue[] },
    value: string,
  ): Line => ({ time: timeUnixNano, attributes, value });
  switch (data.case) {
    case "gauge":
      return {
        kind: "gauge",
        lines: data.value.dataPoints.map((point) => line(point, formatNumber(point))),
      };
    case "sum": {
      const { aggregationTemporality, dataPoints } = data.value;
      return {
        kind: `sum ${TEMPORALITIES[aggregationTemporality] ?? "?"}`,
        lines: dataPoints.map((point) => line(point, formatNumber(point))),
      };
    }
    case "histogram":
    case "exponentialHistogram": {
      const { aggregationTemporality, dataPoints } = data.value;
      return {
        kind: `histogram ${TEMPORALITIES[aggregationTemporality] ?? "?"}`,
        lines: dataPoints.map((point) => line(point, formatHistogram(point))),
      };
    }
    default:
      return { kind: "-", lines: [] };
  }
}

/** A line, with its line break, for each point of a metric. */
export function formatMetric(metric: Metric, service: string, style: PrintStyle): string {
  const { kind, lines } = linesOf(metric);
  const unit = metric.unit === "" ? "" : ` ${word(metric.unit, MAX_VALUE)}`;
  let text = "";
  for (const { time, attributes, value } of lines) {
    const parts = [
      paint(style, DIM, formatTime(time)),
      paint(style, CYAN, service),
      paint(style, BOLD, word(metric.name, MAX_VALUE)),
      kind,
      value + unit,
    ];
    if (attributes.length > 0) parts.push(formatAttributes(attributes, 0));
    text += parts.join(" ") + "\n";
  }
  return text;
}

/**
 * A line for each data point of an ExportMetricsServiceRequest: time, service, metric, kind, value
 * (of histograms count, sum, minimum, maximum), attributes.
 */
export function formatMetrics(body: Uint8Array, style: PrintStyle): string {
  const request = fromBinary(ExportMetricsServiceRequestSchema, body, DECODING);
  let text = "";
  for (const { resource, scopeMetrics } of request.resourceMetrics) {
    const service = serviceName(resource?.attributes);
    for (const { metrics } of scopeMetrics) {
      for (const metric of metrics) text += formatMetric(metric, service, style);
    }
  }
  return text;
}
