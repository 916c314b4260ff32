/**
 * Stretches of time packed into lanes, so that none covers another.
 *
 * @module
 */

/** A stretch of time; the unit is the caller's. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * The lane of each stretch, from 0: the first one that is free at its start. Those that fit no lane get
 * -1. A stretch takes at least `least`, so that what is drawn with a minimal width overlaps nothing.
 */
export function lanes(stretches: readonly Stretch[], most: number, least: number): number[] {
  const order = stretches.map((_, i) => i).sort((a, b) =>
    stretches[a]!.start - stretches[b]!.start || stretches[b]!.end - stretches[a]!.end
  );
  const free: number[] = [];
  const out = new Array<number>(stretches.length).fill(-1);
  for (const i of order) {
    const { start, end } = stretches[i]!;
    let lane = free.findIndex((until) => until <= start);
    if (lane < 0 && free.length < most) lane = free.push(0) - 1;
    if (lane < 0) continue;
    free[lane] = Math.max(end, start + least);
    out[i] = lane;
  }
  return out;
}
