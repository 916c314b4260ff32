/**
 * A service that records a span with an event, a log record and a measurement in each call, with a new
 * key in every call so that its dictionary is soon full, and now and then without sequences left:
 * DIRECTORY JOURNALS NAME PAUSE WORKERS. Its Workers do the same under names of their own. It lives
 * until it is told to end in order (SIGTERM) or killed.
 */
import { join } from "node:path";
import process from "node:process";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { context } from "@opentelemetry/api";
import type { Recorder } from "../../lib/sdk/recorder.ts";
import { startWriter } from "../support/writer.ts";

/** Calls after which a ring has no sequences left. */
const CALLS_PER_SEQUENCES = 400;
const DICTIONARY_BYTES = 6000;

interface Settings {
  readonly directory: string;
  readonly journals: string;
  readonly name: string;
  readonly pause: number;
}

/** Records until the function that is returned is called. */
function run({ directory, journals, name, pause }: Settings): () => Promise<void> {
  const { sdk, journal, tracer, logger, counter } = startWriter({
    env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
    directory,
    journal: join(journals, name),
    name,
    scope: "soak",
    sizes: {
      spans: { slots: 8192, slotBytes: 256 },
      events: { slots: 4096, slotBytes: 256 },
      measurements: { slots: 2048, slotBytes: 256 },
      dictionaryBytes: DICTIONARY_BYTES,
    },
  });
  const { recorder } = tracer as unknown as { recorder: Recorder };
  let call = 0;
  const timer = setInterval(() => {
    journal.entering(call);
    if (call % CALLS_PER_SEQUENCES === CALLS_PER_SEQUENCES - 1) {
      const { events, spans } = recorder.file!;
      const ring = call % (2 * CALLS_PER_SEQUENCES) < CALLS_PER_SEQUENCES ? spans : events;
      ring.sequenceLimit = ring.claimed + 1;
    }
    tracer.startActiveSpan(`${call}`, (span) => {
      span.addEvent("event", { call });
      span.setAttribute(`key ${call}`, call);
      logger.emit({ body: `${call}`, context: context.active() });
      span.end();
    });
    counter.add(1);
    journal.returnedFrom(call++);
  }, pause);
  return () => {
    clearInterval(timer);
    return sdk.shutdown();
  };
}

if (isMainThread) {
  const [directory, journals, name, pause, count] = process.argv.slice(2);
  const settings: Settings = { directory, journals, name, pause: Number(pause) };
  const stop = run(settings);
  const workers = Array.from({ length: Number(count) }, (_, i) => {
    const own: Settings = { ...settings, name: `${name}-${i + 1}` };
    return new Worker(new URL(import.meta.url), { workerData: own });
  });
  process.once("SIGTERM", async () => {
    await Promise.all(workers.map((worker) => {
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      worker.postMessage("end");
      return ended;
    }));
    await stop();
    process.exit();
  });
  // Nobody is left behind when the test is.
  process.stdin.resume().once("end", () => process.exit(1));
} else if (workerData?.journals) {
  const stop = run(workerData as Settings);
  const { parentPort } = await import("node:worker_threads");
  parentPort!.once("message", async () => {
    await stop();
    process.exit();
  });
}
