/**
 * What a program needs to be allowed where the runtime asks for that.
 *
 * @module
 */

/** The permissions of a program that records. */
export const PERMISSIONS =
  "--allow-env, --allow-ffi, --allow-read, --allow-sys and --allow-write (or -A)";

/**
 * What an error says, and after the one permission that it names all that are needed: they would be
 * asked for one by one.
 *
 * @param all What to allow.
 */
export function explainDenied(error: unknown, all: string = PERMISSIONS): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return name === "NotCapable" ? `${message}; in all it needs ${all}` : message;
}
