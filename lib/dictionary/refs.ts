/**
 * A map from refs to small numbers, in two arrays of 32-bit words.
 *
 * @module
 */

/** Refs at and above this are not followed: dictionaries are far smaller. */
export const MAX_REF = 0x7fffffff;

/** Places at first. */
const LEAST = 64;

/** An open-addressing map from refs (1 to 2^31 - 2) to numbers from 0. */
export class RefTable {
  private keys = new Int32Array(LEAST);
  private values = new Int32Array(LEAST);
  private count = 0;

  /** The number of a ref, -1 when there is none. */
  get(ref: number): number {
    const keys = this.keys;
    const mask = keys.length - 1;
    let at = Math.imul(ref, 0x9e3779b1) >>> 7 & mask;
    for (;;) {
      const key = keys[at];
      if (key === ref) return this.values[at];
      if (key === 0) return -1;
      at = (at + 1) & mask;
    }
  }

  /** Adds a ref that is not there yet. */
  set(ref: number, value: number): void {
    if (this.count * 2 >= this.keys.length) this.grow();
    this.count++;
    this.place(ref, value);
  }

  /** Forgets everything, and holds nearly nothing. */
  clear(): void {
    this.keys = new Int32Array(LEAST);
    this.values = new Int32Array(LEAST);
    this.count = 0;
  }

  private place(ref: number, value: number): void {
    const mask = this.keys.length - 1;
    let at = Math.imul(ref, 0x9e3779b1) >>> 7 & mask;
    while (this.keys[at] !== 0) at = (at + 1) & mask;
    this.keys[at] = ref;
    this.values[at] = value;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Int32Array(keys.length * 2);
    this.values = new Int32Array(keys.length * 2);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 0) this.place(keys[i], values[i]);
  }
}
