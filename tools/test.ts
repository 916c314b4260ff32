/**
 * Runs the suite, or the files given as arguments, on Deno and then on Bun, each file in a process
 * of its own, and those that start the collector on Bun once more, with the collector compiled into
 * one binary. Counts the tests themselves over all:
 *
 *     deno task test [FILE…]
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
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
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
  output: "inherit" | "ignore",
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

/**
 * Runs one file on one runtime, and shows what it prints unless told not to.
 *
 * @param binary A compiled collector, which the file starts instead of collector/main.ts.
 */
export async function runFile(
  runtime: "deno" | "bun",
  file: string,
  output: "inherit" | "ignore" = "inherit",
  binary?: string,
): Promise<Outcome> {
  const where = `${binary === undefined ? runtime : "binary"} ${relative(ROOT, file)}`;
  const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-test-"));
  try {
    const log = join(folder, "log");
    const end = await run(command(runtime, file), log, output, binary);
    const lines = existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
    return judge(where, lines.map((line) => JSON.parse(line) as Entry), end);
  } finally {
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

async function runWithBinary(files: string[], add: (outcome: Outcome) => void): Promise<void> {
  if (files.length === 0) return;
  const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-binary-"));
  try {
    console.log("\n=== the collector, compiled");
    const target = ownTarget();
    if (await compileBun({ targets: [target], folder }) !== 0) {
      add({ passed: 0, failed: ["the collector could not be compiled"], skipped: [] });
      return;
    }
    for (const file of files) {
      console.log(`\n=== binary ${relative(ROOT, file)}`);
      add(await runFile("bun", file, "inherit", join(folder, `otlp-mmap-${target}`)));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
  for (const runtime of ["deno", "bun"] as const) {
    for (const file of files) {
      console.log(`\n=== ${runtime} ${relative(ROOT, file)}`);
      add(await runFile(runtime, file));
    }
  }
  await runWithBinary(files.filter(startsCollector), add);
  console.log();
  for (const line of total.failed) console.log(`FAILED  ${line}`);
  for (const { name, reason } of total.skipped) console.log(`SKIPPED ${name}: ${reason}`);
  console.log(summary(total.passed, total.failed.length, total.skipped.length));
  return total.failed.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
