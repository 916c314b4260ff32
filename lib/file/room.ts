/**
 * Sizes of files for places with little room, such as the `/dev/shm` of 64 MB that containers have.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { DEFAULT_RINGS, type FileSizes, planFile } from "./write.ts";
import { RING_NAMES } from "../format/layout.ts";

/** A new file takes at most this part of what is free: other threads and generations come after it. */
const SHARE = 1 / 4;
/** Slots are halved this often at most. */
const MAX_HALVES = 5;

/** Free bytes of the file system that a directory is on; Infinity where that can't be asked. */
export function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

/** Sizes that suit the room there is, and how often the slots were halved for that. */
export interface FittingSizes {
  readonly sizes: FileSizes;
  /** 0 when the sizes are as they were. */
  readonly halves: number;
  /** Length of a file of these sizes when it is made. */
  readonly bytes: number;
  /** They are as small as they get, and still more than half of the room. */
  readonly isTight: boolean;
}

/**
 * The sizes themselves where a file of them takes at most a quarter of `free` bytes, else with fewer
 * slots in rings whose number of slots was left open. Sizes that somebody chose are not changed.
 */
export function fittingSizes(path: string, sizes: FileSizes, free: number): FittingSizes {
  for (let halves = 0;; halves++) {
    const smaller = halve(sizes, halves);
    const { bytes } = planFile(path, smaller);
    const fits = bytes <= free * SHARE;
    const isChosen = RING_NAMES.every((ring) => sizes[ring]?.slots !== undefined);
    if (fits || isChosen || halves === MAX_HALVES) {
      return { sizes: smaller, halves, bytes, isTight: bytes > free / 2 };
    }
  }
}

function halve(sizes: FileSizes, halves: number): FileSizes {
  if (halves === 0) return sizes;
  const rings = RING_NAMES.map((name, ring) => [
    name,
    { slots: DEFAULT_RINGS[ring].slots >> halves, ...sizes[name] },
  ]);
  return { ...sizes, ...Object.fromEntries(rings) };
}
