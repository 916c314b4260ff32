/**
 * The program of `run` as a child process: it has the terminal, and gets the signals, each once.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import type { Environment } from "../options/variables.ts";
import { Witness } from "./witness.ts";

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
    const witness = new Witness();
    const passed = new Set<string>();
    let ended = false;
    for (const signal of SIGNALS) {
      process.on(signal, async () => {
        if (ended) return late(signal);
        passed.add(signal);
        // Passed on, it would come twice.
        if (await witness.saw(signal) || child.pid === undefined) return;
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
      witness.close();
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
