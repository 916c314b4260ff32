/**
 * The span of a context, as far as other records carry it.
 *
 * @module
 */
import {
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  trace,
} from "@opentelemetry/api";
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
  const span = context instanceof SpanContextLayer ? context.span : spanOf(context);
  if (span === undefined) return;
  if (!(span instanceof Span)) return readForeign(span, into);
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
    return trace.getSpan(context);
  } catch {
    return undefined;
  }
}

function readForeign(span: ApiSpan, into: ActiveSpan): void {
  // What the caller's span calls must not take the ids away that are being read.
  caller.runs = true;
  try {
    const context = span.spanContext();
    if (isSpanContextValid(context) && readIds(into, context.traceId, context.spanId)) {
      into.flags = context.traceFlags & 0xff;
      into.hasSpan = true;
    }
  } catch {
    // Then the record belongs to no span.
  } finally {
    caller.runs = false;
  }
}
