/**
 * What `node:test` means under Deno in tools/test.ts, by way of deno_imports.json.
 *
 * @module
 */
import * as real from "node:test";
import { log, messageOf, type Recorded, recorded } from "./record.ts";

// Deno's node:test swallows what is thrown outside a test, at the top of a file for example.
globalThis.addEventListener("error", (event) => {
  log({ event: "error", message: messageOf((event as { error?: unknown }).error) });
});
globalThis.addEventListener("unhandledrejection", (event) => {
  log({ event: "error", message: messageOf((event as { reason?: unknown }).reason) });
});

const api: Recorded = recorded(real);
export const { after, afterEach, before, beforeEach, describe, it, mock, suite, test } = api;
export default api.test;
