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
  /** To be called with each file before it is closed. */
  note(file: FollowedFile): void;
  /**
   * Stores some of what was noted. What can't be stored now is kept for a later time: with a spool or
   * tail sampling, what the process recorded may come to the store long after its file is closed.
   */
  flush(): void;
}

/** Deaths that are kept while nothing can be stored. */
const MAX_WAITING = 1_000;
/** Looked for at a time: nothing is taken from rings meanwhile. */
const MAX_AT_ONCE = 10;
/** Between two looks for the same one, and from the first to the last. */
const AGAIN_MS = 5_000;
const KEEP_MS = 3_600_000;

interface Waiting extends Death {
  readonly since: number;
  next: number;
}

/** @param store Open for writing. */
export function createDeathRecorder(
  store: Pick<Store, "recordDeaths">,
  clock: () => number = () => performance.now(),
): DeathRecorder {
  const done = new WeakSet<FollowedProcess>();
  let waiting: Waiting[] = [];
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
      const now = clock();
      waiting.push({ instance, pid, service, timeNs, since: now, next: now });
    },
    flush() {
      const now = clock();
      const due = waiting.filter(({ next }) => next <= now).slice(0, MAX_AT_ONCE);
      if (due.length === 0) return;
      try {
        const left = new Set<Death>(store.recordDeaths(due));
        for (const each of due) each.next = now + AGAIN_MS;
        const isDone = (each: Waiting): boolean =>
          due.includes(each) && (!left.has(each) || now - each.since > KEEP_MS);
        waiting = waiting.filter((each) => !isDone(each));
      } catch {
        // The next request to be stored fails as well, and says why.
      }
    },
  };
}
