/**
 * The witness of the demo: preloaded after `register.ts`, it notes every span that starts or ends
 * in this process, every log record and what is added to counters in a plain file of its own,
 * DEMO_JOURNAL, when the call has returned.
 *
 *     bun --preload ./register.ts --preload ./examples/demo/journal.ts app.ts
 *
 * One `write` a line, made before the program goes on: like the records themselves these lines
 * survive a SIGKILL, but they go another way, so each can be held against the other.
 *
 * @module
 */
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import {
  type Counter,
  type Logger,
  logs,
  type Meter,
  metrics,
  type ProxyTracerProvider,
  trace,
  type Tracer,
} from "@opentelemetry/api";

const file = openSync(process.env.DEMO_JOURNAL!, "a");
const seen = new WeakSet<Tracer | Logger | Meter | Counter>();

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

function observedLogger(logger: Logger): Logger {
  if (seen.has(logger)) return logger;
  seen.add(logger);
  const { emit } = logger;
  logger.emit = (record) => {
    emit.call(logger, record);
    const { traceId, spanId } = trace.getActiveSpan()!.spanContext();
    writeSync(file, `log ${traceId} ${spanId} ${record.body}\n`);
  };
  return logger;
}

const loggers = logs.getLoggerProvider();
const { getLogger } = loggers;
loggers.getLogger = (...scope) => observedLogger(getLogger.apply(loggers, scope));

function observedMeter(meter: Meter): Meter {
  if (seen.has(meter)) return meter;
  seen.add(meter);
  const { createCounter } = meter;
  meter.createCounter = (name, options) => {
    const counter = createCounter.call(meter, name, options);
    if (seen.has(counter)) return counter;
    seen.add(counter);
    const { add } = counter;
    counter.add = (value, attributes, context) => {
      add.call(counter, value, attributes, context);
      writeSync(file, `add ${value} ${name}\n`);
    };
    return counter;
  };
  return meter;
}

const meters = metrics.getMeterProvider();
const { getMeter } = meters;
meters.getMeter = (...scope) => observedMeter(getMeter.apply(meters, scope));
