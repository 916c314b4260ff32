/**
 * Keeps a measurements ring full: 50 counters and 50 histograms, 2,000 attribute sets each.
 *
 * @module
 */
import process from "node:process";
import { metrics } from "@opentelemetry/api";
import { Mapping } from "../../ffi/mod.ts";
import { HEADER_MEASUREMENTS } from "../../lib/format/layout.ts";
import { start } from "../../mod.ts";
import { fill, inRing, wait } from "./fill.ts";

const STREAMS = 50;
const SERIES = 2000;
/** Written between two looks at how full the ring is. */
const BURST = 1000;

const [directory, total] = process.argv.slice(2);
const sdk = start({ directory, resource: { "service.name": "bench" } });
const file = Mapping.open(sdk.path!);
const ring = Number(file.i64[HEADER_MEASUREMENTS >> 3]);
const slots = Number(file.i64[ring >> 3]);

const meter = metrics.getMeter("bench");
const counters = Array.from({ length: STREAMS }, (_, i) => meter.createCounter(`counter.${i}`));
const histograms = Array.from({ length: STREAMS }, (_, i) => meter.createHistogram(`time.${i}`));
const sets = Array.from({ length: SERIES }, (_, series) => ({
  "http.request.method": "GET",
  "http.route": "/items/{id}",
  series,
}));

let next = 0;
await fill(Number(total), (count) => {
  for (const end = next + count; next < end; next++) {
    if (next % BURST === 0) { while (inRing(file, ring) > slots - BURST - 2) wait(); }
    const stream = next % STREAMS;
    const set = sets[Math.floor(next / (2 * STREAMS)) % SERIES];
    if (next % (2 * STREAMS) < STREAMS) counters[stream].add(1, set);
    else histograms[stream].record(next % 1000, set);
  }
  while (inRing(file, ring) > 0) wait();
});
file.close();
await sdk.shutdown();
