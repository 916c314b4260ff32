/**
 * Notes in the store what was lost on the way to it: records that writers refused, that were torn or
 * unreadable, as they are counted in the files.
 *
 * @module
 */
import type { FollowedFile } from "../files/follow.ts";
import { labelOf, nameOf } from "../files/names.ts";
import { lives } from "../pipeline/pipeline.ts";
import { lostRecords } from "../pipeline/losses.ts";
import type { Loss } from "./queries/types.ts";
import type { Store } from "./store.ts";

/** Notes losses. */
export interface LossRecorder {
  /** To be called with each file now and then, and before it is closed. */
  note(file: FollowedFile): void;
  /** Stores what was noted. What can't be stored now is kept for the next time. */
  flush(): void;
}

/** Losses that are kept while nothing can be stored. */
const MAX_WAITING = 10_000;

/** @param store Open for writing. */
export function createLossRecorder(store: Pick<Store, "recordLoss" | "lossesOf">): LossRecorder {
  const noted = new WeakMap<FollowedFile, Map<string, number>>();
  let waiting: Loss[] = [];
  const countsOf = (file: FollowedFile): Map<string, number> | null => {
    const known = noted.get(file);
    if (known !== undefined) return known;
    try {
      // A collector before this one may have noted some: the file counts over its whole life.
      const before = store.lossesOf(file.extension!.fileUid);
      const counts = new Map(before.map(({ ring, reason, count }) => [`${ring} ${reason}`, count]));
      noted.set(file, counts);
      return counts;
    } catch {
      // Of a store that can't be read either.
      return null;
    }
  };
  return {
    note(file) {
      const lost = lostRecords(file);
      const counts = lost.length === 0 ? null : countsOf(file);
      if (counts === null) return;
      const { fileUid } = file.extension!;
      const timeMs = timeOf(file);
      for (const { ring, reason, count } of lost) {
        const key = `${ring} ${reason}`;
        const more = count - (counts.get(key) ?? 0);
        if (more <= 0 || waiting.length >= MAX_WAITING) continue;
        counts.set(key, count);
        const process = labelOf(nameOf(file.process));
        waiting.push({ timeMs, process, file: fileUid, ring, reason, count: more });
      }
    },
    flush() {
      if (waiting.length === 0) return;
      try {
        store.recordLoss(waiting);
        waiting = [];
      } catch {
        // The next request to be stored fails as well, and says why.
      }
    },
  };
}

/** Now, or the last sign of a process that is gone. */
function timeOf(file: FollowedFile): number {
  const now = Date.now();
  const { lastHigh, lastLow } = file.process.state;
  const last = ((lastHigh >>> 0) * 2 ** 32 + (lastLow >>> 0)) / 1e6;
  return lives(file) || last === 0 ? now : Math.min(now, Math.floor(last));
}
