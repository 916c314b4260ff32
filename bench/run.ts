/**
 * Runs every benchmark, or the ones named, one after the other:
 *
 *     deno task bench [collector|spans|allocations…] [--quick] [option of a benchmark…]
 *
 * `--quick` takes sizes that end in a few minutes; the figures in the README are without it.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { denoPath, ROOT } from "../tools/runtimes.ts";

/** Arguments that make a benchmark quick, by name, in the order in which they run. */
const BENCHMARKS: Record<string, readonly string[]> = {
  spans: ["--quick"],
  logs: ["--quick"],
  measurements: ["--quick"],
  aggregation: ["--quick"],
  allocations: ["--quick"],
  store: ["--quick"],
  spool: ["--quick"],
  durability: ["--quick"],
  start: ["--quick"],
  page: ["--quick"],
  collector: ["--spans", "500000", "--logs", "500000", "--measurements", "1000000"],
};

const args = process.argv.slice(2);
const first = args.findIndex((arg) => arg.startsWith("-"));
const names = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
if (unknown !== undefined) {
  console.error(`no benchmark ${unknown}: there are ${Object.keys(BENCHMARKS).join(", ")}`);
  process.exit(2);
}
const rest = options.filter((option) => option !== "--quick");
for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) {
  // Without a browser the others still run.
  if (names.length === 0 && name === "page" && !process.env.OTLP_MMAP_CHROMIUM) continue;
  const quick = rest.length < options.length ? BENCHMARKS[name] : [];
  const child = spawn(
    denoPath(),
    ["run", "-A", "--quiet", join(ROOT, "bench", `${name}.ts`), ...quick, ...rest],
    { stdio: "inherit" },
  );
  const [code] = await once(child, "exit");
  if (code !== 0) process.exitCode = 1;
  console.log();
}
