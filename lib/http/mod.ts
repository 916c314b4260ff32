/**
 * Spans and metrics for HTTP servers and clients by the stable semantic conventions, with any
 * OpenTelemetry SDK: wrappers for handlers, `fetch`, Hono and `node:http`. The drop-in replacements
 * for `Deno.serve` and `Bun.serve` are in `deno.ts` and `bun.ts`; `patch.ts` instruments all of it
 * without the application knowing.
 *
 * Servers record `http.server.request.duration` and `http.server.active_requests`, clients
 * `http.client.request.duration`, as long as a meter provider is registered. A duration is that of
 * the span, and is recorded for requests, too, that are not sampled.
 *
 * @module
 */
export { type FetchOptions, instrumentFetch, traceFetch } from "./fetch.ts";
export { type HonoContext, type HonoMiddleware, type HonoRoute, traceHono } from "./hono.ts";
export { type ListenerOptions, traceListener } from "./node.ts";
export type { HttpOptions } from "./semconv.ts";
export { type ServerOptions, traceHandler } from "./server.ts";
