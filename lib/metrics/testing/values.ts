/**
 * Random values of every magnitude.
 *
 * @module
 */
import type { Random } from "../../../tests/support/random.ts";

const words = new Int32Array(2);
const number = new Float64Array(words.buffer);

/** A finite double above 0: every exponent alike likely, subnormal ones more so than others. */
export function anyPositive(random: Random): number {
  do {
    words[0] = random.word();
    words[1] = random.word() & 0x7fffffff;
    // Subnormal, with any number of leading zeros.
    if (random.below(16) === 0) {
      const bits = random.below(52) + 1;
      words[1] &= bits > 32 ? (1 << (bits - 32)) - 1 : 0;
      if (bits < 32) words[0] &= (1 << bits) - 1;
    }
    // Few bits set, so that powers of two and their neighbours occur.
    if (random.below(8) === 0) {
      words[0] = random.below(3) - 1;
      words[1] &= 0x7ff00000;
    }
  } while (!(number[0] > 0 && number[0] < Infinity));
  return number[0];
}
