/**
 * A small HTTP service that is traced:
 *
 *     deno run -A examples/service.ts
 *     bun examples/service.ts
 *
 * Start a collector beside it (`deno task collect`, which says where its page is), then ask
 * for http://127.0.0.1:8080/greet/you. PORT is another port, 0 any.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { traceFetch, traceListener } from "../lib/http/mod.ts";
import { start } from "../mod.ts";

const sdk = start({ resource: { "service.name": "greeter" } });
const tracer = trace.getTracer("examples/service");
const fetch = traceFetch(globalThis.fetch);

/** Greets by asking this same service, so that the trace has something to show. */
async function greet(name: string): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/name/${name}`);
  return `Hello, ${await response.text()}!\n`;
}

/** A span of our own, around work that has no HTTP in it. */
function capitalize(name: string): string {
  return tracer.startActiveSpan("capitalize", (span) => {
    span.setAttribute("name.length", name.length);
    const result = name.charAt(0).toUpperCase() + name.slice(1);
    span.end();
    return result;
  });
}

const server = createServer(traceListener(async (request, response) => {
  const [, what, name] = /^\/(greet|name)\/(\w+)$/.exec(request.url ?? "") ?? [];
  response.setHeader("content-type", "text/plain; charset=utf-8");
  if (what === "greet") response.end(await greet(name));
  else if (what === "name") response.end(capitalize(name));
  else response.writeHead(404).end("try /greet/you\n");
}));
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(`http://127.0.0.1:${port}/greet/you recorded to ${sdk.path ?? sdk.reason}`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
    void sdk.shutdown();
  });
}
