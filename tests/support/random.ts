/**
 * Random test data that can be had again: a failing test names its seed, and
 * OTLP_MMAP_TEST_SEED gives it back.
 *
 * @module
 */
import process from "node:process";

/** The seed of this run. */
export const seed: number = Number(process.env.OTLP_MMAP_TEST_SEED ?? Date.now() % 2 ** 31);

/** A source of random numbers, the same ones for the same seed. */
export class Random {
  private state: number;

  constructor(start: number = seed) {
    this.state = start | 0;
  }

  /** 32 random bits, signed (splitmix32). */
  word(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  }

  /** A number from 0 to, but without, 1: a multiple of 2^-32. */
  fraction(): number {
    return (this.word() >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `end` - 1. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  /** One of them. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  /** A bigint with any number of significant bits from 0 to 64. */
  bits64(): bigint {
    const value = BigInt(this.word() >>> 0) << 32n | BigInt(this.word() >>> 0);
    return value >> BigInt(this.below(65));
  }
}
