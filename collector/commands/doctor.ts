/**
 * `doctor`: whether this machine is ready for applications and a collector, and what to do if not.
 *
 * @module
 */
import process from "node:process";
import type { Command } from "commander";
import type { Check } from "../doctor/check.ts";
import { type DoctorOptions, examine } from "../doctor/doctor.ts";
import { addSendFlags, asCollect } from "../options/options.ts";
import { addSpool } from "../options/spool.ts";
import { log } from "../text/log.ts";
import { filePath, filePaths } from "../options/arguments.ts";
import type { AddCommand } from "../program.ts";
import type { Environment } from "../options/variables.ts";

const HELP = `
Each line begins with "ok" or "bad"; a bad one says what to do. Looked at are, in this order:
  runtime    Deno or Bun, and its version
  ffi        whether functions of the C library may be called (Deno: --allow-ffi)
  clock      whether the time can be right
  place      the directories that a collector looks in, as "collect" with the same paths: whether
             they are there, whose they are, and their mode
  space      room for the file of one more application, in the file system of each place
  limits     open files and file size
  leftovers  files of processes that ended, which nobody has read
  file       files that can't be read, that are passed since they are other users', or that something
             is wrong with (see "inspect")
  collector  whether the files of living applications are read
  endpoint   whether the backend takes an empty request of each signal; with the flags, variables
             and configuration file of "collect" (see its --help)
  spool      where requests wait for an endpoint, if there is one: that it can be made and written, on a
             disk, what is in it, and whether --spool-max-size is free
  store      the database of "collect", where it would have one: that it can be read, or made
  self-test  a span, a log record and a measurement, written to a file in the temporary directory as
             an application does, and read back

With --json it is one object, {"ok": true or false, "checks": [{"name", "ok", "text"}]}.

Examples:
  otlp-mmap doctor                                      before the first collector is started
  otlp-mmap doctor --endpoint http://localhost:4318     with a backend
  otlp-mmap doctor --config /etc/otlp-mmap/config.yaml  with all that a collector is told there
  sudo -u app otlp-mmap doctor /run/traces              as the user of an application

Exit codes:
  0  everything is ok
  1  something is bad
  2  a bad argument or variable
`;

/** The command. */
export const doctor: AddCommand = (program, env, choose) => {
  const command = program.command("doctor")
    .description("check this machine: runtime, places, limits, backend; say what to do")
    .argument("[paths...]", "files, directories or globs, as for collect", filePaths);
  addSpool(addSendFlags(command))
    .option("--other-users", "as for collect, which takes files of other users then")
    .option(
      "--config <file>",
      "the configuration file of collect: its paths, endpoints, tokens, TLS",
      filePath,
    )
    .option("--json", "one JSON object")
    .addHelpText("after", HELP)
    .action((paths: string[], flags: { json?: boolean }, command: Command) => {
      const options = asCollect(paths, command, env);
      for (const warning of options.warnings) log("warn", warning);
      choose(() => run(options, env, flags.json === true));
    });
};

async function run(options: DoctorOptions, env: Environment, json: boolean): Promise<number> {
  const checks = await examine(options, env);
  const fine = checks.every(({ ok }) => ok);
  process.stdout.write(
    json ? `${JSON.stringify({ ok: fine, checks })}\n` : checks.map(formatCheck).join(""),
  );
  return fine ? 0 : 1;
}

function formatCheck({ name, ok, text }: Check): string {
  return `${ok ? "ok " : "bad"}  ${name.padEnd(9)}  ${text}\n`;
}
