/**
 * Records numbered spans at a rate, with a log record and a measurement for every tenth, until its
 * input ends: DIRECTORY RATE. Then it says what it has recorded, and shuts down.
 */
import process from "node:process";
import { metrics, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";

/** What it says at its end. */
export interface Load {
  /** Spans that were started, and those that were refused. */
  readonly spans: number;
  readonly refused: number;
  /** Log records that were emitted, and as many measurements. */
  readonly tenths: number;
}

const [directory, rate] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  resource: { "service.name": "load" },
  // Room for what comes while the collector is being restarted on a busy machine.
  sizes: {
    spans: { slots: 1 << 17, slotBytes: 256 },
    events: { slots: 1 << 14, slotBytes: 256 },
    measurements: { slots: 1 << 14, slotBytes: 256 },
  },
});
if (!sdk.recording) throw new Error(sdk.reason);
const tracer = trace.getTracer("load");
const logger = logs.getLogger("load");
const counter = metrics.getMeter("load").createCounter("calls");

let number = 0;
let refused = 0;
const begin = performance.now();
const timer = setInterval(() => {
  const due = (performance.now() - begin) / 1000 * Number(rate);
  for (; number < due; number++) {
    const span = tracer.startSpan("span", { attributes: { number } });
    if (!span.isRecording()) refused++;
    if (number % 10 === 0) {
      logger.emit({ body: number / 10 });
      counter.add(1);
    }
    span.end();
  }
}, 5);
console.log("ready");
process.stdin.resume().once("end", () => {
  clearInterval(timer);
  const tenths = Math.ceil(number / 10);
  const load: Load = { spans: number - refused, refused, tenths };
  console.log(JSON.stringify(load));
  void sdk.shutdown();
});
