/**
 * Byte buffers that can be copied from and to four bytes at a time at any position.
 *
 * @module
 */

/** Bytes past the end of what is used, so that whole words may be read and written there. */
export const SLACK_BYTES = 8;

/** A buffer under two views. */
export interface Bytes {
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

/** A buffer that is read in whole words, too. */
export interface WordBytes extends Bytes {
  readonly i32: Int32Array<ArrayBuffer>;
}

/** A buffer of at least `length` bytes, and slack behind it. */
export function createBytes(length: number): WordBytes {
  const buffer = new ArrayBuffer(((length + 7) & ~7) + SLACK_BYTES);
  return { u8: new Uint8Array(buffer), view: new DataView(buffer), i32: new Int32Array(buffer) };
}

/** Longer copies than this are left to the runtime. Bytes; below, a call costs more than the work. */
const WORDS_UP_TO = 64;

/**
 * Copies `length` bytes, and up to 3 more that mean nothing: the destination has room for them.
 */
export function copyBytes(
  from: Bytes,
  start: number,
  length: number,
  to: Bytes,
  at: number,
): void {
  if (length > WORDS_UP_TO) {
    to.u8.set(from.u8.subarray(start, start + length), at);
    return;
  }
  const source = from.view;
  const target = to.view;
  for (let i = 0; i < length; i += 4) {
    target.setInt32(at + i, source.getInt32(start + i, true), true);
  }
}

/** Copies within one buffer, to a place that does not overlap; also up to 3 bytes more. */
export function moveBytes(bytes: Bytes, start: number, length: number, at: number): void {
  if (length > WORDS_UP_TO) {
    bytes.u8.copyWithin(at, start, start + length);
    return;
  }
  const { view } = bytes;
  for (let i = 0; i < length; i += 4) view.setInt32(at + i, view.getInt32(start + i, true), true);
}

/** {@linkcode copyBytes}, and false where some byte is not ASCII; what is copied behind does not count. */
export function copyAscii(
  from: Bytes,
  start: number,
  length: number,
  to: Bytes,
  at: number,
): boolean {
  const source = from.view;
  const whole = length & ~3;
  // The up to 3 bytes of text in the last word.
  const mask = (1 << ((length & 3) << 3)) - 1;
  let all = mask === 0 ? 0 : source.getInt32(start + whole, true) & mask;
  if (length > WORDS_UP_TO) {
    for (let i = 0; i < whole; i += 4) all |= source.getInt32(start + i, true);
    to.u8.set(from.u8.subarray(start, start + length), at);
    return (all & 0x80808080) === 0;
  }
  const target = to.view;
  for (let i = 0; i < whole; i += 4) {
    const word = source.getInt32(start + i, true);
    all |= word;
    target.setInt32(at + i, word, true);
  }
  if (mask !== 0) target.setInt32(at + whole, source.getInt32(start + whole, true), true);
  return (all & 0x80808080) === 0;
}
