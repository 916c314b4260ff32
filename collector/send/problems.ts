/**
 * Says each problem once, then at most every 30 seconds with a count, and says when it is over.
 *
 * @module
 */

/** How serious a line is. */
export type Level = "debug" | "info" | "warn" | "error";
/** Where lines go. */
export type Log = (level: Level, message: string) => void;

/** A problem that goes on is said again after this many milliseconds. */
export const REPEAT_MS = 30_000;

interface Problem {
  lastLogged: number;
  /** Times it happened since it was last said. */
  suppressed: number;
  level: Level;
  message: string;
}

/** Remembers what was said. */
export interface Problems {
  /**
   * Something went wrong. Problems with the same key are the same problem; the newest text is said.
   *
   * @param failing False for what `recovered` does not end. Default true.
   */
  report(key: string, level: Level, message: string, failing?: boolean): void;
  /** Something that stays so: said once, never again. */
  once(key: string, level: Level, message: string): void;
  /** It works again: says `message` if a failing problem was said since the last time it worked. */
  recovered(message: () => string): void;
  /** Says what is still unsaid. */
  flush(): void;
}

/**
 * @param log Where lines go.
 * @param now Milliseconds of a clock that never goes back.
 */
export function createProblems(log: Log, now: () => number): Problems {
  // Keys are made from error codes and status codes, so there are at most a few hundred of them.
  const problems = new Map<string, Problem>();
  const saidOnce = new Set<string>();
  let said = false;

  function say(problem: Problem): void {
    const more = problem.suppressed;
    const count = more === 0 ? "" : ` (${more} more since this was last said)`;
    log(problem.level, problem.message + count);
    problem.suppressed = 0;
    problem.lastLogged = now();
  }

  return {
    report(key: string, level: Level, message: string, failing = true): void {
      const known = problems.get(key);
      if (known === undefined) {
        const problem = { lastLogged: 0, suppressed: 0, level, message };
        problems.set(key, problem);
        say(problem);
        said ||= failing;
        return;
      }
      known.level = level;
      known.message = message;
      if (now() - known.lastLogged < REPEAT_MS) {
        known.suppressed++;
        return;
      }
      say(known);
      said ||= failing;
    },
    once(key: string, level: Level, message: string): void {
      if (saidOnce.has(key)) return;
      saidOnce.add(key);
      log(level, message);
    },
    recovered(message: () => string): void {
      if (!said) return;
      said = false;
      log("info", message());
    },
    flush(): void {
      for (const problem of problems.values()) if (problem.suppressed > 0) say(problem);
    },
  };
}
