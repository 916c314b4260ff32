/**
 * Programs in processes of their own, on either runtime.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";

/** The runtimes there are. */
export type RuntimeName = "deno" | "bun";

/** The one that runs this. */
export const ownRuntime: RuntimeName = process.versions.bun === undefined ? "deno" : "bun";

/** The one that does not. */
export const otherRuntime: RuntimeName = ownRuntime === "bun" ? "deno" : "bun";

/** Heavy tests do more where OTLP_MMAP_TEST_SIZE is `full`. */
export const isFullSize: boolean = process.env.OTLP_MMAP_TEST_SIZE === "full";

/** A compiled collector that stands in for the sources on Bun (tools/test.ts); usually none. */
const binary = process.env.OTLP_MMAP_BINARY;

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
  options: { flags?: readonly string[]; cwd?: string; env?: Record<string, string> } = {},
): Running {
  const { command, args: rest, cwd, env } = launchOf(runtime, file, args, options);
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"], cwd, env });
  return { child, output: outputOf(child, `${runtime} ${file}`) };
}

/** How a program is started. */
export interface Launch {
  readonly command: string;
  readonly args: string[];
  readonly cwd?: string;
  readonly env: Record<string, string | undefined>;
}

/**
 * How to start a file, without the settings of OpenTelemetry in the environment of the test. The
 * collector may be a compiled one: that is started in an empty folder, with only the variables that
 * the test gives.
 */
export function launchOf(
  runtime: RuntimeName,
  file: string,
  args: readonly string[],
  { flags, cwd, env }: {
    flags?: readonly string[];
    cwd?: string;
    env?: Readonly<Record<string, string>>;
  } = {},
): Launch {
  if (binary !== undefined && runtime === "bun" && file === join(ROOT, "collector/main.ts")) {
    const given = { ...NO_SPOOL, ...env };
    return { command: binary, args: [...args], cwd: cwd ?? emptyFolder(), env: given };
  }
  const [command, ...rest] = commandLineOf(runtime, file, args, flags);
  return { command, args: rest, cwd, env: { ...plainEnvironment(), ...NO_SPOOL, ...env } };
}

/** What one test leaves is not for the next, nor for the user whose home this is. */
const NO_SPOOL = { OTLP_MMAP_SPOOL: "none" };

let empty: string | undefined;

/** A folder that must still be empty when the test's process ends: removing it fails otherwise. */
function emptyFolder(): string {
  if (empty === undefined) {
    const path = empty = mkdtempSync(join(tmpdir(), "otlp-mmap-empty-"));
    process.on("exit", () => rmdirSync(path));
  }
  return empty;
}

/** The command line of a file: `flags` are for the runtime, `args` for the program. */
export function commandLineOf(
  runtime: RuntimeName,
  file: string,
  args: readonly string[],
  flags: readonly string[] = [],
): [string, ...string[]] {
  return runtime === "bun" ? [bunPath(), ...flags, file, ...args] : [
    ...[denoPath(), "run", "-A", "--no-check", "--quiet", `--config=${ROOT}deno.json`] as const,
    ...[...flags, file, ...args],
  ];
}

/** The environment of the test without settings of OpenTelemetry and ours. */
export function plainEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(OTEL|OTLP|SDK_MMAP)_|_proxy$/i.test(name)),
  );
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
