/**
 * Programs that know the API alone, for two SDKs to run.
 *
 * @module
 */
import {
  type Attributes,
  context,
  logs,
  metrics,
  propagation,
  ROOT_CONTEXT,
  SeverityNumber,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  ValueType,
} from "@opentelemetry/api";
import { logs as olderLogs } from "@opentelemetry/api-logs";
import type { View } from "../../mod.ts";
import { programs as ofInstruments } from "./programs/instruments.ts";
import { programs as ofLarge } from "./programs/large.ts";
import { programs as ofRecords } from "./programs/records.ts";
import { programs as ofStreams } from "./programs/streams.ts";
import { programs as ofTimes } from "./programs/times.ts";
import { programs as ofValues } from "./programs/values.ts";
import { programs as ofVariables } from "./programs/variables.ts";

/** What a program needs, said once for both SDKs. */
export interface Settings {
  readonly sampler?: "always_on" | "always_off" | "parentbased_always_off";
  readonly limits?: {
    readonly attributeCountLimit?: number;
    readonly attributeValueLengthLimit?: number;
    readonly eventCountLimit?: number;
    readonly linkCountLimit?: number;
    readonly attributePerEventCountLimit?: number;
    readonly attributePerLinkCountLimit?: number;
  };
  readonly temporality?: "cumulative" | "delta" | "lowmemory";
  readonly histograms?: "explicit" | "exponential";
  readonly views?: readonly View[];
  /** Variables of the specification: samplers, limits, the filter of exemplars. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** A program. */
export interface Program {
  /** It must not leave a trace: nothing of it is sampled. */
  readonly leavesNothing?: true;
  readonly settings?: Settings;
  /** @param collect Asks the callbacks of observables, as the end of the program does. */
  run(collect: () => Promise<unknown>): void | Promise<void>;
}

const T = 1_700_000_000;
const tracer = () => trace.getTracer("scope", "1.2.3");
const meter = () => metrics.getMeter("scope", "1.2.3");

/** Every type of value, and what is none. */
const VALUES: Record<string, unknown> = {
  text: "text",
  empty: "",
  unicode: "zażółć 🚲",
  yes: true,
  no: false,
  int: 42,
  negative: -42,
  zero: 0,
  large: 2 ** 53 - 1,
  beyond32: 2 ** 40,
  half: 0.5,
  tiny: 5e-324,
  huge: 1e300,
  texts: ["a", "b", ""],
  ints: [1, -2, 3],
  doubles: [0.5, 1.5],
  booleans: [true, false],
  none: [],
  holes: ["a", null, "b"],
  absent: undefined,
};

function spans(): void {
  const root = tracer().startSpan("root", {
    kind: SpanKind.SERVER,
    startTime: [T, 1],
    attributes: VALUES as Attributes,
    links: [{
      context: { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1, isRemote: true },
      attributes: { "link.a": 1 },
    }],
  });
  const within = trace.setSpan(ROOT_CONTEXT, root);
  for (const [name, kind] of Object.entries(SpanKind)) {
    if (typeof kind !== "number") continue;
    tracer().startSpan(`kind ${name}`, { kind, startTime: T * 1000 }, within).end([T, 5]);
  }
  root.setAttribute("int", 43).setAttributes({ late: "yes", text: "changed" });
  root.addEvent("plain", [T, 2]);
  root.addEvent("with", { a: 1, b: "x", c: [true] }, new Date(T * 1000 + 3));
  root.addLink({ context: { traceId: "3".repeat(32), spanId: "4".repeat(16), traceFlags: 0 } });
  const error = new TypeError("boom");
  error.stack = "TypeError: boom\n    at somewhere";
  root.recordException(error, [T, 4]);
  root.recordException("only text", [T, 4]);
  root.recordException({ code: 17, message: "coded" }, [T, 4]);
  root.updateName("renamed");
  root.setStatus({ code: SpanStatusCode.ERROR, message: "it failed" });
  root.end([T, 999_999_999]);
  root.setAttribute("after", 1).addEvent("after").updateName("after").end();

  const status = (name: string, body: (span: Span) => void): void => {
    const span = tracer().startSpan(name, { startTime: [T, 0] }, within);
    body(span);
    span.end([T, 1]);
  };
  status("ok", (span) => span.setStatus({ code: SpanStatusCode.OK, message: "ignored" }));
  status("ok stays", (span) =>
    span.setStatus({ code: SpanStatusCode.OK }).setStatus({
      code: SpanStatusCode.ERROR,
      message: "no",
    }));
  status(
    "error then ok",
    (span) =>
      span.setStatus({ code: SpanStatusCode.ERROR, message: "no" }).setStatus({
        code: SpanStatusCode.OK,
      }),
  );
  status(
    "unset ignored",
    (span) =>
      span.setStatus({ code: SpanStatusCode.ERROR, message: "yes" }).setStatus({
        code: SpanStatusCode.UNSET,
      }),
  );
  status("end before start", (span) => span.end([T - 10, 0]));
  context.with(within, () => {
    tracer().startActiveSpan("child", { startTime: [T, 7] }, (child) => {
      tracer().startActiveSpan("grandchild", { startTime: [T, 8] }, (inner) => inner.end([T, 9]));
      tracer().startSpan("new root", { root: true, startTime: [T, 8] }).end([T, 9]);
      child.end([T, 10]);
    });
  });
  const remote = propagation.extract(ROOT_CONTEXT, {
    traceparent: `00-${"5".repeat(32)}-${"6".repeat(16)}-01`,
    tracestate: "vendor=value,other=1",
  });
  tracer().startSpan("of remote", { startTime: [T, 0] }, remote).end([T, 1]);
  trace.getTracerProvider().getTracer("with schema", "2", { schemaUrl: "https://example.org/1" })
    .startSpan("in schema", { startTime: [T, 0] }).end([T, 1]);
}

function limits(): void {
  const many = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [`k${i}`, `${"v".repeat(i)}`]),
  );
  const link = (i: number) => ({
    context: { traceId: `${i}`.repeat(32), spanId: `${i}`.repeat(16), traceFlags: 1 },
    attributes: many,
  });
  const span = tracer().startSpan("limited", {
    startTime: [T, 0],
    attributes: many,
    links: [link(1), link(2)],
  });
  span.setAttribute("k0", "longer than four").setAttribute("more", 1).setAttributes({
    k1: "x",
    z: 1,
  });
  span.setAttribute("list", ["abcdef", "ab"]);
  span.addLink(link(3));
  span.end([T, 1]);
  const events = tracer().startSpan("events", { startTime: [T, 0] });
  events.addEvent("first", many, [T, 0]).addEvent("second", { long: "abcdefgh" }, [T, 1]);
  events.end([T, 2]);
  const three = tracer().startSpan("three events", { startTime: [T, 0] });
  for (const name of ["a", "b", "c"]) three.addEvent(name, [T, 0]);
  three.end([T, 1]);
  logs.getLogger("logger").emit({ body: "limited", timestamp: [T, 1], attributes: many });
}

function samplers(): void {
  const parent = (flags: number) =>
    trace.setSpanContext(ROOT_CONTEXT, {
      traceId: `${flags + 1}`.repeat(32),
      spanId: "6".repeat(16),
      traceFlags: flags,
      isRemote: true,
    });
  tracer().startSpan("root", { startTime: [T, 0] }).end([T, 1]);
  tracer().startSpan("of sampled", { startTime: [T, 0] }, parent(1)).end([T, 1]);
  tracer().startSpan("of not sampled", { startTime: [T, 0] }, parent(0)).end([T, 1]);
  context.with(parent(1), () => {
    tracer().startActiveSpan("outer", { startTime: [T, 0] }, (outer) => {
      tracer().startSpan("inner", { startTime: [T, 0] }).end([T, 1]);
      outer.end([T, 1]);
    });
  });
}

function records(): void {
  const logger = logs.getLogger("logger", "1", { schemaUrl: "https://example.org/2" });
  for (const [name, severityNumber] of Object.entries(SeverityNumber)) {
    if (typeof severityNumber !== "number") continue;
    logger.emit({
      severityNumber,
      severityText: name,
      body: `severity ${name}`,
      timestamp: [T, 1],
    });
  }
  const bodies: Record<string, unknown> = {
    ...VALUES,
    nested: { a: { b: [1, "x", { c: true }], d: null }, e: [] },
    bytes: new Uint8Array([0, 1, 255]),
    null: null,
  };
  for (const [name, body] of Object.entries(bodies)) {
    logger.emit({
      eventName: `body ${name}`,
      timestamp: [T, 2],
      observedTimestamp: [T, 3],
      body: body as never,
    });
  }
  logger.emit({ timestamp: [T, 4], body: "attributes", attributes: VALUES as Attributes });
  logger.emit({
    timestamp: new Date(T * 1000),
    body: "nested attributes",
    attributes: {
      map: { a: 1, list: [1, "x", { deep: true }] },
      bytes: new Uint8Array([1]),
    } as never,
  });
  const error = new RangeError("out of it");
  error.stack = "RangeError: out of it\n    at somewhere";
  logger.emit({ timestamp: [T, 5], body: "exception", exception: error });
  logger.emit({
    timestamp: [T, 5],
    body: "own type",
    exception: error,
    attributes: { "exception.type": "Mine" },
  });
  tracer().startActiveSpan("around", { startTime: [T, 0] }, (span) => {
    logger.emit({ timestamp: [T, 6], body: "in a span" });
    logger.emit({ timestamp: [T, 6], body: "out of it", context: ROOT_CONTEXT });
    span.end([T, 9]);
  });
  olderLogs.getLogger("older api", "3").emit({
    timestamp: [T, 7],
    body: "older",
    severityNumber: 9,
  });
  logger.emit({ body: "no time" });
  logger.emit({});
}

function counters(): void {
  const c = meter().createCounter("counter", { description: "words", unit: "{thing}" });
  const int = meter().createCounter("counter.int", { valueType: ValueType.INT });
  const up = meter().createUpDownCounter("up");
  for (let i = 0; i < 10; i++) {
    c.add(i / 2, { even: i % 2 === 0 });
    int.add(i, { mod: i % 3, name: `n${i % 2}` });
    int.add(i, { name: `n${i % 2}`, mod: i % 3 });
    up.add(i % 2 === 0 ? 3 : -2.5);
  }
  c.add(1, VALUES as Attributes);
  c.add(2, { "1": 1 });
  c.add(4, { "1": "1" });
  c.add(-5, { negative: "ignored" });
  int.add(2.75, { fraction: true });
  int.add(2 ** 40);
  const gauge = meter().createGauge("gauge", { unit: "Cel" });
  gauge.record(20, { room: "a" });
  gauge.record(-21.5, { room: "a" });
  gauge.record(7, { room: "b" });
  meter().createGauge("gauge.int", { valueType: ValueType.INT }).record(3);
  // The same instrument again, and another of its name.
  meter().createCounter("counter", { description: "words", unit: "{thing}" }).add(100, {
    again: 1,
  });
  metrics.getMeter("other scope").createCounter("counter").add(1);
  meter().createCounter("unused");
}

function histograms(): void {
  const plain = meter().createHistogram("plain", { unit: "ms" });
  const advised = meter().createHistogram("advised", {
    advice: { explicitBucketBoundaries: [1, 10, 100] },
  });
  const single = meter().createHistogram("single", { advice: { explicitBucketBoundaries: [] } });
  const int = meter().createHistogram("int", { valueType: ValueType.INT });
  for (const value of [0, 0.1, 1, 5, 5.0001, 10, 99.5, 100, 1000, 12_345, 1e6]) {
    plain.record(value, { a: "x" });
    advised.record(value);
    single.record(value);
    int.record(Math.floor(value));
  }
  plain.record(3, { a: "y" });
  plain.record(-1, { a: "negative" });
}

function exemplars(): void {
  const histogram = meter().createHistogram("in.span", {
    advice: { explicitBucketBoundaries: [10, 20] },
  });
  const counter = meter().createCounter("in.span.too");
  tracer().startActiveSpan("around", { startTime: [T, 0] }, (span) => {
    histogram.record(5);
    histogram.record(15);
    counter.add(1);
    span.end([T, 1]);
  });
  histogram.record(25);
}

function observables(): void {
  const m = meter();
  m.createObservableCounter("observed.counter", { valueType: ValueType.INT }).addCallback(
    (result) => {
      result.observe(10, { a: 1 });
      result.observe(20, { a: 2 });
      result.observe(30, { a: 2 });
    },
  );
  m.createObservableUpDownCounter("observed.up").addCallback((result) => result.observe(-3.5));
  const gauge = m.createObservableGauge("observed.gauge", { unit: "%" });
  const other = m.createObservableGauge("observed.other");
  m.addBatchObservableCallback((result) => {
    result.observe(gauge, 0.5, { cpu: 0 });
    result.observe(gauge, 0.25, { cpu: 1 });
    result.observe(other, 7);
  }, [gauge, other]);
  m.createObservableGauge("observed.async").addCallback(async (result) => {
    await Promise.resolve();
    result.observe(1);
  });
  const removed = (): void => {
    throw new Error("never asked");
  };
  gauge.addCallback(removed);
  gauge.removeCallback(removed);
}

function all(): void {
  counters();
  histograms();
  observables();
}

function viewed(): void {
  const m = meter();
  m.createCounter("to.rename").add(1, { keep: 1, lose: 2 });
  m.createCounter("to.drop").add(1);
  m.createHistogram("to.bucket").record(3);
  m.createHistogram("to.exponential").record(3);
  m.createHistogram("to.sum").record(3);
  m.createCounter("to.last").add(5);
  m.createCounter("to.limit").add(1, { i: 0 });
  const limited = m.createCounter("limited");
  for (let i = 0; i < 10; i++) limited.add(1, { i });
  m.createCounter("untouched").add(1, { keep: 1, lose: 2 });
}

/** All of them. */
export const PROGRAMS: Readonly<Record<string, Program>> = {
  spans: { run: spans },
  limits: {
    settings: {
      limits: {
        attributeCountLimit: 4,
        attributeValueLengthLimit: 4,
        eventCountLimit: 2,
        linkCountLimit: 2,
        attributePerEventCountLimit: 3,
        attributePerLinkCountLimit: 2,
      },
    },
    run: limits,
  },
  "always off": {
    leavesNothing: true,
    settings: { sampler: "always_off" },
    run: samplers,
  },
  "always on": { settings: { sampler: "always_on" }, run: samplers },
  "parent based": { settings: { sampler: "parentbased_always_off" }, run: samplers },
  logs: { run: records },
  counters: { run: counters },
  histograms: { run: histograms },
  observables: { run: observables },
  exemplars: { run: exemplars },
  delta: { settings: { temporality: "delta" }, run: all },
  "low memory": { settings: { temporality: "lowmemory" }, run: all },
  exponential: { settings: { histograms: "exponential" }, run: histograms },
  views: {
    settings: {
      views: [
        { instrumentName: "to.rename", name: "renamed", description: "d", attributeKeys: ["keep"] },
        { instrumentName: "to.drop", aggregation: { type: "drop" } },
        {
          instrumentName: "to.bucket",
          aggregation: {
            type: "explicit_bucket_histogram",
            boundaries: [2, 4],
            recordMinMax: false,
          },
        },
        {
          instrumentName: "to.exp*",
          instrumentType: "histogram",
          aggregation: { type: "exponential_histogram", maxSize: 20 },
        },
        { instrumentName: "to.sum", aggregation: { type: "sum" } },
        { instrumentName: "to.last", aggregation: { type: "last_value" } },
        { instrumentName: "limited", aggregationCardinalityLimit: 4 },
      ],
    },
    run: viewed,
  },
  ...ofValues,
  ...ofTimes,
  ...ofVariables,
  ...ofRecords,
  ...ofInstruments,
  ...ofStreams,
  ...ofLarge,
};
