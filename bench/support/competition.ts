/**
 * What benchmarks against the OpenTelemetry SDK have in common: fresh processes for every run, and a
 * table of both sides.
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { cpuOf, type Program, type RuntimeName, start, withPrograms } from "./processes.ts";
import { row, spread, whole } from "./statistics.ts";

/** The sides, in the order in which they take turns. */
export const COMPETITORS = ["ours", "opentelemetry"] as const;
/** One of them. */
export type CompetitorName = (typeof COMPETITORS)[number];

/** Where the SDK puts its files when nothing else is said: memory, where there is such a place. */
export const PLACE: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** The collector sends what it has taken after 200 ms at most. */
const SETTLE_MS = 600;

/** What one run came to. */
export interface Outcome<Costs, Report> {
  readonly costs: Costs;
  readonly report: Report;
  /** CPU of the collector while the application was measured, ns. */
  readonly collectorCpu: number;
}

/** The programs of a run. */
export interface Contest {
  readonly runtime: RuntimeName;
  readonly name: CompetitorName;
  /** The receiver, which prints its port, and for the number of items offered its report. */
  readonly sink: string;
  /** The folder with a program for each competitor. */
  readonly folder: string;
}

/** Where collectors store requests: on a disk, as they do without being told. */
const SPOOL = mkdtempSync(join(tmpdir(), "otlp-mmap-bench-spool-"));
process.on("exit", () => rmSync(SPOOL, { recursive: true, force: true }));

/**
 * Starts the collector on a directory, with a spool unless it is told otherwise; its warnings and
 * errors go to standard error.
 */
export function startCollector(
  runtime: RuntimeName,
  directory: string,
  endpoint: string,
  ...args: string[]
): Program {
  const all = ["collect", directory, "--endpoint", endpoint, ...args];
  return start(runtime, "collector/main.ts", all, {
    // As the task `collect` runs it: V8 would let its young generation grow to 32 MiB.
    flags: runtime === "deno" ? ["--v8-flags=--max-semi-space-size=2"] : [],
    env: { OTLP_MMAP_SPOOL: SPOOL },
    onError: (line) => {
      if (/warn|error/.test(line)) console.error(line);
    },
  });
}

/** Starts a competitor in fresh processes, with a collector for ours, and sees it through. */
export async function contest<Costs extends { offered: number }, Report>(
  { runtime, name, sink: sinkFile, folder }: Contest,
  plan: (endpoint: string, directory: string) => unknown,
): Promise<Outcome<Costs, Report>> {
  return await withPrograms(PLACE, async (directory, begin) => {
    const sink = begin(start("bun", sinkFile, []));
    const endpoint = `http://127.0.0.1:${await sink.hear()}`;
    const collector = name === "ours"
      ? begin(startCollector(runtime, directory, endpoint))
      : undefined;
    const said = JSON.stringify(plan(endpoint, directory));
    const application = begin(start(runtime, `${folder}/${name}.ts`, [said]));
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
  });
}

/** A figure of each run, by competitor. */
export type Figures = Record<CompetitorName, number[]>;

/** One line of the table; `times` is how many times less ours is, run by run. */
export function line(label: string, figures: Figures): string {
  const ratios = figures.ours.map((ours, i) => figures.opentelemetry[i] / ours);
  return row([
    label,
    spread(figures.ours, whole),
    spread(figures.opentelemetry, whole),
    spread(ratios, (ratio) => ratio.toFixed(1)),
  ]);
}
