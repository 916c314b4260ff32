/**
 * Whether the spool of `collect` can be used, and what waits in it.
 *
 * @module
 */
import { readdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseName, SPOOL_SIGNALS } from "../../lib/spool/names.ts";
import { defaultPlace, isInMemory } from "../delivery/spool-place.ts";
import { formatBytes } from "../inspect/units.ts";
import type { SpoolSettings } from "../options/spool.ts";
import type { Environment } from "../options/variables.ts";
import { printable } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";
import { existing, isWritable } from "./places.ts";

const OTHER = "name a directory on a disk with --spool (or OTLP_MMAP_SPOOL)";

/** Looks at the spool, which need not be there yet. Nothing is changed. */
export function checkSpool({ folder, maxBytes }: SpoolSettings, env: Environment): Check {
  const path = folder ?? defaultPlace(env, process.getuid?.());
  if (path === undefined) return bad("spool", `HOME is not set, so there is none: ${OTHER}`);
  const name = printable(path, 4096);
  try {
    const there = existing(path);
    if (!statSync(there).isDirectory()) {
      return bad("spool", `${name} can't be made, since ${printable(there)} is a file: ${OTHER}`);
    }
    if (!isWritable(there)) {
      const what = there === path ? "be written" : `be made in ${printable(there)}`;
      return bad("spool", `${name} can't ${what} by this user: ${OTHER}`);
    }
    if (isInMemory(there)) {
      return bad("spool", `${name} is in memory and does not outlast the machine: ${OTHER}`);
    }
    const used = bytesIn(path);
    const waits = used === 0 ? "nothing waits in it" : `segments of ${formatBytes(used)} are in it`;
    const looks = there === path ? `${name}: on a disk; ${waits}` : `${name}: not there yet`;
    const { bavail, bsize } = statfsSync(there);
    const room = `${formatBytes(bavail * bsize)} are free for up to ${formatBytes(maxBytes)}`;
    return bavail * bsize >= maxBytes - used
      ? ok("spool", `${looks}; ${room}`)
      : bad("spool", `${looks}; ${room}: free some, or give a smaller --spool-max-size`);
  } catch (error) {
    return bad("spool", `${name} can't be looked at: ${printable((error as Error).message)}`);
  }
}

/** Bytes of the segments: of the spool of all, and of those of each endpoint. */
function bytesIn(spool: string): number {
  const lanes = namesIn(join(spool, "endpoints")).map((lane) => join(spool, "endpoints", lane));
  return [spool, ...lanes]
    .flatMap((place) => SPOOL_SIGNALS.map((signal) => join(place, signal)))
    .flatMap((folder) => namesIn(folder).map((name) => join(folder, name)))
    .filter((path) => parseName(path.slice(path.lastIndexOf("/") + 1)) !== null)
    .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw error;
  }
}
