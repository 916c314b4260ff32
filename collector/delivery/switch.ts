/**
 * A sink that can be replaced while it is in use.
 *
 * @module
 */
import type { Sink } from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { addOutcomes, leftOf } from "../send/split.ts";

/**
 * How long a sink that is replaced may go on with what was sent already, in milliseconds. What it is
 * cut off from may have been taken, and goes to the next one as well.
 */
export const GRACE_MS = 1_000;

/** The sink, and how to replace what it passes on to. */
export interface SwitchSink extends Sink {
  /**
   * From now on everything goes to `next`, also what the old one has not delivered after
   * {@linkcode GRACE_MS}.
   */
  replace(next: Sink): Promise<void>;
}

/** Passes on to a sink until it is replaced. */
export function createSwitch(first: Sink): SwitchSink {
  let current = first;
  let aborted = false;
  const running = new Set<Promise<Outcome>>();
  let report: Parameters<NonNullable<Sink["later"]>>[0] = () => {};
  async function send(
    body: Uint8Array,
    items: number,
    wayOf: (sink: Sink) => Sink,
  ): Promise<Outcome> {
    const sink = current;
    const sending = wayOf(sink).send(body, items);
    running.add(sending);
    const outcome = await sending.finally(() => running.delete(sending));
    const left = sink === current || aborted ? [] : leftOf(outcome, { body, items });
    if (left.length === 0) return outcome;
    // What the old one was cut off from is the new one's, and nothing that it has answered for.
    const { accepted, rejected } = outcome;
    const dropped = left.reduce((count, part) => count - part.items, outcome.dropped);
    let total: Outcome = { accepted, rejected, dropped };
    for (const part of left) total = addOutcomes(total, await send(part.body, part.items, wayOf));
    return total;
  }

  const sink: SwitchSink = {
    send: (body, items) => send(body, items, (sink) => sink),
    // Whatever it passes on to.
    direct: {
      send: (body, items) => send(body, items, directOf),
      abort: (reason) => sink.abort(reason),
      close: () => sink.close(),
      get concurrency() {
        return directOf(current).concurrency;
      },
      get idle() {
        return directOf(current).idle;
      },
    },
    async replace(next) {
      const old = current;
      current = next;
      next.later?.(report);
      let timer;
      const grace = new Promise((resolve) => timer = setTimeout(resolve, GRACE_MS));
      await Promise.race([Promise.allSettled(running), grace]);
      clearTimeout(timer);
      old.abort("the configuration has changed");
      await old.close();
    },
    abort(reason) {
      aborted = true;
      current.abort(reason);
    },
    close: () => current.close(),
    flush: () => current.flush?.(),
    later(listener) {
      report = listener;
      current.later?.(listener);
    },
    get settled() {
      return current.settled;
    },
    get concurrency() {
      return current.concurrency;
    },
    get full() {
      return current.full;
    },
    get idle() {
      return current.idle;
    },
    get endpoints() {
      return current.endpoints;
    },
  };
  return sink;
}

function directOf(sink: Sink): Sink {
  return sink.direct ?? sink;
}
