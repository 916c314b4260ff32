/**
 * A service that records everything a page can show, under a name, and keeps a span open:
 * DIRECTORY NAME. Then it does what it is told: `{"more": COUNT}` ends as many spans, `{"refuse": 1}`
 * records until its ring has refused something.
 */
import process from "node:process";
import { context, metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { logs, SeverityNumber } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

const [directory, name] = process.argv.slice(2);
const sdk = start({
  env: {},
  directory,
  sizes: { spans: { slots: 4096, slotBytes: 512 } },
  resource: { "service.name": name },
});
if (!sdk.recording) throw new Error(sdk.reason);

const tracer = trace.getTracer("shown");
const logger = logs.getLogger("shown");
const meter = metrics.getMeter("shown");
const hits = meter.createCounter("hits", { unit: "{hit}" });
const took = meter.createHistogram("took", { unit: "ms" });

function serve(n: number): void {
  tracer.startActiveSpan(
    "GET /items",
    { kind: SpanKind.SERVER, attributes: { "http.route": "/items", n, ok: n % 5 !== 0 } },
    (span) => {
      const link = { context: span.spanContext(), attributes: { why: "test" } };
      const child = tracer.startSpan("query", { kind: SpanKind.CLIENT, links: [link] });
      child.addEvent("row", { count: n });
      child.end();
      logger.emit({ body: `item ${n} <b>sold</b>`, severityNumber: SeverityNumber.INFO });
      took.record(n, { route: "/items" });
      hits.add(1, { route: "/items" });
      if (n % 5 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: "sold out" });
      span.end();
    },
  );
}

for (let n = 0; n < 20; n++) serve(n);
const open = tracer.startSpan("never ends", { attributes: { state: "first" } });
open.setAttribute("state", "second");
open.addEvent("half way");
logger.emit({
  body: "about to fail",
  severityNumber: SeverityNumber.ERROR,
  context: trace.setSpan(context.active(), open),
});
open.spanContext();

await answerCommands(({ more, refuse }) => {
  for (let n = 0; n < Number(more ?? 0); n++) serve(n);
  if (refuse === undefined) return open.spanContext().traceId;
  // Faster than any collector: some of these find the ring full.
  for (let n = 0; n < 20_000; n++) tracer.startSpan("flood").end();
  return "flooded";
});
