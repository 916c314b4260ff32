/**
 * Programs in processes of their own, which are spoken to in lines.
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";

/** The runtimes that are measured. */
export type RuntimeName = "deno" | "bun";
/** Both, in the order in which they are measured. */
export const RUNTIMES: readonly RuntimeName[] = ["deno", "bun"];

/** A program under way. */
export interface Program {
  readonly pid: number;
  /** Sends a line. */
  tell(line: string): void;
  /** The next line it prints; rejects when it ends instead. */
  hear(): Promise<string>;
  /** All lines from here on, once it has ended; rejects unless it ended with 0. */
  rest(): Promise<string[]>;
  /** Sends a signal (SIGKILL when none is given) and waits for the end. */
  stop(signal?: "SIGTERM"): Promise<void>;
}

/** How to start one. */
export interface StartOptions {
  /** Options of the runtime itself, before the file. */
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  /** Hears of standard error in whole lines; without it, that goes to the terminal. */
  readonly onError?: (line: string) => void;
}

/** Starts a file of the repository, without the telemetry settings of the environment. */
export function start(
  runtime: RuntimeName,
  file: string,
  args: readonly string[],
  options: StartOptions = {},
): Program {
  const [command, ...before] = runtime === "bun"
    ? [bunPath()]
    : [denoPath(), "run", "-A", "--no-check", "--quiet", `--config=${ROOT}deno.json`];
  const inherited = Object.entries(process.env).filter(([name]) =>
    !/^(OTEL|OTLP|SDK_MMAP)_/.test(name)
  );
  const child: ChildProcess = spawn(
    command,
    [...before, ...options.flags ?? [], join(ROOT, file), ...args],
    {
      stdio: ["pipe", "pipe", options.onError === undefined ? "inherit" : "pipe"],
      env: { ...Object.fromEntries(inherited), ...options.env },
    },
  );
  const { onError } = options;
  if (onError !== undefined) createInterface({ input: child.stderr! }).on("line", onError);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? "" : `${signal ?? code}`));
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    tell: (line) => child.stdin!.write(`${line}\n`),
    async hear() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${file} on ${runtime} ended too early (${await ended || 0})`);
      return value;
    },
    async rest() {
      const all: string[] = [];
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        all.push(next.value);
      }
      const failure = await ended;
      if (failure !== "") throw new Error(`${file} on ${runtime} ended with ${failure}`);
      return all;
    },
    async stop(signal) {
      child.kill(signal ?? "SIGKILL");
      await ended;
    },
  };
}

/** Notes a program that has been started, so that it ends when the run does. */
export type Begin = (program: Program) => Program;

/** Makes a run with a directory of its own in `place`: when it is over, its programs and that are gone. */
export async function withPrograms<T>(
  place: string,
  run: (directory: string, begin: Begin) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(place, "otlp-mmap-bench-"));
  const programs: Program[] = [];
  try {
    return await run(directory, (program) => {
      programs.push(program);
      return program;
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** User and system time that a process has used so far, ns. Linux counts it in steps of 10 ms. */
export function cpuOf(pid: number): number {
  if (process.platform === "linux") {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 1e7;
  }
  const text = execFileSync("ps", ["-o", "time=", "-p", String(pid)], { encoding: "utf8" });
  return text.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0) * 1e9;
}
