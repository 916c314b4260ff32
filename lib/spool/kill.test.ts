/** What is left of a process that is killed while it stores, and of files that are damaged at random. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { folders } from "../../collector/testing/run.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { isFullSize, launchOf, ownRuntime } from "../../tests/support/runtimes.ts";
import { ROOT } from "../../tools/runtimes.ts";
import { PROGRESS_BYTES } from "./progress.ts";
import { HEADER_BYTES } from "./record.ts";
import { openSpool, type Spool } from "./spool.ts";

const folder = folders("spool-kill");

function drain(spool: Spool): string[] {
  const bodies: string[] = [];
  for (let stored = spool.next("traces"); stored !== null; stored = spool.next("traces")) {
    bodies.push(Buffer.from(stored.body).toString());
    spool.acknowledge(stored.id);
  }
  return bodies;
}

const bodyOf = (i: number): string => `${i} `.repeat(1 + i % 100);

describe("a process that is killed while it stores", () => {
  it("leaves all that it was told is stored, once, and nothing that was acknowledged", async () => {
    const dir = folder();
    const random = new Random();
    console.log(`seed ${seed}`);
    let from = 1;
    for (let turn = 0; turn < (isFullSize ? 50 : 6); turn++) {
      const { command, args, env } = launchOf(ownRuntime, join(ROOT, "lib/spool/testing/put.ts"), [
        ...[dir, String(from), "1000000"],
      ]);
      const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"] });
      const limit = 1 + random.below(3000);
      let said = "";
      child.stdout.setEncoding("latin1").on("data", (text: string) => {
        said += text;
        if (said.length > limit * 5 && child.pid !== undefined) process.kill(child.pid, "SIGKILL");
      });
      await new Promise((closed) => child.once("close", closed));
      const told = said.split("\n").slice(0, -1);
      const puts = told.filter((line) => line.startsWith("+")).length;
      const acknowledged = told.length - puts;
      assert.ok(puts > 0);
      const spool = openSpool(dir);
      const found = drain(spool);
      const mark = Number(Buffer.from(spool.lastMark("traces")!).toString());
      spool.close();
      // It may have done one thing more, and not have said so.
      const stored = mark - from + 1;
      const unsaid = stored - puts + stored - acknowledged - found.length;
      assert.ok(stored - puts >= 0 && unsaid >= 0 && unsaid <= 1, `turn ${turn}: ${unsaid}`);
      const left = Array.from(
        { length: found.length },
        (_, i) => bodyOf(mark - found.length + 1 + i),
      );
      assert.deepEqual(found, left, `turn ${turn}`);
      from = mark + 1;
    }
  });
});

describe("a process that may only write files of some size", () => {
  it("is refused what is too large, and not ended", async () => {
    const program = join(ROOT, "lib/spool/testing/large.ts");
    const { command, args, env } = launchOf(ownRuntime, program, [folder()]);
    const child = spawn("sh", ["-c", 'ulimit -f 131072 && exec "$0" "$@"', command, ...args], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("latin1").on("data", (piece: string) => text += piece);
    const [code] = await once(child, "close");
    assert.deepEqual([code, text], [0, "stored large stored 150\n"]);
  });
});

describe("a process without descriptors", () => {
  it("loses nothing that is stored, and reads it when there are some again", async () => {
    const dir = folder();
    const spool = openSpool(dir, { segmentBytes: 100 });
    const bodies = Array.from({ length: 20 }, (_, i) => String(i).repeat(60));
    for (const body of bodies) spool.put("traces", Buffer.from(body), 1);
    spool.close();
    const program = join(ROOT, "lib/spool/testing/descriptors.ts");
    const { command, args, env } = launchOf(ownRuntime, program, [dir]);
    const child = spawn("sh", ["-c", 'ulimit -n 256 && exec "$0" "$@"', command, ...args], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("latin1").on("data", (piece: string) => text += piece);
    const [code] = await once(child, "close");
    const without = "null EMFILE waiting 20 dropped 0\n".repeat(2);
    assert.deepEqual([code, text], [0, `${without}again 20 dropped 0\n`]);
  });
});

describe("a segment with random damage", () => {
  it("gives every record that was not hit, in order, once, and never another", () => {
    const random = new Random();
    console.log(`seed ${seed}`);
    for (let turn = 0; turn < (isFullSize ? 5000 : 300); turn++) {
      const dir = folder();
      const first = openSpool(dir, { sync: "none" });
      const bodies = Array.from(
        { length: 2 + random.below(20) },
        (_, i) => `${i}:`.repeat(1 + random.below(40)),
      );
      const ends: number[] = [];
      let size = PROGRESS_BYTES;
      for (const body of bodies) {
        first.put("traces", Buffer.from(body), 1, { mark: Buffer.from("m") });
        ends.push(size += HEADER_BYTES + 1 + body.length);
      }
      // Some were delivered, in order: they may come again, where it can't be said that they were.
      const delivered = random.below(bodies.length);
      for (let i = 0; i < delivered; i++) first.acknowledge(first.next("traces")!.id);
      first.close();
      const path = join(dir, "traces", readdirSync(join(dir, "traces"))[0]);
      let content: Buffer = readFileSync(path);
      assert.equal(content.length, size);
      const hit = new Set<number>();
      const touch = (at: number): void => {
        hit.add(ends.findIndex((end) => at < end));
      };
      // Changes first, then at most one cut, a hole, or an insertion.
      for (let i = random.below(4); i > 0; i--) {
        const at = random.below(size);
        content[at] ^= 1 + random.below(255);
        touch(at);
      }
      // The first record is looked for where it begins in every segment.
      const at = PROGRESS_BYTES + random.below(size - PROGRESS_BYTES);
      const length = Math.min(1 + random.below(60), size - at);
      const kind = random.below(5);
      if (kind === 0) {
        content = content.subarray(0, at);
        for (let i = at; i < size; i++) touch(i);
      } else if (kind === 1) {
        content = Buffer.concat([content.subarray(0, at), content.subarray(at + length)]);
        for (let i = at; i < at + length; i++) touch(i);
        // Where as much is gone as a record has, the others may look as if that was nothing.
        const starts = [PROGRESS_BYTES, ...ends];
        const next = starts[delivered];
        if (at < next && ends.some((end, i) => end - starts[i] === length)) {
          for (let i = next; i < next + length; i++) touch(i);
        }
      } else if (kind === 2) {
        content = Buffer.concat([
          content.subarray(0, at),
          Buffer.alloc(length, random.below(256)),
          content.subarray(at),
        ]);
        // Between two records it hits neither.
        if (at > PROGRESS_BYTES && !ends.includes(at)) touch(at);
      } else if (kind === 3) {
        content.fill(random.below(256), at, at + length);
        for (let i = at; i < at + length; i++) touch(i);
      }
      writeFileSync(path, content);
      const second = openSpool(dir, { sync: "none" });
      const found = drain(second);
      const message = `seed ${seed}, turn ${turn}, kind ${kind}, ${delivered} delivered`;
      // One that was hit may still be whole: where it says that it was not acknowledged.
      let place = 0;
      bodies.forEach((body, i) => {
        if (found[place] === body) place++;
        else assert.ok(i < delivered || hit.has(i), `${message}: record ${i} of ${[...hit]}`);
      });
      assert.equal(place, found.length, message);
      assert.equal(second.counts.traces.waiting.requests, 0, message);
      assert.equal(second.counts.traces.running.requests, 0, message);
      second.close();
      const third = openSpool(dir, { sync: "none" });
      assert.deepEqual(drain(third), [], message);
      third.close();
    }
  });
});
