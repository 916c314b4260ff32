/**
 * `export`: what is in files as lines of OTLP/JSON; the files stay as they are.
 *
 * @module
 */
import { userTempDirectory } from "../../ffi/mod.ts";
import { FormatError } from "../../lib/file/geometry.ts";
import type { OwnerState } from "../../lib/file/owner.ts";
import { chooseAggregation } from "../options/aggregation.ts";
import { batchSize, filePath, filePaths } from "../options/arguments.ts";
import { readViewsOf } from "../config/file.ts";
import { breathe, Ending } from "../ending.ts";
import { ownerOf, whyOpen } from "../files/copied-owner.ts";
import { FileCopy } from "../files/copy.ts";
import { type Candidate, discover, foundNothing } from "../files/discover.ts";
import { explainFault } from "../inspect/inspect.ts";
import { log } from "../text/log.ts";
import { DEFAULT_BATCH_SIZE } from "../options/options.ts";
import { openOutput, type Output } from "../text/output.ts";
import type { AddCommand } from "../program.ts";
import { ReadOut } from "../files/readout.ts";
import { createJsonSinks } from "../delivery/sinks.ts";
import { printable } from "../text/text.ts";
import type { Environment } from "../options/variables.ts";
import { explainOpenFailure } from "../files/watchlist.ts";

interface Flags {
  output?: string;
  all?: boolean;
  batchSize: number;
  config?: string;
}

const helpText = `
Files are copied and then read: nothing is locked, released or removed, whoever else reads them.
Without paths, looks where collect does. Each line is one OTLP request, {"resourceSpans":[…]},
{"resourceMetrics":[…]} or {"resourceLogs":[…]}, as the file exporter of the OpenTelemetry
Collector writes them. Spans that have not ended are there with the attribute otlp_mmap.interrupted.
What is read is said on standard error.

Examples:
  otlp-mmap export > telemetry.json                 what no collector has read yet, of all that runs
  otlp-mmap export --all app.otlp | head -1         also what one has read, as far as it is there
  otlp-mmap export --output lines.json /run/traces  to a file, which must not exist
  otlp-mmap export app.otlp | otlp-mmap import --endpoint http://localhost:4318

Exit codes:
  0  everything was written
  1  something could not be written
  2  a bad argument or variable, or a named file that is missing or can't be read
  130, 143  ended by SIGINT or SIGTERM: what was read is written, within 5 seconds, and it is said how
            much that is; a second signal ends it at once
`;

/** The command. */
export const exportCommand: AddCommand = (program, env, choose) => {
  program.command("export")
    .description("write what is in files as lines of OTLP/JSON, and leave the files as they are")
    .argument("[paths...]", "files, directories or globs", filePaths)
    .option("--output <file>", "a new file (default: standard output)", filePath)
    .option("--all", "also records that were read, as far as they are still there")
    .option(
      "--batch-size <count>",
      "spans or log records in a line at most",
      batchSize,
      DEFAULT_BATCH_SIZE,
    )
    .option("--config <file>", "a YAML file with views of metrics", filePath)
    .addHelpText("after", helpText)
    .action((paths: string[], flags: Flags) => {
      const aggregation = chooseAggregation(readViewsOf(flags.config), env);
      choose(() => run(paths, flags, aggregation, env));
    });
};

async function run(
  paths: readonly string[],
  flags: Flags,
  aggregation: ReturnType<typeof chooseAggregation>,
  env: Environment,
): Promise<number> {
  let exitCode = 0;
  const opened = <T>({ path, named }: Candidate, read: (copy: FileCopy) => T): T | undefined => {
    try {
      return read(FileCopy.open(path));
    } catch (error) {
      const message = explain(path, error);
      if (message === null) return undefined;
      log(named ? "error" : "warn", named ? message : `skipped: ${message}`);
      if (named) exitCode = 2;
      return undefined;
    }
  };

  const discovery = discover(paths, env, {
    log: (level, message) => level === "warn" && log(level, message),
    places: { userTempDirectory },
  });
  const found = discovery.scan();
  for (const path of found.missing) log("error", `${printable(path)}: there is no such file`);
  if (found.missing.length + found.refused.length > 0) exitCode = 2;
  const processes = new Map<string, Candidate[]>();
  for (const candidate of found.files) {
    const uid = opened(candidate, (copy) => {
      copy.close();
      return copy.extension?.processUid ?? copy.inode;
    });
    if (uid === undefined) continue;
    processes.set(uid, [...processes.get(uid) ?? [], candidate]);
  }

  let output: Output;
  try {
    output = openOutput(flags.output);
  } catch (error) {
    log("error", `--output: ${printable((error as Error).message)}`);
    return 2;
  }
  const reading = new ReadOut({
    sinks: createJsonSinks(output),
    batchSize: flags.batchSize,
    aggregation: { ...aggregation, warn: (message) => log("warn", message) },
  });
  const ending = new Ending((reason) => reading.requests.abort(reason));
  // One process at a time, since what is in its files is in memory until it is written.
  let done = 0;
  for (const candidates of processes.values()) {
    if (ending.signal !== null) break;
    done++;
    const process = reading.addProcess();
    const owners: OwnerState[] = [];
    const inodes = new Set<string>();
    for (const candidate of candidates) {
      opened(candidate, (copy) => {
        if (inodes.has(copy.inode)) return copy.close();
        inodes.add(copy.inode);
        // Before its records: what an owner that is gone has written is all there.
        owners.push(ownerOf(copy));
        reading.addFile(process, copy, copy, flags.all ?? false);
      });
    }
    reading.take(process);
    reading.finish(process, whyOpen(owners));
    await reading.answered();
    await breathe();
  }
  output.close(reading.files > 0 || exitCode === 0);
  if (reading.files > 0) { for (const line of reading.describe()) log("info", line); }
  else if (exitCode === 0) log("info", foundNothing(discovery));
  if (ending.signal !== null) {
    log("warn", `ended by ${ending.signal}: ${done} of ${processes.size} processes were read`);
    return ending.code;
  }
  return exitCode || (reading.lost > 0 ? 1 : 0);
}

/** What is said of a file that can't be read; null for one that is gone. */
function explain(path: string, error: unknown): string | null {
  if (error instanceof FormatError) return explainFault(path, error.reason);
  if (typeof (error as { code?: unknown }).code !== "string") throw error;
  const message = explainOpenFailure(path, error as Error & { code: string });
  return message === null ? null : printable(message);
}
