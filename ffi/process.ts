/**
 * What the operating system knows about processes: alive, since when, and with which files mapped.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { assertSupported, errnoOf } from "./errors.ts";
import {
  checked,
  closeFile,
  limitOf,
  openFile,
  readText,
  retried,
  statusAt,
  statusOf,
} from "./file.ts";
import { libc, runtime } from "./libc.ts";
import {
  _CS_DARWIN_USER_TEMP_DIR,
  isMac,
  MAP_SHARED,
  O_RDONLY,
  PROT_READ,
  RLIMIT_FSIZE,
  RLIMIT_NOFILE,
} from "./symbols.ts";

/** USER_HZ: what the kernel tells user space, the same on every Linux that is supported here. */
const TICKS_PER_SECOND = 100n;
const NS_PER_SECOND = 1_000_000_000n;

/**
 * When a process started, in clock ticks since boot; null where there is no such process or no way to
 * know (macOS). Unlike a time it never changes, so with the id it tells a process from every other
 * one of this boot.
 */
export function processStartTicks(pid: number): bigint | null {
  if (!runtime.supported || isMac) return null;
  const ticks = statFields(pid)?.[19];
  return ticks === undefined ? null : BigInt(ticks);
}

/**
 * When a process started, in ns since the Unix epoch; null where there is no such process or no way
 * to know (macOS). Good to a second: the kernel counts from boot, and tells the time of boot in
 * seconds. Two processes that had the same id, one after the other, differ by more than that only if
 * the ids went round in between, which takes far longer.
 */
export function processStartTime(pid: number): bigint | null {
  const start = processStartTicks(pid);
  if (start === null) return null;
  const boot = /^btime (\d+)$/m.exec(readText("/proc/stat") ?? "")?.[1];
  if (boot === undefined) return null;
  return BigInt(boot) * NS_PER_SECOND + start * (NS_PER_SECOND / TICKS_PER_SECOND);
}

/** The fields of /proc/PID/stat from the third (the state) on. */
function statFields(pid: number): string[] | null {
  const text = readText(`/proc/${pid}/stat`);
  // The second is the command's name in parentheses, in which anything may occur.
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/**
 * Is there a process of this id that still runs? One that ended and was not waited for by its parent
 * (a zombie) does not. Throws where FFI is not supported.
 */
export function processIsAlive(pid: number): boolean {
  assertSupported("kill", `process ${pid}`);
  // 0 and below would mean groups of processes.
  if (!Number.isInteger(pid) || pid <= 0 || pid > 0x7fff_ffff) return false;
  const result = retried(() => libc.kill(pid, 0));
  if (result < 0 && result !== -errnoOf("EPERM")) return false;
  if (isMac) return true;
  const state = statFields(pid)?.[0];
  return state !== "Z" && state !== "X";
}

/** Holds more rights than anybody, so it can't be read even by root in some containers. */
const INIT = 1;

/**
 * The ids of the processes that have the file `path` mapped, this one included. Null where that can't
 * be known: on macOS, without /proc, or when nobody was found but processes that this one may not
 * look into (another user's, or the owner's with more rights than this one) could have it. Not seen,
 * so taken as absent: processes of other containers, and ones that run a binary with capabilities.
 * Throws when the file can't be opened.
 */
export function mappedBy(path: string): number[] | null {
  assertSupported("mmap", path);
  if (isMac) return null;
  const file = asShownInMaps(path);
  if (file === null) return null;
  let pids: number[];
  try {
    pids = readdirSync("/proc").map(Number).filter((pid) => Number.isInteger(pid));
  } catch {
    return null;
  }
  const found: number[] = [];
  let blind = false;
  for (const pid of pids) {
    const maps = readText(`/proc/${pid}/maps`);
    if (maps !== null) {
      if (file.line.test(maps)) found.push(pid);
    } else if (pid !== INIT && statusAt(`/proc/${pid}`)?.uid === file.uid) {
      blind = true;
    }
  }
  if (found.length > 0) return found;
  const me = libc.geteuid();
  return blind || (me !== 0 && me !== file.uid) ? null : found;
}

/**
 * Which lines of /proc/PID/maps are about this file, and who owns it. Found by mapping it and looking
 * at what the kernel shows here: on overlay file systems and btrfs that is not what stat says.
 */
function asShownInMaps(path: string): { line: RegExp; uid: number } | null {
  const fd = openFile(path, O_RDONLY);
  try {
    const { uid } = statusOf(fd, path);
    const address = checked("mmap", path, () => libc.mmap(0, 1, PROT_READ, MAP_SHARED, fd, 0));
    const maps = readText("/proc/self/maps") ?? "";
    libc.munmap(address, 1);
    const start = address.toString(16).padStart(8, "0");
    const shown = new RegExp(`^${start}-\\S+ \\S+ \\S+ (\\S+ \\d+)`, "m").exec(maps)?.[1];
    if (shown === undefined) return null;
    return { line: new RegExp(`^\\S+ \\S+ \\S+ ${shown}(?!\\d)`, "m"), uid };
  } finally {
    closeFile(fd);
  }
}

/**
 * A directory of this user's own for temporary files, the same from a shell and from an init system
 * on macOS; elsewhere what the environment says.
 */
export function userTempDirectory(): string {
  if (runtime.supported && isMac) {
    const bytes = new Uint8Array(1024);
    const length = libc.confstr(_CS_DARWIN_USER_TEMP_DIR, bytes, bytes.length);
    if (length > 1 && length <= bytes.length) {
      return new TextDecoder().decode(bytes.subarray(0, length - 1)).replace(/(?<=.)\/$/, "");
    }
  }
  return tmpdir();
}

/** The effective user id of this process; null where FFI is not supported. Needs no permission. */
export function userId(): number | null {
  return runtime.supported ? libc.geteuid() : null;
}

/**
 * How many descriptors this process may have open (RLIMIT_NOFILE); about 9e18 where there is no
 * limit, Infinity where FFI is not supported.
 */
export function descriptorLimit(): number {
  return runtime.supported ? Number(limitOf(RLIMIT_NOFILE)) : Infinity;
}

/** Bytes that a file may have here: writing past it ends Deno. Infinity where nothing says. */
export function fileSizeLimit(): number {
  return runtime.supported ? Number(limitOf(RLIMIT_FSIZE)) : Infinity;
}
