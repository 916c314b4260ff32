/** Beside the library's. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import { crc32 } from "node:zlib";
import { Random, seed } from "../../tests/support/random.ts";
import { shortCrc } from "./short-crc.ts";

it(`a CRC of a few bytes is the library's, seed ${seed}`, () => {
  const random = new Random();
  for (let turn = 0; turn < 2000; turn++) {
    const bytes = Buffer.from(Array.from({ length: 64 }, () => random.below(256)));
    const from = random.below(65);
    const to = from + random.below(65 - from);
    const before = random.below(2 ** 32);
    assert.equal(shortCrc(bytes, from, to, before), crc32(bytes.subarray(from, to), before));
  }
});
