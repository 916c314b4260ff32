/**
 * Compiles the collector with Bun into binaries that need nothing beside them:
 *
 *     deno task compile:bun [--target NAME]… [--all] [--out DIR]
 *
 * Without a target for this machine; `--all` for all of them. The files are
 * DIR/otlp-mmap-<os>-<arch>[-musl] and DIR/SHA256SUMS (default: dist). For another system or libc
 * Bun downloads its runtime for it once.
 *
 * @module
 */
import process from "node:process";
import { runBun, withEntry } from "./compile/bundle.ts";
import { compileAll, type Order, ownTarget, parseOrder } from "./compile/output.ts";

/** What Bun can compile for. */
export const TARGETS: readonly string[] = [
  "linux-x64",
  "linux-arm64",
  "darwin-x64",
  "darwin-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
];

/**
 * Compiles one binary. Byte code more than halves the time to start, 80 ms without (bench/start.ts);
 * names are left as they are, for stack traces. A `.env` or `bunfig.toml` where somebody happens to start the
 * collector must not change what it does.
 */
export function compile(entry: string, target: string, path: string): void {
  const own = target === ownTarget();
  try {
    runBun([
      "build",
      "--compile",
      ...(own ? [] : [`--target=bun-${target}`]),
      "--format=esm",
      "--bytecode",
      "--minify-syntax",
      "--minify-whitespace",
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      "--outfile",
      path,
      entry,
    ]);
  } catch (error) {
    if (own) throw error;
    const { message } = error as Error;
    throw new Error(
      `${message}\nBun needs its runtime for ${target}: it must be able to download it, or have ` +
        "done so before",
    );
  }
}

/**
 * Compiles what was ordered.
 *
 * @returns The exit code.
 * @throws {Error} when the SDK cannot be bundled
 */
export async function compileBun(order: Order): Promise<number> {
  return await withEntry((entry) =>
    compileAll(order, (target, path) => compile(entry, target, path))
  );
}

if (import.meta.main) {
  try {
    process.exitCode = await compileBun(parseOrder(process.argv.slice(2), TARGETS, ownTarget()));
  } catch (error) {
    console.error(`compile:bun: ${(error as Error).message}`);
    process.exitCode = 2;
  }
}
