/**
 * The OpenTelemetry SDK for JavaScript: batch span processor with its defaults, OTLP over HTTP.
 *
 * @module
 */
import { context, diag, DiagLogLevel, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { measure } from "./load.ts";

await measure((plan) => {
  const losses: Record<string, number> = {};
  const note = (message: string): void => {
    const dropped = /^Dropped (\d+) spans/.exec(message)?.[1];
    const reason = dropped === undefined ? message : "spans dropped because maxQueueSize reached";
    losses[reason] = (losses[reason] ?? 0) + Number(dropped ?? 1);
  };
  const ignore = (): void => {};
  diag.setLogger(
    { error: note, warn: note, info: ignore, debug: ignore, verbose: ignore },
    DiagLogLevel.WARN,
  );
  const exporter = new OTLPTraceExporter({ url: `${plan.endpoint}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "bench" }),
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  return {
    flush: () => provider.forceFlush(),
    losses: () => losses,
    close: () => provider.shutdown(),
  };
});
