import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FileBuilder } from "../../tests/support/build.ts";
import { GROWTH_RESERVE_BYTES, MappedFile } from "../file/mapped.ts";
import { BAD_REF, Rejection } from "../record/wire.ts";
import { DictionaryReader, MAX_CACHE_BYTES, MAX_ENTRY_BYTES } from "./read.ts";
import { RefTable } from "./refs.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-dictionary-"));
after(() => rmSync(directory, { recursive: true }));

function keyOf(reader: DictionaryReader, ref: number): string {
  const item = 3 * reader.key(ref);
  const [at, length] = [reader.items[item], reader.items[item + 1]];
  const field = reader.pool.u8.slice(at, at + length);
  assert.equal(field[0], 0x0a);
  return new TextDecoder().decode(field.subarray(field[1] > 0x7f ? 3 : 2));
}

describe("DictionaryReader", () => {
  it("gives keys as OTLP fields, the same one for a ref every time", () => {
    const file = new FileBuilder();
    const texts = ["a", "http.request.method", "ключ", "x".repeat(300)];
    const refs = texts.map((text) => Number(file.string(text)));
    const reader = new DictionaryReader(file, file.dictionary);
    for (let turn = 0; turn < 2; turn++) {
      assert.deepEqual(refs.map((ref) => keyOf(reader, ref)), texts);
      assert.equal(keyOf(reader, 0), "");
    }
    assert.equal(reader.key(refs[1]), reader.key(refs[1]));
  });

  it("follows no ref outside the entries, and no entry beyond the end", () => {
    const file = new FileBuilder({ dictionaryBytes: 256 });
    const last = Number(file.string("last"));
    const reader = new DictionaryReader(file, file.dictionary);
    const end = Number(file.i64[file.dictionary / 8]);
    const bad = [-1, 1, 64, file.dictionary, file.dictionary + 63, end, file.size, 2 ** 31, NaN];
    for (const ref of bad) assert.throws(() => reader.entry(ref), (e) => e === BAD_REF, `${ref}`);
    assert.equal(reader.entry(last).length, 4);
    // Its length reaches beyond the end of the dictionary, of the file, of what an entry may have.
    for (const length of [5, 0x7f]) {
      file.u8[last] = length;
      assert.throws(() => reader.entry(last), (e) => e === BAD_REF);
    }
    file.u8.fill(0xff, last, last + 5);
    assert.throws(() => reader.entry(last), (e) => e instanceof Rejection);
  });

  it("starts over when it remembers too much", () => {
    const bytes = 40 * MAX_ENTRY_BYTES;
    const file = new FileBuilder({ dictionaryBytes: bytes });
    const refs = Array.from({ length: 20 }, (_, i) => {
      return Number(file.string(String.fromCharCode(97 + i).repeat(MAX_ENTRY_BYTES - 10)));
    });
    const reader = new DictionaryReader(file, file.dictionary);
    for (const ref of refs) {
      const item = 3 * reader.key(ref);
      assert.equal(reader.items[item + 1], MAX_ENTRY_BYTES - 10 + 4);
      assert.ok(reader.pool.u8.length <= 2 * MAX_CACHE_BYTES + 16);
    }
    assert.equal(reader.epoch, 1);
    assert.equal(reader.items[3 * reader.key(refs[0]) + 1], MAX_ENTRY_BYTES - 10 + 4);
  });

  it("notices that the file became longer, also beyond what was reserved", () => {
    const path = join(directory, "grows.otlp");
    const builder = new FileBuilder({ dictionaryBytes: 128 });
    const first = Number(builder.string("first"));
    builder.save(path);
    const file = MappedFile.open(path);
    const reader = new DictionaryReader(file, builder.dictionary);
    assert.equal(keyOf(reader, first), "first");
    const size = file.size;
    // A collector follows hundreds of files, and views of gigabytes have V8 collect without end.
    assert.ok(file.u8.length <= size + (1 << 20), `${file.u8.length} bytes viewed of ${size}`);
    for (const at of [1000, 1 << 20, GROWTH_RESERVE_BYTES + (1 << 20)].map((more) => size + more)) {
      assert.throws(() => reader.entry(at), (e) => e === BAD_REF);
      truncateSync(path, at + 100);
      const bytes = new TextEncoder().encode(`at ${at}`);
      const writer = MappedFile.open(path);
      writer.u8[at] = bytes.length;
      writer.u8.set(bytes, at + 1);
      writer.i64[builder.dictionary / 8] = BigInt(at + 100);
      writer.close();
      assert.equal(keyOf(reader, at), `at ${at}`);
    }
    file.close();
  });
});

describe("RefTable", () => {
  it("gives what was put in", () => {
    const table = new RefTable();
    for (let i = 1; i <= 5000; i++) table.set(i * 17, i);
    for (let i = 1; i <= 5000; i++) {
      assert.equal(table.get(i * 17), i);
      assert.equal(table.get(i * 17 + 1), -1);
    }
    table.clear();
    assert.equal(table.get(17), -1);
  });
});
