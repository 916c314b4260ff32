import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { NumberDataPoint } from "../../proto/gen/otlp_pb.ts";
import { MemoryCollector, memoryFile, pointsOf } from "../../tests/support/collect.ts";
import { ownMeasurements } from "../../tests/support/fuzz/measurements.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { readGeometry } from "../file/geometry.ts";
import { RING_MEASUREMENTS } from "../format/layout.ts";
import {
  advance,
  copyRecord,
  createCopy,
  isReady,
  openRing,
  type RingReader,
  seek,
} from "../ring/read.ts";
import { start } from "../sdk/start.ts";
import { AHEAD, lookAhead } from "./ahead.ts";
import { hashOfRecord, KnownRecords } from "./known.ts";
import { measurement, readMeasurement } from "./measurement.ts";
import { SeriesPool } from "./series.ts";

/** The measurements ring of a file in memory. */
function ringOf(bytes: Uint8Array): RingReader {
  const file = memoryFile(bytes);
  const geometry = readGeometry("memory", file.u8, file.size);
  if ("unfinished" in geometry) throw new Error(geometry.unfinished);
  return openRing(file, geometry.rings[RING_MEASUREMENTS], true);
}

describe("looking ahead", () => {
  it("gives the hash that each record has, also where the ring begins anew", () => {
    const ring = ringOf(ownMeasurements());
    const { geometry: { slots } } = ring;
    const copy = createCopy([ring.geometry]);
    const expected: number[] = [];
    while (isReady(ring)) {
      assert.equal(copyRecord(ring, copy), true);
      readMeasurement(copy);
      const { metricRef, attributes: { i32 }, start, end } = measurement;
      // Of a negative integer the head is longer: it is read field by field.
      const isOurs = measurement.attributes === copy;
      expected.push(isOurs ? hashOfRecord(metricRef, i32, start >> 2, end - start) : NaN);
      advance(ring);
    }
    assert.ok(expected.filter((hash) => !Number.isNaN(hash)).length > 60, String(expected));
    for (let from = 0; from < expected.length; from++) {
      const rotated = ringOf(Uint8Array.from(ring.file.u8));
      // As if the ring began elsewhere: what was the record `from` is now the last but two.
      const { firstSlot, slotBytes } = rotated.geometry;
      const shift = slots - 3 - from;
      for (let i = 0; i < slots; i++) {
        const slot = firstSlot + i * slotBytes;
        const to = firstSlot + ((i + shift) % slots) * slotBytes;
        rotated.file.u8.set(ring.file.u8.subarray(slot, slot + slotBytes), to);
      }
      seek(rotated, slots - 4);
      const count = Math.min(AHEAD, expected.length - from);
      const hashes = lookAhead(rotated, count, new KnownRecords(), new SeriesPool());
      for (let i = 0; i < count; i++) {
        if (!Number.isNaN(expected[from + i])) assert.equal(hashes[i], expected[from + i]);
      }
    }
  });

  it("bears whatever the slots hold, and changes nothing", () => {
    const random = new Random();
    const bytes = ownMeasurements();
    for (let run = 0; run < 200; run++) {
      const ring = ringOf(bytes);
      const { file: { i32, u8 }, geometry: { firstSlot, slotBytes, slots } } = ring;
      for (let change = 0; change < 1 << random.below(10); change++) {
        const slot = firstSlot / 4 + random.below(slots) * (slotBytes / 4);
        // Lengths above all, up to the end of the last slot and beyond.
        const word = random.pick([0, 0, 1, 8, random.below(slotBytes / 4)]);
        const head = 0x00880000 | random.below(1 << 16);
        i32[slot + word] = random.pick([head, 0x00880180 | random.below(128), random.word()]);
      }
      const before = Uint8Array.from(u8);
      const known = new KnownRecords();
      const series = new SeriesPool();
      for (let position = 0; position < slots; position += AHEAD) {
        seek(ring, position - 1);
        const found = lookAhead(ring, AHEAD, known, series);
        assert.equal(found.length, AHEAD);
      }
      assert.deepEqual(u8, before, `seed ${seed}`);
      assert.equal(series.count, 0);
    }
  });

  it("is done where there are many series, and every measurement is counted once", () => {
    const STREAMS = 10;
    const SETS = 1500;
    const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-ahead-"));
    const random = new Random();
    const sums = new Map<string, number>();
    let written = 0;
    try {
      const sdk = start({
        env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
        file: join(directory, "file"),
        sizes: { measurements: { slots: 65_536, slotBytes: 256 } },
      });
      if (!sdk.recording) throw new Error(sdk.reason);
      const meter = sdk.meterProvider!.getMeter("ahead");
      const counters = Array.from({ length: STREAMS }, (_, i) => meter.createCounter(`c${i}`));
      const add = (stream: number, set: number, value: number): void => {
        counters[stream].add(value, { set });
        const key = `c${stream} ${set}`;
        sums.set(key, (sums.get(key) ?? 0) + value);
        written++;
      };
      for (let i = 0; i < STREAMS * SETS; i++) add(i % STREAMS, Math.floor(i / STREAMS), 1);
      for (let i = 0; i < 2 * STREAMS * SETS; i++) {
        add(random.below(STREAMS), random.below(SETS), 1 + random.below(9));
      }
      const bytes = new Uint8Array(readFileSync(sdk.path!));
      void sdk.shutdown();

      const collector = new MemoryCollector();
      collector.add(memoryFile(bytes));
      let looks = 0;
      let searches = 0;
      const ahead = collector.aggregator.lookAhead.bind(collector.aggregator);
      collector.aggregator.lookAhead = (source, ring, count) => {
        const hashes = ahead(source, ring, count);
        if (hashes !== null) looks += count;
        return hashes;
      };
      const { find } = KnownRecords.prototype;
      KnownRecords.prototype.find = function (...args) {
        searches++;
        return find.apply(this, args);
      };
      try {
        collector.rounds();
      } finally {
        KnownRecords.prototype.find = find;
      }
      assert.equal(collector.aggregator.counts.measurements, written);
      assert.ok(looks > STREAMS * SETS, `${looks} looked at`);
      // Nearly each was found with its first hash; only the new ones were looked for twice.
      assert.ok(searches < written + STREAMS * SETS, `${searches} for ${written}, seed ${seed}`);
      const found = new Map<string, number>();
      for (const { metric } of collector.metrics()) {
        for (const point of pointsOf(metric) as NumberDataPoint[]) {
          const set = point.attributes[0].value!.value.value as bigint;
          found.set(`${metric.name} ${set}`, Number(point.value.value));
        }
      }
      assert.deepEqual(found, sums, `seed ${seed}`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
