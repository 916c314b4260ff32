/**
 * Spools of endpoints that are named no longer: what is in them is kept for as long as anything is, and
 * said once.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openSpool, type SpoolBudget } from "../../lib/spool/mod.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Log } from "../send/problems.ts";
import { printable } from "../text/text.ts";

/** Between two looks whether something is too old. */
const AGAIN_MS = 3_600_000;
/** What sends keeps at least this part of the limit, whatever is left over. */
const LEAST = 1 / 2;

/** Where they are, and how much they may have. */
export interface LeftoverOptions {
  /** The folder of the spools of all endpoints. */
  readonly folder: string;
  /** The limit of all of them; what is left over is taken off it. */
  readonly budget: SpoolBudget;
  readonly maxAgeMs: number;
  readonly log: Log;
}

/** Looks for them. */
export interface Leftovers {
  /** Says what is there that was not said yet, and drops what is too old. */
  look(): void;
  /** One is about to be sent from again: its room is no longer taken off the limit. */
  free(name: string): void;
}

/**
 * Looks for none yet.
 *
 * @param isUsed Whether the spool in a folder of that name is sent from.
 */
export function createLeftovers(
  { folder, budget, maxAgeMs, log }: LeftoverOptions,
  isUsed: (name: string) => boolean,
): Leftovers {
  const { maxBytes } = budget;
  /** By name: when to look again, ms of `performance.now()`, and their bytes. */
  const known = new Map<string, { again: number; bytes: number }>();
  const said = new Set<string>();

  /**
   * Opened for a moment only, and without a limit: another collector may come that sends to this
   * endpoint, and nothing of it is lost to one that happened to look.
   */
  function lookAt(name: string): number {
    const path = join(folder, name);
    const spool = openSpool(path, { maxBytes: Infinity, maxAgeMs });
    const all = SIGNALS.map((signal) => spool.counts[signal]);
    const sum = (read: (counts: (typeof all)[number]) => number): number =>
      all.reduce((total, counts) => total + read(counts), 0);
    spool.close();
    const requests = sum(({ waiting }) => waiting.requests);
    const lost = sum(({ dropped }) => dropped.age.requests);
    const where = printable(path, 300);
    if (lost > 0) log("warn", `${lost} requests in ${where} were too old: dropped`);
    if (requests > 0 && !said.has(name)) {
      said.add(name);
      log(
        "warn",
        `${requests} requests wait in ${where} for an endpoint that is named no longer: name it ` +
          "again, or have them sent elsewhere (otlp-mmap collect --once --spool with that " +
          "directory, --endpoint, and an empty directory to read), or remove it; they are dropped " +
          "when they are older than --spool-max-age",
      );
    }
    return sum(({ bytes }) => bytes);
  }

  function share(): void {
    let bytes = 0;
    for (const each of known.values()) bytes += each.bytes;
    budget.maxBytes = Math.max(maxBytes * LEAST, maxBytes - bytes);
  }

  return {
    look() {
      const names = list(folder).filter((name) =>
        !isUsed(name) && holdsRequests(join(folder, name))
      );
      for (const name of known.keys()) if (!names.includes(name)) known.delete(name);
      const now = performance.now();
      for (const name of names) {
        if ((known.get(name)?.again ?? 0) > now) continue;
        try {
          const bytes = lookAt(name);
          known.set(name, { again: now + AGAIN_MS, bytes });
        } catch (error) {
          known.set(name, { again: now + AGAIN_MS, bytes: 0 });
          const where = printable(join(folder, name), 300);
          log("warn", `the spool ${where} can't be looked at: ${(error as Error).message}`);
        }
      }
      share();
    },
    free(name) {
      known.delete(name);
      share();
    },
  };
}

/** True when there is something in a spool's folder to be sent, whoever owns it. */
export function holdsRequests(folder: string): boolean {
  return SIGNALS.some((signal) =>
    list(join(folder, signal)).some((name) => name.endsWith(".seg") || name.endsWith(".tmp"))
  );
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
