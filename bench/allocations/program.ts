/**
 * Makes spans or measurements of one kind, and nothing else that allocates: attributes, keys and
 * values exist before. Arguments: how many, `spans` or `measurements`, attributes (of spans: at the
 * start, and late ones), `control` for an array each on top, which proves that the method sees what
 * is allocated.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { metrics, trace } from "@opentelemetry/api";
import { Mapping } from "../../ffi/mod.ts";
import {
  HEADER_MEASUREMENTS,
  HEADER_SPANS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import { start } from "../../mod.ts";

/** Records between two moments at which everything is taken from the ring. */
const BURST = 100;
/** Attribute sets of measurements. */
const SETS = 12;

const [count, early, late] = [process.argv[2], ...process.argv.slice(4)].map(Number);
const isSpans = process.argv[3] === "spans";
const isControl = process.argv[6] === "control";
const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-bench-"));
const sdk = start({ directory });
const file = Mapping.open(sdk.path!);
const ring = Number(file.i64[(isSpans ? HEADER_SPANS : HEADER_MEASUREMENTS) >> 3]);
// Callbacks and runtime metrics would write into the ring that is watched: there are none.
const meter = metrics.getMeter("bench");
const counter = meter.createCounter("requests");
const histogram = meter.createHistogram("duration");
const tracer = trace.getTracer("bench");

const VALUES = ["GET", 12345, true, "/items/17", 0.5];
const keys = Array.from({ length: late }, (_, i) => `late.${i}`);
function attributesOf(set: number): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Array.from({ length: early }, (_, i) => [
      `early.${i}`,
      i === 0 ? `set ${set}` : VALUES[i % VALUES.length],
    ]),
  );
}
const options = { attributes: attributesOf(0) };
const sets = Array.from({ length: SETS }, (_, set) => attributesOf(set));
const kept: unknown[] = [];

/** In place of a collector: what is written counts as taken. */
function take(): void {
  const { i32, i64 } = file;
  const last = Atomics.load(i32, (ring + RING_WRITER_INDEX) >> 2);
  // From -1 to a sequence both halves change.
  if (Atomics.load(i32, (ring + RING_READER_INDEX) >> 2) < 0) {
    Atomics.store(i64, (ring + RING_READER_INDEX) >> 3, BigInt(last));
  } else {
    Atomics.store(i32, (ring + RING_READER_INDEX) >> 2, last);
  }
}

function spans(): void {
  for (let i = 0; i < BURST; i++) {
    const span = tracer.startSpan("GET /items/{id}", options);
    for (let k = 0; k < late; k++) span.setAttribute(keys[k], VALUES[k % VALUES.length]);
    span.end();
    if (isControl) kept[i] = new Array(10).fill(i);
  }
}

function measurements(): void {
  for (let i = 0; i < BURST; i += 2) {
    counter.add(1, sets[i % SETS]);
    histogram.record(i, sets[(i + 1) % SETS]);
    if (isControl) kept[i] = new Array(20).fill(i);
  }
}

const burst = isSpans ? spans : measurements;
for (let i = 0; i < count; i += BURST) {
  burst();
  take();
}
file.close();
await sdk.shutdown();
rmSync(directory, { recursive: true, force: true });
