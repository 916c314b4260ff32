/**
 * Writes log records.
 *
 * @module
 */
import {
  type Attributes,
  type Context,
  diag,
  type Logger as ApiLogger,
  type LogRecord,
  type TimeInput,
} from "@opentelemetry/api";
import { LOSS_ENCODE, RING_EVENTS } from "../format/layout.ts";
import { attributesOf } from "../record/attributes.ts";
import { type LogNumbers, writeLog } from "../record/log.ts";
import { Shape } from "../record/shape.ts";
import { caller, WRITTEN } from "../record/slot.ts";
import { setTimeFromInput, setTimeNow, timeWords } from "../record/time.ts";
import { readActiveSpan } from "./active-span.ts";
import { addException, copyAttributes } from "./log-exception.ts";
import type { ResolvedLogLimits } from "./limits.ts";
import type { Recorder, ScopeIdentity } from "./recorder.ts";
import { asText } from "./span.ts";

/** A log record on its way into the file, as `onEmit` sees it: every field may be set. */
export interface EmittedLogRecord {
  timestamp?: TimeInput;
  observedTimestamp?: TimeInput;
  /** 1 to 24. */
  severityNumber?: number;
  severityText?: string;
  eventName?: string;
  body?: unknown;
  /** Its own copy, with `exception.*` in it; the values are the caller's. */
  attributes: Attributes;
  /** Who emitted it. */
  readonly instrumentationScope: ScopeIdentity;
}

/**
 * Sees every log record before it is written, and may change it; `false` drops it, and so does an
 * error, for the hook may have been about to take out what must not be recorded. `context` is the
 * one the record belongs to. Must not keep the record.
 */
export type LogRecordHook = (record: EmittedLogRecord, context: Context) => boolean | void;

/** What all loggers of a provider share. */
export interface LoggerSettings {
  readonly recorder: Recorder;
  readonly limits: ResolvedLogLimits;
  readonly onEmit: LogRecordHook | null;
  /** Records with a severity below are dropped, those without any are not. 0 for none. */
  readonly minimumSeverity: number;
  /** The active context. */
  activeContext(): Context;
  /** True once the provider is shut down. */
  isShutDown: boolean;
}

/** The numbers of the record that is being written. */
const log: LogNumbers = {
  t0: 0,
  t1: 0,
  t2: 0,
  t3: 0,
  s0: 0,
  s1: 0,
  hasSpan: false,
  flags: 0,
  low: 0,
  high: 0,
  observedLow: 0,
  observedHigh: 0,
  severity: 0,
};

/** Severity ERROR: records from here on are synced at once, where files are synced. */
const SEVERE = 17;

/** Writes the log records of one instrumentation scope. */
export class Logger implements ApiLogger {
  /** The ref of the scope in the file that is being written. */
  scopeRef = 0;
  private readonly settings: LoggerSettings;
  private readonly scope: ScopeIdentity;
  /** Of records without an event name. */
  private readonly shape = new Shape("");

  constructor(settings: LoggerSettings, scope: ScopeIdentity) {
    this.settings = settings;
    this.scope = scope;
    this.bind();
  }

  /** Writes the scope into the current file's dictionary; called for every new file. */
  bind(): void {
    this.scopeRef = this.settings.recorder.internScope(this.scope);
  }

  /** Writes a record; never throws, whatever it is given. */
  emit(record: LogRecord): void {
    const { settings } = this;
    const { file } = settings.recorder;
    if (settings.isShutDown || file === null) return;
    // From code of the caller's that runs while another record is being made.
    if (caller.runs) return file.lose(RING_EVENTS, LOSS_ENCODE);
    try {
      if (settings.onEmit === null) this.write(record, record.context, record.exception);
      else this.writeWithHook(record, settings.onEmit);
    } catch (error) {
      // Nothing of it is in the file: a getter of the record itself, or no stack left.
      file.lose(RING_EVENTS, LOSS_ENCODE);
      report("a log record could not be read and is lost", error);
    }
  }

  /** Whether a record like this would be written now. */
  enabled(options?: { severityNumber?: number; eventName?: string; context?: Context }): boolean {
    const { settings } = this;
    if (settings.isShutDown || settings.recorder.file === null) return false;
    try {
      return this.isEnough(severityOf(options?.severityNumber));
    } catch {
      return true;
    }
  }

  private isEnough(severity: number): boolean {
    return severity === 0 || severity >= this.settings.minimumSeverity;
  }

  private write(
    record: Omit<LogRecord, "context" | "exception">,
    context: Context | undefined,
    exception: unknown,
  ): void {
    const { settings } = this;
    const { recorder, limits } = settings;
    // All that may be code of the caller's first: it may log by itself.
    const { body } = record;
    const severity = severityOf(record.severityNumber);
    if (!this.isEnough(severity)) return;
    const severityText = textOf(record.severityText);
    const eventName = textOf(record.eventName);
    let attributes = attributesOf(record.attributes);
    if (exception !== undefined && exception !== null) {
      const all = attributes === undefined ? {} : copyAttributes(attributes);
      addException(all, exception);
      attributes = all;
    }
    const { timestamp, observedTimestamp } = record;
    // From here on nothing of the caller's runs without `caller.runs`: `log` is there only once.
    readActiveSpan(context ?? settings.activeContext(), log);
    readTimes(timestamp, observedTimestamp);
    log.severity = severity;
    let { shape } = this;
    let interned = true;
    if (eventName !== "") {
      shape = recorder.eventShape(eventName);
      interned = recorder.isKnownEvent;
    }
    const limit = limits.attributeCountLimit;
    const units = limits.attributeValueLengthLimit;
    const { file } = recorder;
    if (file === null) return;
    // Nothing where files are not synced. It begins when this thread is done with the record.
    if (severity >= SEVERE && file.synced) queueMicrotask(() => void recorder.sync());
    let result = writeLog(
      file,
      this.scopeRef,
      log,
      shape,
      interned,
      severityText,
      body,
      attributes,
      limit,
      units,
    );
    if (result !== WRITTEN && recorder.moved(result, RING_EVENTS)) {
      result = writeLog(
        recorder.file!,
        this.scopeRef,
        log,
        shape,
        interned,
        severityText,
        body,
        attributes,
        limit,
        units,
      );
      recorder.again(result, RING_EVENTS);
    }
  }

  private writeWithHook(record: LogRecord, hook: LogRecordHook): void {
    const { timestamp, observedTimestamp, severityText, eventName, body, exception } = record;
    const severityNumber = severityOf(record.severityNumber);
    if (!this.isEnough(severityNumber)) return;
    const attributes = copyAttributes(attributesOf(record.attributes) ?? {});
    if (exception !== undefined && exception !== null) addException(attributes, exception);
    const context = record.context ?? this.settings.activeContext();
    const emitted: EmittedLogRecord = {
      timestamp,
      observedTimestamp,
      severityNumber,
      severityText,
      eventName,
      body,
      attributes,
      instrumentationScope: this.scope,
    };
    try {
      if (hook(emitted, context) === false) return;
    } catch (error) {
      this.settings.recorder.file?.lose(RING_EVENTS, LOSS_ENCODE);
      report("onEmit threw; the log record is dropped", error);
      return;
    }
    this.write(emitted, context, undefined);
  }
}

/** 1 to 24, or 0 for whatever is no severity number. */
function severityOf(number: unknown): number {
  return typeof number === "number" && number >= 1 && number <= 24 ? number | 0 : 0;
}

function textOf(text: unknown): string {
  return text === undefined || text === null ? "" : asText(text);
}

/** Sets the times of `log`; without a timestamp that is the time of observation, as in other SDKs. */
function readTimes(timestamp: unknown, observed: unknown): void {
  const isGiven = timestamp !== undefined && timestamp !== null;
  if (isGiven && isTime(timestamp)) {
    log.low = timeWords[0];
    log.high = timeWords[1];
    if (observed === undefined || observed === null || !isTime(observed)) setTimeNow();
    log.observedLow = timeWords[0];
    log.observedHigh = timeWords[1];
    return;
  }
  setTimeNow();
  log.low = log.observedLow = timeWords[0];
  log.high = log.observedHigh = timeWords[1];
  if (observed !== undefined && observed !== null && isTime(observed)) {
    log.observedLow = timeWords[0];
    log.observedHigh = timeWords[1];
  }
}

/** Sets `timeWords`; false, having said so, for what is no time. */
function isTime(input: unknown): boolean {
  caller.runs = true;
  try {
    if (setTimeFromInput(input as TimeInput)) return true;
    diag.warn("emit: a timestamp is not a time; taking the time now");
    return false;
  } catch {
    // A date of the caller's class.
    return false;
  } finally {
    caller.runs = false;
  }
}

/** The logger behind `diag` may be the caller's. */
function report(message: string, error: unknown): void {
  try {
    diag.error(message, error);
  } catch {
    // Then nobody hears of it.
  }
}
