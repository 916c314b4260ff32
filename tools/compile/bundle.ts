/**
 * What goes into a binary, in a folder of its own: `register.js`, the SDK as one module, and
 * `main.ts`, the collector with that module as a text inside, for `run`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { bunPath, ROOT } from "../runtimes.ts";

/**
 * Calls `build` with the path of an entry, in a folder that is removed afterwards. The folder is in
 * the repository, so that packages are found from it.
 *
 * @throws {Error} when the SDK cannot be bundled
 */
export async function withEntry<T>(build: (entry: string) => T | Promise<T>): Promise<T> {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "dist/build-"));
  try {
    bundle(join(ROOT, "register.ts"), join(folder, "register.js"));
    const entry = join(folder, "main.ts");
    // The imports that start something are the last, and dynamic. A thread has the same program: there it
    // is the one that reads the store for the page.
    writeFileSync(
      entry,
      [
        'import register from "./register.js" with { type: "text" };',
        `import { bundled } from ${JSON.stringify(join(ROOT, "collector/run/sdk.ts"))};`,
        `import { bundled as page } from ${JSON.stringify(join(ROOT, "collector/page/asker.ts"))};`,
        'import { isMainThread } from "node:worker_threads";',
        "bundled.register = register;",
        "page.url = import.meta.url;",
        `if (isMainThread) await import(${JSON.stringify(join(ROOT, "collector/main.ts"))});`,
        `else await import(${JSON.stringify(join(ROOT, "collector/page/worker.ts"))});`,
      ].join("\n"),
    );
    return await build(entry);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Makes one module of a module and all it imports, which runs on Deno and on Bun.
 *
 * @throws {Error} with what Bun's bundler said
 */
export function bundle(entry: string, outfile: string): void {
  runBun(["build", entry, "--target=node", "--format=esm", "--outfile", outfile]);
  // Some packages import `events`, which Deno knows as `node:events` alone.
  const builtin = /(\bfrom |\bimport |\bimport\(|\brequire\()"([a-z_/0-9]+)"/g;
  const named = readFileSync(outfile, "utf8").replace(
    builtin,
    (all, before, name) => builtinModules.includes(name) ? `${before}"node:${name}"` : all,
  );
  writeFileSync(outfile, named);
}

/**
 * Runs Bun to its end.
 *
 * @throws {Error} with what it wrote, when it ends with anything but 0
 */
export function runBun(args: readonly string[]): void {
  const { status, signal, stdout, stderr } = spawnSync(bunPath(), args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (status !== 0) {
    throw new Error(`bun ${args[0]} ended with ${signal ?? status}: ${(stderr || stdout).trim()}`);
  }
}
