import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MetricPoint, MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import { extent, heatColumns } from "./heat.ts";
import { bucketsOf, increase, mergeBuckets, quantile } from "./histogram.ts";
import { hasRate, ratePoints, samples } from "./rate.ts";

const stream: MetricStream = {
  id: 1,
  name: "m",
  description: "",
  unit: "ms",
  kind: "histogram",
  temporality: "cumulative",
  monotonic: true,
  service: "s",
  resourceId: 1,
  scope: "",
  series: 1,
  lastMs: 0,
};

function at(seconds: number, more: Partial<MetricPoint>): MetricPoint {
  return { timeNs: `${seconds}000000000`, startNs: "1000000000", ...more };
}

describe("histograms", () => {
  it("have explicit buckets without ends", () => {
    assert.deepEqual(bucketsOf(at(1, { bounds: [1, 5], counts: [1, 2, 3] })), [
      { from: -Infinity, to: 1, count: 1 },
      { from: 1, to: 5, count: 2 },
      { from: 5, to: Infinity, count: 3 },
    ]);
  });

  it("have exponential buckets by their scale, negative ones turned around", () => {
    const buckets = bucketsOf(at(1, {
      scale: 0,
      zeroCount: 4,
      zeroThreshold: 0.5,
      positive: { offset: 1, counts: [5, 6] },
      negative: { offset: 0, counts: [7, 8] },
    }));
    assert.deepEqual(buckets, [
      { from: -4, to: -2, count: 8 },
      { from: -2, to: -1, count: 7 },
      { from: -0.5, to: 0.5, count: 4 },
      { from: 2, to: 4, count: 5 },
      { from: 4, to: 8, count: 6 },
    ]);
    assert.ok(
      buckets.every(({ from, to }, i) => from < to && (i === 0 || buckets[i - 1]!.to <= from)),
    );
  });

  it("add up by bounds", () => {
    const one = [{ from: 0, to: 1, count: 1 }, { from: 1, to: 2, count: 2 }];
    assert.deepEqual(mergeBuckets([one, [{ from: 1, to: 2, count: 5 }]]), [
      { from: 0, to: 1, count: 1 },
      { from: 1, to: 2, count: 7 },
    ]);
  });

  it("have percentiles, linear within a bucket", () => {
    const buckets = [{ from: 0, to: 10, count: 50 }, { from: 10, to: 20, count: 50 }];
    assert.equal(quantile(buckets, 0.5), 10);
    assert.equal(quantile(buckets, 0.25), 5);
    assert.equal(quantile(buckets, 1), 20);
    assert.equal(quantile([{ from: -Infinity, to: 1, count: 3 }], 0.5), 1);
    assert.equal(quantile([{ from: 9, to: Infinity, count: 3 }], 0.99), 9);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });

  it("increase between cumulative points, and begin anew", () => {
    const before = at(2, { bounds: [1], counts: [3, 1], count: 4 });
    const after = at(3, { bounds: [1], counts: [5, 1], count: 6 });
    const counts = (list: readonly { count: number }[]): number[] => list.map(({ count }) => count);
    assert.deepEqual(counts(increase(before, after, "cumulative")), [2, 0]);
    assert.deepEqual(counts(increase(before, after, "delta")), [5, 1]);
    assert.deepEqual(counts(increase(before, { ...after, startNs: "9" }, "cumulative")), [5, 1]);
    assert.deepEqual(counts(increase(after, before, "cumulative")), [3, 1]);
  });

  it("become columns of a heat map", () => {
    const points = [10, 20, 30].map((seconds, i) =>
      at(seconds, { bounds: [1, 10], counts: [i + 1, i * 2, 0], count: i * 3 + 1 })
    );
    const series: MetricSeries[] = [{ id: 1, attributes: [], points }, {
      id: 2,
      attributes: [],
      points,
    }];
    const columns = heatColumns(series, stream, 0, 60_000, 100);
    assert.deepEqual(columns.map(({ fromMs, toMs, count }) => [fromMs, toMs, count]), [
      // They begin in the time asked for: the first point is of nothing before it.
      [0, 10_000, 2],
      [10_000, 20_000, 6],
      [20_000, 30_000, 6],
    ]);
    const later = heatColumns(series, stream, 5_000, 60_000, 100);
    assert.deepEqual(later.map(({ count }) => count), [6, 6]);
    assert.deepEqual(extent(columns), { low: 1, high: 10 });
    assert.equal(extent([]), undefined);
  });
});

describe("sums", () => {
  const sum: MetricStream = { ...stream, kind: "sum" };
  it("have a rate when they only grow", () => {
    assert.equal(hasRate(sum), true);
    assert.equal(hasRate({ ...sum, monotonic: false }), false);
    assert.equal(hasRate({ ...sum, kind: "gauge" }), false);
  });

  it("per second are differences of cumulative points, from the start where they begin anew", () => {
    const points = [
      at(3, { value: 4 }),
      at(5, { value: 10 }),
      at(6, { value: 3, startNs: "5500000000" }),
    ];
    assert.deepEqual(ratePoints(points, sum), [
      { ms: 3000, value: 2 },
      { ms: 5000, value: 3 },
      { ms: 6000, value: 6 },
    ]);
    const unknown = points.map((point) => ({ ...point, startNs: "0" }));
    assert.deepEqual(ratePoints(unknown.slice(0, 2), sum), [{ ms: 5000, value: 3 }]);
  });

  it("per second of deltas are for their own time", () => {
    const points = [
      at(3, { value: 4, startNs: "2000000000" }),
      at(5, { value: 4, startNs: "3000000000" }),
    ];
    assert.deepEqual(ratePoints(points, { ...sum, temporality: "delta" }), [
      { ms: 3000, value: 4 },
      { ms: 5000, value: 2 },
    ]);
  });

  it("as they are leave out points without a value", () => {
    assert.deepEqual(samples([at(1, {}), at(2, { value: 7 })]), [{ ms: 2000, value: 7 }]);
  });
});
