/**
 * Where the spool is when nobody says: on a disk, and the user's own.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { makeFolder } from "../../lib/file/folder.ts";
import { openSpool, type Spool } from "../../lib/spool/mod.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { PATHS } from "../pipeline/signals.ts";
import { type Environment, variable } from "../options/variables.ts";
import type { SpoolSettings } from "../options/spool.ts";
import type { Log } from "../send/problems.ts";
import { printable } from "../text/text.ts";

/** Types of file systems on Linux that are gone with the power: tmpfs, ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6]);

/** The default place; undefined when the user has no home. */
export function defaultPlace(env: Environment, uid: number | undefined): string | undefined {
  const state = variable(env, "XDG_STATE_HOME")?.value;
  // Others are to be ignored (XDG Base Directory Specification).
  if (state?.startsWith("/")) return join(state, "otlp-mmap", "spool");
  if (uid === 0) return "/var/lib/otlp-mmap/spool";
  const home = variable(env, "HOME")?.value;
  return home === undefined ? undefined : join(home, ".local/state/otlp-mmap/spool");
}

/** Somebody with a spool of its own. */
export interface LanePlace {
  /** The name of its folder, the same in every run. */
  readonly folder: string;
  /** For messages. */
  readonly name: string;
}

/**
 * The place of an endpoint: the same for all signals under a base URL, and whatever its password is.
 *
 * @param url Where requests of the signal go.
 */
export function placeOfEndpoint(signal: Signal, url: string): LanePlace {
  const base = new URL(url);
  base.password = base.hash = "";
  const path = `/${PATHS[signal]}`;
  if (base.pathname.endsWith(path)) base.pathname = base.pathname.slice(0, -path.length);
  const name = `${base.protocol}//${base.host}${base.pathname}`.replace(/\/$/, "");
  return { folder: folderName(base.host, base.href), name };
}

/** The place of the database, which requests may have to wait for too. */
export function placeOfStore(path: string): LanePlace {
  return { folder: folderName("store", resolve(path)), name: `store ${path}` };
}

/** What a person recognises, and what makes it unique. */
function folderName(text: string, unique: string): string {
  const hash = createHash("sha256").update(unique).digest("hex").slice(0, 12);
  return `${text.replace(/[^\w.-]/g, "_").slice(0, 80)}-${hash}`;
}

/** The spool could not be opened where it was asked for. */
export class SpoolError extends Error {}

/**
 * Opens the spool of a collector; null, with a message, when the default place can't be used.
 *
 * @throws SpoolError when a place that was named can't be used.
 */
export function openCollectorSpool(
  { folder, maxBytes, maxAgeMs }: SpoolSettings,
  env: Environment,
  log: Log,
): Spool | null {
  const path = folder ?? defaultPlace(env, process.getuid?.());
  const without = "requests are not stored; name a directory on a disk with --spool, or --no-spool";
  if (path === undefined) {
    log("warn", `there is no place for a spool, since HOME is not set: ${without}`);
    return null;
  }
  const place = printable(path, 200);
  try {
    makeFolder(path, true);
    if (isInMemory(path)) {
      if (folder === null) {
        log("warn", `the spool ${place} would be in memory: ${without}`);
        return null;
      }
      log("warn", `the spool ${place} is in memory: it does not outlast the machine`);
    }
    return openSpool(path, { maxBytes, maxAgeMs });
  } catch (error) {
    const why = `the spool ${place} can't be used: ${(error as Error).message}`;
    if (folder !== null) throw new SpoolError(`${why}; name another with --spool, or --no-spool`);
    log("warn", `${why}; ${without}`);
    return null;
  }
}

/** Is this directory, which is there, gone with the power? */
export function isInMemory(path: string): boolean {
  return process.platform === "linux" && IN_MEMORY.has(statfsSync(path).type);
}
