/**
 * Programs of tests/testdata in processes of their own that are told what to do.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { ROOT } from "../../tools/runtimes.ts";
import { commandLineOf, ownRuntime, plainEnvironment, type RuntimeName } from "./runtimes.ts";

/** A program that reads one JSON command a line and answers each with one JSON line. */
export interface Program {
  readonly process: ChildProcess;
  /** Sends a command and waits for its result; throws what the program threw. */
  ask<T>(command: { [key: string]: unknown }): Promise<T>;
  /** Ends it: by closing its input, or by SIGKILL. */
  stop(how?: "kill"): Promise<void>;
}

/** Starts a program on the runtime of the test and waits for its first line. */
export function startProgram(program: string, ...args: string[]): Promise<Program> {
  return startProgramOn(ownRuntime, program, ...args);
}

/** Starts a program on a runtime and waits for its first line. */
export function startProgramOn(
  runtime: RuntimeName,
  program: string,
  ...args: string[]
): Promise<Program> {
  return startProgramIn(undefined, runtime, program, args);
}

/** The same through `sh -c` after a command line, for example `ulimit -n 200`. */
export async function startProgramIn(
  shell: string | undefined,
  runtime: RuntimeName,
  program: string,
  args: readonly string[] = [],
): Promise<Program> {
  const file = join(ROOT, "tests/testdata", program);
  const line = commandLineOf(runtime, file, args);
  const [command, ...rest] = shell === undefined
    ? line
    : ["sh", "-c", `${shell} && exec "$0" "$@"`, ...line];
  const env = plainEnvironment();
  const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"], env });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function answer(): Promise<unknown> {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${program} ended: status ${child.exitCode} ${child.signalCode}`);
    const { result, error } = JSON.parse(value) as { result?: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return result;
  }
  await answer();
  return {
    process: child,
    ask<T>(message: { [key: string]: unknown }): Promise<T> {
      child.stdin.write(JSON.stringify(message) + "\n");
      return answer() as Promise<T>;
    },
    async stop(how?: "kill"): Promise<void> {
      // Not by child.kill: Deno closes the input first, at which the program would end in order.
      if (how !== "kill") child.stdin.end();
      else if (child.exitCode === null && child.signalCode === null) {
        process.kill(child.pid!, "SIGKILL");
      }
      await ended;
    },
  };
}

/** The other side of `startProgram`: answers every line of the input, and ends with it. */
export async function answerCommands(
  run: (command: { [key: string]: unknown }) => unknown,
): Promise<void> {
  console.log(JSON.stringify({ result: "ready" }));
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const result = await run(JSON.parse(line) as { [key: string]: unknown });
      console.log(JSON.stringify({ result: result ?? null }));
    } catch (error) {
      console.log(JSON.stringify({ error: String((error as Error).stack ?? error) }));
    }
  }
}
