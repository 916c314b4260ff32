/**
 * Descriptors: opening, identity, locking and allocation, as errors instead of return codes.
 *
 * @module
 */
import process from "node:process";
import { errnoOf, SystemError } from "./errors.ts";
import { cString, errno, libc } from "./libc.ts";
import {
  isMac,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O_CLOEXEC,
  RLIMIT_FSIZE,
  S_IFMT,
  S_IFREG,
  STAT_BYTES,
  STAT_DEV,
  STAT_INO,
  STAT_MODE,
  STAT_SIZE,
  STAT_UID,
} from "./symbols.ts";

const EINTR = errnoOf("EINTR");
const ENOENT = errnoOf("ENOENT");
const EAGAIN = errnoOf("EAGAIN");

/**
 * `call` again for as long as a signal interrupts it; its result, or the negated errno once that was
 * the same two times: between the call that failed and the look at errno the runtime may have made a
 * call of its own. `once` for a call that would not say the same when it is made again.
 */
export function retried(call: () => number, once = false): number {
  let before = 0;
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const number = errno();
    if (number === EINTR) continue;
    if (once || number === before) return -number;
    before = number;
  }
}

/** Like {@link retried}; throws when it fails. */
export function checked(
  syscall: string,
  path: string,
  call: () => number,
  once = false,
): number {
  const result = retried(call, once);
  if (result < 0) throw new SystemError(syscall, path, -result);
  return result;
}

/** A descriptor that no child inherits. */
export function openFile(path: string, flags: number): number {
  const bytes = cString(path);
  return checked("open", path, () => libc.open(bytes, flags | O_CLOEXEC));
}

/** Like {@link openFile}; null when there is no such file. */
export function openIfExists(path: string, flags: number): number | null {
  const bytes = cString(path);
  const fd = retried(() => libc.open(bytes, flags | O_CLOEXEC));
  if (fd === -ENOENT) return null;
  if (fd < 0) throw new SystemError("open", path, -fd);
  return fd;
}

const RANDOM = "XXXXXX";
const SUFFIX = ".tmp";

/**
 * A new, empty file beside `path`, named `<path>.<pid>-<random>.tmp`, mode 0600, open for reading and
 * writing. mkostemps makes and opens it in one call (O_EXCL, O_CLOEXEC): nothing planted under the
 * name is followed or truncated, and open(2) with a mode, which is variadic, is not needed.
 */
export function createTemporary(path: string): { fd: number; temporary: string } {
  const template = `${path}.${process.pid}-${RANDOM}${SUFFIX}`;
  const bytes = cString(template);
  const start = bytes.length - 1 - SUFFIX.length - RANDOM.length;
  const fd = checked("mkostemps", template, () => {
    bytes.fill(0x58, start, start + RANDOM.length);
    return libc.mkostemps(bytes, SUFFIX.length, O_CLOEXEC);
  });
  return { fd, temporary: new TextDecoder().decode(bytes.subarray(0, -1)) };
}

/** close(2), once: after EINTR the descriptor is gone already. */
export function closeFile(fd: number): void {
  libc.close(fd);
}

/** unlink(2); false when there was no such file. */
export function unlinkFile(path: string): boolean {
  const bytes = cString(path);
  const result = retried(() => libc.unlink(bytes));
  if (result === -ENOENT) return false;
  if (result < 0) throw new SystemError("unlink", path, -result);
  return true;
}

/** link(2): gives `from` the name `to` too; EEXIST when that is taken. */
export function linkFile(from: string, to: string): void {
  const source = cString(from);
  const target = cString(to);
  checked("link", to, () => libc.link(source, target));
}

/** What fstat or stat said last. */
const status = new Uint8Array(STAT_BYTES);
const statusView = new DataView(status.buffer);

/** Identity, size in bytes, owner and kind of a file. */
export interface Status {
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: number;
  readonly uid: number;
  readonly isFile: boolean;
}

function lastStatus(): Status {
  return {
    device: isMac
      ? BigInt(statusView.getInt32(STAT_DEV, true))
      : statusView.getBigUint64(STAT_DEV, true),
    inode: statusView.getBigUint64(STAT_INO, true),
    size: Number(statusView.getBigInt64(STAT_SIZE, true)),
    uid: statusView.getUint32(STAT_UID, true),
    isFile: (statusView.getUint16(STAT_MODE, true) & S_IFMT) === S_IFREG,
  };
}

/** fstat(2). `path` is for the error only. */
export function statusOf(fd: number, path: string): Status {
  checked("fstat", path, () => libc.fstat(fd, status));
  return lastStatus();
}

/** stat(2), following symbolic links; null when there is no such file. */
export function statusAt(path: string): Status | null {
  const bytes = cString(path);
  const result = retried(() => libc.stat(bytes, status));
  if (result === -ENOENT || result === -errnoOf("ENOTDIR")) return null;
  if (result < 0) throw new SystemError("stat", path, -result);
  return lastStatus();
}

/** Do both name the same file? */
export function sameFile(a: Status, b: Status): boolean {
  return a.inode === b.inode && a.device === b.device;
}

/** The lock of the open file, not waited for; false when somebody else holds it. */
export function lockExclusive(fd: number, path: string): boolean {
  return tryLock(fd, path, LOCK_EX);
}

/** Shared, so that several who only look do not see each other. */
export function lockShared(fd: number, path: string): boolean {
  return tryLock(fd, path, LOCK_SH);
}

function tryLock(fd: number, path: string, operation: number): boolean {
  const result = retried(() => libc.flock(fd, operation | LOCK_NB));
  if (result === -EAGAIN) return false;
  if (result < 0) throw new SystemError("flock", path, -result);
  return true;
}

/**
 * Extends a file from `from` to `to` bytes with all blocks allocated: a hole would become a bus error
 * once the disk is full. What is already there is not touched, nothing ever gets shorter.
 */
export function allocate(fd: number, path: string, from: number, to: number): void {
  // Going past this limit raises SIGXFSZ, which ends Deno.
  const limit = fileSizeLimit();
  if (BigInt(to) > limit) {
    throw new SystemError(
      "posix_fallocate",
      path,
      errnoOf("EFBIG"),
      `${to} bytes are over this process's limit of ${limit}: raise it (ulimit -f), or use smaller rings`,
    );
  }
  if (isMac) return writeZeros(fd, path, from, to);
  let result: number;
  do {
    result = libc.posix_fallocate(fd, from, to - from);
  } while (result === EINTR);
  if (result === 0) return;
  // musl, other than glibc, does not emulate it where the file system has no such operation.
  if (result === errnoOf("EOPNOTSUPP") || result === errnoOf("ENOSYS")) {
    return writeZeros(fd, path, from, to);
  }
  throw new SystemError("posix_fallocate", path, result);
}

/** RLIMIT_FSIZE in bytes. */
function fileSizeLimit(): bigint {
  return limitOf(RLIMIT_FSIZE);
}

/** What this process may use of a resource (`RLIMIT_*`); 2^63 - 1 or more where there is no limit. */
export function limitOf(resource: number): bigint {
  const limits = new Uint8Array(16);
  if (libc.getrlimit(resource, limits) !== 0) return 2n ** 64n;
  return new DataView(limits.buffer).getBigUint64(0, true);
}

const ZEROS_BYTES = 65536;

/** Extends a file by writing zeros, never leaving a hole behind. */
export function writeZeros(fd: number, path: string, from: number, to: number): void {
  const zeros = new Uint8Array(ZEROS_BYTES);
  for (let at = from; at < to;) {
    const bytes = Math.min(ZEROS_BYTES, to - at);
    at += checked("pwrite", path, () => libc.pwrite(fd, zeros, bytes, at));
  }
}

/** All of a small file as text; null when it is not there or may not be read. */
export function readText(path: string): string | null {
  const bytes = cString(path);
  const fd = retried(() => libc.open(bytes, O_CLOEXEC));
  if (fd < 0) return null;
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(16384);
  let text = "";
  for (;;) {
    const count = retried(() => libc.read(fd, chunk, chunk.length));
    if (count <= 0) {
      closeFile(fd);
      return count < 0 ? null : text + decoder.decode();
    }
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
  }
}
