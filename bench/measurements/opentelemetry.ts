/**
 * The OpenTelemetry SDK for JavaScript: a periodic reader, every second as our collector here, OTLP
 * over HTTP.
 *
 * @module
 */
import { context, metrics } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { measure } from "./load.ts";

await measure((plan) => {
  const exporter = new OTLPMetricExporter({ url: `${plan.endpoint}/v1/metrics` });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ "service.name": "bench" }),
    readers: [
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: 1000,
        exportTimeoutMillis: 900,
      }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  metrics.setGlobalMeterProvider(provider);
  return {
    flush: () => provider.forceFlush(),
    close: () => provider.shutdown(),
  };
});
