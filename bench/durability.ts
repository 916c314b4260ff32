/**
 * What durability "power" costs the application: spans at a steady rate (five attributes, one late
 * attribute and the end, as in spans.ts) into a file in memory, into one on a disk that is not synced,
 * and into one that is, in turns, with the collector running.
 *
 *     deno task bench durability [--quick] [--rate 5000] [--rounds 3] [--seconds 20] [--runtime deno|bun]
 *                                [--dir DIR] [--burst 500]
 *
 * Before that come `--burst` spans as fast as it goes. With "power" slots wait for the disk, so of many
 * at once some find no room.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Costs, Plan } from "./spans/load.ts";
import { PLACE, startCollector } from "./support/competition.ts";
import { machine } from "./support/machine.ts";
import { type RuntimeName, RUNTIMES, start, withPrograms } from "./support/processes.ts";
import { heading, median, row, whole } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    rate: { type: "string", default: "5000" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "20" },
    runtime: { type: "string", default: "both" },
    dir: { type: "string", default: tmpdir() },
    burst: { type: "string", default: "500" },
  },
});
const rounds = values.quick ? 1 : Number(values.rounds);
const seconds = values.quick ? 5 : Number(values.seconds);
const SPANS_PER_BURST = 10;

/** Where the file is, and what becomes of it. */
const CASES = [
  { name: "in memory", place: PLACE, durability: "process" },
  { name: "on a disk", place: values.dir, durability: "process" },
  { name: "on a disk, `power`", place: values.dir, durability: "power" },
] as const;

/** ns a span in the calling thread (median burst, all) and of CPU; MB written a second; spans refused. */
type Figures = Pick<Costs, "medianBurst" | "meanBurst"> & {
  cpu: number;
  written: number;
  missing: number;
};

/** Bytes that a process had written to disks; NaN where that can't be known. */
function writtenBy(pid: number): number {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))![1]);
  } catch {
    return NaN;
  }
}

async function measure(
  runtime: RuntimeName,
  { place, durability }: (typeof CASES)[number],
): Promise<Figures> {
  return await withPrograms(place, async (directory, begin) => {
    const sink = begin(start("bun", "bench/collector/sink.ts", []));
    const endpoint = `http://127.0.0.1:${await sink.hear()}`;
    const collector = begin(startCollector(runtime, directory, endpoint));
    const plan: Plan = {
      endpoint,
      directory,
      active: false,
      spansPerBurst: SPANS_PER_BURST,
      warmUpBursts: Number(values.burst) / SPANS_PER_BURST,
      duration: 1000 * seconds,
      makeSpans: true,
      interval: 1000 * SPANS_PER_BURST / Number(values.rate),
    };
    const application = begin(start(runtime, "bench/spans/ours.ts", [JSON.stringify(plan)], {
      env: { OTLP_MMAP_DURABILITY: durability },
    }));
    await application.hear();
    const before = writtenBy(application.pid);
    application.tell("go");
    const { medianBurst, meanBurst, cpu, measured, offered, wall, losses } = JSON.parse(
      await application.hear(),
    ) as Costs;
    const written = (writtenBy(application.pid) - before) / 1000 / wall;
    application.tell("end");
    await application.rest();
    await collector.stop("SIGTERM");
    sink.tell("how many");
    const missing = offered - Number(await sink.hear());
    // A span whose start found no room is nowhere; the file says why.
    const refused = Object.values(losses).reduce((sum, count) => sum + count, 0);
    if (missing < 0 || missing > refused) {
      throw new Error(`${missing} of ${offered} spans are missing`);
    }
    return { medianBurst, meanBurst, cpu: cpu / measured, written, missing };
  });
}

console.log(`### Durability\n\n${machine()}`);
console.log(`\`deno task bench durability ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
console.log(heading([
  `a span, ${whole(Number(values.rate))}/s`,
  "calling thread, ns",
  "… the middle burst",
  "CPU of the application, ns",
  "MB written a second",
  "spans that found no room",
]));
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  const runs = CASES.map((): Figures[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, each] of CASES.entries()) runs[i].push(await measure(runtime, each));
  }
  for (const [i, { name }] of CASES.entries()) {
    const of = (figure: keyof Figures): number => median(runs[i].map((run) => run[figure]));
    console.log(row([
      `${runtime}: ${name}`,
      whole(of("meanBurst")),
      whole(of("medianBurst")),
      whole(of("cpu")),
      of("written").toFixed(1),
      runs[i].map(({ missing }) => whole(missing)).join(", "),
    ]));
  }
}
console.log(
  `\nMedians of ${rounds} runs of ${seconds} s, in turns; every span that found room arrived.`,
);
