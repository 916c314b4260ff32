/**
 * Finds the files to read, again and again: files come and go while the collector runs.
 *
 * @module
 */
import { type Dirent, globSync, lstatSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import {
  defaultDirectories,
  isAuxiliaryName,
  isFileName,
  type PlaceOptions,
  transientName,
  untrusted,
} from "../../lib/file/places.ts";
import { abandonedRuns } from "./runs.ts";
import { printable } from "../text/text.ts";
import { type Environment, variable } from "../options/variables.ts";

/** A file that may be one of ours: nothing but its name was looked at. */
export interface Candidate {
  /** Absolute path. */
  readonly path: string;
  /** It was named itself, rather than found in a directory, by a glob or beside a named file. */
  readonly named: boolean;
}

/** Something that is removed by whoever made it, unless that one is killed before. */
export interface Transient {
  /** Absolute path. */
  readonly path: string;
  /** The process that is making it; null for a lock that is made. */
  readonly maker: number | null;
}

/** What a round of looking found. */
export interface Scan {
  /** Each path once, named ones first, otherwise by path. */
  readonly files: readonly Candidate[];
  /** Places that were asked for and are not there, and globs that match nothing. */
  readonly missing: readonly string[];
  /** Places that can't be looked at or trusted, with the reason. */
  readonly refused: readonly string[];
  /** Directories in which new files would be found. */
  readonly directories: readonly string[];
  /** Readers' locks whose file is not there, and what is being made: files and locks. */
  readonly transients: readonly Transient[];
}

/** Looks for files. */
export interface Discovery {
  /** Where it looks, for messages. */
  readonly places: readonly string[];
  /** Looks now. Says through `log` what is missing or refused, once each time that it begins. */
  scan(): Scan;
}

/** What is said where no file was found. */
export function foundNothing({ places }: Discovery): string {
  return `there is nothing to read in ${places.map((place) => printable(place)).join(", ")}`;
}

/** What discovery depends on. */
export interface DiscoverOptions {
  /** Where problems are said. */
  readonly log: (level: "info" | "warn", message: string) => void;
  /** The user to look for in default places; by default the one this process runs as. */
  readonly uid?: number;
  /** For the default places. */
  readonly places?: PlaceOptions;
}

interface Round {
  readonly files: Map<string, Candidate>;
  readonly missing: string[];
  /** Default places that are not there: nobody asked for them by name. */
  readonly awaited: string[];
  readonly refused: string[];
  readonly directories: Set<string>;
  readonly transients: Map<string, Transient>;
}

type Stat = "file" | "directory" | "other" | "missing";

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Follows symbolic links: what the user named is looked at wherever it is. */
function statOf(path: string): Stat {
  try {
    const stat = statSync(path);
    return stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
  } catch (error) {
    if (isMissing(error)) return "missing";
    throw error;
  }
}

function reason(error: unknown): string {
  return (error as Error).message;
}

function add(round: Round, path: string, named: boolean): void {
  const known = round.files.get(path);
  if (known === undefined || (named && !known.named)) round.files.set(path, { path, named });
}

/** Regular files only: a link in a directory that others may write to could lead anywhere. */
function addEntries(round: Round, directory: string, wanted: (name: string) => boolean): void {
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (!isMissing(error)) round.refused.push(`${directory} can't be listed: ${reason(error)}`);
    return;
  }
  round.directories.add(directory);
  for (const entry of entries) {
    if (wanted(entry.name) && entry.isFile()) add(round, join(directory, entry.name), false);
  }
  for (const entry of entries) {
    const name = transientName(entry.name);
    if (name === null || !wanted(name.of) || !entry.isFile()) continue;
    const { of, maker } = name;
    if (maker === null && round.files.has(join(directory, of))) continue;
    const path = join(directory, entry.name);
    round.transients.set(path, { path, maker });
  }
}

/** A named file and those beside it whose names begin with its name and a dot. */
function addNamed(round: Round, path: string): void {
  const base = basename(path);
  addEntries(
    round,
    dirname(path),
    (name) => name === base || (name.startsWith(`${base}.`) && !isAuxiliaryName(name)),
  );
}

function lookAt(round: Round, given: string, isGlob: boolean): void {
  const path = resolve(given);
  let stat: Stat;
  try {
    stat = statOf(path);
  } catch (error) {
    round.refused.push(`${path} can't be looked at: ${reason(error)}`);
    return;
  }
  if (stat === "directory") return addEntries(round, path, isFileName);
  if (stat === "missing" && isGlob) return addGlob(round, given);
  if (stat === "missing") round.missing.push(path);
  else add(round, path, true);
  // Leftovers of a dead owner are there even when the file itself is not.
  addNamed(round, path);
}

function addGlob(round: Round, pattern: string): void {
  const matches = globSync(pattern);
  if (matches.length === 0) round.missing.push(pattern);
  for (const match of matches) {
    const path = resolve(match);
    if (isAuxiliaryName(path)) continue;
    try {
      const stat = statOf(path);
      if (stat === "directory") addEntries(round, path, isFileName);
      // As in a directory, a link is no file.
      else if (stat === "file" && !lstatSync(path).isSymbolicLink()) add(round, path, false);
    } catch (error) {
      round.refused.push(`${path} can't be looked at: ${reason(error)}`);
    }
  }
}

function addDefault(round: Round, path: string, uid: number): void {
  try {
    const problem = untrusted(path, uid);
    if (problem === undefined) addEntries(round, path, isFileName);
    else round.refused.push(problem);
  } catch (error) {
    if (isMissing(error)) round.awaited.push(path);
    else round.refused.push(`${path} can't be looked at: ${reason(error)}`);
  }
}

/**
 * Prepares to look for files.
 *
 * @param paths Files, directories and globs. With none, `OTLP_MMAP_DIR` and
 * `SDK_MMAP_EXPORTER_FILE` (both, when both are set: an application in the same environment uses
 * one of them), and without those the default place, and what runs (`run`) that were killed have left.
 * @throws Error when nothing was given and this platform has no default place.
 */
export function discover(
  paths: readonly string[],
  env: Environment,
  options: DiscoverOptions,
): Discovery {
  let given = [...paths];
  if (given.length === 0) {
    const settings = [variable(env, "OTLP_MMAP_DIR"), variable(env, "SDK_MMAP_EXPORTER_FILE")];
    given = settings.flatMap((setting) => setting === undefined ? [] : [setting.value]);
  }
  // Variables name one place exactly: no globs there.
  const globs = new Set(paths.filter((path) => /[*?[{]/.test(path)));
  const uid = options.uid ?? process.getuid?.() ?? -1;
  const byDefault = given.length === 0;
  const places = byDefault
    ? defaultDirectories(uid, options.places).map(({ path }) => path)
    : given.map((path) => globs.has(path) ? path : resolve(path));
  /** What was said of the last round, and what to say when it does not hold any more. */
  let said = new Map<string, string>();
  let looks = 0;

  function say(missing: readonly string[], refused: readonly string[]): void {
    const now = new Map<string, string>();
    for (const path of missing) {
      const name = printable(path);
      now.set(name, `${name} is there`);
      if (said.has(name)) continue;
      // Who was not missing at the first look was there.
      const fate = looks === 0 ? "does not exist yet" : "is gone";
      options.log("info", `waiting for ${name}, which ${fate}`);
    }
    for (const problem of refused) {
      const line = `not looked at: ${printable(problem)}`;
      now.set(line, `this is over: ${line}`);
      if (!said.has(line)) options.log("warn", line);
    }
    for (const [what, over] of said) if (!now.has(what)) options.log("info", over);
    said = now;
    looks++;
  }

  function scan(): Scan {
    const round: Round = {
      files: new Map(),
      missing: [],
      awaited: [],
      refused: [],
      directories: new Set(),
      transients: new Map(),
    };
    if (byDefault) {
      // Users come and go, so root lists them anew.
      for (const place of defaultDirectories(uid, options.places)) {
        addDefault(round, place.path, place.uid);
      }
      for (const run of abandonedRuns(uid, options.places)) addDefault(round, run.path, run.uid);
    } else {
      for (const path of given) lookAt(round, path, globs.has(path));
    }
    say([...round.missing, ...round.awaited], round.refused);
    const files = [...round.files.values()].sort((a, b) =>
      Number(b.named) - Number(a.named) || (a.path < b.path ? -1 : 1)
    );
    const { missing, refused, directories, transients } = round;
    return {
      files,
      missing,
      refused,
      directories: [...directories],
      transients: [...transients.values()],
    };
  }

  return { places, scan };
}
