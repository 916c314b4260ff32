/**
 * A context that is another one with a span in it. The API's own contexts copy all their values for
 * each span that becomes active, which costs more than recording the span.
 *
 * @module
 */
import { type Context, type Span, trace } from "@opentelemetry/api";

/** The API keeps the key of the active span to itself, and hands it to any context. */
const SPAN_KEY: symbol = spanKey();

function spanKey(): symbol {
  let found = Symbol("no key");
  const probe: Context = {
    getValue: (key) => {
      found = key;
      return undefined;
    },
    setValue: () => probe,
    deleteValue: () => probe,
  };
  trace.getSpan(probe);
  return found;
}

/** `base` with `span` as the active one. */
export class SpanContextLayer implements Context {
  readonly base: Context;
  readonly span: Span;

  /** Use `withSpan`, which does not put one layer on another. */
  constructor(base: Context, span: Span) {
    this.base = base;
    this.span = span;
  }

  getValue(key: symbol): unknown {
    return key === SPAN_KEY ? this.span : this.base.getValue(key);
  }

  setValue(key: symbol, value: unknown): Context {
    if (key === SPAN_KEY) return new SpanContextLayer(this.base, value as Span);
    return new SpanContextLayer(this.base.setValue(key, value), this.span);
  }

  deleteValue(key: symbol): Context {
    if (key === SPAN_KEY) return this.base;
    return new SpanContextLayer(this.base.deleteValue(key), this.span);
  }
}

/** `context` with `span` as the active one. */
export function withSpan(context: Context, span: Span): Context {
  return new SpanContextLayer(context instanceof SpanContextLayer ? context.base : context, span);
}
