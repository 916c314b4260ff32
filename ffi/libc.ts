/**
 * Picks the adapter of the runtime this is running on and binds libc once. Importing this never
 * throws: where it cannot work, `runtime.supported` is false and `runtime.reason` says why.
 *
 * @module
 */
import process from "node:process";
import type { Adapter, Libc, Pointer } from "./symbols.ts";
import { isMac, libraries, OLD_STAT_VERSION, oldStatSignatures, signatures } from "./symbols.ts";

/** What this is running on, and whether files can be mapped here. */
export interface Runtime {
  readonly name: "deno" | "bun" | "other";
  /** As in the extension block of a file: 1 Deno, 2 Bun, 0 anything else. */
  readonly code: 0 | 1 | 2;
  readonly supported: boolean;
  /** Why not, in one line; absent when supported. */
  readonly reason?: string;
}

const globals = globalThis as { Deno?: { dlopen?: unknown }; Bun?: unknown };
const name = globals.Bun !== undefined
  ? "bun"
  : globals.Deno !== undefined && process.versions.deno !== undefined
  ? "deno"
  : "other";

let bound: Libc | undefined;
let adapter: Adapter | undefined;
let reason = unsuitable();
if (reason === undefined) {
  try {
    adapter = name === "bun" ? await import("./bun.ts") : await import("./deno.ts");
    bound = bindLibc(adapter);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    reason = why.startsWith("permission denied")
      ? why
      : `cannot load the C library (tried ${libraries.join(", ")}): ${why}`;
  }
}

function bindLibc(adapter: Adapter): Libc {
  try {
    return adapter.bind(libraries, signatures);
  } catch (error) {
    if (isMac) throw error;
    try {
      return bindOldGlibc(adapter);
    } catch {
      // The first failure is the one that says what is missing.
      throw error;
    }
  }
}

/** Binds libc as it was before glibc 2.33. */
export function bindOldGlibc(adapter: Adapter): Libc {
  const old = adapter.bind(libraries, { ...signatures, ...oldStatSignatures });
  const { fstat, stat } = old as unknown as Record<string, (...args: unknown[]) => number>;
  return {
    ...old,
    fstat: (fd, status) => fstat(OLD_STAT_VERSION, fd, status),
    stat: (path, status) => stat(OLD_STAT_VERSION, path, status),
  };
}

function unsuitable(): string | undefined {
  if (name === "other") return "needs Deno or Bun: this runtime has no foreign function interface";
  if (process.platform !== "linux" && process.platform !== "darwin") {
    return `needs Linux or macOS: ${process.platform} is not supported`;
  }
  if (process.arch !== "x64" && process.arch !== "arm64") {
    return `needs an x64 or arm64 processor: ${process.arch} is not supported`;
  }
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    return "needs a little-endian processor";
  }
  return undefined;
}

/** The runtime, found out at import. */
export const runtime: Runtime = {
  name,
  code: name === "deno" ? 1 : name === "bun" ? 2 : 0,
  supported: reason === undefined,
  ...(reason === undefined ? {} : { reason }),
};

/** The C functions. Only to be used where `runtime.supported`: it is undefined elsewhere. */
export const libc: Libc = bound as Libc;

/** An ArrayBuffer over `bytes` bytes at `address`, which stay the caller's. */
export function view(address: number, bytes: number): ArrayBuffer {
  return (adapter as Adapter).view(address, bytes);
}

/** An address as an argument of type `pointer`. */
export function pointer(address: number): Pointer {
  return (adapter as Adapter).pointer(address);
}

// An isolate stays on its thread, so errno stays where it is; reading it as memory leaves no call in
// which the runtime could overwrite it.
const errnoWord = bound === undefined
  ? new Int32Array(1)
  : new Int32Array(view(bound.errnoLocation(), 4));

/** The errno of the call that has just failed. */
export function errno(): number {
  return errnoWord[0];
}

const encoder = new TextEncoder();

/** A path as C wants it: UTF-8 with a NUL at the end. Throws a TypeError for a NUL inside. */
export function cString(path: string): Uint8Array {
  if (path.includes("\0")) {
    throw new TypeError(`a path must not contain NUL: ${JSON.stringify(path)}`);
  }
  return encoder.encode(path + "\0");
}
