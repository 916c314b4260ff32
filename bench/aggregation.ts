/**
 * What the collector's metrics cost: measurements into series, and series into requests, beside an
 * encoding through protobuf-es and the OpenTelemetry SDK for JavaScript. How much is allocated comes
 * from the logs that the runtimes' garbage collectors write; a control that allocates shows that
 * they would tell.
 *
 *     deno task bench aggregation [--quick] [--runtime deno|bun] [--rounds N]
 *
 * Ends with 1 where a point allocates more than a byte, or the control is not seen.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { machine, packageVersion } from "./support/machine.ts";
import { type RuntimeName, RUNTIMES, start, type StartOptions } from "./support/processes.ts";
import { heading, median, row, whole } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string", default: "both" },
    rounds: { type: "string" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const points = 1_000_000;
const measurements = values.quick ? 2_000_000 : 10_000_000;

/** What a run of the program said, and how many collections there were while it measured. */
interface Seen {
  readonly figures: Record<string, number> & { rss: number[] };
  readonly collections: number;
}

const PROGRAM = "bench/aggregation/program.ts";
/** A collection that the program asked for, before and after what it measures, and any other. */
const ASKED = /Mark-Compact.* testing;|=> FullCollection/;
const COLLECTION = /\b(Scavenge|Mark-Compact)\b|Requesting GC because/;

async function run(runtime: RuntimeName, args: readonly string[]): Promise<Seen> {
  let since = 0;
  let collections = 0;
  let figures = "{}";
  const look = (line: string): void => {
    if (ASKED.test(line)) {
      collections = since;
      since = 0;
    } else if (COLLECTION.test(line)) since++;
    // V8 writes its log past the program's own output, in the middle of a line if need be.
    figures = /\{"time".*\}/.exec(line)?.[0] ?? figures;
  };
  const options: StartOptions = runtime === "deno"
    ? { flags: [`--v8-flags=${V8_FLAGS}`] }
    : { env: { BUN_JSC_logGC: "1", BUN_JSC_gcMaxHeapSize: `${2 ** 23}` }, onError: look };
  const program = start(runtime, PROGRAM, args, options);
  for (const line of await program.rest()) look(line);
  return { figures: JSON.parse(figures), collections };
}
const V8_FLAGS = "--trace-gc,--expose-gc,--min-semi-space-size=8,--max-semi-space-size=8";

console.log(
  `### Aggregation\n\n${machine()}; sdk-metrics ${packageVersion("@opentelemetry/sdk-metrics")}`,
);
console.log(`\`deno task bench aggregation ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  console.log(`**${runtime === "deno" ? "Deno" : "Bun"}**\n`);
  const ways = ["ours", "protobuf", "opentelemetry", "control"] as const;
  const seen = Object.fromEntries(ways.map((way) => [way, [] as Seen[]]));
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      seen[way].push(await run(runtime, ["encode", way, `${points}`]));
    }
  }
  console.log(heading([`${whole(points)} data points`, ...ways]));
  const middle = (way: string, of: (one: Seen) => number): string =>
    whole(median(seen[way].map(of)));
  console.log(
    row(["ns a point", ...ways.map((way) => middle(way, ({ figures }) => figures.time))]),
  );
  console.log(row(["collections", ...ways.map((way) => middle(way, (one) => one.collections))]));
  const heap = (way: string): number =>
    median(seen[way].map(({ figures }) => figures.heap / figures.points));
  console.log(row(["heap grown, bytes a point", ...ways.map((way) => heap(way).toFixed(2))]));
  if (seen.ours.some(({ collections }) => collections > 0) || heap("ours") > 1) {
    console.error("data points must not allocate");
    process.exitCode = 1;
  }
  if (seen.control.some(({ collections }) => collections < 3)) {
    console.error("the control allocates, and this did not show: the figures mean nothing");
    process.exitCode = 1;
  }
  const taken = await run(runtime, ["take", `${measurements}`]);
  const { cpu, rss } = taken.figures;
  console.log(
    `\n${whole(measurements)} measurements into 100 streams of 2,000 series: ${
      whole(cpu)
    } ns of CPU ` +
      `each; resident ${whole(rss[0] / 2 ** 20)} MiB after a tenth, ${
        whole(rss[1] / 2 ** 20)
      } MiB ` +
      `at the end (${(rss[1] / rss[0]).toFixed(2)} times).\n`,
  );
}
