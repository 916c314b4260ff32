/**
 * Requests by way of the disk: each is stored, and answered as soon as it is; then it is sent, and
 * stays stored until that has worked, through ends of the backend and of the collector.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";
import type { Signal } from "../../lib/otlp/request.ts";
import type { DropReason, Spool } from "../../lib/spool/mod.ts";
import type { Sink } from "../pipeline/queue.ts";
import { ITEMS, SIGNALS } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import { createDrainer, type Drainer, type DrainerOptions } from "./drainer.ts";

/** Between two looks whether a sink that was full takes something again, and at dead collectors, ms. */
const LOOK_MS = 250;
const ADOPT_MS = 30_000;

/** What stores before it sends. */
export interface Spooling {
  readonly spool: Spool;
  /**
   * Puts the spool before the sink of a signal. What earlier collectors left of it is sent first.
   */
  add(signal: Signal, behind: Sink): Sink;
  /** Lines that say what is left, and what was lost. */
  describe(): string[];
  /** Requests that are left. */
  readonly left: number;
  /** Some of these may be of collectors that are gone. */
  readonly hasEarlier: boolean;
  /** Takes what collectors left that are gone. */
  look(): void;
  /** Ends it, after the sinks were closed. */
  close(): void;
}

/** Why something is dropped, for people. */
const DROPPED: Readonly<Record<DropReason, string>> = {
  age: "were too old (see --spool-max-age)",
  size: "had no room (see --spool-max-size)",
  corrupt: "were damaged on the disk",
  gone: "were in files that somebody removed",
};

/**
 * Looks after a spool.
 *
 * @param endpoint Whose it is; undefined when it is that of everything.
 */
export function createSpooling(
  spool: Spool,
  options: DrainerOptions,
  endpoint?: string,
): Spooling {
  const { log } = options;
  const place = printable(spool.folder, 200);
  const forIt = endpoint === undefined ? "" : ` for ${endpoint}`;
  const drainers = new Map<Signal, Drainer>();
  const said = new Set<string>();
  const warn = (what: string, consequence: string): void => {
    if (said.has(what)) return;
    said.add(what);
    log("warn", `${what}: ${consequence}`);
  };
  let wasAway = false;
  let vanished = 0;
  /** Says when the folder is gone, and when it is there again. */
  const checkFolder = (): void => {
    const state = spool.check();
    const isAway = state.error !== undefined;
    if (isAway && !wasAway) {
      log(
        "error",
        `the spool ${place}${forIt} is gone, or can't be looked at: ${state.error}; what is not stored is sent ` +
          "without being stored; have it where it was (a disk may have to be mounted)",
      );
    } else if (!isAway && state.vanished > vanished) {
      const lost = SIGNALS.reduce(
        (sum, signal) => sum + spool.counts[signal].dropped.gone.items,
        0,
      );
      log(
        "error",
        `the spool ${place}${forIt} was removed or replaced while it was used: it was made again, and what ` +
          `was in open files is in it; ${lost} items so far were in others, and are lost; leave it ` +
          "alone while a collector runs",
      );
    } else if (!isAway && wasAway) log("info", `the spool ${place}${forIt} can be used again`);
    if (!isAway) ({ vanished } = state);
    wasAway = isAway;
  };
  const look = setInterval(() => {
    checkFolder();
    hasEarlier &&= countLeft() > 0;
    for (const { pump } of drainers.values()) pump();
    for (const signal of SIGNALS) {
      const { dropped, unsynced } = spool.counts[signal];
      const what = `${ITEMS[signal]}${forIt} in the spool ${place}`;
      for (const [reason, { requests }] of Object.entries(dropped)) {
        if (requests > 0) {
          warn(`${what} ${DROPPED[reason as DropReason]}`, "they are dropped, and counted");
        }
      }
      if (unsynced > 0) {
        warn(
          `${what} could not be brought to the disk`,
          `until they are sent, a loss of power may lose them (${spool.lastError})`,
        );
      }
    }
  }, LOOK_MS);
  const adopt = (): void => {
    try {
      const count = spool.adopt();
      if (count === 0) return;
      hasEarlier = true;
      log("info", `${count} requests${forIt} of a collector that is gone are sent now`);
    } catch (error) {
      // Some of it may have been taken.
      hasEarlier = true;
      log("warn", `the spool ${place} can't be looked at: ${(error as Error).message}`);
    }
  };
  const looks = setInterval(adopt, ADOPT_MS);
  look.unref();
  looks.unref();
  const leftIn = (signal: Signal): number => {
    const { waiting, running } = spool.counts[signal];
    return waiting.requests + running.requests;
  };
  const countLeft = (): number => SIGNALS.reduce((total, signal) => total + leftIn(signal), 0);
  const found = countLeft();
  let hasEarlier = found > 0;
  if (found > 0) {
    log("info", `${found} requests of an earlier run${forIt} wait in the spool ${place}`);
  }

  return {
    spool,
    add(signal, behind) {
      const drainer = createDrainer(signal, spool, behind, options);
      drainers.set(signal, drainer);
      drainer.pump();
      return drainer.sink;
    },
    get left() {
      return countLeft();
    },
    get hasEarlier() {
      return hasEarlier;
    },
    look: adopt,
    describe() {
      const lines: string[] = [];
      for (const signal of SIGNALS) {
        const { waiting, running, dropped } = spool.counts[signal];
        const items = waiting.items + running.items;
        if (leftIn(signal) > 0) {
          lines.push(
            `${items} ${ITEMS[signal]} (${
              leftIn(signal)
            } requests)${forIt} are left in the spool ` +
              `${place}: the next collector sends them`,
          );
        }
        for (const [reason, { requests, items }] of Object.entries(dropped)) {
          if (requests === 0) continue;
          const what = DROPPED[reason as DropReason];
          lines.push(
            `dropped${forIt}: ${items} ${ITEMS[signal]} (${requests} requests) that ${what}`,
          );
        }
      }
      return lines;
    },
    close() {
      clearInterval(look);
      clearInterval(looks);
      spool.close();
    },
  };
}
