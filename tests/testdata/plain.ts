/** Records spans, log records and measurements without anything that some receiver lacks: DIRECTORY COUNT. */
import process from "node:process";
import { metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { logs, SeverityNumber } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";

const [directory, count] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  resource: { "service.name": "plain" },
});
if (!sdk.recording) throw new Error(sdk.reason);

const tracer = trace.getTracer("plain", "1");
const logger = logs.getLogger("plain", "1");
const counter = metrics.getMeter("plain", "1").createCounter("plain.count", { unit: "{thing}" });
for (let i = 0; i < Number(count); i++) {
  const span = tracer.startSpan(`span ${i}`, {
    kind: SpanKind.CLIENT,
    attributes: { i, half: i + 0.5, text: "é€", list: ["a", "b"] },
  });
  span.addEvent("event", { i });
  span.setStatus({ code: SpanStatusCode.ERROR, message: "why" });
  span.end();
  logger.emit({
    body: `log ${i}`,
    severityNumber: SeverityNumber.WARN,
    timestamp: [1_780_000_000, i],
    attributes: { i },
  });
  counter.add(1, { even: i % 2 === 0 });
}
await sdk.shutdown();
