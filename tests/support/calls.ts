/**
 * An endless list of calls of the tracing API, each known by its number alone: a program makes them
 * one after another, and a test knows what has to be there after any number of them.
 *
 * @module
 */
import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { Plain, PlainObject } from "./collector.ts";

/**
 * Calls of a span, in their order. The calls of a step belong to as many spans as there are kinds:
 * one starts, one gets its first attribute, and so on to the one that ends. So there are always
 * open spans at every stage.
 */
const KINDS = [
  "start",
  "setAttribute",
  "addEvent",
  "addLink",
  "updateName",
  "setAttributes",
  "recordException",
  "setStatus",
  "end",
] as const;

/** Calls a span. */
export const CALLS_PER_SPAN = KINDS.length;

/** What the calls say is one of this many variants. */
const VARIANTS = 48;
/** Spans that are remembered: more than are ever open. */
const REMEMBERED = 16;
/** Seconds since the Unix epoch of call 0; each call takes place a microsecond later. */
const BASE_SECONDS = 1_780_000_000;

/** A span as it must arrive. */
export interface ExpectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: number;
  start: bigint;
  end: bigint;
  attributes: PlainObject;
  events: { name: string; time: bigint; attributes: PlainObject }[];
  links: { traceId: string; spanId: string; traceState: string; attributes: PlainObject }[];
  status: { code: number; message: string };
}

/** The trace of span `span`: four successive spans share one. */
function traceIdOf(span: number): string {
  return "7".repeat(16) + (span >> 2).toString(16).padStart(16, "0");
}

function spanIdOf(span: number): string {
  return "3".repeat(8) + span.toString(16).padStart(8, "0");
}

function timeOf(call: number): [number, number] {
  return [BASE_SECONDS + Math.floor(call / 1e6), (call % 1e6) * 1000];
}

function nanosOf(call: number): bigint {
  return BigInt(BASE_SECONDS) * 1_000_000_000n + BigInt(call) * 1000n;
}

// ------------------------------------------------------------------------------------ what is said

/** Text of every width of UTF-8. */
function text(variant: number, length: number): string {
  return `${variant} aé€𝄞 `.repeat(Math.ceil(length / 12));
}

function startAttributes(variant: number): Attributes {
  return {
    "http.request.method": ["GET", "PUT", "POST"][variant % 3],
    "url.path": `/${"p/".repeat(variant % 30)}`,
    "server.port": 8000 + variant,
    ratio: variant / 7 + 0.001,
    ok: variant % 2 === 0,
  };
}

function singleAttribute(variant: number): [string, string | number | boolean | number[]] {
  const values = [-variant, text(variant, 5 * variant), variant % 2 === 1, [variant, -1, 2 ** 40]];
  return [`single.${variant % 11}`, values[variant % 4]];
}

function eventAttributes(variant: number): Attributes {
  return { "event.number": variant, "event.text": text(variant, variant * 8) };
}

/** Up to some 1,500 bytes, so that a call often is in the middle of writing. */
function manyAttributes(variant: number): Attributes {
  const attributes: Attributes = { list: ["a", text(variant, 20), "c"] };
  for (let i = 0; i < 12 + variant % 8; i++) {
    attributes[`many.${i}`] = i % 3 === 0 ? i * variant : text(variant, 10 + variant);
  }
  return attributes;
}

function exception(variant: number): { name: string; message: string; stack: string } {
  const message = text(variant, 30);
  return { name: "TypeError", message, stack: `at ${"f ".repeat(variant * 8)}` };
}

function link(variant: number): Link {
  return {
    context: {
      traceId: "5".repeat(30) + (variant + 16).toString(16),
      spanId: "4".repeat(14) + (variant + 16).toString(16),
      traceFlags: 1,
    },
    attributes: { "link.number": variant },
  };
}

function hasStatus(variant: number): boolean {
  return variant % 3 === 0;
}

const variants = Array.from({ length: VARIANTS }, (_, variant) => ({
  name: `span ${variant % 10}`,
  renamed: `renamed ${variant}`,
  start: startAttributes(variant),
  single: singleAttribute(variant),
  eventName: `event ${variant % 5}`,
  event: eventAttributes(variant),
  many: manyAttributes(variant),
  exception: exception(variant),
  link: link(variant),
  status: { code: SpanStatusCode.ERROR, message: text(variant, 20) },
}));

// ------------------------------------------------------------------------------------ making calls

/** Ids of the span that is started next, for `start({ idGenerator })`. */
export class NumberedIds {
  /** The span. */
  next = 0;
  generateTraceId(): string {
    return traceIdOf(this.next);
  }
  generateSpanId(): string {
    return spanIdOf(this.next);
  }
}

/** Told of each call: right before it is made, and right after it returned. */
export interface CallObserver {
  entering(call: number): void;
  returnedFrom(call: number): void;
}

/** Makes calls 0, 1, … up to `count`. */
export function makeCalls(
  tracer: Tracer,
  ids: NumberedIds,
  count: number,
  observer: CallObserver,
): void {
  const spans: Span[] = new Array(REMEMBERED).fill(trace.wrapSpanContext({
    traceId: traceIdOf(0),
    spanId: spanIdOf(0),
    traceFlags: 0,
  }));
  for (let call = 0; call < count; call++) {
    const kind = call % CALLS_PER_SPAN;
    const number = Math.floor(call / CALLS_PER_SPAN) - kind;
    if (number < 0) continue;
    const said = variants[number % VARIANTS];
    const time = timeOf(call);
    const span = spans[number % REMEMBERED];
    switch (KINDS[kind]) {
      case "start": {
        ids.next = number;
        const options: SpanOptions = {
          kind: number % 5,
          startTime: time,
          attributes: said.start,
        };
        const context = (number & 3) === 0
          ? ROOT_CONTEXT
          : trace.setSpan(ROOT_CONTEXT, spans[(number - 1) % REMEMBERED]);
        observer.entering(call);
        spans[number % REMEMBERED] = tracer.startSpan(said.name, options, context);
        break;
      }
      case "setAttribute":
        observer.entering(call);
        span.setAttribute(said.single[0], said.single[1]);
        break;
      case "addEvent":
        observer.entering(call);
        span.addEvent(said.eventName, said.event, time);
        break;
      case "addLink":
        observer.entering(call);
        span.addLink(said.link);
        break;
      case "updateName":
        observer.entering(call);
        span.updateName(said.renamed);
        break;
      case "setAttributes":
        observer.entering(call);
        span.setAttributes(said.many);
        break;
      case "recordException":
        observer.entering(call);
        span.recordException(said.exception, time);
        break;
      case "setStatus":
        observer.entering(call);
        if (hasStatus(number % VARIANTS)) span.setStatus(said.status);
        break;
      case "end":
        observer.entering(call);
        span.end(time);
        break;
    }
    observer.returnedFrom(call);
  }
}

// ------------------------------------------------------------------------------- what must be there

/** How many records calls 0 to `count` - 1 offer: one each, but for `setStatus`, which the end tells. */
export function recordsAfter(count: number): number {
  let records = 0;
  for (let call = 0; call < count; call++) {
    const kind = call % CALLS_PER_SPAN;
    const isMade = Math.floor(call / CALLS_PER_SPAN) >= kind;
    if (isMade && KINDS[kind] !== "setStatus") records++;
  }
  return records;
}

function plain(value: unknown): Plain {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value as Plain;
}

function plainOf(attributes: Attributes): PlainObject {
  return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, plain(value)]));
}

/**
 * What must have arrived when calls 0 to `count` - 1 had returned before the process died: each span
 * by its id. Open spans end with the last thing that was recorded.
 */
export function expectedAfter(count: number): Map<string, ExpectedSpan> {
  const spans = new Map<string, ExpectedSpan>();
  let last = 0n;
  for (let call = 0; call < count; call++) {
    const kind = call % CALLS_PER_SPAN;
    const number = Math.floor(call / CALLS_PER_SPAN) - kind;
    if (number < 0) continue;
    const variant = number % VARIANTS;
    const said = variants[variant];
    const time = nanosOf(call);
    const span = spans.get(spanIdOf(number))!;
    switch (KINDS[kind]) {
      case "start":
        spans.set(spanIdOf(number), {
          traceId: traceIdOf(number),
          spanId: spanIdOf(number),
          parentSpanId: (number & 3) === 0 ? "" : spanIdOf(number - 1),
          name: said.name,
          kind: number % 5 + 1,
          start: time,
          end: 0n,
          attributes: plainOf(said.start),
          events: [],
          links: [],
          status: { code: 0, message: "" },
        });
        last = time;
        break;
      case "setAttribute":
        span.attributes[said.single[0]] = plain(said.single[1]);
        break;
      case "addEvent":
        span.events.push({ name: said.eventName, time, attributes: plainOf(said.event) });
        last = time;
        break;
      case "addLink":
        span.links.push({
          traceId: said.link.context.traceId,
          spanId: said.link.context.spanId,
          traceState: "",
          attributes: plainOf(said.link.attributes!),
        });
        break;
      case "updateName":
        span.name = said.renamed;
        break;
      case "setAttributes":
        Object.assign(span.attributes, plainOf(said.many));
        break;
      case "recordException": {
        const { name, message, stack } = said.exception;
        const attributes: PlainObject = {
          "exception.type": name,
          "exception.message": message,
          "exception.stacktrace": stack,
        };
        span.events.push({ name: "exception", time, attributes });
        last = time;
        break;
      }
      case "setStatus":
        break;
      case "end":
        span.end = time;
        if (hasStatus(variant)) span.status = { code: 2, message: said.status.message };
        last = time;
        break;
    }
  }
  for (const span of spans.values()) {
    if (span.end !== 0n) continue;
    span.end = last;
    span.status = { code: 2, message: "the process ended before the span did" };
    span.attributes["otlp_mmap.interrupted"] = true;
  }
  return spans;
}
