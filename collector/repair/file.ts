/**
 * A damaged file as one that can be read: in memory, from a copy of its bytes.
 *
 * @module
 */
import { type Extension, hasExtension, readExtension } from "../../lib/file/extension.ts";
import type { Geometry } from "../../lib/file/geometry.ts";
import {
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  EXT_BOOT_ID,
  EXT_BYTES,
  EXT_LENGTH,
  EXT_MAGIC,
  EXT_MAGIC_TEXT,
  EXT_VERSION,
  EXT_VERSION_CURRENT,
  FIRST_RING_OFFSET,
  HEADER_BYTES,
  HEADER_VERSION,
  UID_BYTES,
  VERSION_DISCARDS,
} from "../../lib/format/layout.ts";
import { MemoryFile } from "../files/copy.ts";
import { rebuildGeometry } from "./geometry.ts";
import { repairRing } from "./rings.ts";

/** A file that can be read, as far as it goes. */
export interface RepairedFile {
  readonly memory: MemoryFile;
  readonly geometry: Geometry;
  readonly extension: Extension | null;
  /** What was wrong with it, apart from its records. Empty for a file without damage. */
  readonly notes: readonly string[];
}

/**
 * Repairs a copy of a file.
 *
 * @param bytes The file's bytes; they stay as they are.
 * @param all Take what its rings still hold of records that were read, too.
 * @returns null when nothing says that it is one of ours.
 */
export function repairFile(bytes: Uint8Array, all: boolean): RepairedFile | null {
  if (bytes.length < HEADER_BYTES) return null;
  const { geometry, lost, damaged, bytes: needed, notes } = rebuildGeometry(bytes);
  if (lost.every((is) => is)) return null;
  const memory = new MemoryFile(needed);
  memory.u8.set(bytes);
  if (needed > bytes.length && !lost.some((is) => is)) {
    notes.push(`the file is truncated: ${bytes.length} of at least ${needed} bytes`);
  }
  const wasWhole = hasExtension(memory.u8);
  // Only our writers put the first ring there.
  if (geometry.rings[0].offset === FIRST_RING_OFFSET) {
    restoreExtension(memory, notes);
    // What was not synced before a loss of power, or is said not to be, may be intact: it is tried.
    memory.u8.fill(0, EXT_BOOT_ID, EXT_BOOT_ID + UID_BYTES);
  }
  const extension = readExtension(memory, geometry.rings[0].offset);
  const discards = memory.i64[HEADER_VERSION / 8] === BigInt(VERSION_DISCARDS);
  const oneProducer = wasWhole && extension !== null && !extension.manyProducers;
  for (const ring of geometry.rings) {
    if (lost[ring.ring]) {
      memory.i64.fill(-1n, ring.offset / 8 + 2, ring.offset / 8 + 4);
      memory.i32.fill(-1, ring.availability / 4, ring.availability / 4 + ring.slots);
    } else {
      const options = { all, oneProducer, discards, damaged: damaged[ring.ring] };
      notes.push(...repairRing(memory, ring, options));
    }
  }
  // Refs of intact records lead to entries, whatever the dictionary says of its end.
  const view = new DataView(memory.u8.buffer, geometry.dictionary, DICTIONARY_HEADER_BYTES);
  const end = view.getBigInt64(DICTIONARY_END, true);
  if (end < BigInt(geometry.dictionary + DICTIONARY_HEADER_BYTES) || end > BigInt(bytes.length)) {
    if (bytes.length >= geometry.dictionary + DICTIONARY_HEADER_BYTES) {
      notes.push(
        `dictionary.end is ${end}, of ${bytes.length} bytes: entries up to the end are used`,
      );
    }
  }
  view.setBigInt64(DICTIONARY_END, BigInt(memory.size), true);
  return { memory, geometry, extension, notes };
}

function restoreExtension({ u8, i32 }: MemoryFile, notes: string[]): void {
  const version = EXT_VERSION >> 2;
  const length = EXT_LENGTH >> 2;
  if (hasExtension(u8) && i32[version] === EXT_VERSION_CURRENT && i32[length] >= EXT_BYTES) return;
  notes.push("the extension block is damaged: which process wrote the file may be wrong");
  u8.set(new TextEncoder().encode(EXT_MAGIC_TEXT), EXT_MAGIC);
  i32[version] = EXT_VERSION_CURRENT;
  i32[length] = EXT_BYTES;
}
