/**
 * Does anybody read this file? Asked by a writer that discards the oldest records while nobody does.
 *
 * The answer may be out of date when it is given. That costs a record more or less, never a mix: both
 * sides move `reader_index` by compare-and-swap, and a reader looks at it after each copy.
 *
 * @module
 */
import { isLocked, type Mapping } from "../../ffi/mod.ts";
import { EXT_READER_HEARTBEAT, EXT_READER_PID } from "../format/layout.ts";
import { READER_SUFFIX } from "./places.ts";

/** Who was silent for longer counts as gone where its lock can't be asked. ns. */
export const READER_SILENT_NS = 10_000_000_000n;
/** The lock is looked at this often, ms. */
const LOOK_MS = 100;

/**
 * A function that says whether a reader is attached: it has left its process id, and holds its lock. So
 * one that was stopped is there, and one that was killed is not. Where the lock can't be asked (it bears
 * another name, or is another user's), the reader must have looked at the file in the last 10 seconds.
 */
export function watchReader(mapping: Mapping): () => boolean {
  let lookAt = -Infinity;
  let isHeld: boolean | null = null;
  return () => {
    // Pairs with the reader's stores when it comes and goes.
    if (Atomics.load(mapping.i32, EXT_READER_PID / 4) === 0) return false;
    const now = performance.now();
    if (now >= lookAt) {
      lookAt = now + LOOK_MS;
      try {
        isHeld = isLocked(mapping.path + READER_SUFFIX);
      } catch {
        isHeld = null;
      }
    }
    if (isHeld !== null) return isHeld;
    const heartbeat = Atomics.load(mapping.i64, EXT_READER_HEARTBEAT / 8);
    const silent = BigInt(Date.now()) * 1_000_000n - heartbeat;
    // Before 0 the clock was set back: that proves nothing, either.
    return silent >= 0n && silent < READER_SILENT_NS;
  };
}
