/**
 * Compiles the collector with Deno into binaries that need nothing beside them:
 *
 *     deno task compile [--target NAME]… [--all] [--out DIR]
 *
 * Without a target for this machine; `--all` for all of them. The files are
 * DIR/otlp-mmap-<os>-<arch> and DIR/SHA256SUMS (default: dist/deno). Deno downloads its runtime for
 * compiled programs (`denort`) once; where it can't, DENORT_BIN names one, of Deno's own version and
 * for the one target that is asked for.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { bundle, withEntry } from "./compile/bundle.ts";
import { compileAll, type Order, ownTarget, parseOrder } from "./compile/output.ts";
import { denoPath, ROOT } from "./runtimes.ts";

const TRIPLES: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin",
};

/**
 * What the collector does: maps files (ffi), reads and removes them, asks for its variables, its
 * user and the processes of the host, sends, and starts the program of `run`. Not among it:
 * loading code from elsewhere.
 */
const PERMISSIONS: readonly string[] = [
  "--allow-ffi",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-net",
  "--allow-run",
  "--no-prompt",
];

/** The arguments for `deno compile`. The limit keeps V8 from letting garbage pile up. */
export function compileArguments(program: string, target: string, path: string): string[] {
  return [
    "compile",
    "--quiet",
    "--no-check",
    "--no-config",
    "--no-npm",
    ...PERMISSIONS,
    "--v8-flags=--max-semi-space-size=2",
    "--target",
    TRIPLES[target],
    "--output",
    path,
    program,
  ];
}

function compile(program: string, target: string, path: string): void {
  const args = compileArguments(program, target, path);
  const { status, signal, stderr } = spawnSync(denoPath(), args, {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status === 0) return;
  const said = stderr.split(/\n\s*Stack backtrace:/)[0].trim();
  throw new Error(
    `deno compile ended with ${signal ?? status}: ${said}\nDeno needs its runtime for compiled ` +
      `programs: it must be able to download denort for ${TRIPLES[target]}, or DENORT_BIN must ` +
      "name it",
  );
}

/**
 * Compiles what was ordered. Deno gets one module: of packages it would take in whole folders.
 *
 * @returns The exit code.
 * @throws {Error} when the collector cannot be bundled
 */
export async function compileDeno(order: Order): Promise<number> {
  return await withEntry(async (entry) => {
    const program = join(entry, "../otlp-mmap.js");
    bundle(entry, program);
    return await compileAll(order, (target, path) => compile(program, target, path));
  });
}

if (import.meta.main) {
  try {
    const order = parseOrder(process.argv.slice(2), Object.keys(TRIPLES), ownTarget(), "dist/deno");
    process.exitCode = await compileDeno(order);
  } catch (error) {
    console.error(`compile: ${(error as Error).message}`);
    process.exitCode = 2;
  }
}
