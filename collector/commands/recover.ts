/**
 * `recover`: what can be saved from damaged or abandoned files, which stay as they are.
 *
 * @module
 */
import type { Command } from "commander";
import { isLocked, runtime } from "../../ffi/mod.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import { chooseAggregation } from "../options/aggregation.ts";
import { ArgumentsExit, batchSize, filePath, filePaths } from "../options/arguments.ts";
import { untaken } from "../pipeline/drain.ts";
import { startProgress } from "../text/progress.ts";
import { readViewsOf } from "../config/file.ts";
import { breathe, Ending } from "../ending.ts";
import { chooseDestinations, originOf, type SendFlags } from "../options/destinations.ts";
import { givenTo } from "../options/given.ts";
import { log } from "../text/log.ts";
import { addSendFlags, DEFAULT_BATCH_SIZE, ONCE_GIVES_UP_AFTER_MS } from "../options/options.ts";
import { withoutEffect } from "../options/without-effect.ts";
import { openOutput, type Output } from "../text/output.ts";
import type { AddCommand } from "../program.ts";
import { ReadOut, type ReadProcess } from "../files/readout.ts";
import { readRegular } from "../files/regular.ts";
import { type RepairedFile, repairFile } from "../repair/file.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { createJsonSinks, createSinks } from "../delivery/sinks.ts";
import { firstLine, printable, whyNotRead } from "../text/text.ts";

interface Flags extends SendFlags {
  output?: string;
  all?: boolean;
  batchSize: number;
  config?: string;
}

const helpText = `
Each file is read into memory and repaired there; the file itself is never changed, and whether
somebody reads it does not matter. A header is rebuilt from the rings and the other way round, what a
ring holds from the marks on its slots. A record is saved when its own bytes, the names it uses and
its scope are intact; what became of all others is said on standard error. Nothing replaces the
dictionary, which is last in a file: of one that was cut off before it hardly anything is left.

Without --endpoint (or its variable), writes lines of OTLP/JSON as "export" does.

Examples:
  otlp-mmap recover crashed.otlp > saved.json
  otlp-mmap recover --all --output saved.json a.otlp b.otlp   also what a collector has read
  otlp-mmap recover crashed.otlp --endpoint http://localhost:4318

Exit codes:
  0  everything that was in the files was saved
  1  some records could not be read, or something could not be delivered
  2  a bad argument or variable, or a file of which nothing can be read
  130, 143  ended by SIGINT or SIGTERM: what was read is saved, within 5 seconds, and it is said how
            many files that is; a second signal ends it at once
`;

/** The command. */
export const recover: AddCommand = (program, env, choose) => {
  const command = program.command("recover")
    .description("save what can be read of damaged files, and leave the files as they are")
    .argument("<files...>", "files, also such as are no otlp-mmap files by their header", filePaths)
    .option(
      "--output <file>",
      "a new file for lines of OTLP/JSON (default: standard output)",
      filePath,
    )
    .option("--all", "also records that were read, as far as they are still there");
  addSendFlags(command)
    .option(
      "--batch-size <count>",
      "spans or log records in a line or request at most",
      batchSize,
      DEFAULT_BATCH_SIZE,
    )
    .option("--config <file>", "a YAML file with views of metrics", filePath)
    .addHelpText("after", helpText)
    .action((files: string[], flags: Flags, command: Command) => {
      const given = givenTo(command);
      const endpoint = ["endpoint", ...SIGNALS.map((signal) => `${signal}-endpoint`)]
        .find((option) => given.where(option) !== null);
      if (flags.output !== undefined && endpoint !== undefined) {
        throw new ArgumentsExit(
          2,
          `--output and --${endpoint}: only one of them can be had at a time`,
        );
      }
      const destinations = flags.output === undefined
        ? chooseDestinations(flags, env, given)
        : null;
      const origin = originOf(destinations, flags, env, given);
      for (const warning of withoutEffect({ command: "recover", given, ...origin })) {
        log("warn", warning);
      }
      const aggregation = chooseAggregation(readViewsOf(flags.config), env);
      choose(() => run(files, flags, destinations, aggregation));
    });
};

async function run(
  files: readonly string[],
  flags: Flags,
  destinations: ReturnType<typeof chooseDestinations>,
  aggregation: ReturnType<typeof chooseAggregation>,
): Promise<number> {
  let output: Output | null = null;
  if (destinations === null) {
    try {
      output = openOutput(flags.output);
    } catch (error) {
      log("error", `--output: ${firstLine((error as Error).message)}`);
      return 2;
    }
  }
  const sinks = output === null
    ? createSinks(destinations, ONCE_GIVES_UP_AFTER_MS)
    : createJsonSinks(output);
  const reading = new ReadOut({
    sinks,
    batchSize: flags.batchSize,
    aggregation: { ...aggregation, warn: (message) => log("warn", message) },
  });
  const ending = new Ending((reason) => reading.requests.abort(reason));
  let unreadable = false;
  // Spans may begin in one file of a process and end in another.
  const processes = new Map<string, ReadProcess>();
  const paths = [...new Set(files)];
  for (const path of paths) {
    await breathe();
    if (ending.signal !== null) break;
    const file = readDamaged(path, flags.all ?? false);
    if (file === null) {
      unreadable = true;
      continue;
    }
    const uid = file.extension?.processUid ?? "";
    const key = /^0*$/.test(uid) ? path : uid;
    const process = processes.get(key) ?? reading.addProcess();
    processes.set(key, process);
    reading.addFile(process, file, null, false);
  }
  const rest = (): number => {
    const drains = [...processes.values()].flatMap((process) => process.files);
    return drains.reduce((sum, { drain }) => sum + untaken(drain), reading.requests.unanswered);
  };
  const isPrinting = destinations === null && flags.output === undefined;
  const endProgress = startProgress("recovering", rest, isPrinting);
  let done = 0;
  for (const process of processes.values()) {
    await breathe();
    if (ending.signal !== null) break;
    done += process.files.length;
    reading.take(process);
    reading.finish(process, INTERRUPTIONS.died);
    await reading.answered();
  }
  endProgress();
  // Else the next try, with the right file, would find it in its way.
  output?.close(reading.files > 0);
  await reading.requests.close();
  if (reading.files > 0) { for (const line of reading.describe()) log("info", line); }
  if (ending.signal !== null) {
    log("warn", `ended by ${ending.signal}: ${done} of ${paths.length} files were read`);
    return ending.code;
  }
  if (unreadable) return 2;
  const { rings } = reading.ledger;
  const bad = rings.some(({ torn, unreadable }) => torn + unreadable > 0);
  return bad || reading.lost > 0 ? 1 : 0;
}

function readDamaged(path: string, all: boolean): RepairedFile | null {
  const name = printable(path);
  let bytes: Uint8Array;
  try {
    bytes = readRegular(path);
  } catch (error) {
    const isFolder = (error as { code?: string }).code === "EISDIR";
    const hint = isFolder ? `: name the files in it (${name}/*.otlp)` : "";
    log("error", `${name} can't be read: ${whyNotRead(error as Error)}${hint}`);
    return null;
  }
  const file = repairFile(bytes, all);
  if (file === null) {
    log(
      "error",
      `${name}: nothing can be read of it: neither a header nor a ring is to be found; it is no ` +
        "otlp-mmap file, or all of it was written over (`otlp-mmap inspect` says what it begins with)",
    );
    return null;
  }
  if (isOwned(path)) {
    log(
      "warn",
      `${name}: its owner is writing it, so what is read now may be torn: \`otlp-mmap export\` copies ` +
        "files that are in use",
    );
  }
  for (const note of file.notes) log("warn", `${name}: ${note}`);
  return file;
}

function isOwned(path: string): boolean {
  try {
    return runtime.supported && isLocked(path);
  } catch {
    // It may not be opened for writing, which asking for the lock takes.
    return false;
  }
}
