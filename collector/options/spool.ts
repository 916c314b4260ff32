/**
 * The options of the spool: what is not delivered yet waits on the disk.
 *
 * @module
 */
import { type Command, InvalidArgumentError } from "commander";
import { filePath } from "./arguments.ts";
import { parseDuration } from "./durations.ts";
import { type Environment, variable } from "./variables.ts";

/** Where requests wait, and for how long. */
export interface SpoolSettings {
  /** Null: the default place, if that is on a disk. */
  readonly folder: string | null;
  /** Bytes on the disk at most. */
  readonly maxBytes: number;
  /** What has waited for longer is dropped, milliseconds. */
  readonly maxAgeMs: number;
}

/** Flags of the spool. */
export interface SpoolFlags {
  /** False: `--no-spool`; true, which only a file says: there is to be one. */
  spool?: string | boolean;
  spoolMaxSize?: number;
  spoolMaxAge?: number;
}

const UNITS: Record<string, number> = {
  "": 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};
const LEAST_BYTES = 2 ** 20;
const DEFAULT_BYTES = 2 ** 30;
const DEFAULT_AGE_MS = 24 * 3_600_000;
const MAX_AGE_MS = 366 * DEFAULT_AGE_MS;
/** What the variable says to have no spool. */
const NONE = "none";

function size(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)\s*([KMGT]I?B|)$/.exec(text.trim().toUpperCase());
  if (match === null) throw new InvalidArgumentError("It is no size such as 500MB or 1GiB.");
  const bytes = Math.floor(Number(match[1]) * UNITS[match[2]]);
  if (bytes < LEAST_BYTES || bytes > 2 ** 50) {
    throw new InvalidArgumentError("It is not from 1MiB to 1024TiB.");
  }
  return bytes;
}

function age(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It is no duration such as 90m or 24h.");
  if (ms < 1000 || ms > MAX_AGE_MS) throw new InvalidArgumentError("It is not from 1s to 8784h.");
  return ms;
}

/** Adds the flags to a command. */
export function addSpool(command: Command): Command {
  return command
    .option("--spool <dir>", "where requests wait for an endpoint, on a disk (see below)", filePath)
    .option("--no-spool", "don't store requests")
    .option(
      "--spool-max-size <size>",
      "on the disk at most, for all endpoints (default: 1GiB)",
      size,
    )
    .option(
      "--spool-max-age <duration>",
      "what has waited for longer is dropped (default: 24h)",
      age,
    );
}

/** The spool that was asked for: null for none. With `once` there is one only where it is named. */
export function chooseSpool(
  { spool, spoolMaxSize = DEFAULT_BYTES, spoolMaxAge = DEFAULT_AGE_MS }: SpoolFlags,
  once: boolean,
  env: Environment,
): SpoolSettings | null {
  const named = variable(env, "OTLP_MMAP_SPOOL")?.value ?? null;
  // True: a configuration file says that there is to be one.
  if (spool === false || (spool === undefined && named === NONE)) return null;
  const folder = typeof spool === "string" ? spool : named === NONE ? null : named;
  if (folder === null && once) return null;
  return { folder, maxBytes: spoolMaxSize, maxAgeMs: spoolMaxAge };
}
