/**
 * Log records written to a file of their own, and read back with generated code.
 *
 * @module
 */
import { join } from "node:path";
import assert from "node:assert/strict";
import { type Context, ROOT_CONTEXT } from "@opentelemetry/api";
import { fromBinary } from "@bufbuild/protobuf";
import type { FileSizes } from "../../lib/file/write.ts";
import { DEFAULT_LOG_LIMITS } from "../../lib/sdk/limits.ts";
import { LoggerProvider, type LoggerProviderSettings } from "../../lib/sdk/logger-provider.ts";
import { type Event, InstrumentationScopeSchema } from "../../proto/gen/mmap_pb.ts";
import { hex, RawFile } from "./records.ts";
import { record, type Recording } from "./recording.ts";

/** A log record as it was read back. */
export interface ReadLog {
  readonly scope: string;
  readonly scopeAttributes: Record<string, unknown>;
  /** ns since the epoch. */
  readonly time: bigint;
  readonly observed: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly name: string;
  /** Integers are bigints, an empty value is null; undefined without a body. */
  readonly body: unknown;
  /** "" outside of spans. */
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly attributes: Record<string, unknown>;
  readonly dropped: number;
  readonly truncated: boolean;
}

/** What records logs, and what it has recorded. */
export interface Logging extends Recording {
  readonly logs: LoggerProvider;
  /** Everything in the file that is written now. */
  read(): ReadLog[];
  /** Losses of the events ring, by reason. */
  lost(reason: number): number;
}

/** Options of the provider, and the sizes of the file. */
export interface LoggingOptions extends Partial<Omit<LoggerProviderSettings, "recorder">> {
  readonly sizes?: FileSizes;
}

let files = 0;

/** Starts recording logs in a directory; `close` the recorder. */
export function startLogging(directory: string, options: LoggingOptions = {}): Logging {
  const { sizes, ...settings } = options;
  const recording = record({ file: join(directory, `logs-${++files}.otlp`) }, sizes);
  const { recorder } = recording;
  const logs = new LoggerProvider({
    recorder,
    limits: DEFAULT_LOG_LIMITS,
    activeContext: (): Context => ROOT_CONTEXT,
    ...settings,
  });
  return {
    ...recording,
    logs,
    read: () => readLogs(recorder.file!.mapping.path),
    lost: (reason) => recorder.file!.lost(0, reason),
  };
}

/** The log records in a file that nobody has taken yet. */
export function readLogs(path: string): ReadLog[] {
  const raw = new RawFile(path);
  return raw.events().map((event) => readLog(raw, event));
}

function readLog(raw: RawFile, event: Event): ReadLog {
  assert.equal(event.$unknown, undefined);
  assert.equal(event.spanEvent, false);
  const scope = fromBinary(InstrumentationScopeSchema, raw.entry(event.scopeRef));
  const { spanContext } = event;
  return {
    scope: raw.string(scope.nameRef),
    scopeAttributes: raw.attributes(scope.attributes),
    time: event.timeUnixNano,
    observed: event.observedTimeUnixNano,
    severityNumber: event.severityNumber,
    severityText: event.severityText,
    name: event.eventNameRef === 0n ? event.eventName : raw.string(event.eventNameRef),
    body: event.body === undefined ? undefined : raw.value(event.body),
    traceId: hex(spanContext?.traceId ?? new Uint8Array()),
    spanId: hex(spanContext?.spanId ?? new Uint8Array()),
    flags: spanContext?.flags ?? 0,
    attributes: raw.attributes(event.attributes),
    dropped: event.droppedAttributesCount,
    truncated: event.truncated,
  };
}
