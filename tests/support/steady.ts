/**
 * A process that writes telemetry, and commands run on its files.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Signal } from "../../lib/otlp/request.ts";
import { fromOtlpJson } from "../../collector/text/otlp-json.ts";
import { forEachSignal } from "../../collector/pipeline/signals.ts";
import { observe, type Observed } from "./collector.ts";
import { ownRuntime, type RuntimeName } from "./runtimes.ts";
import { commandLineOf, plainEnvironment } from "./runtimes.ts";
import { spawn } from "node:child_process";
import { ROOT } from "../../tools/runtimes.ts";

/** Starts tests/testdata/steady-writer.ts; resolves once it has written its rounds. */
export async function startWriter(
  directory: string,
  rounds: number | "forever",
  runtime: RuntimeName = ownRuntime,
): Promise<Observed & { readonly file: string }> {
  const writer = observe(runtime, "tests/testdata/steady-writer.ts", [directory, String(rounds)]);
  await writer.wrote(/ready/);
  const [name] = readdirSync(directory).filter((each) => each.endsWith(".otlp"));
  return Object.assign(writer, { file: join(directory, name) });
}

/** How a command ended. */
export interface CommandEnd {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of the collector to its end. */
export function command(
  args: readonly string[],
  options: { input?: string | Uint8Array; env?: Record<string, string> } = {},
): Promise<CommandEnd> {
  const [program, ...rest] = commandLineOf(ownRuntime, join(ROOT, "collector/main.ts"), args);
  const child = spawn(program, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...plainEnvironment(), ...options.env },
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => out += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => err += piece);
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
}

const KEYS: Readonly<Record<string, Signal>> = {
  resourceSpans: "traces",
  resourceMetrics: "metrics",
  resourceLogs: "logs",
};

/** The requests in lines of OTLP/JSON, by signal. */
export function requestsOf(lines: string): Record<Signal, Uint8Array[]> {
  const requests = forEachSignal((): Uint8Array[] => []);
  for (const line of lines.split("\n")) {
    if (line === "") continue;
    const keys = Object.keys(JSON.parse(line));
    assert.equal(keys.length, 1, line.slice(0, 100));
    requests[KEYS[keys[0]]].push(fromOtlpJson(KEYS[keys[0]], line));
  }
  return requests;
}

/** Tells whether a file is as it was. */
export function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
