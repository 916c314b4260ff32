/**
 * A program that records runtime metrics and comes to its end.
 *
 * @module
 */
import { meter } from "../../http/testing/metering.ts";
import { startRuntimeMetrics } from "../metrics.ts";

startRuntimeMetrics({ meter: meter().meterProvider.getMeter("runtime"), interval: 5 });
await new Promise((resolve) => setTimeout(resolve, 50));
console.log("at the end");
