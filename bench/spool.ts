/**
 * A spool against plain writing: batches of 20 KB are stored, then all of them drained and
 * acknowledged, and the same bytes are written to one file with `node:fs`, in turns and without
 * waiting for the disk.
 *
 *     deno task bench spool [--quick] [--batches 100000] [--rounds 5] [--runtime deno|bun]
 *                           [--dir DIR]
 *
 * With fewer batches first it shows whether draining is linear.
 *
 * @module
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { openSpool } from "../lib/spool/mod.ts";
import { machine } from "./support/machine.ts";
import { RUNTIMES, start } from "./support/processes.ts";
import { heading, median, row } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    batches: { type: "string", default: "100000" },
    rounds: { type: "string", default: "5" },
    runtime: { type: "string", default: "both" },
    dir: { type: "string", default: tmpdir() },
    quick: { type: "boolean", default: false },
    worker: { type: "boolean", default: false },
  },
});

const BATCH_BYTES = 20_000;
const rounds = Number(values.rounds);
const batches = values.quick ? 10_000 : Number(values.batches);

/** Milliseconds of each part, and CPU time of this process. */
interface Times {
  plain: number;
  store: number;
  drain: number;
  plainCpu: number;
  spoolCpu: number;
}

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function body(): Uint8Array {
  const bytes = new Uint8Array(BATCH_BYTES);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  return bytes;
}

/** Runs a part with a folder of its own. */
function timed(run: (folder: string) => number[]): number[] {
  const folder = mkdtempSync(join(values.dir, "otlp-mmap-bench-"));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function writePlainly(count: number, batch: Uint8Array): number {
  return timed((folder) => {
    const began = performance.now();
    const fd = openSync(join(folder, "plain"), "w");
    for (let i = 0; i < count; i++) writeSync(fd, batch);
    closeSync(fd);
    return [performance.now() - began];
  })[0];
}

function storeAndDrain(count: number, batch: Uint8Array): number[] {
  return timed((folder) => {
    const maxBytes = 2 * count * BATCH_BYTES;
    const began = performance.now();
    const spool = openSpool(folder, { maxBytes, sync: "none" });
    for (let i = 0; i < count; i++) spool.put("traces", batch, 50);
    const stored = performance.now();
    let drained = 0;
    for (let each = spool.next("traces"); each !== null; each = spool.next("traces")) {
      drained += each.body.length;
      spool.acknowledge(each.id);
    }
    spool.close();
    if (drained !== count * BATCH_BYTES) throw new Error(`${drained} bytes were drained`);
    return [stored - began, performance.now() - stored];
  });
}

function measure(count: number): Times {
  const batch = body();
  const all: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    const times: Times = { plain: 0, store: 0, drain: 0, plainCpu: 0, spoolCpu: 0 };
    const runs = [
      () => {
        const began = cpu();
        times.plain = writePlainly(count, batch);
        times.plainCpu = cpu() - began;
      },
      () => {
        const began = cpu();
        [times.store, times.drain] = storeAndDrain(count, batch);
        times.spoolCpu = cpu() - began;
      },
    ];
    // What comes second has to do with memory the first has just given back.
    if (round % 2 === 1) runs.reverse();
    for (const run of runs) run();
    all.push(times);
  }
  const of = (part: keyof Times): number => median(all.map((times) => times[part]));
  return {
    plain: of("plain"),
    store: of("store"),
    drain: of("drain"),
    plainCpu: of("plainCpu"),
    spoolCpu: of("spoolCpu"),
  };
}

async function main(): Promise<void> {
  console.log(`### Spool\n\n${machine()}`);
  console.log(`\`deno task bench spool ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
  console.log(heading([
    `batches of ${BATCH_BYTES / 1000} KB`,
    "written plainly, µs each",
    "stored",
    "drained",
    "stored and drained / plainly",
    "the same in CPU time",
  ]));
  for (const runtime of RUNTIMES) {
    if (values.runtime !== "both" && values.runtime !== runtime) continue;
    for (const count of [batches / 10, batches]) {
      const args = ["--worker", "--batches", String(count), "--rounds", values.rounds];
      const worker = start(runtime, "bench/spool.ts", [...args, "--dir", values.dir]);
      const times = JSON.parse(await worker.hear()) as Times;
      const { plain, store, drain, plainCpu, spoolCpu } = times;
      await worker.stop();
      const each = (ms: number): string => ((ms * 1000) / count).toFixed(1);
      console.log(row([
        `${runtime}, ${count}`,
        each(plain),
        each(store),
        each(drain),
        ((store + drain) / plain).toFixed(2),
        (spoolCpu / plainCpu).toFixed(2),
      ]));
    }
  }
  console.log(
    `\nMedians of ${rounds} rounds. Draining reads, checks, acknowledges and removes everything. CPU ` +
      "time is of the process, with what it takes to remove the plain file.",
  );
}

if (values.worker) console.log(JSON.stringify(measure(batches)));
else await main();
