/**
 * Mishaps at random, each as often as it is in the deck: no run is without one of them.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** Draws one; the deck is shuffled again when it is used up. */
export function createDeck<T>(cards: readonly T[], random: Random): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = [...cards];
    return left.splice(random.below(left.length), 1)[0];
  };
}

/** One request that a receiver was given, or that was refused for good. */
export interface Attempted<S> {
  readonly signal: S;
  /** The export request, protobuf. */
  readonly body: Uint8Array;
}

/** One that a receiver took. */
export interface Taken<S> extends Attempted<S> {
  /** False where the sender can't have read the whole answer. */
  answered: boolean;
  /** What happened to it. */
  readonly fate: string;
}
