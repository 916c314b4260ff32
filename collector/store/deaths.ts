/**
 * Notes in the store which processes died: those that are gone and did not say, in their file, that they
 * ended in order.
 *
 * @module
 */
import type { FollowedFile, FollowedProcess } from "../files/follow.ts";
import { nameOf } from "../files/names.ts";
import { lives } from "../pipeline/pipeline.ts";
import type { Store } from "./store.ts";
import type { Death } from "./write/deaths.ts";

/** Notes deaths. */
export interface DeathRecorder {
  /** To be called with each file before it is closed: all that was in it is stored then. */
  note(file: FollowedFile): void;
  /** Stores what was noted. What can't be stored now is kept for the next time. */
  flush(): void;
}

/** Deaths that are kept while nothing can be stored. */
const MAX_WAITING = 1_000;

/** @param store Open for writing. */
export function createDeathRecorder(store: Pick<Store, "recordDeaths">): DeathRecorder {
  const done = new WeakSet<FollowedProcess>();
  let waiting: Death[] = [];
  return {
    note({ owner, extension, process }) {
      // Other writers never say how they end.
      if (extension === null || done.has(process) || process.files.some(lives)) return;
      // Files of Workers that were terminated look like those of the dead.
      const endedInOrder = process.files.some((file) =>
        file.extension?.isolate === 0 && file.owner === "clean"
      );
      if (endedInOrder || (owner === "clean" && extension.isolate === 0)) done.add(process);
      // Of one that recorded nothing there is nothing to show.
      if (done.has(process) || owner !== "dead" || process.state.scopes.firstResource === null) {
        return;
      }
      done.add(process);
      if (waiting.length >= MAX_WAITING) return;
      const { lastHigh, lastLow } = process.state;
      const timeNs = BigInt(lastHigh >>> 0) << 32n | BigInt(lastLow >>> 0);
      const { instance, pid, service } = nameOf(process);
      waiting.push({ instance, pid, service, timeNs });
    },
    flush() {
      if (waiting.length === 0) return;
      try {
        store.recordDeaths(waiting);
        waiting = [];
      } catch {
        // The next request to be stored fails as well, and says why.
      }
    },
  };
}
