/**
 * The programs that the demo starts, and the folder that they share.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";
import { type Journal, readJournal } from "./account.ts";

/** For anything that should happen at once, ms. */
export const PATIENCE_MS = 30_000;
const POLL_MS = 10;

/** A program under way. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Its exit code; null after a signal. */
  readonly ended: Promise<number | null>;
  /** What it said on standard error. */
  errors(): string;
  /** The port it listens on, once it says so. */
  port(): Promise<number>;
  /** What it noted so far, see journal.ts. */
  journal(): Journal;
}

/** Everything the demo has to take away again. */
export class Stage {
  /** Where the services' files are. */
  readonly files: string;
  private readonly folder = mkdtempSync(join(tmpdir(), "otlp-mmap-demo-"));
  private readonly children: [ChildProcess, Promise<unknown>][] = [];

  constructor() {
    this.files = join(this.folder, "files");
    mkdirSync(this.files, { mode: 0o700 });
  }

  /** Starts the collector, with a page where somebody can look at it. */
  collector(endpoint: string, page: boolean): Program {
    const main = join(ROOT, "collector/main.ts");
    const store = ["--store", join(this.folder, "store.db"), "--ui", "--ui-port", "0"];
    return this.start("collector", denoPath(), [
      ...["run", "-A", "--quiet", main, "collect", "--endpoint", endpoint, "--no-spool"],
      ...(page ? store : []),
    ]);
  }

  /**
   * Starts a service of this folder as a user would, and with it the demo's witness.
   *
   * @param program Its file, where that is not called as the service.
   */
  service(
    name: string,
    runtime: "deno" | "bun",
    env: Record<string, string> = {},
    program: string = name,
  ): Program {
    const preloads = ["register.ts", "examples/demo/journal.ts"].flatMap(
      (file) => ["--preload", join(ROOT, file)],
    );
    const app = join(ROOT, `examples/demo/${program}.ts`);
    return runtime === "bun"
      ? this.start(name, bunPath(), [...preloads, app], env)
      : this.start(name, denoPath(), ["run", "-A", "--quiet", ...preloads, app], env);
  }

  /** Kills what still runs, and removes the folder. */
  async clear(): Promise<void> {
    for (const [child] of this.children) child.kill("SIGKILL");
    await Promise.allSettled(this.children.map(([, ended]) => ended));
    rmSync(this.folder, { recursive: true, force: true });
  }

  private start(
    name: string,
    command: string,
    args: string[],
    env: Record<string, string> = {},
  ): Program {
    const journal = join(this.folder, `${name}.journal`);
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...Object.fromEntries(
          // What its user has set for other programs must not change the demo.
          Object.entries(process.env).filter(([key]) => !/^(OTEL|OTLP|SDK_MMAP)_/.test(key)),
        ),
        OTLP_MMAP_DIR: this.files,
        OTEL_SERVICE_NAME: name,
        DEMO_JOURNAL: journal,
        ...env,
      },
    });
    let port: number | undefined;
    let errors = "";
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const [, number] = /^listening (\d+)$/.exec(line) ?? [];
      if (number !== undefined) port = Number(number);
    });
    child.stderr!.setEncoding("utf8").on("data", (part: string) => errors += part);
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    ended.catch(() => {}); // whoever waits for it hears of it
    this.children.push([child, ended]);
    if (child.pid === undefined) throw new Error(`${command} cannot be started`);
    return {
      name,
      pid: child.pid,
      ended,
      errors: () => errors,
      async port() {
        await until(() => {
          if (child.exitCode !== null) throw new Error(`${name} ended: ${errors.trim()}`);
          return port !== undefined;
        }, () => `${name} does not listen: ${errors.trim()}`);
        return port!;
      },
      journal: () => readJournal(readFileSync(journal, "utf8")),
    };
  }
}

/**
 * Waits until something is so.
 *
 * @throws {Error} with `otherwise`, when that takes too long
 */
export async function until(isSo: () => boolean, otherwise: () => string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(otherwise());
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
