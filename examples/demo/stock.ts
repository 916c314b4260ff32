/**
 * The demo's stock, on Bun: reserves what the shop sells.
 *
 *     PORT=… SHOP_URL=http://127.0.0.1:… bun --preload ./register.ts examples/demo/stock.ts
 *
 * @module
 */
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { serve } from "../../lib/http/bun.ts";
import { instrumentFetch } from "../../lib/http/mod.ts";

instrumentFetch();
const tracer = trace.getTracer("stock", "1.0.0");

const server = serve({
  port: Number(process.env.PORT ?? 0),
  hostname: "127.0.0.1",
  routes: {
    "/reserve/:item": (request: Request & { params: { item: string } }) =>
      tracer.startActiveSpan("reserve", async (span) => {
        const { item } = request.params;
        span.setAttribute("stock.item", item);
        const price = await fetch(`${process.env.SHOP_URL}/price/${item}`);
        span.addEvent("priced", { "stock.price": Number(await price.text()) });
        if (item === "pie") {
          // Pies take for ever. What is said here has been recorded: the demo holds us to it.
          const { traceId, spanId } = span.spanContext();
          console.log(`baking ${traceId} ${spanId}`);
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        }
        const status = item === "cake" ? 409 : 200;
        span.setAttribute("stock.sold_out", status === 409);
        span.end();
        return new Response(status === 200 ? "reserved\n" : "sold out\n", { status });
      }),
  },
});
console.log(`listening ${server.port}`);
