/**
 * What every check of `doctor` says.
 *
 * @module
 */

/** What one check found. */
export interface Check {
  /** What was checked: one word, the same for every line of a check. */
  readonly name: string;
  readonly ok: boolean;
  /** What was found and, when it is bad, what to do about it. */
  readonly text: string;
}

/** It is as it should be. */
export function ok(name: string, text: string): Check {
  return { name, ok: true, text };
}

/** It is not: `text` says what to do. */
export function bad(name: string, text: string): Check {
  return { name, ok: false, text };
}
