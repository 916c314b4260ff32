/**
 * Where everything goes, and what is done to it on the way: tail sampling, processors, the backend.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Signal } from "../../lib/otlp/request.ts";
import type { CollectOptions } from "../options/options.ts";
import { createProcessingSink } from "../processors/sink.ts";
import type { Sink } from "../pipeline/queue.ts";
import { forEachSignal, SIGNALS } from "../pipeline/signals.ts";
import { createSwitch } from "./switch.ts";
import { createTailSamplingSink } from "../tail-sampling/sink.ts";

/** The ends of a pipeline. */
export interface Delivery {
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** What holds now. */
  readonly options: CollectOptions;
  /**
   * Goes on with other options. What is on its way is not lost: what the old backend has not taken
   * goes to the new one. Returns the names of options that are not as
   * at the start, and can't change while it runs.
   */
  reload(next: CollectOptions): Promise<string[]>;
}

/** Options that are used once, at the start. */
const FIXED: readonly (readonly [keyof CollectOptions, string])[] = [
  ["paths", "paths"],
  ["batchSize", "batch_size"],
  ["flushIntervalMs", "flush_interval"],
  ["metricsIntervalMs", "metrics_interval"],
  ["once", "once"],
  ["keep", "keep"],
  ["health", "health"],
  ["prometheus", "prometheus"],
  ["selfMetrics", "self_metrics"],
  ["receiver", "otlp_receiver"],
  ["store", "store"],
  ["page", "ui"],
  ["print", "print"],
  ["spool", "spool"],
];

/** @param createSinks Makes what delivers requests. */
export function createDelivery(
  options: CollectOptions,
  createSinks: (options: CollectOptions) => Readonly<Record<Signal, Sink>>,
): Delivery {
  let current = options;
  const first = createSinks(options);
  const switches = forEachSignal((signal) => createSwitch(first[signal]));
  const processing = forEachSignal((signal) =>
    createProcessingSink(signal, switches[signal], () => current.processors)
  );
  return {
    sinks: {
      ...processing,
      traces: createTailSamplingSink(
        processing.traces,
        () => current.tailSampling,
        options.batchSize,
      ),
    },
    get options() {
      return current;
    },
    async reload(next) {
      const before = current;
      // How long a batch is tried follows from "once", which stays.
      const { giveUpAfterMs } = options;
      // Made first: what can't be used throws here, and everything stays.
      const sinks = isDeepStrictEqual(next.destinations, before.destinations)
        ? null
        : createSinks({ ...next, giveUpAfterMs });
      current = next;
      if (sinks !== null) {
        await Promise.all(SIGNALS.map((signal) => switches[signal].replace(sinks[signal])));
      }
      return FIXED.filter(([key]) => !isDeepStrictEqual(next[key], options[key]))
        .map(([, name]) => name);
    },
  };
}
