/**
 * What the collector sends: one export request of one signal.
 *
 * @module
 */

/** The signals of OTLP. */
export type Signal = "traces" | "metrics" | "logs";

/** An ExportTraceServiceRequest, ExportMetricsServiceRequest or ExportLogsServiceRequest. */
export interface Request {
  readonly signal: Signal;
  /** Its bytes: the first `length` of a buffer that is used again after it was recycled. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly length: number;
  /** Spans, data points or log records in it. */
  readonly items: number;
  /** Indexes of the processes they came from. */
  readonly processes: readonly number[];
  /** Stored with it by who stores requests: which one it is. */
  readonly mark?: Uint8Array;
}
