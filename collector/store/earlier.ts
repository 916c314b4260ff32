/**
 * Log records that were stored before this start. A collector that was killed sends again what it had
 * stored and not given back yet, and so do programs that got no answer from it; spans and data points
 * have an identity of their own, log records only what is in them.
 *
 * A record that came is one sent again when it is the same in everything, its time to the nanosecond
 * included, as one stored before this start, each of which stands for one that comes: two that are the
 * same stay two. Within a run nothing is compared: what a program sends again then is stored again.
 * What can't be told apart from a record sent again is one that a clock without nanoseconds gave the
 * same time, when its twin was stored before the kill and it was not.
 *
 * @module
 */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { COLUMN, COLUMNS, type Tail } from "./window.ts";

/** Recognises what was stored before. */
export interface Earlier {
  /**
   * Is it one of these? Once for each.
   *
   * @param time Unix milliseconds, as in its window.
   * @param row The columns of its row, without the id.
   */
  take(time: number, row: readonly SQLInputValue[]): boolean;
  /** The transaction was committed, or was not. */
  settle(committed: boolean): void;
}

/** The newest so many, and those of the newest window: far more than rings hold. */
const MAX_EARLIER = 1 << 18;
/** Of one time, so many are passed in a transaction, and so many looked at: they come in their order. */
const MAX_PASSED = 1 << 12;
const MAX_LOOKED_AT = 64;

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

/** @param tail What is in no window yet, all of it. */
export function createEarlier(db: DatabaseSync, tail: Tail): Earlier {
  const blocks = [{ first: tail.first, times: tail.time.slice(0, tail.count) }];
  let count = tail.count;
  const windows = db.prepare("SELECT id, first FROM log_windows ORDER BY id DESC").all() as {
    id: number;
    first: number;
  }[];
  const getTimes = db.prepare("SELECT data FROM log_columns WHERE id = ?");
  for (const { id, first } of windows) {
    if (count >= MAX_EARLIER) break;
    const { data } = getTimes.get(id * COLUMNS + COLUMN.time) as { data: Uint8Array };
    const times = new Float64Array(data.slice().buffer);
    blocks.push({ first, times });
    count += times.length;
  }
  const ids = new Float64Array(count);
  const times = new Float64Array(count);
  // Chains of those with one hash: the first of each, and what follows it, by place + 1.
  const heads = new Int32Array(2 ** Math.ceil(Math.log2(count + 1)));
  const next = new Int32Array(count);
  const hashOf = (time: number): number => {
    float[0] = time;
    const hash = Math.imul(words[0] ^ Math.imul(words[1], 0x85ebca6b), 0xc2b2ae35);
    return (hash ^ (hash >>> 15)) & (heads.length - 1);
  };
  let place = 0;
  // From the newest on, so that the oldest comes first in its chain: it is sent again first.
  for (const block of blocks) {
    for (let i = block.times.length - 1; i >= 0; i--) {
      const time = block.times[i];
      // Without a time nothing tells them apart but what they say.
      if (time === 0) continue;
      ids[place] = block.first + i;
      times[place] = time;
      const hash = hashOf(time);
      next[place] = heads[hash];
      heads[hash] = ++place;
    }
  }
  const isSame = db.prepare(
    `SELECT 1 FROM logs WHERE id = ? AND origin = ? AND time = ? AND observed = ? AND severity = ?
      AND trace IS ? AND span IS ? AND body IS ? AND rest = ?`,
  );
  let taken: { place: number; time: number }[] = [];
  return {
    take(time, row) {
      let looked = 0;
      let at = heads[hashOf(time)] - 1;
      for (let passed = 0; at >= 0 && passed < MAX_PASSED; at = next[at] - 1, passed++) {
        if (times[at] !== time) continue;
        if (looked++ === MAX_LOOKED_AT) break;
        if (isSame.get(ids[at], ...row) === undefined) continue;
        taken.push({ place: at, time });
        // Equal to no time from here on.
        times[at] = NaN;
        return true;
      }
      return false;
    },
    settle(committed) {
      for (const { place, time } of taken) {
        if (!committed) {
          times[place] = time;
          continue;
        }
        const hash = hashOf(time);
        while (heads[hash] > 0 && Number.isNaN(times[heads[hash] - 1])) {
          heads[hash] = next[heads[hash] - 1];
        }
      }
      taken = [];
    },
  };
}
