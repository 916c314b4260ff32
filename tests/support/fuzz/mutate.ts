/**
 * Damages copies of files and messages, at random and where it hurts.
 *
 * @module
 */
import {
  AVAILABILITY_BYTES,
  EXT_BYTES,
  EXT_OFFSET,
  HEADER_BYTES,
  RING_HEADER_BYTES,
} from "../../../lib/format/layout.ts";
import { type Geometry, readGeometry } from "../../../lib/file/geometry.ts";
import type { Random } from "../random.ts";

/** Bytes from `start` up to `end`. */
interface Region {
  readonly start: number;
  readonly end: number;
}

/** Numbers at which something begins or ends. */
const EDGES = [
  ...[0n, 1n, -1n, 2n, 7n, 8n, 63n, 64n, 127n, 128n, 255n, 256n, 511n, 512n, 4095n, 4096n],
  ...[0x7fffn, 0xffffn, 0x7fff0000n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n],
  ...[2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n), 1_780_000_000_000_000_000n],
];

/** The parts of a file, each likely to be damaged whatever its size. */
export function regionsOf(file: Uint8Array): Region[] {
  let geometry: Geometry;
  try {
    const read = readGeometry("fuzz", file, file.length);
    if ("unfinished" in read) return [{ start: 0, end: file.length }];
    geometry = read;
  } catch {
    return [{ start: 0, end: file.length }];
  }
  const regions: Region[] = [{ start: 0, end: HEADER_BYTES }];
  const { rings, dictionary } = geometry;
  if (rings[0].offset >= EXT_OFFSET + EXT_BYTES) {
    regions.push({ start: EXT_OFFSET, end: EXT_OFFSET + 512 });
  }
  for (const { offset, availability, firstSlot, slots, slotBytes } of rings) {
    regions.push({ start: offset, end: offset + RING_HEADER_BYTES });
    regions.push({ start: availability, end: availability + slots * AVAILABILITY_BYTES });
    for (let slot = 0; slot < slots; slot++) {
      const start = firstSlot + slot * slotBytes;
      let end = start + slotBytes;
      while (end > start && file[end - 1] === 0) end--;
      // Those with something in them, twice: records are what there is most of to go wrong.
      if (end > start) regions.push({ start, end }, { start, end });
    }
  }
  let end = file.length;
  while (end > dictionary + 64 && file[end - 1] === 0) end--;
  regions.push({ start: dictionary, end: dictionary + 16 });
  for (let i = 0; i < 4; i++) regions.push({ start: dictionary + 64, end });
  return regions.filter((region) => region.start < region.end);
}

/** A damaged copy: one to eight changes, seldom another length. */
export function mutate(
  seed: Uint8Array,
  regions: readonly Region[],
  others: readonly Uint8Array[],
  random: Random,
): Uint8Array<ArrayBuffer> {
  let bytes = Uint8Array.from(seed);
  const changes = 1 + random.below(random.below(4) === 0 ? 8 : 2);
  for (let change = 0; change < changes; change++) {
    const region = random.pick(regions);
    const at = region.start + random.below(Math.max(1, region.end - region.start));
    if (at < bytes.length) damage(bytes, at, region, others, random);
  }
  if (random.below(40) === 0) bytes = bytes.slice(0, random.below(bytes.length));
  else if (random.below(80) === 0) {
    const longer = new Uint8Array(bytes.length + random.below(4096));
    longer.set(bytes);
    bytes = longer;
  }
  return bytes;
}

function damage(
  bytes: Uint8Array,
  at: number,
  { start, end }: Region,
  others: readonly Uint8Array[],
  random: Random,
): void {
  const room = Math.min(end, bytes.length) - at;
  const length = Math.min(room, 1 + random.below(32));
  switch (random.below(10)) {
    case 0:
      bytes[at] ^= 1 << random.below(8);
      return;
    case 1:
      bytes[at] = random.word();
      return;
    case 2:
      bytes[at] += random.below(2) === 0 ? 1 : -1;
      return;
    case 3: {
      // A word, where words are.
      const width = random.pick([2, 4, 8]);
      const word = Math.min(at & -width, bytes.length - width);
      if (word < 0) return;
      let value = random.pick(EDGES) + BigInt(random.below(3) - 1);
      for (let i = 0; i < width; i++, value >>= 8n) bytes[word + i] = Number(value & 0xffn);
      return;
    }
    case 4: {
      // A varint, at times longer than any may be.
      let value = random.bits64();
      for (let i = 0; i < Math.min(room, 1 + random.below(11)); i++, value >>= 7n) {
        bytes[at + i] = Number(value & 0x7fn) | (value > 0x7fn || random.below(8) === 0 ? 0x80 : 0);
      }
      return;
    }
    case 5:
      bytes.fill(random.pick([0, 0xff, 0x80, 0x0a, 0x2a, 0x32]), at, at + length);
      return;
    case 6: {
      const from = start + random.below(Math.max(1, end - start));
      bytes.copyWithin(at, from, Math.min(from + length, bytes.length));
      return;
    }
    case 7: {
      const other = random.pick(others);
      const from = random.below(other.length);
      bytes.set(other.subarray(from, Math.min(from + length, other.length)), at);
      return;
    }
    case 8:
      // Something goes, or comes, and the rest moves.
      bytes.copyWithin(at, Math.min(at + 1 + random.below(4), bytes.length), at + room);
      return;
    default:
      bytes.copyWithin(
        Math.min(at + 1 + random.below(4), at + room),
        at,
        at + Math.max(0, room - 4),
      );
  }
}
