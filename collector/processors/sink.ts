/**
 * A sink with processors before it.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Sink } from "../queue.ts";
import { type Processor, processRequest } from "./processor.ts";

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
      const processed = processRequest(signal, body, all);
      const filtered = items - processed.items;
      if (processed.items === 0) return { accepted: 0, rejected: 0, dropped: 0, filtered };
      return { ...await sink.send(processed.body, processed.items), filtered };
    },
    abort: (reason) => sink.abort(reason),
    close: () => sink.close(),
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
