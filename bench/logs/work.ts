/**
 * The log record that is measured, made through the API alone and so the same for every competitor:
 * a message, a severity, five attributes (string, int, double, bool, string), within a span.
 *
 * @module
 */
import { type Context, type Logger, ROOT_CONTEXT, trace } from "@opentelemetry/api";

/** Severity number and text of every record. */
export const SEVERITY = 9;
export const SEVERITY_TEXT = "INFO";
/** The attribute that says which record it is. */
export const NUMBER_KEY = "app.request.number";
/** The span that all records belong to. */
export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
export const SPAN_ID = "b7ad6b7169203331";

/** The context to log in. */
export function spanContext(): Context {
  const span = trace.wrapSpanContext({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 });
  return trace.setSpan(ROOT_CONTEXT, span);
}

/** The attributes of record `number`. The double is never whole: whole ones are ints. */
export function attributesOf(number: number): Record<string, unknown> {
  return {
    "http.request.method": "GET",
    [NUMBER_KEY]: number,
    "app.price": 0.25 + number % 100,
    "app.cached": (number & 3) === 0,
    "url.path": `/items/${number % 1000}`,
  };
}

/** The message of record `number`: never the same twice in a row. */
export function bodyOf(number: number): string {
  return `request ${number % 1000} was handled`;
}

/** Emits the records `first` to `first + count - 1`. */
export function emitLogs(logger: Logger, first: number, count: number): void {
  for (let i = first; i < first + count; i++) {
    logger.emit({
      severityNumber: SEVERITY,
      severityText: SEVERITY_TEXT,
      body: `request ${i % 1000} was handled`,
      // Written out: what it costs to make an object with a computed key is not the question.
      attributes: {
        "http.request.method": "GET",
        "app.request.number": i,
        "app.price": 0.25 + i % 100,
        "app.cached": (i & 3) === 0,
        "url.path": `/items/${i % 1000}`,
      },
    });
  }
}
