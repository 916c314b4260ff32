import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { ROOT } from "../../tools/runtimes.ts";
import { commandLineOf, ownRuntime, plainEnvironment } from "../../tests/support/runtimes.ts";
import { command, hashOf, startWriter } from "../../tests/support/steady.ts";
import { parseProgram } from "../program.ts";
import { folders, run, TestSink, until } from "../testing/run.ts";

const folder = folders("tail");

interface Tail {
  out(): string;
  err(): string;
  /** Its lines of JSON. */
  // deno-lint-ignore no-explicit-any
  objects(): any[];
  /** Ends it with SIGTERM; its exit code. */
  stop(): Promise<number | null>;
}

async function tail(...args: string[]): Promise<Tail> {
  const [program, ...rest] = commandLineOf(ownRuntime, join(ROOT, "collector/main.ts"), [
    "tail",
    ...args,
  ]);
  // Somebody to say that it is under way: a directory that is not there.
  const child = spawn(program, [...rest, join(folder(), "none")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: plainEnvironment(),
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => out += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => err += piece);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await until("tail looks", () => /waiting for/.test(err));
  // What is there already is read by the next look.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return {
    out: () => out,
    err: () => err,
    objects: () =>
      out.split("\n").slice(0, -1).filter((line) => line !== "").map((line) => JSON.parse(line)),
    async stop() {
      if (child.exitCode === null) process.kill(child.pid!, "SIGTERM");
      return await ended;
    },
  };
}

describe("tail", () => {
  it("shows what is recorded, beside a collector that gets everything", async () => {
    const directory = folder();
    const sink = new TestSink();
    const { pipeline, ended } = run([directory], {}, sink);
    const shown = await tail("--json", "--metrics", "--metrics-interval", "100ms", directory);
    const writer = await startWriter(directory, 150);
    try {
      await until("the collector has it all", () => sink.spans.length === 300);
      const spans = (): string[] =>
        shown.objects().filter(({ type }) => type === "span").map(({ name }) => name).sort();
      await until("tail has it all", () => spans().length === 300);
      assert.deepEqual(spans(), sink.names);
      const logs = (): string[] =>
        shown.objects().filter(({ type }) => type === "log").map(({ body }) => body);
      await until("logs", () => logs().length === 150);
      assert.deepEqual(logs().sort(), sink.bodies.sort());
      await until("the points", () => {
        const points = shown.objects().filter(({ type }) => type === "point");
        return points.some(({ name, value }) => name === "rounds" && value === 75);
      });
      assert.doesNotMatch(shown.err(), /missed/);
      await writer.stop("SIGKILL");
      await until("the open one", () => sink.spans.length === 301 && spans().length === 301);
    } finally {
      await writer.stop("SIGKILL");
      assert.equal(await shown.stop(), 0, shown.err());
      pipeline.stop();
      await ended;
    }
  });

  it("keeps to what is true when a process is faster, and says what it missed", async () => {
    const directory = folder();
    const sink = new TestSink();
    const { pipeline, ended } = run([directory], { batchSize: 1000 }, sink);
    const shown = await tail("--json", directory);
    const writer = await startWriter(directory, "forever");
    try {
      await until("many spans", () => sink.spans.length > 10_000);
    } finally {
      await writer.stop("SIGKILL");
      await until("the end", () => sink.names.includes("open"));
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(await shown.stop(), 0);
      pipeline.stop();
      await ended;
    }
    const collected = new Set(sink.names);
    assert.equal(collected.size, sink.spans.length);
    const spans = shown.objects().filter(({ type }) => type === "span");
    assert.ok(spans.length > 100, `${spans.length} of ${sink.spans.length}`);
    for (const { name, attributes } of spans) {
      assert.ok(collected.has(name), name);
      if (name !== "open") assert.equal(name.split(" ")[1], String(attributes.number));
    }
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length, "none twice");
    if (spans.length < sink.spans.length) assert.match(shown.err(), /missed \d+ records/);
    for (const { rings: [events, spans] } of [pipeline.files.ledger]) {
      assert.deepEqual([events.torn, events.unreadable, spans.unreadable], [0, 0, 0]);
    }
  });

  it("begins now, knows the spans that are open, and changes nothing", async () => {
    const directory = folder();
    const writer = await startWriter(directory, 20);
    const before = hashOf(writer.file);
    const [now, all] = [await tail("--json", directory), await tail("--json", "--all", directory)];
    try {
      await until("what was there", () => all.objects().length === 60);
      assert.deepEqual(now.objects(), []);
      assert.equal(hashOf(writer.file), before);
      assert.deepEqual(readdirSync(directory).length, 1);
      await writer.stop("SIGKILL");
      await until("the end", () => now.objects().length === 1);
      const [{ name, status, statusMessage, attributes, events }] = now.objects();
      assert.deepEqual([name, status, attributes.open], ["open", "error", true]);
      assert.match(statusMessage, /process ended before/);
      // deno-lint-ignore no-explicit-any
      assert.deepEqual(events.map((event: any) => event.name), ["still there"]);
      assert.equal(hashOf(writer.file), before);
    } finally {
      await writer.stop("SIGKILL");
      await now.stop();
      await all.stop();
    }
    // Of a process that was gone before it began, it shows nothing.
    const late = await tail("--json", directory);
    await late.stop();
    assert.equal(late.out(), "");
  });

  it("shows trees, and what is looked for", async () => {
    const directory = folder();
    const tree = await tail("--tree", "--name", "child 1*", directory);
    const some = await tail("--name", "child 1*", directory);
    const writer = await startWriter(directory, 20);
    try {
      await until("lines", () => some.out().split("\n").length === 12);
      await until("trees", () => tree.out().split("\n").length === 34);
      assert.match(tree.out(), /trace=[0-9a-f]{32}\n"work 1" .*\n {2}└ "child 1" .* steady UNSET/);
      assert.doesNotMatch(tree.out() + some.out(), /work 2 |child 2 |log /);
    } finally {
      await writer.stop("SIGKILL");
      await tree.stop();
      await some.stop();
    }
  });

  it("says when a ring fills because nobody takes records out of it", async () => {
    const directory = folder();
    const shown = await tail(directory);
    const writer = await startWriter(directory, 400);
    try {
      await until("a warning", () => /no collector takes records out of it/.test(shown.err()));
      assert.equal(shown.err().match(/no collector takes/g)?.length, 1);
    } finally {
      await writer.stop("SIGKILL");
      await shown.stop();
    }
  });

  it("refuses flags that can't be", async () => {
    for (
      const [args, message] of [
        [["--severity", "loud"], /--severity.*trace, debug, info, warn, error or fatal/],
        [["--trace", "xyz"], /--trace.*hexadecimal/],
        [["--min-duration", "soon"], /--min-duration.*duration/],
        [["--json", "--tree"], /--tree and --json/],
      ] as const
    ) {
      const { code, err } = await command(["tail", ...args]);
      assert.equal(code, 2);
      assert.match(err, message);
    }
    // Lines say microseconds.
    for (const shortest of ["500us", "1.5us", "250ns"]) {
      assert.doesNotThrow(() => parseProgram(["tail", "--min-duration", shortest], {}), shortest);
    }
    const { code, out } = await command(["tail", "--help"]);
    assert.equal(code, 0);
    assert.match(out, /Examples:\n {2}otlp-mmap tail/);
    assert.match(out, /Exit codes:\n {2}0/);
  });
});
