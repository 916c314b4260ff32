import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { Random, seed } from "../../tests/support/random.ts";
import { type Document, readDocuments } from "./documents.ts";

async function read(chunks: Iterable<Uint8Array>): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of readDocuments(Readable.from(chunks))) documents.push(document);
  return documents;
}

/** Chunks of random lengths. */
function* pieces(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(40);
    yield bytes.subarray(at, end);
    at = end;
  }
}

const one = { resourceSpans: [{ a: '}{ " é€𝄞 \\' }] };
const two = { resourceLogs: [{ "resourceSpans": [["]"]] }] };
const lines = (value: unknown): string => JSON.stringify(value);
const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

describe("documents", () => {
  it(`are on a line or on several, packed or not (seed ${seed})`, async () => {
    const random = new Random();
    for (let round = 0; round < 50; round++) {
      const values = Array.from({ length: random.below(6) }, () => random.pick([one, two]));
      const text = values.map((value) =>
        random.pick([lines, pretty])(value) + random.pick(["\n", "\r\n", "\n\n"])
      ).join("");
      const bytes = Buffer.from(random.pick([text, text.trimEnd()]));
      const packed = random.pick([bytes, gzipSync(bytes)]);
      const documents = await read(pieces(packed, random));
      assert.deepEqual(
        documents.map((document) => "text" in document && JSON.parse(document.text)),
        values,
      );
    }
  });

  it("that are broken cost no other", async () => {
    const text = [
      lines(one),
      lines(one).slice(0, 30),
      lines(two),
      "garbage",
      "}}",
      ...pretty(one).split("\n").slice(0, 3),
      lines(two),
      pretty(one),
      '{"resourceSpans":[',
    ].join("\n");
    const documents = await read([Buffer.from(text)]);
    const good = documents.filter((document) => {
      try {
        return "text" in document && JSON.parse(document.text);
      } catch {
        return false;
      }
    });
    assert.deepEqual(good.map(({ line }) => line), [1, 3, 9, 10]);
    assert.deepEqual(
      documents.filter((document) => !good.includes(document)).map(({ line }) => line),
      [2, 4, 5, 6, 17],
    );
  });

  it("that are packed and cut off fail", async () => {
    const packed = gzipSync(Buffer.from(lines(one).repeat(100)));
    await assert.rejects(read([packed.subarray(0, packed.length - 12)]), /end of file|unexpected/i);
  });
});
