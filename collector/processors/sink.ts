/**
 * A sink with processors before it.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Sink } from "../pipeline/queue.ts";
import { log } from "../text/log.ts";
import { itemsOf } from "../pipeline/signals.ts";
import { type Processed, type Processor, processRequest } from "./processor.ts";

/**
 * Puts what is sent through processors first.
 *
 * @param processors Asked for each request, since they may be others after a reload.
 */
export function createProcessingSink(
  signal: Signal,
  sink: Sink,
  processors: () => readonly Processor[],
): Sink {
  return {
    async send(body, items) {
      const all = processors();
      if (all.length === 0) return await sink.send(body, items);
      let processed: Processed;
      try {
        processed = processRequest(signal, body, all);
      } catch (error) {
        // Not sent as it is: it may hold what nobody is to see.
        const reason = `a request can't be processed (${(error as Error).message})`;
        log("error", `${reason}; ${itemsOf(signal, items)} dropped`);
        return { accepted: 0, rejected: 0, dropped: items, reason };
      }
      const filtered = items - processed.items;
      if (processed.items === 0) return { accepted: 0, rejected: 0, dropped: 0, filtered };
      return { ...await sink.send(processed.body, processed.items), filtered };
    },
    abort: (reason) => sink.abort(reason),
    close: () => sink.close(),
    get direct() {
      const { direct } = sink;
      return direct && createProcessingSink(signal, direct, processors);
    },
    later: (report) => sink.later?.(report),
    get settled() {
      return sink.settled;
    },
    get concurrency() {
      return sink.concurrency;
    },
    get full() {
      return sink.full;
    },
    get idle() {
      return sink.idle;
    },
    get endpoints() {
      return sink.endpoints;
    },
  };
}
