/**
 * Three services for a long time, with new files all the time and restarts of the services, and one
 * collector throughout: everything is delivered, memory and descriptors stay, nothing is left.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { folders, until } from "../collector/testing/run.ts";
import { ROOT } from "../tools/runtimes.ts";
import { startBackend } from "./support/backend.ts";
import { startCollector } from "./support/collector.ts";
import { Journal } from "./support/journal.ts";
import {
  commandLineOf,
  isFullSize,
  otherRuntime,
  ownRuntime,
  plainEnvironment,
  type RuntimeName,
} from "./support/runtimes.ts";
import { type Calls, Tally } from "./support/tally.ts";
import { growthOf, mostOf, type Usage, watchUsage } from "./support/usage.ts";

const folder = folders("soak");

/** Seconds, of which the first quarter is for warming up. */
const SECONDS = isFullSize ? 3600 : 300;
/** A service is restarted every so often, s. */
const RESTART_S = isFullSize ? 20 : 5;
/** Between two calls of a writer, ms. */
const PAUSE_MS = isFullSize ? 20 : 10;
/** The line through what was sampled may rise by this much from warm to the end. */
const GROWTH = { memory: 32, descriptors: 8 };

/** A service in a process. */
interface Service {
  readonly child: ChildProcess;
  readonly journals: readonly { readonly name: string; readonly journal: Journal }[];
}

/** Starts, ends and remembers services. */
class Services {
  /** What those did that are over. */
  readonly calls: Calls[] = [];
  private readonly directory: string;
  private readonly journals = folder();
  private count = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  start(runtime: RuntimeName, workers: number): Service {
    const name = `${runtime}-${this.count++}`;
    const names = [name, ...Array.from({ length: workers }, (_, i) => `${name}-${i + 1}`)];
    const journals = names.map((name) => ({
      name,
      journal: Journal.create(join(this.journals, name)),
    }));
    const [program, ...args] = commandLineOf(
      runtime,
      join(ROOT, "tests/testdata/soak-service.ts"),
      [this.directory, this.journals, name, String(PAUSE_MS), String(workers)],
    );
    const child = spawn(program, args, {
      stdio: ["pipe", "inherit", "inherit"],
      env: plainEnvironment(),
    });
    return { child, journals };
  }

  /** Once all of its threads record. */
  async begun({ child, journals }: Service): Promise<void> {
    while (journals.some(({ journal }) => journal.returned === 0)) {
      assert.equal(child.exitCode, null, "the service has ended");
      await pause(0.05);
    }
  }

  async end(service: Service, how: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { child, journals } = service;
    await this.begun(service);
    const ended = once(child, "close");
    process.kill(child.pid!, how);
    await ended;
    for (const { name, journal } of journals) {
      const { entered, returned } = journal;
      this.calls.push({ name, entered, returned });
      journal.close();
      rmSync(join(this.journals, name));
    }
  }
}

/** Fails where what was sampled rises; says how it went. */
function assertFlat(who: string, samples: readonly Usage[]): void {
  const seconds = samples.at(-1)!.time - samples[0].time;
  for (const what of ["memory", "descriptors"] as const) {
    const growth = growthOf(samples, what) * seconds;
    const most = mostOf(samples, what);
    console.log(`${what} of ${who}: at most ${most.toFixed(0)}, grew by ${growth.toFixed(1)}`);
    assert.ok(growth <= GROWTH[what], `${what} of ${who} grew by ${growth} in ${seconds} s`);
  }
}

// Memory and descriptors of other processes are read from /proc.
if (process.platform === "linux") {
  describe(`three services for ${SECONDS} s`, () => {
    it("lose nothing, leave nothing, and nobody grows", {
      timeout: (SECONDS + 180) * 1000,
    }, async () => {
      const directory = join(folder(), "files");
      mkdirSync(directory);
      const backend = await startBackend();
      const tally = new Tally();
      const collector = startCollector([
        ...[directory, "--endpoint", backend.url, "--metrics-interval", "1s"],
      ]);
      const services = new Services(directory);
      // This one is not restarted: its generations are what could pile up.
      const steady = services.start(ownRuntime, 2);
      const restarted = [services.start(otherRuntime, 0), services.start(ownRuntime, 1)];
      const watches = [collector.child.pid, steady.child.pid].map((pid) => watchUsage(() => pid));
      try {
        await Promise.all([steady, ...restarted].map((each) => services.begun(each)));
        const begin = performance.now();
        let restarts = 0;
        for (let next = RESTART_S; next < SECONDS; next += RESTART_S, restarts++) {
          while (performance.now() - begin < next * 1000) {
            tally.take(backend);
            await pause(0.5);
          }
          const which = restarts % 2;
          await services.end(restarted[which], restarts % 4 < 2 ? "SIGKILL" : "SIGTERM");
          restarted[which] = which === 0
            ? services.start(otherRuntime, 0)
            : services.start(ownRuntime, 1);
        }
        const warm = begin / 1000 + SECONDS / 4;
        const used = watches.map(({ samples }) => samples.filter(({ time }) => time > warm));
        watches.forEach((watch) => watch.stop());
        for (const each of [steady, ...restarted]) await services.end(each, "SIGTERM");
        const left = (): string[] => readdirSync(directory);
        await until("all files are removed", () => left().length === 0, { state: left });
        assert.equal((await collector.stop()).code, 0, collector.text());
        tally.take(backend);

        const missing = tally.check(services.calls);
        const text = collector.text();
        const [spans, ...rings] = ["spans", "events", "measurements"].map((ring) =>
          new RegExp(`ledger of the ${ring} rings.*`).exec(text)![0]
        );
        assert.doesNotMatch(text, /does not close/);
        const refused = Number(/(\d+) refused/.exec(spans)![1]);
        assert.equal(refused, missing, spans);
        for (const ring of rings) assert.match(ring, / 0 refused/);
        for (const ring of [spans, ...rings]) assert.match(ring, / 0 rejected .* 0 pending/);
        const files = Number(/ from (\d+) files/.exec(text)![1]);
        console.log(
          `${tally.spans} spans, ${missing} without their key; ${restarts} restarts, ${files} files`,
        );
        assert.ok(files > services.calls.length * 2, `only ${files} files`);
        assertFlat("the collector", used[0]);
        assertFlat("the service that is not restarted", used[1]);
      } finally {
        watches.forEach((watch) => watch.stop());
        for (const { child } of [steady, ...restarted]) child.kill("SIGKILL");
        await collector.stop("SIGKILL");
        await backend.stop();
      }
    });
  });
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
