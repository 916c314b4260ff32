/**
 * `reader_index`, as one word and as what it says.
 *
 * In most files the whole word is the last sequence that the reader is done with. In files whose
 * writer discards the oldest records (header version 2) it is two numbers: the sequence in the lower
 * half, signed, and in the upper half how many of the records up to it the writer has discarded. Both
 * sides move it there, by compare-and-swap of all 64 bits, so that a record and its count change at
 * once, and no kill between two stores leaves a ledger that does not close.
 *
 * @module
 */
import { RING_READER_INDEX } from "../format/layout.ts";

/** What `reader_index` says. */
export interface ReaderIndex {
  /** The last sequence that nobody needs any more, -1 at first. */
  readonly sequence: number;
  /** How many records up to it the writer has discarded; 0 in files whose writer never does. */
  readonly discarded: number;
}

/** The word for both numbers. */
export function packIndex(sequence: number, discarded: number): bigint {
  return BigInt(discarded) << 32n | BigInt(sequence >>> 0);
}

/** Takes the word apart. `discards`: the file's writer discards the oldest records. */
export function unpackIndex(word: bigint, discards: boolean): ReaderIndex {
  if (!discards) return { sequence: Number(word), discarded: 0 };
  return {
    sequence: Number(BigInt.asIntN(32, word)),
    discarded: Number(BigInt.asUintN(32, word >> 32n)),
  };
}

/** `reader_index` of a ring now. Pairs with the swaps of both sides, and with the reader's store. */
export function loadIndex(
  i64: BigInt64Array,
  ring: { readonly offset: number; readonly discards?: boolean },
): ReaderIndex {
  const word = Atomics.load(i64, (ring.offset + RING_READER_INDEX) / 8);
  return unpackIndex(word, ring.discards === true);
}
