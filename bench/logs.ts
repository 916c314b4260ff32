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
import process from "node:process";
import { parseArgs } from "node:util";
import type { Plan } from "./logs/load.ts";
import type { Report } from "./logs/sink.ts";
import type { Costs } from "./spans/load.ts";
import {
  type CompetitorName,
  COMPETITORS,
  contest,
  type Figures,
  line,
  type Outcome,
} from "./support/competition.ts";
import { load, machine, packageVersion } from "./support/machine.ts";
import { type RuntimeName, RUNTIMES } from "./support/processes.ts";
import { heading, median, row, whole } from "./support/statistics.ts";

/** What one run came to. */
type Run = Outcome<Costs, Report>;

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
/** Sees a competitor through. */
function run(
  runtime: RuntimeName,
  name: CompetitorName,
  scenario: Scenario,
  emits: boolean,
): Promise<Run> {
  const files = { runtime, name, sink: "bench/logs/sink.ts", folder: "bench/logs" };
  return contest<Costs, Report>(files, (endpoint, directory): Plan => ({
    endpoint,
    directory,
    warmUpBursts: WARM_UP_LOGS / LOGS_PER_BURST,
    duration: scenario.seconds * 1000,
    logsPerBurst: LOGS_PER_BURST,
    emits,
    interval: scenario.rate === 0 ? 0 : LOGS_PER_BURST / scenario.rate * 1000,
  }));
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
