/**
 * What the system gives: runtime, foreign functions, limits, clock.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import packageJson from "../../package.json" with { type: "json" };
import { clockWords, now, runtime } from "../../ffi/mod.ts";
import { formatBytes, formatCount } from "../inspect/units.ts";
import { firstLine } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";

/** Descriptors that a collector has beside its files. */
const BASE_DESCRIPTORS = 64;
/** Descriptors that a file takes: it, its lock, and one while its owner is asked after. */
const DESCRIPTORS_A_FILE = 3;
/** Fewer leave no room for a host with some applications. */
const LEAST_DESCRIPTORS = 256;
/** What `ulimit -f` counts in (POSIX), bytes. */
const FILE_SIZE_UNIT = 512;
const MAX_CLOCK_DIFFERENCE_MS = 1000;

/** The runtime and its version. */
export function checkRuntime(
  versions: Readonly<Record<string, string | undefined>> = process.versions,
  name: string = runtime.name,
): Check {
  const label = { deno: "Deno", bun: "Bun" }[name];
  const where = `on ${process.platform} ${process.arch}`;
  if (label === undefined) {
    return bad("runtime", `neither Deno nor Bun ${where}: run it with one of them`);
  }
  const version = versions[name] ?? "";
  const least = /\d+\.\d+/.exec(packageJson.engines[name as "deno" | "bun"])![0];
  const [major, minor] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = least.split(".").map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
    ? ok("runtime", `${label} ${version} ${where}`)
    : bad("runtime", `${label} ${version} ${where} is too old: use ${least} or a later one`);
}

/** Whether files can be mapped. */
export function checkForeignFunctions(found: typeof runtime = runtime): Check {
  if (found.supported) return ok("ffi", "functions of the C library can be called");
  const reason = firstLine(found.reason ?? "");
  return bad(
    "ffi",
    /permission/i.test(reason)
      ? `functions of the C library may not be called (${reason}): run it with --allow-ffi`
      : `files cannot be mapped here: ${reason}`,
  );
}

/**
 * Limits of this process, which are those of an application that is started the same way.
 *
 * @param files Files that there are to be read.
 * @param bytes What an application's file takes.
 * @param said What `ulimit -n; ulimit -f` says; by default it is asked.
 */
export function checkLimits(files: number, bytes: number, said: string = askLimits()): Check[] {
  const [descriptors, blocks] = said.split("\n").map((line) =>
    line === "unlimited" ? Infinity : /^\d+$/.test(line) ? Number(line) : undefined
  );
  const checks: Check[] = [];
  const needed = Math.max(LEAST_DESCRIPTORS, BASE_DESCRIPTORS + DESCRIPTORS_A_FILE * files);
  if (descriptors === undefined) {
    checks.push(ok("limits", "not known: there is no /bin/sh to ask"));
  } else if (descriptors < needed) {
    checks.push(
      bad(
        "limits",
        `${formatCount(descriptors)} files may be open, and a collector wants ` +
          `${formatCount(needed)}: raise it with ulimit -n (systemd: LimitNOFILE=)`,
      ),
    );
  } else checks.push(ok("limits", `${unlimited(descriptors)} files may be open`));
  if (blocks === undefined) return checks;
  const most = blocks * FILE_SIZE_UNIT;
  checks.push(
    most < bytes
      ? bad(
        "limits",
        `files may have ${formatBytes(most)}, and an application's has ${formatBytes(bytes)}: ` +
          "raise it with ulimit -f (systemd: LimitFSIZE=), or have applications use smaller rings",
      )
      : ok("limits", `files may have ${most === Infinity ? "any size" : formatBytes(most)}`),
  );
  return checks;
}

function unlimited(count: number): string {
  return count === Infinity ? "any number of" : formatCount(count);
}

function askLimits(): string {
  return spawnSync("/bin/sh", ["-c", "ulimit -n; ulimit -f"], { encoding: "utf8" }).stdout ?? "";
}

/** The year before this was written, and one that nobody will see. */
const PLAUSIBLE = [Date.UTC(2025, 0, 1), Date.UTC(2100, 0, 1)];

/** The wall clock, which times all records. `wall` is its time in ms since the Unix epoch. */
export function checkClock(wall: number = Date.now(), system: number = systemClock()): Check {
  const shown = Number.isFinite(wall) ? new Date(wall).toISOString() : String(wall);
  if (wall < PLAUSIBLE[0] || wall > PLAUSIBLE[1]) {
    return bad(
      "clock",
      `it is ${shown}, which can't be: set the clock (and have NTP keep it), or all telemetry ` +
        "carries wrong times",
    );
  }
  const difference = Math.abs(wall - system);
  if (difference > MAX_CLOCK_DIFFERENCE_MS) {
    return bad(
      "clock",
      `the runtime's clock says ${shown}, and the system's is ${
        (difference / 1000).toFixed(1)
      } s ` +
        "from it: applications record the system's; run without what fakes the time",
    );
  }
  return ok("clock", `it is ${shown}`);
}

/** ms since the Unix epoch by the clock that records are timed with. */
function systemClock(): number {
  if (!runtime.supported) return Date.now();
  now();
  return (clockWords[0] >>> 0) * 1000 + clockWords[2] / 1e6;
}
