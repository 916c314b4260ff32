/**
 * Keeps an events ring full of log records: text, a severity, five attributes and a span.
 *
 * @module
 */
import process from "node:process";
import { context, logs } from "@opentelemetry/api";
import { Mapping } from "../../ffi/mod.ts";
import { HEADER_EVENTS } from "../../lib/format/layout.ts";
import { start } from "../../mod.ts";
import { emitLogs, spanContext } from "../logs/work.ts";
import { fill, inRing, wait } from "./fill.ts";

/** Written between two looks at how full the ring is. */
const BURST = 100;

const [directory, total] = process.argv.slice(2);
const sdk = start({ directory, resource: { "service.name": "bench" } });
const file = Mapping.open(sdk.path!);
const ring = Number(file.i64[HEADER_EVENTS >> 3]);
const slots = Number(file.i64[ring >> 3]);
const logger = logs.getLogger("bench", "1.0.0");

let next = 0;
await fill(Number(total), (count) => {
  context.with(spanContext(), () => {
    for (const end = next + count; next < end;) {
      // Some slots are kept for what is severe.
      while (inRing(file, ring) > slots - BURST - 20) wait();
      const burst = Math.min(BURST, end - next);
      emitLogs(logger, next, burst);
      next += burst;
    }
  });
  while (inRing(file, ring) > 0) wait();
});
file.close();
await sdk.shutdown();
