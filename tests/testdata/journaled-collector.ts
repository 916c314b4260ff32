/**
 * The collector with a journal, and a spool that everything stays in: one argument, JSON of
 * JournaledOptions. What it has stored is all that anybody sees of it.
 */
import process from "node:process";
import type { AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import { discover } from "../../collector/files/discover.ts";
import { openJournal } from "../../collector/journal/journal.ts";
import { Pipeline } from "../../collector/pipeline/pipeline.ts";
import { forEachSignal } from "../../collector/pipeline/signals.ts";
import { openSpool } from "../../lib/spool/spool.ts";
import { AGGREGATION } from "../support/collect.ts";

/** What it is told. */
export interface JournaledOptions {
  readonly paths: readonly string[];
  readonly spool: string;
  readonly journal: string;
  readonly batchSize?: number;
  readonly logBytes?: number;
  readonly metricsIntervalMs?: number;
  readonly aggregation?: Partial<AggregatorOptions>;
  /** Its spool knows no marks: another collector has taken over what this one had stored. */
  readonly forgetsMarks?: boolean;
  /** Views from the first SIGHUP on. */
  readonly nextViews?: AggregatorOptions["views"];
}

const options = JSON.parse(process.argv[2]) as JournaledOptions;
const log = (level: string, message: string): void => {
  if (level !== "debug") console.log(`${level} ${message}`);
};
const spool = openSpool(options.spool, { maxBytes: 2 ** 31, sync: "none" });
const sinks = forEachSignal((signal) => ({
  send(body: Uint8Array, items: number, mark?: Uint8Array) {
    const placed = spool.put(signal, body, items, { mark });
    if ("refused" in placed) throw new Error(spool.lastError);
    return Promise.resolve({ accepted: items, rejected: 0, dropped: 0 });
  },
  abort(): void {},
  close: () => Promise.resolve(),
}));
let { views } = { ...AGGREGATION, ...options.aggregation };
const pipeline = new Pipeline({
  scan: discover(options.paths, {}, { log }).scan,
  sinks,
  batchSize: options.batchSize ?? 100,
  flushIntervalMs: 20,
  metricsIntervalMs: options.metricsIntervalMs ?? 50,
  aggregation: {
    ...AGGREGATION,
    ...options.aggregation,
    get views() {
      return views;
    },
  },
  once: false,
  keep: false,
  log,
  journal: openJournal({
    directory: options.journal,
    lastMark: (signal) => options.forgetsMarks ? null : spool.lastMark(signal),
    syncStored: () => spool.sync(),
    log,
    logBytes: options.logBytes,
  }),
});
process.on("SIGTERM", () => pipeline.stop());
process.on("SIGHUP", () => {
  views = options.nextViews!;
  console.log("views changed");
});
console.log("ready");
const code = await pipeline.run();
spool.close();
process.exit(code);
