/**
 * The program of `run` as a child process: it has the terminal, and gets the signals.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { isatty } from "node:tty";
import type { Environment } from "../options/variables.ts";

/** How a program ended. */
export interface End {
  /** Its exit code, or 128 and the number of the signal that ended it, as shells have it. */
  readonly code: number;
  /** The signal that ended it. */
  readonly signal: string | null;
  /** That signal had come to this process, which passed it on. */
  readonly passedOn: boolean;
  /** Why it could not be started. */
  readonly failure?: string;
}

/** Signals that are passed on. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** A terminal sends these to the program itself: passed on they would come twice. */
const FROM_TERMINAL: readonly string[] = ["SIGINT", "SIGQUIT", "SIGHUP"];

/**
 * Runs a command to its end. Never rejects.
 *
 * @param late Called for each signal that comes when the program has ended: there is no moment in
 * which one would end this process.
 */
export function runChild(
  [command, ...args]: readonly [string, ...string[]],
  env: Environment,
  late: (signal: (typeof SIGNALS)[number]) => void,
): Promise<End> {
  return new Promise((resolve) => {
    // Not process.stdin.isTTY: that would begin to take from the program's input.
    const terminal = isatty(0);
    const passed = new Set<string>();
    let ended = false;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (ended) return late(signal);
        passed.add(signal);
        if (child.pid === undefined || (terminal && FROM_TERMINAL.includes(signal))) return;
        try {
          // Not by child.kill: Deno then takes the signal for the cause of the end.
          process.kill(child.pid, signal);
        } catch {
          // It has ended in this moment.
        }
      });
    }
    // Handlers run in a later turn: they find it.
    const child = spawn(command, args, { stdio: "inherit", env });
    const end = (result: End): void => {
      ended = true;
      resolve(result);
    };
    child.once("error", (error: Error & { code?: string }) => {
      const missing = error.code === "ENOENT";
      const failure = missing
        ? `there is no ${command}${command.includes("/") ? "" : " on the PATH"}`
        : `${command} could not be started: ${error.message}`;
      end({ code: missing ? 127 : 126, signal: null, passedOn: false, failure });
    });
    child.once("exit", (code, signal) => {
      const number = signal === null ? 0 : constants.signals[signal];
      end({ code: code ?? 128 + number, signal, passedOn: passed.has(signal ?? "") });
    });
  });
}
