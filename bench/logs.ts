/**
 * What a log record costs: a message, five attributes and the span it belongs to, recorded by this
 * SDK with the collector running and by the OpenTelemetry SDK with its batch processor, both sending
 * OTLP over HTTP as protobuf to the same receiver, which decodes and counts.
 *
 *     deno task bench logs [--quick] [--runtime deno|bun] [--rounds N] [--rate N]
 *
 * Competitors take turns, every run in fresh processes. Ends with 1 when a record of a paced run is
 * missing or wrong.
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Plan } from "./logs/load.ts";
import type { Report } from "./logs/sink.ts";
import type { Costs } from "./spans/load.ts";
import { load, machine, packageVersion } from "./support/machine.ts";
import { cpuOf, type Program, type RuntimeName, RUNTIMES, start } from "./support/processes.ts";
import { heading, median, row, spread, whole } from "./support/statistics.ts";

const COMPETITORS = ["ours", "opentelemetry"] as const;
type CompetitorName = (typeof COMPETITORS)[number];

/** What one run came to. */
interface Run {
  readonly costs: Costs;
  readonly report: Report;
  /** CPU of the collector while the application was measured, ns. */
  readonly collectorCpu: number;
}

/** A kind of load. */
interface Scenario {
  readonly title: string;
  /** Records a second; 0 for flat out. */
  readonly rate: number;
  /** Time of measuring. */
  readonly seconds: number;
}

const LOGS_PER_BURST = 100;
const WARM_UP_LOGS = 60_000;
/** The collector sends what it has taken after 200 ms at most. */
const SETTLE_MS = 600;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string", default: "both" },
    rounds: { type: "string" },
    rate: { type: "string", default: "5000" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
const rate = Number(values.rate);
const scenarios: Scenario[] = [
  { title: `paced, ${whole(rate)} records/s`, rate, seconds: values.quick ? 3 : 8 },
  { title: "flat out", rate: 0, seconds: 2 },
];
/** Where the SDK puts its files when nothing else is said: memory, where there is such a place. */
const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Starts a competitor in fresh processes, with a collector for ours, and sees it through. */
async function run(
  runtime: RuntimeName,
  name: CompetitorName,
  scenario: Scenario,
  emits: boolean,
): Promise<Run> {
  const directory = mkdtempSync(join(place, "otlp-mmap-bench-"));
  const programs: Program[] = [];
  const begin = (...args: Parameters<typeof start>): Program => {
    const program = start(...args);
    programs.push(program);
    return program;
  };
  try {
    const sink = begin("bun", "bench/logs/sink.ts", []);
    const endpoint = `http://127.0.0.1:${await sink.hear()}`;
    const collector = name === "ours"
      ? begin(runtime, "collector/main.ts", ["collect", directory, "--endpoint", endpoint], {
        onError: (line) => {
          if (/warn|error/.test(line)) console.error(line);
        },
      })
      : undefined;
    const plan: Plan = {
      endpoint,
      directory,
      warmUpBursts: WARM_UP_LOGS / LOGS_PER_BURST,
      duration: scenario.seconds * 1000,
      logsPerBurst: LOGS_PER_BURST,
      emits,
      interval: scenario.rate === 0 ? 0 : LOGS_PER_BURST / scenario.rate * 1000,
    };
    const application = begin(runtime, `bench/logs/${name}.ts`, [JSON.stringify(plan)]);
    const collectorCpu = (): number => collector === undefined ? 0 : cpuOf(collector.pid);
    await application.hear();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const before = collectorCpu();
    application.tell("go");
    const costs = JSON.parse(await application.hear()) as Costs;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const after = collectorCpu();
    application.tell("end");
    await application.rest();
    await collector?.stop("SIGTERM");
    sink.tell(`${costs.offered}`);
    const report = JSON.parse(await sink.hear()) as Report;
    return { costs, report, collectorCpu: after - before };
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Says what is wrong with a run of which nothing may be missing. */
function problemOf({ costs, report }: Run): string {
  const { offered, losses } = costs;
  if (report.problem !== "") return report.problem;
  if (report.right === offered && report.logs === offered && report.doubled === 0) return "";
  return `${offered} offered, ${report.logs} received, ${report.right} of them right, ` +
    `${report.doubled} doubled, losses ${JSON.stringify(losses)}`;
}

/** Records received of those made while measuring; the warm-up loses none. */
function delivered({ costs, report }: Run): number {
  return costs.measured - (costs.offered - report.logs);
}

/** A figure of each run, by competitor. */
type Figures = Record<CompetitorName, number[]>;

/** One line of the table; `times` is how many times less ours is, run by run. */
function line(label: string, figures: Figures): string {
  const ratios = figures.ours.map((ours, i) => figures.opentelemetry[i] / ours);
  return row([
    label,
    spread(figures.ours, whole),
    spread(figures.opentelemetry, whole),
    `${spread(ratios, (ratio) => ratio.toFixed(1))}`,
  ]);
}

/** Sees every competitor through a scenario, and prints a table of it. */
async function measure(runtime: RuntimeName, scenario: Scenario): Promise<void> {
  const runs: Record<CompetitorName, Run[]> = { ours: [], opentelemetry: [] };
  const silent: Record<CompetitorName, Run[]> = { ours: [], opentelemetry: [] };
  const isPaced = scenario.rate > 0;
  const loadBefore = load();
  for (let round = 0; round < rounds; round++) {
    for (const name of COMPETITORS) {
      const made = await run(runtime, name, scenario, true);
      runs[name].push(made);
      const problem = isPaced ? problemOf(made) : made.report.problem;
      if (problem !== "") {
        console.error(`${runtime}, ${scenario.title}, ${name}: ${problem}`);
        process.exitCode = 1;
      }
      // CPU is compared with that of the same processes without records; flat out that is nothing.
      if (isPaced) silent[name].push(await run(runtime, name, scenario, false));
    }
  }
  const each = (figure: (run: Run, name: CompetitorName) => number): Figures => ({
    ours: runs.ours.map((made) => figure(made, "ours")),
    opentelemetry: runs.opentelemetry.map((made) => figure(made, "opentelemetry")),
  });
  const used = (made: Run, withCollector: boolean): number =>
    made.costs.cpu + (withCollector ? made.collectorCpu : 0);
  const cpu = (withCollector: boolean) => (made: Run, name: CompetitorName): number => {
    const idling = isPaced
      ? median(silent[name].map((still) => used(still, withCollector) / still.costs.wall))
      : 0;
    const records = withCollector ? delivered(made) : made.costs.measured;
    return (used(made, withCollector) - idling * made.costs.wall) / records;
  };
  const sums = (label: string, figure: (run: Run) => number): string =>
    row([
      label,
      ...COMPETITORS.map((name) => whole(runs[name].reduce((sum, made) => sum + figure(made), 0))),
      "",
    ]);

  console.log(`\n**${runtime === "deno" ? "Deno" : "Bun"}, ${scenario.title}**\n`);
  console.log(
    heading(["ns a record: median (least–most)", "otlp-mmap", "OpenTelemetry", "times less"]),
  );
  const offer = isPaced ? "" : ", a record offered";
  console.log(line(`calling thread${offer}`, each((made) => made.costs.meanBurst)));
  if (isPaced) {
    console.log(line("calling thread, middle burst", each((made) => made.costs.medianBurst)));
  }
  console.log(line(`CPU, application${offer}`, each(cpu(false))));
  const both = `CPU, application and collector${isPaced ? "" : ", a record delivered"}`;
  console.log(line(both, each(cpu(true))));
  if (!isPaced) {
    const wall = (made: Run): number => made.costs.wall * 1e6 / delivered(made);
    console.log(line("wall time, a record delivered", each(wall)));
  }
  console.log(sums("records offered", ({ costs }) => costs.offered));
  console.log(sums("delivered, every value right", ({ report }) => report.right));
  if (!isPaced) {
    console.log(sums("refused or dropped", ({ costs, report }) => costs.offered - report.logs));
  }
  console.log(
    `\n${rounds} runs each of ${scenario.seconds} s, and ${
      whole(WARM_UP_LOGS)
    } records before to ` +
      `warm up; load average ${loadBefore} before, ${load()} after.` +
      (isPaced ? " CPU is what a run used beyond the same processes without records." : ""),
  );
  const losses = JSON.stringify(runs.ours.at(-1)?.costs.losses);
  if (losses !== "{}") console.log(`Records that the last file counts as lost: ${losses}.`);
}

console.log(`### Log records\n\n${machine()}`);
console.log(
  ["@opentelemetry/sdk-logs", "@opentelemetry/exporter-logs-otlp-proto"].map(packageVersion)
    .join(", "),
);
console.log(`\`deno task bench logs ${process.argv.slice(2).join(" ")}`.trimEnd() + "`");
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  for (const scenario of scenarios) await measure(runtime, scenario);
}
