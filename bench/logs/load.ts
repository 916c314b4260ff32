/**
 * The program that every competitor runs: warm up, log at a pace or flat out, and say what it cost.
 * Speaks with bench/logs.ts in lines:
 *
 *     -> begin                    after warming up
 *     <- (any line)
 *     -> JSON of Costs            when all is flushed
 *     <- (any line)               and it ends
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { context, type Logger, logs } from "@opentelemetry/api";
import type { Competitor, Costs } from "../spans/load.ts";
import { mean, median } from "../support/statistics.ts";
import { emitLogs, spanContext } from "./work.ts";

/** What to do. */
export interface Plan {
  /** Where the receiver listens. */
  readonly endpoint: string;
  /** A directory for files. */
  readonly directory: string;
  readonly logsPerBurst: number;
  readonly warmUpBursts: number;
  /** Time of measuring, ms. */
  readonly duration: number;
  /** False for the same program without log records. */
  readonly emits: boolean;
  /** From one burst to the next, ms; 0 for as soon as other tasks have had their turn. */
  readonly interval: number;
}

/** A batch processor's queue takes this many records: the warm-up flushes before. */
const WARM_UP_FLUSH = 1000;

/** Starts a competitor by the plan in the program's arguments and measures it. */
export async function measure(compete: (plan: Plan) => Competitor): Promise<void> {
  const plan = JSON.parse(process.argv[2]) as Plan;
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const competitor = compete(plan);
  const logger: Logger = logs.getLogger("bench", "1.0.0");
  if (!logger.enabled({ severityNumber: 9 })) throw new Error("no logger provider is registered");
  const { logsPerBurst, interval } = plan;
  const within = spanContext();
  const burst = (first: number): void =>
    context.with(within, emitLogs, undefined, logger, first, logsPerBurst);

  let next = 0;
  for (let i = 0; i < plan.warmUpBursts; i++) {
    burst(next);
    next += logsPerBurst;
    if (next % WARM_UP_FLUSH < logsPerBurst) await competitor.flush();
  }
  await competitor.flush();

  process.stdout.write("begin\n");
  await lines.next();
  const times: number[] = [];
  const before = process.cpuUsage();
  const began = performance.now();
  const isOver = (i: number): boolean =>
    interval === 0 ? performance.now() - began >= plan.duration : i * interval > plan.duration;
  for (let i = 1; !isOver(i); i++) {
    if (plan.emits) {
      const start = performance.now();
      burst(next);
      times.push(performance.now() - start);
      next += logsPerBurst;
    }
    const wait = Math.max(0, began + i * interval - performance.now());
    if (interval === 0) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => setTimeout(resolve, wait));
  }
  await competitor.flush();
  const used = process.cpuUsage(before);
  const nanos = 1e6 / logsPerBurst;
  const costs: Costs = {
    offered: next,
    measured: times.length * logsPerBurst,
    medianBurst: median(times) * nanos,
    meanBurst: mean(times) * nanos,
    cpu: (used.user + used.system) * 1000,
    wall: performance.now() - began,
    losses: competitor.losses(),
  };
  process.stdout.write(`${JSON.stringify(costs)}\n`);
  await lines.next();
  await competitor.close();
  process.exit();
}
