/**
 * Records spans, log records and measurements without end, as fast as its rings have room, so that
 * nothing is refused whoever reads them: DIRECTORY NAME TEMPORALITY [DICTIONARY_BYTES]. With the last,
 * its files are soon used up, and others continue them.
 */
import process from "node:process";
import { metrics, type Span, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { start } from "../../mod.ts";
import { answerCommands } from "../support/programs.ts";
import { watchRoom } from "../support/room.ts";

/** Spans that are open at a time. */
const OPEN = 40;
/** Attribute sets of each instrument. */
const SERIES = 7;
/** Records of one step in one ring at most. */
const STEP = 8;

const [directory, name, temporality, dictionaryBytes] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  resource: { "service.name": name },
  metrics: { temporality: temporality === "delta" ? "delta" : "cumulative" },
  sizes: dictionaryBytes === undefined ? {} : { dictionaryBytes: Number(dictionaryBytes) },
});
if (!sdk.recording) throw new Error(sdk.reason);
/** Between two keys of their own. */
const KEYS = dictionaryBytes === undefined ? 500 : 3;
/** Every ring has room for a step, with what spans keep for their ends. */
const hasRoom = watchRoom(() => sdk.path!, 4 * OPEN + STEP);

const tracer = trace.getTracer("load");
const logger = logs.getLogger("load");
const counter = metrics.getMeter("load").createCounter("counted");
const histogram = metrics.getMeter("load").createHistogram("spread");

const open: Span[] = [];
const sums: number[] = new Array(SERIES).fill(0);
const counts: number[] = new Array(SERIES).fill(0);
let number = 0;
let running = false;

function step(): void {
  const i = number++;
  const span = tracer.startSpan(`${name} ${i}`, { attributes: { i, "text": "x".repeat(i % 90) } });
  open.push(span);
  span.addEvent("begun", { i });
  // A key of its own now and then: the dictionary grows.
  if (i % KEYS === 0) span.setAttribute(`key.${i}`, true);
  logger.emit({ body: `${name} log ${i}`, attributes: { i } });
  counter.add(1 + i % 3, { series: i % SERIES });
  sums[i % SERIES] += 1 + i % 3;
  histogram.record(i % 100, { series: i % SERIES });
  counts[i % SERIES]++;
  if (open.length > OPEN) end(i * 31 % OPEN);
}

function end(index: number): void {
  const [span] = open.splice(index, 1);
  span.setAttribute("late", true);
  span.end();
}

function work(pause: number): void {
  if (!running) return;
  for (let i = 0; i < 20 && hasRoom(); i++) step();
  setTimeout(() => work(pause), pause);
}

await answerCommands(async ({ run, stop, leave, flush, shutdown }: Record<string, unknown>) => {
  if (run !== undefined) {
    running = true;
    work(Number(run));
  } else if (stop) running = false;
  else if (leave !== undefined) {
    while (open.length > Number(leave)) end(0);
  } else if (flush) {
    if (!await sdk.forceFlush({ timeout: 30_000 })) throw new Error("nobody reads");
  } else if (shutdown) return await sdk.shutdown();
  return { number, open: open.length, sums, counts, path: sdk.path };
});
// Whoever told it what to do is gone.
process.exit();
