/**
 * A bearer token in a file that somebody else keeps fresh.
 *
 * @module
 */
import type { Log } from "./problems.ts";
import { watchFiles } from "./watched-files.ts";

/** A file with a token. */
export interface TokenFile {
  readonly path: string;
  /** The flag or field that names it, for messages. */
  readonly source: string;
}

/** An Authorization header whose value changes. */
export interface Authorization {
  /** The value of now. */
  readonly value: () => string;
  /** The flag or field it comes from, named when the backend refuses it. */
  readonly source: string;
}

/**
 * The Authorization header, `Bearer …` (RFC 6750 §2.1), with what the file says now.
 *
 * @throws Error when the file is unreadable, empty, or holds more than a token; it does not say what.
 */
export function watchToken({ path, source }: TokenFile, log: Log): Authorization {
  const value = watchFiles({ paths: [path], make, what: `the token of ${source}`, log });
  return { value, source };
}

function make([text]: readonly string[]): string {
  const token = text.trim();
  if (token === "") throw new Error("the file is empty");
  // Anything else would break the header, or be cut off by whoever reads it.
  if (!/^[!-~]+$/.test(token)) {
    throw new Error(
      "the file holds more than a token: spaces, line breaks or non-ASCII characters",
    );
  }
  return `Bearer ${token}`;
}
