/**
 * `run`: a program with the SDK preloaded and a collector beside it, in this process.
 *
 * @module
 */
import type { Command } from "commander";
import { readdirSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { runtime, userTempDirectory } from "../../ffi/mod.ts";
import { defaultDirectory, isFileName } from "../../lib/file/places.ts";
import { createDelivery } from "../delivery/delivery.ts";
import { discover } from "../files/discover.ts";
import { makeRunFolder, removeAbandonedRuns, type RunFolder } from "../files/runs.ts";
import { log } from "../text/log.ts";
import {
  addSending,
  type CollectOptions,
  readOptions,
  scratchCollect,
} from "../options/options.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { wantsColor } from "../print/print.ts";
import type { AddCommand } from "../program.ts";
import { type End, runChild } from "../run/child.ts";
import { type Launch, understand } from "../run/launch.ts";
import { Memory, nowhere } from "../run/remember.ts";
import { report } from "../run/report.ts";
import { findSdk } from "../run/sdk.ts";
import { forEachSignal, ITEMS, SIGNALS } from "../pipeline/signals.ts";
import { createSinks } from "../delivery/sinks.ts";
import { printable } from "../text/text.ts";

/** How long the end may take after the program's, milliseconds; a signal ends it as well. */
const DRAIN_MS = 10_000;

const HELP = `
COMMAND is deno run …, bun …, or a file of TypeScript or JavaScript with its arguments: a file runs
with the runtime whose deno.json, bun.lock or bunfig.toml is nearest, else with the one on the PATH
(with Deno, all is allowed to it). The SDK is the program's own if it has the package otlp-mmap, else
the one in this program. The program has the terminal, gets the signals, and gives the exit code
(128 and the number of the signal that ended it).

What a run that was killed has left is read by "collect" where no path is given. Without an endpoint
nothing is sent. If the program fails or is killed, its open spans, its last log
records and what was lost are printed on standard error. An exception or rejection that ends it is a log
record, unless OTLP_MMAP_INSTRUMENT is none. The variables are those of collect, and so may be the file
of --config: what in it only collect has options for is passed over. On Deno,
the program needs --allow-ffi, --allow-env, --allow-read, --allow-write and --allow-sys (or -A).

Examples:
  otlp-mmap run -- bun app.ts                      what was it doing when it crashed?
  otlp-mmap run -- deno run -A app.ts --port 80    what follows is for the program
  otlp-mmap run --endpoint http://localhost:4318 -- app.ts
  OTLP_MMAP_INSTRUMENT=all otlp-mmap run -- bun server.ts

Exit codes:
  0 and others  the program's; 128 and the number of the signal that ended it
  2             a bad argument or variable
  126, 127      the program can't be started, or is not there
`;

/** The command. */
export const run: AddCommand = (program, env, choose) => {
  const command = program.command("run")
    .description("start a Deno or Bun program with the SDK, and collect what it records")
    .usage("[options] -- COMMAND…")
    .argument("<command...>", "the program and its arguments, after --");
  addSending(command)
    .addHelpText("after", HELP)
    .action((words: string[], _flags: unknown, command: Command) => {
      const launch = understand(words, env.PATH, process.cwd());
      const options = readOptions([], command, env, scratchCollect(env));
      for (const warning of options.warnings) log("warn", warning);
      choose(() => execute(launch, options, words));
    });
};

async function execute(
  launch: Launch,
  options: CollectOptions,
  words: readonly string[],
): Promise<number> {
  if (!runtime.supported) {
    log("error", `files cannot be mapped here: ${runtime.reason}`);
    return 2;
  }
  const place = makePlace();
  const { files } = place;
  let keep = false;
  try {
    const memory = new Memory();
    const pipeline = createPipeline(files, options, memory);
    const collected = pipeline.run();
    const sdk = findSdk(launch.runtime, launch.folder, place.path);
    // It would win over the directory.
    const env = {
      ...process.env,
      OTLP_MMAP_DIR: files,
      SDK_MMAP_EXPORTER_FILE: undefined,
      OTLP_MMAP_INSTRUMENT: withExceptions(process.env.OTLP_MMAP_INSTRUMENT),
    };
    let late = 0;
    const end = await runChild(launch.preloading(sdk), env, (signal) => {
      // The first one ends the wait for the backend, a second one ends at once.
      if (late++ > 0) process.exit(128 + constants.signals[signal]);
      pipeline.stop();
    });
    await drain(pipeline, collected);
    keep = readdirSync(files).some(isFileName);
    if (keep) {
      log("warn", `not all was sent; for what is left: otlp-mmap collect ${printable(files)}`);
    }
    conclude(words, end, pipeline, memory);
    return end.code;
  } finally {
    place.release(keep);
  }
}

/** What the program records by itself: also what it dies of, unless it is to record nothing. */
function withExceptions(names = ""): string {
  const all = names.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return all.includes("none") ? names : [...all, "exceptions"].join(",");
}

/** A folder for this run alone, in memory where files are by default. */
function makePlace(): RunFolder {
  const uid = process.getuid?.() ?? 0;
  try {
    removeAbandonedRuns(uid, { userTempDirectory });
    return makeRunFolder(dirname(defaultDirectory(uid, { userTempDirectory })));
  } catch {
    return makeRunFolder(tmpdir());
  }
}

function createPipeline(files: string, options: CollectOptions, memory: Memory): Pipeline {
  // The terminal is the program's: what went well is not said.
  const quiet: typeof log = (level, message) => level === "info" ? undefined : log(level, message);
  return new Pipeline({
    scan: discover([files], {}, { log: quiet }).scan,
    sinks: createDelivery(options, ({ destinations, giveUpAfterMs }) => {
      const sinks = destinations === null ? null : createSinks(destinations, giveUpAfterMs);
      return forEachSignal((signal) => memory.watch(signal, sinks?.[signal] ?? nowhere));
    }).sinks,
    batchSize: options.batchSize,
    flushIntervalMs: options.flushIntervalMs,
    metricsIntervalMs: options.metricsIntervalMs,
    aggregation: { ...options.aggregation, warn: (message) => log("warn", message) },
    once: false,
    keep: false,
    log: quiet,
    onClose: (file) => memory.noteFile(file),
  });
}

/** Reads and sends the rest. */
async function drain(pipeline: Pipeline, collected: Promise<number>): Promise<void> {
  const timer = setTimeout(() => pipeline.stop(), DRAIN_MS);
  pipeline.finish();
  await collected;
  clearTimeout(timer);
}

/** Says what there is to say of the end. */
function conclude(
  words: readonly string[],
  { code, signal, passedOn, failure }: End,
  pipeline: Pipeline,
  memory: Memory,
): void {
  if (failure !== undefined) return log("error", failure);
  if (code === 0 || passedOn) return;
  const what = signal === null ? `ended with ${code}` : `was killed by ${signal}`;
  log("info", `${printable(words.join(" "), 200)} ${what}. This is what it was doing.`);
  const style = { color: wantsColor(process.stderr.isTTY, process.env) };
  for (const line of report(memory, lossesOf(pipeline), style)) process.stderr.write(`${line}\n`);
}

/** What was not delivered, or could not be read. */
function lossesOf(pipeline: Pipeline): Map<string, number> {
  const { totals } = pipeline.summary;
  const { lost, lostLogs } = pipeline.requests.assembler.counts;
  const { rings } = pipeline.files.ledger;
  const sum = (what: "torn" | "unreadable"): number =>
    rings.reduce((count, ring) => count + ring[what], 0);
  return new Map([
    ["records torn: the program ended while it wrote them", sum("torn")],
    ["records unreadable", sum("unreadable")],
    ["spans lost for want of memory", lost],
    ["log records lost for want of memory", lostLogs],
    ...SIGNALS.flatMap((signal): [string, number][] => [
      [`${ITEMS[signal]} refused by the backend`, totals[signal].rejected],
      [`${ITEMS[signal]} not delivered`, totals[signal].dropped],
    ]),
  ]);
}
