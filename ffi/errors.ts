/**
 * Failures of system calls as errors that say what was tried, on which file, and what to do.
 *
 * @module
 */
import { runtime } from "./libc.ts";
import { isMac } from "./symbols.ts";

/** Name, number on Linux, number on macOS, what it means, what to do about it. */
type Row = readonly [code: string, linux: number, mac: number, meaning: string, advice?: string];

const rows: readonly Row[] = [
  [
    "EPERM",
    1,
    1,
    "operation not permitted",
    "run it as the owner of the file, or choose another directory with OTLP_MMAP_DIR",
  ],
  ["ENOENT", 2, 2, "no such file or directory", "create the directory, or check the path"],
  ["ESRCH", 3, 3, "no such process"],
  ["EINTR", 4, 4, "interrupted"],
  ["EIO", 5, 5, "input/output error", "check the disk"],
  ["EBADF", 9, 9, "bad file descriptor"],
  ["EAGAIN", 11, 35, "resource temporarily unavailable"],
  [
    "ENOMEM",
    12,
    12,
    "out of memory or address space",
    "free memory, raise the limit (ulimit -v), or use smaller rings",
  ],
  [
    "EACCES",
    13,
    13,
    "permission denied",
    "check owner and mode of file and directory, or choose another directory with OTLP_MMAP_DIR",
  ],
  ["EBUSY", 16, 16, "device or resource busy"],
  ["EEXIST", 17, 17, "a file of that name exists", "choose another name"],
  ["EXDEV", 18, 18, "not on the same file system"],
  [
    "ENODEV",
    19,
    19,
    "this kind of file cannot be mapped",
    "name a regular file on a file system that supports mmap",
  ],
  ["ENOTDIR", 20, 20, "part of the path is not a directory", "check the path"],
  ["EISDIR", 21, 21, "is a directory", "name a file"],
  ["EINVAL", 22, 22, "invalid argument"],
  ["ENFILE", 23, 23, "too many open files in the system", "close some files"],
  [
    "EMFILE",
    24,
    24,
    "too many open files in this process",
    "close some files, or raise the limit (ulimit -n)",
  ],
  [
    "EFBIG",
    27,
    27,
    "file too large",
    "raise the limit (ulimit -f), or use smaller rings",
  ],
  [
    "ENOSPC",
    28,
    28,
    "no space left on the device",
    "free some, or choose another directory with OTLP_MMAP_DIR",
  ],
  ["EROFS", 30, 30, "read-only file system", "choose another directory with OTLP_MMAP_DIR"],
  ["EMLINK", 31, 31, "too many links"],
  ["ENAMETOOLONG", 36, 63, "name too long", "choose a shorter path"],
  [
    "ENOLCK",
    37,
    77,
    "no locks available",
    "choose a directory on a local file system with OTLP_MMAP_DIR",
  ],
  ["ENOSYS", 38, 78, "not supported by this system"],
  ["ELOOP", 40, 62, "a symbolic link where none may be", "name the file itself"],
  ["EOVERFLOW", 75, 84, "value too large"],
  [
    "EOPNOTSUPP",
    95,
    102,
    "not supported by this file system",
    "choose another directory with OTLP_MMAP_DIR",
  ],
  ["ESTALE", 116, 70, "stale file handle"],
  [
    "EDQUOT",
    122,
    69,
    "disk quota exceeded",
    "free some space, or choose another directory with OTLP_MMAP_DIR",
  ],
];

const byCode = new Map(rows.map((row) => [row[0], row]));
const byNumber = new Map(rows.map((row) => [isMac ? row[2] : row[1], row]));

/** The number of an errno name on this platform; 0 for a name not in the table. */
export function errnoOf(code: string): number {
  const row = byCode.get(code);
  return row === undefined ? 0 : isMac ? row[2] : row[1];
}

/** A system call that failed. The message says the call, the path, the reason and what to do. */
export class SystemError extends Error {
  /** Name of the errno, such as `ENOSPC`; `E<number>` for one without a name here. */
  readonly code: string;
  /** Number of the errno on this platform. */
  readonly errno: number;
  /** The C function that failed. */
  readonly syscall: string;
  /** The file it was about. */
  readonly path: string;

  /** `detail` takes the place of the usual meaning and advice of this errno. */
  constructor(syscall: string, path: string, errno: number, detail?: string) {
    const row = byNumber.get(errno);
    const code = row?.[0] ?? `E${errno}`;
    const meaning = row?.[3] ?? `error number ${errno}`;
    const advice = row?.[4];
    const what = detail ?? (advice === undefined ? meaning : `${meaning}: ${advice}`);
    super(`${syscall} ${path}: ${code}, ${what}`);
    this.name = "SystemError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = path;
  }
}

/** Throws a {@link SystemError} with code ENOSYS where files cannot be mapped. */
export function assertSupported(syscall: string, path: string): void {
  if (runtime.supported) return;
  throw new SystemError(
    syscall,
    path,
    errnoOf("ENOSYS"),
    `cannot map files here: ${runtime.reason}`,
  );
}
