/**
 * CPU and memory of the collector while a writer in another process keeps its file full, of spans,
 * of log records and of measurements (100 streams of 2,000 series); all is sent to a local sink that counts it.
 *
 *     deno task bench collector [--spans 5000000] [--logs 5000000] [--measurements 10000000]
 *                               [--runtime deno|bun]
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { PLACE, startCollector } from "./support/competition.ts";
import { machine } from "./support/machine.ts";
import { cpuOf, type RuntimeName, RUNTIMES, start, withPrograms } from "./support/processes.ts";
import { heading, row, whole } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    spans: { type: "string", default: "5000000" },
    logs: { type: "string", default: "5000000" },
    measurements: { type: "string", default: "10000000" },
    runtime: { type: "string", default: "both" },
  },
});

/** Resident memory of a process, bytes. */
function residentOf(pid: number): number {
  if (process.platform === "linux") {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4096;
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What is written, and how it is sent. */
interface Case {
  readonly what: "spans" | "logs" | "measurements";
  /** For people. */
  readonly how: string;
  readonly protocol: "http/protobuf" | "grpc";
  readonly compression: "none" | "gzip";
  /** By way of the disk, with a journal. */
  readonly spool: boolean;
}

const NAMES = { spans: "spans", logs: "log records", measurements: "measurements" } as const;

const HTTP = { protocol: "http/protobuf", compression: "none", spool: false } as const;
const CASES: readonly Case[] = [
  { ...HTTP, what: "spans", how: "HTTP" },
  { ...HTTP, what: "spans", how: "HTTP, gzip", compression: "gzip" },
  { ...HTTP, what: "spans", how: "gRPC", protocol: "grpc" },
  { ...HTTP, what: "spans", how: "gRPC, gzip", protocol: "grpc", compression: "gzip" },
  { ...HTTP, what: "spans", how: "HTTP, spool and journal", spool: true },
  { ...HTTP, what: "logs", how: "HTTP" },
  { ...HTTP, what: "logs", how: "HTTP, spool and journal", spool: true },
  { ...HTTP, what: "measurements", how: "HTTP" },
  { ...HTTP, what: "measurements", how: "HTTP, spool and journal", spool: true },
];

/** Runs a writer and prints a line; false when something did not arrive. */
async function measure(
  runtime: RuntimeName,
  { what, how, protocol, compression, spool }: Case,
  total: number,
): Promise<boolean> {
  return await withPrograms(PLACE, async (directory, begin) => {
    const sink = begin(start("bun", "bench/collector/sink.ts", [protocol]));
    const endpoint = `http://127.0.0.1:${await sink.hear()}`;
    const flags = ["--protocol", protocol, "--compression", compression];
    if (!spool) flags.push("--no-spool");
    const collector = begin(startCollector(runtime, directory, endpoint, ...flags));
    const cpu = (): number => cpuOf(collector.pid);
    // Started, and at rest.
    await sleep(2000);
    const before = cpu();
    const writer = begin(start("bun", `bench/collector/${what}.ts`, [directory, `${total}`]));
    /** Asks until all of a part has arrived: metrics come every ten seconds. */
    const receive = async (count: number): Promise<number> => {
      let received = 0;
      for (let i = 0; i < 120 && received < count; i++) {
        await sleep(100);
        sink.tell("how many");
        received = Number(await sink.hear());
      }
      return received;
    };
    // Garbage and requests come and go: the most that was seen in a part.
    let samples: number[] = [];
    const timer = setInterval(() => samples.push(residentOf(collector.pid)), 100);
    const resident: number[] = [];
    let received = 0;
    let seconds = 0;
    for (const part of [total / 5, total]) {
      samples = [];
      const began = performance.now();
      await writer.hear();
      seconds += (performance.now() - began) / 1000;
      received = await receive(part);
      resident.push(Math.max(...samples));
      writer.tell("go on");
    }
    clearInterval(timer);
    await writer.rest();
    const used = cpu() - before;
    await sleep(2000);
    const idle = cpu();
    await sleep(10_000);
    console.log(row([
      `${runtime}, ${whole(total)} ${NAMES[what]}, ${how}`,
      whole(used / total),
      whole(total / seconds),
      `${(resident[1] / 2 ** 20).toFixed(0)} MiB`,
      (resident[1] / resident[0]).toFixed(2),
      `${((cpu() - idle) / 1e8).toFixed(1)} %`,
      whole(received),
    ]));
    return received === total;
  });
}

console.log(`### Collector\n\n${machine()}`);
console.log(`\`deno task bench collector ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
console.log(heading([
  "",
  "CPU, ns each",
  "taken a second",
  "resident at most",
  "to that in the first fifth",
  "idle, of a core",
  "received",
]));
for (const runtime of RUNTIMES) {
  if (values.runtime !== "both" && values.runtime !== runtime) continue;
  for (const each of CASES) {
    const total = Number(values[each.what]);
    if (total > 0 && !await measure(runtime, each, total)) {
      console.error(`${runtime}, ${each.how}: not all ${NAMES[each.what]} were received`);
      process.exitCode = 1;
    }
  }
}
console.log(
  "\nA writer in a process of its own keeps the ring full. CPU is user and system time of the " +
    "collector, sending included.",
);
