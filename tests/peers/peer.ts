/**
 * Software from elsewhere that tests run against where it is installed.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";

/** Where it is, or why it is not there, as the reason of a skipped test. */
export type Peer = { path: string; missing?: undefined } | { path?: undefined; missing: string };

/** A program named by an environment variable. */
export function peer(variable: string, what: string): Peer {
  const path = process.env[variable];
  if (!path) return { missing: `${variable} does not name ${what}` };
  return existsSync(path) ? { path } : { missing: `${variable}: no file ${path}` };
}
