/**
 * Where files live and what they are called, for writers and readers alike.
 *
 * @module
 */
import { lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** What the default place depends on. None of it is the environment: both sides must agree. */
export interface PlaceOptions {
  /** `process.platform` by default. */
  readonly platform?: string;
  /** macOS: the user's own temporary directory (`_CS_DARWIN_USER_TEMP_DIR`). */
  readonly userTempDirectory?: () => string;
  /** Linux: the directory shared by all users. Default `/dev/shm`. */
  readonly sharedMemory?: string;
  /** Linux: the one for when that has no room. Default `/tmp`, none beside another `sharedMemory`. */
  readonly spare?: string;
}

/** Every file of ours in a directory has a name with this ending. */
export const EXTENSION = ".otlp";
/** Ending of the lock file beside a file that a reader has. */
export const READER_SUFFIX = ".reader";
/** Ending of a file that is being made. */
export const TEMPORARY_SUFFIX = ".tmp";
/** Ending of a file whose owner died and whose name went to another. */
export const LEFTOVER_SUFFIX = ".left";

const PREFIX = "otlp-mmap-";
const SHARED_MEMORY = "/dev/shm";
const SPARE = "/tmp";
// <isolate>.<generation>, or <pid>-<uid8> before it.
const SUFFIX_PATTERN = /^(?:\d+-[0-9a-f]{8}\.)?\d+\.\d+$/;
const LEFTOVER_PATTERN = /\.[0-9a-f]{8}\.left$/;

function currentUid(): number {
  const { getuid } = process;
  if (getuid === undefined) throw new Error("this platform has no user ids");
  return getuid.call(process);
}

/**
 * The directory where a user's files are when nothing else is configured.
 *
 * @throws Error on platforms other than Linux and macOS.
 */
export function defaultDirectory(uid: number, options: PlaceOptions = {}): string {
  const platform = options.platform ?? process.platform;
  if (platform === "linux") {
    return join(options.sharedMemory ?? SHARED_MEMORY, `${PREFIX}${uid}`);
  }
  if (platform === "darwin" && options.userTempDirectory !== undefined) {
    return join(options.userTempDirectory(), `${PREFIX}${uid}`);
  }
  throw new Error(`there is no default directory on ${platform}: set OTLP_MMAP_DIR`);
}

/**
 * The directory where a user's files go when the default one has no room; null where there is no such
 * place. Readers look there, too, once it exists.
 */
export function spareDirectory(uid: number, options: PlaceOptions = {}): string | null {
  const parent = spareParent(options);
  return parent === null ? null : join(parent, `${PREFIX}${uid}`);
}

function spareParent({ platform = process.platform, sharedMemory, spare }: PlaceOptions) {
  if (platform !== "linux") return null;
  return spare ?? (sharedMemory === undefined ? SPARE : null);
}

/** A default directory and the user it must belong to. */
export interface DefaultDirectory {
  readonly path: string;
  readonly uid: number;
}

/**
 * The default directories to read from: that of the user, or, for root, those of all users that
 * exist, root's own first. (On macOS users' temporary directories can't be listed by a rule that
 * the system documents, so root looks at its own there.) Behind them, on Linux, the spare ones that
 * exist.
 */
export function defaultDirectories(uid: number, options: PlaceOptions = {}): DefaultDirectory[] {
  const own = { path: defaultDirectory(uid, options), uid };
  const spare = spareParent(options);
  const spares = spare === null ? [] : usersIn(spare);
  if (uid !== 0 || (options.platform ?? process.platform) !== "linux") {
    return [own, ...spares.filter((each) => each.uid === uid)];
  }
  const others = usersIn(options.sharedMemory ?? SHARED_MEMORY).filter((each) => each.uid !== uid);
  return [own, ...others, ...spares];
}

/** The directories of all users in one that is everybody's. */
function usersIn(parent: string): DefaultDirectory[] {
  const users: DefaultDirectory[] = [];
  let names: string[] = [];
  try {
    names = readdirSync(parent);
  } catch {
    // Nothing there to find.
  }
  for (const name of names) {
    const match = /^otlp-mmap-(0|[1-9]\d{0,9})$/.exec(name);
    if (match === null) continue;
    users.push({ path: join(parent, name), uid: Number(match[1]) });
  }
  return users.sort((a, b) => a.uid - b.uid);
}

/**
 * Says why a default directory can't be trusted: its parent is writable by everybody, so anybody
 * may have made it. `undefined` when it can.
 *
 * @throws the system's error when there is nothing at the path.
 */
export function untrusted(path: string, uid: number): string | undefined {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return `${path} is a symbolic link`;
  if (!stat.isDirectory()) return `${path} is not a directory`;
  if (stat.uid !== uid) return `${path} belongs to user ${stat.uid}, not to user ${uid}`;
  const mode = stat.mode & 0o777;
  if (mode !== 0o700) return `${path} has mode ${mode.toString(8).padStart(4, "0")}, not 0700`;
  return undefined;
}

/**
 * Makes the default directory if it is not there, mode 0700, and checks it.
 *
 * @param uid The user; by default the one this process runs as.
 * @returns Its path.
 * @throws Error that names the path when it can't be made or trusted.
 */
export function ensureDefaultDirectory(
  uid: number = currentUid(),
  options: PlaceOptions = {},
): string {
  return ensureDirectory(defaultDirectory(uid, options), uid);
}

/** The same for a default or spare directory of that user. */
export function ensureDirectory(path: string, uid: number = currentUid()): string {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  const problem = untrusted(path, uid);
  if (problem !== undefined) {
    throw new Error(`${problem}: remove it, or set OTLP_MMAP_DIR to another directory`);
  }
  return path;
}

// ------------------------------------------------------------------------------------------- names

/** What names a file. */
export interface FileIdentity {
  readonly pid: number;
  /** Random uid of the process, hex; the first 8 digits are used. */
  readonly processUid: string;
  /** 0 for the main thread, the thread's number for a Worker. */
  readonly isolate: number;
  readonly generation: number;
}

function ownerPart(identity: FileIdentity): string {
  return `${identity.pid}-${identity.processUid.slice(0, 8)}`;
}

/** The name of a file in a directory: `<pid>-<uid8>-<isolate>.<generation>.otlp`. */
export function fileName(identity: FileIdentity): string {
  const { isolate, generation } = identity;
  return `${ownerPart(identity)}-${isolate}.${generation}${EXTENSION}`;
}

/**
 * The path of a file when one exact path is configured: that path for the first file of the main
 * thread, `<path>.<isolate>.<generation>` for the others.
 *
 * @param taken The path belongs to another process that lives: `<path>.<pid>-<uid8>.<isolate>.<generation>`.
 */
export function exactFilePath(path: string, identity: FileIdentity, taken: boolean): string {
  const { isolate, generation } = identity;
  if (taken) return `${path}.${ownerPart(identity)}.${isolate}.${generation}`;
  return isolate === 0 && generation === 0 ? path : `${path}.${isolate}.${generation}`;
}

/**
 * The path under which a dead owner's file is set aside: `<path>.<uid8>.left`.
 *
 * @param uid The file's uid, or random hex for a file without one; the first 8 digits are used.
 */
export function leftoverName(path: string, uid: string): string {
  return `${path}.${uid.slice(0, 8)}${LEFTOVER_SUFFIX}`;
}

/** The path that a file had before it was set aside under this one; null for one that was not. */
export function formerName(path: string): string | null {
  return LEFTOVER_PATTERN.test(path) ? path.replace(LEFTOVER_PATTERN, "") : null;
}

const MAKING_PATTERN = /^(.+?)(?:\.reader)?\.(\d+)-\w{6}\.tmp$/;

/** What the name of a reader's lock, or of a file or lock that is being made, says. */
export interface TransientName {
  /** The name of the file that it is for, or will be. */
  readonly of: string;
  /** The process that makes a file or a lock; null for a lock that is made. */
  readonly maker: number | null;
}

/** Takes such a name apart; null for others. */
export function transientName(name: string): TransientName | null {
  const making = MAKING_PATTERN.exec(name);
  if (making !== null) return { of: making[1], maker: Number(making[2]) };
  if (!name.endsWith(READER_SUFFIX)) return null;
  return { of: name.slice(0, -READER_SUFFIX.length), maker: null };
}

/** True for lock files of readers and for files that are still being made. */
export function isAuxiliaryName(name: string): boolean {
  return name.endsWith(READER_SUFFIX) || name.endsWith(TEMPORARY_SUFFIX);
}

/**
 * True when a name in a directory is one that files of ours have: it ends in `.otlp`, or goes on
 * after that the way {@linkcode exactFilePath} and {@linkcode leftoverName} do.
 */
export function isFileName(name: string): boolean {
  if (isAuxiliaryName(name)) return false;
  const base = name.replace(LEFTOVER_PATTERN, "");
  if (base.endsWith(EXTENSION)) return true;
  const at = base.lastIndexOf(`${EXTENSION}.`);
  return at >= 0 && SUFFIX_PATTERN.test(base.slice(at + EXTENSION.length + 1));
}
