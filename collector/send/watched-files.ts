/**
 * What is made of a few small files, and made again when one of them changes: tokens, certificates.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import type { Log } from "./problems.ts";
import { printable } from "../text/text.ts";

/** Files are looked at this often at most, milliseconds. */
export const LOOK_MS = 1_000;

/** How to watch. */
export interface WatchOptions<T> {
  readonly paths: readonly string[];
  /**
   * Makes something of the files' content, in the order of `paths`.
   *
   * @throws Error that says what is wrong, without saying any of the content.
   */
  readonly make: (texts: readonly string[]) => T;
  /** What it is, for messages: `the token of FLAG`. */
  readonly what: string;
  readonly log: Log;
  /** Milliseconds of a clock that never goes back. Default: `performance.now`. */
  readonly now?: () => number;
}

/**
 * Reads the files. The function that is returned gives what was made of them, the same object for as
 * long as they stay as they are. Files that become unreadable or bad change nothing: what was made
 * last stays, and that is said once until they are good again.
 *
 * @throws Error when they are unreadable or bad from the start.
 */
export function watchFiles<T>(options: WatchOptions<T>): () => T {
  const { paths, make, what, log, now = () => performance.now() } = options;
  // Before reading: a file that changes in between is read again.
  let seen = identify(paths);
  let made = make(paths.map((path) => readFileSync(path, "utf8")));
  let looked = now();
  let bad = false;

  function look(): void {
    try {
      const current = identify(paths);
      if (current === seen && !bad) return;
      made = make(paths.map((path) => readFileSync(path, "utf8")));
      seen = current;
      log("info", `${what} was read again`);
      bad = false;
    } catch (error) {
      if (!bad) {
        const reason = printable((error as Error).message, 200);
        log("warn", `${what} can't be read again, the one before stays in use: ${reason}`);
      }
      bad = true;
    }
  }

  return () => {
    if (now() - looked >= LOOK_MS) {
      look();
      looked = now();
    }
    return made;
  };
}

/** Changes whenever the content of one of the files does. */
function identify(paths: readonly string[]): string {
  return paths.map((path) => {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  }).join();
}

/** Makes one of a thing for all who ask for the same: three signals, one set of files. */
export function shared<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<string, V>();
  return (key) => {
    const name = JSON.stringify(key);
    const before = known.get(name);
    if (before !== undefined) return before;
    const made = make(key);
    known.set(name, made);
    return made;
  };
}
