/**
 * The OpenTelemetry SDK for JavaScript: batch log record processor with its defaults, OTLP over HTTP.
 *
 * @module
 */
import { context, diag, DiagLogLevel, logs } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { measure } from "./load.ts";

await measure((plan) => {
  const losses: Record<string, number> = {};
  const note = (message: string): void => {
    losses[message] = (losses[message] ?? 0) + 1;
  };
  const ignore = (): void => {};
  diag.setLogger(
    { error: note, warn: note, info: ignore, debug: ignore, verbose: ignore },
    DiagLogLevel.WARN,
  );
  const exporter = new OTLPLogExporter({ url: `${plan.endpoint}/v1/logs` });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": "bench" }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  logs.setGlobalLoggerProvider(provider);
  return {
    flush: () => provider.forceFlush(),
    losses: () => losses,
    close: () => provider.shutdown(),
  };
});
