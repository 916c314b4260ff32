/**
 * The demo's shop, on Deno: sells what the stock service has.
 *
 *     STOCK_URL=http://127.0.0.1:… deno run -A --preload=./register.ts examples/demo/shop.ts
 *
 * @module
 */
import process from "node:process";
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { serve } from "../../lib/http/deno.ts";
import { instrumentFetch } from "../../lib/http/mod.ts";

instrumentFetch();
const tracer = trace.getTracer("shop", "1.0.0");
const prices: Record<string, number> = { tea: 4, cake: 6, pie: 5 };

function buy(item: string): Promise<Response> {
  return tracer.startActiveSpan("buy", { attributes: { "order.item": item } }, async (span) => {
    try {
      const answer = await fetch(`${process.env.STOCK_URL}/reserve/${item}`);
      span.addEvent("stock answered", { "stock.status": answer.status });
      return new Response(await answer.text(), { status: answer.status });
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: "the stock service is gone" });
      return new Response("try again later\n", { status: 503 });
    } finally {
      span.end();
    }
  });
}

serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(`listening ${port}`),
}, (request) => {
  const [, what, item] = new URL(request.url).pathname.split("/");
  if (what === "buy") return buy(item);
  // The stock service asks for this while it serves a request of ours.
  if (what === "price") return new Response(String(prices[item] ?? 0));
  return new Response("there is nothing here\n", { status: 404 });
});
