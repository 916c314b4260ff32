/**
 * Makes spans of one kind, and nothing else that allocates: attributes, keys and values exist
 * before. Arguments: how many spans, attributes at the start, late attributes, `control` for an
 * array per span on top, which proves that the method sees what is allocated.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { Mapping } from "../../ffi/mod.ts";
import { HEADER_SPANS, RING_READER_INDEX, RING_WRITER_INDEX } from "../../lib/format/layout.ts";
import { start } from "../../mod.ts";

/** Spans between two moments at which everything is taken from the ring. */
const BURST = 100;

const [spans, early, late] = process.argv.slice(2).map(Number);
const isControl = process.argv[5] === "control";
const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-bench-"));
const sdk = start({ directory });
const file = Mapping.open(sdk.path!);
const ring = Number(file.i64[HEADER_SPANS >> 3]);
const tracer = trace.getTracer("bench");

const VALUES = ["GET", 12345, 0.5, true, "/items/17"];
const keys = Array.from({ length: late }, (_, i) => `late.${i}`);
const options = {
  attributes: Object.fromEntries(
    Array.from({ length: early }, (_, i) => [`early.${i}`, VALUES[i % VALUES.length]]),
  ),
};
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

function burst(): void {
  for (let i = 0; i < BURST; i++) {
    const span = tracer.startSpan("GET /items/{id}", options);
    for (let k = 0; k < late; k++) span.setAttribute(keys[k], VALUES[k % VALUES.length]);
    span.end();
    if (isControl) kept[i] = new Array(10).fill(i);
  }
}

for (let i = 0; i < spans; i += BURST) {
  burst();
  take();
}
file.close();
await sdk.shutdown();
rmSync(directory, { recursive: true, force: true });
