/**
 * The demo's stock, on Bun: reserves what shops sell, and bakes what has to be fresh.
 *
 *     bun --preload ./register.ts examples/demo/stock.ts
 *
 * @module
 */
import process from "node:process";
import { logs, metrics, SeverityNumber, type Span, trace } from "@opentelemetry/api";
import { serve } from "../../lib/http/bun.ts";
import { instrumentFetch } from "../../lib/http/mod.ts";

// From here on every fetch is a client span and carries the trace to the other side.
instrumentFetch();

const tracer = trace.getTracer("stock", "1.0.0");
const logger = logs.getLogger("stock", "1.0.0");
const reserved = metrics.getMeter("stock", "1.0.0").createCounter("stock.reserved");
/** How long that takes, ms. */
const baking: Record<string, number> = { pie: 150, "wedding-cake": 60_000 };

function log(body: string): void {
  logger.emit({ severityNumber: SeverityNumber.INFO, severityText: "INFO", body });
}

async function bake(ms: number): Promise<void> {
  const span = tracer.startSpan("bake", { attributes: { "bake.ms": ms } });
  log(`the oven is on, for ${ms / 1000} s`);
  await new Promise((resolve) => setTimeout(resolve, ms));
  span.end();
}

async function reserve(item: string, shop: string, span: Span): Promise<Response> {
  span.setAttribute("stock.item", item);
  // Shops set their own prices: the one that sent this request is asked for its.
  const price = await fetch(`${shop}/price/${item}`);
  span.addEvent("priced", { "stock.price": Number(await price.text()) });
  if (item === "soup") throw new Error("the pot is empty");
  if (item === "cake") return new Response("sold out\n", { status: 409 });
  reserved.add(1, { "stock.item": item });
  if (item in baking) await bake(baking[item]);
  log(`reserved ${item}`);
  return new Response("reserved\n");
}

// In place of Bun.serve: a server span with its route for each request, a child of the caller's.
const server = serve({
  port: Number(process.env.PORT ?? 0),
  hostname: "127.0.0.1",
  development: false,
  routes: {
    "/reserve/:item": (request: Request & { params: { item: string } }) =>
      tracer.startActiveSpan("reserve", async (span) => {
        const shop = new URL(request.url).searchParams.get("shop");
        try {
          return await reserve(request.params.item, String(shop), span);
        } finally {
          span.end();
        }
      }),
  },
});
console.log(`listening ${server.port}`);
