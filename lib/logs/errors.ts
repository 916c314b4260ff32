/**
 * Errors that somebody else is going to show.
 *
 * @module
 */
import { stackOf } from "../../ffi/stack.ts";

/** What there is to say of an error, read so that the runtime still shows it as if nobody had. */
export function readError(error: Error): object {
  const { name, message, code } = error as Error & { code?: unknown };
  return { name, message, code, stack: stackOf(error) };
}

/** Never throws, as `instanceof` does with a proxy that was revoked or whose traps throw. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}
