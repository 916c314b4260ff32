/**
 * All checks, in the order in which they are said.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { runtime, userTempDirectory } from "../../ffi/mod.ts";
import { defaultDirectories } from "../../lib/file/places.ts";
import { planFile } from "../../lib/file/write.ts";
import { discover } from "../files/discover.ts";
import type { CollectOptions } from "../options/options.ts";
import { printable } from "../text/text.ts";
import type { Environment } from "../options/variables.ts";
import { bad, type Check } from "./check.ts";
import { checkEndpoints } from "./endpoint.ts";
import { checkFiles, checkPlace, type Place } from "./places.ts";
import { checkSelf } from "./self-test.ts";
import { checkSpool } from "./spool.ts";
import { checkStore } from "./store.ts";
import { checkClock, checkForeignFunctions, checkLimits, checkRuntime } from "./system.ts";

/** What to look at: as `collect` has it. */
export type DoctorOptions = Pick<
  CollectOptions,
  "paths" | "destinations" | "otherUsers" | "spool" | "store"
>;

/** Runs every check. */
export async function examine(options: DoctorOptions, env: Environment): Promise<Check[]> {
  const bytes = planFile("").bytes;
  const checks = [checkRuntime(), checkForeignFunctions(), checkClock()];
  const discovery = discover(options.paths, env, { log: () => {}, places: { userTempDirectory } });
  const { files, missing } = discovery.scan();
  const byDefault = new Map(defaultPlaces().map((place) => [place.path, place]));
  for (const path of discovery.places) {
    // A glob is no path: what matters is what it matches.
    const isGlob = options.paths.includes(path) && /[*?[{]/.test(path) && !existsSync(path);
    if (!isGlob) checks.push(...checkPlace(byDefault.get(path) ?? { path }, bytes));
    else if (missing.includes(path)) {
      checks.push(bad("place", `${printable(path, 4096)} matches nothing: check the pattern`));
    }
  }
  checks.push(
    ...checkLimits(files.length, bytes),
    ...checkFiles(files.map(({ path }) => path), options.otherUsers),
  );
  checks.push(...await checkEndpoints(options.destinations));
  if (options.spool !== null) checks.push(checkSpool(options.spool, env));
  if (options.store !== null) checks.push(checkStore(options.store.path));
  if (runtime.supported) checks.push(await checkSelf());
  return checks;
}

function defaultPlaces(): Place[] {
  try {
    return defaultDirectories(process.getuid?.() ?? -1, { userTempDirectory });
  } catch {
    // None on this platform.
    return [];
  }
}
