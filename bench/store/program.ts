/**
 * Fills a store with spans, then asks it questions: `program.ts PATH SPANS`. Prints one line of JSON
 * with what was measured. CPU time is that of the whole process, garbage collection included, while it
 * stores; the making of requests is not in it.
 *
 * @module
 */
import { statSync } from "node:fs";
import process from "node:process";
import { openStore } from "../../collector/store/store.ts";
import { openQueries } from "../../collector/store/queries/queries.ts";
import type { StoreQueries } from "../../collector/store/queries/types.ts";
import { makeRequest, SPANS_IN_REQUEST, traceIdOf } from "./load.ts";

/** Requests in a transaction: as many as the collector has on their way. */
const BATCH = 4;
const START_NS = 1_760_000_000_000_000_000n;
const REPEATS = 9;

const [path, wanted] = process.argv.slice(2);
const store = openStore({ path, maxBytes: Infinity, maxAgeMs: Infinity });
let wall = 0;
let cpu = 0;
let slowest = 0;
let spans = 0;
for (let request = 0; spans < Number(wanted);) {
  const requests = Array.from({ length: BATCH }, () => ({
    signal: "traces" as const,
    body: makeRequest(request++, START_NS),
    items: SPANS_IN_REQUEST,
  }));
  const from = performance.now();
  const before = process.cpuUsage();
  store.ingest(requests);
  store.retain();
  const { user, system } = process.cpuUsage(before);
  const took = performance.now() - from;
  wall += took;
  cpu += (user + system) / 1e3;
  slowest = Math.max(slowest, took);
  spans += BATCH * SPANS_IN_REQUEST;
}

const queries = openQueries(path, store.tails);
const middle = Math.floor(spans / 16);
const startMs = Number(START_NS / 1_000_000n);
const user = (trace: number) => ({
  key: "user.id",
  value: { stringValue: `user-${(trace * 31) % 100_000}` },
});

/** Questions, with what must come out for the figure to mean anything. */
const QUESTIONS: Readonly<Record<string, (each: number) => number>> = {
  "trace by id": (each) => queries.trace(traceIdOf(middle + each * 101))!.spans.length,
  "newest spans": () => queries.searchSpans({}).rows.length,
  "newest traces": () => queries.searchTraces({}, { limit: 20 }).rows.length,
  "service": () => queries.searchSpans({ services: ["payments"] }).rows.length,
  "name": () => queries.searchSpans({ name: "GET /orders/3" }).rows.length,
  "part of a name": () => queries.searchSpans({ nameContains: "ORDERS/5" }).rows.length,
  "rare attribute value": (each) =>
    queries.searchSpans({ attributes: [user(middle + each)] }).rows.length,
  "unique attribute value": (each) =>
    queries.searchSpans({
      attributes: [{
        key: "request.id",
        value: { stringValue: `${(middle + each).toString(16)}-3` },
      }],
    }).rows.length,
  "common attribute value": () =>
    queries.searchSpans({
      attributes: [{ key: "http.request.method", value: { stringValue: "POST" } }],
    }).rows.length,
  "status": () => queries.searchSpans({ status: "error" }).rows.length,
  "duration": () => queries.searchSpans({ minDurationNs: 40_990_000 }).rows.length,
  "duration, nothing found": () =>
    1 + queries.searchSpans({ minDurationNs: 41_000_500, status: "error" }).rows.length,
  "time in the middle": () =>
    queries.searchSpans({ fromMs: startMs + 1_000, toMs: startMs + 2_000 }).rows.length,
  "all at once": () =>
    queries.searchSpans({
      services: ["payments"],
      status: "error",
      minDurationNs: 30_000_000,
      attributes: [{ key: "region", value: { stringValue: "eu-west-1" } }],
    }).rows.length,
  "traces by rare attribute value": (each) =>
    queries.searchTraces({ attributes: [user(middle + each)] }, { limit: 20 }).rows.length,
  "scatter of 5,000": () => queries.scatter({ services: ["orders"] }).length,
  "overview of everything": () => queries.overview({}).services.length,
};

const asked: Record<string, { first: number; times: number[]; rows: number }> = {};
for (const [name, question] of Object.entries(QUESTIONS)) {
  const times: number[] = [];
  let rows = 0;
  for (let i = 0; i < REPEATS; i++) {
    const from = performance.now();
    rows = question(i);
    times.push(performance.now() - from);
    if (rows === 0) throw new Error(`nothing was found by ${name}`);
  }
  asked[name] = { first: times[0], times, rows };
}
const bytes = (queries as StoreQueries).state().bytes;
queries.close();
store.close();
console.log(JSON.stringify({
  spans,
  wall,
  cpu,
  slowest,
  bytes,
  file: statSync(path).size,
  memory: process.memoryUsage().rss,
  asked,
}));
