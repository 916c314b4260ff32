/**
 * Which bucket of a base-2 exponential histogram holds a value, exactly.
 *
 * The specification allows a logarithm that is wrong by one near boundaries; this is never wrong.
 * Between two powers of two there are 2^20 buckets at the finest scale, and every coarser scale
 * is that index shifted right. A table of 2^11 boundaries gives the first 11 bits of the index by
 * comparing. The other 9 come from a short polynomial, and where that is too near a boundary to
 * be sure, from comparing with the boundary itself, a product of two table entries in twice the
 * precision of a double. No double that is not a power of two is nearer to any of the 2^20
 * boundaries than 2^-78, and the product is off by less than 2^-100 (the test goes through all).
 *
 * Data model, "ExponentialHistogram"; little-endian machines, as everywhere here.
 *
 * @module
 */

/** The finest scale. */
export const MAX_SCALE = 20;
/** The coarsest scale. */
export const MIN_SCALE = -10;

/** Bits of the index that the table of boundaries gives, and those behind them. */
const TABLE_BITS = 11;
const PART_BITS = MAX_SCALE - TABLE_BITS;
const TABLE_SIZE = 1 << TABLE_BITS;
const PARTS = 1 << PART_BITS;

/** 2^(j / 2^11), as a double and what that is off by. */
const coarse = new Float64Array(TABLE_SIZE + 1);
const coarseRest = new Float64Array(TABLE_SIZE + 1);
/** The same rounded down: a double is above this one just when it is above the boundary. */
const boundaries = new Float64Array(TABLE_SIZE + 1);
/** 2^(j / 2^20), as a double and what that is off by. */
const fine = new Float64Array(PARTS);
const fineRest = new Float64Array(PARTS);
/** By the first 11 bits of a fraction, the first bucket its values can be in; two more can follow. */
const firstBuckets = new Uint16Array(TABLE_SIZE);

/** Fixed point: bits behind the binary point while tables are made. */
const FRACTION_BITS = 160n;
const ONE = 1n << FRACTION_BITS;

fillTables();

/** Doubles go through here and not through calls, where V8 would put those not inlined on its heap. */
const number = new Float64Array(1);
const words = new Int32Array(number.buffer);

/**
 * The index of the bucket that holds `value`: `base^index < value <= base^(index + 1)` with
 * `base = 2^(2^-scale)`. Fits 32 bits.
 *
 * @param value Finite and above 0, subnormal ones included.
 * @param scale MIN_SCALE to MAX_SCALE.
 */
export function bucketIndex(value: number, scale: number): number {
  number[0] = value;
  return bucketIndexOfWords(words[0], words[1], scale);
}

/** {@linkcode bucketIndex} of the double that has these low and high 32 bits. */
export function bucketIndexOfWords(low: number, high: number, scale: number): number {
  words[0] = low;
  let exponent = (high >>> 20) - 1023;
  if (exponent === -1023) {
    words[1] = high;
    number[0] *= 2 ** 54;
    high = words[1];
    exponent = (high >>> 20) - (1023 + 54);
  }
  const fraction = high & 0xfffff;
  // Upper bounds belong to their bucket, and of doubles only powers of two are bounds.
  if ((fraction | words[0]) === 0) {
    return scale > 0 ? (exponent << scale) - 1 : (exponent - 1) >> -scale;
  }
  if (scale <= 0) return exponent >> -scale;
  words[1] = fraction | 0x3ff00000;
  const significand = number[0];
  let bucket = firstBuckets[fraction >>> (20 - TABLE_BITS)];
  if (significand > boundaries[bucket + 1]) bucket++;
  if (significand > boundaries[bucket + 1]) bucket++;
  const index = scale <= TABLE_BITS
    ? bucket >> (TABLE_BITS - scale)
    : ((bucket << PART_BITS) + partOf(bucket)) >> (MAX_SCALE - scale);
  return (exponent << scale) + index;
}

/** 2^20 / ln(2): parts per unit of the natural logarithm. */
const PARTS_PER_UNIT = 2 ** MAX_SCALE * Math.LOG2E;
/** The polynomial is off by less than 2^-31 parts; nearer than this to a boundary it is not asked. */
const DOUBT = 2 ** -24;

/** Which of the 2^9 parts of a bucket of the table holds `number`, a significand in the bucket. */
function partOf(bucket: number): number {
  const base = coarse[bucket];
  const x = (number[0] - base) / base;
  // ln(1 + x), for x up to 2^-11.5.
  const part = x * (1 - x * (1 / 2 - x * (1 / 3 - x * (1 / 4)))) * PARTS_PER_UNIT;
  const nearest = Math.round(part);
  if (Math.abs(part - nearest) > DOUBT) return Math.floor(part);
  // The bounds of the bucket were compared with already.
  if (nearest === 0) return 0;
  if (nearest === PARTS) return PARTS - 1;
  return isAbove(bucket, nearest) ? nearest : nearest - 1;
}

/** Splits a double into two of 26 bits each, whose products are exact (Dekker). */
const SPLIT = 2 ** 27 + 1;

/** Whether `number`, a significand, is above boundary `part` of a bucket. */
function isAbove(bucket: number, part: number): boolean {
  const a = coarse[bucket];
  const b = fine[part];
  const product = a * b;
  const aSplit = a * SPLIT;
  const a1 = aSplit - (aSplit - a);
  const a2 = a - a1;
  const bSplit = b * SPLIT;
  const b1 = bSplit - (bSplit - b);
  const b2 = b - b1;
  const lost = ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
  const rest = lost + (a * fineRest[part] + b * coarseRest[bucket]);
  // Both numbers are so near each other that their difference is exact.
  return number[0] - product > rest;
}

function fillTables(): void {
  let root = 2n * ONE;
  let coarseRoot = root;
  for (let scale = 1; scale <= MAX_SCALE; scale++) {
    root = squareRoot(root << FRACTION_BITS);
    if (scale === TABLE_BITS) coarseRoot = root;
  }
  fillPowers(coarseRoot, coarse, coarseRest);
  fillPowers(root, fine, fineRest);
  // 2 itself, which the powers of a root that was rounded down just miss.
  coarse[TABLE_SIZE] = 2;
  coarseRest[TABLE_SIZE] = 0;
  for (let j = 0; j <= TABLE_SIZE; j++) {
    boundaries[j] = coarseRest[j] < 0 ? coarse[j] - Number.EPSILON : coarse[j];
  }
  let bucket = 0;
  for (let cell = 0; cell < TABLE_SIZE; cell++) {
    while (1 + cell / TABLE_SIZE > boundaries[bucket + 1]) bucket++;
    firstBuckets[cell] = bucket;
  }
}

/** The powers of a fixed point number from its 0th on, each as two doubles. */
function fillPowers(base: bigint, values: Float64Array, rests: Float64Array): void {
  const unit = 2 ** -Number(FRACTION_BITS);
  let power = ONE;
  for (let j = 0; j < values.length; j++) {
    const rounded = Number(power);
    values[j] = rounded * unit;
    rests[j] = Number(power - BigInt(rounded)) * unit;
    power = power * base >> FRACTION_BITS;
  }
}

/** The square root, rounded down (Newton). */
function squareRoot(square: bigint): bigint {
  let root = 1n << BigInt((square.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
