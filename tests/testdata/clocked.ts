/**
 * Records spans, log records and measurements, on command, while its clock is set: DIRECTORY OVERFLOW.
 * Spans of one turn end in the next.
 */
import process from "node:process";
import { metrics, type Span, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { libc } from "../../ffi/libc.ts";
import { answerCommands } from "../support/programs.ts";

/** What the clock of this process is off by, seconds. */
let offBy = 0;
let words: Int32Array | null = null;

// Before the clock is imported, which takes the function from here.
const functions = libc as { -readonly [K in keyof typeof libc]: (typeof libc)[K] };
const { clock_gettime } = libc;
functions.clock_gettime = (...args) => {
  const result = clock_gettime(...args);
  if (words !== null) words[0] += offBy;
  return result;
};
const dateNow = Date.now;
Date.now = () => dateNow() + offBy * 1000;
words = (await import("../../ffi/clock.ts")).clockWords;
const { start } = await import("../../mod.ts");

const [directory, overflow] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  overflow: overflow as "newest" | "oldest",
  resource: { "service.name": "clocked" },
});
if (!sdk.recording) throw new Error(sdk.reason);
const tracer = trace.getTracer("clocked");
const logger = logs.getLogger("clocked");
const counter = metrics.getMeter("clocked").createCounter("turns");

let turn = 0;
let open: Span | undefined;
await answerCommands(async ({ clock, end }: Record<string, unknown>) => {
  if (end !== undefined) {
    open?.end();
    return await sdk.shutdown();
  }
  offBy = Number(clock);
  const before = open;
  before?.addEvent("later");
  open = tracer.startSpan(`over ${turn}`);
  tracer.startSpan(`within ${turn}`).end();
  before?.setAttribute("late", true);
  before?.end();
  logger.emit({ body: `log ${turn}` });
  counter.add(1);
  turn++;
  if (!await sdk.forceFlush({ timeout: 60_000 })) throw new Error("nobody has taken it");
  return turn;
});
process.exit();
