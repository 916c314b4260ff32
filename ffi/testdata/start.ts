/** Starts programs of this folder in the runtime that runs the test. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runtime } from "../mod.ts";
import type { Command } from "./child.ts";

/** The command line that runs a program of this folder. */
export function commandLine(file: string, ...flags: string[]): [string, ...string[]] {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return runtime.name === "bun"
    ? [process.execPath, path]
    : [process.execPath, "run", "--quiet", ...(flags.length > 0 ? flags : ["-A"]), path];
}

/** Runs a program to its end and gives back its output. */
export function output(line: readonly string[]): string {
  const [command, ...args] = line;
  const done = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (done.status !== 0) {
    throw new Error(`${line.join(" ")}: status ${done.status} ${done.signal}\n${done.stderr}`);
  }
  return done.stdout;
}

/** child.ts, running. */
export interface Child {
  readonly process: ChildProcess;
  /** Sends a command, waits for its result; throws an Error with the code when it failed. */
  ask(command: Command): Promise<unknown>;
  /** Ends it, by SIGKILL if so wanted, and waits for that. */
  stop(how?: "kill"): Promise<void>;
}

/** Starts child.ts, after `prefix` if that is given, and waits until it listens. */
export async function startChild(...prefix: string[]): Promise<Child> {
  const [command, ...args] = [...prefix, ...commandLine("child.ts")];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function answer(): Promise<unknown> {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the child ended: status ${child.exitCode} ${child.signalCode}`);
    const { result, error } = JSON.parse(value) as { result?: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return result;
  }
  await answer();
  return {
    process: child,
    ask(command: Command): Promise<unknown> {
      child.stdin.write(JSON.stringify(command) + "\n");
      return answer();
    },
    async stop(how?: "kill"): Promise<void> {
      if (how === "kill") child.kill("SIGKILL");
      else child.stdin.end();
      await ended;
    },
  };
}

/** A directory for one test file's files. */
export function temporaryDirectory(): { at(name: string): string; path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "otlp-mmap-ffi-"));
  return {
    path,
    at: (name: string): string => join(path, name),
    remove: (): void => rmSync(path, { recursive: true, force: true }),
  };
}
