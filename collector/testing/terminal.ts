/**
 * The collector in a terminal of its own, made by `script` of util-linux.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { launchOf, ownRuntime } from "../../tests/support/runtimes.ts";
import { ROOT } from "../../tools/runtimes.ts";

/** A collector that somebody watches. */
export interface Watched {
  /** What the terminal was told so far. */
  text(): string;
  /** Types something. */
  type(text: string): void;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts it, with these variables besides. */
export function inTerminal(args: readonly string[], env: Record<string, string>): Watched {
  const launch = launchOf(ownRuntime, join(ROOT, "collector/main.ts"), args);
  const words = [launch.command, ...launch.args].map((word) => `'${word}'`);
  // In place of the shell, which may end by a Ctrl-C itself.
  const line = `exec ${words.join(" ")}`;
  const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
    cwd: launch.cwd,
    env: { ...process.env, ...launch.env, SHELL: "/bin/sh", CI: "", TERM: "xterm", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
  return {
    text: () => text,
    type: (keys) => void child.stdin.write(keys),
    ended: new Promise((resolve) => child.once("close", resolve)),
  };
}
