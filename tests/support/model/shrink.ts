/**
 * Delta debugging: the shortest list that can be found that still fails.
 *
 * @module
 */

/**
 * Drops parts of `items` for as long as the rest fails, larger parts first.
 *
 * @param fails Tells whether a list fails; called at most `attempts` times.
 */
export async function shrink<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
  attempts = 500,
): Promise<readonly T[]> {
  let shortest = items;
  for (let size = Math.ceil(items.length / 2); size > 0;) {
    let dropped = false;
    for (let at = 0; at < shortest.length && attempts > 0;) {
      const rest = [...shortest.slice(0, at), ...shortest.slice(at + size)];
      attempts--;
      if (await fails(rest)) {
        shortest = rest;
        dropped = true;
      } else {
        at += size;
      }
    }
    // What could not be dropped before may be, now that others are gone.
    if (size > 1 || !dropped) size = size > 1 ? Math.ceil(size / 2) : 0;
  }
  return shortest;
}
