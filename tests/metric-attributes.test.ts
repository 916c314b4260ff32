/** Attribute sets with lists and maps in them, from the application to what a backend gets. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Attributes, metrics, ValueType } from "@opentelemetry/api";
import { folders } from "../collector/testing/run.ts";
import { start } from "../lib/sdk/start.ts";
import type { NumberDataPoint } from "../proto/gen/otlp_pb.ts";
import { pointsOf } from "./support/collect.ts";
import { collectOnce, plainAttributes } from "./support/collector.ts";
import { Random, seed } from "./support/random.ts";

const folder = folders("metric-attributes");

type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

function randomValue(random: Random, depth: number): Value {
  switch (depth === 0 ? 0 : random.below(4)) {
    case 0:
      return random.pick([1, "a", true, null]);
    case 1:
      return Array.from({ length: random.below(3) }, () => randomValue(random, depth - 1));
    default:
      return randomMap(random, depth);
  }
}

function randomMap(random: Random, depth: number): { [key: string]: Value } {
  const map: { [key: string]: Value } = {};
  for (let i = random.below(4); i > 0; i--) {
    map[random.pick(["x", "y", "żółć", "a longer key"])] = randomValue(random, depth - 1);
  }
  return map;
}

/** An equal value, the pairs of its maps in any order. */
function shuffled<T extends Value>(random: Random, value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => shuffled(random, each)) as T;
  const pairs = Object.entries(value).map(([key, each]) => [key, shuffled(random, each)]);
  const ordered: typeof pairs = [];
  while (pairs.length > 0) ordered.push(...pairs.splice(random.below(pairs.length), 1));
  return Object.fromEntries(ordered);
}

/** The same text for equal values. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each) => {
    if (typeof each === "bigint") return Number(each);
    if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

describe("attribute sets with maps", () => {
  it(`are one series whatever the order of their pairs (seed ${seed})`, async () => {
    const random = new Random();
    const directory = folder();
    const sdk = start({
      env: {},
      directory,
      sizes: { measurements: { slots: 4096, slotBytes: 1024 } },
    });
    assert.equal(sdk.recording, true, sdk.reason ?? "");
    const sets = Array.from({ length: 60 }, () => randomMap(random, 3));
    const anySet = (): Attributes => shuffled(random, random.pick(sets)) as unknown as Attributes;
    const expected = { told: new Map<string, number>(), observed: new Map<string, number>() };
    const meter = metrics.getMeter("m");
    const options = { valueType: ValueType.INT };
    const told = meter.createCounter("told", options);
    for (let i = 0; i < 1000; i++) {
      const attributes = anySet();
      const key = canonical(attributes);
      expected.told.set(key, (expected.told.get(key) ?? 0) + i);
      told.add(i, attributes);
    }
    meter.createObservableUpDownCounter("observed", options).addCallback((result) => {
      for (let i = 0; i < 300; i++) {
        const attributes = anySet();
        // The last one counts.
        expected.observed.set(canonical(attributes), i);
        result.observe(i, attributes);
      }
    });
    // The callback is asked once, on the way out.
    await sdk.shutdown();
    const { metrics: collected, text } = await collectOnce([directory]);
    for (const name of ["told", "observed"] as const) {
      const points = collected.filter(({ metric }) => metric.name === name)
        .flatMap(({ metric }) => pointsOf(metric) as NumberDataPoint[]);
      const found = points.map(({ attributes, value }) =>
        `${canonical(plainAttributes(attributes))} ${value.value}`
      );
      const wanted = [...expected[name]].map(([key, value]) => `${key} ${value}`);
      assert.deepEqual(found.sort(), wanted.sort(), `${name}: ${text}`);
    }
  });
});
