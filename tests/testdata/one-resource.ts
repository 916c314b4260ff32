// Counts and observes in this thread and in a Worker, both of which have the same resource.
import process from "node:process";
import { metrics } from "@opentelemetry/api";
import { Worker, workerData } from "node:worker_threads";
import { type Sdk, start } from "../../mod.ts";

/** The same instruments in each thread. */
function measure(threads: number): Sdk {
  const sdk = start({
    directory: workerData?.directory ?? process.argv[2],
    resource: { "service.name": "one", "service.instance.id": "fixed" },
    env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  });
  const meter = metrics.getMeter("m");
  meter.createCounter("counted").add(threads, { a: 1 });
  meter.createHistogram("spread").record(threads);
  meter.createObservableCounter("observed").addCallback((result) => result.observe(threads));
  return sdk;
}

if (workerData?.directory) {
  await measure(2).shutdown();
} else {
  const sdk = measure(1);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { directory: process.argv[2] },
  });
  await new Promise((resolve) => worker.once("exit", resolve));
  metrics.getMeter("m").createCounter("counted").add(4, { a: 1 });
  await sdk.shutdown();
}
