/**
 * Where the store is, and how much it keeps.
 *
 * @module
 */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { type Command, InvalidArgumentError } from "commander";
import { filePath } from "../options/arguments.ts";
import type { Log } from "../send/problems.ts";
import { openStore } from "./store.ts";
import { createStoreSinks, type StoreSinks } from "./sink.ts";

/** What was asked for. */
export interface StoreSettings {
  readonly path: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** The flags. */
export interface StoreFlags {
  /** True where no file is named; null: off, which only a file says. */
  store?: string | true | null;
  storeMaxSize?: number;
  storeMaxAge?: number;
}

const DEFAULT_MAX_BYTES = 2 ** 30;
const DAY_MS = 86_400_000;
const DEFAULT_MAX_AGE_MS: number = 7 * DAY_MS;
/** Less is not worth the windows it is cut into. */
const LEAST_BYTES = 1 << 20;

/** Adds the flags to a command that collects. */
export function addStoreFlags(command: Command): Command {
  return command
    .option(
      "--store [file]",
      "keep everything in a database (default: store.db of this user's state)",
      // In a file, it is on or off where no path is given.
      (text: string) => text === "true" ? true : text === "false" ? null : filePath(text),
    )
    .option("--store-max-size <size>", "bytes it has at most (default: 1GiB)", size)
    .option("--store-max-age <age>", "what is older is removed (default: 7d)", age);
}

/** Bytes of `500MB`, `1GiB`, `2g` or a plain number. */
export function size(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)\s*([kmgt]?)(i?)b?$/i.exec(text.trim());
  if (match === null) throw new InvalidArgumentError("It is no size such as 500MB or 1GiB.");
  const [, number, unit, binary] = match;
  const power = " kmgt".indexOf(unit.toLowerCase() || " ");
  const bytes = Math.round(Number(number) * (binary === "" ? 1_000 : 1_024) ** power);
  if (bytes < LEAST_BYTES) throw new InvalidArgumentError("It is less than 1MiB.");
  return bytes;
}

/** Milliseconds of `90m`, `12h` or `7d`. */
export function age(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])$/i.exec(text.trim());
  if (match === null) throw new InvalidArgumentError("It is no age such as 12h or 7d.");
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }[match[2].toLowerCase()]!;
  const ms = Number(match[1]) * unit;
  if (ms < 1_000) throw new InvalidArgumentError("It is less than 1s.");
  return ms;
}

/**
 * Where the store is when nobody says it: `$XDG_STATE_HOME/otlp-mmap/store.db`, by default in
 * `~/.local/state`; root's is `/var/lib/otlp-mmap/store.db`.
 */
export function defaultStorePath(
  env: Readonly<Record<string, string | undefined>> = process.env,
  uid: number = process.getuid?.() ?? -1,
): string {
  const state = env.XDG_STATE_HOME;
  // The specification of these variables: a relative path is no path.
  if (state !== undefined && isAbsolute(state)) return join(state, "otlp-mmap", "store.db");
  if (uid === 0) return "/var/lib/otlp-mmap/store.db";
  return join(env.HOME || homedir(), ".local", "state", "otlp-mmap", "store.db");
}

/** What the flags say; null when no store was asked for and none is wanted by default. */
export function storeSettings(
  { store, storeMaxSize, storeMaxAge }: StoreFlags,
  env: Readonly<Record<string, string | undefined>>,
  byDefault = false,
): StoreSettings | null {
  if ((store ?? null) === null && !byDefault) return null;
  return {
    path: typeof store === "string" ? resolve(store) : defaultStorePath(env),
    maxBytes: storeMaxSize ?? DEFAULT_MAX_BYTES,
    maxAgeMs: storeMaxAge ?? DEFAULT_MAX_AGE_MS,
  };
}

/** A store that is open, and its sinks. */
export interface OpenedStore extends StoreSinks {
  readonly store: ReturnType<typeof openStore>;
}

/**
 * Opens the store as an end of the pipeline.
 *
 * @throws StoreError when it can't be used.
 */
export function openStoreSinks(
  settings: StoreSettings,
  options: { readonly giveUpAfterMs: number; readonly log: Log },
): OpenedStore {
  const store = openStore(settings);
  return { ...createStoreSinks(store, options), store };
}
