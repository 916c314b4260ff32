/** Measures with every kind of instrument, and more of it on command: DIRECTORY TEMPORALITY. */
import process from "node:process";
import { metrics, trace } from "@opentelemetry/api";
import { start } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

const [directory, temporality] = process.argv.slice(2);
const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  resource: {
    "service.name": "shop",
    "service.namespace": "test",
    "service.instance.id": `instance-${temporality}`,
    "host.name": 'a"b\\c',
  },
  metrics: {
    temporality: temporality === "delta" ? "delta" : "cumulative",
    exemplars: "trace_based",
    views: [{ instrumentName: "exponential", aggregation: { type: "exponential_histogram" } }],
  },
});
if (!sdk.recording) throw new Error(sdk.reason);

const meter = metrics.getMeter("shop.meter", "1.2.3");
const orders = meter.createCounter("orders.placed", { unit: "{order}", description: "Orders" });
const sent = meter.createCounter("network.io", { unit: "By" });
const open = meter.createUpDownCounter("carts.open");
const load = meter.createGauge("load", { unit: "1" });
const duration = meter.createHistogram("http.server.request.duration", {
  unit: "s",
  advice: { explicitBucketBoundaries: [0.1, 1, 10] },
});
const exponential = meter.createHistogram("exponential", { unit: "ms" });
meter.createObservableCounter("seen").addCallback((result) => result.observe(12));
meter.createObservableGauge("room", { unit: "Cel" }).addCallback((result) => result.observe(-2.5));

await answerCommands(async ({ end, orders: count }) => {
  if (end) return await sdk.shutdown();
  orders.add(Number(count), {
    "payment.method": "card",
    "payment/method": "x",
    "é": "line\nbreak",
  });
  sent.add(1.5);
  open.add(3);
  open.add(-1);
  load.record(0.25);
  trace.getTracer("shop").startActiveSpan("measured", (span) => {
    for (const seconds of [0.05, 0.1, 0.5, 20]) duration.record(seconds, { route: "/" });
    span.end();
  });
  for (const value of [0, 1, 3, 1000]) exponential.record(value);
  return await sdk.forceFlush();
});
