/**
 * A sink that can be replaced while it is in use.
 *
 * @module
 */
import type { Sink } from "./queue.ts";

/** The sink, and how to replace what it passes on to. */
export interface SwitchSink extends Sink {
  /** From now on everything goes to `next`, also what the old one has not delivered yet. */
  replace(next: Sink): Promise<void>;
}

/** Passes on to a sink until it is replaced. */
export function createSwitch(first: Sink): SwitchSink {
  let current = first;
  let aborted = false;
  return {
    async send(body, items) {
      for (;;) {
        const sink = current;
        const outcome = await sink.send(body, items);
        // What the old one was cut off from is the new one's.
        if (!outcome.gaveUp || sink === current || aborted) return outcome;
      }
    },
    async replace(next) {
      const old = current;
      current = next;
      old.abort("the configuration has changed");
      await old.close();
    },
    abort(reason) {
      aborted = true;
      current.abort(reason);
    },
    close: () => current.close(),
    flush: () => current.flush?.(),
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
}
