/**
 * The table of C functions, and the numbers of the C headers that go with them. The one place that
 * knows how Linux (glibc, musl) and macOS differ.
 *
 * @module
 */
import process from "node:process";

/**
 * How an argument or result travels. `buffer` is a typed array, `pointer` an opaque pointer made by
 * the adapter, `isize` is also used for addresses: user space ends below 2^53, so they are numbers.
 */
export type CType = "i32" | "u32" | "i64" | "usize" | "isize" | "buffer" | "pointer";

/** One C function: argument types, result type, and its name where libc calls it differently. */
export interface Signature {
  readonly parameters: readonly CType[];
  readonly result: CType;
  readonly name?: string;
}

/** True on macOS; false on Linux (nothing else is supported). */
export const isMac: boolean = process.platform === "darwin";
const isArm = process.arch === "arm64";
// On Intel Macs the plain names are the 32-bit-inode versions with another struct.
const inode64 = isMac && !isArm ? "$INODE64" : "";

const common = {
  // int *__errno_location(void); int *__error(void);
  errnoLocation: {
    name: isMac ? "__error" : "__errno_location",
    parameters: [],
    result: "isize",
  },
  // int open(const char *path, int flags, ...); variadic: only ever called without a mode
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int mkostemps(char *template, int suffixlen, int flags); O_RDWR|O_CREAT|O_EXCL, mode 0600
  mkostemps: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count);
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // int fstat(int fd, struct stat *buf);
  fstat: { name: "fstat" + inode64, parameters: ["i32", "buffer"], result: "i32" },
  // int stat(const char *path, struct stat *buf);
  stat: { name: "stat" + inode64, parameters: ["buffer", "buffer"], result: "i32" },
  // int link(const char *oldpath, const char *newpath);
  link: { parameters: ["buffer", "buffer"], result: "i32" },
  // int unlink(const char *path);
  unlink: { parameters: ["buffer"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "isize" },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["usize", "usize"], result: "i32" },
  // int msync(void *addr, size_t length, int flags);
  msync: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // int getrlimit(int resource, struct rlimit *rlim);
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  // int clock_gettime(clockid_t clock, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "pointer"], result: "i32" },
  // int kill(pid_t pid, int sig);
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // uid_t geteuid(void);
  geteuid: { parameters: [], result: "u32" },
} as const satisfies Record<string, Signature>;

const linuxOnly = {
  // int posix_fallocate(int fd, off_t offset, off_t len); returns the errno, leaves errno alone
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" },
  // pid_t gettid(void);
  gettid: { parameters: [], result: "i32" },
  // int getpagesize(void);
  getpagesize: { parameters: [], result: "i32" },
  // int mprotect(void *addr, size_t length, int prot);
  mprotect: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // int sigaction(int signum, const struct sigaction *act, struct sigaction *oldact);
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const satisfies Record<string, Signature>;

const macOnly = {
  // size_t confstr(int name, char *buf, size_t len);
  confstr: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int pthread_main_np(void);
  pthread_main_np: { parameters: [], result: "i32" },
  // pthread_t pthread_self(void);
  pthread_self: { parameters: [], result: "isize" },
  // mach_port_t pthread_mach_thread_np(pthread_t thread);
  pthread_mach_thread_np: { parameters: ["isize"], result: "u32" },
} as const satisfies Record<string, Signature>;

/** What the adapters bind on this platform. */
export const signatures: Readonly<Record<string, Signature>> = isMac
  ? { ...common, ...macOnly }
  : { ...common, ...linuxOnly };

/**
 * stat and fstat as functions of glibc before 2.33 (Debian 11, RHEL 8), which has no others. They take
 * the version of the struct first: {@link OLD_STAT_VERSION}.
 */
export const oldStatSignatures: Readonly<Record<string, Signature>> = {
  // int __fxstat(int version, int fd, struct stat *buf);
  fstat: { name: "__fxstat", parameters: ["i32", "i32", "buffer"], result: "i32" },
  // int __xstat(int version, const char *path, struct stat *buf);
  stat: { name: "__xstat", parameters: ["i32", "buffer", "buffer"], result: "i32" },
};
export const OLD_STAT_VERSION: number = isArm ? 0 : 1;

declare const pointerBrand: unique symbol;
/** A pointer as the runtime wants it passed; made by an adapter's `pointer()`. */
export interface Pointer {
  readonly [pointerBrand]: true;
}

type Argument<T extends CType> = T extends "buffer" ? Uint8Array
  : T extends "pointer" ? Pointer
  : number;
type Arguments<P extends readonly CType[]> = { -readonly [I in keyof P]: Argument<P[I]> };
type Call<S extends Signature> = (...args: Arguments<S["parameters"]>) => number;
type Calls<T extends Record<string, Signature>> = { readonly [K in keyof T]: Call<T[K]> };

/** The bound functions. Every result is a number. `linuxOnly` and `macOnly` ones exist only there. */
export type Libc = Calls<typeof common> & Calls<typeof linuxOnly> & Calls<typeof macOnly>;

/** What an adapter gives: the same on every runtime. */
export interface Adapter {
  /** Binds functions by a table, from the first library that has them all; throws when none has. */
  bind(libraries: readonly string[], signatures: Readonly<Record<string, Signature>>): Libc;
  /** An ArrayBuffer over memory that stays the caller's: no copy, never freed by the runtime. */
  view(address: number, bytes: number): ArrayBuffer;
  /** An address as an argument of type `pointer`. */
  pointer(address: number): Pointer;
}

const muslArch = isArm ? "aarch64" : "x86_64";

/** What libc is called, in the order in which the names are tried. */
export const libraries: readonly string[] = isMac
  ? ["libSystem.B.dylib", "/usr/lib/libSystem.B.dylib"]
  : ["libc.so.6", `libc.musl-${muslArch}.so.1`, `ld-musl-${muslArch}.so.1`, "libc.so"];

// <fcntl.h>
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CLOEXEC: number = isMac ? 0x100_0000 : 0x8_0000;
export const O_NOFOLLOW: number = isMac ? 0x100 : isArm ? 0x8000 : 0x2_0000;

// <sys/file.h>
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

// <sys/mman.h>
export const PROT_READ = 1;
export const PROT_READ_WRITE = 3;
export const PROT_READ_EXECUTE = 5;
export const MAP_SHARED = 1;
export const MAP_PRIVATE_ANONYMOUS: number = isMac ? 0x1002 : 0x22;
export const MS_SYNC: number = isMac ? 0x10 : 4;

// <signal.h> of Linux: struct sigaction { handler; sigset_t mask (128 bytes); i32 flags; restorer; }
export const SIGBUS = 7;
export const SA_SIGINFO = 4;
export const SA_ONSTACK = 0x0800_0000;
export const SIGACTION_BYTES = 152;
export const SIGACTION_FLAGS = 136;

// <sys/resource.h>: struct rlimit { rlim_t current, max; } of two u64; "no limit" is 2^63 - 1 or more
export const RLIMIT_FSIZE = 1;
export const RLIMIT_NOFILE: number = isMac ? 8 : 7;

// <time.h>: struct timespec { i64 seconds; i64 nanoseconds; }
export const CLOCK_REALTIME = 0;

// <unistd.h>
export const _CS_DARWIN_USER_TEMP_DIR = 65537;

// <sys/stat.h>: byte offsets in struct stat; linux x64, linux arm64, macOS
/** Room enough for every struct stat. */
export const STAT_BYTES = 256;
/** dev_t: u64 on Linux, i32 on macOS. */
export const STAT_DEV = 0;
/** ino_t: u64 */
export const STAT_INO = 8;
/** mode_t: the file type is in the low 16 bits everywhere. */
export const STAT_MODE: number = isMac ? 4 : isArm ? 16 : 24;
/** uid_t: u32 */
export const STAT_UID: number = isMac ? 16 : isArm ? 24 : 28;
/** off_t: i64 */
export const STAT_SIZE: number = isMac ? 96 : 48;
export const S_IFMT = 0xf000;
export const S_IFREG = 0x8000;
