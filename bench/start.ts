/**
 * How long commands of the collector's binary take to start, against a program without a line in it that
 * is compiled the same way: in turns, each in a process of its own, from before it is started until it
 * has ended.
 *
 *     deno task bench start [--quick] [--rounds 100]
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { compile } from "../tools/compile-bun.ts";
import { withEntry } from "../tools/compile/bundle.ts";
import { ownTarget } from "../tools/compile/output.ts";
import { machine } from "./support/machine.ts";
import { heading, median, row, spread } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "100" },
  },
});
const rounds = values.quick ? 10 : Number(values.rounds);

const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-start-"));
const collector = join(folder, "otlp-mmap");
const empty = join(folder, "empty");
const files = join(folder, "files");

const CASES = [
  { name: "an empty program", command: [empty] },
  { name: "`otlp-mmap --version`", command: [collector, "--version"] },
  { name: "`otlp-mmap inspect`, of no files", command: [collector, "inspect", files] },
  {
    name: "`otlp-mmap collect --once`, of no files",
    command: [collector, "collect", "--once", files],
  },
];

/** Milliseconds from its start to its end. */
function timeOf([program, ...args]: readonly string[]): number {
  const begun = performance.now();
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  const took = performance.now() - begun;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}: ${stderr}`);
  return took;
}

console.log(`${machine()}\n`);
try {
  mkdirSync(files);
  writeFileSync(join(folder, "empty.ts"), "export {};\n");
  compile(join(folder, "empty.ts"), ownTarget(), empty);
  await withEntry((entry) => compile(entry, ownTarget(), collector));
  const times = CASES.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    CASES.forEach(({ command }, i) => {
      const took = timeOf(command);
      // The first reads the binaries from the disk.
      if (round >= 0) times[i].push(took);
    });
  }
  console.log(heading([`ms, ${rounds} times`, "median (least–most)", "more than the empty one"]));
  CASES.forEach(({ name }, i) => {
    const more = median(times[i].map((took, round) => took - times[0][round]));
    const ms = (value: number): string => value.toFixed(0);
    console.log(row([name, spread(times[i], ms), i === 0 ? "" : ms(more)]));
  });
} finally {
  rmSync(folder, { recursive: true });
}
