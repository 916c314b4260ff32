/**
 * Which SDK `run` preloads into a program: the program's own, else the one that came with the
 * collector.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What the entry of a compiled collector brings along (tools/compile/bundle.ts). */
export const bundled: {
  /** The source of register.ts and all it imports, as one module for either runtime. */
  register?: string;
} = {};

/** What stands in the import map of a program that has the package from JSR. */
const FROM_JSR = /^jsr:@otlp-mmap\/otlp-mmap(@[^/]*)?$/;

/**
 * What to name after `--preload`, for a program in a folder.
 *
 * @param scratch A folder for the SDK that came with the collector, where that is not in a file.
 */
export function findSdk(runtime: "deno" | "bun", program: string, scratch: string): string {
  const own = fromPackage(program);
  // Deno takes no TypeScript from node_modules: what is there is for Bun.
  if (own !== undefined && (runtime === "bun" || !own.includes("/node_modules/"))) return own;
  return (runtime === "deno" ? fromImportMap(program) : undefined) ??
    fromCollector(runtime, scratch);
}

function fromPackage(program: string): string | undefined {
  try {
    return createRequire(join(program, "program.js")).resolve("otlp-mmap/register");
  } catch {
    return undefined;
  }
}

/** Deno knows packages of JSR by the import map of the nearest deno.json alone. */
function fromImportMap(program: string): string | undefined {
  for (const folder of upwards(program)) {
    const path = join(folder, "deno.json");
    if (!existsSync(path)) continue;
    try {
      const { imports } = JSON.parse(readFileSync(path, "utf8")) as { imports?: unknown };
      const found = Object.values(imports ?? {}).find((target) =>
        typeof target === "string" && FROM_JSR.test(target)
      );
      return found === undefined ? undefined : `${found}/register`;
    } catch {
      // Not ours to judge: Deno says what is wrong with it, or reads what this can't.
      return undefined;
    }
  }
  return undefined;
}

function fromCollector(runtime: "deno" | "bun", scratch: string): string {
  if (bundled.register !== undefined) {
    const path = join(scratch, "register.mjs");
    writeFileSync(path, bundled.register);
    return path;
  }
  // The npm package has it as one module as well, for Deno.
  const packed = fileURLToPath(new URL("../../dist/npm/register.js", import.meta.url));
  if (existsSync(packed)) return packed;
  const source = fileURLToPath(new URL("../../register.ts", import.meta.url));
  return (runtime === "deno" ? bundle(source, scratch) : undefined) ?? source;
}

/**
 * Deno looks for the packages of a preloaded module among those of the program: from the sources, it
 * gets them with it. Undefined where Bun, which does that, is not there.
 */
function bundle(source: string, scratch: string): string | undefined {
  const path = join(scratch, "register.mjs");
  const own = process.versions.bun === undefined
    ? join(dirname(source), "node_modules/.bin/bun")
    : process.execPath;
  const args = ["build", source, "--target=node", "--format=esm", "--outfile", path];
  // Elsewhere, Bun would heed the settings of the program.
  const { status } = spawnSync(own, args, { cwd: dirname(source), stdio: "ignore" });
  return status === 0 ? path : undefined;
}

/** A folder and those it is in, from the inside. */
export function upwards(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...upwards(above)];
}
