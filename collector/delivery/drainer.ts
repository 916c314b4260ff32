/**
 * Requests of one signal by way of the disk: stored, answered as soon as they are, and sent in the order
 * in which they were stored. One that comes while nothing waits is sent from memory.
 *
 * Where what is behind has no queue of its own, one is under way at a time, so that they arrive in that
 * order, too. Only an endpoint that is far away gets several, since it would get too few otherwise; not
 * of metrics, whose sums must not arrive before older ones, and not while it fails.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { RefusalReason, Spool } from "../../lib/spool/mod.ts";
import type { Sink } from "../pipeline/queue.ts";
import { ITEMS } from "../pipeline/signals.ts";
import type { Log } from "../send/problems.ts";
import type { Outcome } from "../send/send.ts";
import { leftOf } from "../send/split.ts";
import { printable } from "../text/text.ts";

/** Bytes of requests on their way, of which some wait behind for what is theirs alone (tail sampling). */
const MAX_BYTES = 64 << 20;
/** Requests on their way at the same time to an endpoint that is far away. */
export const MOST_FAR = 4;
/**
 * That is one none of whose last answers took less than so long, milliseconds. One that is near answers
 * some requests at once, however busy it is.
 */
const FAR_MS = 40;
const ANSWERS = 16;

const REFUSED: Readonly<Record<RefusalReason, string>> = {
  full: "the disk is full",
  large: "a request is larger than --spool-max-size",
  failed: "the system refuses it",
};

/** After storing was refused, before it is tried again; twice that for each request on its way. */
const AGAIN_MS = 250;

/** How to drain. */
export interface DrainerOptions {
  /** At the end, go on trying until it is given up; otherwise only while it works. */
  readonly isPatient: boolean;
  /** What is stored now has to be on the disk before it is answered: who gave it keeps it no longer. */
  readonly syncs?: () => boolean;
  readonly log: Log;
}

/** Stores and sends. */
export interface Drainer {
  readonly sink: Sink;
  /** Sends what waits, as much as may be on its way. */
  pump(): void;
}

/** Puts a spool before the sink of a signal. */
export function createDrainer(
  signal: Signal,
  spool: Spool,
  behind: Sink,
  { isPatient, syncs = () => false, log }: DrainerOptions,
): Drainer {
  const { waiting } = spool.counts[signal];
  const sending = new Set<Promise<void>>();
  let bytes = 0;
  let report: (outcome: Outcome, seconds: number) => void = () => {};
  let isStopped = false;
  /** Trying was given up, which ends some time: with `--once`. */
  let hasGivenUp = false;
  let isRefused = false;
  /** What waits can't be read now: nobody waits for it at the end. */
  let isUnread = false;
  /** When that was the last time, ms of `performance.now()`, and requests on their way nonetheless. */
  let refusedAt = 0;
  let direct = 0;
  /** Marked requests on their way that could not be stored. */
  let unstored = 0;
  /** How long the last requests took that were taken or refused, milliseconds. */
  const answers: number[] = [];

  /** Some of what is behind works: all of it has a spool of its own where there are several. */
  const isWorking = (): boolean => {
    const { endpoints = [] } = behind;
    return endpoints.length === 0 || endpoints.some(({ state }) => state?.ok !== false);
  };
  const most = (): number => {
    if (behind.concurrency !== undefined) return behind.concurrency;
    const isFar = answers.length === ANSWERS && Math.min(...answers) >= FAR_MS;
    return isFar && signal !== "metrics" && isWorking() ? MOST_FAR : 1;
  };
  const hasRoom = (): boolean =>
    !isStopped && !hasGivenUp && sending.size < most() && bytes < MAX_BYTES &&
    behind.full !== true;

  function pump(): void {
    while (hasRoom()) {
      const stored = spool.next(signal);
      if (stored === null) return sayUnread(spool.readError(signal));
      start(stored.id, stored.body, stored.items);
    }
  }

  function start(id: number, body: Uint8Array, items: number): void {
    bytes += body.length;
    const done = deliver(id, body, items).then((isStored) => {
      sending.delete(done);
      bytes -= body.length;
      // What is stored further on takes no time: others are to have theirs in between.
      if (isStored) setImmediate(pump);
      else pump();
    });
    sending.add(done);
  }

  /** True when it is stored for those behind, each of whom goes on with it. */
  async function deliver(id: number, body: Uint8Array, items: number): Promise<boolean> {
    const begun = performance.now();
    const outcome = await behind.send(body, items);
    const took = performance.now() - begun;
    const left = leftOf(outcome, { body, items });
    if (left.length > 0) hasGivenUp = true;
    // Of a request that was parted, what was delivered is not to be sent again. The whole may be on the
    // disk, and kept by nobody else: so are its parts, before it is acknowledged.
    const isDone = left.every((part) =>
      part.body !== body && "id" in spool.put(signal, part.body, part.items, { sync: true })
    );
    if (!isDone) {
      spool.giveBack(id);
      return false;
    }
    spool.acknowledge(id);
    if (outcome.gaveUp !== true && answers.push(took) > ANSWERS) answers.shift();
    const dropped = left.reduce((count, part) => count - part.items, outcome.dropped);
    report({ ...outcome, dropped }, took / 1000);
    return outcome.stored !== undefined;
  }

  function sayUnread(why: string | undefined): void {
    if (isUnread === (why !== undefined)) return;
    isUnread = !isUnread;
    const what = `${ITEMS[signal]} in the spool ${printable(spool.folder, 200)}`;
    if (!isUnread) return log("info", `${what} can be read again`);
    log("warn", `some ${what} can't be read: ${why}; they stay there, and are tried again`);
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
    direct: behind.direct ?? behind,
    later(listener) {
      report = listener;
      behind.later?.(listener);
    },
    async send(body, items, mark) {
      const take = hasRoom() && waiting.requests === 0;
      // A mark says that everything before is stored, or answered.
      const placed = unstored > 0
        ? { refused: "failed" as const }
        : spool.put(signal, body, items, { take, mark, sync: syncs() });
      if ("refused" in placed) {
        if (unstored === 0) say(placed.refused);
        refusedAt = performance.now();
        direct++;
        if (mark !== undefined) unstored++;
        const outcome = await behind.send(body, items);
        if (mark !== undefined) unstored--;
        direct--;
        return outcome;
      }
      say(null);
      // The request's buffer is used again once it is answered. It may be a Buffer, of which `slice` is a view.
      if (placed.id > 0) start(placed.id, new Uint8Array(body), items);
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
      const isOver = isStopped || hasGivenUp ||
          (sending.size === 0 && (isUnread || waiting.requests === 0))
        ? sending.size === 0
        : !isPatient && !isWorking();
      return isOver && behind.settled !== false;
    },
    get concurrency() {
      // Storing is done at once. Where it was refused it is tried again, though what was refused is
      // still on its way to somebody who is away: ever more seldom, since each of these takes memory.
      const isWaiting = isRefused && performance.now() < refusedAt + AGAIN_MS * 2 ** direct;
      return isWaiting ? behind.concurrency : Infinity;
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
