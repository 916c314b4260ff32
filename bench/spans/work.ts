/**
 * The span that is measured, made through the API alone and so the same for every competitor: a
 * string, an int, a double, a bool and a string at its start, an int later, and its end.
 *
 * @module
 */
import { type Attributes, ROOT_CONTEXT, SpanKind, trace, type Tracer } from "@opentelemetry/api";

/** Name of every span. */
export const SPAN_NAME = "GET /items/{id}";
/** The attribute that says which span it is. */
export const NUMBER_KEY = "app.request.number";
/** The attribute that is set after the start. */
export const LATE_KEY = "http.response.body.size";

/** The attributes that span `number` starts with. The double is never whole: whole ones are ints. */
export function attributesOf(number: number): Attributes {
  return {
    "http.request.method": "GET",
    [NUMBER_KEY]: number,
    "app.price": 0.25 + number % 100,
    "app.cached": (number & 3) === 0,
    "url.path": `/items/${number % 1000}`,
  };
}

/** The value of the late attribute. */
export function lateValue(number: number): number {
  return 200 + number % 5000;
}

/** Makes the spans `first` to `first + count - 1`. */
export type Burst = (tracer: Tracer, first: number, count: number) => void;

/** Every second span is a root; those between are children of the first, by an explicit context. */
export function startSpans(tracer: Tracer, first: number, count: number): void {
  let parent = ROOT_CONTEXT;
  for (let i = first; i < first + count; i++) {
    const span = tracer.startSpan(
      SPAN_NAME,
      {
        kind: SpanKind.SERVER,
        // Written out: what it costs to make an object with a computed key is not the question.
        attributes: {
          "http.request.method": "GET",
          "app.request.number": i,
          "app.price": 0.25 + i % 100,
          "app.cached": (i & 3) === 0,
          "url.path": `/items/${i % 1000}`,
        },
      },
      (i & 1) === 1 ? parent : undefined,
    );
    if (i === first) parent = trace.setSpan(ROOT_CONTEXT, span);
    span.setAttribute(LATE_KEY, lateValue(i));
    span.end();
  }
}

/** The first is a root; the others are children, and each is the active span while it lasts. */
export function startActiveSpans(tracer: Tracer, first: number, count: number): void {
  const options = (i: number) => ({
    kind: SpanKind.SERVER,
    attributes: {
      "http.request.method": "GET",
      "app.request.number": i,
      "app.price": 0.25 + i % 100,
      "app.cached": (i & 3) === 0,
      "url.path": `/items/${i % 1000}`,
    },
  });
  tracer.startActiveSpan(SPAN_NAME, options(first), (root) => {
    for (let i = first + 1; i < first + count; i++) {
      tracer.startActiveSpan(SPAN_NAME, options(i), (span) => {
        span.setAttribute(LATE_KEY, lateValue(i));
        span.end();
      });
    }
    root.setAttribute(LATE_KEY, lateValue(first));
    root.end();
  });
}
