/** Does what OTLP_MMAP_INSTRUMENT records, and uses every signal once, then dies of an exception. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { logs, metrics, trace } from "@opentelemetry/api";

const server = createServer((_, response) => response.end("hello"));
await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
const { port } = server.address() as AddressInfo;
await (await fetch(`http://127.0.0.1:${port}/path`)).text();
server.close();
server.closeAllConnections();

trace.getTracer("app").startActiveSpan("own", (span) => {
  metrics.getMeter("app").createCounter("app.counter").add(1);
  metrics.getMeter("app").createObservableGauge("app.gauge").addCallback((result) =>
    result.observe(5)
  );
  logs.getLogger("app").emit({ body: "own record" });
  console.warn("said %s", "aloud");
  span.end();
});
setTimeout(() => {
  throw new Error("the end");
});
