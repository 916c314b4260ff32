/** Records numbered spans, log records and measurements at a steady pace, on command: DIRECTORY. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { metrics, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

/** Of each kind, every `PAUSE_MS`. */
const AT_A_TIME = 5;
const PAUSE_MS = 10;

const [directory] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  resource: { "service.name": "paced" },
  // Room for all that is held back while nothing gets through.
  sizes: {
    spans: { slots: 1 << 17, slotBytes: 256 },
    events: { slots: 1 << 16, slotBytes: 256 },
  },
  metrics: { temporality: "delta" },
});
if (!sdk.recording) throw new Error(sdk.reason);

const tracer = trace.getTracer("paced");
const logger = logs.getLogger("paced");
const meter = metrics.getMeter("paced");
const deltas = meter.createCounter("deltas");
// Cumulative, whatever is asked for.
const level = meter.createUpDownCounter("level");

let recorded = 0;
await answerCommands(async ({ seconds }) => {
  for (const end = performance.now() + Number(seconds) * 1000; performance.now() < end;) {
    for (let i = 0; i < AT_A_TIME; i++) {
      tracer.startSpan(`span ${recorded}`, { attributes: { number: recorded } }).end();
      logger.emit({ body: `log ${recorded}`, attributes: { number: recorded } });
      deltas.add(1, { odd: recorded % 2 === 1 });
      level.add(1);
      recorded++;
    }
    await sleep(PAUSE_MS);
  }
  return recorded;
});
await sdk.shutdown();
