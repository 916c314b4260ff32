/**
 * Where the program says what happens: lines on standard error.
 *
 * @module
 */
import process from "node:process";
import type { Log } from "./problems.ts";

/** Writes a line, with its level unless that is `info`. */
export const log: Log = (level, message) => {
  process.stderr.write(`otlp-mmap: ${level === "info" ? "" : `${level}: `}${message}\n`);
};
