/**
 * Requests of one signal to several endpoints: each has a queue of its own, and one that is slow or
 * away does not hold back the others. Where each has a spool of its own too, all are stored there at
 * once. Without, one may lag behind for so long, then the oldest requests that wait for it are dropped
 * for it alone.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Log } from "../send/problems.ts";
import {
  type Endpoint,
  type Parcel,
  type QueueState,
  SendQueue,
  type Sink,
  type Totals,
} from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { ITEMS } from "../pipeline/signals.ts";

/** How many more requests may wait for an endpoint than for the one that is furthest ahead. */
export const MAX_LAG = 64;
/** The same in bytes of their buffers, which nobody else can use in the meantime. */
export const MAX_LAG_BYTES = 64 << 20;

/** How to send to several. */
export interface FanOutOptions {
  /** Drop for an endpoint what it lags behind with; otherwise the others wait for it. */
  readonly mayDrop: boolean;
  readonly log: Log;
}

/** A sink that gives everything to several others. */
export interface FanOut extends Sink {
  readonly full: boolean;
  readonly idle: boolean;
  readonly endpoints: readonly Lane[];
}

/** An endpoint, and what is on its way there. */
export interface Lane extends Endpoint {
  readonly queue: QueueState;
}

interface LaneState extends Lane {
  readonly queue: SendQueue<Shared>;
  /** Requests had to be dropped since it last had taken all of them. */
  behind: boolean;
  /** Items of these. */
  missed: number;
}

/** A request that is not answered by everybody. */
interface Shared extends Parcel {
  left: number;
  outcome: Outcome | null;
  readonly answer: (outcome: Outcome) => void;
}

/**
 * Makes a sink that answers when all the others have. Of their outcomes it passes on the worst: what
 * one gave up that others took nobody has for sure.
 *
 * @param sinks One for each endpoint, at least two.
 */
export function createFanOut(
  signal: Signal,
  sinks: readonly Sink[],
  { mayDrop, log }: FanOutOptions,
): FanOut {
  let report: (outcome: Outcome, seconds: number) => void = () => {};
  const lanes = sinks.map((sink, index): LaneState => {
    const endpoint = sink.endpoints?.[0] ?? { name: `endpoint ${index + 1}` };
    const lane: LaneState = {
      ...endpoint,
      queue: new SendQueue(sink, (request, outcome) => answered(lane, request, outcome)),
      behind: false,
      missed: 0,
    };
    sink.later?.((outcome, seconds) => {
      const before = worstOff();
      lane.queue.count(outcome, seconds);
      const { accepted, rejected, dropped } = worstOff();
      report({
        accepted: accepted - before.accepted,
        rejected: rejected - before.rejected,
        dropped: dropped - before.dropped,
      }, seconds);
    });
    return lane;
  });

  /** Of requests that are stored for several it is not known which is which: what all have has arrived. */
  function worstOff(): Pick<Totals, "accepted" | "rejected" | "dropped"> {
    const all = lanes.flatMap(({ spool, queue }) => spool === undefined ? [] : [queue.totals]);
    return {
      accepted: Math.min(...all.map(({ accepted }) => accepted)),
      rejected: Math.max(...all.map(({ rejected }) => rejected)),
      dropped: Math.max(...all.map(({ dropped }) => dropped)),
    };
  }

  /**
   * What waits for everybody is no lag: many requests may come at once, and then there is nobody who
   * takes them sooner.
   */
  function limitLag(): void {
    const requests = Math.min(...lanes.map(({ queue }) => queue.pending)) + MAX_LAG;
    const bytes = Math.min(...lanes.map(({ queue }) => queue.pendingBytes)) + MAX_LAG_BYTES;
    for (const lane of lanes) {
      const { queue, name } = lane;
      while (queue.pending > requests || queue.pendingBytes > bytes) {
        lane.missed += queue.dropOldest();
        if (lane.behind) continue;
        lane.behind = true;
        log(
          "warn",
          `${name}: does not keep up with the other endpoints; the oldest ${ITEMS[signal]} ` +
            "that wait for it are dropped",
        );
      }
    }
  }

  function answered(lane: LaneState, request: Shared, outcome: Outcome): void {
    if (lane.behind && lane.queue.empty && !outcome.gaveUp) {
      const { name, missed } = lane;
      log("info", `${name}: keeps up again; ${missed} ${ITEMS[signal]} were dropped for it`);
      lane.behind = false;
      lane.missed = 0;
    }
    request.outcome = request.outcome === null ? outcome : worse(request.outcome, outcome);
    if (--request.left === 0) request.answer(request.outcome);
  }

  return {
    endpoints: lanes,
    get concurrency() {
      // Each has its own pace; where all have a spool they have the request at once, and a kill in
      // between repeats no more than one.
      return sinks.every(storesAtOnce) ? 1 : Infinity;
    },
    get full() {
      // Where nothing is dropped the slowest sets the pace.
      return mayDrop
        ? lanes.every(({ queue }) => queue.full)
        : lanes.some(({ queue }) => queue.full);
    },
    get idle() {
      return lanes.some(({ queue }) => queue.empty);
    },
    send(body, items) {
      return new Promise((answer) => {
        const request: Shared = {
          buffer: body,
          length: body.length,
          items,
          left: lanes.length,
          outcome: null,
          answer,
        };
        for (const { queue } of lanes) queue.push(request);
        if (mayDrop) limitLag();
      });
    },
    abort(reason) {
      for (const sink of sinks) sink.abort(reason);
    },
    async close() {
      await Promise.all(sinks.map((sink) => sink.close()));
    },
    ...(sinks.some(({ direct }) => direct !== undefined)
      ? { direct: createFanOut(signal, sinks.map((sink) => sink.direct ?? sink), { mayDrop, log }) }
      : {}),
    later(listener) {
      report = listener;
    },
    get settled() {
      return sinks.every(({ settled }) => settled !== false);
    },
  };
}

function storesAtOnce({ concurrency, endpoints }: Sink): boolean {
  return concurrency === Infinity && endpoints?.[0]?.spool !== undefined;
}

function worse(one: Outcome, other: Outcome): Outcome {
  if (one.gaveUp !== other.gaveUp) return one.gaveUp ? one : other;
  const lost = other.dropped - one.dropped || other.rejected - one.rejected ||
    (other.stored ?? 0) - (one.stored ?? 0);
  return lost > 0 ? other : one;
}
