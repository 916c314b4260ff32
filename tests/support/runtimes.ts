/**
 * Programs in processes of their own, on either runtime.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";

/** The runtimes there are. */
export type RuntimeName = "deno" | "bun";

/** Heavy tests do more where OTLP_MMAP_TEST_SIZE is `full`. */
export const isFullSize: boolean = process.env.OTLP_MMAP_TEST_SIZE === "full";

/** A program under way. */
export interface Running {
  readonly child: ChildProcess;
  /** Its standard output once it has ended with 0; rejects with its standard error otherwise. */
  readonly output: Promise<string>;
}

/** Starts a program of tests/testdata. */
export function run(runtime: RuntimeName, program: string, ...args: string[]): Running {
  return start(runtime, join(ROOT, "tests/testdata", program), args);
}

/** Starts the collector. */
export function runCollector(runtime: RuntimeName, ...args: string[]): Running {
  return start(runtime, join(ROOT, "collector/main.ts"), ["collect", ...args]);
}

/** Starts a file, without the settings of OpenTelemetry in the environment of the test. */
export function start(
  runtime: RuntimeName,
  file: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Running {
  const [command, ...before] = runtime === "bun"
    ? [bunPath()]
    : [denoPath(), "run", "-A", "--no-check", "--quiet", `--config=${ROOT}deno.json`];
  const inherited = Object.entries(process.env).filter(([name]) =>
    !/^(OTEL|OTLP|SDK_MMAP)_/.test(name)
  );
  const child = spawn(command, [...before, file, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
  });
  return { child, output: outputOf(child, `${runtime} ${file}`) };
}

async function outputOf(child: ChildProcess, name: string): Promise<string> {
  const texts = ["", ""];
  for (const [i, stream] of [child.stdout!, child.stderr!].entries()) {
    stream.setEncoding("utf8").on("data", (text: string) => texts[i] += text);
  }
  const [code, signal] = await once(child, "close");
  if (code === 0) return texts[0];
  throw new Error(`${name} ended with ${signal ?? code}: ${texts[1]}`);
}
