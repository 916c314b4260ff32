/**
 * The program that every competitor runs: warm up, measure at a pace, and say what it cost. Speaks
 * with bench/measurements.ts in lines, as bench/spans/load.ts does.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { type Counter, type Histogram, metrics } from "@opentelemetry/api";
import { median } from "../support/statistics.ts";

/** What to do. */
export interface MeasurementPlan {
  /** Where the receiver listens. */
  readonly endpoint: string;
  /** A directory for files. */
  readonly directory: string;
  readonly perBurst: number;
  readonly warmUpBursts: number;
  readonly bursts: number;
  /** From one burst to the next, ms. */
  readonly interval: number;
  /** False for the same program without measurements. */
  readonly measures: boolean;
}

/** What it cost. */
export interface MeasurementCosts {
  /** Sum of all increments, and number of all values, warm-up included. */
  counted: number;
  recorded: number;
  /** Measurements of each kind made while measuring. */
  measured: number;
  /** Time in the calling thread, ns a measurement: over all bursts. */
  add: number;
  record: number;
  /** The same in the middle burst. */
  medianAdd: number;
  /** User and system time of this process while measuring, ns. */
  cpu: number;
}

/** One way to record. */
export interface MeasurementCompetitor {
  /** Resolves when what was recorded is on its way. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const METHODS = ["GET", "POST", "PUT"];
const ROUTES = ["/items", "/items/{id}"];
const CODES = [200, 404];

function add(counter: Counter, count: number): void {
  for (let i = 0; i < count; i++) {
    counter.add(1, {
      "http.request.method": METHODS[i % 3],
      "http.route": ROUTES[i % 2],
      "http.response.status_code": CODES[(i >> 1) % 2],
    });
  }
}

function record(histogram: Histogram, count: number): void {
  for (let i = 0; i < count; i++) {
    histogram.record(i * 0.37, {
      "http.request.method": METHODS[i % 3],
      "http.route": ROUTES[i % 2],
      "http.response.status_code": CODES[(i >> 1) % 2],
    });
  }
}

/** Starts a competitor by the plan in the program's arguments and measures it. */
export async function measure(
  compete: (plan: MeasurementPlan) => MeasurementCompetitor,
): Promise<void> {
  const plan = JSON.parse(process.argv[2]) as MeasurementPlan;
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const competitor = compete(plan);
  const meter = metrics.getMeter("bench", "1.0.0");
  const counter = meter.createCounter("requests");
  const histogram = meter.createHistogram("duration", { unit: "ms" });
  const { perBurst, interval } = plan;
  let counted = 0;
  for (let i = 0; i < plan.warmUpBursts; i++) {
    add(counter, perBurst);
    record(histogram, perBurst);
    counted += perBurst;
    // The ring has room for a few thousand.
    if (i % 10 === 9) await competitor.flush();
  }
  await competitor.flush();

  process.stdout.write("begin\n");
  await lines.next();
  const adds: number[] = [];
  const records: number[] = [];
  const before = process.cpuUsage();
  const began = performance.now();
  for (let i = 1; i <= plan.bursts; i++) {
    if (plan.measures) {
      const start = performance.now();
      add(counter, perBurst);
      const middle = performance.now();
      record(histogram, perBurst);
      records.push(performance.now() - middle);
      adds.push(middle - start);
      counted += perBurst;
    }
    const wait = Math.max(0, began + i * interval - performance.now());
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  await competitor.flush();
  const used = process.cpuUsage(before);
  const nanos = 1e6 / perBurst;
  const sum = (times: readonly number[]): number => times.reduce((all, time) => all + time, 0);
  const costs: MeasurementCosts = {
    counted,
    recorded: counted,
    measured: adds.length * perBurst,
    add: sum(adds) / adds.length * nanos,
    record: sum(records) / records.length * nanos,
    medianAdd: median(adds) * nanos,
    cpu: (used.user + used.system) * 1000,
  };
  process.stdout.write(`${JSON.stringify(costs)}\n`);
  await lines.next();
  await competitor.close();
  process.exit();
}
