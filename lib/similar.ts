/**
 * What somebody meant who mistyped.
 *
 * @module
 */

/** More than these are no advice. */
const MOST = 3;
/** What shorter texts begin is too much. */
const LEAST_START = 3;

/** ` (Did you mean warn?)` behind a text that is nearly one of some words; nothing otherwise. */
export function didYouMean(text: string, words: readonly string[]): string {
  const found = similarWords(text, words);
  if (found.length === 0 || found.length > MOST) return "";
  const rest = found.slice(0, -1).join(", ");
  return ` (Did you mean ${rest}${rest === "" ? "" : " or "}${found[found.length - 1]}?)`;
}

/** Those that take the fewest edits, if these are few for the length; else those with the same start. */
function similarWords(text: string, words: readonly string[]): string[] {
  const wanted = bare(text);
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const distances = words.map((word) => distance(wanted, bare(word), limit));
  const least = Math.min(...distances);
  if (least <= limit && wanted.length > 1) return words.filter((_, i) => distances[i] === least);
  return words.filter((word) => sharesStart(wanted, bare(word)));
}

/** Without the dashes of a flag, and in one case. */
function bare(text: string): string {
  return text.replace(/^--/, "").toLowerCase();
}

/** Whether the text is the beginning of the word, or the word most of the text. */
function sharesStart(text: string, word: string): boolean {
  if (text.length < LEAST_START) return false;
  return word.startsWith(text) || (text.startsWith(word) && word.length * 2 > text.length);
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that lead from one to the other; anything
 * above the limit where it takes more.
 */
function distance(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) > limit) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, j) => j);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
      }
    }
    [beforeLast, last] = [last, row];
  }
  return last[other.length];
}
