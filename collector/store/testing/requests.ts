/**
 * Requests for tests, short to write.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  create,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  AnyValueSchema,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type LogRecordSchema,
  type MetricSchema,
  type SpanSchema,
} from "../../../proto/gen/otlp_pb.ts";
import type { Value } from "../queries/types.ts";
import type { Incoming } from "../store.ts";

/** Attributes by key. */
export type Values = Readonly<Record<string, Value>>;
type KeyValues = { key: string; value: ReturnType<typeof anyValue> }[];

/** 2025-10-09, nanoseconds since the epoch. */
export const T0 = 1_760_000_000_000_000_000n;

/** A value of protobuf. */
export function anyValue(value: Value): ReturnType<typeof fromJson<typeof AnyValueSchema>> {
  return fromJson(AnyValueSchema, value as JsonValue);
}

/** Attributes of protobuf. */
export function keyValues(values: Values): KeyValues {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

/** An id: the number at its end. */
export function id(size: number, number: number): Uint8Array {
  return Buffer.from(number.toString(16).padStart(size * 2, "0"), "hex");
}

/** The same as hex. */
export function hexId(size: number, number: number): string {
  return number.toString(16).padStart(size * 2, "0");
}

/** A span, with what is not said left out. */
export function span(
  trace: number,
  number: number,
  more: MessageInitShape<typeof SpanSchema> & { values?: Values } = {},
): MessageInitShape<typeof SpanSchema> {
  const { values, ...rest } = more;
  return {
    traceId: id(16, trace),
    spanId: id(8, number),
    name: `span ${number}`,
    kind: 1,
    startTimeUnixNano: T0 + BigInt(number) * 1_000_000n,
    endTimeUnixNano: T0 + BigInt(number) * 1_000_000n + 5_000_000n,
    attributes: keyValues(values ?? {}),
    ...rest,
  } as MessageInitShape<typeof SpanSchema>;
}

function resource(service: string, more: Values): { attributes: KeyValues } {
  return { attributes: keyValues({ "service.name": { stringValue: service }, ...more }) };
}

/** Spans of one service. */
export function traces(
  service: string,
  spans: readonly MessageInitShape<typeof SpanSchema>[],
  more: Values = {},
): Incoming {
  const body = toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, {
      resourceSpans: [{
        resource: resource(service, more),
        scopeSpans: [{ scope: { name: "test", version: "1" }, spans: [...spans] }],
      }],
    }),
  );
  return { signal: "traces", body, items: spans.length };
}

/** Log records of one service. */
export function logs(
  service: string,
  logRecords: readonly MessageInitShape<typeof LogRecordSchema>[],
): Incoming {
  const body = toBinary(
    ExportLogsServiceRequestSchema,
    create(ExportLogsServiceRequestSchema, {
      resourceLogs: [{
        resource: resource(service, {}),
        scopeLogs: [{ scope: { name: "test" }, logRecords: [...logRecords] }],
      }],
    }),
  );
  return { signal: "logs", body, items: logRecords.length };
}

/** Metrics of one service, with `items` points. */
export function metrics(
  service: string,
  items: number,
  list: readonly MessageInitShape<typeof MetricSchema>[],
): Incoming {
  const body = toBinary(
    ExportMetricsServiceRequestSchema,
    create(ExportMetricsServiceRequestSchema, {
      resourceMetrics: [{
        resource: resource(service, {}),
        scopeMetrics: [{ scope: { name: "test" }, metrics: [...list] }],
      }],
    }),
  );
  return { signal: "metrics", body, items };
}
