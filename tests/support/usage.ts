/**
 * What processes use over time, from /proc.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** What a process uses. */
export interface Usage {
  /** When that was, s. */
  readonly time: number;
  readonly descriptors: number;
  /** Resident memory that is its own (not of files, which are those of the applications), MB. */
  readonly memory: number;
}

/** Looks now; null when the process is gone. */
export function usageOf(pid: number): Usage | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return {
      time: performance.now() / 1000,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      memory: Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) / 1024,
    };
  } catch {
    return null;
  }
}

/** User and system time of a process so far. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Looks every `pauseMs` until stopped. `pid` may change, or be undefined for a while. */
export function watchUsage(
  pid: () => number | undefined,
  pauseMs = 250,
): { readonly samples: Usage[]; stop(): void } {
  const samples: Usage[] = [];
  const timer = setInterval(() => {
    const now = pid();
    const usage = now === undefined ? null : usageOf(now);
    if (usage !== null) samples.push(usage);
  }, pauseMs);
  return { samples, stop: () => clearInterval(timer) };
}

/** Growth per second: the slope of the line with the least squares through what is sampled. */
export function growthOf(samples: readonly Usage[], what: "memory" | "descriptors"): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const times = samples.map(({ time }) => time);
  const values = samples.map((each) => each[what]);
  const [time, value] = [mean(times), mean(values)];
  const over = times.reduce((sum, each, i) => sum + (each - time) * (values[i] - value), 0);
  return over / times.reduce((sum, each) => sum + (each - time) ** 2, 0);
}

/** The largest of what was sampled. */
export function mostOf(samples: readonly Usage[], what: "memory" | "descriptors"): number {
  return Math.max(...samples.map((each) => each[what]));
}
