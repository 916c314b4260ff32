import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { RawFile } from "../../tests/support/records.ts";
import { readEnvironment } from "./config.ts";
import { sizeVariables } from "./sizes.ts";
import { start, type StartOptions } from "./start.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-sizes-"));
after(() => rmSync(directory, { recursive: true }));

const ALL = {
  OTLP_MMAP_EVENTS_SLOTS: "256",
  OTLP_MMAP_EVENTS_SLOT_BYTES: "512",
  OTLP_MMAP_SPANS_SLOTS: "1024",
  OTLP_MMAP_SPANS_SLOT_BYTES: "264",
  OTLP_MMAP_MEASUREMENTS_SLOTS: "2",
  OTLP_MMAP_MEASUREMENTS_SLOT_BYTES: "16384",
  OTLP_MMAP_DICTIONARY_BYTES: "100000",
};

/** Slots and their bytes in the file that `start` makes, by ring. */
async function made(options: StartOptions): Promise<number[][]> {
  const sdk = start({ file: join(directory, "app.otlp"), ...options });
  assert.equal(sdk.reason, undefined);
  const { view } = new RawFile(sdk.path!);
  await sdk.shutdown();
  rmSync(sdk.path!);
  const u64 = (offset: number): number => Number(view.getBigUint64(offset, true));
  return [8, 16, 24].map(u64).map((ring) => [u64(ring), u64(ring + 8)]);
}

describe("variables of sizes", () => {
  it("make the file", async () => {
    assert.deepEqual(await made({ env: ALL }), [[256, 512], [1024, 264], [2, 16_384]]);
    const { sizes, warnings } = readEnvironment(ALL);
    assert.deepEqual(warnings, []);
    assert.equal(sizes.dictionaryBytes, 100_000);
    assert.deepEqual(Object.fromEntries(sizeVariables(sizes).map(([k, v]) => [k, `${v}`])), ALL);
  });

  it("give way to the program, one by one", async () => {
    const sizes = { spans: { slots: 64 }, events: { slots: 32, slotBytes: 256 } };
    assert.deepEqual(await made({ env: ALL, sizes }), [[32, 256], [64, 264], [2, 16_384]]);
  });

  it("are ignored, with a word about it, where a file can't have them", () => {
    const wrong: [keyof typeof ALL, string[]][] = [
      ["OTLP_MMAP_SPANS_SLOTS", ["1000", "1", "0", "-8", "8.5", "1e3", "many", "33554432"]],
      ["OTLP_MMAP_EVENTS_SLOT_BYTES", ["255", "300.5", "257", "16392", "0x200"]],
      ["OTLP_MMAP_DICTIONARY_BYTES", ["1", "all", "999999999999"]],
    ];
    for (const [name, values] of wrong) {
      for (const value of values) {
        const { sizes, warnings } = readEnvironment({ ...ALL, [name]: value });
        const { [name]: _, ...others } = ALL;
        assert.deepEqual(sizes, readEnvironment(others).sizes, `${name}=${value}`);
        assert.equal(warnings.length, 1, warnings.join("\n"));
        assert.ok(warnings[0].startsWith(`${name}=${value}: `), warnings[0]);
      }
    }
  });

  it("are ignored together where only their sum is too much", () => {
    const { sizes, warnings } = readEnvironment({
      OTLP_MMAP_SPANS_SLOTS: "131072",
      OTLP_MMAP_EVENTS_SLOTS: "65536",
    });
    assert.deepEqual(sizes, {});
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0],
      /^OTLP_MMAP_EVENTS_SLOTS=65536, OTLP_MMAP_SPANS_SLOTS=131072: .* all of them are ignored$/,
    );
  });
});
