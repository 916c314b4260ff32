/** A spool as its users see it; each fault of a known library for this has a test of its name. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { folders } from "../../collector/testing/run.ts";
import { PROGRESS_BYTES } from "./progress.ts";
import { HEADER_BYTES } from "./record.ts";
import { openSpool, type Spool, type SpoolOptions } from "./spool.ts";

const folder = folders("spool");
const text = (body: Uint8Array): string => Buffer.from(body).toString();
const bytes = (body: string): Uint8Array => Buffer.from(body);

function put(spool: Spool, ...bodies: string[]): void {
  for (const body of bodies) assert.ok("id" in spool.put("traces", bytes(body), 1), body);
}

/** Takes what is there, as long as there is something. */
function drain(spool: Spool): string[] {
  const bodies: string[] = [];
  for (let stored = spool.next("traces"); stored !== null; stored = spool.next("traces")) {
    bodies.push(text(stored.body));
    spool.acknowledge(stored.id);
  }
  return bodies;
}

function files(dir: string): string[] {
  return readdirSync(join(dir, "traces")).sort();
}

/** What a process that was killed leaves: its segments under the names they had. */
function abandon(dir: string, options: SpoolOptions, ...bodies: string[]): string {
  const spool = openSpool(dir, options);
  put(spool, ...bodies);
  spool.close();
  const [name] = files(dir).slice(-1);
  return join(dir, "traces", name);
}

describe("a spool", () => {
  it("gives back what was stored, in order, each once, also after a restart", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a", "b", "c");
    assert.equal(first.counts.traces.waiting.requests, 3);
    const stored = first.next("traces")!;
    assert.deepEqual([text(stored.body), stored.items], ["a", 1]);
    first.acknowledge(stored.id);
    // Handed out and not acknowledged.
    assert.equal(text(first.next("traces")!.body), "b");
    first.close();
    const second = openSpool(dir);
    put(second, "d");
    assert.deepEqual(drain(second), ["b", "c", "d"]);
    assert.equal(second.counts.traces.waiting.requests, 0);
    second.close();
    const third = openSpool(dir);
    assert.deepEqual(drain(third), []);
    third.close();
    assert.deepEqual(files(dir), []);
  });

  it("keeps signals apart", () => {
    const spool = openSpool(folder());
    spool.put("traces", bytes("t"), 1);
    spool.put("logs", bytes("l"), 2);
    spool.put("metrics", bytes("m"), 3);
    for (const [signal, body, items] of [["logs", "l", 2], ["metrics", "m", 3]] as const) {
      const stored = spool.next(signal)!;
      assert.deepEqual([text(stored.body), stored.items], [body, items]);
      assert.equal(spool.next(signal), null);
    }
    spool.close();
  });

  it("takes acknowledgements in any order, and remembers each", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a", "b", "c", "d");
    const ids = [1, 2, 3, 4].map(() => first.next("traces")!.id);
    first.acknowledge(ids[3]);
    first.acknowledge(ids[1]);
    first.acknowledge(ids[1]);
    first.close();
    const second = openSpool(dir);
    assert.deepEqual(drain(second), ["a", "c"]);
    second.close();
  });

  it("notes what is delivered in order where it stands already, so that the disk need not have all of it again", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a", "b", "c", "d");
    const path = join(dir, "traces", files(dir)[0]);
    const records = (): Uint8Array => readFileSync(path).subarray(PROGRESS_BYTES);
    const before = records();
    for (const body of "abc") {
      const stored = first.next("traces")!;
      assert.equal(text(stored.body), body);
      first.acknowledge(stored.id);
    }
    assert.deepEqual(records(), before);
    // As a kill leaves it, under a dead owner's name.
    const copy = folder();
    openSpool(copy).close();
    cpSync(path, join(copy, "traces", files(dir)[0]));
    first.close();
    const second = openSpool(copy);
    assert.deepEqual(second.counts.traces.waiting, { requests: 1, items: 1 });
    assert.deepEqual(drain(second), ["d"]);
    second.close();
  });

  it("does so when all that were handed out are acknowledged, not while one of them is on its way", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a", "b", "c", "d");
    const [a, b, c] = [1, 2, 3].map(() => first.next("traces")!);
    first.giveBack(c.id);
    first.acknowledge(b.id);
    first.acknowledge(a.id);
    first.close();
    const second = openSpool(dir);
    assert.deepEqual(drain(second), ["c", "d"]);
    second.close();
  });

  it("hands out again what was given back, before what is newer", () => {
    const spool = openSpool(folder());
    put(spool, "a", "b", "c", "d");
    const [a, b, c] = [1, 2, 3].map(() => spool.next("traces")!);
    spool.giveBack(c.id);
    spool.giveBack(a.id);
    spool.acknowledge(b.id);
    assert.equal(spool.counts.traces.waiting.requests, 3);
    assert.deepEqual(drain(spool), ["a", "c", "d"]);
    assert.deepEqual(spool.counts.traces.acknowledged, { requests: 4, items: 4 });
    spool.close();
  });

  it("counts what was given back as waiting, whatever becomes of others of its segment", () => {
    const spool = openSpool(folder(), { segmentBytes: 100 });
    put(spool, "a", "b", "c".repeat(60));
    const [a, b] = [1, 2].map(() => spool.next("traces")!);
    spool.giveBack(b.id);
    spool.acknowledge(a.id);
    const { waiting, running, dropped } = spool.counts.traces;
    assert.deepEqual([waiting.requests, running.requests, dropped.corrupt.requests], [2, 0, 0]);
    assert.deepEqual(drain(spool), ["b", "c".repeat(60)]);
    assert.equal(waiting.requests, 0);
    spool.close();
  });

  it("lets its writer deliver from memory what nothing is before", () => {
    const dir = folder();
    const spool = openSpool(dir, { segmentBytes: 100 });
    const place = (body: string): number => {
      const placed = spool.put("traces", bytes(body), 1, { take: true });
      return "id" in placed ? placed.id : -1;
    };
    const a = place("a");
    const b = place("b".repeat(90));
    const c = place("c");
    assert.ok(a > 0 && b > a && c > b);
    assert.equal(spool.next("traces"), null);
    put(spool, "d");
    assert.equal(place("e"), 0, "d is before it");
    spool.giveBack(b);
    spool.acknowledge(a);
    assert.deepEqual(drain(spool), ["b".repeat(90), "d", "e"]);
    spool.close();
    const second = openSpool(dir);
    assert.deepEqual(drain(second), ["c"]);
    second.close();
  });

  it("keeps a message as it was handed out until it is acknowledged", () => {
    const spool = openSpool(folder());
    const bodies = Array.from({ length: 200 }, (_, i) => `${i} `.repeat(1000));
    put(spool, ...bodies);
    const all = bodies.map(() => spool.next("traces")!);
    // Some are acknowledged in between, and their memory used again.
    for (let i = 0; i < 200; i += 2) spool.acknowledge(all[i].id);
    put(spool, ...bodies);
    const more = bodies.map(() => spool.next("traces")!);
    for (let i = 1; i < 200; i += 2) assert.equal(text(all[i].body), bodies[i]);
    for (let i = 0; i < 200; i++) assert.equal(text(more[i].body), bodies[i]);
    spool.close();
  });

  it("finds the last mark, also when everything was delivered", () => {
    const dir = folder();
    const mark = (text: string): { mark: Uint8Array } => ({ mark: bytes(text) });
    const found = (): string | null => {
      const spool = openSpool(dir);
      const last = spool.lastMark("traces");
      spool.close();
      return last === null ? null : text(last);
    };
    assert.equal(found(), null);
    const first = openSpool(dir, { segmentBytes: 64 });
    first.put("traces", bytes("a"), 1, mark("one"));
    first.put("traces", bytes("b"), 1, mark("two"));
    put(first, "without one");
    first.close();
    assert.equal(found(), "two");
    const second = openSpool(dir, { segmentBytes: 64 });
    assert.deepEqual(drain(second), ["a", "b", "without one"]);
    assert.equal(text(second.lastMark("traces")!), "two");
    second.close();
    assert.equal(found(), "two");
    assert.equal(found(), "two");
    assert.equal(files(dir).length, 1, "the mark alone");
    const third = openSpool(dir);
    third.put("traces", bytes("c"), 1, mark("x".repeat(255)));
    assert.throws(() => third.put("traces", bytes("c"), 1, mark("x".repeat(256))), RangeError);
    third.close();
    assert.equal(found(), "x".repeat(255));
    assert.equal(files(dir).length, 1, "the segment, and no longer the mark");
  });

  it("hands out what is old enough, and drops what is too old, whatever its clock is set to", () => {
    let [time, elapsed] = [1_000_000_000, 500.5];
    const options = { maxAgeMs: 1000, minReadAgeMs: 100, now: () => time, elapsed: () => elapsed };
    const pass = (ms: number): void => {
      time += ms;
      elapsed += ms;
    };
    const spool = openSpool(folder(), options);
    put(spool, "a");
    assert.equal(spool.next("traces"), null, "too young");
    time += 3_600_000;
    assert.equal(spool.next("traces"), null, "still");
    put(spool, "b");
    pass(100);
    const a = spool.next("traces")!;
    assert.equal(text(a.body), "a");
    spool.giveBack(a.id);
    time -= 7_200_000;
    put(spool, "c");
    assert.deepEqual([1, 2].map(() => text(spool.next("traces")!.body)), ["a", "b"]);
    assert.equal(spool.next("traces"), null, "too young");
    pass(1001);
    put(spool, "d");
    assert.deepEqual(spool.counts.traces.dropped.age, { requests: 1, items: 1 });
    pass(100);
    assert.deepEqual(drain(spool), ["d"]);
    spool.close();
  });

  it("knows how old something of earlier is by its clock alone, as it is when it is found", () => {
    let [time, elapsed] = [1_000_000_000, 0];
    const options = { maxAgeMs: 1000, now: () => time, elapsed: () => elapsed };
    const found = (change: number): Spool => {
      const dir = folder();
      const spool = openSpool(dir, options);
      put(spool, "a");
      spool.close();
      time += change;
      return openSpool(dir, options);
    };
    // It is right after the start only.
    const behind = found(-3_600_000);
    time += 3_600_000 + 900;
    elapsed += 900;
    assert.equal(behind.counts.traces.dropped.age.requests, 0);
    const stored = behind.next("traces")!;
    behind.giveBack(stored.id);
    elapsed += 101;
    put(behind, "b");
    assert.deepEqual(drain(behind), ["b"]);
    assert.equal(behind.counts.traces.dropped.age.requests, 1);
    behind.close();
    const ahead = found(1001);
    assert.equal(ahead.counts.traces.dropped.age.requests, 1);
    ahead.close();
  });
});

describe("spools that share a limit", () => {
  const body = "x".repeat(500);

  it("lose the oldest of whichever has most, and count it there", () => {
    const budget = { maxBytes: 20_000 };
    const dirs = [folder(), folder()];
    const [one, other] = dirs.map((dir) => openSpool(dir, { budget, segmentBytes: 1000 }));
    put(one, ...Array(100).fill(body));
    assert.ok(one.counts.traces.dropped.size.requests > 50);
    const { requests } = one.counts.traces.waiting;
    const sizeOf = (): number =>
      one.counts.traces.bytes + other.counts.traces.bytes + other.counts.logs.bytes;
    // As long as it has less than the first, what it needs is taken from that.
    for (let i = 0; other.counts.traces.bytes < 9000; i++) {
      put(other, body);
      assert.ok(sizeOf() <= budget.maxBytes, String(i));
    }
    assert.equal(other.counts.traces.dropped.size.requests, 0);
    assert.ok(one.counts.traces.waiting.requests <= requests / 2 + 2);
    // Then each has half.
    put(other, ...Array(100).fill(body));
    assert.ok(other.counts.traces.dropped.size.requests > 0);
    assert.ok(one.counts.traces.bytes > 9000 && sizeOf() <= budget.maxBytes);
    // One that is closed takes no room, and none from others.
    one.close();
    put(other, ...Array(100).fill(body));
    assert.ok(other.counts.traces.bytes > 18_000);
    other.close();
    const again = openSpool(dirs[1], { maxBytes: 5000 });
    assert.ok(again.counts.traces.bytes <= 5000, "at once");
    assert.ok(again.counts.traces.dropped.size.requests > 0);
    again.close();
  });

  it("lose what was delivered before what was not", () => {
    const budget = { maxBytes: 20_000 };
    const [one, other] = [folder(), folder()].map((dir) =>
      openSpool(dir, { budget, segmentBytes: 10_000 })
    );
    for (let i = 0; i < 15; i++) {
      const placed = one.put("logs", bytes(body), 1, { take: true });
      assert.ok("id" in placed);
      one.acknowledge(placed.id);
    }
    assert.ok(one.counts.logs.bytes > 7000, "it is still open");
    put(other, ...Array(30).fill(body));
    assert.equal(one.counts.logs.bytes, 0);
    assert.equal(other.counts.traces.dropped.size.requests, 0);
    put(one, body);
    assert.deepEqual(drain(one), [body]);
    assert.equal(drain(other).length, 30);
    one.close();
    other.close();
  });

  it("hand out nothing of what was dropped while it was on its way", () => {
    const budget = { maxBytes: 5000 };
    const [one, other] = [folder(), folder()].map((dir) =>
      openSpool(dir, { budget, segmentBytes: 1000 })
    );
    put(one, ...Array(7).fill(body));
    const first = one.next("traces")!;
    while (one.counts.traces.dropped.size.requests === 0) put(other, body);
    one.giveBack(first.id);
    const { dropped, waiting, running } = one.counts.traces;
    assert.equal(running.requests, 0);
    assert.equal(dropped.size.requests + waiting.requests, 7);
    assert.equal(drain(one).length, 7 - dropped.size.requests);
    one.close();
    other.close();
  });
});

describe("faults of others", () => {
  it("two rollovers in one millisecond overwrite data", () => {
    const spool = openSpool(folder(), { segmentBytes: 50, now: () => 1_700_000_000_000 });
    const bodies = Array.from({ length: 500 }, (_, i) => `body ${i}`);
    put(spool, ...bodies);
    assert.deepEqual(drain(spool), bodies);
    spool.close();
  });

  it("deleting the second item deletes the first", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a", "b", "c");
    first.next("traces");
    first.acknowledge(first.next("traces")!.id);
    first.close();
    const second = openSpool(dir);
    assert.deepEqual(drain(second), ["a", "c"]);
    second.close();
  });

  it("a torn tail loses the whole file", () => {
    const last = "the last record, which is cut off";
    const whole = abandon(folder(), {}, "a", "b", last);
    const content = readFileSync(whole);
    const start = content.length - HEADER_BYTES - last.length;
    for (let end = start; end < content.length; end++) {
      const dir = folder();
      const spool = openSpool(dir);
      spool.close();
      // Under the names that a killed process leaves, and a closed one.
      const name = whole.replace(/.*\//, "").replace(/seg$/, end % 2 === 0 ? "tmp" : "seg");
      writeFileSync(join(dir, "traces", name), content.subarray(0, end));
      const next = openSpool(dir);
      assert.equal(next.counts.traces.waiting.requests, 2, `cut at ${end}`);
      assert.equal(next.counts.traces.torn, end > start ? 1 : 0, `cut at ${end}`);
      put(next, "c");
      assert.deepEqual(drain(next), ["a", "b", "c"], `cut at ${end}`);
      assert.equal(next.counts.traces.dropped.corrupt.requests, 0, `cut at ${end}`);
      next.close();
    }
  });

  it("one bad record loses all that follow", () => {
    const bodies = ["first", "second", "third", "fourth"];
    const sizes = bodies.map((body) => HEADER_BYTES + body.length);
    const begin = PROGRESS_BYTES + sizes[0];
    for (let at = begin; at < begin + sizes[1]; at++) {
      const dir = folder();
      const path = abandon(dir, {}, ...bodies);
      const content = readFileSync(path);
      content[at] ^= 0x10;
      writeFileSync(path, content);
      const spool = openSpool(dir);
      // Byte 4 says whether it was acknowledged: of two wrongs, one that is delivered twice.
      const rest = at === begin + 4 ? bodies : ["first", "third", "fourth"];
      assert.deepEqual(drain(spool), rest, `byte ${at - begin}`);
      assert.equal(spool.counts.traces.dropped.corrupt.requests, 4 - rest.length);
      assert.equal(spool.counts.traces.waiting.requests, 0);
      spool.close();
    }
  });

  it("a batch over the file limit is never stored", () => {
    const spool = openSpool(folder(), { segmentBytes: 1000, maxBytes: 100_000 });
    const large = "x".repeat(50_000);
    put(spool, "a", large, "b");
    assert.deepEqual(drain(spool), ["a", large, "b"]);
    assert.deepEqual(spool.put("traces", bytes("x".repeat(100_000)), 7), { refused: "large" });
    assert.deepEqual(spool.counts.traces.refused.large, { requests: 1, items: 7 });
    spool.close();
  });

  it("bytes of prefixes are not counted", () => {
    const dir = folder();
    const maxBytes = 10_000;
    const spool = openSpool(dir, { segmentBytes: 1000, maxBytes });
    for (let i = 0; i < 1000; i++) {
      put(spool, String(i));
      const used = files(dir).map((name) => statSync(join(dir, "traces", name)).size);
      const sum = used.reduce((total, size) => total + size, 0);
      assert.ok(sum <= maxBytes, String(sum));
      assert.equal(sum, spool.counts.traces.bytes);
    }
    const { dropped, waiting } = spool.counts.traces;
    assert.equal(dropped.size.requests + waiting.requests, 1000);
    assert.ok(waiting.requests > 200, "the room is used");
    const left = drain(spool);
    assert.deepEqual(
      left,
      Array.from({ length: left.length }, (_, i) => `${1000 - left.length + i}`),
    );
    assert.equal(left.length, 1000 - dropped.size.requests);
    spool.close();
  });

  it("a second one steals a live temporary file", () => {
    const dir = folder();
    const first = openSpool(dir);
    put(first, "a");
    const second = openSpool(dir);
    assert.equal(second.counts.traces.waiting.requests, 0);
    put(second, "of the second");
    put(first, "b");
    assert.equal(second.adopt(), 0);
    assert.deepEqual(drain(second), ["of the second"]);
    assert.deepEqual(drain(first), ["a", "b"]);
    put(first, "left");
    first.close();
    put(second, "newer");
    assert.equal(second.adopt(), 1);
    assert.deepEqual(drain(second), ["left", "newer"]);
    second.close();
    assert.deepEqual(readdirSync(dir).sort(), ["logs", "metrics", "traces"]);
  });
});

/** Puts in the place of a file what can be opened and not read: EIO. Returns how to put it back. */
function breakFile(path: string): () => void {
  renameSync(path, `${path}.whole`);
  symlinkSync("/proc/self/mem", path);
  return () => renameSync(`${path}.whole`, path);
}

describe(
  "a file that the system does not let be read",
  { skip: process.platform !== "linux" },
  () => {
    const bodies = ["a", "b", "c", "d"].map((letter) => letter.repeat(50));
    const [a, b, c, d] = bodies;

    it("keeps its requests, holds up no others, and is tried again later", () => {
      const dir = folder();
      const first = openSpool(dir, { segmentBytes: 50 });
      put(first, ...bodies);
      first.close();
      let time = 0;
      const spool = openSpool(dir, { elapsed: () => time });
      const mend = breakFile(join(dir, "traces", files(dir)[1]));
      assert.deepEqual(drain(spool), [a, c, d]);
      assert.match(spool.readError("traces")!, /EIO/);
      put(spool, "e");
      assert.deepEqual(drain(spool), ["e"]);
      const { waiting, dropped } = spool.counts.traces;
      assert.deepEqual([waiting.requests, dropped.corrupt.requests], [1, 0]);
      time += 30_000;
      assert.deepEqual(drain(spool), []);
      assert.match(spool.readError("traces")!, /EIO/);
      mend();
      assert.equal(spool.next("traces"), null, "not all the time");
      time += 30_000;
      assert.deepEqual(drain(spool), [b]);
      assert.equal(spool.readError("traces"), undefined);
      assert.equal(waiting.requests, 0);
      spool.close();
      assert.deepEqual(files(dir), []);
    });

    it("keeps what was given back, too", () => {
      const dir = folder();
      let time = 0;
      const spool = openSpool(dir, { segmentBytes: 50, elapsed: () => time });
      put(spool, ...bodies);
      const [one, other] = [1, 2].map(() => spool.next("traces")!);
      const mend = breakFile(join(dir, "traces", files(dir)[0]));
      spool.giveBack(one.id);
      assert.deepEqual(drain(spool), [c, d]);
      const { waiting, running, dropped } = spool.counts.traces;
      assert.deepEqual([waiting.requests, running.requests, dropped.corrupt.requests], [1, 1, 0]);
      mend();
      spool.giveBack(other.id);
      time += 30_000;
      assert.deepEqual(drain(spool), [a, b]);
      assert.deepEqual([waiting.requests, running.requests], [0, 0]);
      spool.close();
    });

    it("is looked at again when it could not be taken over", () => {
      const dir = folder();
      const first = openSpool(dir, { segmentBytes: 50 });
      first.put("traces", bytes(a), 1, { mark: bytes("one") });
      first.put("traces", bytes(b), 1, { mark: bytes("two") });
      first.close();
      symlinkSync("loop", join(dir, "loop"));
      const contents = files(dir).map((name) => {
        const path = join(dir, "traces", name);
        const content = readFileSync(path);
        rmSync(path);
        symlinkSync("../loop", path);
        return content;
      });
      const spool = openSpool(dir);
      assert.equal(spool.next("traces"), null);
      assert.match(spool.readError("traces")!, /ELOOP/);
      files(dir).forEach((name, i) => {
        rmSync(join(dir, "traces", name));
        writeFileSync(join(dir, "traces", name), contents[i]);
      });
      assert.equal(spool.adopt(), 2);
      assert.equal(spool.readError("traces"), undefined);
      assert.deepEqual(drain(spool), [a, b]);
      assert.equal(text(spool.lastMark("traces")!), "two");
      spool.close();
    });
  },
);

describe("a folder that is gone while it is used", () => {
  const record = HEADER_BYTES + 2;

  for (
    const [how, remove] of [
      ["removed", (dir: string) => rmSync(dir, { recursive: true })],
      ["emptied", (dir: string) => {
        for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true });
      }],
      [
        "robbed of one of its folders",
        (dir: string) => rmSync(join(dir, "traces"), { recursive: true }),
      ],
      ["moved", (dir: string) => renameSync(dir, `${dir}-moved`)],
    ] as const
  ) {
    it(`is made again when it was ${how}, with what is open`, () => {
      const dir = folder();
      const spool = openSpool(dir, { segmentBytes: PROGRESS_BYTES + 3 * record });
      const mark = bytes("g");
      put(spool, ..."abcdef");
      spool.put("traces", bytes("g"), 1, { mark });
      const first = spool.next("traces")!;
      assert.deepEqual(spool.check(), { vanished: 0, error: undefined });
      remove(dir);
      // In that order: the first segment is being read, and the last one written.
      assert.deepEqual(spool.check(), { vanished: 1, error: undefined });
      assert.deepEqual(spool.check(), { vanished: 1, error: undefined });
      const { dropped, waiting } = spool.counts.traces;
      assert.deepEqual(dropped.gone, { requests: 3, items: 3 });
      assert.equal(waiting.requests, 3);
      spool.acknowledge(first.id);
      put(spool, "h");
      spool.close();
      const next = openSpool(dir);
      assert.equal(text(next.lastMark("traces")!), "g");
      assert.deepEqual(drain(next), ["b", "c", "g", "h"]);
      assert.equal(next.counts.traces.dropped.corrupt.requests, 0);
      next.close();
    });
  }

  it("refuses what is put while it can't be made, and works on when it can", () => {
    const dir = folder();
    const spool = openSpool(dir);
    put(spool, "a", "b");
    const one = spool.next("traces")!;
    rmSync(dir, { recursive: true });
    writeFileSync(dir, "a file");
    for (let again = 0; again < 2; again++) {
      const { vanished, error } = spool.check();
      assert.equal(vanished, 1);
      assert.match(error!, /EEXIST|ENOTDIR/);
    }
    assert.deepEqual(spool.put("traces", bytes("c"), 1), { refused: "failed" });
    assert.match(spool.lastError!, /EEXIST|ENOTDIR/);
    spool.acknowledge(one.id);
    unlinkSync(dir);
    assert.deepEqual(spool.check(), { vanished: 1, error: undefined });
    put(spool, "d");
    spool.close();
    const next = openSpool(dir);
    assert.deepEqual(drain(next), ["b", "d"]);
    next.close();
  });

  it("is made again at once when a file can't be made in it", () => {
    const dir = folder();
    const spool = openSpool(dir);
    rmSync(dir, { recursive: true });
    put(spool, "a");
    assert.equal(spool.counts.traces.refused.failed.requests, 0);
    spool.close();
    const next = openSpool(dir);
    assert.deepEqual(drain(next), ["a"]);
    next.close();
  });

  it("has files of no owner when its lock was removed, until it has another", () => {
    const dir = folder();
    const spool = openSpool(dir);
    put(spool, "a");
    for (const name of readdirSync(dir)) if (name.endsWith(".lock")) unlinkSync(join(dir, name));
    assert.equal(spool.check().vanished, 1);
    const other = openSpool(dir);
    assert.equal(other.counts.traces.waiting.requests, 0, "not taken for a dead owner's");
    put(spool, "b");
    assert.deepEqual(drain(spool), ["a", "b"]);
    spool.close();
    other.close();
  });

  it("delivers each once where its files are others of the same names: another mount, a copy", () => {
    const dir = folder();
    const spool = openSpool(dir, { segmentBytes: PROGRESS_BYTES + 3 * record });
    put(spool, ..."abcd");
    renameSync(dir, `${dir}-moved`);
    cpSync(`${dir}-moved`, dir, { recursive: true });
    assert.deepEqual(spool.check(), { vanished: 1, error: undefined });
    assert.equal(spool.adopt(), 0, "what it has itself is no dead owner's");
    put(spool, "e");
    assert.deepEqual(drain(spool), [..."abcde"]);
    spool.close();
    const next = openSpool(dir);
    assert.deepEqual(drain(next), []);
    next.close();
  });

  it("is made again where a file that is open was replaced", () => {
    const dir = folder();
    const spool = openSpool(dir);
    put(spool, "a");
    const path = join(dir, "traces", files(dir)[0]);
    unlinkSync(path);
    writeFileSync(path, "");
    assert.deepEqual(spool.check(), { vanished: 1, error: undefined });
    put(spool, "b");
    spool.close();
    const next = openSpool(dir);
    assert.deepEqual(drain(next), ["a", "b"]);
    next.close();
  });

  it("takes nothing of its own for a dead owner's while it can't be made again", () => {
    const dir = folder();
    abandon(dir, {}, "a");
    const spool = openSpool(dir);
    spool.put("logs", bytes("b"), 1);
    const [name] = files(dir);
    const path = join(dir, "traces", name);
    renameSync(path, `${path}-kept`);
    symlinkSync(path, path);
    for (const name of readdirSync(dir)) if (name.endsWith(".lock")) unlinkSync(join(dir, name));
    assert.match(spool.check().error!, /ELOOP/);
    assert.equal(spool.adopt(), 0);
    renameSync(`${path}-kept`, path);
    assert.equal(spool.check().error, undefined);
    assert.equal(spool.counts.logs.waiting.requests, 1);
    assert.deepEqual(drain(spool), ["a"]);
    spool.close();
  });

  it("is where it was when the process goes to another folder", () => {
    const before = process.cwd();
    const dir = folder();
    const elsewhere = folder();
    process.chdir(dir);
    try {
      const spool = openSpool("spool");
      put(spool, "a");
      process.chdir(elsewhere);
      assert.deepEqual(spool.check(), { vanished: 0, error: undefined });
      put(spool, "b");
      spool.close();
      assert.deepEqual(readdirSync(elsewhere), []);
    } finally {
      process.chdir(before);
    }
  });
});

describe("damage", () => {
  it("of how far a segment is delivered has that delivered again, and nothing lost", () => {
    for (let at = 0; at < 12; at++) {
      const dir = folder();
      const first = openSpool(dir);
      put(first, "a", "b", "c");
      first.acknowledge(first.next("traces")!.id);
      first.close();
      const path = join(dir, "traces", files(dir)[0]);
      const content = readFileSync(path);
      content[at] ^= 0x10;
      writeFileSync(path, content);
      const second = openSpool(dir);
      assert.deepEqual(drain(second), ["a", "b", "c"], `byte ${at}`);
      second.close();
    }
  });

  it("of bytes that are gone or came in between costs the record that they are in", () => {
    for (const change of [-3, 3]) {
      const dir = folder();
      const path = abandon(dir, {}, "first", "second", "third");
      const content = readFileSync(path);
      const at = PROGRESS_BYTES + HEADER_BYTES + 5 + HEADER_BYTES + 2;
      writeFileSync(
        path,
        Buffer.concat(
          change < 0
            ? [content.subarray(0, at), content.subarray(at - change)]
            : [content.subarray(0, at), Buffer.alloc(change), content.subarray(at)],
        ),
      );
      const spool = openSpool(dir);
      assert.deepEqual(drain(spool), ["first", "third"]);
      assert.equal(spool.counts.traces.dropped.corrupt.requests, 1);
      spool.close();
    }
  });

  it("of as many bytes as the next record has does not cost that one", () => {
    const dir = folder();
    const path = abandon(dir, {}, "first", "x".repeat(100), "third", "fourth");
    const content = readFileSync(path);
    const at = PROGRESS_BYTES + 2 * HEADER_BYTES + 5 + 10;
    const lost = HEADER_BYTES + 5;
    writeFileSync(path, Buffer.concat([content.subarray(0, at), content.subarray(at + lost)]));
    const spool = openSpool(dir);
    assert.deepEqual(drain(spool), ["first", "third", "fourth"]);
    assert.equal(spool.counts.traces.dropped.corrupt.requests, 1);
    assert.equal(spool.counts.traces.waiting.requests, 0);
    spool.close();
  });

  it("of what was delivered costs nothing of what was not, wherever that is now", () => {
    for (const change of [-3, 3, -(HEADER_BYTES + 7)]) {
      const dir = folder();
      const first = openSpool(dir);
      put(first, "1 goes", "2 goes", "3 stay", "4 stay");
      for (let i = 0; i < 2; i++) first.acknowledge(first.next("traces")!.id);
      first.close();
      const path = join(dir, "traces", files(dir)[0]);
      const content = readFileSync(path);
      const at = PROGRESS_BYTES + HEADER_BYTES + 2;
      const behind = content.subarray(at + Math.max(0, -change));
      const added = Buffer.alloc(Math.max(0, change));
      writeFileSync(path, Buffer.concat([content.subarray(0, at), added, behind]));
      // What is delivered behind the damage is so for whoever comes next.
      for (const expected of ["3 stay", "4 stay"]) {
        const spool = openSpool(dir);
        let stored = spool.next("traces")!;
        if (text(stored.body) === "2 goes") {
          spool.acknowledge(stored.id);
          stored = spool.next("traces")!;
        }
        assert.equal(text(stored.body), expected, `change ${change}`);
        spool.acknowledge(stored.id);
        spool.close();
      }
      const last = openSpool(dir);
      assert.deepEqual(drain(last), []);
      last.close();
    }
  });

  it("takes nothing inside of a message for a record", () => {
    const source = folder();
    const inner = readFileSync(abandon(source, {}, "hidden"));
    const dir = folder();
    const path = abandon(dir, {}, "a", inner.toString("latin1"), "b");
    const spool = openSpool(dir);
    assert.deepEqual(drain(spool).length, 3);
    spool.close();
    const again = abandon(dir, {}, "a", "b");
    // Where the second was there is a record of another segment.
    const content = readFileSync(again);
    const record = inner.subarray(PROGRESS_BYTES, PROGRESS_BYTES + HEADER_BYTES + 1);
    content.set(record, PROGRESS_BYTES + HEADER_BYTES + 1);
    writeFileSync(again, content);
    const next = openSpool(dir);
    assert.deepEqual(drain(next), ["a"]);
    next.close();
    assert.notEqual(path, again);
  });

  it("of a file that is cut off while it is read costs what is gone", () => {
    const dir = folder();
    const spool = openSpool(dir, { segmentBytes: 700_000 });
    put(spool, ..."abcdef".split("").map((letter) => letter.repeat(100_000)));
    assert.equal(text(spool.next("traces")!.body)[0], "a");
    truncateSync(join(dir, "traces", files(dir)[0]), 350_000);
    const rest: string[] = [];
    for (let stored = spool.next("traces"); stored !== null; stored = spool.next("traces")) {
      rest.push(text(stored.body)[0]);
    }
    assert.deepEqual(rest, ["b", "c"]);
    spool.close();
  });

  it("makes nobody believe the marks behind it, in any segment, until others are put", () => {
    const dir = folder();
    const store = (spool: Spool, ...bodies: string[]): void => {
      for (const body of bodies) spool.put("traces", bytes(body), 1, { mark: bytes(body) });
    };
    const found = (): string | null => {
      const spool = openSpool(dir);
      const mark = spool.lastMark("traces");
      spool.close();
      return mark === null ? null : text(mark);
    };
    const record = HEADER_BYTES + 2;
    const first = openSpool(dir, { segmentBytes: PROGRESS_BYTES + 3 * record });
    store(first, ..."abcdefg");
    first.close();
    assert.equal(found(), "g");
    const lose = (file: string, at: number): void => {
      const path = join(dir, "traces", file);
      const content = readFileSync(path);
      content.fill(0, at, at + record);
      writeFileSync(path, content);
    };
    lose(files(dir)[1], PROGRESS_BYTES + record);
    assert.equal(found(), "d");
    assert.equal(found(), "d", "who looks again finds the same");
    const second = openSpool(dir, { segmentBytes: PROGRESS_BYTES + 3 * record });
    store(second, ..."ef");
    second.close();
    // The damage is still there.
    assert.equal(found(), "f");
    const third = openSpool(dir);
    store(third, "g");
    assert.deepEqual(drain(third), [..."abcdfgefg"]);
    assert.deepEqual(third.counts.traces.dropped.corrupt, { requests: 1, items: 0 });
    third.close();
    assert.equal(found(), "g");
    assert.equal(found(), "g");
    assert.equal(files(dir).length, 1, "the mark alone");
  });

  it("of the first makes nobody believe any", () => {
    const dir = folder();
    const spool = openSpool(dir);
    for (const body of "ab") spool.put("traces", bytes(body), 1, { mark: bytes(body) });
    spool.close();
    const [name] = files(dir);
    const content = readFileSync(join(dir, "traces", name));
    // Of the message alone; the file is the last one, so that is looked at.
    content[PROGRESS_BYTES + HEADER_BYTES + 1] ^= 1;
    writeFileSync(join(dir, "traces", name), content);
    for (let start = 0; start < 2; start++) {
      const next = openSpool(dir);
      assert.equal(next.lastMark("traces"), null);
      next.close();
    }
  });

  it("of a kill while a mark is written leaves nothing behind, and takes nothing from a living owner", () => {
    const dir = folder();
    const living = openSpool(dir);
    const [lock] = readdirSync(dir).filter((name) => name.endsWith(".lock"));
    const unfinished = (owner: string): string => {
      writeFileSync(join(dir, "traces", `${owner}.new`), "a mark, as far as it was writ");
      return `${owner}.new`;
    };
    const kept = unfinished(lock.replace(".lock", ""));
    // One of these has ended as it should otherwise, the other was killed.
    unfinished("1-00000001");
    unfinished("1-00000002");
    writeFileSync(join(dir, "1-00000002.lock"), "");
    openSpool(dir).close();
    assert.deepEqual(files(dir), [kept]);
    assert.deepEqual(readdirSync(dir).filter((name) => name.endsWith(".lock")), [lock]);
    living.close();
    openSpool(dir).close();
    assert.deepEqual(files(dir), []);
  });

  it("leaves alone what is not its own", () => {
    const dir = folder();
    openSpool(dir).close();
    const names = ["notes.txt", "000000000001-00000000.1-abc.seg", ".nomedia", "1-abc.new"];
    for (const name of names) writeFileSync(join(dir, "traces", name), "mine");
    const spool = openSpool(dir, { maxBytes: 1000 });
    for (let i = 0; i < 100; i++) put(spool, String(i));
    drain(spool);
    spool.close();
    assert.deepEqual(files(dir), names.sort());
  });
});
