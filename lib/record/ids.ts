/**
 * Trace and span ids: random words for new ones, and the way between words and hex.
 *
 * An id is kept as 32-bit words in the byte order of the file, so that it is copied into a record
 * as it is; hex is made only when somebody asks for a span context.
 *
 * @module
 */
const HEX: string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

// xoshiro128**: a hundred times cheaper than the system's generator, which seeds it.
let a = 0, b = 0, c = 0, d = 0;

/** Seeds the generator anew, from the system's. */
export function seedIds(): void {
  const seed = crypto.getRandomValues(new Int32Array(4));
  a = seed[0];
  b = seed[1];
  c = seed[2];
  // The state must not be all zeros.
  d = seed[3] | 1;
}
seedIds();

/** 32 random bits, signed. */
export function randomWord(): number {
  const product = Math.imul(b, 5);
  const result = Math.imul((product << 7) | (product >>> 25), 9);
  const shifted = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = (d << 11) | (d >>> 21);
  return result | 0;
}

/** The 8 hex digits of a word. */
export function wordToHex(word: number): string {
  return HEX[word & 0xff] + HEX[(word >>> 8) & 0xff] + HEX[(word >>> 16) & 0xff] +
    HEX[word >>> 24];
}

/** The word of 8 hex digits from `at` on; NaN where one is not a hex digit. */
export function hexToWord(hex: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 8; i++) {
    const digit = hexDigit(hex.charCodeAt(at + i));
    if (digit < 0) return NaN;
    // Two digits a byte, the first byte lowest.
    word |= digit << ((i >> 1) * 8 + (i & 1 ? 0 : 4));
  }
  return word;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

/** Ids of a span context, as words. */
export interface IdWords {
  t0: number;
  t1: number;
  t2: number;
  t3: number;
  s0: number;
  s1: number;
}

/** Reads hex ids into `into`; false when they are not 32 and 16 hex digits. */
export function readIds(into: IdWords, traceId: string, spanId: string): boolean {
  if (typeof traceId !== "string" || traceId.length !== 32) return false;
  if (typeof spanId !== "string" || spanId.length !== 16) return false;
  const t0 = hexToWord(traceId, 0);
  const t1 = hexToWord(traceId, 8);
  const t2 = hexToWord(traceId, 16);
  const t3 = hexToWord(traceId, 24);
  const s0 = hexToWord(spanId, 0);
  const s1 = hexToWord(spanId, 8);
  // NaN is the only value that differs from itself, and it stays in a sum.
  if (Number.isNaN(t0 + t1 + t2 + t3 + s0 + s1)) return false;
  into.t0 = t0;
  into.t1 = t1;
  into.t2 = t2;
  into.t3 = t3;
  into.s0 = s0;
  into.s1 = s1;
  return true;
}
