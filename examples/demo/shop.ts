/**
 * The demo's shop, on Deno: takes orders, and has the stock reserve what was ordered.
 *
 *     STOCK_URL=http://127.0.0.1:… deno run -A --preload=./register.ts examples/demo/shop.ts
 *
 * @module
 */
import process from "node:process";
import { logs, metrics, SeverityNumber, SpanStatusCode, trace } from "@opentelemetry/api";
import { serve } from "../../lib/http/deno.ts";
import { instrumentFetch } from "../../lib/http/mod.ts";

// From here on every fetch is a client span and carries the trace to the other side.
instrumentFetch();

const tracer = trace.getTracer("shop", "1.0.0");
const logger = logs.getLogger("shop", "1.0.0");
const sold = metrics.getMeter("shop", "1.0.0").createCounter("shop.orders");
const prices: Record<string, number> = { tea: 4, cake: 6, soup: 7, pie: 5, "wedding-cake": 400 };

/** An order: a span of our own around the call of the stock. */
function buy(item: string, shop: string): Promise<Response> {
  return tracer.startActiveSpan("buy", { attributes: { "order.item": item } }, async (span) => {
    try {
      const answer = await fetch(`${process.env.STOCK_URL}/reserve/${item}?shop=${shop}`);
      span.addEvent("stock answered", { "stock.status": answer.status });
      sold.add(1, { "order.item": item, "stock.status": answer.status });
      logger.emit({
        severityNumber: SeverityNumber.INFO,
        severityText: "INFO",
        body: `${item}: the stock says ${answer.status}`,
      });
      if (answer.status >= 500) throw new Error(`the stock answered ${answer.status}`);
      return new Response(await answer.text(), { status: answer.status });
    } catch (error) {
      span.recordException(error as Error);
      logger.emit({
        severityNumber: SeverityNumber.ERROR,
        severityText: "ERROR",
        body: `${item}: cannot be ordered now`,
        exception: error,
      });
      span.setStatus({ code: SpanStatusCode.ERROR, message: "the stock cannot be asked" });
      return new Response("try again later\n", { status: 503 });
    } finally {
      span.end();
    }
  });
}

// In place of Deno.serve: a server span for each request, a child of the caller's.
const server = serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(`listening ${port}`),
}, (request) => {
  const { origin, pathname } = new URL(request.url);
  const [, what, item] = pathname.split("/");
  if (what === "buy") return buy(item, origin);
  // The stock asks for this while it serves a request of ours.
  if (what === "price") return new Response(String(prices[item] ?? 0));
  return new Response("there is nothing here\n", { status: 404 });
});

// Only to let requests end that are under way: what is recorded needs no flushing.
process.once("SIGTERM", () => void server.shutdown().then(() => process.exit()));
