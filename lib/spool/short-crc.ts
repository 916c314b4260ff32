/**
 * CRC-32 of a few bytes: the library's takes as long for these as for a kilobyte, most of it for the call.
 *
 * @module
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The CRC-32 of the bytes from `from` up to `to`, going on from that of what is before them. */
export function shortCrc(bytes: Uint8Array, from: number, to: number, before: number): number {
  let crc = ~before;
  for (let at = from; at < to; at++) crc = TABLE[(crc ^ bytes[at]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
