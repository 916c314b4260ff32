/**
 * Numbers that look random and are the same for the same seed.
 *
 * @module
 */

/** A source of numbers from 0 to 1 (mulberry32). */
export type Random = () => number;

/** A source from a seed. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Hex digits, as many as asked for. */
export function hex(random: Random, digits: number): string {
  let out = "";
  while (out.length < digits) out += Math.floor(random() * 16).toString(16);
  return out;
}

/** A duration around a middle, with the long tail that real ones have. */
export function tailed(random: Random, middle: number): number {
  return middle * Math.exp((random() + random() + random() - 1.5) * 1.4);
}
