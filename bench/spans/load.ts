/**
 * The program that every competitor runs: warm up, make spans at a pace or flat out, and say what it
 * cost. Speaks with bench/spans.ts in lines:
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
import { trace } from "@opentelemetry/api";
import { mean, median } from "../support/statistics.ts";
import { type Burst, startActiveSpans, startSpans } from "./work.ts";

/** What to do. */
export interface Plan {
  /** Where the receiver listens. */
  readonly endpoint: string;
  /** A directory for files. */
  readonly directory: string;
  /** Spans are made as children within `startActiveSpan`. */
  readonly active: boolean;
  readonly spansPerBurst: number;
  readonly warmUpBursts: number;
  /** Time of measuring, ms. */
  readonly duration: number;
  /** False for the same program without spans. */
  readonly makeSpans: boolean;
  /** From one burst to the next, ms; 0 for as soon as other tasks have had their turn. */
  readonly interval: number;
}

/** What it cost. */
export interface Costs {
  /** Spans made, warm-up included. */
  offered: number;
  /** Spans made while measuring. */
  measured: number;
  /** Time in the calling thread, ns a span: of the middle burst, and over all bursts. */
  medianBurst: number;
  meanBurst: number;
  /** User and system time of this process while measuring, background work included, ns. */
  cpu: number;
  /** ms of measuring. */
  wall: number;
  /** Losses by reason, where the competitor counts them. */
  losses: Record<string, number>;
}

/** What is measured. */
export interface Competitor {
  /** Resolves when what was recorded has left the process. */
  flush(): Promise<void>;
  /** Losses so far, by reason. */
  losses(): Record<string, number>;
  close(): Promise<void>;
}

/** A batch processor's queue takes this many spans: the warm-up flushes before. */
const WARM_UP_FLUSH = 1000;

/** Starts a competitor by the plan in the program's arguments and measures it. */
export async function measure(compete: (plan: Plan) => Competitor): Promise<void> {
  const plan = JSON.parse(process.argv[2]) as Plan;
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const competitor = compete(plan);
  const tracer = trace.getTracer("bench", "1.0.0");
  const burst: Burst = plan.active ? startActiveSpans : startSpans;
  const { spansPerBurst, interval } = plan;

  let next = 0;
  for (let i = 0; i < plan.warmUpBursts; i++) {
    burst(tracer, next, spansPerBurst);
    next += spansPerBurst;
    if (next % WARM_UP_FLUSH < spansPerBurst) await competitor.flush();
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
    if (plan.makeSpans) {
      const start = performance.now();
      burst(tracer, next, spansPerBurst);
      times.push(performance.now() - start);
      next += spansPerBurst;
    }
    const wait = Math.max(0, began + i * interval - performance.now());
    if (interval === 0) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => setTimeout(resolve, wait));
  }
  await competitor.flush();
  const used = process.cpuUsage(before);
  const wall = performance.now() - began;

  const nanos = 1e6 / spansPerBurst;
  const costs: Costs = {
    offered: next,
    measured: times.length * spansPerBurst,
    medianBurst: median(times) * nanos,
    meanBurst: mean(times) * nanos,
    cpu: (used.user + used.system) * 1000,
    wall,
    losses: competitor.losses(),
  };
  process.stdout.write(`${JSON.stringify(costs)}\n`);
  await lines.next();
  await competitor.close();
  process.exit();
}
