/**
 * `size`: how large rings and file have to be for a load.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";
import process from "node:process";
import { ArgumentsExit, duration } from "../options/arguments.ts";
import { log } from "../text/log.ts";
import type { AddCommand } from "../program.ts";
import { formatAdvice } from "../size/format.ts";
import { advise, type Load } from "../size/size.ts";

const HELP = `
Says how many slots (a power of two) each ring needs so that nothing is refused in a burst, or while
the collector pauses (it is restarted, its machine is busy, its backend makes it wait), how large the
file is then, and what to set in the application. What is assumed is said below the figures.

With --json it is one object: rings (name, records, neededSlots, slots, slotBytes, bytes), sizes (for
start()), variables (the same for its environment), bytes, mostBytes, and load.

Examples:
  otlp-mmap size --rate 2000                            2,000 spans a second, a pause of a second
  otlp-mmap size --rate 500 --burst 20000 --pause 5s    a burst, and a collector that is restarted
  otlp-mmap size --rate 500 --logs-rate 3000 --measurements-rate 50000
  otlp-mmap size --logs-rate 3000                       log records alone
  otlp-mmap size --rate 500 --burst 90000 --attributes 5 --attribute-bytes 20

Exit codes:
  0  sizes were found
  1  no file can hold it
  2  a bad argument
`;

const MAX_COUNT = 1_000_000_000;

/** A whole number. */
function count(least: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
    if (value < least || value > MAX_COUNT) {
      throw new InvalidArgumentError(`It is no whole number from ${least} to ${MAX_COUNT}.`);
    }
    return value;
  };
}

interface Flags extends Omit<Load, "pauseMs"> {
  pause?: number;
  json?: boolean;
}

/** What makes a load, each alone. */
const LOADS = [
  "rate",
  "burst",
  "logsRate",
  "logsBurst",
  "measurementsRate",
  "measurementsBurst",
] as const;

/** The command. */
export const size: AddCommand = (program, _env, choose) => {
  program.command("size")
    .description("say how large rings and file have to be for a load")
    .option("--rate <count>", "spans a second", count(0), 0)
    .option("--burst <count>", "spans that come at once on top of that", count(0), 0)
    .option("--logs-rate <count>", "log records a second", count(0), 0)
    .option("--logs-burst <count>", "log records that come at once on top of that", count(0), 0)
    .option("--measurements-rate <count>", "measurements a second", count(0), 0)
    .option("--measurements-burst <count>", "measurements that come at once", count(0), 0)
    .option("--updates <count>", "calls that change a span after its start", count(0), 1)
    .option("--events <count>", "events of a span", count(0), 0)
    .option("--attributes <count>", "attributes of a record", count(0))
    .option("--attribute-bytes <count>", "bytes of an attribute's value", count(0))
    .option("--pause <duration>", "the collector takes nothing for this (default: 1s)", duration)
    .option("--json", "one JSON object")
    .addHelpText("after", HELP)
    .action((flags: Flags) => {
      const { pause = 1000, json = false, ...load } = flags;
      if (!LOADS.some((name) => load[name] > 0)) {
        throw new ArgumentsExit(
          2,
          "no load is given: say --rate, --logs-rate or --measurements-rate",
        );
      }
      choose(() => Promise.resolve(run({ ...load, pauseMs: pause }, json)));
    });
};

function run(load: Load, json: boolean): number {
  try {
    const advice = advise(load);
    const text = json ? `${JSON.stringify({ ...advice, load })}\n` : formatAdvice(load, advice);
    process.stdout.write(text);
    return 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    log("error", error.message);
    return 1;
  }
}
