/**
 * What a figure depends on: the machine, how busy it is, and the versions.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, platform } from "node:os";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";

/** Processor, cores, system and runtimes in one line. */
export function machine(): string {
  const version = (path: string): string =>
    execFileSync(path, ["--version"], { encoding: "utf8" }).split("\n")[0].replace(/^deno /, "")
      .split(" ")[0];
  const all = cpus();
  return `${all[0]?.model ?? "unknown processor"}, ${all.length} cores, ${platform()} ${arch()}; ` +
    `Deno ${version(denoPath())}, Bun ${version(bunPath())}`;
}

/** The load average of the last minute. */
export function load(): string {
  return loadavg()[0].toFixed(2);
}

/** `name version` of an installed package. */
export function packageVersion(name: string): string {
  const path = `${ROOT}node_modules/${name}/package.json`;
  const { version } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
  return `${name} ${version}`;
}
