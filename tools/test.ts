/**
 * Runs the suite, or the files given as arguments, on Deno and then on Bun, each file in a process
 * of its own, and those that start the collector on Bun once more, with the collector compiled into
 * one binary. Counts the tests themselves over all:
 *
 *     deno task test [FILE…]
 *
 * Two files run at a time where there are two cores (OTLP_MMAP_TEST_JOBS says how many): most of
 * them wait for other processes most of the time. Those in LONG begin first, one after the other, and
 * those in ALONE run by themselves. What a file prints is shown when it has ended.
 *
 * Ends with `N passed, N failed` (and `, N skipped`), after the reasons of whatever was skipped. A
 * process that ends with anything but 0 is at least one failure, as is a file without tests.
 *
 * Heavy tests read OTLP_MMAP_TEST_SIZE: `ci` (the default) keeps the suite short enough for every
 * change, `full` takes the sizes that the README's figures come from.
 *
 * @module
 */
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { compileBun } from "./compile-bun.ts";
import { ownTarget } from "./compile/output.ts";
import { bunPath, denoPath, ROOT } from "./runtimes.ts";
import { DEFAULT_TIMEOUT, type Entry } from "./testing/record.ts";

/** What came of running files on one runtime. */
export type Outcome = {
  passed: number;
  /** One line each. */
  failed: string[];
  skipped: { name: string; reason: string }[];
};

const SKIPPED_FOLDERS = new Set([".git", "dist", "node_modules", "testdata"]);

/** Every test file below a folder, in the order of their paths. */
export function findTests(folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name)) found.push(...findTests(path));
    else if (/[._]test\.ts$/.test(entry.name)) found.push(path);
  }
  return found.sort();
}

/** Does a test file start the collector in a process of its own? */
export function startsCollector(file: string): boolean {
  const imports = /import \{([^}]*)\} from "[^"]*\/support\/(?:collector|received|runtimes)\.ts"/g;
  return [...readFileSync(file, "utf8").matchAll(imports)].some(([, names]) =>
    /\b(collectOnce|observe|runCollector|startCollector|startReceiving)\b/.test(names)
  );
}

/** What runs one file; types are the matter of `deno task check`. */
function command(runtime: "deno" | "bun", file: string): string[] {
  if (runtime === "bun") {
    const preload = join(ROOT, "tools/testing/bun.ts");
    return [bunPath(), "test", "--timeout", `${DEFAULT_TIMEOUT}`, "--preload", preload, file];
  }
  const map = join(ROOT, "tools/testing/deno_imports.json");
  return [denoPath(), "test", "-A", "--no-check", `--import-map=${map}`, file];
}

/** A process that takes longer, in ms, is killed: one that blocks its thread ends no test by itself. */
const FILE_TIMEOUT = (process.env.OTLP_MMAP_TEST_SIZE === "full" ? 180 : 15) * 60_000;

/** The end of a process in words, or undefined when it ended with 0. */
function run(
  args: string[],
  log: string,
  output: number,
  binary?: string,
): Promise<string | undefined> {
  return new Promise((done) => {
    const env = {
      ...process.env,
      OTLP_MMAP_TEST_LOG: log,
      OTLP_MMAP_DENO: denoPath(),
      OTLP_MMAP_BINARY: binary,
    };
    const child = spawn(args[0]!, args.slice(1), {
      cwd: ROOT,
      env,
      stdio: ["ignore", output, output],
      timeout: FILE_TIMEOUT,
      killSignal: "SIGKILL",
    });
    child.on("error", (error) => done(`could not be started: ${error.message}`));
    child.on("close", (code, signal) => {
      done(code === 0 ? undefined : signal ? `was ended by ${signal}` : `exited with ${code}`);
    });
  });
}

/** One file on one runtime. */
export type Run = {
  runtime: "deno" | "bun";
  file: string;
  /** A compiled collector, which the file starts instead of collector/main.ts. */
  binary?: string;
};

function titleOf({ runtime, file, binary }: Run): string {
  return `${binary === undefined ? runtime : "binary"} ${relative(ROOT, file)}`;
}

/** Runs one file on one runtime; `show` gets what it printed, once it has ended. */
export async function runFile(each: Run, show?: (printed: string) => void): Promise<Outcome> {
  const { runtime, file, binary } = each;
  const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-test-"));
  const [log, printed] = [join(folder, "log"), join(folder, "printed")];
  const output = openSync(printed, "a");
  try {
    const end = await run(command(runtime, file), log, output, binary);
    show?.(readFileSync(printed, "utf8"));
    const lines = existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
    return judge(titleOf(each), lines.map((line) => JSON.parse(line) as Entry), end);
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Counts the entries that a process left, and takes its end into account. */
export function judge(where: string, entries: Entry[], end: string | undefined): Outcome {
  const outcome: Outcome = { passed: 0, failed: [], skipped: [] };
  const open = new Map<number, string>();
  for (const entry of entries) {
    if (entry.event === "test") open.set(entry.id, entry.name);
    else if (entry.event === "skip") {
      outcome.skipped.push({ name: `${where}: ${entry.name}`, reason: entry.reason });
    } else if (entry.event === "error") {
      outcome.failed.push(`${where}: outside a test: ${entry.message}`);
    } else {
      open.delete(entry.id);
      if (entry.event === "fail") {
        outcome.failed.push(`${where}: ${entry.name}: ${entry.message}`);
      } else outcome.passed++;
    }
  }
  for (const name of open.values()) outcome.failed.push(`${where}: ${name}: did not finish`);
  if (end !== undefined && outcome.failed.length === 0) outcome.failed.push(`${where}: ${end}`);
  if (entries.length === 0 && end === undefined) outcome.failed.push(`${where}: no tests in it`);
  return outcome;
}

/** The last line: skipped tests are named only when there are any. */
export function summary(passed: number, failed: number, skipped: number): string {
  return `${passed} passed, ${failed} failed` + (skipped > 0 ? `, ${skipped} skipped` : "");
}

/** The collector as one file in a folder, or undefined when it can't be compiled. */
async function compiled(folder: string): Promise<string | undefined> {
  console.log("\n=== the collector, compiled");
  const target = ownTarget();
  if (await compileBun({ targets: [target], folder }) !== 0) return undefined;
  return join(folder, `otlp-mmap-${target}`);
}

/** How many files run at a time. */
const JOBS = Number(process.env.OTLP_MMAP_TEST_JOBS) || Math.min(2, availableParallelism());

/**
 * These take more than a minute each, and have rates to keep. They begin first, so that the suite does
 * not end with one of them alone, and run one at a time for as long as there are others.
 */
export const LONG: readonly string[] = [
  "tests/soak.test.ts",
  "tests/flaky.test.ts",
  "tests/outage.test.ts",
];

/** These want the whole machine, and come at the end, one after the other. */
export const ALONE: readonly string[] = ["tests/many-processes.test.ts"];

function isIn(files: readonly string[], { file }: Run): boolean {
  return files.includes(relative(ROOT, file));
}

/** Does everything, so much at a time: the first worker begins with what is long, the others with the rest. */
export async function share<T>(
  { long, rest }: { long: readonly T[]; rest: readonly T[] },
  jobs: number,
  work: (each: T) => Promise<void>,
): Promise<void> {
  const [longLeft, restLeft] = [[...long], [...rest]];
  await Promise.all(Array.from({ length: jobs }, async (_, worker) => {
    const [first, then] = worker === 0 ? [longLeft, restLeft] : [restLeft, longLeft];
    for (let each; (each = first.shift() ?? then.shift()) !== undefined;) await work(each);
  }));
}

async function main(args: string[]): Promise<number> {
  const missing = args.filter((file) => !existsSync(file));
  if (missing.length > 0) {
    console.error(`no such file: ${missing.join(", ")}`);
    return 2;
  }
  const named = args.map((path) => resolve(path));
  const files = args.length > 0
    ? named.flatMap((path) => statSync(path).isDirectory() ? findTests(path) : [path])
    : findTests(ROOT);
  const total: Outcome = { passed: 0, failed: [], skipped: [] };
  const add = ({ passed, failed, skipped }: Outcome): void => {
    total.passed += passed;
    total.failed.push(...failed);
    total.skipped.push(...skipped);
  };
  const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-binary-"));
  try {
    const runs: Run[] = [
      ...files.map((file): Run => ({ runtime: "deno", file })),
      ...files.map((file): Run => ({ runtime: "bun", file })),
    ];
    const withCollector = files.filter(startsCollector);
    if (withCollector.length > 0) {
      const binary = await compiled(folder);
      if (binary === undefined) total.failed.push("the collector could not be compiled");
      else runs.push(...withCollector.map((file): Run => ({ runtime: "bun", file, binary })));
    }
    const work = async (each: Run): Promise<void> => {
      const start = performance.now();
      const show = (printed: string): void => {
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        console.log(`\n=== ${titleOf(each)} (${seconds} s)\n${printed.trim()}`);
      };
      add(await runFile(each, show));
    };
    const shared = runs.filter((each) => !isIn(ALONE, each));
    const long = LONG.flatMap((file) => shared.filter((each) => isIn([file], each)));
    await share({ long, rest: shared.filter((each) => !isIn(LONG, each)) }, JOBS, work);
    await share({ long: [], rest: runs.filter((each) => isIn(ALONE, each)) }, 1, work);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log();
  for (const line of total.failed) console.log(`FAILED  ${line}`);
  for (const { name, reason } of total.skipped) console.log(`SKIPPED ${name}: ${reason}`);
  console.log(summary(total.passed, total.failed.length, total.skipped.length));
  return total.failed.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
