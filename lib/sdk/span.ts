/**
 * A span: ids as words, a few counters, and nothing that grows with what is recorded on it.
 * Every call writes its record before it returns.
 *
 * @module
 */
import {
  type Attributes,
  type AttributeValue,
  diag,
  type Exception,
  type Link,
  type Span as ApiSpan,
  type SpanContext,
  type SpanStatus,
  SpanStatusCode,
  type TimeInput,
  type TraceState,
} from "@opentelemetry/api";
import { ATTR_EXCEPTION_MESSAGE, ATTR_EXCEPTION_TYPE } from "@opentelemetry/semantic-conventions";
import { attributesOf } from "../record/attributes.ts";
import {
  type RecordFile,
  type SpanState,
  writeAttribute,
  writeAttributes,
  writeEnd,
  writeLink,
  writeName,
  writeSpanEvent,
  WRITTEN,
} from "../record/encode.ts";
import { RING_EVENTS } from "../format/layout.ts";
import type { Shape } from "../record/shape.ts";
import { type IdWords, readIds, wordToHex } from "../record/ids.ts";
import { setTimeFromInput, setTimeNow, timeWords } from "../record/time.ts";
import { addException } from "./log-exception.ts";
import type { Tracer } from "./tracer.ts";

/** OTLP span flags: it is known whether the parent is remote, and it is. */
export const FLAG_HAS_IS_REMOTE = 0x100;
export const FLAG_IS_REMOTE = 0x200;
/** W3C trace flags within OTLP span flags. */
const TRACE_FLAGS = 0xff;

const linked: IdWords = { t0: 0, t1: 0, t2: 0, t3: 0, s0: 0, s1: 0 };

/** A recording span, as `Tracer.startSpan` makes it. */
export class Span implements ApiSpan, SpanState {
  t0 = 0;
  t1 = 0;
  t2 = 0;
  t3 = 0;
  s0 = 0;
  s1 = 0;
  flags = 0;
  shape: Shape;
  attributes = 0;
  expected = 0;
  seen = 0;
  seen32 = 0;
  seen64 = 0;
  seen96 = 0;
  seenMore: Set<string> | null = null;
  droppedAttributes = 0;
  /** Start time, ns since the epoch, as two words. */
  startLow = 0;
  startHigh = 0;
  traceState: TraceState | undefined = undefined;
  /** Nothing is written: its start was refused, or the sampler said to record without sampling. */
  silent = false;
  private readonly tracer: Tracer;
  private ended = false;
  private events = 0;
  private droppedEvents = 0;
  private links = 0;
  private droppedLinks = 0;
  private statusCode: SpanStatusCode = SpanStatusCode.UNSET;
  private statusMessage = "";
  private context: SpanContext | null = null;

  constructor(tracer: Tracer, shape: Shape) {
    this.tracer = tracer;
    this.shape = shape;
  }

  /** The ref of the tracer's scope in the file that is being written. */
  get scopeRef(): number {
    return this.tracer.scopeRef;
  }

  spanContext(): SpanContext {
    return this.context ??= {
      traceId: wordToHex(this.t0) + wordToHex(this.t1) + wordToHex(this.t2) + wordToHex(this.t3),
      spanId: wordToHex(this.s0) + wordToHex(this.s1),
      traceFlags: this.flags & TRACE_FLAGS,
      traceState: this.traceState,
    };
  }

  /** The context is made anew when next asked for: flags or trace state have changed. */
  forgetContext(): void {
    this.context = null;
  }

  /** False once ended, and for a span whose start found no room. */
  isRecording(): boolean {
    return !this.ended && !(this.silent && (this.flags & 1) === 1);
  }

  setAttribute(key: string, value: AttributeValue): this {
    if (this.cannotRecord() || !isKey(key)) return this;
    const { recorder, limits } = this.tracer;
    const limit = limits.attributeCountLimit;
    const file = recorder.file;
    if (file === null) return this;
    let result = writeAttribute(file, this, key, value, limit);
    if (result !== WRITTEN) {
      if (recorder.moved(result)) {
        result = recorder.again(writeAttribute(recorder.file!, this, key, value, limit));
      }
      if (result !== WRITTEN) this.droppedAttributes++;
    }
    return this;
  }

  setAttributes(attributes: Attributes): this {
    if (this.cannotRecord() || attributesOf(attributes) === undefined) return this;
    const { recorder, limits } = this.tracer;
    const limit = limits.attributeCountLimit;
    if (recorder.file === null) return this;
    let result = writeAttributes(recorder.file, this, attributes, limit);
    if (result !== WRITTEN) {
      if (recorder.moved(result)) {
        result = recorder.again(writeAttributes(recorder.file!, this, attributes, limit));
      }
      if (result !== WRITTEN) this.droppedAttributes += keyCount(attributes);
    }
    return this;
  }

  addEvent(
    name: string,
    attributesOrTime?: Attributes | TimeInput,
    time?: TimeInput,
  ): this {
    if (this.cannotRecord()) return this;
    const { recorder, limits } = this.tracer;
    if (recorder.file === null) return this;
    if (this.events >= limits.eventCountLimit) {
      this.droppedEvents++;
      return this;
    }
    let attributes: Attributes | undefined;
    if (isTime(attributesOrTime)) {
      time ??= attributesOrTime;
    } else attributes = attributesOf(attributesOrTime) as Attributes | undefined;
    setTime(time, "addEvent");
    const low = timeWords[0];
    const high = timeWords[1];
    const text = asText(name);
    const shape = recorder.eventShape(text);
    const interned = recorder.isKnownEvent;
    const limit = limits.attributePerEventCountLimit;
    let result = writeSpanEvent(
      recorder.file,
      this,
      shape,
      interned,
      low,
      high,
      attributes,
      limit,
    );
    if (result !== WRITTEN && recorder.moved(result, RING_EVENTS)) {
      result = writeSpanEvent(
        recorder.file!,
        this,
        shape,
        interned,
        low,
        high,
        attributes,
        limit,
      );
      recorder.again(result, RING_EVENTS);
    }
    if (result === WRITTEN) this.events++;
    else this.droppedEvents++;
    return this;
  }

  addLink(link: Link): this {
    if (this.cannotRecord()) return this;
    this.writeLink(link);
    return this;
  }

  addLinks(links: Link[]): this {
    if (!this.cannotRecord()) this.writeLinks(links);
    return this;
  }

  setStatus(status: SpanStatus): this {
    // "Set Status" of the trace API: Ok is final, Unset is ignored, only Error has a message.
    if (this.cannotRecord()) return this;
    let code: SpanStatusCode;
    let message: unknown;
    try {
      if (!isObject(status)) return this;
      ({ code, message } = status);
    } catch {
      diag.warn("setStatus: the status could not be read");
      return this;
    }
    if (code !== SpanStatusCode.OK && code !== SpanStatusCode.ERROR) return this;
    if (this.statusCode === SpanStatusCode.OK) return this;
    this.statusCode = code;
    this.statusMessage = "";
    if (code === SpanStatusCode.ERROR && message !== undefined && message !== null) {
      if (typeof message === "string") this.statusMessage = message;
      else diag.warn(`span status: the message must be a string, not ${typeof message}`);
    }
    return this;
  }

  updateName(name: string): this {
    if (this.cannotRecord()) return this;
    const { recorder } = this.tracer;
    if (recorder.file === null) return this;
    const text = asText(name);
    const result = writeName(recorder.file, this, text);
    if (result !== WRITTEN && recorder.moved(result)) {
      recorder.again(writeName(recorder.file!, this, text));
    }
    return this;
  }

  recordException(exception: Exception, time?: TimeInput): void {
    if (this.cannotRecord()) return;
    const attributes = exceptionAttributes(exception);
    if (attributes === null) {
      diag.warn("recordException: the exception has neither a type nor a message");
      return;
    }
    this.addEvent("exception", attributes, time);
  }

  end(endTime?: TimeInput): void {
    if (this.ended) {
      diag.warn(`span ${this.spanContext().spanId}: end() was called before`);
      return;
    }
    this.ended = true;
    const { recorder } = this.tracer;
    if (this.silent || recorder.file === null) return;
    if (endTime === undefined) setTimeNow();
    else setTime(endTime, "end");
    let low = timeWords[0];
    let high = timeWords[1];
    if (high < this.startHigh || (high === this.startHigh && low >>> 0 < this.startLow >>> 0)) {
      low = this.startLow;
      high = this.startHigh;
    }
    const { statusCode, statusMessage, droppedEvents, droppedLinks } = this;
    let result = writeEnd(
      recorder.file,
      this,
      low,
      high,
      statusCode,
      statusMessage,
      droppedEvents,
      droppedLinks,
    );
    if (result !== WRITTEN && recorder.moved(result)) {
      result = writeEnd(
        recorder.file!,
        this,
        low,
        high,
        statusCode,
        statusMessage,
        droppedEvents,
        droppedLinks,
      );
      recorder.again(result);
    }
    recorder.file!.open--;
  }

  /** Writes links within the limits; also those given at start. */
  writeLinks(links: unknown): void {
    try {
      if (!Array.isArray(links)) return;
      for (const link of links) this.writeLink(link);
    } catch {
      // A list that throws when it is read; those read before stay.
      this.droppedLinks++;
    }
  }

  private writeLink(link: Link): void {
    const { recorder } = this.tracer;
    if (recorder.file === null || this.silent) return;
    let isWritten = false;
    try {
      isWritten = this.tryLink(link);
    } catch {
      // What can't be read is no link.
    }
    if (isWritten) this.links++;
    else this.droppedLinks++;
  }

  /** False for a link too many, one that is none, or that found no room. */
  private tryLink(link: Link): boolean {
    const { recorder, limits } = this.tracer;
    const { file, linkShape } = recorder;
    if (file === null || this.links >= limits.linkCountLimit) return false;
    const context = link?.context;
    const { traceId, spanId, traceFlags, isRemote, traceState } = context ?? {};
    const attributes = attributesOf(link?.attributes);
    const state = traceState ? serialized(traceState) : undefined;
    const dropped = typeof link?.droppedAttributesCount === "number"
      ? link.droppedAttributesCount
      : 0;
    // Nothing of the caller's runs between here and the record, for `linked` is there only once.
    if (!readIds(linked, traceId, spanId)) return false;
    const flags = (traceFlags & TRACE_FLAGS) | FLAG_HAS_IS_REMOTE | (isRemote ? FLAG_IS_REMOTE : 0);
    const limit = limits.attributePerLinkCountLimit;
    const write = (file: RecordFile) =>
      writeLink(file, this, linked, flags, state, attributes, limit, linkShape, dropped);
    let result = write(file);
    if (result !== WRITTEN && recorder.moved(result)) {
      result = recorder.again(write(recorder.file!));
    }
    return result === WRITTEN;
  }

  private cannotRecord(): boolean {
    if (this.ended) {
      diag.warn(`span ${this.spanContext().spanId}: it has ended and records nothing more`);
      return true;
    }
    return this.silent;
  }
}

/** `exception.*` attributes; null for something that has neither type nor message. */
export function exceptionAttributes(exception: unknown): Attributes | null {
  const attributes: Attributes = {};
  if (typeof exception === "string" || typeof exception === "object") {
    addException(attributes, exception);
  }
  return attributes[ATTR_EXCEPTION_TYPE] || attributes[ATTR_EXCEPTION_MESSAGE] ? attributes : null;
}

/** Sets `timeWords` to what the caller gave, or now where that is nothing or no time. */
export function setTime(time: TimeInput | undefined, call: string): void {
  if (time !== undefined && time !== null) {
    try {
      if (setTimeFromInput(time)) return;
    } catch {
      // A date of the caller's class, or a proxy.
    }
    diag.warn(`${call}: ${asText(time)} is not a time; taking the time now`);
  }
  setTimeNow();
}

/** A name as a string, whatever was passed; never throws. */
export function asText(name: unknown): string {
  if (typeof name === "string") return name;
  try {
    return String(name);
  } catch {
    return "";
  }
}

/** What a trace state says; undefined where it does not say it. */
export function serialized(state: TraceState): string | undefined {
  try {
    const text: unknown = state.serialize();
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}

/** 0 for a proxy that does not say its keys. */
function keyCount(attributes: Attributes): number {
  try {
    return Object.keys(attributes).length;
  } catch {
    return 0;
  }
}

function isTime(value: unknown): value is TimeInput {
  try {
    return typeof value === "number" || value instanceof Date ||
      (Array.isArray(value) && value.length === 2 && typeof value[0] === "number" &&
        typeof value[1] === "number");
  } catch {
    // A proxy that was revoked, or whose traps throw.
    return false;
  }
}

function isObject(value: unknown): value is Record<string, never> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isKey(key: unknown): key is string {
  if (typeof key === "string" && key.length > 0) return true;
  diag.warn(`setAttribute: the key must be a string that is not empty, not ${asText(key)}`);
  return false;
}
