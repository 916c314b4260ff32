import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ago,
  clockTime,
  dateTime,
  duration,
  msBetween,
  parseDuration,
  powersOfTen,
  ticks,
  timeNear,
  toMs,
} from "./time.ts";

describe("time", () => {
  it("writes durations with three digits and a unit", () => {
    const cases: [number, string][] = [
      [0, "0 ns"],
      [1, "1 ns"],
      [870, "870 ns"],
      [999.9, "1 µs"],
      [1234, "1.23 µs"],
      [999_700, "1 ms"],
      [12_345_678, "12.3 ms"],
      [1_500_000_000, "1.5 s"],
      [59_940_000_000, "59.9 s"],
      [60_000_000_000, "1 min"],
      [123_000_000_000, "2 min 3 s"],
      [3_600_000_000_000, "1 h"],
      [5_460_000_000_000, "1 h 31 min"],
      [90_000_000_000_000, "1 d 1 h"],
      [-5_000_000, "−5 ms"],
      [NaN, "–"],
    ];
    for (const [ns, text] of cases) assert.equal(duration(ns), text);
  });

  it("reads durations, milliseconds without a unit", () => {
    const cases: [string, number | undefined][] = [
      ["250ms", 250e6],
      [" 1.5 s ", 1.5e9],
      ["20", 20e6],
      ["3us", 3e3],
      ["3µs", 3e3],
      ["2min", 120e9],
      ["1h", 3600e9],
      ["", undefined],
      ["-1s", undefined],
      ["1s2", undefined],
      ["many", undefined],
    ];
    for (const [text, ns] of cases) assert.equal(parseDuration(text), ns);
  });

  it("is exact to the nanosecond between times no number can hold", () => {
    assert.equal(msBetween("1800000000123456789", "1800000000123456790"), 1e-6);
    assert.equal(msBetween("1800000000123456790", "1800000000123456789"), -1e-6);
    assert.ok(Math.abs(toMs("1800000000123456789") - 1800000000123.456) < 0.001);
  });

  it("writes local time to the millisecond, with the date where it is another day", () => {
    const ms = new Date(2026, 10, 5, 4, 3, 2, 7).getTime();
    assert.equal(clockTime(ms), "04:03:02.007");
    assert.equal(dateTime(ms), "2026-11-05 04:03:02.007");
    assert.equal(timeNear(ms, ms + 60_000), "04:03:02.007");
    assert.equal(timeNear(ms, ms + 86_400_000), "2026-11-05 04:03:02.007");
    assert.equal(dateTime(NaN), "–");
  });

  it("says how long ago", () => {
    assert.deepEqual([0, 12_000, 125_000, 7_300_000, 3e8].map((past) => ago(1e12 - past, 1e12)), [
      "now",
      "12 s ago",
      "2 min ago",
      "2 h ago",
      "3 d ago",
    ]);
  });

  it("divides a stretch at round steps", () => {
    assert.deepEqual(ticks(100, 5), [0, 20, 40, 60, 80, 100]);
    assert.deepEqual(ticks(0, 5), [0]);
    for (const span of [0.00037, 1, 7, 99.5, 123_456]) {
      const list = ticks(span, 6);
      assert.ok(
        list.length >= 2 && list.length <= 8 && list.at(-1)! <= span * 1.001,
        `${span}: ${list}`,
      );
    }
    assert.deepEqual(powersOfTen(0.5, 1000), [1, 10, 100, 1000]);
  });
});
