/**
 * Four Workers that record, each into a file of its own in the directory given. Three end with what
 * they have to do; the fourth is terminated while it records, and then the process exits. What each
 * had recorded is in a mapped file, the second argument: a Worker may run on for a moment after
 * `terminate` has resolved.
 */
import process from "node:process";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { trace } from "@opentelemetry/api";
import { Mapping } from "../../ffi/mod.ts";
import { start } from "../../lib/sdk/start.ts";

/** Number of Workers; the last one is terminated. */
export const WORKERS = 4;
/** Spans of a Worker that is not terminated, and the least of the one that is. */
export const SPANS = 2000;
/** Spans after which the latter waits for its end: a few more, and its ring is full. */
const MOST_SPANS = 10_000;
/** Each Worker has two words of 32 bits: spans whose `startSpan` has returned, and whose `end` has. */
export const STARTED = 0;
export const ENDED = 1;
export const WORDS = 2;

async function main(directory: string, counts: string): Promise<void> {
  const { i32 } = countsOf(counts, true);
  const workers = Array.from(
    { length: WORKERS },
    (_, number) =>
      new Worker(new URL(import.meta.url), { workerData: { directory, counts, number } }),
  );
  const failed = workers.map((worker) => {
    return new Promise<never>((_, reject) => worker.once("error", reject));
  });
  const enough = async (): Promise<void> => {
    while (workers.some((_, number) => Atomics.load(i32, number * WORDS + ENDED) < SPANS)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await Promise.race([...failed, enough()]);
  await workers[WORKERS - 1].terminate();
  process.stdout.write(String(process.pid), () => process.exit(0));
}

function countsOf(path: string, create: boolean): Mapping {
  if (!create) return Mapping.open(path);
  const mapping = Mapping.create(path, { bytes: 4096 });
  mapping.publish();
  return mapping;
}

function work(
  { directory, counts, number }: { directory: string; counts: string; number: number },
): void {
  const { i32 } = countsOf(counts, false);
  const sdk = start({ env: {}, directory, sizes: { spans: { slots: 32_768, slotBytes: 256 } } });
  if (!sdk.recording) throw new Error(sdk.reason);
  const isLast = number === WORKERS - 1;
  const tracer = trace.getTracer(`worker ${number}`);
  const whole = tracer.startSpan("whole");
  for (let i = 0; i < (isLast ? MOST_SPANS : SPANS); i++) {
    const span = tracer.startSpan(`${i}`, { attributes: { i } });
    Atomics.add(i32, number * WORDS + STARTED, 1);
    span.setAttribute("late", i);
    span.end();
    Atomics.add(i32, number * WORDS + ENDED, 1);
  }
  if (isLast) setInterval(() => {}, 1000);
  else whole.end();
}

if (!isMainThread && workerData?.counts) work(workerData);
else if (import.meta.main) await main(process.argv[2], process.argv[3]);
