import assert from "node:assert/strict";
import { closeSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { folders } from "../testing/run.ts";
import { CHECKPOINTED, COUNTS, DICTIONARY, SEALED, SETTINGS, SPAN } from "./format.ts";
import { itemsOf, makeMark } from "./mark.ts";
import { bytesOf, createRecord, jsonOf, readBlocks, restoreRecord, wordOf } from "./read.ts";
import {
  append,
  copyAside,
  createSegment,
  cutTail,
  listSegments,
  openSegment,
  setAside,
} from "./segment.ts";
import { BlockBuffer } from "./write.ts";

const folder = folders("segment");
const ID = Uint8Array.from({ length: 16 }, (_, i) => i);
const SETTINGS_ENTRY = { batchSize: 3, aggregation: { exemplars: "always_off" }, views: [] };

/** A segment with a checkpoint and nothing else. */
function newSegment(directory: string, number = 1) {
  return createSegment(directory, number, ID, (put) => {
    const buffer = new BlockBuffer();
    buffer.json(SETTINGS, SETTINGS_ENTRY);
    put(buffer.block());
    buffer.clear();
    buffer.words(CHECKPOINTED);
    put(buffer.block());
  });
}

/** Blocks of random records, each with its number in a word; returns where each ends. */
function fill(segment: ReturnType<typeof newSegment>, random: Random, count: number): number[] {
  const copy = createRecord();
  const ends: number[] = [];
  for (let block = 0; block < count; block++) {
    const buffer = new BlockBuffer();
    for (let i = random.below(20); i >= 0; i--) {
      copy.start = 2;
      copy.end = 3 + random.below(300);
      for (let at = 0; at < copy.end; at++) copy.u8[at] = random.word();
      buffer.record(SPAN, 7, i, copy);
    }
    buffer.bytesOf(DICTIONARY, [block], Uint8Array.from({ length: random.below(9) }, () => 0xff));
    append(segment, buffer.block());
    ends.push(segment.size);
  }
  return ends;
}

/** The numbers of the blocks that can be read, where the last of them ends, and what is behind. */
function blocksOf(directory: string): { numbers: number[]; end: number; isDamaged: boolean } {
  const numbers: number[] = [];
  const found = openSegment(directory, 1);
  assert.ok("fd" in found, JSON.stringify(found));
  const end = readBlocks(found.fd, found.size, (forEach) => {
    forEach((entry) => {
      if (entry.type === DICTIONARY) numbers.push(wordOf(entry, 0));
    });
  });
  closeSync(found.fd);
  return { numbers, end, isDamaged: found.isDamaged };
}

describe("a segment", () => {
  it("gives back records as they were copied, and the rest as it was put", () => {
    const directory = folder();
    const segment = newSegment(directory);
    const buffer = new BlockBuffer();
    const copy = createRecord();
    copy.start = 1;
    copy.end = 6;
    copy.u8.set([5, 1, 2, 3, 4, 5]);
    // Sequences are kept as far as 32 bits go.
    buffer.record(SPAN, 7, 2 ** 32 + 9, copy);
    buffer.json(COUNTS, { traces: 1, metrics: 2, logs: 3 });
    buffer.words(SEALED, -5);
    buffer.bytesOf(DICTIONARY, [1, 2], Uint8Array.of(9, 8, 7));
    append(segment, buffer.block());
    closeSync(segment.fd);
    const found = openSegment(directory, 1);
    assert.ok("fd" in found);
    assert.deepEqual(found.settings, SETTINGS_ENTRY);
    assert.deepEqual(found.id, ID);
    assert.equal(found.torn, 0);
    const said: unknown[] = [];
    readBlocks(found.fd, found.size, (forEach) => {
      forEach((entry) => {
        if (entry.type === SPAN) {
          const again = createRecord();
          restoreRecord(entry, again);
          said.push(wordOf(entry, 0), wordOf(entry, 1), again.start, again.end);
          said.push([...again.u8.subarray(0, again.end)]);
        } else if (entry.type === COUNTS) said.push(jsonOf(entry));
        else if (entry.type === SEALED) said.push(wordOf(entry, 0));
        else if (entry.type === DICTIONARY) said.push([...bytesOf(entry, 2)]);
      });
    });
    closeSync(found.fd);
    assert.deepEqual(said, [
      ...[7, 9, 1, 6, [5, 1, 2, 3, 4, 5]],
      { traces: 1, metrics: 2, logs: 3 },
      -5,
      [9, 8, 7],
    ]);
  });

  it(`ends before the first block that is not whole, wherever it was cut (seed ${seed})`, () => {
    const random = new Random();
    for (let round = 0; round < 100; round++) {
      const directory = folder();
      const segment = newSegment(directory);
      const begin = segment.size;
      const ends = fill(segment, random, 4);
      closeSync(segment.fd);
      const bytes = readFileSync(segment.path);
      const at = begin + random.below(bytes.length - begin);
      const isCut = random.below(2) === 0;
      // What a crash of the machine leaves may also be other bytes.
      if (!isCut) bytes[at] ^= 1 << random.below(8);
      writeFileSync(segment.path, isCut ? bytes.subarray(0, at) : bytes);
      const whole = ends.filter((end) => end <= at);
      const { numbers, end, isDamaged } = blocksOf(directory);
      const message = `byte ${at} of ${bytes.length}`;
      assert.deepEqual(numbers, whole.map((_, i) => i), message);
      assert.equal(end, whole.at(-1) ?? begin);
      // A last block that is said to be longer looks like one that was cut off.
      if (isCut || at < ends[2] || at >= ends[2] + 4) assert.equal(isDamaged, !isCut, message);
    }
  });

  it("is damaged where whole blocks follow one whose length is too large, and where zeros do", () => {
    const directory = folder();
    const segment = newSegment(directory);
    const [first] = fill(segment, new Random(3), 3);
    closeSync(segment.fd);
    const bytes = readFileSync(segment.path);
    const end = bytes.length;
    bytes[first + 3] = 0x40;
    writeFileSync(segment.path, bytes);
    assert.deepEqual(blocksOf(directory), { numbers: [0], end: first, isDamaged: true });
    // The same without what follows.
    writeFileSync(segment.path, bytes.subarray(0, first + 100));
    assert.deepEqual(blocksOf(directory), { numbers: [0], end: first, isDamaged: false });
    bytes.fill(0, first);
    writeFileSync(segment.path, bytes);
    assert.equal(statSync(segment.path).size, end);
    assert.deepEqual(blocksOf(directory), { numbers: [0], end: first, isDamaged: true });
  });

  it("is copied a few times at most, and never over another copy", () => {
    const directory = folder();
    const { path, fd } = newSegment(directory);
    closeSync(fd);
    const first = readFileSync(path);
    assert.equal(copyAside(path), `${path}.unread-1`);
    for (let i = 2; i <= 4; i++) {
      writeFileSync(path, `copy ${i}`);
      assert.equal(copyAside(path), `${path}.unread-${i}`);
    }
    assert.throws(() => copyAside(path), /there are 4 \*\.unread-\* beside it already/);
    assert.deepEqual(readFileSync(`${path}.unread-1`), first);
    assert.equal(readFileSync(`${path}.unread-4`, "utf8"), "copy 4");
    assert.deepEqual(listSegments(directory), [1]);
    assert.equal(readdirSync(directory).length, 5);
  });

  it("has nothing behind what was cut off when the next block comes", () => {
    const directory = folder();
    const segment = newSegment(directory);
    const ends = fill(segment, new Random(1), 3);
    closeSync(segment.fd);
    const bytes = readFileSync(segment.path);
    writeFileSync(segment.path, bytes.subarray(0, ends[2] - 1));
    const found = openSegment(directory, 1);
    assert.ok("fd" in found);
    assert.equal(found.torn, ends[2] - 1 - ends[1]);
    cutTail(found);
    assert.equal(statSync(found.path).size, ends[1]);
    fill(found, new Random(2), 1);
    closeSync(found.fd);
    assert.deepEqual(blocksOf(directory).numbers, [0, 1, 0]);
  });

  it("is not there when its checkpoint was not written to its end", () => {
    const directory = folder();
    assert.throws(() =>
      createSegment(directory, 1, ID, (put) => {
        put(new Uint8Array(10));
        throw new Error("ENOSPC");
      }), /ENOSPC/);
    assert.deepEqual(readdirSync(directory), []);
    writeFileSync(join(directory, "0000000001.journal.tmp"), "half");
    newSegment(directory, 2);
    assert.deepEqual(listSegments(directory), [2]);
    assert.deepEqual(readdirSync(directory), ["0000000002.journal"]);
  });

  it("is refused where it is not what it should be, and put aside without replacing anything", () => {
    const directory = folder();
    const { path, fd } = newSegment(directory);
    closeSync(fd);
    const bytes = readFileSync(path);
    const refused = (content: Uint8Array, reason: RegExp): void => {
      writeFileSync(path, content);
      const found = openSegment(directory, 1);
      assert.ok("reason" in found);
      assert.match(found.reason, reason);
    };
    refused(bytes.subarray(0, 20), /has no header/);
    refused(new Uint8Array(100), /is none/);
    refused(bytes.subarray(0, bytes.length - 1), /is damaged/);
    assert.equal(setAside(path), `${path}.unread-1`);
    writeFileSync(path, bytes);
    assert.equal(setAside(path), `${path}.unread-2`);
    assert.ok(!existsSync(path));
    assert.deepEqual(readFileSync(`${path}.unread-2`), bytes);
    assert.deepEqual(listSegments(directory), []);
  });
});

describe("a mark", () => {
  it("counts for the journal that it is of alone", () => {
    const mark = makeMark(ID, 2 ** 40 + 1);
    assert.equal(itemsOf(ID, mark), 2 ** 40 + 1);
    assert.equal(itemsOf(new Uint8Array(16), mark), 0);
    assert.equal(itemsOf(ID, null), 0);
    assert.equal(itemsOf(ID, mark.subarray(1)), 0);
  });
});
