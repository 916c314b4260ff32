/**
 * A program that knows nothing of telemetry, in a process of its own where HTTP is instrumented.
 * Does what its argument says and prints what came of it as JSON.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { context, diag, metrics, trace } from "@opentelemetry/api";
import * as bun from "../bun.ts";
import * as deno from "../deno.ts";
import { traceFetch } from "../fetch.ts";
import { traceListener } from "../node.ts";
import { instrumentHttp } from "../patch.ts";
import { traceHandler } from "../server.ts";
import { meter } from "./metering.ts";
import { installGlobals, onBun, record } from "./recording.ts";

// The types of one of the runtimes are always missing here.
// deno-lint-ignore no-explicit-any
type Any = any;

const globals = globalThis as Any;
const original = { serve: (globals.Bun ?? globals.Deno).serve, fetch, emit: createServer().emit };

installGlobals();
const recording = record();
const measured = meter();
trace.setGlobalTracerProvider(recording.tracerProvider);
metrics.setGlobalMeterProvider(measured.meterProvider);
const warnings: string[] = [];
const nothing = () => {};
diag.setLogger({
  error: (text) => warnings.push(text),
  warn: (text) => warnings.push(text),
  info: nothing,
  debug: nothing,
  verbose: nothing,
});
const undo = instrumentHttp({
  ignoreIncoming: (path) => path === "/health?a=1",
  ignoreOutgoing: (url) => url.endsWith("/away"),
});

type Handler = (request: Request) => Response | Promise<Response>;

/** Serves as a program does that was written for this runtime. */
function serve(fetch: Handler, onError?: (error: unknown) => Response): [string, () => unknown] {
  if (onBun) {
    const server = globals.Bun.serve({ port: 0, hostname: "127.0.0.1", fetch, error: onError });
    return [`http://127.0.0.1:${server.port}`, () => server.stop(true)];
  }
  const options = { port: 0, hostname: "127.0.0.1", onListen: nothing, onError };
  const server = globals.Deno.serve(options, fetch);
  return [`http://127.0.0.1:${server.addr.port}`, () => server.shutdown()];
}

/** Serves with the wrapper of this folder, which was given options of its own. */
function serveWrapped(fetch: Handler): [string, () => unknown] {
  const options = { captureRequestHeaders: ["x-tenant"] };
  if (onBun) {
    const server = (bun.traceServe(options) as Any)({ port: 0, hostname: "127.0.0.1", fetch });
    return [`http://127.0.0.1:${server.port}`, () => server.stop(true)];
  }
  const server = (deno.traceServe(options) as Any)({
    port: 0,
    hostname: "127.0.0.1",
    onListen: nothing,
  }, fetch);
  return [`http://127.0.0.1:${server.addr.port}`, () => server.shutdown()];
}

async function get(url: string, init?: RequestInit): Promise<string> {
  return await (await fetch(url, init)).text();
}

/** Waits for spans and says what is of interest about them. */
async function spans(count: number): Promise<Any[]> {
  return (await recording.take(count)).map((span) => ({
    name: span.name,
    kind: span.kind,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
    traceId: span.spanContext().traceId,
    attributes: span.attributes,
  })).sort((a, b) => a.kind - b.kind);
}

async function counts(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of ["http.server.request.duration", "http.client.request.duration"]) {
    for (const point of await measured.points(name)) found[name] = (found[name] ?? 0) + point.value;
  }
  return found;
}

const scenarios: Record<string, () => Promise<unknown>> = {
  async plain() {
    const [url, stop] = serve(() => new Response(String(trace.getActiveSpan() !== undefined)));
    const text = await get(`${url}/a`);
    await context.with(context.active(), () => get(`${url}/health?a=1`));
    await get(`${url}/health?a=2`);
    await stop();
    return { text, spans: await spans(5), counts: await counts() };
  },

  async failing() {
    const [url, stop] = serve(() => {
      throw new RangeError("no");
    }, () => new Response("sorry", { status: 503 }));
    const text = await get(url);
    await stop();
    return { text, spans: await spans(2) };
  },

  async wrapped() {
    const [url, stop] = serveWrapped(() => new Response("x"));
    const init = { headers: { "x-tenant": "t" } };
    await get(url, init);
    await stop();
    const [again, stopAgain] = serve(
      traceHandler(() => new Response("x"), { captureRequestHeaders: ["x-tenant"] }),
    );
    await (await traceFetch(fetch)(again, init)).text();
    await stopAgain();
    return { spans: await spans(4), counts: await counts() };
  },

  async node() {
    const server = createServer((_, response) => {
      response.end(String(trace.getActiveSpan() !== undefined));
    }).listen(0, "127.0.0.1");
    const traced = createServer(
      traceListener((_, response) => response.end("x"), { captureRequestHeaders: ["x-tenant"] }),
    ).listen(0, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(traced, "listening")]);
    const text = await get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a`);
    await get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health?a=1`);
    await get(`http://127.0.0.1:${(traced.address() as AddressInfo).port}/b`, {
      headers: { "x-tenant": "t" },
    });
    server.close();
    traced.close();
    return { text, spans: await spans(5), counts: await counts() };
  },

  async twice() {
    const undoAgain = instrumentHttp();
    const [url, stop] = serve(() => new Response("x"));
    await get(url);
    undoAgain();
    await get(url);
    await stop();
    return { spans: await spans(4), counts: await counts(), warnings };
  },

  async undone() {
    const [url, stop] = serve(() => new Response("x"));
    const kept = fetch;
    await get(url);
    undo();
    undo();
    await get(url);
    await (await kept(url)).text();
    const restored = [
      (globals.Bun ?? globals.Deno).serve === original.serve,
      fetch === original.fetch,
      createServer().emit === original.emit,
    ];
    instrumentHttp();
    await get(url);
    await stop();
    return { restored, spans: await spans(3), counts: await counts(), warnings };
  },
};

console.log(JSON.stringify(await scenarios[process.argv[2]]()));
process.exit(0);
