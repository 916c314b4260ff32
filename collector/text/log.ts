/**
 * Where the program says what happens: lines on standard error.
 *
 * @module
 */
import process from "node:process";
import { clearLine } from "./status-line.ts";
import type { Level, Log } from "../send/problems.ts";

/** All levels, from the one that says most. */
export const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];
/** How a line looks: for people, or one JSON object. */
export type LogFormat = "text" | "json";

/** What is written, and how. */
export interface LogSettings {
  /** Lines below this level are left out. */
  readonly level: Level;
  readonly format: LogFormat;
}

/** What holds before the arguments are known, and unless they say otherwise. */
export const DEFAULT_LOG: LogSettings = { level: "info", format: "text" };

// Of the module, since faults that end the program are written by whoever catches them.
let settings = DEFAULT_LOG;

/** Says what is written from now on. */
export function configureLog(wanted: LogSettings): void {
  settings = wanted;
}

/**
 * A line, with its end. As text it has its level unless that is `info`; as JSON the members are
 * `time` (RFC 3339, UTC), `level` and `message`.
 */
export function formatLine(format: LogFormat, level: Level, message: string, time: Date): string {
  if (format === "json") return `${JSON.stringify({ time: time.toISOString(), level, message })}\n`;
  return `otlp-mmap: ${level === "info" ? "" : `${level}: `}${message}\n`;
}

/** Writes a line, unless its level is below the one that was asked for. */
export const log: Log = (level, message) => {
  if (LEVELS.indexOf(level) < LEVELS.indexOf(settings.level)) return;
  clearLine();
  process.stderr.write(formatLine(settings.format, level, message, new Date()));
};
