/**
 * Runs a program on the OpenTelemetry SDK for JavaScript: `peer.ts PROGRAM ENDPOINT`.
 *
 * @module
 */
import process from "node:process";
import { context, logs, metrics, propagation, trace } from "@opentelemetry/api";
import { logs as olderLogs } from "@opentelemetry/api-logs";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AggregationType,
  createAllowListAttributesProcessor,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type ViewOptions,
} from "@opentelemetry/sdk-metrics";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { View } from "../../mod.ts";
import { PROGRAMS } from "./programs.ts";

const [name, endpoint] = process.argv.slice(2);
const { settings = {}, run } = PROGRAMS[name];
const { limits } = settings;
// Its exporter reads what has no option from the environment.
if (settings.temporality !== undefined) {
  process.env.OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE = settings.temporality;
}
const resource = resourceFromAttributes({ "service.name": name, "resource.list": ["a", "b"] });
const samplers = {
  always_on: new AlwaysOnSampler(),
  always_off: new AlwaysOffSampler(),
  parentbased_always_off: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
};

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(
  new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  }),
);
const tracerProvider = new TracerProvider({
  resource,
  sampler: samplers[settings.sampler ?? "always_on"],
  spanLimits: limits,
  spanProcessors: [
    new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }) }),
  ],
});
const loggerProvider = new LoggerProvider({
  resource,
  logRecordLimits: limits,
  processors: [
    new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${endpoint}/v1/logs` }) }),
  ],
});
const exporter = new OTLPMetricExporter({
  url: `${endpoint}/v1/metrics`,
  aggregationPreference: (type) => ({
    type: settings.histograms === "exponential" && type === InstrumentType.HISTOGRAM
      ? AggregationType.EXPONENTIAL_HISTOGRAM
      : AggregationType.DEFAULT,
  }),
});
const meterProvider = new MeterProvider({
  resource,
  views: (settings.views ?? []).map(viewOptions),
  readers: [
    new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 }),
  ],
});
trace.setGlobalTracerProvider(tracerProvider);
logs.setGlobalLoggerProvider(loggerProvider);
olderLogs.setGlobalLoggerProvider(loggerProvider as never);
metrics.setGlobalMeterProvider(meterProvider);
await run();
await Promise.all([
  tracerProvider.shutdown(),
  loggerProvider.shutdown(),
  meterProvider.shutdown(),
]);
process.exit();

function viewOptions(view: View): ViewOptions {
  const types = {
    default: AggregationType.DEFAULT,
    drop: AggregationType.DROP,
    sum: AggregationType.SUM,
    last_value: AggregationType.LAST_VALUE,
    explicit_bucket_histogram: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
    exponential_histogram: AggregationType.EXPONENTIAL_HISTOGRAM,
  } as const;
  const { aggregation, attributeKeys, instrumentType: _, ...rest } = view;
  const { type = "default", ...options } = aggregation ?? {};
  return {
    ...rest,
    aggregation: aggregation && { type: types[type], options } as never,
    attributesProcessors: attributeKeys &&
      [createAllowListAttributesProcessor([...attributeKeys])],
  };
}
