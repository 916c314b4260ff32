import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random, seed } from "../../tests/support/random.ts";
import {
  createDelays,
  delayPercentile,
  deviationOfDelays,
  meanDelay,
  recordDelay,
  resetDelays,
  watchDelay,
} from "./delay.ts";

describe("the histogram of delays", () => {
  it("has percentiles within a sixteenth of the exact ones", () => {
    console.log(`seed ${seed}`);
    const random = new Random();
    for (let round = 0; round < 50; round++) {
      const delays = createDelays();
      const values: number[] = [];
      const count = 1 + random.below(500);
      for (let i = 0; i < count; i++) {
        const value = 10 ** (random.fraction() * 8 - 2); // 10 µs to 1,000 s, in ms
        values.push(value);
        recordDelay(delays, value);
      }
      values.sort((a, b) => a - b);
      for (const part of [0, 0.01, 0.5, 0.9, 0.99, 1]) {
        const exact = values[Math.max(Math.ceil(part * count), 1) - 1];
        const given = delayPercentile(delays, part);
        const error = (given - exact) / exact;
        // Below 16 µs the buckets are 1 µs wide.
        assert.ok(error >= -1e-9 && (error <= 1 / 16 + 1e-9 || given - exact <= 0.001), `${part}`);
      }
      const mean = values.reduce((sum, value) => sum + value) / count;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
      assert.ok(Math.abs(meanDelay(delays) - mean) <= 1e-9 * mean);
      assert.ok(Math.abs(deviationOfDelays(delays) - Math.sqrt(variance)) <= 1e-4 * mean);
      assert.equal(delays.min, values[0]);
      assert.equal(delays.max, values[count - 1]);
    }
  });

  it("holds zero, boundaries and whatever is too long", () => {
    for (const value of [0, 0.001, 0.015, 0.016, 0.031, 0.032, 1, 4294967.295, 1e12]) {
      const delays = createDelays();
      recordDelay(delays, value);
      assert.equal(delayPercentile(delays, 0.5), value);
      assert.equal(meanDelay(delays), value);
      assert.equal(deviationOfDelays(delays), 0);
    }
  });

  it("is empty after a reset", () => {
    const delays = createDelays();
    recordDelay(delays, 3);
    resetDelays(delays);
    assert.deepEqual(delays, createDelays());
    assert.ok(Number.isNaN(delayPercentile(delays, 0.5)));
    assert.ok(Number.isNaN(meanDelay(delays)));
    assert.ok(Number.isNaN(deviationOfDelays(delays)));
  });
});

describe("the timer", () => {
  it("sees that the event loop was blocked", { timeout: 30_000 }, async () => {
    const delays = createDelays();
    let ticks = 0;
    const stop = watchDelay(delays, 5, () => ticks++);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const until = performance.now() + 200;
    while (performance.now() < until);
    while (delays.max < 150) await new Promise((resolve) => setTimeout(resolve, 5));
    stop();
    assert.equal(delays.count, ticks);
    assert.ok(delays.min >= 0 && delays.max >= 150, `${delays.min} to ${delays.max} ms`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(delays.count, ticks, "it is stopped");
  });
});
