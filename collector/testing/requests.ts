/**
 * Export requests with something in every field.
 *
 * @module
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AnyValue,
  AnyValueSchema,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type KeyValue,
  KeyValueSchema,
} from "../../proto/gen/otlp_pb.ts";
import type { Signal } from "../../lib/otlp/request.ts";

const TRACE = Uint8Array.from({ length: 16 }, (_, i) => i * 16 + 1);
const SPAN = Uint8Array.from({ length: 8 }, (_, i) => 255 - i);
const START = 1_700_000_000_123_456_789n;

const any = (value: MessageInitShape<typeof AnyValueSchema>["value"]): AnyValue =>
  create(AnyValueSchema, { value });
const text = (value: string): AnyValue => any({ case: "stringValue", value });
const map = (values: Record<string, AnyValue>): KeyValue[] =>
  Object.entries(values).map(([key, value]) => create(KeyValueSchema, { key, value }));
const NESTED = any({
  case: "arrayValue",
  value: {
    values: [text("a"), any({ case: "kvlistValue", value: { values: map({ k: text("v") }) } })],
  },
});
const ATTRIBUTES = map({
  text: text("é€𝄞"),
  long: text("x".repeat(100) + "é"),
  bytes: any({ case: "bytesValue", value: SPAN }),
  int: any({ case: "intValue", value: -(2n ** 63n) }),
  double: any({ case: "doubleValue", value: 0.1 }),
  bool: any({ case: "boolValue", value: true }),
  nested: NESTED,
});
const resource = {
  attributes: [...map({ "service.name": text("shop") }), ...ATTRIBUTES],
  droppedAttributesCount: 1,
};
const scope = { name: "scope", version: "1", attributes: ATTRIBUTES, droppedAttributesCount: 2 };
const schemaUrl = "https://schema.example/1";
const exemplars = [{
  traceId: TRACE,
  spanId: SPAN,
  timeUnixNano: START,
  filteredAttributes: ATTRIBUTES,
  value: { case: "asDouble", value: 1.5 } as const,
}];
const point = {
  attributes: ATTRIBUTES,
  startTimeUnixNano: START,
  timeUnixNano: START + 1n,
  exemplars,
  flags: 1,
};

/** Two spans, five data points, one log record. */
export const EVERYTHING: Readonly<Record<Signal, { body: Uint8Array; items: number }>> = {
  traces: {
    items: 2,
    body: toBinary(
      ExportTraceServiceRequestSchema,
      create(ExportTraceServiceRequestSchema, {
        resourceSpans: [{
          resource,
          schemaUrl,
          scopeSpans: [{
            scope,
            schemaUrl,
            spans: [{
              traceId: TRACE,
              spanId: SPAN,
              parentSpanId: SPAN,
              traceState: "a=1",
              flags: 0x301,
              name: "GET /é",
              kind: 2,
              startTimeUnixNano: START,
              endTimeUnixNano: START + 5n,
              attributes: ATTRIBUTES,
              droppedAttributesCount: 3,
              events: [{
                name: "event",
                timeUnixNano: START,
                attributes: ATTRIBUTES,
                droppedAttributesCount: 1,
              }],
              droppedEventsCount: 4,
              links: [{ traceId: TRACE, spanId: SPAN, traceState: "b=2", attributes: ATTRIBUTES }],
              droppedLinksCount: 5,
              status: { code: 2, message: "broken" },
            }, { traceId: TRACE, spanId: SPAN, name: "root" }],
          }],
        }],
      }),
    ),
  },
  metrics: {
    items: 5,
    body: toBinary(
      ExportMetricsServiceRequestSchema,
      create(ExportMetricsServiceRequestSchema, {
        resourceMetrics: [{
          resource,
          scopeMetrics: [{
            scope,
            metrics: [
              {
                name: "gauge",
                unit: "s",
                description: "a gauge",
                metadata: ATTRIBUTES,
                data: {
                  case: "gauge",
                  value: { dataPoints: [{ ...point, value: { case: "asInt", value: -5n } }] },
                },
              },
              {
                name: "sum",
                data: {
                  case: "sum",
                  value: {
                    aggregationTemporality: 2,
                    isMonotonic: true,
                    dataPoints: [{ ...point, value: { case: "asDouble", value: 0.5 } }],
                  },
                },
              },
              {
                name: "histogram",
                data: {
                  case: "histogram",
                  value: {
                    aggregationTemporality: 1,
                    dataPoints: [{
                      ...point,
                      count: 3n,
                      sum: 4,
                      min: 1,
                      max: 2,
                      bucketCounts: [1n, 2n, 300n],
                      explicitBounds: [0.5, 1],
                    }],
                  },
                },
              },
              {
                name: "exponential",
                data: {
                  case: "exponentialHistogram",
                  value: {
                    aggregationTemporality: 2,
                    dataPoints: [{
                      ...point,
                      count: 4n,
                      scale: -3,
                      zeroCount: 1n,
                      zeroThreshold: 0.25,
                      positive: { offset: -2, bucketCounts: [1n, 2n] },
                      negative: { offset: 3, bucketCounts: [1n] },
                    }],
                  },
                },
              },
              {
                name: "summary",
                data: {
                  case: "summary",
                  value: {
                    dataPoints: [{
                      attributes: ATTRIBUTES,
                      timeUnixNano: START,
                      count: 2n,
                      sum: 3,
                      quantileValues: [{ quantile: 0.5, value: 1.5 }],
                    }],
                  },
                },
              },
            ],
          }],
        }],
      }),
    ),
  },
  logs: {
    items: 1,
    body: toBinary(
      ExportLogsServiceRequestSchema,
      create(ExportLogsServiceRequestSchema, {
        resourceLogs: [{
          resource,
          scopeLogs: [{
            scope,
            logRecords: [{
              traceId: TRACE,
              spanId: SPAN,
              timeUnixNano: START,
              observedTimeUnixNano: START + 1n,
              severityNumber: 17,
              severityText: "ERROR",
              eventName: "shop.order",
              body: NESTED,
              attributes: ATTRIBUTES,
              droppedAttributesCount: 1,
              flags: 1,
            }],
          }],
        }],
      }),
    ),
  },
};
