/**
 * Records something of everything with the OpenTelemetry SDK for JavaScript, and sends it with the
 * exporters of a protocol: `exporting.ts PROTOCOL`. Where to, and how, is in OTEL_EXPORTER_OTLP_*.
 * Prints a line for each request: the signal, and its protobuf in base64 by the SDK's own serializer.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import { OTLPLogExporter as LogsGrpc } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as LogsJson } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as LogsProto } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as MetricsGrpc } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as MetricsJson } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as MetricsProto } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as TracesGrpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as TracesJson } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as TracesProto } from "@opentelemetry/exporter-trace-otlp-proto";
import {
  type ISerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const protocol = process.argv[2] as "proto" | "json" | "grpc";
const exporters = {
  proto: () => [new TracesProto(), new MetricsProto(), new LogsProto()] as const,
  json: () => [new TracesJson(), new MetricsJson(), new LogsJson()] as const,
  grpc: () => [new TracesGrpc(), new MetricsGrpc(), new LogsGrpc()] as const,
};
const [traces, metrics, logs] = exporters[protocol]();

interface Exporter<T> {
  export(items: T, done: (result: { code: number; error?: Error }) => void): void;
}

/** Prints what is exported, and ends with 1 when that fails. */
function tell<T, E extends Exporter<T>>(
  signal: string,
  exporter: E,
  // deno-lint-ignore no-explicit-any -- the response is of no interest
  serializer: ISerializer<T, any>,
): E {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => {
    const body = serializer.serializeRequest(items)!;
    console.log(`${signal} ${Buffer.from(body).toString("base64")}`);
    send(items, (result) => {
      if (result.code !== 0) {
        console.error(result.error);
        process.exitCode = 1;
      }
      done(result);
    });
  };
  return exporter;
}

const resource = resourceFromAttributes({
  "service.name": "exporting",
  "list": ["a", "b"],
  "n": 1,
});

const tracers = new TracerProvider({
  resource,
  spanProcessors: [
    new BatchSpanProcessor({ exporter: tell("traces", traces, ProtobufTraceSerializer) }),
  ],
});
const tracer = tracers.getTracer("scope", "1.2.3", { schemaUrl: "https://schema.example/1" });
const remote = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
};
const parent = tracer.startSpan("parent €𝄞", {
  kind: SpanKind.SERVER,
  attributes: {
    text: "é",
    empty: "",
    int: -1,
    double: 0.5,
    large: 1e300,
    bool: false,
    texts: ["a", ""],
    ints: [1, -2],
    // The exporter for JSON has no NaN: it sends null.
    doubles: protocol === "json" ? [0.5] : [0.5, NaN],
    bools: [true],
  },
  links: [{ context: remote, attributes: { why: "link" } }],
  startTime: [1_780_000_000, 123_456_789],
}, trace.setSpanContext(ROOT_CONTEXT, remote));
parent.addEvent("event", { n: 7 }, [1_780_000_000, 223_456_789]);
parent.recordException(new Error("broken"));
parent.setStatus({ code: SpanStatusCode.ERROR, message: "it broke" });
const context = trace.setSpan(ROOT_CONTEXT, parent);
tracer.startSpan("child", { kind: SpanKind.CLIENT }, context).end();
tracers.getTracer("other").startSpan("producer", { kind: SpanKind.PRODUCER }, context).end();
parent.end([1_780_000_001, 999_999_999]);

const loggers = new LoggerProvider({
  resource,
  processors: [
    new SimpleLogRecordProcessor({ exporter: tell("logs", logs, ProtobufLogsSerializer) }),
  ],
});
loggers.getLogger("logger", "2").emit({
  timestamp: [1_780_000_000, 1],
  observedTimestamp: [1_780_000_000, 2],
  severityNumber: 17,
  severityText: "ERROR",
  eventName: "shop.order",
  body: { text: "é", list: [1, 2.5, null, true, { deep: new Uint8Array([0, 255]) }], none: null },
  attributes: { bytes: new Uint8Array([1, 2, 3]), map: { a: { b: [true] } } },
  context,
});

const meters = new MeterProvider({
  resource,
  views: [{
    instrumentName: "exponential",
    aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
  }],
  readers: [
    new PeriodicExportingMetricReader({
      exporter: tell("metrics", metrics, ProtobufMetricsSerializer),
      exportIntervalMillis: 3_600_000,
    }),
  ],
});
const meter = meters.getMeter("meter", "3");
meter.createCounter("counter", { unit: "{thing}", description: "things" }).add(3, { a: "b" });
meter.createUpDownCounter("up_down").add(-2.5);
meter.createGauge("gauge").record(7, { list: ["x"] });
const histogram = meter.createHistogram("histogram", {
  advice: { explicitBucketBoundaries: [1, 10] },
});
for (const value of [0.5, 5, 50]) histogram.record(value);
const exponential = meter.createHistogram("exponential");
for (const value of [0, 0.001, 1, 1000]) exponential.record(value);

await tracers.forceFlush();
await meters.forceFlush();
await loggers.forceFlush();
await Promise.all([traces.shutdown(), logs.shutdown(), metrics.shutdown()]);
process.exit();
