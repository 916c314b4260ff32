import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ROOT } from "../tools/runtimes.ts";
import { pointsOf } from "./support/collect.ts";
import { type Collected, collectOnce, observe } from "./support/collector.ts";
import { ownRuntime } from "./support/runtimes.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-register-"));
after(() => rmSync(root, { recursive: true }));

let runs = 0;

/** Runs the program with `register` preloaded; null where it left no file. */
async function run(env: Record<string, string>): Promise<Collected | null> {
  const directory = join(root, String(++runs));
  const program = observe(ownRuntime, "tests/testdata/instrumented.ts", [], {
    flags: ["--preload", join(ROOT, "register.ts")],
    env: { OTLP_MMAP_DIR: directory, OTEL_SERVICE_NAME: "registered", ...env },
  });
  assert.equal((await program.ended).code, 1, program.text());
  assert.match(program.text(), /said aloud/);
  assert.match(program.text(), /the end/);
  let files: string[] = [];
  try {
    files = readdirSync(directory);
  } catch {
    // Nothing was recorded.
  }
  return files.length === 0 ? null : await collectOnce([directory]);
}

function namesOf({ spans, logs, metrics }: Collected): Record<string, string[]> {
  return {
    spans: spans.map(({ span }) => span.name).sort(),
    logs: logs.map(({ log }) => String(log.body?.value.value)).sort(),
    metrics: metrics.map(({ metric }) => metric.name).sort(),
  };
}

describe("register", () => {
  it("records all three signals, and what a program does not say itself where that is asked for", async () => {
    const plain = await run({});
    assert.deepEqual(namesOf(plain!), {
      spans: ["own"],
      logs: ["own record"],
      metrics: ["app.counter", "app.gauge"],
    });
    const all = await run({ OTLP_MMAP_INSTRUMENT: "all" });
    const { spans, logs, metrics } = namesOf(all!);
    assert.deepEqual(spans, ["GET", "GET", "own"]);
    assert.deepEqual(logs, ["own record", "said aloud", "uncaught exception: Error: the end"]);
    for (
      const name of [
        "app.counter",
        "app.gauge",
        "http.client.request.duration",
        "http.server.active_requests",
        "http.server.request.duration",
        "process.cpu.time",
        "process.memory.usage",
      ]
    ) assert.ok(metrics.includes(name), `${name} in ${metrics}`);
    const [fatal] = all!.logs.filter(({ log }) =>
      String(log.body?.value.value).endsWith("the end")
    );
    assert.equal(fatal.log.severityNumber, 21);
    const active = all!.metrics.find(({ metric }) => metric.name === "http.server.active_requests");
    assert.deepEqual(
      pointsOf(active!.metric).map((point) => "value" in point && Number(point.value.value)),
      [0],
    );
  });

  it("records what the variables leave of it", async () => {
    const noTraces = await run({ OTEL_TRACES_EXPORTER: "none" });
    assert.deepEqual(namesOf(noTraces!), {
      spans: [],
      logs: ["own record"],
      metrics: ["app.counter", "app.gauge"],
    });
    const onlyTraces = await run({ OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" });
    assert.deepEqual(namesOf(onlyTraces!), { spans: ["own"], logs: [], metrics: [] });
    assert.equal(await run({ OTEL_SDK_DISABLED: "true", OTLP_MMAP_INSTRUMENT: "all" }), null);
  });

  it("says what is said at level info, and nothing by itself at a start that was asked for", async () => {
    const cases: [env: Record<string, string>, said: string][] = [
      [{}, "worth knowing"],
      [{ OTEL_SDK_DISABLED: "true" }, "worth knowing"],
      [{ OTEL_LOG_LEVEL: "warn" }, ""],
    ];
    for (const [env, said] of cases) {
      const program = observe(ownRuntime, "tests/testdata/saying.ts", [], {
        flags: ["--preload", join(ROOT, "register.ts")],
        env: { OTLP_MMAP_DIR: join(root, String(++runs)), ...env },
      });
      assert.equal((await program.ended).code, 0, program.text());
      assert.equal(program.text().trim(), said, JSON.stringify(env));
    }
  });

  // Deno has an SDK of its own.
  ownRuntime === "deno" &&
    it("leaves it to Deno's own SDK where that is turned on, and says so once", async () => {
      const directory = join(root, String(++runs));
      const program = observe(ownRuntime, "tests/testdata/instrumented.ts", [], {
        flags: ["--preload", join(ROOT, "register.ts")],
        env: {
          OTLP_MMAP_DIR: directory,
          OTLP_MMAP_INSTRUMENT: "all",
          OTEL_DENO: "true",
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
        },
      });
      assert.equal((await program.ended).code, 1, program.text());
      assert.equal(program.text().match(/another OpenTelemetry SDK is registered/g)?.length, 1);
      assert.match(program.text(), /here Deno's own: unset OTEL_DENO/);
      assert.match(program.text(), /the end/);
      assert.equal(existsSync(directory), false, "nothing is recorded twice");
    });
});
