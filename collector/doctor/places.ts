/**
 * The places where files are: whether they can be used, and what is in them.
 *
 * @module
 */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { networkProblem } from "../../lib/file/network.ts";
import { untrusted } from "../../lib/file/places.ts";
import { isForeign } from "../files/ownership.ts";
import { inspect, type Inspection } from "../inspect/inspect.ts";
import { counted, formatBytes, shellWord } from "../inspect/units.ts";
import { printable } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";

/** A place where files may be. */
export interface Place {
  readonly path: string;
  /** The user it has to belong to: of a default place, which anybody could have made. */
  readonly uid?: number;
}

/** Whether applications can make files in a place, and collectors find them. */
export function checkPlace({ path, uid }: Place, bytes: number): Check[] {
  const shown = printable(path, 4096);
  const there = existing(path);
  let checked: Check;
  try {
    if (there === path) checked = checkExisting(path, uid);
    else {
      checked = isWritable(there)
        ? ok("place", `${shown} does not exist yet: the first application makes it`)
        : bad(
          "place",
          `${shown} does not exist, and this user can't make it in ${printable(there)}: make it, ` +
            "or set OTLP_MMAP_DIR to another directory, for applications and collector",
        );
    }
    const network = networkProblem(there);
    return [
      checked,
      ...(network === null ? [] : [bad("place", printable(network, 4096))]),
      checkSpace(there, bytes),
    ];
  } catch (error) {
    return [bad("place", `${shown} can't be looked at: ${printable((error as Error).message)}`)];
  }
}

function checkExisting(path: string, uid: number | undefined): Check {
  const shown = printable(path, 4096);
  const stat = statSync(path);
  const kind = stat.isDirectory() ? "directory" : "file";
  const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
  const looks = `${shown}: a ${kind} of user ${stat.uid}, mode ${mode}`;
  const problem = uid === undefined ? undefined : untrusted(path, uid);
  if (problem !== undefined) {
    return bad(
      "place",
      `${printable(problem)}, so it is not looked at: remove it (it is made anew), or set ` +
        "OTLP_MMAP_DIR to another directory, for applications and collector",
    );
  }
  if (!stat.isFile() && !stat.isDirectory()) {
    return bad("place", `${shown} is neither a file nor a directory: name one of these`);
  }
  if (!isWritable(path)) {
    return bad(
      "place",
      `${looks}, which this user may not write: run the collector as that user or as root`,
    );
  }
  return ok("place", looks);
}

/** Whether there is room for one more file. */
function checkSpace(path: string, bytes: number): Check {
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  const where = `${formatBytes(free)} are free at ${printable(path, 4096)}`;
  return free >= bytes
    ? ok("space", `${where}; an application's file takes ${formatBytes(bytes)}`)
    : bad(
      "space",
      `${where}, and an application's file takes ${formatBytes(bytes)}: free some (leftovers are ` +
        "named below), make it larger (mount -o remount,size=…; docker: --shm-size), or have " +
        "applications use smaller rings",
    );
}

/** The path, or the nearest directory above it that is there. */
export function existing(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

/** May this user read and write there? */
export function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * What is in the places.
 *
 * @param otherUsers Also of other users.
 */
export function checkFiles(paths: readonly string[], otherUsers: boolean): Check[] {
  const foreign = otherUsers ? new Map<string, number>() : foreignFiles(paths);
  const inspections = paths.filter((path) => !foreign.has(path)).map((path) => inspect(path));
  const states = new Map<string, Inspection[]>();
  for (const inspection of inspections) {
    const { facts, verdict } = inspection;
    const state = facts === null ? verdict : facts.owner.state;
    const read = facts?.reader?.attached === true;
    const key = state === "alive" || state === "unknown"
      ? "living"
      : state === "unreadable"
      ? "unreadable"
      : read
      ? "draining"
      : "leftover";
    states.set(key, [...states.get(key) ?? [], inspection]);
  }
  const of = (key: string): Inspection[] => states.get(key) ?? [];
  return [
    checkLeftovers(of("leftover"), of("draining").length),
    ...of("unreadable").map(({ path, problems }) =>
      bad("file", `${printable(path, 4096)}: ${problems.join("; ")}`)
    ),
    ...checkForeign(foreign),
    checkLiving(of("living")),
    ...of("living").flatMap(({ path, problems }) =>
      problems.map((problem) => bad("file", `${printable(path, 4096)}: ${problem}`))
    ),
  ];
}

function checkLeftovers(ended: readonly Inspection[], draining: number): Check {
  let bytes = 0;
  let records = 0;
  const left: Inspection[] = [];
  for (const inspection of ended) {
    const { rings, sizeBytes } = inspection.facts!;
    const unread = rings.reduce((sum, { inRing }) => sum + inRing, 0);
    if (unread === 0) continue;
    left.push(inspection);
    records += unread;
    bytes += sizeBytes;
  }
  if (left.length === 0) {
    const more = [
      draining === 0 ? "" : `; a collector is reading ${counted(draining, "file")} of theirs`,
      ended.length === 0 ? "" : `; ${counted(ended.length, "file")} of theirs may be removed`,
    ];
    return ok("leftovers", `no records of processes that ended wait to be read${more.join("")}`);
  }
  const directories = new Set(left.map(({ path }) => shellWord(dirname(path))));
  return bad(
    "leftovers",
    `${counted(left.length, "file")} of processes that ended (${formatBytes(bytes)}) with ${
      counted(records, "record")
    } that nobody has read: run \`otlp-mmap collect --once ${
      [...directories].join(" ")
    }\` with the ` +
      "--endpoint they are to go to",
  );
}

function checkLiving(living: readonly Inspection[]): Check {
  if (living.length === 0) {
    return ok("collector", "no application is writing, so there is nothing to read");
  }
  const readers = new Set<number | null>();
  let unread = 0;
  for (const { facts } of living) {
    const reader = facts?.reader;
    if (reader?.attached) readers.add(reader.pid);
    else unread++;
  }
  const total = counted(living.length, "file");
  if (unread === 0) {
    const who = [...readers].map((pid) => pid === null ? "a process" : `process ${pid}`).join(", ");
    return ok("collector", `${who} reads the ${total} of living applications`);
  }
  return bad(
    "collector",
    `nobody reads ${unread === living.length ? "the" : `${unread} of the`} ${total} of living ` +
      `applications: start \`otlp-mmap collect\` as ${
        process.getuid?.() === 0 ? "root" : "this user"
      }`,
  );
}

/** Files of other users, and whose they are. */
function foreignFiles(paths: readonly string[]): Map<string, number> {
  const foreign = new Map<string, number>();
  for (const path of paths) {
    const uid = statSync(path, { throwIfNoEntry: false })?.uid;
    if (uid !== undefined && isForeign(path, uid)) foreign.set(path, uid);
  }
  return foreign;
}

function checkForeign(foreign: ReadonlyMap<string, number>): Check[] {
  if (foreign.size === 0) return [];
  const [[path, uid]] = foreign;
  return [bad(
    "file",
    `${counted(foreign.size, "file")} of other users are passed, such as ${
      printable(path, 4096)
    } ` +
      `of user ${uid}: if they are to be read, give --other-users`,
  )];
}
