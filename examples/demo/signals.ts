/**
 * Log records and metrics, as far as the demo shows them.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { hex, textOf } from "./traces.ts";

/** A log record. */
export interface DemoLog {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly severity: string;
  readonly text: string;
  /** ns since the Unix epoch. */
  readonly time: bigint;
}

/** One series of a metric as of its last point. */
export interface DemoSeries {
  readonly service: string;
  readonly name: string;
  readonly attributes: string;
  /** Of counters the sum, of histograms the number of values. */
  readonly value: number;
  /** Of histograms: the sum of the values. */
  readonly sum?: number;
  /** Trace ids of its exemplars. */
  readonly exemplars: readonly string[];
}

/** The log records of one OTLP request. */
export function decodeLogs(body: Uint8Array): DemoLog[] {
  const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, body);
  return resourceLogs.flatMap(({ resource, scopeLogs }) => {
    const service = textOf(resource?.attributes ?? [], "service.name");
    return scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map((log) => ({
        service,
        traceId: hex(log.traceId),
        spanId: hex(log.spanId),
        severity: log.severityText,
        text: String(log.body?.value.value ?? ""),
        time: log.timeUnixNano,
      }))
    );
  });
}

/** The series of one OTLP request. */
export function decodeMetrics(body: Uint8Array): DemoSeries[] {
  const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, body);
  const series: DemoSeries[] = [];
  for (const { resource, scopeMetrics } of resourceMetrics) {
    const service = textOf(resource?.attributes ?? [], "service.name");
    for (const { name, data } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      if (data.case !== "sum" && data.case !== "histogram") continue;
      for (const point of data.value.dataPoints) {
        const attributes = point.attributes
          .map(({ key, value }) => `${key}=${String(value?.value.value)}`).sort().join(" ");
        const exemplars = point.exemplars.map(({ traceId }) => hex(traceId));
        const figures = "count" in point
          ? { value: Number(point.count), sum: point.sum }
          : { value: Number(point.value.value) };
        series.push({ service, name, attributes, exemplars, ...figures });
      }
    }
  }
  return series;
}
