/**
 * A flight recorder for Deno and Bun: an OpenTelemetry SDK that writes every record at once into a
 * memory-mapped file, which a separate collector reads.
 *
 * `start()` records what the application does through `@opentelemetry/api`; `Writer` and `Reader`
 * are for those who build their own.
 *
 * @module
 */
export {
  type LogOptions,
  type MetricOptions,
  type Sdk,
  start,
  type StartOptions,
} from "./lib/sdk/start.ts";
export type { TracerProvider } from "./lib/sdk/provider.ts";
export type { MeterProvider } from "./lib/sdk/meter-provider.ts";
export type { LoggerProvider } from "./lib/sdk/logger-provider.ts";
export type { IdGenerator } from "./lib/sdk/tracer.ts";
export type { LogLimits, SpanLimits } from "./lib/sdk/limits.ts";
export type { EmittedLogRecord, LogRecordHook } from "./lib/sdk/logger.ts";
export type { View, ViewAggregation } from "./lib/sdk/views.ts";
export type { Durability, ExemplarFilter, Temporality } from "./lib/sdk/config.ts";
export { captureConsole, type ConsoleMethod, type ConsoleOptions } from "./lib/logs/console.ts";
export { captureExceptions, type ExceptionOptions } from "./lib/logs/exceptions.ts";
export type { ResourceDetector } from "./lib/sdk/resource.ts";
export {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type ParentBasedSamplerOptions,
  type Sampler,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from "./lib/sdk/sampler.ts";
export type { FileSizes, RingSize } from "./lib/file/write.ts";
export {
  type Attributes,
  type Id,
  type JoinOptions,
  type RingCounters,
  type Scope,
  type ScopeWriter,
  type SpanEnd,
  type SpanLink,
  type SpanStart,
  type SpanWriter,
  type Value,
  Writer,
  type WriteResult,
  type WriterOptions,
} from "./lib/writer.ts";
export {
  BusyError,
  type EventRead,
  FormatError,
  type MeasurementRead,
  type OwnerState,
  type ReadAttributes,
  Reader,
  type ReadRecord,
  type ReadScope,
  type ReadValue,
  type RefusalReason,
  type RejectReason,
  type RingLedger,
  type SpanChange,
  type SpanRead,
  type UnreadableRead,
} from "./lib/reader.ts";
