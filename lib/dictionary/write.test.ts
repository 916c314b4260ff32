import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  DICTIONARY_NUM_ENTRIES,
} from "../format/layout.ts";
import {
  DictionaryWriter,
  type GrowableFile,
  MAX_INTERNED_LENGTH,
  SHARED_MARGIN_BYTES,
} from "./write.ts";

/** Where the test's dictionary starts. */
const OFFSET = 128;
const FIRST_ENTRY = OFFSET + DICTIONARY_HEADER_BYTES;

/** A file in memory of `size` bytes that can grow to `reserve`. */
class FakeFile implements GrowableFile {
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  size: number;
  /** Lengths it was made, in order. */
  readonly grown: number[] = [];
  /** What growing throws. */
  failure: Error | null = null;

  constructor(size: number, reserve: number) {
    this.buffer = new ArrayBuffer(reserve);
    this.u8 = new Uint8Array(this.buffer);
    this.i32 = new Int32Array(this.buffer, 0, Math.floor(reserve / 4));
    this.i64 = new BigInt64Array(this.buffer, 0, Math.floor(reserve / 8));
    this.size = size;
    this.i64[(OFFSET + DICTIONARY_END) / 8] = BigInt(FIRST_ENTRY);
  }

  grow(bytes: number): void {
    if (this.failure !== null) throw this.failure;
    assert(bytes <= this.buffer.byteLength, "never beyond the reserve");
    assert(bytes > this.size, "only when it must");
    this.grown.push(bytes);
    this.size = bytes;
  }

  get end(): number {
    return Number(this.i64[(OFFSET + DICTIONARY_END) / 8]);
  }

  get entries(): number {
    return Number(this.i64[(OFFSET + DICTIONARY_NUM_ENTRIES) / 8]);
  }

  /** Every entry from the first to the end, by ref, read the way existing readers do. */
  read(): Map<number, Uint8Array> {
    const found = new Map<number, Uint8Array>();
    for (let ref = FIRST_ENTRY; ref < this.end;) {
      let length = 0;
      let at = ref;
      for (let shift = 0;; shift += 7) {
        const byte = this.u8[at++];
        length |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      // They skip the shortest form of the length, whatever is there.
      const canonical = length < 0x80 ? 1 : length < 0x4000 ? 2 : 3;
      assert.equal(at - ref, canonical, `length of the entry at ${ref}`);
      found.set(ref, this.u8.slice(at, at + length));
      ref = at + length;
    }
    return found;
  }
}

const utf8 = new TextEncoder();

for (const producers of ["one", "many"] as const) {
  describe(`a dictionary with ${producers === "one" ? "one producer" : "many producers"}`, () => {
    const margin = producers === "many" ? SHARED_MARGIN_BYTES : 0;
    const fileOf = (size: number, reserve = size): FakeFile => new FakeFile(size, reserve + margin);

    it("appends entries with canonical lengths, back to back", () => {
      const file = fileOf(1 << 20);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      const refs = [0, 1, 127, 128, 129, 16_383, 16_384, 0].map((length, i) => {
        const body = new Uint8Array(length).fill(i);
        return [dictionary.append(body), body] as const;
      });
      assert.equal(refs[0][0], FIRST_ENTRY);
      assert.deepEqual([...file.read()], refs);
      assert.equal(file.entries, refs.length);
    });

    it("interns a text once", () => {
      const file = fileOf(1 << 20);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      const texts = ["a", "ключ", "𝄞", "a".repeat(MAX_INTERNED_LENGTH), "a\0b"];
      const refs = texts.map((text) => dictionary.intern(text));
      assert.equal(new Set(refs).size, texts.length);
      assert.deepEqual(texts.map((text) => dictionary.intern(text)), refs);
      assert.deepEqual([...file.read()], texts.map((text, i) => [refs[i], utf8.encode(text)]));
      assert.equal(file.entries, texts.length);
    });

    it("has ref 0 for what is empty or too long, and is not full for that", () => {
      const file = fileOf(1 << 20);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      assert.equal(dictionary.intern(""), 0);
      assert.equal(dictionary.intern("a".repeat(MAX_INTERNED_LENGTH + 1)), 0);
      assert.equal(dictionary.full, false);
      assert.equal(file.end, FIRST_ENTRY);
    });

    it("makes the file longer in steps, never beyond its reserve", () => {
      const reserve = 1_000_000;
      const file = fileOf(1000, reserve);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      const body = new Uint8Array(10_000);
      let appended = 0;
      while (dictionary.append(body) !== 0) {
        appended++;
        assert(file.end <= file.size, "an entry behind the end of the file");
      }
      assert.equal(appended, Math.floor((reserve - FIRST_ENTRY) / 10_002));
      assert.equal(file.read().size, appended);
      assert(file.grown.length > 1 && file.grown.length <= 6, file.grown.join());
      assert.equal(dictionary.full, true);
      assert.equal(dictionary.failure, null);
      // What is known goes on being known, and what is smaller may still fit.
      const text = "k";
      const ref = dictionary.intern(text);
      assert.equal(ref === 0, file.end + 2 > reserve);
    });

    it("is full to the last byte", () => {
      const file = fileOf(FIRST_ENTRY + 10);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      assert.equal(dictionary.append(new Uint8Array(10)), 0);
      assert.equal(dictionary.full, true);
      assert.equal(dictionary.append(new Uint8Array(9)), FIRST_ENTRY);
      assert.equal(file.end, FIRST_ENTRY + 10);
      assert.equal(file.entries, 1);
    });

    it("says why the file could not be made longer, and keeps what it has", () => {
      const file = fileOf(FIRST_ENTRY + 8 + margin, 100_000);
      const dictionary = new DictionaryWriter(file, OFFSET, producers);
      const known = dictionary.intern("known");
      assert.equal(known, FIRST_ENTRY);
      file.failure = new Error("no space");
      assert.equal(dictionary.intern("another"), 0);
      assert.equal(dictionary.full, true);
      assert.equal(dictionary.failure, file.failure);
      assert.equal(dictionary.intern("known"), known);
      assert.equal(file.end, FIRST_ENTRY + 6);
      assert.equal(file.entries, 1);
    });
  });
}

describe("many producers of a dictionary", () => {
  it("append side by side", () => {
    const file = new FakeFile(4096, 4096 + SHARED_MARGIN_BYTES);
    const writers = [0, 1, 2].map(() => new DictionaryWriter(file, OFFSET, "many"));
    const refs = new Map<number, string>();
    for (let i = 0; i < 60; i++) {
      const text = `entry ${i}`;
      refs.set(writers[i % 3].intern(text), text);
    }
    assert.equal(refs.size, 60);
    assert.deepEqual(
      [...file.read()].map(([ref, body]) => [ref, new TextDecoder().decode(body)]),
      [...refs].sort(([a], [b]) => a - b),
    );
    assert.equal(file.entries, 60);
  });

  it("leave no claim behind the end of the file when they look at once", () => {
    const file = new FakeFile(FIRST_ENTRY + 100, FIRST_ENTRY + 100 + SHARED_MARGIN_BYTES);
    const [a, ...others] = Array.from(
      { length: 16 },
      () => new DictionaryWriter(file, OFFSET, "many"),
    );
    // What `a` does next is look and then claim: the others claim in between.
    const body = new Uint8Array(90);
    const grow = file.grow;
    let raced = 0;
    file.grow = function (bytes: number): void {
      grow.call(this, bytes);
      if (raced++ === 0) {
        for (const other of others) if (other.append(new Uint8Array(0)) === 0) assert.fail("full");
      }
    };
    assert.notEqual(a.append(body), 0);
    assert.equal(raced, 1);
    assert(file.end > FIRST_ENTRY + 100, "beyond what each may use");
    assert(file.end <= file.size, "and still within the file");
    assert.equal(file.read().size, 16);
    assert.equal(a.append(new Uint8Array(0)), 0);
  });
});
