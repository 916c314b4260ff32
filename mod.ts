/**
 * A flight recorder for Deno and Bun: an OpenTelemetry SDK that writes every record at once into a
 * memory-mapped file, which a separate collector reads.
 *
 * @module
 */
export { type Sdk, start, type StartOptions } from "./lib/sdk/start.ts";
