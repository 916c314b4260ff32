/**
 * What a span and a measurement allocate: bytes that pass through the garbage collector, from the log that the
 * runtimes write of it, with and without records. A span must cost its object and nothing that grows
 * with what is recorded on it, a measurement with known attributes nothing. What the caller allocates (attributes, keys, values) exists before.
 *
 *     deno task bench allocations [--quick] [--runtime deno|bun]
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { machine } from "./support/machine.ts";
import { type RuntimeName, RUNTIMES, start, type StartOptions } from "./support/processes.ts";
import { heading, row, whole } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string", default: "both" },
  },
});
const spans = values.quick ? 200_000 : 500_000;
/** Of measurements as many as show single bytes. */
const COUNTS: Readonly<Record<string, number>> = { spans, measurements: 10 * spans };

/** Bytes allocated by a run of the program, as far as the collections in it show. */
async function allocated(runtime: RuntimeName, count: number, ...args: string[]): Promise<number> {
  let bytes = 0;
  let after = 0;
  const look = (line: string): void => {
    // V8: what the heap has grown by since the last collection.
    const collection = /([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB/.exec(line);
    if (collection !== null) {
      bytes += (Number(collection[1]) - after) * 2 ** 20;
      after = Number(collection[2]);
    }
    // JavaScriptCore says it itself.
    bytes += Number(/bytes allocated this cycle: (\d+)/.exec(line)?.[1] ?? 0);
  };
  const options: StartOptions = runtime === "deno"
    ? { flags: ["--v8-flags=--trace-gc,--min-semi-space-size=8,--max-semi-space-size=8"] }
    : { env: { BUN_JSC_logGC: "1", BUN_JSC_gcMaxHeapSize: `${2 ** 23}` }, onError: look };
  const program = start(runtime, "bench/allocations/program.ts", [`${count}`, ...args], options);
  for (const line of await program.rest()) look(line);
  return bytes;
}

const NOTHING: Case = ["start and end", "spans", "0", "0"];
const LATE: readonly Case[] = [
  ["5 late attributes", "spans", "0", "5"],
  ["20 late attributes", "spans", "0", "20"],
  ["50 late attributes", "spans", "0", "50"],
];
const EARLY: readonly Case[] = [
  ["5 attributes at start", "spans", "5", "0"],
  ["20 attributes at start", "spans", "20", "0"],
  ["50 attributes at start", "spans", "50", "0"],
];
const CONTROL: Case = ["control: start, end, and an array of 10", "spans", "0", "0", "control"];
const MEASUREMENTS: Case = ["measurement, 3 attributes, 12 sets", "measurements", "3", "0"];
const MEASUREMENTS_CONTROL: Case = [
  "control: the same, and an array of 20 for two",
  "measurements",
  "3",
  "0",
  "control",
];
/** A label and the arguments of the program. */
type Case = readonly [string, ...string[]];
/** More than this, in bytes each, is no error of measuring. */
const TOLERANCE: Readonly<Record<string, number>> = { spans: 64, measurements: 4 };

console.log(`### Allocations\n\n${machine()}`);
console.log(`\`deno task bench allocations ${process.argv.slice(2).join(" ")}`.trimEnd() + "`\n");
const runtimes = RUNTIMES.filter((name) => values.runtime === "both" || values.runtime === name);
console.log(heading(["bytes allocated each", ...runtimes]));
const startUp = new Map<RuntimeName, number>();
for (const runtime of runtimes) {
  startUp.set(runtime, await allocated(runtime, 0, "spans", "0", "0"));
}
/** Prints a line and returns its figures. */
async function show([label, what, ...args]: Case): Promise<number[]> {
  const count = COUNTS[what];
  const bytes: number[] = [];
  for (const runtime of runtimes) {
    const all = await allocated(runtime, count, what, ...args);
    bytes.push((all - startUp.get(runtime)!) / count);
  }
  console.log(row([label, ...bytes.map(whole)]));
  return bytes;
}

function fail(problem: string): void {
  console.error(problem);
  process.exitCode = 1;
}

const BLIND = "the control allocates, and this did not show: the figures mean nothing";
const least = await show(NOTHING);
for (const late of LATE) {
  const bytes = await show(late);
  if (bytes.some((figure, i) => figure > least[i] + TOLERANCE.spans)) {
    fail(`${late[0]}: a span must not grow with what is recorded on it`);
  }
}
for (const early of EARLY) await show(early);
const control = await show(CONTROL);
if (control.some((figure, i) => figure < least[i] + TOLERANCE.spans)) fail(BLIND);
const measured = await show(MEASUREMENTS);
if (measured.some((figure) => figure > TOLERANCE.measurements)) {
  fail("a measurement with known attributes must allocate nothing");
}
const measuredControl = await show(MEASUREMENTS_CONTROL);
if (measuredControl.some((figure) => figure < TOLERANCE.measurements)) fail(BLIND);
console.log(
  `\n${whole(COUNTS.spans)} spans, ${
    whole(COUNTS.measurements)
  } measurements a line. The runtimes ` +
    `collect every 8 MB, so ${whole(2 ** 23 / COUNTS.spans)} bytes a span and ` +
    `${
      whole(2 ** 23 / COUNTS.measurements)
    } a measurement go unseen at most. Every fifth value is ` +
    `a number that is not whole: V8 makes 16 bytes of it when it is read out of the object it ` +
    `starts with.`,
);
