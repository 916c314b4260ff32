/**
 * Texts that are no longer remembered, but for having been there.
 *
 * @module
 */

/** Some 100,000 texts, and one of a hundred others is taken for one of them. */
const BITS = 2 ** 20;
/** Bits of a text. */
const PROBES = 4;
/** Beyond, the older texts give way: with more of them, whatever is new would seem to be one. */
const MAX_TEXTS = 100_000;

/** Two Bloom filters: at least the last 100,000 that were added are in them, and a few others seem to be. */
export class Forgotten {
  private words = new Uint32Array(BITS / 32);
  private older = new Uint32Array(BITS / 32);
  private texts = 0;

  /** Remembers that `text` was there. */
  add(text: string): void {
    if (this.texts++ === MAX_TEXTS) {
      [this.words, this.older] = [this.older.fill(0), this.words];
      this.texts = 1;
    }
    const { words } = this;
    hash(text);
    for (let i = 0, bit = first; i < PROBES; i++, bit += step) {
      words[(bit % BITS) >> 5] |= 1 << (bit & 31);
    }
  }

  /** Whether `text` was added, or looks like it. */
  has(text: string): boolean {
    hash(text);
    return isIn(this.words) || isIn(this.older);
  }
}

/** Whether the text that was hashed last is in a filter. */
function isIn(words: Uint32Array): boolean {
  for (let i = 0, bit = first; i < PROBES; i++, bit += step) {
    if ((words[(bit % BITS) >> 5] & 1 << (bit & 31)) === 0) return false;
  }
  return true;
}

/** The bits of the text that was hashed last: the first, and how far it is to each further one. */
let first = 0;
let step = 0;

function hash(text: string): void {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul((b ^ unit) + (b >>> 15), 0x85ebca6b);
  }
  first = (a ^ a >>> 15) >>> 0;
  step = (b ^ b >>> 13 | 1) >>> 0;
}
