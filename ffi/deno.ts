/**
 * The C functions through Deno's FFI.
 *
 * @module
 */
import { PERMISSIONS } from "./permissions.ts";
import type { Adapter, Libc, Pointer, Signature } from "./symbols.ts";

type Call = (...args: unknown[]) => number | bigint;

/** The part of Deno used here, so that this file type-checks without Deno's types. */
interface DenoFfi {
  dlopen(name: string, symbols: Record<string, unknown>): { symbols: Record<string, Call> };
  UnsafePointer: { create(address: bigint): Pointer | null };
  UnsafePointerView: { getArrayBuffer(pointer: Pointer, bytes: number): ArrayBuffer };
  permissions: { querySync(descriptor: { name: "ffi" }): { state: string } };
}

const deno = (globalThis as unknown as { Deno: DenoFfi }).Deno;

/** Binds the table. Never prompts for the permission: whoever imports a library does not expect it. */
export function bind(
  libraries: readonly string[],
  signatures: Readonly<Record<string, Signature>>,
): Libc {
  const symbols: Record<string, unknown> = {};
  for (const [key, signature] of Object.entries(signatures)) {
    symbols[key] = { ...signature, name: signature.name ?? key };
  }
  if (deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new Error(`permission denied: needs --allow-ffi, and in all ${PERMISSIONS}`);
  }
  let failure: unknown;
  for (const library of libraries) {
    try {
      return plainNumbers(deno.dlopen(library, symbols).symbols, signatures);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** Deno returns 64-bit results as bigint; ours are sizes and addresses, and fit a number. */
function plainNumbers(
  symbols: Record<string, Call>,
  signatures: Readonly<Record<string, Signature>>,
): Libc {
  const calls: Record<string, Call> = {};
  for (const [key, signature] of Object.entries(signatures)) {
    const call = symbols[key];
    calls[key] = signature.result === "isize" ? (...args) => Number(call(...args)) : call;
  }
  return calls as unknown as Libc;
}

/** An ArrayBuffer over `bytes` bytes at `address`, which stay the caller's. */
export function view(address: number, bytes: number): ArrayBuffer {
  return deno.UnsafePointerView.getArrayBuffer(pointer(address), bytes);
}

/** An address as an argument of type `pointer`. */
export function pointer(address: number): Pointer {
  const made = deno.UnsafePointer.create(BigInt(address));
  if (made === null) throw new RangeError("null pointer");
  return made;
}

({ bind, view, pointer }) satisfies Adapter;
