/**
 * The C functions through Bun's FFI.
 *
 * @module
 */
import type { Adapter, CType, Libc, Pointer, Signature } from "./symbols.ts";

type Call = (...args: unknown[]) => number;

/** The part of `bun:ffi` used here, so that this file type-checks without Bun's types. */
interface BunFfi {
  dlopen(
    name: string,
    symbols: Record<string, { args: string[]; returns: string }>,
  ): { symbols: Record<string, Call> };
  toArrayBuffer(address: number, offset: number, bytes: number): ArrayBuffer;
}

// Not a literal in import(): Deno reads those ahead of time and knows no such module.
const specifier: string = "bun:ffi";
const ffi = (await import(specifier)) as BunFfi;

const types: Readonly<Record<CType, string>> = {
  i32: "i32",
  u32: "u32",
  i64: "i64",
  usize: "u64",
  isize: "i64_fast",
  buffer: "ptr",
  pointer: "ptr",
};

/** Binds the table. */
export function bind(
  libraries: readonly string[],
  signatures: Readonly<Record<string, Signature>>,
): Libc {
  const symbols: Record<string, { args: string[]; returns: string }> = {};
  for (const [key, signature] of Object.entries(signatures)) {
    symbols[signature.name ?? key] = {
      args: signature.parameters.map((type) => types[type]),
      returns: types[signature.result],
    };
  }
  let failure: unknown;
  for (const library of libraries) {
    try {
      const bound = ffi.dlopen(library, symbols).symbols;
      const calls: Record<string, Call> = {};
      for (const [key, signature] of Object.entries(signatures)) {
        calls[key] = bound[signature.name ?? key];
      }
      return calls as unknown as Libc;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** An ArrayBuffer over `bytes` bytes at `address`, which stay the caller's. */
export function view(address: number, bytes: number): ArrayBuffer {
  return ffi.toArrayBuffer(address, 0, bytes);
}

/** An address as an argument of type `pointer`. */
export function pointer(address: number): Pointer {
  return address as unknown as Pointer;
}

({ bind, view, pointer }) satisfies Adapter;
