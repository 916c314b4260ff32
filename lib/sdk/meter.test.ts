import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type Attributes,
  type BatchObservableResult,
  context,
  diag,
  DiagLogLevel,
  logs,
  type Meter,
  metrics,
  type Observable,
  type ObservableResult,
  ROOT_CONTEXT,
  trace,
  ValueType,
} from "@opentelemetry/api";
import type { Measurement } from "../../proto/gen/mmap_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { hex, RawFile } from "../../tests/support/records.ts";
import type { RingLedger } from "../file/ledger.ts";
import { DICTIONARY_END, RING_MEASUREMENTS } from "../format/layout.ts";
import { Reader } from "../reader.ts";
import { type Sdk, start, type StartOptions } from "./start.ts";
import type { View } from "./views.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-meter-"));
let files = 0;

/** Runs `body` with a recording SDK on a file of its own and returns the file. */
async function recorded(
  body: (meter: Meter, sdk: Sdk) => void | Promise<void>,
  options: StartOptions = {},
): Promise<RawFile> {
  const sdk = start({ env: {}, file: join(directory, `${++files}.otlp`), ...options });
  try {
    assert.equal(sdk.recording, true, sdk.reason ?? "");
    await body(metrics.getMeter("scope", "1.2.3", { schemaUrl: "https://schema/1" }), sdk);
    return new RawFile(sdk.path!);
  } finally {
    await sdk.shutdown();
  }
}

/** What the API's diag logger was told while `body` ran. */
async function warnings(body: () => unknown): Promise<string[]> {
  const lines: string[] = [];
  const add = (...words: unknown[]): void => void lines.push(words.join(" "));
  const ignore = (): void => {};
  diag.setLogger(
    { error: add, warn: add, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  try {
    await body();
  } finally {
    diag.disable();
  }
  return lines;
}

function valuesOf(file: RawFile): unknown[] {
  return file.measurements().map(({ value }) => value.value);
}

function attributesOf(file: RawFile, measurement: Measurement): Record<string, unknown> {
  return file.attributes(measurement.attributes);
}

/** What `forgetting` found in the file. */
interface Forgetting {
  /** What was written of the rare attribute set. */
  readonly rare: { readonly counter: number[]; readonly gauge: number[] };
  /** The counter's sum of each of the others. */
  readonly sums: ReadonlyMap<unknown, number>;
  /** Measurements refused as unusable. */
  readonly refused: number;
}

/**
 * Collects as often as there are values: each time one attribute set has that value, or is not observed
 * at null, beside 4,000 others, which begin at another number each time.
 */
async function forgetting(
  values: readonly (number | null)[],
  others: readonly number[],
): Promise<Forgetting> {
  let refused = NaN;
  const file = await recorded(async (meter, sdk) => {
    let round = 0;
    const observe = (result: ObservableResult): void => {
      for (let i = others[round]; i < others[round] + 4_000; i++) result.observe(1, { i });
      const value = values[round];
      if (value !== null) result.observe(value, { i: -1 });
    };
    meter.createObservableCounter("counter").addCallback(observe);
    meter.createObservableGauge("gauge").addCallback(observe);
    for (; round < values.length; round++) await sdk.meterProvider!.collect();
    // Asked once more at shutdown.
    round--;
    const reader = Reader.open(sdk.path!);
    refused = reader.ledger()[RING_MEASUREMENTS].refused.encode;
    reader.close();
  }, { sizes: { measurements: { slots: 65_536, slotBytes: 256 } } });
  const rare: Record<string, number[]> = { counter: [], gauge: [] };
  const sums = new Map<unknown, number>();
  for (const record of file.measurements()) {
    const { i } = attributesOf(file, record);
    const { name } = file.metric(record.metricRef);
    const value = Number(record.value.value);
    if (i === -1n) rare[name].push(value);
    else if (name === "counter") sums.set(i, (sums.get(i) ?? 0) + value);
  }
  return { rare: rare as Forgetting["rare"], sums, refused };
}

/** Whatever is asked of it throws. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe("instruments", () => {
  after(() => rmSync(directory, { recursive: true }));

  it("of every kind write their definition and their values", async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const file = await recorded((meter) => {
      meter.createCounter("c", { description: "words", unit: "1", valueType: ValueType.INT })
        .add(5, { a: "x" });
      meter.createUpDownCounter("u").add(-1.5);
      meter.createHistogram("h", { unit: "ms", advice: { explicitBucketBoundaries: [1, 2.5] } })
        .record(2);
      meter.createGauge("g", { valueType: ValueType.INT }).record(-7);
      meter.createHistogram("d").record(0);
    });
    const records = file.measurements();
    assert.deepEqual(records.map(({ value }) => value), [
      { case: "asLong", value: 5n },
      { case: "asDouble", value: -1.5 },
      { case: "asDouble", value: 2 },
      { case: "asLong", value: -7n },
      { case: "asDouble", value: 0 },
    ]);
    const [c, u, h, g, d] = records.map(({ metricRef }) => file.metric(metricRef));
    assert.deepEqual([c.name, c.description, c.unit, c.instrument, c.valueType], [
      "c",
      "words",
      "1",
      1,
      1,
    ]);
    assert.ok(c.createdTimeUnixNano >= before);
    assert.deepEqual(c.aggregation.case, "sum");
    assert.ok(c.aggregation.case === "sum" && c.aggregation.value.isMonotonic);
    assert.equal(c.aggregation.value.aggregationTemporality, 2);
    assert.ok(u.aggregation.case === "sum" && !u.aggregation.value.isMonotonic);
    assert.equal(u.valueType, 2);
    assert.ok(h.aggregation.case === "histogram");
    assert.deepEqual(h.aggregation.value.bucketBoundaries, [1, 2.5]);
    assert.equal(g.aggregation.case, "gauge");
    assert.ok(d.aggregation.case === "histogram");
    assert.equal(d.aggregation.value.bucketBoundaries.length, 15);
    assert.deepEqual(attributesOf(file, records[0]), { a: "x" });
    const { name, schemaUrl, resource } = file.scope(c.instrumentationScopeRef);
    assert.deepEqual([name, schemaUrl], ["scope", "https://schema/1"]);
    assert.ok("service.name" in resource);
    for (const { timeUnixNano } of records) assert.ok(timeUnixNano >= before);
  });

  it("ask for the temporality and the histograms that are preferred", async () => {
    const expected = {
      cumulative: [2, 2, 2, 2, 2],
      delta: [1, 2, 1, 1, 2],
      lowmemory: [1, 2, 1, 2, 2],
    };
    for (const temporality of ["cumulative", "delta", "lowmemory"] as const) {
      const file = await recorded(async (meter, sdk) => {
        meter.createCounter("c").add(1);
        meter.createUpDownCounter("u").add(1);
        meter.createHistogram("h").record(1);
        meter.createObservableCounter("oc").addCallback((result) => result.observe(1));
        meter.createObservableUpDownCounter("ou").addCallback((result) => result.observe(1));
        await sdk.meterProvider!.collect();
      }, { metrics: { temporality, histograms: "exponential" } });
      const found = file.measurements().map(({ metricRef }) => file.metric(metricRef).aggregation);
      assert.deepEqual(
        found.map(({ value }) =>
          (value as { aggregationTemporality: number }).aggregationTemporality
        ),
        expected[temporality],
      );
      assert.ok(found[2].case === "exponentialHistogram");
      assert.deepEqual([found[2].value.maxBuckets, found[2].value.maxScale], [160n, 20n]);
    }
  });

  it("write every number as it is", async () => {
    const random = new Random();
    const ints = [0, 1, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53];
    ints.push(2 ** 62, ...ints.map((value) => -value), -(2 ** 63));
    const doubles = [0.1, -0.1, 5e-324, 1.7976931348623157e308, 2 ** 60, -3];
    for (let i = 0; i < 200; i++) {
      ints.push(Math.trunc((random.word() / 2 ** 32) * 2 ** (1 + random.below(63))));
      doubles.push((random.word() / 2 ** 32) * 10 ** (random.below(600) - 300));
    }
    const span = () => trace.getTracer("t").startSpan("s");
    const file = await recorded((meter) => {
      const int = meter.createUpDownCounter("i", { valueType: ValueType.INT });
      const double = meter.createUpDownCounter("d");
      const active = trace.setSpan(ROOT_CONTEXT, span());
      for (const value of ints) {
        int.add(value);
        int.add(value, { key: "value", other: 12.5 });
        int.add(value, { key: "value" }, active);
        int.add(value, { list: [1, 2] }, active);
        int.add(value, { list: [1, 2] });
      }
      for (const value of doubles) double.add(value, { key: true }, active);
    }, { sizes: { measurements: { slots: 4096, slotBytes: 512 } } });
    const records = file.measurements();
    assert.deepEqual(
      valuesOf(file),
      [...ints.flatMap((value) => Array(5).fill(BigInt(value))), ...doubles],
      `seed ${seed}`,
    );
    for (let i = 0; i < ints.length; i++) {
      const five = records.slice(i * 5, i * 5 + 5);
      assert.deepEqual(five.map((record) => attributesOf(file, record)), [
        {},
        { key: "value", other: 12.5 },
        { key: "value" },
        { list: [1n, 2n] },
        { list: [1n, 2n] },
      ]);
      assert.deepEqual(five.map(({ spanContext }) => spanContext !== undefined), [
        false,
        false,
        true,
        true,
        false,
      ]);
    }
  });

  it("carry the span they were measured in, if it is sampled", async () => {
    let ids: string[] = [];
    const file = await recorded((meter) => {
      const counter = meter.createCounter("c");
      trace.getTracer("t").startActiveSpan("s", (span) => {
        ids = [span.spanContext().traceId, span.spanContext().spanId];
        counter.add(1);
        counter.add(2, {}, ROOT_CONTEXT);
        span.end();
      });
      const foreign = { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 };
      counter.add(3, {}, trace.setSpanContext(ROOT_CONTEXT, foreign));
      counter.add(4, {}, trace.setSpanContext(context.active(), { ...foreign, traceFlags: 0 }));
    });
    const [one, two, three, four] = file.measurements().map(({ spanContext }) => spanContext);
    assert.deepEqual([hex(one!.traceId), hex(one!.spanId), one!.flags], [...ids, 1]);
    assert.deepEqual([two, four], [undefined, undefined]);
    assert.deepEqual([hex(three!.traceId), hex(three!.spanId)], ["a".repeat(32), "b".repeat(16)]);
    for (const exemplars of ["always_off", "always_on"] as const) {
      const other = await recorded((meter) => {
        meter.createCounter("c").add(
          1,
          {},
          trace.setSpanContext(ROOT_CONTEXT, {
            traceId: "a".repeat(32),
            spanId: "b".repeat(16),
            traceFlags: 0,
          }),
        );
      }, { metrics: { exemplars } });
      assert.equal(other.measurements()[0].spanContext !== undefined, exemplars === "always_on");
    }
  });

  it("know attribute sets by their content, in any object and order", async () => {
    const random = new Random();
    const given: Record<string, unknown>[] = [];
    const reused: Record<string, unknown> = {};
    const file = await recorded((meter) => {
      const counter = meter.createCounter("c");
      for (let i = 0; i < 1500; i++) {
        // The same object with other contents, fresh ones with the same, in changing order.
        const fresh: Record<string, unknown> = random.below(2) === 0 ? reused : {};
        for (const key of Object.keys(fresh)) if (random.below(3) > 0) delete fresh[key];
        for (let j = random.below(5); j > 0; j--) {
          fresh[`key ${random.below(6)}`] = random.pick<unknown>([
            1,
            "1",
            1.5,
            true,
            "true",
            -1,
            0,
            "",
            "żółć",
            "long".repeat(20),
            undefined,
            [1, "a"],
          ]);
        }
        given.push({ ...fresh });
        counter.add(i, fresh as never);
      }
    });
    const records = file.measurements();
    assert.equal(records.length, 1500);
    for (let i = 0; i < records.length; i++) {
      const expected = Object.entries(given[i]).filter(([, value]) => value !== undefined)
        .map(([key, value]) => [key, meant(value)]);
      assert.deepEqual(
        attributesOf(file, records[i]),
        Object.fromEntries(expected),
        `seed ${seed}, measurement ${i}`,
      );
    }
    function meant(value: unknown): unknown {
      if (Array.isArray(value)) return value.map(meant);
      return Number.isSafeInteger(value) ? BigInt(value as number) : value;
    }
  });

  it("take more attribute sets than they remember", async () => {
    const file = await recorded((meter) => {
      const counter = meter.createCounter("c");
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 2100; i++) counter.add(1, { i });
      }
    }, { sizes: { measurements: { slots: 8192, slotBytes: 256 } } });
    const found = file.measurements().map((record) => attributesOf(file, record).i);
    assert.deepEqual(
      found,
      [0, 1].flatMap(() => Array.from({ length: 2100 }, (_, i) => BigInt(i))),
    );
  });

  it("cut attributes that do not fit a slot, and say so in the record", async () => {
    const file = await recorded((meter) => {
      const counter = meter.createCounter("c");
      counter.add(1, { long: "x".repeat(1000), after: 1 });
      counter.add(2, { list: Array(500).fill("y") });
      counter.add(3, { short: 1 });
      counter.add(-1, { long: "x".repeat(1000) });
    });
    const records = file.measurements();
    assert.deepEqual(records.map(({ truncated }) => truncated), [true, true, false]);
    assert.match(attributesOf(file, records[0]).long as string, /^x{300,}$/);
  });

  it("never throw, and record nothing of what is no measurement", async () => {
    const hostile = new Proxy({}, {
      ownKeys(): never {
        throw new Error("no keys");
      },
    });
    const throwing = {
      get a(): number {
        throw new Error("no value");
      },
      b: 1,
    };
    let lines: string[] = [];
    const file = await recorded(async (meter) => {
      const counter = meter.createCounter("c");
      const histogram = meter.createHistogram("h", { valueType: ValueType.INT });
      lines = await warnings(() => {
        for (const value of [NaN, Infinity, -Infinity, "1", null, undefined, {}, 1n, -1, -0.5]) {
          counter.add(value as never);
          histogram.record(value as never);
        }
        histogram.record(2 ** 63);
        histogram.record(2.9);
        counter.add(1, hostile as never);
        counter.add(2, throwing as never);
        let asked = 0;
        counter.add(2.5, {
          get later() {
            // Fine when it is looked for, and not when it is to be remembered.
            if (++asked === 2) throw new Error("the second time");
            return "value";
          },
        });
        counter.add(3, null as never);
        counter.add(4, "text" as never);
        counter.add(5, { f: () => 1, ok: 1 } as never);
        counter.add(6, {
          get nested() {
            counter.add(100);
            return "outer";
          },
        });
      });
    });
    assert.deepEqual(valuesOf(file), [2n, 1, 2, 2.5, 3, 4, 5, 100, 100, 6]);
    const records = file.measurements();
    assert.deepEqual(attributesOf(file, records[2]), { b: 1n });
    assert.deepEqual(attributesOf(file, records[6]), { ok: 1n });
    assert.deepEqual(attributesOf(file, records.at(-1)!), { nested: "outer" });
    // Each problem of an instrument once.
    assert.equal(lines.filter((line) => line.includes("instrument c: a value")).length, 1);
    assert.equal(lines.filter((line) => line.includes("negative")).length, 2);
    assert.equal(lines.filter((line) => line.includes("fraction")).length, 1);
  });

  it("count what is no measurement as refused, once for each stream", async () => {
    const throwing = {
      get a(): number {
        throw new Error("no value");
      },
    };
    let offered = 0;
    let ledger!: RingLedger;
    await warnings(() =>
      recorded(async (meter, sdk) => {
        const counter = meter.createCounter("c");
        const int = meter.createHistogram("two", { valueType: ValueType.INT });
        const values = [1, NaN, Infinity, -Infinity, "1", null, 1n, -1, -0.5, 2 ** 63, 3];
        for (const value of values) {
          counter.add(value as number);
          int.record(value as number);
        }
        offered = values.length * 3 + 5;
        meter.createCounter("dropped").add(NaN);
        meter.createObservableUpDownCounter("o").addCallback((result) => {
          const given: [unknown, Attributes?][] = [[1], [NaN], [null], [2, throwing], [-1, {
            b: 1,
          }]];
          for (const [value, attributes] of given) result.observe(value as number, attributes);
        });
        await sdk.meterProvider!.collect();
        const reader = Reader.open(sdk.path!);
        ledger = reader.ledger()[RING_MEASUREMENTS];
        reader.close();
      }, {
        metrics: {
          views: [
            { instrumentName: "two" },
            { instrumentName: "two", name: "second" },
            { instrumentName: "dropped", aggregation: { type: "drop" } },
          ],
        },
      })
    );
    assert.equal(ledger.claimed, 3 + 2 * 2 + 2);
    assert.equal(ledger.refused.encode, offered - ledger.claimed);
    assert.equal(ledger.offered, offered);
  });

  it("take no elements of a text, a list or bytes for attributes", async () => {
    const file = await recorded(async (meter, sdk) => {
      const counter = meter.createCounter("c");
      const all = [
        "abc",
        new String("abc"),
        ["abc"],
        [1, 2],
        new Uint8Array(3),
        new DataView(new ArrayBuffer(1)),
        revoked(),
      ];
      for (const [i, given] of all.entries()) {
        counter.add(1, given as never);
        const observe = (result: ObservableResult): void => result.observe(2, given as never);
        meter.createObservableGauge(`g${i}`).addCallback(observe);
      }
      await sdk.meterProvider!.collect();
    });
    const records = file.measurements();
    assert.equal(records.length, 14);
    for (const record of records) assert.deepEqual(attributesOf(file, record), {});
  });

  it("put no keys into the file that have no place in the record", async () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`key ${i}`, i]));
    const file = await recorded((meter) => meter.createCounter("c").add(1, many));
    const [record] = file.measurements();
    const count = Object.keys(attributesOf(file, record)).length;
    assert.ok(record.truncated && count > 10, `${count} attributes`);
    // Of what did not fit, one was tried.
    const used = file.i64(file.dictionary + DICTIONARY_END) - file.dictionary;
    assert.ok(used < 2000 + count * 20, `${used} bytes of dictionary for ${count} attributes`);
  });

  it("are made whatever they are made of", async () => {
    const throwing = new Proxy({}, {
      get(): never {
        throw new Error("not to be read");
      },
    });
    const text = {
      toString(): never {
        throw new Error("no text");
      },
    };
    let lines: string[] = [];
    const file = await recorded(async (_, sdk) => {
      lines = await warnings(async () => {
        for (const hostile of [Symbol("s"), text, revoked(), null, undefined, 5] as never[]) {
          for (const options of [undefined, throwing, revoked(), hostile] as never[]) {
            const meter = metrics.getMeter(hostile, hostile, options);
            assert.equal(metrics.getMeter(hostile, hostile, options), meter);
            meter.createCounter(hostile, options).add(1);
            meter.createHistogram("h", { description: "first", unit: hostile }).record(1);
            meter.createHistogram("h", { advice: options }).record(1);
            meter.createHistogram("h", { advice: { explicitBucketBoundaries: options } }).record(1);
            meter.addBatchObservableCallback(() => {}, options);
            meter.addBatchObservableCallback(() => {}, [options]);
            meter.addBatchObservableCallback(hostile, [meter.createObservableGauge("o")]);
            meter.removeBatchObservableCallback(hostile, options);
          }
        }
        const gauge = metrics.getMeter("m").createObservableGauge("g");
        gauge.addCallback(() => throwing as Promise<void>);
        const oddPromise = Promise.resolve();
        Object.defineProperty(oddPromise, "constructor", {
          get(): never {
            throw new Error("no constructor");
          },
        });
        gauge.addCallback(() => oddPromise);
        gauge.addCallback((result) => result.observe(7));
        await sdk.meterProvider!.collect();
      });
    }, { sizes: { measurements: { slots: 256, slotBytes: 512 } } });
    assert.equal(file.measurements().length, 6 * 4 * 4 + 1);
    assert.equal(valuesOf(file).at(-1), 7);
    assert.ok(lines.some((line) => line.startsWith("getMeter: its options could not be read")));
    assert.ok(lines.some((line) => /^instrument h: its options could not be read/.test(line)));
  });

  it("take null for what is not said", async () => {
    const nothing = {
      unit: null,
      description: null,
      valueType: null,
      advice: { explicitBucketBoundaries: null },
    };
    let lines: string[] = [];
    const file = await recorded(async (meter) => {
      lines = await warnings(() => {
        meter.createHistogram("h", nothing as never).record(1.5);
        meter.createHistogram("h", { advice: null } as never).record(2);
        meter.createHistogram("h", null as never).record(3);
      });
    });
    const [{ metricRef }, ...others] = file.measurements();
    const { unit, description, aggregation } = file.metric(metricRef);
    assert.deepEqual([unit, description], ["", ""]);
    assert.ok(aggregation.case === "histogram");
    assert.equal(aggregation.value.bucketBoundaries.length, 15);
    assert.deepEqual(others.map((other) => other.metricRef), [metricRef, metricRef]);
    assert.deepEqual(lines, []);
  });

  it("are the same for the same, and warn of others with their name", async () => {
    await recorded(async (meter) => {
      const first = meter.createCounter("Requests", { unit: "1" });
      assert.equal(meter.createCounter("Requests", { unit: "1" }), first);
      const lines = await warnings(() => {
        assert.equal(meter.createCounter("requests", { unit: "1" }), first);
        assert.notEqual(meter.createCounter("requests", { unit: "ms" }), first);
        assert.notEqual(meter.createHistogram("requests"), first);
        meter.createCounter("1 bad name");
        meter.createCounter("u", { unit: "ż" });
        meter.createHistogram("n", { advice: { explicitBucketBoundaries: "x" as never } });
      });
      assert.equal(lines.length, 6, lines.join("\n"));
      assert.match(lines[0], /requests: is Requests/);
      assert.match(lines[1], /requests.*different unit/);
      assert.match(lines[2], /different instrument, unit/);
    });
  });

  it("keep the advice that came first, and say so where it matters", async () => {
    const use = (views: readonly View[]): Promise<string[]> =>
      warnings(() =>
        recorded((meter) => {
          for (const explicitBucketBoundaries of [[1, 2], [2, 1], [3], undefined]) {
            const advice = { explicitBucketBoundaries };
            meter.createHistogram("h", { advice }).record(1);
            meter.createCounter("c", { advice }).add(1);
          }
        }, { metrics: { views } })
      );
    assert.deepEqual(await use([]), [
      "instrument h: it is asked for with other advice; what was advised first counts",
    ]);
    const aggregation = { type: "explicit_bucket_histogram", boundaries: [5] } as const;
    assert.deepEqual(await use([{ instrumentName: "h", aggregation }]), []);
  });

  it("go on in the next file, definitions and attributes with them", async () => {
    const sizes = { dictionaryBytes: 16_384 };
    const place = join(directory, "succession");
    const sdk = start({ env: {}, file: place, sizes });
    const counter = metrics.getMeter("m").createCounter("c", { valueType: ValueType.INT });
    const first = sdk.path!;
    let total = 0;
    for (let i = 0; sdk.path === first && i < 2000; i++) {
      counter.add(1, { [`key ${i} ${"x".repeat(50)}`]: "value" });
      counter.add(1, { known: "set" });
      total += 2;
    }
    counter.add(1, { known: "set" });
    total++;
    const paths = [first, sdk.path!];
    assert.notEqual(paths[0], paths[1]);
    const raws = paths.map((path) => new RawFile(path));
    await sdk.shutdown();
    const counted = raws.map((file) => file.measurements().length);
    assert.equal(counted[0] + counted[1], total);
    const created = raws.map((file) => file.metric(file.measurements()[0].metricRef))
      .map(({ name, createdTimeUnixNano }) => [name, createdTimeUnixNano]);
    assert.deepEqual(created[0], created[1]);
    const last = raws[1].measurements().at(-1)!;
    assert.deepEqual(raws[1].attributes(last.attributes), { known: "set" });
  });
});

describe("views", () => {
  it("change what becomes of instruments", async () => {
    const file = await recorded((meter) => {
      meter.createCounter("renamed").add(1);
      meter.createCounter("dropped").add(2);
      meter.createHistogram("latency.a").record(3);
      meter.createHistogram("both").record(4);
      meter.createGauge("limited").record(5, { keep: 1, lose: 2 });
    }, {
      metrics: {
        views: [
          { instrumentName: "renamed", name: "new", description: "words" },
          { instrumentName: "dropped", aggregation: { type: "drop" } },
          {
            instrumentName: "latency.*",
            instrumentType: "histogram",
            aggregation: { type: "exponential_histogram", maxSize: 20, recordMinMax: false },
          },
          {
            instrumentName: "both",
            aggregation: { type: "explicit_bucket_histogram", boundaries: [] },
          },
          { instrumentName: "both", name: "both.sum", aggregation: { type: "sum" } },
          {
            instrumentName: "limited",
            attributeKeys: ["keep"],
            excludedAttributeKeys: ["y", "x", "x"],
            aggregationCardinalityLimit: 7,
          },
          { instrumentName: "renamed", meterName: "other", name: "never" },
        ],
      },
    });
    const found = file.measurements().map(({ metricRef, value }) => {
      const { name, aggregation, ...rest } = file.metric(metricRef);
      return { name, aggregation, value: value.value, ...rest };
    });
    assert.deepEqual(found.map(({ name, value }) => [name, value]), [
      ["new", 1],
      ["latency.a", 3],
      ["both", 4],
      ["both.sum", 4],
      ["limited", 5],
    ]);
    assert.equal(found[0].description, "words");
    const exponential = found[1].aggregation;
    assert.ok(exponential.case === "exponentialHistogram");
    assert.equal(exponential.value.maxBuckets, 20n);
    assert.equal(found[1].omitsMinMax, true);
    assert.ok(found[2].aggregation.case === "histogram");
    assert.deepEqual(found[2].aggregation.value.bucketBoundaries, []);
    assert.ok(found[3].aggregation.case === "sum" && found[3].aggregation.value.isMonotonic);
    assert.deepEqual(
      [found[4].filtersAttributes, found[4].attributeKeys, found[4].cardinalityLimit],
      [true, ["keep"], 7],
    );
    assert.deepEqual(found.map(({ excludedAttributeKeys }) => excludedAttributeKeys), [
      ...[[], [], [], []],
      ["x", "y"],
    ]);
    const views = [{ name: "x" }, { instrumentName: "*", name: "y" }];
    const lines = await warnings(() => recorded(() => {}, { metrics: { views } }));
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.ok(lines.every((line) => line.startsWith("metrics view")), lines.join("\n"));
  });

  it("and instruments may say boundaries in any order, and with infinities", async () => {
    const given: unknown[] = [
      [0, 10, Infinity],
      [-Infinity, 0, 10],
      [10, 0, 5],
      [0, 0, -0, 10, 10],
      [Infinity],
      [1, NaN],
      [1, , 2],
    ];
    const expected = [[0, 10], [0, 10], [0, 5, 10], [0, 10], [], null, null];
    let lines: string[] = [];
    const found: unknown[] = [];
    lines = await warnings(async () => {
      const file = await recorded((meter) => {
        for (const [i, boundaries] of given.entries()) {
          const advice = { explicitBucketBoundaries: boundaries as number[] };
          meter.createHistogram(`advised ${i}`, { advice }).record(1, { a: 1 });
          meter.createHistogram(`viewed ${i}`).record(1, { a: 1 });
        }
      }, {
        metrics: {
          views: given.map((boundaries, i) => ({
            instrumentName: `viewed ${i}`,
            name: `renamed ${i}`,
            aggregation: { type: "explicit_bucket_histogram", boundaries: boundaries as number[] },
          })),
        },
      });
      for (const { metricRef } of file.measurements()) {
        const { name, aggregation } = file.metric(metricRef);
        assert.ok(aggregation.case === "histogram");
        const { bucketBoundaries } = aggregation.value;
        found.push([name, bucketBoundaries.length === 15 ? null : bucketBoundaries]);
      }
    });
    assert.deepEqual(
      found,
      expected.flatMap((boundaries, i) => [
        [`advised ${i}`, boundaries],
        [boundaries === null ? `viewed ${i}` : `renamed ${i}`, boundaries],
      ]),
    );
    assert.equal(lines.filter((line) => /boundaries/.test(line)).length, 4, lines.join("\n"));
  });

  it("that make a histogram of what is observed are as if they were not there", async () => {
    const views: View[] = [
      { instrumentName: "*", aggregation: { type: "exponential_histogram" }, attributeKeys: ["a"] },
      { instrumentName: "c", aggregation: { type: "explicit_bucket_histogram" }, name: "renamed" },
      { instrumentName: "g", description: "another view" },
    ];
    let lines: string[] = [];
    const file = await recorded(async (meter, sdk) => {
      lines = await warnings(async () => {
        meter.createObservableCounter("c").addCallback((it) => it.observe(1));
        meter.createObservableGauge("g").addCallback((it) => it.observe(1));
        meter.createCounter("told").add(1);
        await sdk.meterProvider!.collect();
      });
    }, { metrics: { views } });
    assert.deepEqual(lines.map((line) => line.slice(0, 45)), [
      "instrument c: a view makes it a histogram, bu",
      "instrument c: a view makes it a histogram, bu",
      "instrument g: a view makes it a histogram, bu",
    ]);
    const found = file.measurements().map(({ metricRef }) => file.metric(metricRef));
    assert.deepEqual(
      found.map((
        { name, description, aggregation, filtersAttributes },
      ) => [name, description, aggregation.case, filtersAttributes]),
      [
        ["told", "", "exponentialHistogram", true],
        ["c", "", "sum", false],
        ["g", "another view", "gauge", false],
      ],
    );
  });

  it("that are none are said and passed over, each by itself", async () => {
    const throwing = {
      get instrumentName(): string {
        throw new Error("no name");
      },
    };
    const bad: [view: unknown, message: RegExp][] = [
      [{ instrumentName: "*", aggregation: { type: 1 } }, /aggregation is not .* type, one of def/],
      [{ instrumentName: "*", aggregation: "drop" }, /aggregation is not an object with a type/],
      [
        {
          instrumentName: "*",
          aggregation: { type: "explicit_bucket_histogram", options: { boundaries: [1] } },
        },
        /type explicit_bucket_histogram has no options, only type, boundaries, recordMinMax/,
      ],
      [
        { instrumentName: "*", aggregation: { type: "sum", recordMinMax: true } },
        /an aggregation of type sum has no recordMinMax, only type/,
      ],
      [
        {
          instrumentName: "*",
          aggregation: { type: "exponential_histogram", maxSize: 1 },
        },
        /maxSize is not an integer from 2 to 16384/,
      ],
      [
        {
          instrumentName: "*",
          aggregation: { type: "explicit_bucket_histogram", boundaries: ["1"] },
        },
        /boundaries is not a list of numbers/,
      ],
      [{ instrumentName: "*", attributesProcessors: [] }, /has no attributesProcessors, only /],
      [{ instrumentName: "*", aggregationCardinalityLimit: -1 }, /an integer from 1 to 2147483647/],
      [{ instrumentName: "*", attributeKeys: 5 }, /attributeKeys is not a list of texts/],
      [{ instrumentName: "*", attributeKeys: { keep: true } }, /attributeKeys is not a list/],
      [{ instrumentName: "*", attributeKeys: [1, null] }, /attributeKeys is not a list/],
      [{ instrumentName: "*", excludedAttributeKeys: "a" }, /excludedAttributeKeys is not a list/],
      [{ instrumentName: /.*/ }, /instrumentName is not a text/],
      [{ instrumentName: "c", name: 5 }, /name is not a text/],
      [{ instrumentName: "c", name: "" }, /name is not a text, not empty/],
      [{ instrumentType: "toString" }, /instrumentType is not one of counter, /],
      [{ description: "everything" }, /it must say which instruments/],
      [null, /a view is an object/],
      [["c"], /a view is an object/],
      [throwing, /could not be read/],
      [revoked(), /could not be read/],
    ];
    const good = { instrumentName: "c", description: "good", name: null, aggregation: undefined };
    let lines: string[] = [];
    const use = async (views: unknown): Promise<string[]> => {
      let found: string[] = [];
      lines = await warnings(async () => {
        const file = await recorded((meter) => {
          meter.createCounter("c").add(1);
          meter.createHistogram("h").record(1);
        }, { metrics: { views: views as never } });
        found = file.measurements().map(({ metricRef }) => file.metric(metricRef).description);
      });
      return found;
    };
    assert.deepEqual(await use([...bad.map(([view]) => view), good]), ["good", ""]);
    assert.equal(lines.length, bad.length, lines.join("\n"));
    for (const [i, [, message]] of bad.entries()) {
      assert.ok(lines[i].startsWith(`metrics view ${i + 1} of ${bad.length + 1}: `), lines[i]);
      assert.match(lines[i], message);
      assert.match(lines[i], /; it is ignored$/);
    }
    for (const none of [5, "text", good, () => {}, revoked()]) {
      assert.deepEqual(await use(none), ["", ""]);
      assert.match(lines.join("\n"), /^metrics\.views: [^\n]*; it is ignored$/);
    }
  });

  it("that say the same of an instrument make one stream of it", async () => {
    const lines: string[] = [];
    const file = await recorded(async (meter, sdk) => {
      lines.push(
        ...await warnings(async () => {
          meter.createCounter("c").add(1, { a: 1 });
          meter.createObservableCounter("o").addCallback((result) => result.observe(5));
          meter.createHistogram("h").record(2);
          await sdk.meterProvider!.collect();
        }),
      );
    }, {
      metrics: {
        views: [
          { instrumentName: "*" },
          { instrumentType: "counter" },
          { instrumentName: "O", name: "o" },
          { instrumentName: "h", name: "renamed", attributeKeys: ["a", "b"] },
          { instrumentType: "histogram", instrumentName: "h", name: "renamed" },
          { instrumentName: "h", name: "renamed", attributeKeys: ["b", "a", "b"] },
        ],
      },
    });
    const found = file.measurements().map(({ metricRef, value }) => {
      const { name, attributeKeys } = file.metric(metricRef);
      return [name, attributeKeys, value.value];
    });
    assert.deepEqual(found, [
      ["c", [], 1],
      ["h", [], 2],
      ["renamed", ["a", "b"], 2],
      ["renamed", [], 2],
      ["o", [], 5],
    ]);
    // What differs is written, and said.
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0], /^instrument h: its stream renamed: .* different attributeKeys; both/);
  });

  it("that tell instruments of one name apart, or make them one, save the warning", async () => {
    const made = async (views: readonly View[]): Promise<string[]> => {
      let lines: string[] = [];
      await recorded(async (meter) => {
        lines = await warnings(() => {
          meter.createCounter("same", { description: "a" });
          meter.createCounter("same", { description: "b" });
          meter.createHistogram("same");
        });
      }, { metrics: { views } });
      return lines;
    };
    assert.equal((await made([])).length, 2);
    const renamed: View = { instrumentName: "same", instrumentType: "histogram", name: "other" };
    assert.match((await made([renamed])).join("\n"), /^[^\n]*different description;[^\n]*$/);
    const described: View = { instrumentName: "same", description: "c" };
    assert.match(
      (await made([described])).join("\n"),
      /^[^\n]*different instrument, aggregation;[^\n]*$/,
    );
    const all: View[] = [renamed, { ...described, instrumentType: "counter" }];
    assert.deepEqual(await made(all), []);
    const dropped: View = { instrumentName: "same", aggregation: { type: "drop" } };
    assert.deepEqual(await made([dropped]), []);
    const file = await recorded((meter) => {
      meter.createCounter("same", { description: "a" }).add(1);
      for (const end = performance.now() + 2; performance.now() < end;);
      meter.createCounter("same", { description: "b" }).add(2);
    }, { metrics: { views: [described] } });
    const [first, second] = file.measurements().map(({ metricRef }) => file.metric(metricRef));
    assert.deepEqual(second, first);
  });
});

describe("observable instruments", () => {
  it("that count and went down write what they had said before", async () => {
    // What a counter can't be is as if it had not been observed.
    const ints = [5, 3, 2 ** 60, 1, -2, 7];
    const doubles = [1.5, 0.5, 1e300, 7, 7, 7];
    let round = 0;
    const file = await recorded(async (meter, sdk) => {
      const int = meter.createObservableCounter("int", { valueType: ValueType.INT });
      const double = meter.createObservableCounter("double");
      const upDown = meter.createObservableUpDownCounter("up down");
      meter.addBatchObservableCallback((result) => {
        result.observe(int, ints[round]);
        result.observe(int, ints[round], { a: "text", list: ["x"] });
        result.observe(double, doubles[round], { a: 1 });
        result.observe(upDown, doubles[round]);
      }, [int, double, upDown]);
      for (; round < ints.length - 1; round++) await sdk.meterProvider!.collect();
      await sdk.meterProvider!.collect();
    });
    const found: Record<string, unknown[]> = { int: [], double: [], "up down": [] };
    for (const record of file.measurements()) {
      const attributes = attributesOf(file, record);
      const { name } = file.metric(record.metricRef);
      if (name === "int" && Object.keys(attributes).length > 0) {
        assert.deepEqual(attributes, { a: "text", list: ["x"] });
      } else found[name].push([Number(record.value.value), record.replacedTotal]);
    }
    assert.deepEqual(found, {
      int: [[5, 0], [3, 5], [2 ** 60 - 3, 0], [1, 2 ** 60], [6, 0]],
      double: [[1.5, 0], [0.5, 1.5], [1e300 - 0.5, 0], [7, 1e300], [0, 0], [0, 0]],
      "up down": [[1.5, 0], [-1, 0], [1e300 - 0.5, 0], [7 - 1e300, 0], [0, 0], [0, 0]],
    });
  });

  it("write sums as increments and gauges as they are, the last value of a set in a round", async () => {
    let round = 0;
    const file = await recorded(async (meter, sdk) => {
      meter.createObservableCounter("counter", { valueType: ValueType.INT }).addCallback(
        (result) => {
          result.observe([10, 25, 5][round], { a: 1, b: 2 });
          result.observe([12, 30, 7][round], { b: 2, a: 1 });
          result.observe(1, { list: ["x"] });
        },
      );
      const up = meter.createObservableUpDownCounter("up");
      const gauge = meter.createObservableGauge("gauge");
      const batch = (result: BatchObservableResult): void => {
        result.observe(up, [3, 1, 1][round]);
        result.observe(gauge, round);
        result.observe(meter.createObservableGauge("not asked for"), 1);
        result.observe({} as Observable, 1);
      };
      meter.addBatchObservableCallback(batch, [up, gauge]);
      meter.addBatchObservableCallback(batch, [gauge, up]);
      for (; round < 3; round++) await sdk.meterProvider!.collect();
      meter.removeBatchObservableCallback(batch, [up, gauge]);
      round = 2;
    });
    const by = (name: string): unknown[] =>
      file.measurements().filter(({ metricRef }) => file.metric(metricRef).name === name)
        .map(({ value }) => value.value);
    // 5, then 7: the application's counter began anew.
    assert.deepEqual(by("counter"), [12n, 1n, 18n, 0n, 7n, 0n]);
    assert.deepEqual(by("up"), [3, -2, 0]);
    assert.deepEqual(by("gauge"), [0, 1, 2]);
    assert.deepEqual(by("not asked for"), []);
    assert.ok(file.measurements().every(({ spanContext }) => spanContext === undefined));
  });

  it("write the last value of attributes that are written the same", async () => {
    class Own {}
    const pairs: [unknown, unknown][] = [
      [{ n: { x: 1, y: [{ a: 1, b: 2 }] } }, { n: { y: [{ b: 2, a: 1 }], x: 1 } }],
      [{ k: 1 }, { k: 1, b: () => 1, d: new Date(0), "": 1, s: Symbol(), o: new Own(), m: [Own] }],
      [{ k: 2 }, { k: 2n, big: 2n ** 64n, f: new Float32Array(1), u: undefined }],
      [{ n: { x: 1 } }, { n: { u: undefined, "": 2, x: 1 } }],
      [{ l: [null, 0] }, { l: [undefined, -0] }],
    ];
    // What is written otherwise is another set.
    const apart: unknown[] = [{ b: new Uint8Array([1]) }, { b: { 0: 1 } }, { b: [1] }, {
      b: ["1"],
    }];
    const file = await recorded(async (meter, sdk) => {
      meter.createObservableCounter("c").addCallback((result) => {
        for (const [one, other] of pairs) {
          result.observe(9, one as Attributes);
          result.observe(1, other as Attributes);
        }
        for (const each of apart) result.observe(5, each as Attributes);
      });
      await sdk.meterProvider!.collect();
    });
    assert.deepEqual(valuesOf(file), [1, 1, 1, 1, 1, 5, 5, 5, 5]);
  });

  it("write once what several callbacks observe for the same attributes", async () => {
    const file = await recorded(async (meter, sdk) => {
      const single = meter.createObservableCounter("single");
      single.addCallback((result) => result.observe(5));
      single.addCallback((result) => result.observe(3));
      const batched = meter.createObservableCounter("batched");
      const observeBatched = (result: BatchObservableResult): void => result.observe(batched, 3);
      meter.addBatchObservableCallback(observeBatched, [batched]);
      meter.addBatchObservableCallback(observeBatched, [batched, single]);
      batched.addCallback((result) => result.observe(5, {}));
      const later = meter.createObservableUpDownCounter("later");
      later.addCallback(async (result) => {
        await new Promise((wake) => setTimeout(wake, 2));
        result.observe(7);
      });
      later.addCallback((result) => result.observe(9));
      later.addCallback((result) => result.observe(1, { another: "set" }));
      for (let i = 0; i < 3; i++) await sdk.meterProvider!.collect();
    });
    const found = file.measurements().map(({ metricRef, attributes, value }) => {
      const { another = "none" } = file.attributes(attributes);
      return `${file.metric(metricRef).name} ${another} ${value.value}`;
    });
    assert.deepEqual(found.slice(0, 4), [
      "batched none 3",
      "single none 3",
      "later none 7",
      "later set 1",
    ]);
    // Nothing was added since.
    assert.deepEqual(found.slice(4).filter((each) => !each.endsWith(" 0")), []);
    assert.equal(found.length, 12);
  });

  it("tell numbers inside maps apart, whatever they are", async () => {
    const values = [1n, 2n, NaN, null, 1.5, ["number", "1.5"]];
    const file = await recorded(async (meter, sdk) => {
      meter.createObservableCounter("c").addCallback((result) => {
        for (const value of values) result.observe(1, { map: { value } } as Attributes);
      });
      await sdk.meterProvider!.collect();
    });
    assert.deepEqual(file.measurements().map(({ value }) => value.value), values.map(() => 1));
  });

  it("of which one is slow do not wait for the others to be asked again", async () => {
    let value = 1;
    let isSlow = true;
    let slow!: () => void;
    const file = await recorded(async (meter, sdk) => {
      const counter = meter.createObservableCounter("c");
      counter.addCallback((result) => result.observe(value));
      counter.addCallback(async (result) => {
        if (isSlow) await new Promise<void>((done) => slow = done);
        result.observe(10, { slow: true });
      });
      const first = sdk.meterProvider!.collect();
      value = 2;
      await sdk.meterProvider!.collect();
      isSlow = false;
      slow();
      await first;
      value = 3;
      await sdk.meterProvider!.collect();
    });
    assert.deepEqual(valuesOf(file), [2, 10, 1, 0]);
  });

  it("that are slow write nothing over what was observed after they were asked", async () => {
    let total = 100;
    const answers: (() => void)[] = [];
    const file = await recorded(async (meter, sdk) => {
      const counter = meter.createObservableCounter("c");
      const gauge = meter.createObservableGauge("g");
      const ask = (result: BatchObservableResult, value: number): void => {
        result.observe(counter, value, { of: "both" });
        result.observe(gauge, value);
      };
      const slow = async (result: BatchObservableResult): Promise<void> => {
        const now = total;
        result.observe(counter, 1, { of: "slow" });
        await new Promise<void>((done) => answers.push(done));
        ask(result, now);
      };
      meter.addBatchObservableCallback(slow, [counter, gauge]);
      meter.addBatchObservableCallback((result) => ask(result, total), [counter, gauge]);
      const first = sdk.meterProvider!.collect();
      total = 105;
      await sdk.meterProvider!.collect();
      answers[0]();
      await first;
      total = 106;
      const third = sdk.meterProvider!.collect();
      answers[1]();
      await third;
      // What runs already answers no more when the process ends.
      void sdk.meterProvider!.collect();
      total = 110;
      sdk.meterProvider!.observeNow();
      answers[2]();
      await Promise.resolve();
    });
    const found = file.measurements().map((record) => {
      const { name } = file.metric(record.metricRef);
      return `${name} ${attributesOf(file, record).of ?? ""} ${record.value.value}`;
    });
    assert.deepEqual(found.slice(0, 6), [
      ...["c both 105", "g  105"],
      ...["c slow 1", "c slow 0"],
      ...["c both 1", "g  106"],
    ]);
    const of = (which: string): number =>
      found.filter((each) => each.startsWith(`c ${which}`))
        .reduce((sum, each) => sum + Number(each.split(" ")[2]), 0);
    assert.deepEqual([of("both"), of("slow")], [110, 1]);
  });

  it("never count twice what they forget among 10,000 other attribute sets, and say what is lost", async () => {
    let found!: Forgetting;
    // Not observed for a while only, they are remembered.
    const lines = await warnings(async () => {
      found = await forgetting([5, null, null, null, 9, 10], [
        0,
        3_000,
        6_000,
        9_000,
        9_000,
        6_000,
      ]);
    });
    assert.deepEqual(found.rare, { counter: [5, 1], gauge: [5, 9, 10] });
    assert.equal(found.sums.size, 13_000);
    assert.ok([...found.sums.values()].every((sum) => sum === 1));
    assert.equal(found.refused, 1);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(
      lines[0],
      /^instrument counter: more than 10000 attribute sets: .* lost and counted/,
    );
  });

  it("take what was 0 when it was forgotten for new", async () => {
    const found = await forgetting([0, null, null, null, 7], [0, 3_000, 6_000, 9_000, 9_000]);
    assert.deepEqual([found.rare.counter, found.refused], [[0, 7], 0]);
  });

  it("heal what a full ring refused", async () => {
    let value = 0;
    const file = await recorded(async (meter, sdk) => {
      const counter = meter.createCounter("filler");
      meter.createObservableCounter("o").addCallback((result) => result.observe(value));
      value = 5;
      await sdk.meterProvider!.collect();
      for (let i = 0; i < 100; i++) counter.add(1);
      value = 9;
      await sdk.meterProvider!.collect();
      // A reader makes room.
      const reader = Reader.open(sdk.path!);
      while (reader.poll().length > 0) reader.release();
      reader.close();
      value = 11;
      await sdk.meterProvider!.collect();
    }, { sizes: { measurements: { slots: 16, slotBytes: 512 } } });
    assert.deepEqual(valuesOf(file).at(-1), 6);
  });

  it("outlive callbacks that throw, reject, never end, or answer too late", async () => {
    const asked: Record<string, number> = {};
    let late!: ObservableResult;
    const lines = await warnings(async () => {
      const file = await recorded(async (meter, sdk) => {
        const gauge = meter.createObservableGauge("g");
        gauge.addCallback(() => {
          throw new Error("thrown");
        });
        gauge.addCallback(() => Promise.reject(new Error("rejected")));
        gauge.addCallback((result) => {
          asked.never = (asked.never ?? 0) + 1;
          late = result;
          result.observe(1);
          return new Promise(() => {});
        });
        gauge.addCallback(async (result) => {
          await Promise.resolve();
          result.observe(2);
        });
        gauge.addCallback("no function" as never);
        await sdk.meterProvider!.collect();
        late.observe(3);
        await sdk.meterProvider!.collect();
      }, { metrics: { timeoutMs: 50 } });
      assert.deepEqual(valuesOf(file), [2, 2]);
    });
    assert.equal(asked.never, 1);
    assert.equal(lines.filter((line) => line.includes("failed")).length, 2, lines.join("\n"));
  });

  it("may take any time with a limit of 0, but do not keep a program from ending", async () => {
    for (
      const options of [{ metrics: { timeoutMs: 0 } }, { env: { OTEL_METRIC_EXPORT_TIMEOUT: "0" } }]
    ) {
      const file = await recorded(async (meter, sdk) => {
        const gauge = meter.createObservableGauge("g");
        gauge.addCallback(async (result) => {
          await new Promise((wake) => setTimeout(wake, 20));
          result.observe(1);
        });
        await sdk.meterProvider!.collect();
        meter.createObservableGauge("never").addCallback(() => new Promise(() => {}));
        // Where the limit is not the caller's, either.
        void sdk.meterProvider!.collect(2 ** 40);
      }, { ...options, metrics: { intervalMs: 100, ...options.metrics } });
      assert.deepEqual(valuesOf(file), [1]);
    }
  });

  it("are asked by options that can be used, the others are warned of", async () => {
    const odd = [0, -1, NaN, Infinity, 2 ** 31, "5000", {}] as number[];
    for (const intervalMs of odd) {
      let asked = 0;
      const lines = await warnings(async () => {
        await recorded(async (meter) => {
          meter.createObservableGauge("g").addCallback(() => void asked++);
          await new Promise((wake) => setTimeout(wake, 20));
          assert.equal(asked, 0, String(intervalMs));
        }, { metrics: { intervalMs, timeoutMs: intervalMs === 0 ? -1 : 10 } });
      });
      assert.match(
        lines[0],
        /^start\(\{ metrics.intervalMs: .* not a number from 1 .* using 60000$/,
      );
      assert.equal(lines.length, intervalMs === 0 ? 2 : 1, lines.join("\n"));
    }
    const lines = await warnings(async () => {
      const file = await recorded((meter) => {
        meter.createHistogram("h").record(1);
        logs.getLogger("l").emit({ severityNumber: 1, body: "kept" });
      }, {
        metrics: { temporality: "Delta", histograms: "none", exemplars: 5 } as never,
        logs: { minimumSeverity: "warn" as never },
      });
      const { aggregation } = file.metric(file.measurements()[0].metricRef);
      assert.ok(aggregation.case === "histogram");
      assert.equal(aggregation.value.aggregationTemporality, 2);
      assert.equal(file.events().length, 1);
    });
    assert.deepEqual(lines.map((line) => line.split(":")[0].replace("start({ ", "")), [
      "metrics.temporality",
      "metrics.histograms",
      "metrics.exemplars",
      "logs.minimumSeverity",
    ]);
    // What has no text, and nothing at all, must not keep the SDK from recording.
    const none = Object.create(null);
    for (
      const options of [
        { metrics: null },
        { metrics: { intervalMs: none, timeoutMs: none, views: null } },
        { metrics: { temporality: 5n, histograms: none, exemplars: Symbol("all") } },
        { logs: { minimumSeverity: none } },
      ]
    ) {
      await warnings(async () => {
        const file = await recorded((meter) => meter.createCounter("c").add(1), options as never);
        assert.deepEqual(valuesOf(file), [1]);
      });
    }
  });

  it("are not asked again by what they ask to be collected", async () => {
    let asked = 0;
    const file = await recorded(async (meter, sdk) => {
      meter.createObservableGauge("sync").addCallback((result) => {
        asked++;
        void sdk.meterProvider!.collect();
        result.observe(asked);
      });
      meter.createObservableGauge("async").addCallback(async (result) => {
        asked++;
        await sdk.forceFlush({ timeout: 0 });
        result.observe(asked);
      });
      await sdk.meterProvider!.collect();
      assert.ok(asked <= 4, `${asked} times`);
    });
    assert.ok(valuesOf(file).length >= 2);
  });

  it("that are slow are waited for by every shutdown", async () => {
    for (const again of ["sdk", "provider"]) {
      let path = "";
      const file = join(directory, `${++files}.otlp`);
      const sdk = start({ env: {}, file });
      path = sdk.path!;
      metrics.getMeter("m").createObservableGauge("slow").addCallback(async (result) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        result.observe(7);
      });
      if (again === "sdk") void sdk.shutdown();
      else void sdk.meterProvider!.shutdown();
      await sdk.shutdown();
      assert.deepEqual(valuesOf(new RawFile(path)), [7], again);
    }
  });

  it("that shut down do not wait for themselves, and what they and others observe counts", async () => {
    for (const first of ["program", "callback"]) {
      const sdk = start({ env: {}, file: join(directory, `${++files}.otlp`) });
      const path = sdk.path!;
      const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
      const shutDown = [sdk, sdk.meterProvider!].map((part) => () => part.shutdown());
      const meter = metrics.getMeter("m");
      for (const [i, shutdown] of shutDown.entries()) {
        meter.createObservableGauge(`early ${i}`).addCallback(async (result) => {
          await shutdown();
          result.observe(1);
        });
        meter.createObservableGauge(`late ${i}`).addCallback(async (result) => {
          await turn();
          await shutdown();
          result.observe(1);
        });
      }
      meter.createObservableGauge("slow").addCallback(async (result) => {
        for (let i = 0; i < 20; i++) await turn();
        result.observe(1);
      });
      const before = performance.now();
      if (first === "callback") await sdk.meterProvider!.collect();
      await sdk.shutdown();
      const raw = new RawFile(path);
      const names = raw.measurements().map(({ metricRef }) => raw.metric(metricRef).name).sort();
      assert.deepEqual(names, ["early 0", "early 1", "late 0", "late 1", "slow"], first);
      // A callback may take 30 s.
      assert.ok(performance.now() - before < 10_000);
      assert.equal(raw.view.getUint32(192, true), 1, "complete");
    }
  });

  it("that are under way at shutdown are waited for, whoever shuts down", async () => {
    for (const who of ["program", "callback"]) {
      const sdk = start({ env: {}, file: join(directory, `${++files}.otlp`) });
      const path = sdk.path!;
      const { promise, resolve } = Promise.withResolvers<void>();
      let asked = 0;
      const meter = metrics.getMeter("m");
      meter.createObservableGauge("slow").addCallback(async (result) => {
        asked++;
        await promise;
        result.observe(1);
      });
      meter.createObservableGauge("quick").addCallback(async (result) => {
        if (who === "callback") await sdk.shutdown();
        result.observe(1);
      });
      const collected = sdk.meterProvider!.collect();
      const ended = sdk.shutdown();
      setTimeout(resolve, 5);
      await ended;
      const raw = new RawFile(path);
      const names = raw.measurements().map(({ metricRef }) => raw.metric(metricRef).name);
      assert.ok(names.includes("slow"), `${who}: ${names}`);
      assert.equal(asked, 1);
      await collected;
    }
  });

  it("may have started what shuts down later, which waits as any other does", async () => {
    const sdk = start({ env: {}, file: join(directory, `${++files}.otlp`) });
    const path = sdk.path!;
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: Promise<void> | null = null;
    const meter = metrics.getMeter("m");
    meter.createObservableGauge("first").addCallback((result) => {
      late ??= promise.then(() => sdk.shutdown());
      result.observe(1);
    });
    await sdk.meterProvider!.collect();
    meter.createObservableGauge("slow").addCallback(async (result) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      result.observe(7);
    });
    resolve();
    await late;
    assert.deepEqual(valuesOf(new RawFile(path)).at(-1), 7);
  });

  it("are asked at intervals, and once more at shutdown", async () => {
    let asked = 0;
    const sdk = start({
      env: {},
      file: join(mkdtempSync(join(tmpdir(), "otlp-mmap-meter-")), "f"),
      metrics: { intervalMs: 5 },
    });
    const gauge = metrics.getMeter("m").createObservableGauge("g");
    gauge.addCallback(() => void asked++);
    for (const deadline = Date.now() + 5000; asked < 3 && Date.now() < deadline;) {
      await new Promise((wake) => setTimeout(wake, 5));
    }
    assert.ok(asked >= 3);
    const path = sdk.path!;
    await sdk.shutdown();
    const atShutdown = asked;
    await new Promise((wake) => setTimeout(wake, 30));
    assert.equal(asked, atShutdown);
    rmSync(join(path, ".."), { recursive: true });
  });
});
