/**
 * The span of a context, as far as other records carry it.
 *
 * @module
 */
import { type Context, ROOT_CONTEXT, type Span as ApiSpan, trace } from "@opentelemetry/api";
import { type IdWords, readIds } from "../record/ids.ts";
import { caller } from "../record/slot.ts";
import { SpanContextLayer } from "./context.ts";
import { Span } from "./span.ts";

/** Ids of a span as words, if there is one. */
export interface ActiveSpan extends IdWords {
  hasSpan: boolean;
  /** W3C trace flags. */
  flags: number;
}

/** One that holds no span. */
export function createActiveSpan(): ActiveSpan {
  return { t0: 0, t1: 0, t2: 0, t3: 0, s0: 0, s1: 0, hasSpan: false, flags: 0 };
}

/** Sets `into` to the span of `context`. */
export function readActiveSpan(context: Context, into: ActiveSpan): void {
  into.hasSpan = false;
  if (context === ROOT_CONTEXT) return;
  const span = spanOf(context);
  if (span === undefined) return;
  if (!isOurs(span)) return readForeign(span, into);
  into.t0 = span.t0;
  into.t1 = span.t1;
  into.t2 = span.t2;
  into.t3 = span.t3;
  into.s0 = span.s0;
  into.s1 = span.s1;
  into.flags = span.flags & 0xff;
  into.hasSpan = true;
}

function spanOf(context: Context): ApiSpan | undefined {
  try {
    return context instanceof SpanContextLayer ? context.span : trace.getSpan(context);
  } catch {
    return undefined;
  }
}

function isOurs(span: ApiSpan): span is Span {
  try {
    return span instanceof Span;
  } catch {
    // A proxy that was revoked, or whose traps throw.
    return false;
  }
}

/**
 * The ids of the last span that is not ours: a context from another process, or with traces off,
 * stays for many records, and reading hex is what they would cost most.
 */
const last = { traceId: "", spanId: "", t0: 0, t1: 0, t2: 0, t3: 0, s0: 0, s1: 0 };

function readForeign(span: ApiSpan, into: ActiveSpan): void {
  // What the caller's span calls must not take the ids away that are being read.
  caller.runs = true;
  try {
    const { traceId, spanId, traceFlags } = span.spanContext();
    if (traceId !== last.traceId || spanId !== last.spanId) {
      if (!readIds(last, traceId, spanId)) return;
      last.traceId = traceId;
      last.spanId = spanId;
    }
    if ((last.t0 | last.t1 | last.t2 | last.t3) === 0 || (last.s0 | last.s1) === 0) return;
    into.t0 = last.t0;
    into.t1 = last.t1;
    into.t2 = last.t2;
    into.t3 = last.t3;
    into.s0 = last.s0;
    into.s1 = last.s1;
    into.flags = traceFlags & 0xff;
    into.hasSpan = true;
  } catch {
    // Then the record belongs to no span.
  } finally {
    caller.runs = false;
  }
}
