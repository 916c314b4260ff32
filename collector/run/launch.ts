/**
 * From the COMMAND of `run` to a command line that preloads the SDK.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { ArgumentsExit } from "../options/arguments.ts";
import { printable } from "../text/text.ts";
import { upwards } from "./sdk.ts";

/** A command that the SDK can be preloaded into. */
export interface Launch {
  readonly runtime: "deno" | "bun";
  /** The folder of the program, else the working directory: where its packages are. */
  readonly folder: string;
  /** The command line that preloads a module. */
  readonly preloading: (module: string) => [string, ...string[]];
}

const SCRIPT = /\.[cm]?[jt]sx?$/;
/** Subcommands that run a program in their own process; without one, Deno and Bun run a file. */
const RUNNING = {
  deno: new Set(["run", "serve", "test", "bench"]),
  bun: new Set(["run", "test"]),
};
/** Others that programs are started with: these start another process, or none. */
const OTHER = {
  deno: new Set(["task", "x", "eval", "repl", "compile", "install", "desktop", "jupyter"]),
  bun: new Set(["x", "exec", "repl", "build", "install", "add", "create", "init"]),
};

/**
 * Understands a command: `deno run …`, `bun …`, or a file with its arguments.
 *
 * @throws ArgumentsExit for any other.
 */
export function understand(
  command: readonly string[],
  path: string | undefined,
  cwd: string,
): Launch {
  const [first, ...rest] = command;
  const name = basename(first);
  const folder = folderOf(command, cwd);
  if (name === "deno" || name === "bun") {
    const [subcommand] = rest;
    if (OTHER[name].has(subcommand)) {
      throw new ArgumentsExit(
        2,
        `"${name} ${subcommand}" starts no program that the SDK could be preloaded into; ` +
          `name the program itself, as ${name === "deno" ? "deno run app.ts" : "bun app.ts"}`,
      );
    }
    const at = RUNNING[name].has(subcommand) ? 1 : 0;
    return {
      runtime: name,
      folder,
      preloading: (module) => [
        first,
        ...rest.slice(0, at),
        `--preload=${module}`,
        ...rest.slice(at),
      ],
    };
  }
  if (SCRIPT.test(first) && isFile(resolve(cwd, first))) {
    const runtime = chooseRuntime(folder, path);
    const flags = runtime === "deno" ? ["run", "--allow-all"] : [];
    return {
      runtime,
      folder,
      preloading: (module) => [runtime, ...flags, `--preload=${module}`, ...command],
    };
  }
  if (SCRIPT.test(first)) {
    throw new ArgumentsExit(2, `there is no file "${printable(first, 200)}" to run in ${cwd}`);
  }
  throw new ArgumentsExit(
    2,
    `"${printable(first, 200)}" is none of deno, bun and a file of TypeScript or JavaScript; ` +
      "examples are deno run app.ts, bun app.ts, app.ts",
  );
}

function folderOf(command: readonly string[], cwd: string): string {
  const file = command.find((arg) => SCRIPT.test(arg) && isFile(resolve(cwd, arg)));
  return file === undefined ? cwd : dirname(resolve(cwd, file));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

const MARKS = {
  deno: ["deno.json", "deno.jsonc", "deno.lock"],
  bun: ["bun.lock", "bun.lockb", "bunfig.toml"],
};

/** The runtime of a file: by what lies beside or above it, else the one that is there. */
function chooseRuntime(folder: string, path: string | undefined): "deno" | "bun" {
  for (const each of upwards(folder)) {
    for (const name of ["deno", "bun"] as const) {
      if (MARKS[name].some((mark) => existsSync(join(each, mark)))) return name;
    }
  }
  const has = (name: string): boolean =>
    (path ?? "").split(delimiter).some((each) => each !== "" && isFile(join(each, name)));
  return has("bun") || !has("deno") ? "bun" : "deno";
}
