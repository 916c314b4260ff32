/**
 * What the program asks of files, as far as it can be had.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { whyNoDisk } from "../file/disk.ts";
import type { Place } from "../file/place.ts";
import type { Overflow } from "../ring/write.ts";
import type { Durability } from "./config.ts";
import { asText } from "./span.ts";

/**
 * Can files at a place survive a loss of power? Null when they can; else why not and what to do, and
 * they are recorded as with durability "process". The directory is made if it is not there.
 */
export function whyNotPower(place: Place, overflow: Overflow): string | null {
  if (overflow === "oldest") {
    return problem(
      `overflow "oldest" uses slots again before they are on the disk`,
      "use one of both",
    );
  }
  const directory = place.file === undefined ? place.directory : dirname(place.file);
  const advice =
    "set OTLP_MMAP_DIR, here and for the collector, to a directory on a disk of this " +
    "machine, such as /var/lib/otlp-mmap";
  if (directory === undefined) return problem("the default place is in memory", advice);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch {
    // Said where the file is made.
    return null;
  }
  const reason = whyNoDisk(directory);
  return reason === null ? null : problem(`${directory}: ${reason}`, advice);
}

function problem(reason: string, advice: string): string {
  return `durability "power" can't be had: ${reason}. Telemetry survives the process only; ${advice}`;
}

/** One of several words that the program gave; another one is told, and ignored. */
export function choiceOf<T extends string>(
  option: string,
  value: T | undefined,
  choices: readonly T[],
  warn: (message: string) => void,
): T | undefined {
  if (value === undefined || choices.includes(value)) return value;
  const given = typeof value === "string" ? JSON.stringify(value) : asText(value);
  warn(`start({ ${option}: ${given} }): not one of ${choices.join(", ")}; ignored`);
  return undefined;
}

/** All there are. */
export const OVERFLOWS: readonly Overflow[] = ["newest", "oldest"];
/** All there are. */
export const DURABILITIES: readonly Durability[] = ["process", "power"];
