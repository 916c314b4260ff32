/**
 * What a measurement costs: `Counter.add` and `Histogram.record` with three attributes, recorded by
 * this SDK with the collector running and by the OpenTelemetry SDK, both ending in OTLP over HTTP as
 * protobuf at a receiver that compares the totals with what was measured.
 *
 *     deno task bench measurements [--quick] [--runtime deno|bun] [--rounds N] [--rate N]
 *
 * Competitors take turns, every run in fresh processes. Ends with 1 when a total is wrong.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { parseArgs } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "../proto/gen/otlp_pb.ts";
import type { MeasurementCosts, MeasurementPlan } from "./measurements/load.ts";
import {
  type CompetitorName,
  COMPETITORS,
  type Figures,
  line,
  PLACE,
  startCollector,
} from "./support/competition.ts";
import { load, machine, packageVersion } from "./support/machine.ts";
import { cpuOf, type RuntimeName, RUNTIMES, start, withPrograms } from "./support/processes.ts";
import { heading } from "./support/statistics.ts";

const PER_BURST = 100;
const WARM_UP_BURSTS = 1000;
/** Long enough for the collector to take what is there. */
const SETTLE_MS = 300;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string", default: "both" },
    rounds: { type: "string" },
    rate: { type: "string", default: "20000" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
const seconds = values.quick ? 3 : 8;
const interval = PER_BURST / Number(values.rate) * 1000;
/** The last cumulative totals of each metric, all series together. */
interface Totals {
  counter: number;
  histogram: number;
}

async function startReceiver(): Promise<{ url: string; totals: Totals; stop(): void }> {
  const totals: Totals = { counter: 0, histogram: 0 };
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/v1/metrics") {
        const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
        let at = 0;
        for (const chunk of chunks) {
          bytes.set(chunk, at);
          at += chunk.length;
        }
        note(bytes, totals);
      }
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    totals,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function note(bytes: Uint8Array, totals: Totals): void {
  const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, bytes);
  for (const { metrics } of resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)) {
    for (const { data } of metrics) {
      if (data.case === "sum") {
        totals.counter = data.value.dataPoints.reduce(
          (sum, { value }) => sum + Number(value.value),
          0,
        );
      } else if (data.case === "histogram") {
        totals.histogram = data.value.dataPoints.reduce(
          (sum, { count }) => sum + Number(count),
          0,
        );
      }
    }
  }
}

/** What one run came to. */
interface Run {
  readonly costs: MeasurementCosts;
  readonly collectorCpu: number;
  readonly problem: string;
}

async function run(runtime: RuntimeName, name: CompetitorName, measures: boolean): Promise<Run> {
  const receiver = await startReceiver();
  return await withPrograms(PLACE, async (directory, begin) => {
    const collector = name === "ours"
      ? begin(startCollector(runtime, directory, receiver.url, "--metrics-interval", "1s"))
      : undefined;
    const plan: MeasurementPlan = {
      endpoint: receiver.url,
      directory,
      perBurst: PER_BURST,
      warmUpBursts: WARM_UP_BURSTS,
      bursts: Math.round(seconds * 1000 / interval),
      interval,
      measures,
    };
    const file = `bench/measurements/${name}.ts`;
    const application = begin(start(runtime, file, [JSON.stringify(plan)]));
    await application.hear();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const before = collector === undefined ? 0 : cpuOf(collector.pid);
    application.tell("go");
    const costs = JSON.parse(await application.hear()) as MeasurementCosts;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const collectorCpu = collector === undefined ? 0 : cpuOf(collector.pid) - before;
    application.tell("end");
    await application.rest();
    await collector?.stop("SIGTERM");
    const { counter, histogram } = receiver.totals;
    const problem = counter === costs.counted && histogram === costs.recorded
      ? ""
      : `${costs.counted} added and ${costs.recorded} recorded, but the receiver has ${counter} ` +
        `and ${histogram}`;
    return { costs, collectorCpu, problem };
  }).finally(() => receiver.stop());
}

console.log(
  `### Measurements\n\n${machine()}; sdk-metrics ${packageVersion("@opentelemetry/sdk-metrics")}`,
);
console.log(`\`deno task bench measurements ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  const figures = (): Figures => ({ ours: [], opentelemetry: [] });
  const add = figures();
  const record = figures();
  const application = figures();
  const total = figures();
  const before = load();
  for (let round = 0; round < rounds; round++) {
    for (const name of COMPETITORS) {
      const idle = await run(runtime, name, false);
      const { costs, collectorCpu, problem } = await run(runtime, name, true);
      if (problem !== "") {
        console.error(`${runtime}, ${name}: ${problem}`);
        process.exitCode = 1;
      }
      const perMeasurement = 1 / (costs.measured * 2);
      const own = Math.max(0, costs.cpu - idle.costs.cpu);
      add[name].push(costs.add);
      record[name].push(costs.record);
      application[name].push(own * perMeasurement);
      total[name].push((own + Math.max(0, collectorCpu - idle.collectorCpu)) * perMeasurement);
    }
  }
  console.log(
    `**${runtime === "deno" ? "Deno" : "Bun"}, paced, 2 x ${values.rate} measurements/s**\n`,
  );
  console.log(
    heading(["ns a measurement: median (least–most)", "otlp-mmap", "OpenTelemetry", "times less"]),
  );
  console.log(line("Counter.add, calling thread", add));
  console.log(line("Histogram.record, calling thread", record));
  console.log(line("CPU, application", application));
  console.log(line("CPU, application and collector", total));
  console.log(
    `\n${rounds} runs each of ${seconds} s; load average ${before} before, ${load()} after. ` +
      `Three attributes in fresh objects, 12 sets. CPU is what a run used beyond the same processes ` +
      `without measurements.\n`,
  );
}
