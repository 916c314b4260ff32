/**
 * Makes spans: sampling, ids, parent, and the start record.
 *
 * @module
 */
import {
  type Attributes,
  type Context,
  diag,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  SpanKind,
  type SpanOptions,
  trace,
  type Tracer as ApiTracer,
  type TraceState,
} from "@opentelemetry/api";
import { isTracingSuppressed } from "@opentelemetry/core";
import { attributesOf } from "../record/attributes.ts";
import { writeStart, WRITTEN } from "../record/encode.ts";
import { Shape } from "../record/shape.ts";
import { randomWord, readIds, wordToHex } from "../record/ids.ts";
import { SpanContextLayer, withSpan } from "./context.ts";
import type { ResolvedSpanLimits } from "./limits.ts";
import type { Recorder, ScopeIdentity } from "./recorder.ts";
import {
  ALWAYS,
  CALL,
  type CompiledSampler,
  DROP,
  NEVER,
  ratioKeeps,
  RECORD_AND_SAMPLE,
  type SamplingResult,
} from "./sampler.ts";
import { asText, FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, serialized, setTime, Span } from "./span.ts";
import { setTimeNow, timeWords } from "../record/time.ts";

/** Makes ids, for those who need their own (for example with a prefix that a backend wants). */
export interface IdGenerator {
  /** 32 hex digits, not all zeros. */
  generateTraceId(): string;
  /** 16 hex digits, not all zeros. */
  generateSpanId(): string;
}

/** What all tracers of a provider share. */
export interface TracerSettings {
  readonly recorder: Recorder;
  readonly sampler: CompiledSampler;
  readonly limits: ResolvedSpanLimits;
  readonly idGenerator: IdGenerator | null;
  /** Called when a span has started, before `startSpan` returns it. */
  readonly onStart: ((span: ApiSpan, parentContext: Context) => void) | null;
  /** The active context. */
  activeContext(): Context;
  /** Calls `run` with `span` while `context` is the active one. */
  runIn<R>(context: Context, run: (span: ApiSpan) => R, span: ApiSpan): R;
  /** True once the provider is shut down. */
  isShutDown: boolean;
}

/** Names of spans that are remembered; beyond, a name is encoded every time. */
const MAX_SHAPES = 2000;

/** Makes the spans of one instrumentation scope. */
export class Tracer implements ApiTracer {
  readonly recorder: Recorder;
  readonly limits: ResolvedSpanLimits;
  /** The ref of the scope in the file that is being written. */
  scopeRef = 0;
  private readonly settings: TracerSettings;
  private readonly scope: ScopeIdentity;
  private readonly shapes = new Map<string, Shape>();
  private lastName = "";
  private lastShape: Shape = new Shape("");

  constructor(settings: TracerSettings, scope: ScopeIdentity) {
    this.settings = settings;
    this.scope = scope;
    this.recorder = settings.recorder;
    this.limits = settings.limits;
    this.bind();
  }

  /** Writes the scope into the current file's dictionary; called for every new file. */
  bind(): void {
    this.scopeRef = this.recorder.internScope(this.scope);
  }

  startSpan(name: string, options?: SpanOptions, context?: Context): ApiSpan {
    const { settings } = this;
    name = asText(name);
    context = isContext(context) ? context : settings.activeContext();
    try {
      return this.make(name, options, context);
    } catch (error) {
      // A getter of the caller's, say: what can be read counts.
      diag.warn(`startSpan: options or context of ${name} could not be read`, error);
      return this.make(
        name,
        readableOptions(options),
        isReadable(context) ? context : ROOT_CONTEXT,
      );
    }
  }

  private make(name: string, options: SpanOptions | undefined, context: Context): ApiSpan {
    const { settings, recorder } = this;
    let parent: ApiSpan | undefined;
    // The root context holds nothing: no need to look.
    if (context !== ROOT_CONTEXT) {
      const isLayer = context instanceof SpanContextLayer;
      const base: Context = isLayer ? (context as SpanContextLayer).base : context;
      if (options?.root === true) context = trace.deleteSpan(context);
      else parent = isLayer ? (context as SpanContextLayer).span : trace.getSpan(context);
      if (base !== ROOT_CONTEXT && isTracingSuppressed(base)) {
        return trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
      }
    }
    const span = new Span(this, this.shape(name));
    const compiled = settings.sampler;
    let rule: number;
    let parent0 = 0;
    let parent1 = 0;
    if (parent instanceof Span) {
      span.t0 = parent.t0;
      span.t1 = parent.t1;
      span.t2 = parent.t2;
      span.t3 = parent.t3;
      span.traceState = parent.traceState;
      parent0 = parent.s0;
      parent1 = parent.s1;
      span.flags = FLAG_HAS_IS_REMOTE;
      rule = (parent.flags & 1) === 1 ? compiled.localSampled : compiled.localNotSampled;
    } else if (parent === undefined) {
      this.newTraceId(span);
      span.flags = FLAG_HAS_IS_REMOTE;
      rule = compiled.root;
    } else {
      const parentContext = parent.spanContext();
      if (
        isSpanContextValid(parentContext) && typeof parentContext.traceFlags === "number" &&
        readIds(span, parentContext.traceId, parentContext.spanId)
      ) {
        parent0 = span.s0;
        parent1 = span.s1;
        span.traceState = parentContext.traceState;
        const sampled = (parentContext.traceFlags & 1) === 1;
        if (parentContext.isRemote) {
          span.flags = FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE;
          rule = sampled ? compiled.remoteSampled : compiled.remoteNotSampled;
        } else {
          span.flags = FLAG_HAS_IS_REMOTE;
          rule = sampled ? compiled.localSampled : compiled.localNotSampled;
        }
      } else {
        this.newTraceId(span);
        span.flags = FLAG_HAS_IS_REMOTE;
        rule = compiled.root;
      }
    }
    this.newSpanId(span);

    let attributes = attributesOf(options?.attributes) as Attributes | undefined;
    const kind = options?.kind ?? SpanKind.INTERNAL;
    if (rule === ALWAYS) {
      span.flags |= 1;
    } else if (rule === CALL) {
      const result = this.ask(span, context, name, kind, attributes, options?.links);
      if (result.decision === DROP) return notRecording(span, result.traceState);
      if (result.traceState !== undefined) span.traceState = result.traceState;
      if (result.attributes !== undefined) attributes = result.attributes;
      if (result.decision === RECORD_AND_SAMPLE) span.flags |= 1;
      else span.silent = true;
    } else if (rule === NEVER || !ratioKeeps(span.t0, span.t1, span.t2, span.t3, rule)) {
      return notRecording(span, undefined);
    } else {
      span.flags |= 1;
    }

    const startTime = options?.startTime;
    if (startTime === undefined) setTimeNow();
    else setTime(startTime, "startSpan");
    const low = timeWords[0];
    const high = timeWords[1];
    span.startLow = low;
    span.startHigh = high;

    const file = recorder.file;
    if (span.silent || file === null || settings.isShutDown) {
      span.silent = true;
      return span;
    }
    // OTLP numbers the kinds from 1 on, the API from 0.
    const otlpKind = typeof kind === "number" && kind >= 0 && kind <= 4 ? kind + 1 : 1;
    const state = span.traceState ? serialized(span.traceState) : undefined;
    const limit = this.limits.attributeCountLimit;
    let result = writeStart(
      file,
      span,
      otlpKind,
      low,
      high,
      parent0,
      parent1,
      state,
      attributes,
      limit,
    );
    if (result !== WRITTEN && recorder.moved(result)) {
      result = writeStart(
        recorder.file!,
        span,
        otlpKind,
        low,
        high,
        parent0,
        parent1,
        state,
        attributes,
        limit,
      );
      recorder.again(result);
    }
    if (result !== WRITTEN) {
      span.silent = true;
      return span;
    }
    recorder.file!.open++;
    if (options?.links !== undefined) span.writeLinks(options.links);
    if (settings.onStart !== null) callHook(settings.onStart, span, context);
    return span;
  }

  startActiveSpan<F extends (span: ApiSpan) => unknown>(name: string, fn: F): ReturnType<F>;
  startActiveSpan<F extends (span: ApiSpan) => unknown>(
    name: string,
    options: SpanOptions,
    fn: F,
  ): ReturnType<F>;
  startActiveSpan<F extends (span: ApiSpan) => unknown>(
    name: string,
    options: SpanOptions,
    context: Context,
    fn: F,
  ): ReturnType<F>;
  startActiveSpan<F extends (span: ApiSpan) => unknown>(
    name: string,
    second: SpanOptions | F,
    third?: Context | F,
    fourth?: F,
  ): ReturnType<F> {
    const run = (fourth ?? third ?? second) as (span: ApiSpan) => ReturnType<F>;
    const options = typeof second === "function" ? undefined : second;
    const parent = fourth !== undefined && isContext(third) ? third : this.settings.activeContext();
    const span = this.startSpan(name, options, parent);
    return this.settings.runIn(withSpan(parent, span), run, span);
  }

  private shape(name: string): Shape {
    if (name === this.lastName) return this.lastShape;
    let shape = this.shapes.get(name);
    if (shape === undefined) {
      shape = new Shape(name);
      if (this.shapes.size >= MAX_SHAPES) return shape;
      this.shapes.set(name, shape);
    }
    this.lastName = name;
    this.lastShape = shape;
    return shape;
  }

  private newTraceId(span: Span): void {
    const generator = this.settings.idGenerator;
    if (generator !== null && generatedIds(span, generator)) return;
    do {
      span.t0 = randomWord();
      span.t1 = randomWord();
      span.t2 = randomWord();
      span.t3 = randomWord();
    } while ((span.t0 | span.t1 | span.t2 | span.t3) === 0);
  }

  private newSpanId(span: Span): void {
    const generator = this.settings.idGenerator;
    if (generator !== null && generatedSpanId(span, generator)) return;
    do {
      span.s0 = randomWord();
      span.s1 = randomWord();
    } while ((span.s0 | span.s1) === 0);
  }

  private ask(
    span: Span,
    context: Context,
    name: string,
    kind: SpanKind,
    attributes: Attributes | undefined,
    links: Link[] | undefined,
  ): SamplingResult {
    const { traceId } = span.spanContext();
    try {
      const { decision, attributes: added, traceState } = this.settings.sampler.sampler
        .shouldSample(context, traceId, name, kind, attributes ?? {}, links ?? []);
      return { decision, traceState, attributes: added && { ...attributes, ...added } };
    } catch (error) {
      diag.error("the sampler threw; the span is not sampled", error);
      return { decision: DROP };
    } finally {
      span.forgetContext();
    }
  }
}

/** Whether something may be a context; never throws. */
function isContext(value: unknown): value is Context {
  try {
    return value instanceof SpanContextLayer ||
      typeof (value as Context | undefined)?.getValue === "function";
  } catch {
    // A proxy that was revoked, or whose traps throw.
    return false;
  }
}

/** Whether all that a span needs of its context can be read. */
function isReadable(context: Context): boolean {
  try {
    isTracingSuppressed(context);
    const span = trace.getSpan(context);
    // A proxy may throw here, and any getter.
    if (span === undefined || span instanceof Span) return true;
    const { traceId, spanId, traceFlags, isRemote, traceState } = span.spanContext();
    return [traceId, spanId, traceFlags, isRemote, traceState].length > 0;
  } catch {
    return false;
  }
}

/** A copy of what can be read of options. */
function readableOptions(options: unknown): SpanOptions {
  const readable: Record<string, unknown> = {};
  for (const key of ["root", "kind", "attributes", "links", "startTime"]) {
    try {
      readable[key] = (options as Record<string, unknown>)[key];
    } catch {
      // As if it were not there.
    }
  }
  return readable;
}

/** A span that only carries its context on. */
function notRecording(span: Span, traceState: TraceState | undefined): ApiSpan {
  return trace.wrapSpanContext({
    traceId: wordToHex(span.t0) + wordToHex(span.t1) + wordToHex(span.t2) + wordToHex(span.t3),
    spanId: wordToHex(span.s0) + wordToHex(span.s1),
    traceFlags: 0,
    traceState: traceState ?? span.traceState,
  });
}

const ZERO_SPAN_ID = "0".repeat(16);
const ZERO_TRACE_ID = "0".repeat(32);

function generatedIds(span: Span, generator: IdGenerator): boolean {
  const traceId = attempt(() => generator.generateTraceId(), "generateTraceId");
  return traceId !== ZERO_TRACE_ID && readIds(span, traceId, ZERO_SPAN_ID);
}

function generatedSpanId(span: Span, generator: IdGenerator): boolean {
  const { t0, t1, t2, t3 } = span;
  const spanId = attempt(() => generator.generateSpanId(), "generateSpanId");
  const usable = spanId !== ZERO_SPAN_ID && readIds(span, ZERO_TRACE_ID, spanId);
  span.t0 = t0;
  span.t1 = t1;
  span.t2 = t2;
  span.t3 = t3;
  return usable;
}

/** "" where the caller's generator throws. */
function attempt(make: () => string, call: string): string {
  try {
    return make();
  } catch (error) {
    diag.error(`${call} threw; taking a random id`, error);
    return "";
  }
}

function callHook(
  hook: (span: ApiSpan, parentContext: Context) => void,
  span: Span,
  context: Context,
): void {
  try {
    hook(span, context);
  } catch (error) {
    diag.error("onStart threw", error);
  }
}
