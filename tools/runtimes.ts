/**
 * Where the two runtimes are, so that a program on one can start the other.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The Deno that the repository is tested with. */
export const DENO_VERSION = "2.9.6";

/** The repository's folder, with a slash at the end. */
export const ROOT: string = fileURLToPath(new URL("../", import.meta.url));

let deno: string | undefined;

/**
 * The Deno executable itself, never a launcher: a signal sent to the child must reach Deno. Looks
 * at OTLP_MMAP_DENO, then whether this is Deno, then asks `deno` on the PATH and npx.
 *
 * @throws {Error} when there is no Deno
 */
export function denoPath(): string {
  deno ??= process.env.OTLP_MMAP_DENO ??
    (process.versions.deno ? process.execPath : askDeno());
  return deno;
}

function askDeno(): string {
  for (const [command, ...args] of [["deno"], ["npx", "-y", `deno@${DENO_VERSION}`]]) {
    const answer = spawnSync(command!, [...args, "eval", "console.log(Deno.execPath())"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    if (answer.status === 0) return answer.stdout.trim();
  }
  throw new Error("no Deno: neither `deno` on the PATH nor npx answers; set OTLP_MMAP_DENO");
}

/**
 * The Bun executable among the dependencies.
 *
 * @throws {Error} when the dependencies are not installed
 */
export function bunPath(): string {
  const path = `${ROOT}node_modules/.bin/bun`;
  if (existsSync(path)) return path;
  throw new Error(`no Bun at ${path}: install the dependencies with \`deno install\``);
}
