/**
 * Strings that are sent on must be UTF-8: one that is not makes receivers refuse the whole request.
 *
 * @module
 */

/** What stands for a byte that is no part of a character: `?`. */
const REPLACEMENT = 0x3f;

/**
 * Makes `bytes[start..end)` valid UTF-8 in place, byte for byte: whatever is not becomes `?`.
 * Returns the number of bytes replaced.
 */
export function repairUtf8(bytes: Uint8Array, start: number, end: number): number {
  let replaced = 0;
  let i = start;
  while (i < end) {
    const lead = bytes[i];
    if (lead < 0x80) {
      i++;
      continue;
    }
    const length = sequenceLength(bytes, i, end, lead);
    if (length === 0) {
      bytes[i++] = REPLACEMENT;
      replaced++;
    } else {
      i += length;
    }
  }
  return replaced;
}

/** Bytes of the well-formed character at `i` (Unicode 16, table 3-7); 0 where there is none. */
function sequenceLength(bytes: Uint8Array, i: number, end: number, lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return i + 1 < end && isTail(bytes[i + 1]) ? 2 : 0;
  const second = i + 1 < end ? bytes[i + 1] : 0;
  if (lead < 0xf0) {
    const low = lead === 0xe0 ? 0xa0 : 0x80;
    const high = lead === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && i + 2 < end && isTail(bytes[i + 2]) ? 3 : 0;
  }
  const low = lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xf4 ? 0x8f : 0xbf;
  return second >= low && second <= high && i + 3 < end && isTail(bytes[i + 2]) &&
      isTail(bytes[i + 3])
    ? 4
    : 0;
}

function isTail(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
