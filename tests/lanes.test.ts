/** Several endpoints, each with a spool of its own: what one misses while it is away waits for it. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { MOST_FAR } from "../collector/delivery/drainer.ts";
import { holdsRequests } from "../collector/delivery/leftovers.ts";
import { folders, until } from "../collector/testing/run.ts";
import { openSpool } from "../lib/spool/mod.ts";
import { Writer } from "../lib/writer.ts";
import { ExportTraceServiceRequestSchema } from "../proto/gen/otlp_pb.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import { type Observed, receivedBy, startCollector } from "./support/collector.ts";
import { scrape } from "./support/prometheus.ts";

const folder = folders("lanes");
const BATCH = 10;
/** An endpoint that was away is tried again late. */
const LIMITS = { timeout: 240_000 };

const decoded = new WeakMap<Uint8Array, number[]>();

/** The numbers of the spans that came, in the order of arrival. */
function numbersOf({ bodies }: Backend): number[] {
  return bodies.traces.flatMap((body) => {
    let numbers = decoded.get(body);
    if (numbers === undefined) {
      numbers = receivedBy({ bodies: [body] }).map(({ span }) => Number(span.name));
      decoded.set(body, numbers);
    }
    return numbers;
  });
}

/** Has it every number below `count`? */
function hasAll(backend: Backend, count: number): boolean {
  return new Set(numbersOf(backend)).size === count;
}

function assertInOrder(backend: Backend, count: number, again: number): void {
  const numbers = numbersOf(backend);
  const first = [...new Set(numbers)];
  assert.deepEqual(first, Array.from({ length: count }, (_, i) => i));
  const double = numbers.length - first.length;
  assert.ok(double <= again, `${double} came twice, at most ${again} were under way`);
}

/** A program that numbers its spans. */
function startProgram(directory: string, attributes = {}): {
  readonly count: number;
  /** Waits while its ring is full. */
  record(count: number): Promise<void>;
  end(): void;
} {
  const writer = Writer.create(join(directory, "a.otlp"), { spans: { slots: 4096 } });
  const scope = writer.scope({ name: "s" });
  let number = 0;
  return {
    get count() {
      return number;
    },
    async record(count) {
      for (const end = number + count; number < end;) {
        const span = scope.startSpan(String(number), { attributes });
        if (span.started === "written") {
          span.end();
          number++;
        }
        if (span.started !== "written" || number % 20 === 0) await pause(5);
      }
    },
    end: () => writer.close(),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}

async function metricsOf(collector: Observed): Promise<Map<string, number>> {
  await collector.wrote(/served at http:\S+\/healthz/);
  return await scrape(`${/served at (http:\S+)\/healthz/.exec(collector.text())![1]}/metrics`);
}

/** Does it, says what the collector said where that fails, and stops everything. */
async function ending(
  collector: () => Observed,
  backends: readonly Backend[],
  body: () => Promise<void>,
): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw new Error(`the collector said: ${collector().text()}`, { cause: error });
  } finally {
    await collector().stop("SIGKILL");
    for (const each of backends) await each.stop();
  }
}

describe("several endpoints with a spool", () => {
  it(
    "get everything, though one is away and the collector is killed meanwhile",
    LIMITS,
    async () => {
      const [directory, spool] = [folder(), folder()];
      const [a, b] = [await startBackend(), await startBackend()];
      const args = [directory, "--endpoint", a.url, "--endpoint", b.url, "--spool", spool];
      const start = (): Observed => startCollector([...args, "--batch-size", `${BATCH}`]);
      const program = startProgram(directory);
      let collector = start();
      const kills = 2;
      await ending(() => collector, [a, b], async () => {
        await program.record(200);
        await until("both have them", () => hasAll(a, 200) && hasAll(b, 200));
        b.away = true;
        for (let kill = 0; kill < kills; kill++) {
          const { refused } = b;
          await program.record(500);
          await until("one has them", () => hasAll(a, program.count));
          await until("the other was asked", () => b.refused > refused);
          const before = a.bodies.traces.length;
          const load = program.record(1000);
          await until("some of them are there", () => a.bodies.traces.length > before);
          await collector.stop("SIGKILL");
          collector = start();
          await load;
        }
        await until("one has them", () => hasAll(a, program.count));
        assert.ok(hasAll(b, 200), "the other has none of them");
        b.away = false;
        await until("the other has them too", () => hasAll(b, program.count));
        program.end();
        assert.equal((await collector.stop()).code, 0, collector.text());
        const again = kills * (MOST_FAR + 1) * BATCH;
        assertInOrder(a, program.count, again);
        assertInOrder(b, program.count, again);
        assert.match(
          collector.text(),
          new RegExp(`\\d+ requests of an earlier run for ${b.url} wait in the spool ${spool}/`),
        );
        const names = readdirSync(join(spool, "endpoints"));
        assert.equal(names.length, 2, names.join());
        for (const name of names) {
          assert.match(name, /^127\.0\.0\.1_\d+-[0-9a-f]{12}$/);
          assert.equal(holdsRequests(join(spool, "endpoints", name)), false, name);
        }
      });
    },
  );

  it(
    "share the limit: beyond it the oldest for one that is away are dropped, for it alone",
    LIMITS,
    async () => {
      const [directory, spool] = [folder(), folder()];
      const [a, b] = [await startBackend(), await startBackend()];
      b.away = true;
      const program = startProgram(directory, { text: "x".repeat(1000) });
      const collector = startCollector([
        ...[directory, "--endpoint", a.url, "--endpoint", b.url, "--spool", spool, "--health", "0"],
        ...["--spool-max-size", "1MiB", "--batch-size", `${BATCH}`],
      ]);
      const dropped = (labels: string): string =>
        `otlp_mmap_spool_items_dropped_total{${labels}reason="size",signal="traces"}`;
      const forB = `endpoint="${b.url}/v1/traces",`;
      await ending(() => collector, [a, b], async () => {
        // Some 3 MB, at the pace of the one that is there.
        while (program.count < 3000) {
          await program.record(100);
          await until("one has them", () => hasAll(a, program.count));
        }
        await collector.wrote(
          /spans for \S+ in the spool \S+ had no room \(see --spool-max-size\)/,
        );
        const figures = await metricsOf(collector);
        assert.equal(figures.get(dropped("")), 0);
        assert.equal(figures.get(dropped(`endpoint="${a.url}/v1/traces",`)), 0);
        const lost = figures.get(dropped(forB))!;
        assert.ok(lost > 1000 && lost < 3000, `${lost}`);
        assert.ok(figures.get(`otlp_mmap_endpoint_requests_waiting{${forB}signal="traces"}`)! > 10);
        assert.equal(figures.get('otlp_mmap_items_accepted_total{signal="traces"}'), 0);
        b.away = false;
        await until("the other has the rest", () => numbersOf(b).length === 3000 - lost);
        program.end();
        assert.equal((await collector.stop()).code, 0, collector.text());
        assertInOrder(a, 3000, 0);
        const numbers = numbersOf(b);
        // The one that was under way was handed out before.
        const newest = Array.from({ length: 3000 - lost - BATCH }, (_, i) => lost + BATCH + i);
        assert.deepEqual(numbers.slice(-newest.length), newest);
        const text = collector.text();
        assert.match(text, new RegExp(`dropped for ${b.url}: ${lost} spans \\(\\d+ requests\\)`));
        assert.doesNotMatch(text, new RegExp(`dropped for ${a.url}`));
        assert.match(text, new RegExp(`spans to ${b.url}/v1/traces: ${3000 - lost} delivered`));
      });
    },
  );

  it(
    "get what was stored for one before; what waits for one that is gone is kept, and said",
    LIMITS,
    async () => {
      const [directory, spool, empty] = [folder(), folder(), folder()];
      const [a, b, c] = [await startBackend(), await startBackend(), await startBackend()];
      let collector: Observed | undefined;
      const start = (...endpoints: Backend[]): Observed =>
        collector = startCollector([
          ...[directory, "--spool", spool],
          ...endpoints.flatMap(({ url }) => ["--endpoint", url]),
        ]);
      const leave = async (from: number, count: number): Promise<void> => {
        const writer = Writer.create(join(directory, "a.otlp"));
        const scope = writer.scope({ name: "s" });
        for (let i = from; i < from + count; i++) scope.startSpan(String(i)).end();
        writer.close();
        await until("all is stored", () => readdirSync(directory).length === 0);
      };
      try {
        // One endpoint: no folder of its own.
        a.away = true;
        const first = start(a);
        await leave(0, 20);
        await first.stop("SIGKILL");
        assert.deepEqual(readdirSync(spool).includes("endpoints"), false);
        a.away = false;
        const second = start(a, b, c);
        await until("all have them", () => [a, b, c].every((each) => hasAll(each, 20)));
        b.away = c.away = true;
        await leave(20, 20);
        await until("one has more", () => hasAll(a, 40));
        assert.equal((await second.stop()).code, 0, second.text());
        for (const { url } of [b, c]) {
          const left = new RegExp(
            `20 spans \\(1 requests\\) for ${url} are left in the spool ${spool}`,
          );
          assert.match(second.text(), left);
        }
        // Those are of no use to one that neither of them is for.
        const third = start(a);
        const pattern = /1 requests wait in (\S+) for an endpoint that is named no longer/g;
        await leave(40, 10);
        await until("it has what is new", () => hasAll(a, 50));
        await third.stop();
        const places = [...third.text().matchAll(pattern)].map(([, place]) => place);
        assert.equal(places.length, 2, third.text());
        // One is named again, alone.
        b.away = false;
        const fourth = start(b);
        await until("it has what was left", () => hasAll(b, 40));
        await leave(50, 10);
        await until("it has what is new", () => hasAll(b, 50));
        await fourth.stop();
        assert.equal(fourth.text().match(pattern)?.length, 1, fourth.text());
        // The other's are sent elsewhere, as the message says.
        const port = new URL(c.url).port;
        const place = places.find((each) => each.includes(`_${port}-`))!;
        const others = await startBackend();
        try {
          const last = startCollector([
            ...["--once", empty, "--spool", place, "--endpoint", others.url],
          ]);
          await last.ended;
          assert.deepEqual(numbersOf(others), Array.from({ length: 20 }, (_, i) => 20 + i));
          assert.equal(holdsRequests(place), false);
        } finally {
          await others.stop();
        }
        for (const each of [a, b]) assert.equal(numbersOf(each).length, 50);
        assert.equal(numbersOf(c).length, 20);
      } finally {
        await collector?.stop("SIGKILL");
        for (const each of [a, b, c]) await each.stop();
      }
    },
  );

  it(
    "get a long backlog for one before, each once, though a kill comes while it is shared out",
    LIMITS,
    async () => {
      const [directory, spool] = [folder(), folder()];
      const [a, b] = [await startBackend(), await startBackend()];
      const count = 2000;
      const before = openSpool(spool, { maxBytes: 1 << 28 });
      for (let i = 0; i < count; i++) {
        const scopeSpans = [{ spans: [{ name: String(i) }] }];
        const request = create(ExportTraceServiceRequestSchema, {
          resourceSpans: [{ scopeSpans }],
        });
        before.put("traces", toBinary(ExportTraceServiceRequestSchema, request), 1);
      }
      before.close();
      const args = [directory, "--endpoint", a.url, "--endpoint", b.url, "--spool", spool];
      let collector = startCollector(args);
      await ending(() => collector, [a, b], async () => {
        await until("it has begun", () => a.bodies.traces.length > 0);
        await collector.stop("SIGKILL");
        collector = startCollector(args);
        await until("both have all", () => hasAll(a, count) && hasAll(b, count));
        assert.equal((await collector.stop()).code, 0, collector.text());
        for (const each of [a, b]) assertInOrder(each, count, MOST_FAR + 1);
      });
    },
  );

  it("go on where they were when the list of them is read again", LIMITS, async () => {
    const [directory, spool] = [folder(), folder()];
    const [a, b] = [await startBackend(), await startBackend()];
    const config = join(folder(), "c.yaml");
    const write = (...endpoints: string[]): void =>
      writeFileSync(config, `collect: {endpoint: ${JSON.stringify(endpoints)}}\n`);
    write(a.url, b.url);
    const program = startProgram(directory);
    const collector = startCollector([directory, "--config", config, "--spool", spool]);
    let reloads = 0;
    const reload = async (...endpoints: string[]): Promise<void> => {
      write(...endpoints);
      process.kill(collector.child.pid!, "SIGHUP");
      reloads++;
      await until(
        "it was read",
        () =>
          (collector.text().match(/the configuration was read again/g)?.length ?? 0) === reloads,
      );
    };
    await ending(() => collector, [a, b], async () => {
      b.away = true;
      await program.record(50);
      await until("one has them, the other was asked", () => hasAll(a, 50) && b.refused > 0);
      // Elsewhere, as far as the collector knows.
      await reload(a.url, `${b.url}/`, "http://127.0.0.1:1");
      await reload(a.url);
      await program.record(50);
      await until("it has more", () => hasAll(a, 100));
      b.away = false;
      await reload(a.url, b.url);
      await until("the other has what was left", () => hasAll(b, 50));
      await program.record(50);
      await until("both have more", () => hasAll(a, 150) && hasAll(b, 100));
      program.end();
      assert.equal((await collector.stop()).code, 0, collector.text());
      assertInOrder(a, 150, 0);
      const numbers = Array.from({ length: 150 }, (_, i) => i);
      assert.deepEqual(numbersOf(b), [...numbers.slice(0, 50), ...numbers.slice(100)]);
    });
  });
});
