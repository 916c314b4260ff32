/**
 * Copies of a saved state, each with damage of its own.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** What goes before the content: a magic number, a version, the length in bytes. */
const HEAD_BYTES = 16;
const LENGTH_OFFSET = 8;

/**
 * A copy that is cut short, or has up to four bytes changed. It says the length it has, so that more
 * than the length is looked at.
 */
export function damagedState(
  state: Uint8Array,
  random: Random,
): { damaged: Uint8Array; isCut: boolean } {
  const isCut = random.below(4) === 0;
  const damaged = isCut ? state.slice(0, random.below(state.length)) : state.slice();
  if (damaged.length >= HEAD_BYTES) {
    new DataView(damaged.buffer).setFloat64(LENGTH_OFFSET, damaged.length, true);
  }
  for (let i = random.below(4); i >= 0 && !isCut; i--) {
    const at = HEAD_BYTES + random.below(damaged.length - HEAD_BYTES);
    damaged[at] = random.pick([0, 1, 127, 255]);
  }
  return { damaged, isCut };
}
