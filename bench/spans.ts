/**
 * What a span costs: five attributes, one late attribute and its end, recorded by this SDK with the
 * collector running and by the OpenTelemetry SDK with its batch span processor, both sending OTLP
 * over HTTP as protobuf to the same receiver, which decodes and counts.
 *
 *     deno task bench spans [--quick] [--runtime deno|bun] [--rounds N] [--rate N]
 *
 * Competitors take turns, every run in fresh processes. Ends with 1 when a span of a paced run is
 * missing or wrong.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { Report } from "./sink.ts";
import type { Costs, Plan } from "./spans/load.ts";
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
  readonly active: boolean;
  /** Spans a second; 0 for flat out. */
  readonly rate: number;
  /** Time of measuring. */
  readonly seconds: number;
  /** Whether CPU is compared with that of the same processes without spans. */
  readonly baseline: boolean;
}

const SPANS_PER_BURST = 100;
const WARM_UP_SPANS = 60_000;

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
  {
    title: `paced, ${whole(rate)} spans/s`,
    active: false,
    rate,
    seconds: values.quick ? 3 : 8,
    baseline: true,
  },
  {
    title: `paced, ${whole(rate)} spans/s, each the active span of its own startActiveSpan`,
    active: true,
    rate,
    seconds: 3,
    baseline: false,
  },
  { title: "flat out", active: false, rate: 0, seconds: 2, baseline: false },
];
/** Sees a competitor through. */
function run(
  runtime: RuntimeName,
  name: CompetitorName,
  scenario: Scenario,
  makeSpans: boolean,
): Promise<Run> {
  const files = { runtime, name, sink: "bench/sink.ts", folder: "bench/spans" };
  return contest<Costs, Report>(files, (endpoint, directory): Plan => ({
    endpoint,
    directory,
    active: scenario.active,
    warmUpBursts: WARM_UP_SPANS / SPANS_PER_BURST,
    duration: scenario.seconds * 1000,
    spansPerBurst: SPANS_PER_BURST,
    makeSpans,
    interval: scenario.rate === 0 ? 0 : SPANS_PER_BURST / scenario.rate * 1000,
  }));
}

/** Says what is wrong with a run of which nothing may be missing. */
function problemOf({ costs, report }: Run): string {
  const { offered, losses } = costs;
  if (report.problem !== "") return report.problem;
  if (report.right === offered && report.spans === offered && report.doubled === 0) return "";
  return `${offered} offered, ${report.spans} received, ${report.right} of them right, ` +
    `${report.doubled} doubled, losses ${JSON.stringify(losses)}`;
}

/** Spans that were offered and never received. */
function lost({ costs, report }: Run): number {
  return costs.offered - report.spans;
}

/** Spans received of those made while measuring; the warm-up loses none. */
function delivered(run: Run): number {
  return run.costs.measured - lost(run);
}

/** CPU a second of the same processes without spans, ns; by runtime and competitor. */
const idle = new Map<string, { application: number; collector: number }>();

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
    }
    if (!scenario.baseline) continue;
    for (const name of COMPETITORS) silent[name].push(await run(runtime, name, scenario, false));
  }
  for (const name of scenario.baseline ? COMPETITORS : []) {
    const perSecond = (figure: (run: Run) => number) =>
      median(silent[name].map((made) => figure(made) / made.costs.wall * 1000));
    idle.set(`${runtime} ${name}`, {
      application: perSecond(({ costs }) => costs.cpu),
      collector: perSecond(({ collectorCpu }) => collectorCpu),
    });
  }

  const each = (figure: (run: Run, name: CompetitorName) => number): Figures => ({
    ours: runs.ours.map((made) => figure(made, "ours")),
    opentelemetry: runs.opentelemetry.map((made) => figure(made, "opentelemetry")),
  });
  const cpu = (withCollector: boolean) => (made: Run, name: CompetitorName): number => {
    const { costs, collectorCpu } = made;
    const used = costs.cpu + (withCollector ? collectorCpu : 0);
    // Flat out, what idling costs is nothing beside the rest.
    const base = isPaced ? idle.get(`${runtime} ${name}`) : undefined;
    const idling = (base?.application ?? 0) + (withCollector ? base?.collector ?? 0 : 0);
    const spans = withCollector ? delivered(made) : costs.measured;
    return (used - idling * costs.wall / 1000) / spans;
  };
  const sums = (label: string, figure: (run: Run) => number): string =>
    row([
      label,
      ...COMPETITORS.map((name) => whole(runs[name].reduce((sum, made) => sum + figure(made), 0))),
      "",
    ]);

  console.log(`\n**${runtime === "deno" ? "Deno" : "Bun"}, ${scenario.title}**\n`);
  console.log(
    heading(["ns a span: median (least–most)", "otlp-mmap", "OpenTelemetry", "times less"]),
  );
  const offer = isPaced ? "" : ", a span offered";
  console.log(line(`calling thread${offer}`, each((made) => made.costs.meanBurst)));
  if (isPaced) {
    console.log(line("calling thread, middle burst", each((made) => made.costs.medianBurst)));
  }
  console.log(line(`CPU, application${offer}`, each(cpu(false))));
  const both = `CPU, application and collector${isPaced ? "" : ", a span delivered"}`;
  console.log(line(both, each(cpu(true))));
  if (!isPaced) {
    const wall = (made: Run): number => made.costs.wall * 1e6 / delivered(made);
    console.log(line("wall time, a span delivered", each(wall)));
  }
  console.log(sums("spans offered", ({ costs }) => costs.offered));
  console.log(sums("delivered, every value right", ({ report }) => report.right));
  if (!isPaced) {
    console.log(sums("delivered without the late attribute", ({ report }) => report.withoutLate));
    console.log(sums("refused or dropped", lost));
  }
  console.log(
    `\n${rounds} runs each of ${scenario.seconds} s, and ${whole(WARM_UP_SPANS)} spans before to ` +
      `warm up; load average ${loadBefore} before, ${load()} after.` +
      (isPaced ? " CPU is what a run used beyond the same processes without spans." : ""),
  );
  const losses = JSON.stringify(runs.ours.at(-1)?.costs.losses);
  if (losses !== "{}") console.log(`Records that the last file counts as lost: ${losses}.`);
}

console.log(`### Spans\n\n${machine()}`);
console.log(
  ["@opentelemetry/sdk-trace", "@opentelemetry/exporter-trace-otlp-proto"].map(packageVersion)
    .join(", "),
);
console.log(`\`deno task bench spans ${process.argv.slice(2).join(" ")}`.trimEnd() + "`");
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  for (const scenario of scenarios) await measure(runtime, scenario);
}
