#!/usr/bin/env bun
/**
 * The `otlp-mmap` program.
 *
 * @module
 */
import process from "node:process";
import { ArgumentsExit } from "./arguments.ts";
import { log } from "./log.ts";
import { parseProgram } from "./program.ts";

try {
  process.exitCode = await parseProgram(process.argv.slice(2), process.env)();
} catch (error) {
  if (error instanceof ArgumentsExit) {
    const stream = error.exitCode === 0 ? process.stdout : process.stderr;
    stream.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    log("error", (error as Error).message);
    process.exitCode = 2;
  }
}
// Signal handlers would keep the program alive. What was written to a pipe goes out first.
process.stderr.write("", () => process.stdout.write("", () => process.exit()));
