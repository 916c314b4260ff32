/**
 * Patterns with `*` and `?`.
 *
 * @module
 */

/**
 * Whether all of a text is like a pattern: `*` stands for any characters, `?` for one. Takes time that
 * grows with both lengths and no faster.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === text;
  // `?` is a character, not half of one.
  const wanted = [...pattern];
  const characters = [...text];
  let p = 0;
  let t = 0;
  /** The last `*`, and the first character that it does not stand for. */
  let star = -1;
  let after = 0;
  while (t < characters.length) {
    if (p < wanted.length && wanted[p] === "*") {
      star = p++;
      after = t;
    } else if (p < wanted.length && (wanted[p] === "?" || wanted[p] === characters[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (wanted[p] === "*") p++;
  return p === wanted.length;
}
