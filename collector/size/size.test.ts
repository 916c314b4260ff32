import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { FileSizes } from "../../lib/file/write.ts";
import { RING_NAMES } from "../../lib/format/layout.ts";
import { readEnvironment } from "../../lib/sdk/config.ts";
import { start } from "../../lib/sdk/start.ts";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { inspect } from "../inspect/inspect.ts";
import { advise, type Load } from "./size.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-size-"));
after(() => rmSync(root, { recursive: true }));

const NONE: Load = {
  rate: 0,
  burst: 0,
  logsRate: 0,
  logsBurst: 0,
  measurementsRate: 0,
  measurementsBurst: 0,
  updates: 1,
  events: 0,
  pauseMs: 1000,
};

const ATTRIBUTES = 3;
const ATTRIBUTE_BYTES = 20;

/** More than fits the default rings, in each of them. */
const LOAD: Load = {
  rate: 1000,
  burst: 4000,
  logsRate: 500,
  logsBurst: 300,
  measurementsRate: 4000,
  measurementsBurst: 200,
  updates: 2,
  events: 1,
  attributes: ATTRIBUTES,
  attributeBytes: ATTRIBUTE_BYTES,
  pauseMs: 500,
};

let count = 0;

/** Records the load through the SDK, with nobody reading; what was refused or cut, by ring. */
async function refused(sizes: FileSizes, open: number): Promise<Record<string, number>> {
  const file = join(root, `${++count}.otlp`);
  const sdk = start({ env: { OTEL_NODE_RESOURCE_DETECTORS: "none" }, file, sizes });
  assert.equal(sdk.reason, undefined);
  try {
    const tracer = sdk.tracerProvider!.getTracer("size");
    const logger = sdk.loggerProvider!.getLogger("size");
    const counter = sdk.meterProvider!.getMeter("size").createCounter("counter");
    const attributes: Record<string, string> = {};
    for (let i = 0; i < ATTRIBUTES; i++) attributes[`key.${i}`] = "v".repeat(ATTRIBUTE_BYTES);
    const [key] = Object.keys(attributes);
    const pause = LOAD.pauseMs / 1000;
    const spans = LOAD.burst + LOAD.rate * pause;
    for (let i = 0; i < spans; i += open) {
      // As many spans are open at once as the test says.
      const started = [];
      for (let j = i; j < Math.min(spans, i + open); j++) {
        started.push(tracer.startSpan("n".repeat(64), { attributes }));
      }
      for (const span of started) {
        for (let update = 0; update < LOAD.updates; update++) span.setAttribute(key, "late");
        for (let event = 0; event < LOAD.events; event++) span.addEvent("event", attributes);
      }
      for (const span of started) span.end();
    }
    for (let i = 0; i < LOAD.logsBurst + LOAD.logsRate * pause; i++) {
      logger.emit({ body: "b".repeat(256), attributes });
    }
    for (let i = 0; i < LOAD.measurementsBurst + LOAD.measurementsRate * pause; i++) {
      counter.add(1, attributes);
    }
    const { facts } = inspect(sdk.path!);
    const lost = Object.fromEntries(RING_NAMES.map((name) => [name, 0]));
    for (const { ring, records } of facts!.losses) lost[ring] += records;
    return lost;
  } finally {
    await sdk.shutdown();
    rmSync(sdk.path!);
  }
}

async function run(...args: string[]): Promise<{ code: number | null; text: string }> {
  const command = observe(ownRuntime, "collector/main.ts", ["size", ...args]);
  const { code } = await command.ended;
  return { code, text: command.text() };
}

describe("size", () => {
  const advice = advise(LOAD);

  it("gives what holds the load", async () => {
    assert.deepEqual(advice.rings.map(({ records, slots }) => [records, slots]), [
      [5050, 8192],
      [18_000, 32_768],
      [2200, 4096],
    ]);
    for (const open of [1, 100, 4500]) {
      const nothing = { events: 0, spans: 0, measurements: 0 };
      assert.deepEqual(await refused(advice.sizes, open), nothing, `${open} open at once`);
    }
  });

  it("gives no more than is needed: half of it does not hold the load", async () => {
    for (const [ring, { name, neededSlots }] of advice.rings.entries()) {
      const sizes = structuredClone(advice.sizes) as Record<string, { slots?: number }>;
      sizes[name] = { ...sizes[name], slots: neededSlots / 2 };
      const lost = await refused(sizes, 1);
      assert.ok(lost[name] > 0, name);
      const others = RING_NAMES.filter((_, other) => other !== ring);
      assert.deepEqual(others.map((other) => lost[other]), [0, 0], name);
    }
  });

  it("gives the size of the file to the byte", async () => {
    for (const sizes of [{}, advice.sizes]) {
      const file = join(root, "whole.otlp");
      const sdk = start({ env: {}, file, sizes });
      const { size } = statSync(sdk.path!);
      await sdk.shutdown();
      rmSync(sdk.path!);
      assert.equal(size, sizes === advice.sizes ? advice.bytes : advise(NONE).bytes);
    }
  });

  it("gives whole powers of two, with one slot that stays unused", () => {
    const needed = (burst: number): number =>
      advise({ ...NONE, burst, updates: 0 }).rings[1].neededSlots;
    assert.deepEqual([0, 1, 2, 511, 512, 8191, 8192].map(needed), [
      ...[2, 4, 8, 1024, 2048, 16_384, 32_768],
    ]);
    assert.deepEqual(advise({ ...NONE, burst: 2048 }).sizes, {});
    assert.deepEqual(advise({ ...NONE, burst: 2731 }).sizes, { spans: { slots: 16_384 } });
  });

  it("says all of it, with what was assumed", async () => {
    const { code, text } = await run(
      ...["--rate", "1000", "--burst", "4000", "--logs-rate", "500", "--pause", "500ms"],
    );
    assert.equal(code, 0);
    assert.deepEqual(text.split("\n"), [
      "ring          records  slots needed   slots  slot bytes      size",
      "events            250           256   2,048       2,048   4.0 MiB",
      "spans          13,500        16,384  16,384       1,024  16.1 MiB",
      "measurements        0             2   4,096         512   2.0 MiB",
      "",
      "The file has 22.2 MiB (23,228,512 bytes), and up to 38.1 MiB as its dictionary grows.",
      "",
      "Set it in the application's environment:",
      "",
      "  OTLP_MMAP_SPANS_SLOTS=16384",
      "",
      "or in the program, in each Worker as well:",
      "",
      "  start({",
      "    sizes: {",
      "      spans: { slots: 16384 },",
      "    },",
      "  });",
      "",
      "Assumed:",
      "- The collector takes nothing for 0.5 s (--pause), and otherwise keeps up.",
      "- In that time come 1,000 spans a second (--rate) and 4,000 at once (--burst), 500 log " +
      "records a second (--logs-rate) and 0 at once (--logs-burst), 0 measurements a second " +
      "(--measurements-rate) and 0 at once (--measurements-burst).",
      "- All of it is recorded in one thread: each process and each Worker has a file of its own.",
      "- A span takes 3 records: its start, its end, and 1 for calls in between (--updates). It has " +
      "0 events (--events).",
      "- Slots have their default sizes, about 1,000 bytes for a span's start and its attributes; " +
      "--attributes and --attribute-bytes fit them to yours.",
      "",
    ]);
  });

  it("gives the same as JSON, fit for start()", async () => {
    const { code, text } = await run(
      "--rate",
      "0",
      "--burst",
      "9000",
      "--attributes",
      "2",
      "--json",
    );
    assert.equal(code, 0);
    const { sizes, variables, bytes, load } = JSON.parse(text);
    assert.deepEqual(readEnvironment(variables).sizes, sizes);
    assert.deepEqual(sizes, {
      events: { slotBytes: 488 },
      spans: { slots: 32_768, slotBytes: 280 },
      measurements: { slotBytes: 256 },
    });
    assert.equal(bytes, advise(load).bytes);
  });

  it("says when no file can hold it", async () => {
    const { code, text } = await run("--rate", "1000", "--burst", "1000000");
    assert.equal(code, 1);
    assert.match(
      text,
      /no file holds that, .* more than 256 MiB .*: spread the load over processes or Workers/,
    );
    assert.throws(
      () => advise({ ...LOAD, attributes: 1000 }),
      /a record of the events ring would need a slot of \d+ bytes, and there are none above 16384/,
    );
  });

  it("refuses what is no number, and names it", async () => {
    assert.deepEqual(await run("--rate", "many"), {
      code: 2,
      text:
        "otlp-mmap: error: option '--rate <count>' argument 'many' is invalid. It is no whole number from " +
        "0 to 1000000000.\n",
    });
    assert.deepEqual(await run(), {
      code: 2,
      text: "otlp-mmap: error: no load is given: say --rate, --logs-rate or --measurements-rate\n",
    });
  });

  it("takes a load without spans", async () => {
    const { code, text } = await run("--logs-rate", "9000");
    assert.equal(code, 0);
    assert.match(text, /^events +9,000 +16,384 +16,384 /m);
  });
});
