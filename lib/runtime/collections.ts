/**
 * Durations of garbage collections, as `GCProfiler` of `node:v8` has them. The performance observer
 * for `gc` is there on Deno and Bun, too, but never hears of a collection.
 *
 * @module
 */
import v8 from "node:v8";

/** What a collection is called by `GCProfiler`, on V8 and on JavaScriptCore. */
export type CollectionType =
  | "Scavenge"
  | "MinorMarkSweep"
  | "MarkSweepCompact"
  | "IncrementalMarking"
  | "ProcessWeakCallbacks";

/** The part of a profile used here. */
interface Profile {
  readonly statistics: readonly { readonly gcType: CollectionType; readonly cost: number }[];
}

interface Profiler {
  start(): void;
  /** Undefined when it was not started. */
  stop(): Profile | undefined;
}

/** Garbage collections since the last look. */
export interface Collections {
  /** Calls `seen` for each collection that ended since the last call, with its duration in s. */
  drain(seen: (type: CollectionType, seconds: number) => void): void;
  stop(): void;
}

/** Starts to watch; undefined where the runtime does not tell. */
export function watchCollections(): Collections | undefined {
  const { GCProfiler } = v8 as unknown as { GCProfiler?: new () => Profiler };
  if (typeof GCProfiler !== "function") return undefined;
  const profiler = new GCProfiler();
  profiler.start();
  return {
    drain: (seen) => {
      // A profile can only be read by ending it. Nothing is collected between the two calls.
      const profile = profiler.stop();
      profiler.start();
      for (const { gcType, cost } of profile?.statistics ?? []) seen(gcType, secondsOf(cost));
    },
    stop: () => void profiler.stop(),
  };
}

/**
 * Node.js documents microseconds and Bun has them, with a fraction; Deno has whole nanoseconds. A
 * fraction of exactly 0 is not seen in microseconds: Bun takes the difference of two doubles.
 */
function secondsOf(cost: number): number {
  return Number.isInteger(cost) ? cost / 1e9 : cost / 1e6;
}
