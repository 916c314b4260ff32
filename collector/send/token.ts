/**
 * A bearer token in a file that somebody else keeps fresh.
 *
 * @module
 */
import type { Log } from "./problems.ts";
import { watchFiles } from "./watched-files.ts";

/**
 * A function that gives the value of the Authorization header, `Bearer …` (RFC 6750 §2.1), with what
 * the file says now.
 *
 * @throws Error when the file is unreadable, empty, or holds more than a token; it does not say what.
 */
export function watchToken(path: string, log: Log): () => string {
  return watchFiles({ paths: [path], make, what: "the token of --bearer-token-file", log });
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
