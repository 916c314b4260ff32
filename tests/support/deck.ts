/**
 * Mishaps at random, each as often as it is in the deck: no run is without one of them.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Random } from "./random.ts";

/** Draws one; the deck is shuffled again when it is used up. */
export function createDeck<T>(cards: readonly T[], random: Random): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = [...cards];
    return left.splice(random.below(left.length), 1)[0];
  };
}

/** One attempt to deliver an export request that came to an end. */
export interface Attempt {
  readonly signal: Signal;
  /** The request, protobuf. */
  readonly body: Uint8Array;
  /** What became of it: the receiver has it, or it was answered with something final instead. */
  readonly outcome: "taken" | "refused";
  /** What happened on the way. */
  readonly fate: string;
  /** False where the sender can't have read the whole answer. */
  answered: boolean;
}
