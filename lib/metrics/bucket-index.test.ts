import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import { isFullSize } from "../../tests/support/runtimes.ts";
import { bucketIndex, MAX_SCALE, MIN_SCALE } from "./bucket-index.ts";
import {
  BITS,
  boundaryDown,
  exactIndexes,
  isAbovePower,
  nextDown,
  nextUp,
  placeOf,
  rootOf2,
} from "./testing/exact.ts";
import { anyPositive } from "./testing/values.ts";

const MIN_NORMAL = 2 ** -1022;

describe("the oracle", () => {
  it(`finds the bucket whose bounds the value is between (seed ${seed})`, () => {
    const random = new Random();
    for (let turn = 0; turn < 100; turn++) {
      const value = turn < 10 ? 2 ** (turn * 100 - 500) : anyPositive(random);
      const indexes = exactIndexes(value);
      for (let scale = 0; scale <= 7; scale++) {
        const index = indexes[placeOf(scale)];
        assert.ok(isAbovePower(value, index, scale), `${value} at ${scale}`);
        assert.ok(!isAbovePower(value, index + 1, scale), `${value} at ${scale}`);
      }
    }
  });

  it(`knows the doubles around a boundary (seed ${seed})`, () => {
    const random = new Random();
    for (let turn = 0; turn < 100; turn++) {
      const scale = random.below(8);
      const index = random.below(2090 << scale) - (1070 << scale);
      const down = boundaryDown(index, scale);
      assert.ok(!isAbovePower(down, index, scale), `boundary ${index} at ${scale}`);
      assert.ok(isAbovePower(nextUp(down), index, scale), `boundary ${index} at ${scale}`);
    }
  });
});

describe("bucketIndex", () => {
  it("has the boundaries of the specification's tables", () => {
    const bases = [
      [10, 1.00068],
      [9, 1.00135],
      [8, 1.00271],
      [7, 1.00543],
      [6, 1.01089],
      [5, 1.02190],
      [4, 1.04427],
      [3, 1.09051],
      [2, 1.18921],
      [1, 1.41421],
      [0, 2],
      [-1, 4],
      [-2, 16],
      [-3, 256],
      [-4, 65536],
    ];
    for (const [scale, base] of bases) {
      assertBoundary(1, 0, scale);
      assertBoundary(base, 1, scale);
    }
    const lowerBounds = [1, 1.09051, 1.18921, 1.29684, 1.41421, 1.54221, 1.68179, 1.83401];
    for (const [index, bound] of lowerBounds.entries()) assertBoundary(bound, index, 3);

    /** The table's numbers have five digits behind the point. */
    function assertBoundary(bound: number, index: number, scale: number): void {
      assert.equal(bucketIndex(bound - 0.00001, scale), index - 1, `${bound} at scale ${scale}`);
      assert.equal(bucketIndex(bound + 0.00001, scale), index, `${bound} at scale ${scale}`);
    }
  });

  it("counts powers of two, subnormal ones too, in the bucket they are the upper bound of", () => {
    for (let power = -1074; power <= 1023; power++) {
      for (let scale = MIN_SCALE; scale <= MAX_SCALE; scale++) {
        const index = Math.ceil(power * 2 ** scale) - 1;
        assert.equal(bucketIndex(2 ** power, scale), index, `2^${power} at scale ${scale}`);
      }
    }
  });

  it("has the ends the specification says at scale 0, and fits 32 bits at every scale", () => {
    assert.equal(bucketIndex(Number.MAX_VALUE, 0), 1023);
    assert.equal(bucketIndex(nextUp(MIN_NORMAL), 0), -1022);
    assert.equal(bucketIndex(MIN_NORMAL, 0), -1023);
    assert.equal(bucketIndex(2 ** -1023, 0), -1024);
    assert.equal(bucketIndex(Number.MIN_VALUE, 0), -1075);
    assert.equal(bucketIndex(Number.MAX_VALUE, 20), 2 ** 30 - 1);
    assert.equal(bucketIndex(Number.MIN_VALUE, 20), -1074 * 2 ** 20 - 1);
    assert.equal(bucketIndex(Number.MAX_VALUE, -10), 0);
    assert.equal(bucketIndex(1, -10), -1);
    assert.equal(bucketIndex(2 ** -1024, -10), -2);
  });

  it(`agrees with the oracle for values of all magnitudes at every scale (seed ${seed})`, () => {
    const random = new Random();
    for (let turn = isFullSize ? 1_000_000 : 40_000; turn > 0; turn--) {
      assertExact(anyPositive(random));
    }
  });

  const finest = isFullSize ? 8 : 4;
  it(`is right on both sides of every boundary of scales ${MIN_SCALE} to ${finest}`, () => {
    for (let scale = MIN_SCALE; scale <= finest; scale++) {
      const last = Math.ceil(1024 * 2 ** scale);
      for (let i = Math.floor(-1074 * 2 ** scale); i < last; i++) assertAround(i, scale);
    }
  });

  it(`is right on both sides of boundaries of the finer scales (seed ${seed})`, () => {
    const random = new Random();
    for (let scale = finest + 1; scale <= MAX_SCALE; scale++) {
      for (let turn = isFullSize ? 100_000 : 2000; turn > 0; turn--) {
        const index = random.below(2098 * 2 ** scale) - 1074 * 2 ** scale;
        assertAround(index, scale);
        if (turn % 50 === 0) assertExact(boundaryDown(index, scale) || 1);
      }
    }
  });

  it("is right on both sides of each of the 2^20 boundaries between 1 and 2", () => {
    // One power after the other, each within [low, low + slack]; the slack grows by 2 units a step.
    const root = rootOf2(MAX_SCALE);
    const slack = 2n ** 24n;
    const cut = BITS - 52n;
    const mask = (1n << cut) - 1n;
    let low = 1n << BITS;
    let nearest = mask;
    for (let i = 1; i < 2 ** MAX_SCALE; i++) {
      low = low * root >> BITS;
      const rest = low & mask;
      if (rest < nearest) nearest = rest;
      if (mask - rest < nearest) nearest = mask - rest;
      const down = Number(low >> cut) * 2 ** -52;
      const isRight = bucketIndex(down, MAX_SCALE) === i - 1 &&
        bucketIndex(down + Number.EPSILON, MAX_SCALE) === i;
      if (!isRight) assert.fail(`boundary ${i}`);
    }
    // What lets twice the precision of doubles decide: no boundary is this near to any double.
    assert.ok(nearest - slack > 1n << (BITS - 78n), `${nearest}`);
  });
});

function assertExact(value: number): void {
  const indexes = exactIndexes(value);
  for (let scale = MIN_SCALE; scale <= MAX_SCALE; scale++) {
    const index = bucketIndex(value, scale);
    if (index !== indexes[placeOf(scale)]) {
      assert.equal(index, indexes[placeOf(scale)], `${value} at scale ${scale}, seed ${seed}`);
    }
  }
}

/** The doubles below, at and above the lower bound of a bucket. */
function assertAround(index: number, scale: number): void {
  const at = boundaryDown(index, scale);
  const below = at > 0 ? bucketIndex(at, scale) : -Infinity;
  const above = bucketIndex(nextUp(at), scale);
  // Between subnormal doubles there may be several boundaries.
  const isRight = at >= MIN_NORMAL
    ? below === index - 1 && above === index && bucketIndex(nextDown(at), scale) <= below
    : below < index && above >= index;
  if (!isRight) assert.fail(`${at}, boundary ${index} at scale ${scale}, seed ${seed}`);
}
