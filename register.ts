/**
 * Starts the SDK on import, with everything from the environment:
 *
 * ```sh
 * deno run -A --preload=jsr:@otlp-mmap/otlp-mmap/register app.ts
 * bun --preload otlp-mmap/register app.ts
 * ```
 *
 * `OTLP_MMAP_INSTRUMENT` says what is recorded without a line of code: a list of `http` (servers
 * and fetch), `console`, `exceptions` (those that end the process) and `runtime` (metrics of heap,
 * event loop, CPU), or `all`.
 *
 * @module
 */
import process from "node:process";
import { diag, DiagConsoleLogger, DiagLogLevel } from "@opentelemetry/api";
import { readEnvironment } from "./lib/sdk/config.ts";
import { type Sdk, start } from "./lib/sdk/start.ts";

// Whoever preloads this has no other place to hear of problems; OTEL_LOG_LEVEL changes the level,
// which is the specification's.
const heard = diag.setLogger(new DiagConsoleLogger(), {
  logLevel: DiagLogLevel.INFO,
  suppressOverrideMessage: true,
});

/** The SDK that the import started. */
export const sdk: Sdk = start();

if (sdk.recording) {
  const { instrumentations } = readEnvironment(process.env);
  // Loaded only when they are asked for: some of them load much themselves.
  for (const name of instrumentations) {
    if (name === "http") (await import("./lib/http/patch.ts")).instrumentHttp();
    else if (name === "console") (await import("./lib/logs/console.ts")).captureConsole();
    else if (name === "exceptions") (await import("./lib/logs/exceptions.ts")).captureExceptions();
    else if (sdk.meterProvider !== undefined) {
      (await import("./lib/runtime/metrics.ts")).startRuntimeMetrics();
    }
  }
}

// Another SDK that took the API's globals first may have taken this one as well.
if (!heard && sdk.reason !== undefined) console.error(`otlp-mmap: ${sdk.reason}`);
