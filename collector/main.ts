#!/usr/bin/env bun
/**
 * The `otlp-mmap` program.
 *
 * @module
 */
import process from "node:process";
import { ArgumentsExit } from "./options/arguments.ts";
import { log } from "./text/log.ts";
import { parseProgram } from "./program.ts";
import { explainDenied } from "../ffi/mod.ts";

/** Of all commands: `run` starts programs. */
const PERMISSIONS =
  "--allow-env, --allow-ffi, --allow-net, --allow-read, --allow-run, --allow-sys " +
  "and --allow-write (or -A)";

try {
  process.exitCode = await parseProgram(process.argv.slice(2), process.env)();
} catch (error) {
  if (error instanceof ArgumentsExit) {
    if (error.exitCode === 0) process.stdout.write(`${error.message}\n`);
    else complain(error.message);
    process.exitCode = error.exitCode;
  } else {
    log("error", explainDenied(error, PERMISSIONS));
    process.exitCode = 2;
  }
}
/**
 * Says what is bad about arguments, as every other error is said. What is wrong with a file begins with
 * its place, FILE:LINE:COLUMN, as of a compiler: editors jump to it.
 */
function complain(message: string): void {
  if (message.startsWith("Usage:") || /^.+:\d+:\d+: /.test(message)) {
    process.stderr.write(`${message}\n`);
  } else log("error", message.replace(/^error: /, ""));
}

// Signal handlers would keep the program alive. What was written to a pipe goes out first.
process.stderr.write("", () => process.stdout.write("", () => process.exit()));
