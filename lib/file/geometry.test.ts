import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FileBuilder } from "../../tests/support/build.ts";
import { FormatError, type Geometry, readGeometry } from "./geometry.ts";

function read(file: FileBuilder, size = file.size): ReturnType<typeof readGeometry> {
  return readGeometry("app.otlp", file.u8, size);
}

function fault(change: (file: FileBuilder) => void, size?: number): string {
  const file = new FileBuilder({ slots: 8, slotBytes: 64 });
  change(file);
  try {
    const result = read(file, size);
    return `accepted: ${
      JSON.stringify(result, (_, value) => typeof value === "bigint" ? `${value}` : value)
    }`;
  } catch (error) {
    assert.ok(error instanceof FormatError);
    assert.equal(error.path, "app.otlp");
    return error.message;
  }
}

function unfinished(change: (file: FileBuilder) => void, size?: number): string | undefined {
  const file = new FileBuilder({ slots: 8, slotBytes: 64 });
  change(file);
  const result = read(file, size);
  return "unfinished" in result ? result.unfinished : undefined;
}

describe("readGeometry", () => {
  it("reads a file, with and without padding, and freezes the result", () => {
    for (const padding of [0, 4032]) {
      const file = new FileBuilder({ slots: 16, slotBytes: 256, padding });
      const geometry = read(file) as Geometry;
      assert.deepEqual(geometry.rings.map(({ offset }) => offset), file.rings);
      assert.deepEqual(geometry.rings.map(({ slots }) => slots), [16, 16, 16]);
      assert.deepEqual(geometry.rings.map(({ slotBytes }) => slotBytes), [256, 256, 256]);
      assert.equal(geometry.rings[1].availability, file.rings[1] + 32);
      assert.equal(geometry.rings[1].firstSlot, file.rings[1] + 32 + 64);
      assert.equal(geometry.dictionary, file.dictionary);
      assert.equal(geometry.timeUnixNano, 1_780_000_000_000_000_000n);
      assert.ok(Object.isFrozen(geometry) && Object.isFrozen(geometry.rings[0]));
    }
  });

  it("accepts rings of a single slot", () => {
    const geometry = read(new FileBuilder({ slots: 1 })) as Geometry;
    assert.equal(geometry.rings[0].slots, 1);
  });

  it("names the file and the field of every fault", () => {
    const cases: [(file: FileBuilder) => void, string][] = [
      [(f) => f.setI64(0, 3), "app.otlp: version is 3, only 1 and 2 are understood"],
      [(f) => f.setI64(0, 2), "app.otlp: events.reader_index is -1, with 4294967295 discarded"],
      [(f) => f.u8.set(new TextEncoder().encode("#!/bin/sh\n")), "app.otlp: not an otlp-mmap file"],
      [(f) => f.setI64(0, 1n << 56n), "app.otlp: version is 1 in big-endian order"],
      [(f) => f.setI64(8, 8), "app.otlp: events offset 8 is inside the header"],
      [(f) => f.setI64(8, -8), "app.otlp: events offset -8 is inside the header"],
      [(f) => f.setI64(16, 72), "app.otlp: spans offset 72 leaves no room for the events ring"],
      [(f) => f.setI64(24, 64), "app.otlp: measurements offset 64 is before spans at"],
      [(f) => f.setI64(32, 1 << 30), "app.otlp: dictionary offset 1073741824 is outside the file"],
      [(f) => f.setI64(32, (1n << 62n) + 8n), "app.otlp: dictionary offset 4611686018427387912 is"],
      [(f) => f.setI64(16, f.rings[1] + 4), "is not a multiple of 8: its indexes cannot be read"],
      [(f) => f.setI64(f.rings[1], 3), "app.otlp: spans.num_buffers is 3, not a power of two"],
      [(f) => f.setI64(f.rings[1], -8), "app.otlp: spans.num_buffers is -8, not a power of two"],
      [(f) => f.setI64(f.rings[2] + 8, -1), "app.otlp: measurements.buffer_size is -1"],
      [(f) => f.setI64(f.rings[0] + 8, 1n << 62n), "app.otlp: events.num_buffers 8 x buffer_size"],
      [
        (f) => f.setI64(f.rings[0], 1n << 62n),
        "app.otlp: events.num_buffers 4611686018427387904 x",
      ],
      [
        (f) => f.setI64(f.rings[1], 16),
        "app.otlp: spans.num_buffers 16 x buffer_size 64 do not fit",
      ],
      [(f) => f.setI64(f.rings[1] + 16, -2), "app.otlp: spans.reader_index is -2, below -1"],
      [
        (f) => f.setI64(f.rings[1] + 16, 5),
        "app.otlp: spans.writer_index -1 is behind reader_index 5",
      ],
      [(f) => f.setI64(f.rings[1] + 24, 8), "spans.writer_index 8 is more than num_buffers 8 past"],
      [
        (f) => f.setI64(f.dictionary, 100),
        "app.otlp: dictionary.end 100 is before the first entry",
      ],
    ];
    for (const [change, expected] of cases) {
      const message = fault(change);
      assert.ok(message.includes(expected), `${message} <> ${expected}`);
    }
  });

  it("tells where a file was truncated", () => {
    const file = new FileBuilder({ slots: 8, slotBytes: 64 });
    const keep = (): void => {};
    assert.match(fault(keep, 1), /the file is truncated: 1 of at least 64 bytes/);
    assert.match(fault(keep, 63), /the file is truncated/);
    assert.match(fault(keep, file.rings[1]), /spans offset \d+ is outside the file/);
    assert.match(fault(keep, file.dictionary), /dictionary offset \d+ is outside the file/);
    assert.match(fault(keep, file.dictionary + 63), /dictionary at \d+ is truncated/);
    assert.match(unfinished(keep, file.dictionary + 64) ?? "", /^$/);
    assert.match(
      unfinished((f) => f.string("a name"), file.dictionary + 66) ?? "",
      /dictionary.end \d+ is past the end of the file/,
    );
  });

  it("takes what a writer may still be making for unfinished", () => {
    assert.match(unfinished(() => {}, 0) ?? "", /empty/);
    assert.match(unfinished((f) => f.u8.fill(0)) ?? "", /version is 0/);
    for (let word = 8; word <= 32; word += 8) {
      assert.match(unfinished((f) => f.setI64(word, 0)) ?? "", /offset is 0/);
    }
    assert.match(unfinished((f) => f.setI64(f.rings[0], 0)) ?? "", /events.num_buffers is 0/);
    assert.match(unfinished((f) => f.setI64(f.rings[2] + 8, 0)) ?? "", /buffer_size is 0/);
    assert.match(unfinished((f) => f.setI64(f.dictionary, 0)) ?? "", /dictionary.end is 0/);
    assert.match(unfinished((f) => f.setI64(f.rings[1] + 16, 0)) ?? "", /spans.reader_index is 0/);
  });
});
