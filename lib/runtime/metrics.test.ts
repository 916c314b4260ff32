import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { diag, DiagLogLevel, type Meter, metrics } from "@opentelemetry/api";
import { onBun } from "../http/testing/recording.ts";
import { meter, type Metering } from "../http/testing/metering.ts";
import { startRuntimeMetrics } from "./metrics.ts";

const DELAYS = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((name) =>
  `nodejs.eventloop.delay.${name}`
);
const PROCESS = ["process.cpu.time", "process.cpu.utilization", "process.memory.usage"];
const [GC, HEAP, GC_TYPE] = onBun
  ? ["jsc.gc.duration", "jsc.memory.heap.used", "jsc.gc.type"]
  : ["v8js.gc.duration", "v8js.memory.heap.used", "v8js.gc.type"];
const HEAPS = onBun ? [HEAP] : [
  HEAP,
  "v8js.memory.heap.space.available_size",
  "v8js.memory.heap.space.physical_size",
  "v8js.memory.heap.space.size",
];

/** Runs `test` while runtime metrics are recorded. */
async function recorded(test: (measured: Metering, stop: () => void) => Promise<void>) {
  const measured = meter();
  const stop = startRuntimeMetrics({
    meter: measured.meterProvider.getMeter("runtime"),
    interval: 5,
  });
  try {
    await test(measured, stop);
  } finally {
    stop();
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function block(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

/** Makes enough garbage for collections of every engine; returns something to keep it from going. */
function litter(): number {
  let kept: object[] = [];
  let total = 0;
  for (let i = 0; i < 4e6; i++) {
    kept.push({ i });
    if (kept.length === 100_000) {
      total += kept.length;
      kept = [];
    }
  }
  return total + kept.length;
}

describe("runtime metrics", { timeout: 60_000 }, () => {
  it("are those that the runtime tells", async () => {
    await recorded(async (measured) => {
      litter();
      await sleep(1100); // collections are asked for once a second
      const found = await measured.collect();
      assert.deepEqual(Object.keys(found).sort(), [...DELAYS, ...PROCESS, ...HEAPS, GC].sort());
      for (const name of DELAYS) assert.equal(found[name].descriptor.unit, "s");
      for (const name of [...HEAPS, "process.memory.usage"]) {
        assert.equal(found[name].descriptor.unit, "By");
      }
      assert.equal(found["process.cpu.time"].descriptor.unit, "s");
      assert.equal(found["process.cpu.utilization"].descriptor.unit, "1");
      assert.equal(found[GC].descriptor.unit, "s");
    });
  });

  it("see how late the event loop is, since the last collection", async () => {
    await recorded(async (measured) => {
      const value = async (name: string): Promise<number> =>
        (await measured.points(`nodejs.eventloop.delay.${name}`))[0]?.value;
      await sleep(40);
      block(200);
      await sleep(20);
      const found = await measured.collect();
      const delay = (name: string): number =>
        found[`nodejs.eventloop.delay.${name}`].dataPoints[0].value as number;
      assert.ok(delay("max") >= 0.15 && delay("max") < 10, `${delay("max")} s`);
      assert.ok(delay("min") >= 0 && delay("min") <= delay("p50"));
      assert.ok(delay("p50") <= delay("p90") && delay("p90") <= delay("p99"));
      assert.ok(delay("p99") <= delay("max"));
      assert.ok(delay("mean") > delay("min") && delay("mean") < delay("max"));
      assert.ok(delay("stddev") > 0 && delay("stddev") < delay("max"));
      await sleep(20);
      assert.ok(await value("max") < delay("max"));
    });
  });

  it("have the heap as the engine says it is", async () => {
    await recorded(async (measured) => {
      const sum = async (): Promise<number> =>
        (await measured.points(HEAP)).reduce((total, { value }) => total + value, 0);
      const before = await sum();
      const kept: object[] = [];
      let used = before;
      // Not at once: garbage may go in between, and JavaScriptCore counts when it collects.
      while (used < before + 20e6) {
        for (let i = 0; i < 100_000; i++) kept.push({ i });
        used = await sum();
      }
      assert.ok(kept.length < 20e6, `${kept.length} objects take 20 MB`);
      assert.ok(Math.abs(used - process.memoryUsage().heapUsed) < used / 2);
      if (!onBun) {
        assert.deepEqual(
          (await measured.points(HEAP)).map(({ attributes }) => attributes["v8js.heap.space.name"]),
          v8.getHeapSpaceStatistics().map(({ space_name }) => space_name),
        );
      }
    });
  });

  it("have collections with type and duration", async () => {
    await recorded(async (measured, stop) => {
      const started = performance.now();
      litter();
      stop(); // records what has not been asked for yet
      const elapsed = (performance.now() - started) / 1000;
      const points = await measured.points(GC);
      assert.notEqual(points.length, 0);
      let sum = 0;
      for (const point of points) {
        assert.match(
          String(point.attributes[GC_TYPE]),
          onBun ? /^(eden|full)$/ : /^(minor|major|incremental|weakcb)$/,
        );
        sum += point.sum!;
      }
      // A wrong unit would be wrong by a thousand: some of the time and not more than all of it.
      assert.ok(sum > elapsed / 1000 && sum < elapsed, `${sum} s of ${elapsed} s`);
    });
  });

  it("have CPU time and its share, and the memory, of the process", async () => {
    await recorded(async (measured) => {
      await measured.collect();
      const before = process.cpuUsage();
      block(300);
      const spent = process.cpuUsage(before);
      const found = await measured.collect();
      const byMode = (name: string): Record<string, number> =>
        Object.fromEntries(
          found[name].dataPoints.map(({ attributes, value }) => [
            attributes["cpu.mode"],
            value as number,
          ]),
        );
      const time = byMode("process.cpu.time");
      const usage = process.cpuUsage();
      assert.deepEqual(Object.keys(time), ["user", "system"]);
      assert.ok(time.user > 0 && time.user <= usage.user / 1e6);
      assert.ok(time.system >= 0 && time.system <= usage.system / 1e6);
      const share = byMode("process.cpu.utilization");
      assert.ok(share.user > 0 && share.user + share.system <= 1.01, JSON.stringify(share));
      assert.ok(spent.user > 0);
      const [memory] = await measured.points("process.memory.usage");
      assert.ok(Math.abs(memory.value - process.memoryUsage.rss()) < memory.value / 2);
    });
  });

  it("end when they are stopped, and can be started again", async () => {
    await recorded(async (measured, stop) => {
      await sleep(30);
      stop();
      stop();
      // Sums of what was recorded before stay; nothing is observed any more.
      const { [GC]: _, ...observed } = await measured.collect();
      assert.deepEqual(Object.keys(observed), []);
      await recorded(async (again) => {
        await sleep(30);
        assert.equal((await again.points("process.memory.usage")).length, 1);
      });
    });
  });
});

describe("starting runtime metrics", () => {
  /** Runs `step` and gives what it warned of. */
  function warnings(step: () => void): string[] {
    const heard: string[] = [];
    const nothing = () => {};
    diag.setLogger({
      error: nothing,
      warn: (message) => heard.push(message),
      info: nothing,
      debug: nothing,
      verbose: nothing,
    }, DiagLogLevel.WARN);
    try {
      step();
    } finally {
      diag.disable();
    }
    return heard;
  }

  it("twice records once", () => {
    const { meterProvider } = meter();
    const unused = {
      createObservableGauge: () => assert.fail("made an instrument"),
    } as unknown as Meter;
    const stop = startRuntimeMetrics({ meter: meterProvider.getMeter("a") });
    const heard = warnings(() => startRuntimeMetrics({ meter: unused })());
    stop();
    assert.equal(heard.length, 1);
    assert.match(heard[0], /recorded already/);
  });

  it("without an SDK does nothing", () => {
    const heard = warnings(() => startRuntimeMetrics()());
    assert.equal(heard.length, 1);
    assert.match(heard[0], /no SDK/);
  });

  it("uses the global provider", async () => {
    const measured = meter();
    metrics.setGlobalMeterProvider(measured.meterProvider);
    const stop = startRuntimeMetrics();
    try {
      assert.equal((await measured.points("process.memory.usage")).length, 1);
    } finally {
      stop();
      metrics.disable();
    }
  });

  it("takes nothing for no options", () => {
    startRuntimeMetrics(null as never)();
    startRuntimeMetrics({ interval: null, meter: null } as never)();
  });

  it("takes no interval that is none", () => {
    for (const interval of [0, -1, NaN, Infinity, 1.5, 2 ** 31]) {
      assert.throws(() => startRuntimeMetrics({ interval }), RangeError);
    }
  });

  it("keeps no process alive", { timeout: 30_000 }, async () => {
    const script = fileURLToPath(new URL("./testing/ending.ts", import.meta.url));
    const child = spawn(process.execPath, onBun ? [script] : ["run", "-A", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    assert.equal(output.trim(), "at the end");
    assert.equal(code, 0);
  });
});
