/**
 * Records a little and ends without `shutdown()`: HOW DIRECTORY [THREAD]. With THREAD (node or web) a
 * Worker does so.
 */
import process from "node:process";
import { Worker as Thread, workerData } from "node:worker_threads";
import { metrics, trace } from "@opentelemetry/api";
import { start } from "../../lib/sdk/start.ts";

function record(how: string, directory: string): void {
  const sdk = start({ env: {}, directory });
  if (!sdk.recording) throw new Error(sdk.reason);
  const tracer = trace.getTracer("ending-well");
  process.on("exit", () => tracer.startSpan("at exit").end());
  metrics.getMeter("ending-well").createObservableCounter("asked").addCallback((result) =>
    result.observe(7)
  );
  tracer.startSpan("open");
  tracer.startSpan("done").end();
  const ends: Record<string, () => void> = {
    "by itself": () => {},
    "process.exit(0)": () => process.exit(0),
    "process.exit(3)": () => process.exit(3),
    "Deno.exit(0)": () => (globalThis as { Deno?: typeof Deno }).Deno!.exit(0),
    "Deno.exit(3)": () => (globalThis as { Deno?: typeof Deno }).Deno!.exit(3),
    "exitCode 0": () => void (process.exitCode = 0),
    "exitCode 3": () => void (process.exitCode = 3),
    "exitCode 3 at exit": () => void process.on("exit", () => void (process.exitCode = 3)),
    "beforeExit": () =>
      void process.once("beforeExit", () => setTimeout(() => process.exit(0), 20)),
    "exception": () => {
      throw new Error("nobody catches this");
    },
    "rejection": () => void Promise.reject(new Error("nobody handles this")),
    "rejection at work": () => {
      setInterval(() => {}, 1000);
      void Promise.reject(new Error("nobody handles this"));
    },
    "exception at exit": () =>
      void process.on("exit", () => {
        throw new Error("nobody catches this");
      }),
    "caught": () => {
      process.on("uncaughtException", () => {});
      setTimeout(() => {
        throw new Error("somebody catches this");
      });
    },
    "listener of the last turn": () => {
      process.on("exit", () => tracer.startSpan("last turn").end());
      process.exit(0);
    },
  };
  // Not in the first turn, in which the module is still being run.
  setTimeout(ends[how], 10);
}

const data = workerData as { how: string; directory: string } | null;
if (data !== null) {
  record(data.how, data.directory);
} else {
  const [how, directory, thread] = process.argv.slice(2);
  if (thread === undefined) record(how, directory);
  else {new Thread(new URL(import.meta.url), { workerData: { how, directory } }).on(
      "error",
      () => {},
    );}
}
