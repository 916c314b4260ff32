/**
 * Starts the SDK on import, with everything from the environment:
 *
 * ```sh
 * deno run -A --preload=jsr:@otlp-mmap/otlp-mmap/register app.ts
 * bun --preload otlp-mmap/register app.ts
 * ```
 *
 * @module
 */
import { diag, DiagConsoleLogger, DiagLogLevel } from "@opentelemetry/api";
import { type Sdk, start } from "./lib/sdk/start.ts";

// Whoever preloads this has no other place to hear of problems; OTEL_LOG_LEVEL changes the level.
const heard = diag.setLogger(new DiagConsoleLogger(), {
  logLevel: DiagLogLevel.WARN,
  suppressOverrideMessage: true,
});

/** The SDK that the import started. */
export const sdk: Sdk = start();

// Another SDK that took the API's globals first may have taken this one as well.
if (!heard && sdk.reason !== undefined) console.error(`otlp-mmap: ${sdk.reason}`);
