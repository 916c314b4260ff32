import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CrashReport, Span } from "../../../store/queries/types.ts";
import { seed } from "../../../../tests/support/random.ts";
import { seeded } from "../../testing/random.ts";
import { firstSign, lastChain, lost } from "./crash-words.ts";
import { lanes } from "./lanes.ts";
import { layOut } from "./service-map.ts";

describe("map of services", () => {
  it("puts callers left of whom they call", () => {
    const { places, layers } = layOut(["a", "b", "c", "alone"], [
      { from: "a", to: "b" },
      { from: "b", to: "c" },
      { from: "a", to: "c" },
    ]);
    const layer = Object.fromEntries(places.map(({ name, layer }) => [name, layer]));
    assert.deepEqual(layer, { a: 0, alone: 0, b: 1, c: 2 });
    assert.equal(layers, 3);
  });

  it("has a place of its own for each, whoever calls whom", () => {
    console.log(`seed ${seed}`);
    const random = seeded(seed);
    for (let round = 0; round < 40; round++) {
      const names = Array.from({ length: 1 + Math.floor(random() * 30) }, (_, i) => `s${i}`);
      const pick = (): string => names[Math.floor(random() * names.length)]!;
      const calls = Array.from({ length: names.length * 2 }, () => ({ from: pick(), to: pick() }));
      const map = layOut(names, [...calls, { from: "unknown", to: pick() }]);
      assert.equal(map.places.length, names.length);
      assert.equal(
        new Set(map.places.map(({ layer, row }) => `${layer} ${row}`)).size,
        names.length,
      );
      assert.ok(
        map.places.every(({ layer, row }) =>
          layer >= 0 && layer < map.layers && row >= 0 && row < map.rows
        ),
      );
    }
  });

  it("is the same for the same services in another order", () => {
    const calls = [{ from: "x", to: "y" }, { from: "y", to: "x" }];
    assert.deepEqual(layOut(["x", "y"], calls), layOut(["y", "x"], calls));
  });
});

describe("lanes", () => {
  it("cover nothing, and use no lane without need", () => {
    console.log(`seed ${seed}`);
    const random = seeded(seed);
    const stretches = Array.from({ length: 200 }, () => {
      const start = random() * 100;
      return { start, end: start + random() * 5 };
    });
    const lane = lanes(stretches, 8, 0.5);
    stretches.forEach((a, i) =>
      stretches.forEach((b, j) => {
        if (i >= j || lane[i]! < 0 || lane[i] !== lane[j]) return;
        const [first, second] = a.start <= b.start ? [a, b] : [b, a];
        assert.ok(second.start >= Math.max(first.end, first.start + 0.5));
      })
    );
    assert.ok(Math.max(...lane) <= 7);
    assert.deepEqual(lanes([{ start: 0, end: 1 }, { start: 1, end: 2 }], 8, 0), [0, 0]);
    assert.deepEqual(lanes([{ start: 0, end: 1 }, { start: 0, end: 2 }], 1, 0), [-1, 0]);
  });
});

describe("words about a crash", () => {
  const open = (spanId: string, parentSpanId: string, startNs: string): Span =>
    ({ traceId: "t", spanId, parentSpanId, startNs, name: spanId }) as Span;
  const names = (list: readonly Span[]): string[] => list.map(({ name }) => name);

  it("name the innermost of the open spans with those around it", () => {
    assert.deepEqual(
      names(
        lastChain([
          open("a", "gone", "1"),
          open("b", "a", "2"),
          open("c", "b", "3"),
          open("x", "", "9"),
        ]),
      ),
      ["a", "b", "c"],
    );
  });

  it("name the one that began last among equals, and end in a circle", () => {
    assert.deepEqual(names(lastChain([open("a", "", "1"), open("b", "", "2")])), ["b"]);
    assert.equal(lastChain([open("a", "b", "1"), open("b", "a", "2")]).length, 2);
    assert.deepEqual(lastChain([]), []);
  });

  it("leave out empty time before the first sign", () => {
    const report = { fromNs: "0", lastNs: "10000", open: [], ended: [], logs: [], metrics: [] };
    const since = (startNs: string): CrashReport =>
      ({ ...report, open: [open("a", "", startNs)] }) as unknown as CrashReport;
    assert.equal(firstSign(since("9000")), "8960");
    assert.equal(firstSign(since("10")), "0");
    assert.equal(firstSign(since("-5")), "0");
    assert.equal(firstSign(report as unknown as CrashReport), "0");
  });

  it("count what was lost", () => {
    assert.equal(lost({ losses: [{ count: 41 }, { count: 1 }] } as unknown as CrashReport), 42);
  });
});
