/**
 * Runs programs on the OpenTelemetry SDK for JavaScript, one after the other:
 * `peer.ts ENDPOINT PROGRAM...`.
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
  createDenyListAttributesProcessor,
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
import { logLimitsOf, samplerOf, spanLimitsOf } from "./variables.ts";

const [endpoint, ...names] = process.argv.slice(2);
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
for (const name of names) await runProgram(name);
process.exit();

async function runProgram(name: string): Promise<void> {
  const { settings = {}, run } = PROGRAMS[name];
  const { limits, variables = {} } = settings;
  const resource = resourceFromAttributes({ "service.name": name, "resource.list": ["a", "b"] });
  const spans = new OTLPTraceExporter({ url: `${endpoint}/v1/traces` });
  const tracerProvider = new TracerProvider({
    resource,
    sampler: settings.sampler === undefined ? samplerOf(variables) : samplers[settings.sampler],
    spanLimits: limits ?? spanLimitsOf(variables),
    spanProcessors: [new BatchSpanProcessor({ exporter: spans })],
  });
  const records = new OTLPLogExporter({ url: `${endpoint}/v1/logs` });
  const loggerProvider = new LoggerProvider({
    resource,
    logRecordLimits: limits ?? logLimitsOf(variables),
    processors: [new BatchLogRecordProcessor({ exporter: records })],
  });
  // Its exporter reads what has no option from the environment.
  process.env.OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE = settings.temporality ??
    "cumulative";
  const exporter = new OTLPMetricExporter({
    url: `${endpoint}/v1/metrics`,
    aggregationPreference: (type) => ({
      type: settings.histograms === "exponential" && type === InstrumentType.HISTOGRAM
        ? AggregationType.EXPONENTIAL_HISTOGRAM
        : AggregationType.DEFAULT,
    }),
  });
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({
    resource,
    views: (settings.views ?? []).map(viewOptions),
    readers: [reader],
  });
  trace.setGlobalTracerProvider(tracerProvider);
  logs.setGlobalLoggerProvider(loggerProvider);
  olderLogs.setGlobalLoggerProvider(loggerProvider as never);
  metrics.setGlobalMeterProvider(meterProvider);
  await run(() => reader.collect());
  await Promise.all([
    tracerProvider.shutdown(),
    loggerProvider.shutdown(),
    meterProvider.shutdown(),
  ]);
  for (const api of [trace, logs, olderLogs, metrics]) api.disable();
}

function viewOptions(view: View): ViewOptions {
  const types = {
    default: AggregationType.DEFAULT,
    drop: AggregationType.DROP,
    sum: AggregationType.SUM,
    last_value: AggregationType.LAST_VALUE,
    explicit_bucket_histogram: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
    exponential_histogram: AggregationType.EXPONENTIAL_HISTOGRAM,
  } as const;
  const { aggregation, attributeKeys, excludedAttributeKeys, instrumentType, ...rest } = view;
  const processors = [
    ...attributeKeys ? [createAllowListAttributesProcessor([...attributeKeys])] : [],
    ...excludedAttributeKeys ? [createDenyListAttributesProcessor([...excludedAttributeKeys])] : [],
  ];
  const { type = "default", ...options } = aggregation ?? {};
  return {
    ...rest,
    instrumentType: instrumentType &&
      InstrumentType[instrumentType.toUpperCase() as keyof typeof InstrumentType],
    aggregation: aggregation && {
      type: types[type],
      // Given, they must be whole there.
      options: Object.keys(options).length > 0 ? options : undefined,
    } as never,
    attributesProcessors: processors.length > 0 ? processors : undefined,
  };
}
