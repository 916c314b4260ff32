/**
 * `inspect`: what is in files, who writes and who reads them, and what is wrong with them.
 *
 * @module
 */
import process from "node:process";
import { formatInspection, inspectionToJson } from "../inspect/format.ts";
import { inspect as look } from "../inspect/inspect.ts";
import type { AddCommand } from "../program.ts";

const HELP = `
Nothing is changed, and no reader is kept away: a collector may read the file meanwhile.

What is said of each file: a verdict (healthy, or what is wrong and what to do), its owner and whether
it lives, the resource, how full each ring is (claimed: written so far; released: read; torn: claimed
by an owner that died before it had written them), the dictionary, records that were refused or cut by
reason, and the collector that reads it.

With --json each file is one line, an object with the keys path, verdict (healthy, wrong or
unreadable), problems, notes, and, where it can be read, version, sizeBytes, startTimeUnixNano, owner,
fileUid, processUid, predecessorUid, isolate, generation, resources, rings, dictionary, losses, reader.

Examples:
  otlp-mmap inspect /dev/shm/otlp-mmap-1000/*.otlp      every file of user 1000
  otlp-mmap inspect --json app.otlp | jq .verdict       for a script

Exit codes:
  0  every file is healthy
  1  something is wrong with a file
  2  a file can't be read, or a bad argument
`;

const EXIT_CODES = { healthy: 0, wrong: 1, unreadable: 2 };

/** The command. */
export const inspect: AddCommand = (program, _env, choose) => {
  program.command("inspect")
    .description("say what is in files, who writes and reads them, and what is wrong with them")
    .argument("<files...>", "files that applications write")
    .option("--json", "one JSON object a file, a line each")
    .addHelpText("after", HELP)
    .action((files: string[], flags: { json?: boolean }) =>
      choose(() => Promise.resolve(run(files, flags.json === true)))
    );
};

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
