/**
 * Opens a store for questions.
 *
 * @module
 */
import { ask, loadFilters, openReader } from "../read/reader.ts";
import type { Tails } from "../store.ts";
import { crash, crashes, losses } from "./crashes.ts";
import { logHistogram, searchLogs } from "./logs.ts";
import { metricSeries, metricStreams } from "./metrics.ts";
import { attributeKeys, resources, services, spanNames, state } from "./names.ts";
import { overview } from "./overview.ts";
import { scatter, searchSpans, searchTraces, span, trace, traceAsOtlp } from "./spans.ts";
import type { StoreQueries } from "./types.ts";

/**
 * Opens the store `path` for reading, while a collector writes to it or not.
 *
 * @param tails `tails` of the store where this process writes it: then nothing is read twice.
 * @throws StoreError when there is none, or it can't be read.
 */
export function openQueries(path: string, tails?: Tails): StoreQueries {
  const reader = openReader(path, tails);
  // Read now: the first question for a trace would wait for it.
  ask(reader, () => loadFilters(reader));
  return {
    state: () => ask(reader, () => state(reader)),
    services: () => ask(reader, () => services(reader)),
    spanNames: (service) => ask(reader, () => spanNames(reader, service)),
    attributeKeys: () => ask(reader, () => attributeKeys(reader)),
    resources: () => ask(reader, () => resources(reader)),
    overview: (range, steps) => ask(reader, () => overview(reader, range, steps)),
    searchSpans: (filter, page) => ask(reader, () => searchSpans(reader, filter, page)),
    searchTraces: (filter, page) => ask(reader, () => searchTraces(reader, filter, page)),
    scatter: (filter, limit) => ask(reader, () => scatter(reader, filter, limit)),
    trace: (traceId) => ask(reader, () => trace(reader, traceId)),
    span: (id) => ask(reader, () => span(reader, id)),
    traceAsOtlp: (traceId) => ask(reader, () => traceAsOtlp(reader, traceId)),
    searchLogs: (filter, page) => ask(reader, () => searchLogs(reader, filter, page)),
    logHistogram: (filter, steps) => ask(reader, () => logHistogram(reader, filter, steps)),
    metricStreams: () => ask(reader, () => metricStreams(reader)),
    metricSeries: (stream, range) => ask(reader, () => metricSeries(reader, stream, range)),
    losses: (range) => ask(reader, () => losses(reader, range)),
    crashes: () => ask(reader, () => crashes(reader)),
    crash: (resourceId, seconds) => ask(reader, () => crash(reader, resourceId, seconds)),
    close: () => reader.db.close(),
  };
}
