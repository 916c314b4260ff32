/**
 * Damaged files through the commands as users run them: no crash, no hang, little memory, and those that
 * only look leave every file as it is.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ROOT } from "../tools/runtimes.ts";
import { startSink } from "./peers/sink.ts";
import { mutate, regionsOf } from "./support/fuzz/mutate.ts";
import { seeds } from "./support/fuzz/seeds.ts";
import { Random, seed } from "./support/random.ts";
import { commandLineOf, ownRuntime, plainEnvironment } from "./support/runtimes.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-hostile-"));
after(() => rmSync(work, { recursive: true }));

const FILES = 200;
/** Resident memory of a command, kB. */
const MEMORY_LIMIT = 256 << 10;

const random = new Random();
const files = seeds();
const regions = files.map(regionsOf);
const paths = Array.from({ length: FILES }, (_, i) => {
  const of = random.below(files.length);
  const path = join(work, `${i}.otlp`);
  writeFileSync(path, mutate(files[of], regions[of], files, random));
  return path;
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly err: string;
  /** The most memory it was seen with, kB; 0 where that is not known. */
  readonly memory: number;
}

/** Runs a command. Its code says that files were bad, and nothing else. */
async function run(args: readonly string[]): Promise<Ended> {
  const [program, ...rest] = commandLineOf(ownRuntime, join(ROOT, "collector/main.ts"), args);
  const child = spawn(program, rest, {
    stdio: ["ignore", "ignore", "pipe"],
    env: plainEnvironment(),
  });
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => err += piece);
  let memory = 0;
  const look = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      memory = Math.max(memory, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended, or this is not Linux.
    }
  }, 10);
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>(
    (resolve) => child.once("close", (code, signal) => resolve({ code, signal })),
  );
  clearInterval(look);
  return { code, signal, err, memory };
}

/** Bytes and times of all files. */
function state(): string[] {
  return paths.map((path) => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${path} ${mtimeMs} ${size} ${ino} ${
      Buffer.from(readFileSync(path)).toString("base64")
    }`;
  });
}

function check(what: string, { code, signal, err, memory }: Ended): void {
  const told = `${what}, seed ${seed}: ${signal ?? code} ${err.slice(-4000)}`;
  assert.equal(signal, null, told);
  assert.ok(code !== null && code <= 2, told);
  assert.doesNotMatch(err, /\n\s+at |TypeError|RangeError|a fault in the collector|panic/, told);
  assert.ok(memory < MEMORY_LIMIT, `${memory} kB: ${told}`);
}

describe(`200 damaged files, seed ${seed}`, () => {
  for (
    const args of [
      ["inspect"],
      ["inspect", "--json"],
      ["recover"],
      ["recover", "--all"],
      ["export"],
    ]
  ) {
    it(`${args.join(" ")} leaves them as they are`, { timeout: 300_000 }, async () => {
      const before = state();
      const names = readdirSync(work).sort();
      check(args.join(" "), await run([...args, ...paths]));
      assert.deepEqual(state(), before);
      assert.deepEqual(readdirSync(work).sort(), names, "a file beside them");
    });
  }

  it("collect --once takes what can be read", { timeout: 300_000 }, async () => {
    const sink = await startSink();
    try {
      const ended = await run(["collect", "--once", "--endpoint", sink.url, ...paths]);
      check("collect --once", ended);
      assert.ok(sink.bodies.length > 0, ended.err);
    } finally {
      await sink.stop();
    }
    // Once more, what was left.
    const again = await startSink();
    try {
      const left = paths.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
      check("again", await run(["collect", "--once", "--endpoint", again.url, ...left]));
    } finally {
      await again.stop();
    }
  });
});
