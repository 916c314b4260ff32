/**
 * Buckets of exponential histograms by integer arithmetic alone: what the fast mapping must agree
 * with.
 *
 * A value is an integer times a power of two, and its index at scale s is found by squaring it s
 * times. The squares are kept as intervals of 256 bits, so that an answer is either certain or an
 * error; it is never an error for want of a tie, since 2^(j/2^s) is rational only where it
 * is a power of two, and powers of two are counted, not squared.
 *
 * @module
 */

/** Bits behind the binary point of what is fixed point here. */
export const BITS = 256n;
const ONE = 1n << BITS;
const FINEST = 20;
const COARSEST = -10;

/** A double above 0 as `mantissa * 2^exponent`, the mantissa odd. */
export function parts(value: number): { mantissa: bigint; exponent: number } {
  const bits = new BigUint64Array(new Float64Array([value]).buffer)[0];
  const raw = Number(bits >> 52n);
  let mantissa = bits & ((1n << 52n) - 1n);
  if (raw > 0) mantissa |= 1n << 52n;
  let exponent = Math.max(raw, 1) - 1075;
  while ((mantissa & 1n) === 0n) {
    mantissa >>= 1n;
    exponent++;
  }
  return { mantissa, exponent };
}

/** The exact indexes of a value at scales -10 to 20, in this order. */
export function exactIndexes(value: number): number[] {
  const { mantissa, exponent } = parts(value);
  const length = mantissa.toString(2).length;
  /** The value is 2^power, or between that and its double. */
  const power = BigInt(exponent + length - 1);
  const isPower = mantissa === 1n;
  const indexes: number[] = [];
  for (let scale = COARSEST; scale <= 0; scale++) {
    // The largest index whose lower bound, 2^(index * 2^-scale), is below the value.
    const width = 1n << BigInt(-scale);
    let index = power / width + 2n;
    while (isPower ? index * width >= power : index * width > power) index--;
    indexes.push(Number(index));
  }
  let low = mantissa << (BITS - BigInt(length - 1));
  let high = low;
  let index = power;
  for (let scale = 1; scale <= FINEST; scale++) {
    index *= 2n;
    if (!isPower) {
      low = low * low >> BITS;
      high = (high * high >> BITS) + 1n;
      if (low >= 2n * ONE) {
        index++;
        low >>= 1n;
        high = (high >> 1n) + 1n;
      } else if (high >= 2n * ONE) {
        throw new Error(`256 bits do not tell the bucket of ${value} at scale ${scale}`);
      }
    }
    indexes.push(Number(isPower ? index - 1n : index));
  }
  return indexes;
}

/** Place of a scale in what {@linkcode exactIndexes} returns. */
export function placeOf(scale: number): number {
  return scale - COARSEST;
}

/**
 * Whether `value > 2^(index / 2^scale)`, with no rounding at all: both sides to the power 2^scale.
 * For scales from 0 to about 10, beyond which the numbers have millions of digits.
 */
export function isAbovePower(value: number, index: number, scale: number): boolean {
  const { mantissa, exponent } = parts(value);
  const times = 2 ** scale;
  const shift = exponent * times - index;
  const power = mantissa ** BigInt(times);
  return shift >= 0 ? power << BigInt(shift) > 1n : power > 1n << BigInt(-shift);
}

/** The largest double that is not above `2^(index / 2^scale)`; 0 below the smallest there is. */
export function boundaryDown(index: number, scale: number): number {
  const width = 2 ** scale;
  const power = Math.floor(index / width);
  let rest = index - power * width;
  if (scale <= 0) return boundedPower(power, 1n, 0);
  let low = ONE;
  let high = ONE;
  for (let step = 1; step <= scale; step++) {
    const half = 2 ** (scale - step);
    if (rest < half) continue;
    rest -= half;
    const root = rootOf2(step);
    low = low * root >> BITS;
    high = (high * (root + 1n) >> BITS) + 1n;
  }
  if (low === ONE) return boundedPower(power, 1n, 0);
  // Subnormal numbers have fewer bits: all are multiples of 2^-1074.
  const kept = Math.min(52, power + 1074);
  if (kept < 0) return 0;
  const cut = BITS - BigInt(kept);
  if (low >> cut !== high >> cut) throw new Error(`256 bits do not tell boundary ${index}`);
  return boundedPower(power - kept, low >> cut, kept);
}

/** `mantissa * 2^power`, which is a double. */
function boundedPower(power: number, mantissa: bigint, bits: number): number {
  if (power + bits > 1023) return Number.MAX_VALUE;
  if (power + bits < -1074) return 0;
  // In two steps: 2^-1074 times a large number is exact, 2^-1100 alone would be 0.
  const first = Math.max(power, -1022);
  return Number(mantissa) * 2 ** first * 2 ** (power - first);
}

const roots: bigint[] = [];

/** 2^(1 / 2^step) as fixed point of 256 bits, rounded down. */
export function rootOf2(step: number): bigint {
  if (roots[step] !== undefined) return roots[step];
  // Each root is rounded down, and halves what the one before it was off by: 2 units in all.
  const guard = 64n;
  let root = 2n << (BITS + guard);
  for (let i = 0; i < step; i++) root = squareRoot(root << (BITS + guard));
  const result = root >> guard;
  if ((root + 2n) >> guard !== result) throw new Error(`root ${step} of 2 is uncertain`);
  roots[step] = result;
  return result;
}

function squareRoot(square: bigint): bigint {
  let low = 0n;
  let high = 1n << BigInt((square.toString(2).length >> 1) + 1);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle * middle <= square) low = middle;
    else high = middle;
  }
  return low;
}

/** The next double above a finite one that is not negative. */
export function nextUp(value: number): number {
  const number = new Float64Array([value]);
  new BigInt64Array(number.buffer)[0]++;
  return number[0];
}

/** The next double below one above 0. */
export function nextDown(value: number): number {
  const number = new Float64Array([value]);
  new BigInt64Array(number.buffer)[0]--;
  return number[0];
}
