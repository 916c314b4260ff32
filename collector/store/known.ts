/**
 * The identities of all spans of a store, by their hash: what is not in here is new. What is in here
 * is looked at, since different spans may have one hash.
 *
 * @module
 */

/** Identities that are known. */
export interface Known {
  slots: Uint32Array;
  count: number;
}

/** 64 MiB: spans beyond 12 million are not recognised when they come again. */
const MAX_SLOTS = 1 << 24;

/** Makes an empty one. */
export function createKnown(): Known {
  return { slots: new Uint32Array(1 << 15), count: 0 };
}

/** Adds an identity; true when it, or one with the same hash, was there. */
export function addKnown(known: Known, identity: number): boolean {
  if (known.count * 4 > known.slots.length * 3) grow(known);
  const { slots } = known;
  const mask = slots.length - 1;
  const hash = identity === 0 ? 1 : identity;
  let at = hash & mask;
  while (slots[at] !== 0) {
    if (slots[at] === hash) return true;
    at = (at + 1) & mask;
  }
  slots[at] = hash;
  known.count++;
  return false;
}

function grow(known: Known): void {
  const before = known.slots;
  if (before.length >= MAX_SLOTS) {
    // Begins again: what comes twice is recognised again from here on.
    known.slots = new Uint32Array(MAX_SLOTS);
    known.count = 0;
    return;
  }
  known.slots = new Uint32Array(before.length * 2);
  known.count = 0;
  for (const hash of before) if (hash !== 0) addKnown(known, hash);
}
