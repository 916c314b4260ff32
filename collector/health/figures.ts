/**
 * The figures of a collector: one table, of which the Prometheus page and the metrics that are sent
 * are both made. Each is read from where it is counted anyway.
 *
 * @module
 */
import { dictionaryCaches } from "../../lib/dictionary/read.ts";
import { recordCaches } from "../../lib/metrics/known.ts";
import process from "node:process";
import type { Signal } from "../../lib/otlp/request.ts";
import type { Spool } from "../../lib/spool/mod.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Sink } from "../pipeline/queue.ts";
import type { Intake } from "../receive/intake.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Figure, Labels, Sample } from "./figure.ts";
import { endpointFigures } from "./endpoints.ts";
import { receivedFigures } from "./received.ts";
import { recordFigures } from "./records.ts";
import { spoolFigures } from "./spool.ts";

/** What figures are read from. */
export interface Watched {
  readonly pipeline: Pipeline;
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** Where OTLP is received. */
  readonly intake?: Pick<Intake, "counts">;
  /** Null: there is none. */
  readonly spool?: Spool | null;
}

const NO_LABELS: Labels = {};
const START_SECONDS = Date.now() / 1000 - process.uptime();

/** All figures of a collector. */
export function createFigures({ pipeline, sinks, intake, spool = null }: Watched): Figure[] {
  const { files, requests } = pipeline;
  const { assembler, queues } = requests;
  const bySignal = (read: (signal: Signal) => number): Sample[] =>
    SIGNALS.map((signal) => [{ signal }, read(signal)]);
  const one = (
    kind: "counter" | "gauge",
    name: string,
    unit: string,
    help: string,
    read: () => number,
  ): Figure => ({ kind, name, unit, help, read: () => [[NO_LABELS, read()]] });
  const ofSignals = (
    kind: "counter" | "gauge",
    name: string,
    unit: string,
    help: string,
    read: (signal: Signal) => number,
  ): Figure => ({ kind, name, unit, help, read: () => bySignal(read) });

  return [
    ...recordFigures(files),
    one(
      "gauge",
      "otlp_mmap.processes",
      "{process}",
      "Processes whose files are followed",
      () => files.processes.size,
    ),
    one(
      "counter",
      "otlp_mmap.files.opened",
      "{file}",
      "Files opened to be read",
      () => files.opened,
    ),
    one(
      "gauge",
      "otlp_mmap.spans.open",
      "{span}",
      "Spans that began and have not ended",
      () => assembler.table.count,
    ),
    one(
      "gauge",
      "otlp_mmap.series",
      "{series}",
      "Series of metrics that are kept",
      () => requests.aggregator.series,
    ),
    one(
      "counter",
      "otlp_mmap.spans.taken",
      "{span}",
      "Spans put into batches",
      () => assembler.counts.spans,
    ),
    one(
      "counter",
      "otlp_mmap.spans.interrupted",
      "{span}",
      "Of these, spans whose end was never recorded",
      () => assembler.counts.interrupted,
    ),
    one(
      "counter",
      "otlp_mmap.spans.evicted",
      "{span}",
      "Of these, spans sent before their end because too many were open",
      () => assembler.counts.evicted,
    ),
    one(
      "counter",
      "otlp_mmap.logs.taken",
      "{log}",
      "Log records put into batches",
      () => assembler.counts.logs,
    ),
    one(
      "counter",
      "otlp_mmap.measurements.taken",
      "{measurement}",
      "Measurements read",
      () => requests.aggregator.counts.measurements,
    ),
    one(
      "counter",
      "otlp_mmap.measurements.crowded",
      "{measurement}",
      "Of these, those in series of an overflow since their process has its share of all series",
      () => requests.aggregator.counts.crowded,
    ),
    one(
      "counter",
      "otlp_mmap.caches.started_over",
      "{cache}",
      "What was remembered of one file and forgotten, since too much was of all: it is read again",
      () => dictionaryCaches.startedOver + recordCaches.startedOver,
    ),
    one(
      "counter",
      "otlp_mmap.data_points",
      "{point}",
      "Data points put into requests",
      () => requests.aggregator.counts.points,
    ),
    {
      kind: "counter",
      name: "otlp_mmap.items.lost",
      unit: "{item}",
      help: "Spans and log records that there was no memory for",
      read: () => [
        [{ signal: "traces" }, assembler.counts.lost],
        [{ signal: "logs" }, assembler.counts.lostLogs],
      ],
    },
    ofSignals(
      "counter",
      "otlp_mmap.items.accepted",
      "{item}",
      "Spans, data points and log records that the backend took",
      (signal) => queues[signal].totals.accepted,
    ),
    ofSignals(
      "counter",
      "otlp_mmap.items.rejected",
      "{item}",
      "Those that the backend refused in a request that it took, or because of their signal",
      (signal) => queues[signal].totals.rejected,
    ),
    ofSignals(
      "counter",
      "otlp_mmap.items.dropped",
      "{item}",
      "Those of requests that were refused or given up",
      (signal) => queues[signal].totals.dropped,
    ),
    ofSignals(
      "counter",
      "otlp_mmap.requests",
      "{request}",
      "Requests whose fate is known; of several endpoints with spools, those of each",
      (signal) => queues[signal].totals.requests,
    ),
    ofSignals(
      "gauge",
      "otlp_mmap.requests.running",
      "{request}",
      "Requests being sent",
      (signal) => {
        const { lanes, running } = queues[signal];
        return lanes.length === 0 ? running : sum(lanes, ({ queue }) => queue.running);
      },
    ),
    ofSignals(
      "gauge",
      "otlp_mmap.requests.waiting",
      "{request}",
      "Requests that wait to be sent",
      (signal) => queues[signal].pending + sum(queues[signal].lanes, ({ queue }) => queue.pending),
    ),
    {
      kind: "histogram",
      name: "otlp_mmap.request.duration",
      unit: "s",
      help: "Time until the fate of a request was known, with all attempts and waits",
      read: () => SIGNALS.map((signal) => [{ signal }, queues[signal].latency] as const),
    },
    ofSignals(
      "counter",
      "otlp_mmap.send.failures",
      "{attempt}",
      "Attempts to send that failed",
      (signal) => sum(sinks[signal].endpoints ?? [], ({ state }) => state?.allFailures ?? 0),
    ),
    ...endpointFigures(sinks),
    ...(intake === undefined ? [] : receivedFigures(intake.counts)),
    ...spoolFigures(spool, sinks),
    one(
      "counter",
      "otlp_mmap.process.cpu",
      "s",
      "CPU time of the collector, of user and system",
      () => {
        const { system, user } = process.cpuUsage();
        return (system + user) / 1e6;
      },
    ),
    one(
      "gauge",
      "otlp_mmap.process.resident_memory",
      "By",
      "Resident memory of the collector",
      () => process.memoryUsage().rss,
    ),
    one(
      "gauge",
      "otlp_mmap.process.start_time",
      "s",
      "When the collector started, since the Unix epoch",
      () => START_SECONDS,
    ),
  ];
}

function sum<T>(all: readonly T[], read: (each: T) => number): number {
  return all.reduce((total, each) => total + read(each), 0);
}
