/**
 * The witness of the demo: preloaded after `register.ts`, it notes every span that starts or ends
 * in this process in a plain file of its own, DEMO_JOURNAL, when the call has returned.
 *
 *     bun --preload ./register.ts --preload ./examples/demo/journal.ts app.ts
 *
 * One `write` a line, made before the program goes on: like the spans themselves these lines
 * survive a SIGKILL, but they go another way, so each can be held against the other.
 *
 * @module
 */
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import { type ProxyTracerProvider, trace, type Tracer } from "@opentelemetry/api";

const file = openSync(process.env.DEMO_JOURNAL!, "a");
const seen = new WeakSet<Tracer>();

function observed(tracer: Tracer): Tracer {
  if (seen.has(tracer)) return tracer;
  seen.add(tracer);
  const { startSpan } = tracer;
  tracer.startSpan = (name, options, context) => {
    const span = startSpan.call(tracer, name, options, context);
    const { traceId, spanId } = span.spanContext();
    writeSync(file, `start ${traceId} ${spanId} ${name}\n`);
    const { end } = span;
    span.end = (time) => {
      const first = span.isRecording();
      end.call(span, time);
      if (first) writeSync(file, `end ${traceId} ${spanId}\n`);
    };
    return span;
  };
  return tracer;
}

const registered = trace.getTracerProvider() as ProxyTracerProvider;
const provider = registered.getDelegate();
registered.setDelegate({
  getTracer: (...scope) => observed(provider.getTracer(...scope)),
});
