/**
 * Drains files that are in memory, without mappings, locks or network: rounds, assembly, and what
 * comes out decoded by the generated protobuf code.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { type Drain, type Intake, openDrain } from "../../collector/pipeline/drain.ts";
import {
  isIdle,
  newRoundFile,
  round,
  type RoundFile,
  type RoundProcess,
} from "../../collector/pipeline/round.ts";
import { Aggregator, type AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { readGeometry } from "../../lib/file/geometry.ts";
import { Assembler, type Limits } from "../../lib/otlp/assemble.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import { PairList } from "../../lib/otlp/source.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import {
  type ExponentialHistogramDataPoint,
  type ExportLogsServiceRequest,
  ExportLogsServiceRequestSchema,
  type ExportMetricsServiceRequest,
  ExportMetricsServiceRequestSchema,
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
  type HistogramDataPoint,
  type LogRecord,
  type Metric,
  type NumberDataPoint,
  type ResourceLogs,
  type ResourceMetrics,
  type ResourceSpans,
  type ScopeLogs,
  type ScopeMetrics,
  type ScopeSpans,
  type Span,
} from "../../proto/gen/otlp_pb.ts";
import type { Batch } from "../../lib/otlp/batch.ts";

/** A file in memory. */
export interface MemoryFile extends FileViews, GrowingFile {
  readonly size: number;
}

/** A span with what it belongs to. */
export interface CollectedSpan {
  readonly span: Span;
  readonly scope: ScopeSpans;
  readonly resource: ResourceSpans;
}

/** A log record with what it belongs to. */
export interface CollectedLog {
  readonly log: LogRecord;
  readonly scope: ScopeLogs;
  readonly resource: ResourceLogs;
}

/** A metric with what it belongs to. */
export interface CollectedMetric {
  readonly metric: Metric;
  readonly scope: ScopeMetrics;
  readonly resource: ResourceMetrics;
}

/** What a collector without variables and views does with measurements. */
export const AGGREGATION: AggregatorOptions = {
  temporality: "definition",
  histograms: "definition",
  exemplars: "trace_based",
  cardinalityLimit: 2000,
  maxSeries: 1_000_000,
  views: [],
};

/** Reads one of the files other implementations left behind. */
export function vector(name: string): MemoryFile {
  const bytes = gunzipSync(readFileSync(new URL(`../vectors/${name}.otlp.gz`, import.meta.url)));
  return memoryFile(bytes);
}

/** A copy of a file's bytes. */
export function memoryFile(bytes: Uint8Array): MemoryFile {
  const buffer = new ArrayBuffer(Math.ceil(bytes.length / 8) * 8);
  const u8 = new Uint8Array(buffer);
  u8.set(bytes);
  return {
    u8,
    i32: new Int32Array(buffer),
    i64: new BigInt64Array(buffer),
    size: bytes.length,
    reach: (end) => end <= bytes.length ? u8 : null,
  };
}

/** An assembler and one process, to which files in memory are added. */
export class MemoryCollector {
  readonly assembler: Assembler;
  readonly aggregator: Aggregator;
  readonly process: RoundProcess;
  /** The requests with spans that came out. */
  readonly requests: ExportTraceServiceRequest[] = [];
  /** Signals of which nothing is taken. */
  readonly blocked = { traces: false, metrics: false, logs: false };
  private readonly intake: Intake;

  constructor(limits?: Limits, aggregation: AggregatorOptions = AGGREGATION) {
    this.assembler = new Assembler(() => {}, limits);
    this.process = { state: this.assembler.addProcess(), files: [], waiting: new PairList() };
    const { assembler } = this;
    this.aggregator = new Aggregator((source, ref) => assembler.scopeOf(source, ref), aggregation);
    this.aggregator.addProcess(this.process.state.index);
    this.intake = { assembler, aggregator: this.aggregator, blocked: this.blocked };
  }

  /** Adds a file. `over`: its owner is gone. */
  add(
    file: MemoryFile,
    options: { older?: RoundFile; over?: boolean } = {},
  ): RoundFile & { drain: Drain } {
    const { older = null, over = true } = options;
    const geometry = readGeometry("memory", file.u8, file.size);
    if ("unfinished" in geometry) throw new Error(geometry.unfinished);
    const id = this.process.files.length + 1;
    const drain = openDrain(id, file, geometry, this.assembler, this.process.state);
    drain.over = over;
    const added: RoundFile = {
      ...newRoundFile(drain),
      generation: older === null ? 0 : older.generation + 1,
      older,
    };
    this.process.files.push(added);
    return added;
  }

  /** One round. Returns how many records were taken. */
  round(): number {
    return round(this.process, this.intake);
  }

  /** Rounds until there is nothing left to take (or only what must be waited for). */
  rounds(): void {
    while (this.round() > 0 || !isIdle(this.process)) {
      const { traces, metrics, logs } = this.blocked;
      if (traces || metrics || logs || this.process.files.some(({ drain }) => !drain.over)) {
        if (this.round() === 0) break;
      }
    }
  }

  /** What open spans there are goes out as interrupted. */
  interrupt(): void {
    this.assembler.interrupt(this.process.state, INTERRUPTIONS.died);
  }

  /** Every span that came out since the last call. */
  spans(): CollectedSpan[] {
    const bytes = sealed(this.assembler.spans);
    if (bytes === null) return [];
    const request = fromBinary(ExportTraceServiceRequestSchema, bytes);
    this.requests.push(request);
    return spansOf(request);
  }

  /** Every log record that came out since the last call. */
  logs(): CollectedLog[] {
    const bytes = sealed(this.assembler.logs);
    return bytes === null ? [] : logsOf(fromBinary(ExportLogsServiceRequestSchema, bytes));
  }

  /** Every metric that has points, as of the last time in the records. */
  metrics(): CollectedMetric[] {
    const { index, lastLow, lastHigh } = this.process.state;
    const metrics: CollectedMetric[] = [];
    this.aggregator.collect(index, lastLow, lastHigh, (request) => {
      const bytes = request.buffer.slice(0, request.length);
      this.aggregator.recycle(request);
      metrics.push(...metricsOf(fromBinary(ExportMetricsServiceRequestSchema, bytes)));
    });
    return metrics;
  }
}

function sealed(batch: Batch): Uint8Array | null {
  const request = batch.seal();
  if (request === null) return null;
  const bytes = request.buffer.slice(0, request.length);
  batch.recycle(request);
  return bytes;
}

/** The spans of a request, flat. */
export function spansOf(request: ExportTraceServiceRequest): CollectedSpan[] {
  return request.resourceSpans.flatMap((resource) =>
    resource.scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ span, scope, resource })))
  );
}

/** The log records of a request, flat. */
export function logsOf(request: ExportLogsServiceRequest): CollectedLog[] {
  return request.resourceLogs.flatMap((resource) =>
    resource.scopeLogs.flatMap((scope) => scope.logRecords.map((log) => ({ log, scope, resource })))
  );
}

/** The metrics of a request, flat. */
export function metricsOf(request: ExportMetricsServiceRequest): CollectedMetric[] {
  return request.resourceMetrics.flatMap((resource) =>
    resource.scopeMetrics.flatMap((scope) =>
      scope.metrics.map((metric) => ({ metric, scope, resource }))
    )
  );
}

/** The data points of a metric. */
export function pointsOf(
  { data, name }: Metric,
): (NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint)[] {
  if (data.case === undefined || data.case === "summary") throw new Error(`${name}: ${data.case}`);
  return data.value.dataPoints;
}

/** What is in a file whose owner is gone. */
export interface Drained {
  readonly spans: CollectedSpan[];
  readonly logs: CollectedLog[];
  readonly metrics: CollectedMetric[];
  readonly collector: MemoryCollector;
}

/** Everything in a file whose owner is gone. */
export function drainAll(file: MemoryFile): Drained {
  const collector = new MemoryCollector();
  collector.add(file);
  collector.rounds();
  collector.interrupt();
  return {
    spans: collector.spans(),
    logs: collector.logs(),
    metrics: collector.metrics(),
    collector,
  };
}
