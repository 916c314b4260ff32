import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type ExponentialHistogramDataPoint as Point,
  type ExponentialHistogramDataPoint_Buckets as Buckets,
  ExponentialHistogramDataPointSchema,
} from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { isFullSize } from "../../tests/support/runtimes.ts";
import { MAX_SCALE, MIN_SCALE } from "./bucket-index.ts";
import { ExponentialPool, MAX_BUCKETS, MIN_BUCKETS } from "./exponential.ts";
import { boundaryDown, exactIndexes, nextUp, placeOf } from "./testing/exact.ts";
import { anyPositive } from "./testing/values.ts";

const DEFAULT_BUCKETS = 160;

describe("ExponentialPool", () => {
  it("takes the ideal scales of the specification's table", () => {
    const ranges = [
      [0.001, 0.004, 6],
      [0.001, 0.02, 5],
      [0.001, 1, 4],
      [0.001, 100, 3],
      [1e-6, 10, 2],
    ];
    for (const [from, to, scale] of ranges) {
      assert.equal(pointOf(DEFAULT_BUCKETS, MAX_SCALE, [from, to]).scale, scale, `${from}..${to}`);
      assert.equal(
        pointOf(DEFAULT_BUCKETS, MAX_SCALE, [-to, -from]).scale,
        scale,
        `${from}..${to}`,
      );
    }
  });

  it("covers at each scale the contrast the specification says, and not a double more", () => {
    // 160 buckets are 10 * 2^4.
    for (const [scale, said] of [[6, 5.657], [5, 32], [4, 1024], [3, 1048576]]) {
      const contrast = boundaryDown(DEFAULT_BUCKETS, scale);
      assert.equal(contrast.toPrecision(4), said.toPrecision(4));
      const inside = pointOf(DEFAULT_BUCKETS, MAX_SCALE, [nextUp(1), contrast]);
      assert.equal(inside.scale, scale);
      assert.equal(inside.positive!.bucketCounts.length, DEFAULT_BUCKETS);
      const beyond = pointOf(DEFAULT_BUCKETS, MAX_SCALE, [nextUp(1), nextUp(contrast)]);
      assert.equal(beyond.scale, scale - 1);
    }
  });

  it("keeps the finest scale for one value on either side, however often it comes", () => {
    const point = pointOf(DEFAULT_BUCKETS, MAX_SCALE, [1e300, -1e-300, 0, 1e300]);
    assert.equal(point.scale, MAX_SCALE);
    assert.deepEqual(countsOf(point.positive), new Map([[exactAt(1e300, MAX_SCALE), 2n]]));
    assert.deepEqual(countsOf(point.negative), new Map([[exactAt(1e-300, MAX_SCALE), 1n]]));
    assert.equal(point.zeroCount, 1n);
  });

  it("includes upper bounds, and for negative values lower ones", () => {
    const point = pointOf(DEFAULT_BUCKETS, 0, [1, 2, 4, nextUp(2), -1, -2, -nextUp(1)]);
    assert.equal(point.scale, 0);
    assert.deepEqual(countsOf(point.positive), new Map([[-1, 1n], [0, 1n], [1, 2n]]));
    assert.deepEqual(countsOf(point.negative), new Map([[-1, 1n], [0, 2n]]));
  });

  it("counts zeros of either sign apart, and says nothing of ranges without values", () => {
    const point = pointOf(DEFAULT_BUCKETS, MAX_SCALE, [0, -0]);
    assert.equal(point.zeroCount, 2n);
    assert.equal(point.count, 2n);
    assert.equal(point.sum, 0);
    assert.equal(point.min, 0);
    assert.equal(point.max, 0);
    assert.equal(point.positive, undefined);
    assert.equal(point.negative, undefined);
  });

  it(`agrees with the oracle bucket by bucket, at the ideal scale (seed ${seed})`, () => {
    const random = new Random();
    const pool = new ExponentialPool();
    for (let turn = isFullSize ? 5000 : 300; turn > 0; turn--) {
      // Several at a time, in turns, so that they would get at each other's memory.
      const histograms = Array.from({ length: 1 + random.below(4) }, () => {
        const maxBuckets = random.pick([2, 3, 4, 5, 20, DEFAULT_BUCKETS, 2 + random.below(600)]);
        const maxScale = random.pick([MAX_SCALE, random.below(31) - 10]);
        const handle = pool.create(maxBuckets, maxScale);
        return { handle, maxBuckets, maxScale, next: valuesOf(random), values: [] as number[] };
      });
      for (let i = random.below(400) + 1; i > 0; i--) {
        const histogram = random.pick(histograms);
        const value = histogram.next();
        histogram.values.push(value);
        pool.record(histogram.handle, value);
      }
      for (const { handle, maxBuckets, maxScale, values } of histograms) {
        assertExact(decoded(pool, handle), values, maxBuckets, maxScale);
        assert.equal(pool.countOf(handle), values.length);
        if (random.below(2) === 0) {
          pool.reset(handle);
          assertExact(decoded(pool, handle), [], maxBuckets, maxScale);
          const again = Array.from({ length: random.below(50) }, valuesOf(random));
          for (const value of again) pool.record(handle, value);
          assertExact(decoded(pool, handle), again, maxBuckets, maxScale);
        }
        pool.free(handle);
      }
    }
  });

  it("spans all doubles with two buckets at the coarsest scale", () => {
    const values = [Number.MIN_VALUE, 2 ** -1024, 2 ** -1022, 1, 2, Number.MAX_VALUE];
    for (const order of [values, values.toReversed()]) {
      const point = pointOf(MIN_BUCKETS, MAX_SCALE, order);
      assert.equal(point.scale, MIN_SCALE);
      assert.deepEqual(countsOf(point.positive), new Map([[-1, 4n], [0, 2n]]));
      assert.equal(point.min, Number.MIN_VALUE);
    }
    const three = pointOf(3, MAX_SCALE, values);
    assert.deepEqual(countsOf(three.positive), new Map([[-2, 2n], [-1, 2n], [0, 2n]]));
  });

  it("takes sizes and scales that are out of range for the nearest that are not", () => {
    for (const size of [-1, 0, 1, NaN]) {
      const point = pointOf(size, 99, [1, 2, 4, 8]);
      assert.equal(point.positive!.bucketCounts.length, 2);
    }
    assert.equal(pointOf(DEFAULT_BUCKETS, 99, [3]).scale, MAX_SCALE);
    assert.equal(pointOf(DEFAULT_BUCKETS, -99, [3]).scale, MIN_SCALE);
    const values = Array.from({ length: 3000 }, (_, i) => 1.01 ** (i - 1500));
    const point = pointOf(1e9, MAX_SCALE, values);
    assertExact(point, values, MAX_BUCKETS, MAX_SCALE);
    assert.ok(point.positive!.bucketCounts.length > MAX_BUCKETS / 2);
  });

  it("leaves out minimum and maximum, and the sum, where told so", () => {
    const pool = new ExponentialPool();
    const handle = pool.create(DEFAULT_BUCKETS, MAX_SCALE);
    pool.record(handle, -2.5);
    const point = decoded(pool, handle, true, true);
    assert.equal(point.count, 1n);
    assert.equal(point.min, undefined);
    assert.equal(point.max, undefined);
    assert.equal(point.sum, undefined);
    assert.deepEqual(decoded(pool, handle).sum, -2.5);
  });

  it("writes counts that need more than 32 bits, all of it within fieldBytes", () => {
    for (const count of [127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 2]) {
      const pool = new ExponentialPool();
      const handle = pool.create(DEFAULT_BUCKETS, MAX_SCALE);
      // 2^53 records take a year: the counts are put where the pool has them.
      for (const value of [1.5, -1.5, 0]) pool.record(handle, value);
      const inside = pool as unknown as {
        counts: { chunks: Float64Array[] };
        doubles: Float64Array;
      };
      for (const chunk of inside.counts.chunks) {
        for (let i = 0; i < chunk.length; i++) if (chunk[i] === 1) chunk[i] = count;
      }
      // The first row's count and zero count.
      inside.doubles[0] = count;
      inside.doubles[4] = count;
      pool.record(handle, 1.5);
      pool.record(handle, -1.5);
      const point = decoded(pool, handle);
      assert.equal(point.count, BigInt(count) + 2n);
      assert.equal(point.zeroCount, BigInt(count));
      const index = exactAt(1.5, MAX_SCALE);
      assert.deepEqual(countsOf(point.positive), new Map([[index, BigInt(count) + 1n]]));
      assert.deepEqual(countsOf(point.negative), new Map([[index, BigInt(count) + 1n]]));
    }
  });

  it("uses handles and memory again after free, and memory after reset", () => {
    const pool = new ExponentialPool();
    const { counts } = pool as unknown as { counts: { capacity: number } };
    const round = (): number[] => {
      const handles = Array.from({ length: 500 }, () => pool.create(DEFAULT_BUCKETS, MAX_SCALE));
      for (const handle of handles) {
        for (let i = 0; i < 200; i++) pool.record(handle, (i % 2 === 0 ? 1 : -1) * 1.1 ** i);
      }
      return handles;
    };
    const first = round();
    const capacity = counts.capacity;
    assert.ok(capacity > 0);
    for (const handle of first) pool.free(handle);
    const second = round();
    assert.deepEqual(second.toSorted((a, b) => a - b), first.toSorted((a, b) => a - b));
    for (let turn = 0; turn < 10; turn++) {
      for (const handle of second) {
        pool.reset(handle);
        for (let i = 0; i < 200; i++) pool.record(handle, (i % 2 === 0 ? 1 : -1) * 1.1 ** -i);
      }
    }
    assert.equal(counts.capacity, capacity);
  });
});

/** Values of one kind or another, some of them zero or negative. */
function valuesOf(random: Random): () => number {
  const spread = random.pick([0, 0.001, 1, 30, 700]);
  const center = (random.below(1400) - 700) * random.pick([0, 1]);
  const negative = random.below(3);
  return () => {
    if (random.below(20) === 0) return random.pick([0, -0]);
    const magnitude = spread === 700
      ? anyPositive(random)
      : Math.exp(Math.min(709, Math.max(-744, center + spread * (random.below(2001) / 1000 - 1))));
    return random.below(3) < negative ? -magnitude : magnitude;
  };
}

/** Compares a point with one made of its values by the specification's words alone. */
function assertExact(point: Point, values: number[], maxBuckets: number, maxScale: number): void {
  const label = `${maxBuckets} buckets, scale ${maxScale}, seed ${seed}: ${values}`;
  const [positive, negative] = [1, -1].map((sign) =>
    values.filter((value) => value * sign > 0).map((value) =>
      // What two buckets cannot tell apart is rounded to what is not subnormal.
      exactIndexes(maxBuckets === 2 ? Math.max(2 ** -1022, Math.abs(value)) : Math.abs(value))
    )
  );
  let scale = maxScale;
  while (![positive, negative].every((indexes) => spanAt(indexes, scale) <= maxBuckets)) scale--;
  assert.ok(scale >= MIN_SCALE, label);
  assert.equal(point.scale, scale, label);
  for (
    const [range, indexes] of [[point.positive, positive], [point.negative, negative]] as const
  ) {
    const counts = new Map<number, bigint>();
    for (const all of indexes) {
      const index = all[placeOf(scale)];
      counts.set(index, (counts.get(index) ?? 0n) + 1n);
    }
    assert.deepEqual(countsOf(range), new Map([...counts].sort(([a], [b]) => a - b)), label);
    if (range !== undefined) {
      assert.ok(range.bucketCounts.length <= maxBuckets, label);
      assert.ok(range.bucketCounts[0] > 0n && range.bucketCounts.at(-1)! > 0n, label);
    }
  }
  assert.equal(point.count, BigInt(values.length));
  assert.equal(point.zeroCount, BigInt(values.filter((value) => value === 0).length));
  assert.equal(point.sum, values.reduce((sum, value) => sum + value, 0));
  assert.equal(point.min, values.length === 0 ? undefined : values.reduce((a, b) => b < a ? b : a));
  assert.equal(point.max, values.length === 0 ? undefined : values.reduce((a, b) => b > a ? b : a));
  assert.equal(point.zeroThreshold, 0);
}

/** Buckets from the first to the last that is needed at a scale. */
function spanAt(indexes: number[][], scale: number): number {
  if (indexes.length === 0) return 0;
  const here = indexes.map((all) => all[placeOf(scale)]);
  return here.reduce((a, b) => Math.max(a, b)) - here.reduce((a, b) => Math.min(a, b)) + 1;
}

function exactAt(value: number, scale: number): number {
  return exactIndexes(value)[placeOf(scale)];
}

/** Counts that are not 0, by index, in the order of the indexes. */
function countsOf(buckets: Buckets | undefined): Map<number, bigint> {
  const entries = (buckets?.bucketCounts ?? []).map((count, i) =>
    [buckets!.offset + i, count] as const
  );
  return new Map(entries.filter(([, count]) => count > 0n));
}

function pointOf(maxBuckets: number, maxScale: number, values: number[]): Point {
  const pool = new ExponentialPool();
  const handle = pool.create(maxBuckets, maxScale);
  for (const value of values) pool.record(handle, value);
  return decoded(pool, handle);
}

function decoded(
  pool: ExponentialPool,
  handle: number,
  omitMinMax: boolean = false,
  omitSum: boolean = false,
): Point {
  const at = 3;
  const room = pool.fieldBytes(handle);
  const out = new Uint8Array(at + room + 100).fill(0xee);
  const view = new DataView(out.buffer);
  const end = pool.putFields(handle, out, view, at, omitMinMax, omitSum);
  assert.ok(end - at <= room, `${end - at} bytes, ${room} expected at most`);
  assert.ok(out.subarray(0, at).every((byte) => byte === 0xee));
  assert.ok(out.subarray(end).every((byte) => byte === 0xee));
  return fromBinary(ExponentialHistogramDataPointSchema, out.subarray(at, end));
}
