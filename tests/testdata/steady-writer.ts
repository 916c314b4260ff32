/** Records spans, logs and measurements, says `ready`, and lives on: DIRECTORY ROUNDS|forever [AT-A-TIME]. */
import process from "node:process";
import { context, metrics, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";

const [directory, rounds, atATime = "20"] = process.argv.slice(2);
const sdk = start({
  env: {},
  directory,
  resource: { "service.name": "steady" },
  sizes: {
    spans: { slots: 1024, slotBytes: 512 },
    events: { slots: 512, slotBytes: 512 },
    measurements: { slots: 256, slotBytes: 512 },
  },
});
if (!sdk.recording) throw new Error(sdk.reason);
const tracer = trace.getTracer("writer");
const counter = metrics.getMeter("writer").createCounter("rounds");
const logger = logs.getLogger("writer");

tracer.startSpan("open", { attributes: { open: true } }).addEvent("still there");

function round(i: number): void {
  tracer.startActiveSpan(
    `work ${i}`,
    { attributes: { number: i, [`key ${i % 20}`]: true } },
    (span) => {
      span.addEvent("event", { number: i });
      tracer.startSpan(`child ${i}`, { attributes: { number: i } }).end();
      span.setAttribute("late", `late ${i}`);
      logger.emit({ body: `log ${i}`, severityNumber: 9, context: context.active() });
      counter.add(1, { parity: i % 2 === 0 ? "even" : "odd" });
      span.end();
    },
  );
}

if (rounds === "forever") {
  let i = 0;
  setInterval(() => {
    for (let k = 0; k < Number(atATime); k++) round(i++);
  }, 2);
} else {
  for (let i = 0; i < Number(rounds); i++) round(i);
  setInterval(() => {}, 1000);
}
console.log("ready");
