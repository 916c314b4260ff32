/**
 * Requests by way of the disk: each is stored, and answered as soon as it is; then it is sent, and
 * stays stored until that has worked, through ends of the backend and of the collector.
 *
 * Those of a signal are sent in the order in which they were stored, one after the other where what
 * is behind has no queue of its own. One that comes while nothing waits is sent from memory.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";
import type { Signal } from "../../lib/otlp/request.ts";
import type { DropReason, RefusalReason, Spool } from "../../lib/spool/mod.ts";
import type { Sink } from "../pipeline/queue.ts";
import { forEachSignal, ITEMS, SIGNALS } from "../pipeline/signals.ts";
import type { Log } from "../send/problems.ts";
import type { Outcome } from "../send/send.ts";
import { leftOf } from "../send/split.ts";
import { printable } from "../text/text.ts";

/** Between two looks whether a sink that was full takes something again, and at dead collectors, ms. */
const LOOK_MS = 250;
const ADOPT_MS = 30_000;

/** Bytes of requests on their way, of which some wait behind for what is theirs alone (tail sampling). */
const MAX_BYTES = 64 << 20;

/** What stores before it sends. */
export interface Spooling {
  readonly sinks: Readonly<Record<Signal, Sink>>;
  readonly spool: Spool;
  /** Lines that say what is left, and what was lost. */
  describe(): string[];
  /** Requests that are left. */
  readonly left: number;
  /** Ends it, after the sinks were closed. */
  close(): void;
}

/** Why something is dropped, for people. */
const DROPPED: Readonly<Record<DropReason, string>> = {
  age: "were too old (see --spool-max-age)",
  size: "had no room (see --spool-max-size)",
  corrupt: "were damaged on the disk",
};
const REFUSED: Readonly<Record<RefusalReason, string>> = {
  full: "the disk is full",
  large: "a request is larger than --spool-max-size",
  failed: "the system refuses it",
};

/**
 * Puts a spool before sinks. What earlier collectors left in it is sent first.
 *
 * @param isPatient At the end, go on trying until it is given up; otherwise only while it works.
 */
export function createSpooling(
  spool: Spool,
  behind: Readonly<Record<Signal, Sink>>,
  isPatient: boolean,
  log: Log,
): Spooling {
  const place = printable(spool.folder, 200);
  const drainers = forEachSignal((signal) =>
    createDrainer(signal, spool, behind[signal], isPatient, log)
  );
  const said = new Set<string>();
  const look = setInterval(() => {
    for (const signal of SIGNALS) {
      drainers[signal].pump();
      for (const [reason, { requests }] of Object.entries(spool.counts[signal].dropped)) {
        const what = `${ITEMS[signal]} in the spool ${place} ${DROPPED[reason as DropReason]}`;
        if (requests === 0 || said.has(what)) continue;
        said.add(what);
        log("warn", `${what}: they are dropped, and counted`);
      }
    }
  }, LOOK_MS);
  const adopt = setInterval(() => {
    try {
      const count = spool.adopt();
      if (count > 0) log("info", `${count} requests of a collector that is gone are sent now`);
    } catch (error) {
      log("warn", `the spool ${place} can't be looked at: ${(error as Error).message}`);
    }
  }, ADOPT_MS);
  look.unref();
  adopt.unref();
  const sum = (read: (signal: Signal) => number): number =>
    SIGNALS.reduce((total, signal) => total + read(signal), 0);
  const found = sum((signal) => spool.counts[signal].waiting.requests);
  if (found > 0) log("info", `${found} requests of an earlier run wait in the spool ${place}`);
  for (const signal of SIGNALS) drainers[signal].pump();

  const leftIn = (signal: Signal): number => {
    const { waiting, running } = spool.counts[signal];
    return waiting.requests + running.requests;
  };
  return {
    spool,
    sinks: forEachSignal((signal) => drainers[signal].sink),
    get left() {
      return sum(leftIn);
    },
    describe() {
      const lines: string[] = [];
      for (const signal of SIGNALS) {
        const { waiting, running, dropped } = spool.counts[signal];
        const items = waiting.items + running.items;
        if (leftIn(signal) > 0) {
          lines.push(
            `${items} ${ITEMS[signal]} (${
              leftIn(signal)
            } requests) are left in the spool ${place}: ` +
              "the next collector sends them",
          );
        }
        for (const [reason, { requests, items }] of Object.entries(dropped)) {
          if (requests === 0) continue;
          const what = DROPPED[reason as DropReason];
          lines.push(`dropped: ${items} ${ITEMS[signal]} (${requests} requests) that ${what}`);
        }
      }
      return lines;
    },
    close() {
      clearInterval(look);
      clearInterval(adopt);
      spool.close();
    },
  };
}

interface Drainer {
  readonly sink: Sink;
  /** Sends what waits, as much as may be on its way. */
  pump(): void;
}

function createDrainer(
  signal: Signal,
  spool: Spool,
  behind: Sink,
  isPatient: boolean,
  log: Log,
): Drainer {
  const { waiting } = spool.counts[signal];
  const sending = new Set<Promise<void>>();
  let bytes = 0;
  let report: (outcome: Outcome, seconds: number) => void = () => {};
  let isStopped = false;
  /** Trying was given up, which ends some time: with `--once`. */
  let hasGivenUp = false;
  let isRefused = false;
  /** Marked requests on their way that could not be stored. */
  let unstored = 0;

  const hasRoom = (): boolean =>
    !isStopped && !hasGivenUp && sending.size < (behind.concurrency ?? 1) &&
    bytes < MAX_BYTES && behind.full !== true;

  function pump(): void {
    while (hasRoom()) {
      const stored = spool.next(signal);
      if (stored === null) return;
      start(stored.id, stored.body, stored.items);
    }
  }

  function start(id: number, body: Uint8Array, items: number): void {
    bytes += body.length;
    const done = deliver(id, body, items).finally(() => {
      sending.delete(done);
      bytes -= body.length;
      pump();
    });
    sending.add(done);
  }

  async function deliver(id: number, body: Uint8Array, items: number): Promise<void> {
    const begun = performance.now();
    const outcome = await behind.send(body, items);
    const left = leftOf(outcome, { body, items });
    if (left.length > 0) hasGivenUp = true;
    if (left.some((part) => part.body === body)) return spool.giveBack(id);
    // Of a request that was parted, what was delivered is not to be sent again.
    if (!left.every((part) => "id" in spool.put(signal, part.body, part.items))) {
      return spool.giveBack(id);
    }
    spool.acknowledge(id);
    const dropped = left.reduce((count, part) => count - part.items, outcome.dropped);
    report({ ...outcome, dropped }, (performance.now() - begun) / 1000);
  }

  function say(reason: RefusalReason | null): void {
    if (isRefused === (reason !== null)) return;
    isRefused = reason !== null;
    const place = `the spool ${printable(spool.folder, 200)}`;
    if (reason === null) return log("info", `${ITEMS[signal]} are stored in ${place} again`);
    const why = `${REFUSED[reason]}${reason === "large" ? "" : ` (${spool.lastError})`}`;
    log(
      "warn",
      `${ITEMS[signal]} can't be stored in ${place}: ${why}; they are sent without being stored`,
    );
  }

  const sink: Sink = {
    direct: behind,
    later(listener) {
      report = listener;
    },
    async send(body, items, mark) {
      const take = hasRoom() && waiting.requests === 0;
      // A mark says that everything before is stored, or answered.
      const placed = unstored > 0
        ? { refused: "failed" as const }
        : spool.put(signal, body, items, { take, mark });
      if ("refused" in placed) {
        if (unstored === 0) say(placed.refused);
        if (mark === undefined) return await behind.send(body, items);
        unstored++;
        const outcome = await behind.send(body, items);
        unstored--;
        return outcome;
      }
      say(null);
      // The request's buffer is used again once it is answered.
      if (placed.id > 0) start(placed.id, body.slice(), items);
      else pump();
      return { accepted: 0, rejected: 0, dropped: 0, stored: items };
    },
    abort(reason) {
      isStopped = true;
      behind.abort(reason);
    },
    async close() {
      isStopped = true;
      behind.abort("the collector is shutting down");
      await Promise.all(sending);
      await behind.close();
    },
    flush: () => behind.flush?.(),
    get settled() {
      const isWorking = isPatient ||
        behind.endpoints?.every(({ state }) => state?.ok !== false) !== false;
      return isStopped || hasGivenUp || (sending.size === 0 && waiting.requests === 0)
        ? sending.size === 0
        : !isWorking;
    },
    get concurrency() {
      return behind.concurrency;
    },
    get full() {
      return isRefused && behind.full === true;
    },
    get endpoints() {
      return behind.endpoints;
    },
  };
  return { sink, pump };
}
