/**
 * The command line and the output that both ways to compile have in common.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import process from "node:process";
import { parseArgs } from "node:util";

/** What to build, and where to. */
export interface Order {
  readonly targets: readonly string[];
  readonly folder: string;
}

/** The target that runs on this machine: `linux-x64`, with `-musl` where libc is musl. */
export function ownTarget(): string {
  // Systems with glibc can have musl's loader beside theirs.
  const has = (loader: string): boolean =>
    ["/lib", "/lib64"].some((folder) =>
      existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(loader))
    );
  const musl = process.platform === "linux" && has("ld-musl-") && !has("ld-linux-");
  return `${process.platform}-${process.arch}${musl ? "-musl" : ""}`;
}

/**
 * Reads `[--target NAME]… [--all] [--out DIR]`: without targets this machine's.
 *
 * @throws {Error} for what it does not know, with what there is
 */
export function parseOrder(
  args: readonly string[],
  known: readonly string[],
  own: string,
  folder = "dist",
): Order {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: "string", multiple: true },
      all: { type: "boolean" },
      out: { type: "string", default: folder },
    },
  });
  const targets = values.all ? known : values.target ?? [own];
  for (const target of targets) {
    if (!known.includes(target)) {
      throw new Error(`there is no target "${target}"; there are ${known.join(", ")}`);
    }
  }
  return { targets: [...new Set(targets)], folder: resolve(values.out) };
}

/**
 * Has each target compiled into the order's folder, goes on after one that fails, and writes
 * SHA256SUMS over every binary that is in the folder then.
 *
 * @param compile Throws an Error that says what to do.
 * @returns The exit code: 1 when a target failed.
 */
export async function compileAll(
  { targets, folder }: Order,
  compile: (target: string, path: string) => void,
): Promise<number> {
  mkdirSync(folder, { recursive: true });
  let failed = 0;
  for (const target of targets) {
    const path = join(folder, `otlp-mmap-${target}`);
    try {
      compile(target, path);
      console.log(`${path}  ${(statSync(path).size / 1e6).toFixed(0)} MB`);
    } catch (error) {
      failed++;
      console.error(`${target}: ${(error as Error).message}`);
    }
  }
  await writeChecksums(folder);
  return failed > 0 ? 1 : 0;
}

/** Writes SHA256SUMS, as `sha256sum --check` reads it. */
export async function writeChecksums(folder: string): Promise<void> {
  const names = readdirSync(folder).filter((name) => name.startsWith("otlp-mmap-")).sort();
  let text = "";
  for (const name of names) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, name)), hash);
    text += `${hash.digest("hex")}  ${name}\n`;
  }
  writeFileSync(join(folder, "SHA256SUMS"), text);
}
