/**
 * `inspect`: what is in files, who writes and who reads them, and what is wrong with them.
 *
 * @module
 */
import { statSync } from "node:fs";
import process from "node:process";
import { discover, foundNothing } from "../files/discover.ts";
import { formatInspection, inspectionToJson } from "../inspect/format.ts";
import { inspect as look } from "../inspect/inspect.ts";
import { log } from "../text/log.ts";
import { filePaths } from "../options/arguments.ts";
import type { AddCommand } from "../program.ts";
import type { Environment } from "../options/variables.ts";

const HELP = `
Without paths, looks where collect does. Nothing is changed, and no reader is kept away: a collector
may read the file meanwhile.

What is said of each file: a verdict (healthy, or what is wrong and what to do), its owner and whether
it lives, the resource, how full each ring is (claimed: written so far; released: read; torn: claimed
by an owner that died before it had written them), the dictionary, records that were refused or cut by
reason, and the collector that reads it.

With --json each file is one line, an object with the keys path, verdict (healthy, wrong or
unreadable), problems, notes, and, where it can be read, version, sizeBytes, startTimeUnixNano, owner,
fileUid, processUid, predecessorUid, isolate, generation, resources, rings, dictionary, losses, reader.

Examples:
  otlp-mmap inspect                                     every file that collect would read
  otlp-mmap inspect /dev/shm/otlp-mmap-1000             every file of user 1000
  otlp-mmap inspect --json app.otlp | jq .verdict       for a script

Exit codes:
  0  every file is healthy, or there is none
  1  something is wrong with a file
  2  a file can't be read, or a bad argument
`;

const EXIT_CODES = { healthy: 0, wrong: 1, unreadable: 2 };

/** The command. */
export const inspect: AddCommand = (program, env, choose) => {
  program.command("inspect")
    .description("say what is in files, who writes and reads them, and what is wrong with them")
    .argument("[paths...]", "files that applications write, or directories of them", filePaths)
    .option("--json", "one JSON object a file, a line each")
    .addHelpText("after", HELP)
    .action((paths: string[], flags: { json?: boolean }) =>
      choose(() => Promise.resolve(run(filesOf(paths, env), flags.json === true)))
    );
};

/** What is named, for a directory what is in it, and without a name what a collector looks at. */
function filesOf(paths: readonly string[], env: Environment): string[] {
  const found = (places: readonly string[]): string[] => {
    const discovery = discover(places, env, { log });
    const files = discovery.scan().files.map(({ path }) => path);
    if (files.length === 0) log("info", foundNothing(discovery));
    return files;
  };
  if (paths.length === 0) return found([]);
  return paths.flatMap((path) => isDirectory(path) ? found([path]) : [path]);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // What is wrong with it is for the inspection to say.
    return false;
  }
}

function run(files: readonly string[], json: boolean): number {
  let code = 0;
  files.forEach((file, i) => {
    const inspection = look(file);
    code = Math.max(code, EXIT_CODES[inspection.verdict]);
    process.stdout.write(
      json
        ? `${JSON.stringify(inspectionToJson(inspection))}\n`
        : `${i === 0 ? "" : "\n"}${formatInspection(inspection)}`,
    );
  });
  return code;
}
