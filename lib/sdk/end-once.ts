/**
 * A shutdown that waits for callbacks, and may be called by them.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** A callback that was asked; open until it has answered. */
export interface Asking {
  isOpen: boolean;
}

/** What callbacks run in, also behind each `await` of theirs. */
export const asking: AsyncLocalStorage<Asking> = new AsyncLocalStorage();

/**
 * Calls `end` once, and gives each caller a promise of its end. A callback gets one that is settled:
 * `end` waits for callbacks, which would wait for themselves.
 */
export function endOnce(end: () => Promise<void>): () => Promise<void> {
  let ended: Promise<void> | null = null;
  return () => {
    const isInCallback = asking.getStore()?.isOpen === true;
    if (ended === null) {
      // There before `end` runs, which asks callbacks that may call this.
      const { promise, resolve } = Promise.withResolvers<void>();
      ended = promise;
      // No part of the callback, whoever calls.
      resolve(asking.run({ isOpen: false }, end));
    }
    return isInCallback ? Promise.resolve() : ended;
  };
}
