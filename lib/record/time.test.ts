import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TimeInput } from "@opentelemetry/api";
import { clockWords, now } from "../../ffi/mod.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { setTimeFromClock, setTimeFromInput, setTimeNow, timeWords } from "./time.ts";

/** What `timeWords` hold, as one number. */
function nanos(): bigint {
  return (BigInt(timeWords[1] >>> 0) << 32n) | BigInt(timeWords[0] >>> 0);
}

function set(input: TimeInput): bigint {
  assert.equal(setTimeFromInput(input), true, `refused ${String(input)}`);
  return nanos();
}

/** Nanoseconds of a double of milliseconds, exactly, then rounded half up. */
function exactNanos(millis: number): bigint {
  // Exact: above 1e12 the fraction is a multiple of 2^-13.
  const scaled = BigInt(Math.floor(millis)) * (1n << 52n) +
    BigInt((millis - Math.floor(millis)) * 2 ** 52);
  return (scaled * 1_000_000n * 2n + (1n << 52n)) / (1n << 53n);
}

describe("setTimeFromInput", () => {
  it("keeps every nanosecond of [seconds, nanoseconds]", () => {
    assert.equal(set([1_700_000_000, 123_456_789]), 1_700_000_000_123_456_789n);
    assert.equal(set([0, 0]), 0n);
    assert.equal(set([0, 1]), 1n);
    assert.equal(set([4, 294_967_295]), 0xffff_ffffn);
    assert.equal(set([4, 294_967_296]), 0x1_0000_0000n);
    assert.equal(set([9_223_372_035, 999_999_999]), 9_223_372_035_999_999_999n);
  });

  it("carries nanoseconds outside a second and fractions of seconds", () => {
    assert.equal(set([10, 2_500_000_000]), 12_500_000_000n);
    assert.equal(set([10, 1_000_000_000]), 11_000_000_000n);
    assert.equal(set([10, -1]), 9_999_999_999n);
    assert.equal(set([1.5, 7]), 1_500_000_007n);
    assert.equal(set([1_700_000_000, 999_999_999.7]), 1_700_000_001_000_000_000n);
  });

  it("agrees with BigInt arithmetic on random [seconds, nanoseconds]", () => {
    console.log(`seed ${seed}`);
    const random = new Random();
    for (let i = 0; i < 20_000; i++) {
      const seconds = Math.floor(random.fraction() * (i % 2 === 0 ? 9_223_372_036 : 2_000_000_000));
      const rest = Math.floor(random.fraction() * 1_000_000_000);
      assert.equal(
        set([seconds, rest]),
        BigInt(seconds) * 1_000_000_000n + BigInt(rest),
        `seed ${seed}, [${seconds}, ${rest}]`,
      );
    }
  });

  it("agrees with BigInt arithmetic on random epoch milliseconds with fractions", () => {
    console.log(`seed ${seed}`);
    const random = new Random();
    for (let i = 0; i < 20_000; i++) {
      let millis = 1e12 + random.fraction() * (i % 2 === 0 ? 1e12 : 8e12);
      if (i % 4 === 1) millis = Math.floor(millis);
      if (i % 4 === 2) millis = Math.round(millis / 1000) * 1000 - 2 ** -12;
      assert.equal(set(millis), exactNanos(millis), `seed ${seed}, ${millis}`);
    }
  });

  it("takes a Date", () => {
    assert.equal(set(new Date(1_700_000_000_123)), 1_700_000_000_123_000_000n);
    assert.equal(set(new Date(0)), 0n);
  });

  it("moves readings of performance.now() to the system clock", () => {
    const reading = performance.now();
    const before = BigInt(Date.now()) * 1_000_000n;
    const got = set(reading);
    // Date.now() cuts off up to 1 ms; both clocks are read within the second of this test.
    const difference = got - before;
    assert.ok(difference > -1_000_000_000n && difference < 1_000_000_000n, `${difference} ns`);
    const zero = set(0);
    const expected = BigInt(Math.round(reading * 1e6));
    const distance = got - zero - expected;
    assert.ok(distance > -100_000_000n && distance < 100_000_000n, `${distance} ns`);
  });

  it("takes numbers past performance.now() for epoch milliseconds", () => {
    const millis = Math.ceil(performance.now()) + 100_000_000;
    assert.equal(set(millis), BigInt(millis) * 1_000_000n);
    assert.equal(set(1e12 - 1), 999_999_999_999_000_000n);
    assert.equal(set(1e12), 1_000_000_000_000_000_000n);
  });

  it("refuses what is no time and leaves the words alone", () => {
    set([5, 6]);
    const bad: unknown[] = [
      NaN,
      -1,
      -Infinity,
      Infinity,
      Date.now() * 1e6,
      Date.now() * 1e3,
      new Date(NaN),
      new Date(-1),
      [],
      [1],
      [1, 2, 3],
      [NaN, 0],
      [0, NaN],
      [Infinity, 0],
      [0, Infinity],
      [-1, 0],
      [0, -1],
      [9_223_372_036, 0],
      ["1", 2],
      [1, null],
      "2024-01-01",
      null,
      undefined,
      {},
      5n,
    ];
    for (const input of bad) {
      assert.equal(setTimeFromInput(input as TimeInput), false, `took ${String(input)}`);
      assert.equal(nanos(), 5_000_000_006n);
    }
  });
});

describe("setTimeNow", () => {
  it("lies between two readings of the clock, also across seconds", () => {
    const read = (): bigint => {
      now();
      return BigInt(clockWords[0] >>> 0) * 1_000_000_000n + BigInt(clockWords[2]);
    };
    // Long enough to pass the end of a second, where the cached base changes.
    const until = Date.now() + 1_100;
    const seconds = new Set<number>();
    let count = 0;
    while (Date.now() < until) {
      const before = read();
      setTimeNow();
      const got = nanos();
      const after = read();
      assert.ok(before <= got && got <= after, `${before} <= ${got} <= ${after}`);
      seconds.add(clockWords[0]);
      count++;
    }
    assert.ok(seconds.size >= 2 && count >= 1000);
  });

  it("is not disturbed by times set from input in between", () => {
    for (const input of [[1, 2], 1.7e12, new Date(5), performance.now()] as TimeInput[]) {
      setTimeNow();
      const before = nanos();
      setTimeFromInput(input);
      setTimeNow();
      const distance = nanos() - before;
      assert.ok(distance >= 0n && distance < 1_000_000_000n, `${distance} ns`);
    }
  });
});

describe("setTimeFromClock", () => {
  it("agrees with BigInt arithmetic where the low word carries, and after 2038", () => {
    let carried = 0;
    for (const first of [0, 4, 1_700_000_000, 2 ** 31 - 4, 2 ** 32 - 8]) {
      for (let second = first; second < first + 8; second++) {
        const start = BigInt(second) * 1_000_000_000n;
        const toCarry = Number(0x1_0000_0000n - (start & 0xffff_ffffn));
        const rests = [0, 1, 999_999_999];
        if (toCarry < 1_000_000_000) rests.push(toCarry - 1, toCarry, toCarry + 1);
        for (const rest of rests) {
          setTimeFromClock(second | 0, rest);
          assert.equal(nanos(), start + BigInt(rest), `${second} s ${rest} ns`);
          if (rest === toCarry) carried++;
        }
      }
    }
    assert.ok(carried >= 5, `only ${carried} carries`);
  });
});
