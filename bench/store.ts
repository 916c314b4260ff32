/**
 * The embedded store: spans a second in, bytes a span, and how long questions take over all of them.
 *
 *     deno task bench store [--quick] [--spans COUNT] [--runtime deno|bun] [--api]
 *
 * Without an option it stores 5 million spans, which wants 3 GB of disk. With --api a collector is asked
 * over HTTP as well.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type ApiTimes, askApi } from "./store/api.ts";
import { load, machine } from "./support/machine.ts";
import { RUNTIMES, start } from "./support/processes.ts";
import { heading, median, row, whole } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    spans: { type: "string" },
    runtime: { type: "string", default: "both" },
    api: { type: "boolean", default: false },
  },
});
const spans = Number(values.spans ?? (values.quick ? 500_000 : 5_000_000));

/** What the program prints. */
interface Result {
  spans: number;
  wall: number;
  cpu: number;
  slowest: number;
  bytes: number;
  memory: number;
  asked: Record<string, { times: number[]; rows: number }>;
}

const runtimes = RUNTIMES.filter((name) => values.runtime === "both" || values.runtime === name);
const results: (Result & { api?: ApiTimes })[] = [];
for (const runtime of runtimes) {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-bench-store-"));
  try {
    const program = start(runtime, "bench/store/program.ts", [
      join(directory, "store.db"),
      String(spans),
    ]);
    const lines = await program.rest();
    const result = JSON.parse(lines.at(-1)!) as Result;
    const api = values.api ? await askApi(runtime, directory, result.spans) : undefined;
    results.push({ ...result, api });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

console.log(`### Store\n\n${machine()}; load ${load()}`);
console.log(`\`deno task bench store ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
console.log(heading(["", ...runtimes]));
const line = (name: string, of: (result: (typeof results)[number]) => string): void =>
  console.log(row([name, ...results.map(of)]));
line("spans", (result) => whole(result.spans));
line("spans a second of CPU", ({ spans, cpu }) => whole(spans / cpu * 1e3));
line("spans a second", ({ spans, wall }) => whole(spans / wall * 1e3));
line("slowest transaction of 8,192, ms", ({ slowest }) => slowest.toFixed(0));
line("bytes of database a span", ({ spans, bytes }) => whole(bytes / spans));
line("memory of the process, MB", ({ memory }) => whole(memory / 1e6));
for (const name of Object.keys(results[0].asked)) {
  line(`${name}, ms: median (first, most)`, ({ asked }) => {
    const { times } = asked[name];
    return `${median(times).toFixed(1)} (${times[0].toFixed(1)}, ${Math.max(...times).toFixed(1)})`;
  });
}
for (const name of Object.keys(results[0].api?.asked ?? {})) {
  line(`API: ${name}, ms: median (first, most)`, ({ api }) => {
    const times = api!.asked[name];
    return `${median([...times]).toFixed(1)} (${times[0].toFixed(1)}, ${
      Math.max(...times).toFixed(1)
    })`;
  });
}
if (values.api) {
  line("slowest answer of the thread that drains, ms", ({ api }) => api!.slowestRound.toFixed(1));
}
