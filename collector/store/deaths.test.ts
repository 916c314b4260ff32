import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FollowedFile } from "../files/follow.ts";
import { createDeathRecorder } from "./deaths.ts";
import type { Death } from "./write/deaths.ts";

/** A file of a process that was killed. */
function deadFile(pid: number): FollowedFile {
  const entry = { head: new Uint8Array(0) };
  const process = {
    files: [],
    state: { lastLow: 1, lastHigh: 2, scopes: { firstResource: entry } },
  };
  return {
    owner: "dead",
    extension: { isolate: 0, ownerPid: pid },
    process,
  } as unknown as FollowedFile;
}

describe("a recorder of deaths", () => {
  it("looks again for those of whom nothing is stored yet, a few at a time, and not for ever", () => {
    let now = 0;
    let known = false;
    const asked: number[] = [];
    const recorder = createDeathRecorder({
      recordDeaths(deaths) {
        asked.push(deaths.length);
        return known ? [] : [...deaths] as Death[];
      },
    }, () => now);
    for (let pid = 1; pid <= 12; pid++) recorder.note(deadFile(pid));
    recorder.flush();
    recorder.flush();
    recorder.flush();
    assert.deepEqual(asked, [10, 2]);
    now = 10_000;
    known = true;
    recorder.flush();
    known = false;
    recorder.flush();
    assert.deepEqual(asked, [10, 2, 10, 2]);
    now = 4_000_000;
    recorder.flush();
    now += 10_000;
    recorder.flush();
    assert.deepEqual(asked, [10, 2, 10, 2, 2], "given up after an hour");
  });
});
