/**
 * Times in every form, contexts inside each other, and what becomes of names and states.
 *
 * @module
 */
import {
  context,
  createContextKey,
  createTraceState,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TimeInput,
  trace,
} from "@opentelemetry/api";
import type { Program } from "../programs.ts";

const T = 1_700_000_000;
const tracer = () => trace.getTracer("times");

/** Long before the run, so that they are compared. */
const TIMES: Record<string, TimeInput> = {
  "pair": [T, 123_456_789],
  "pair without nanoseconds": [T, 0],
  "last nanosecond": [T, 999_999_999],
  date: new Date(T * 1000 + 789),
  milliseconds: T * 1000 + 5,
  "milliseconds with a half": T * 1000 + 0.5,
  "milliseconds with a quarter": T * 1000 + 1.25,
  "milliseconds with a tenth": T * 1000 + 0.1,
};

function times(): void {
  for (const [name, time] of Object.entries(TIMES)) {
    tracer().startSpan(`start ${name}`, { startTime: time }).end([T + 1, 0]);
    tracer().startSpan(`end ${name}`, { startTime: [T - 1, 0] }).end(time);
    const span = tracer().startSpan(`event ${name}`, { startTime: [T - 1, 0] });
    span.addEvent("second", time).addEvent("third", { a: 1 }, time).addEvent("both", time, [T, 7]);
    span.recordException({ name: "Some", message: "exception" }, time);
    span.end([T + 1, 0]);
  }
  tracer().startSpan("no times").addEvent("now").end();
  tracer().startSpan("monotonic", { startTime: performance.now() }).end(performance.now());
  tracer().startSpan("the same instant", { startTime: [T, 5] }).end([T, 5]);
  tracer().startSpan("a nanosecond backwards", { startTime: [T, 5] }).end([T, 4]);
  tracer().startSpan("far backwards", { startTime: [T, 5] }).end(new Date(1000));
  tracer().startSpan("started long ago, ends now", { startTime: [T, 0] }).end();
  tracer().startSpan("not in order", { startTime: [T, 5] })
    .addEvent("late", [T, 9]).addEvent("early", [T, 1]).end([T, 7]);
}

async function contexts(): Promise<void> {
  const key = createContextKey("key");
  const run = <T>(name: string, body: (span: Span) => T): T =>
    tracer().startActiveSpan(name, { startTime: [T, 0] }, (span) => {
      const result = body(span);
      span.end([T, 1]);
      return result;
    });
  run("a", () =>
    run("b", () =>
      run("c", () => {
        run("d", () => {});
        tracer().startSpan("e", { startTime: [T, 0] }).end([T, 1]);
        tracer().startSpan("root by option", { root: true, startTime: [T, 0] }).end([T, 1]);
        tracer().startSpan("root by context", { startTime: [T, 0] }, ROOT_CONTEXT).end([T, 1]);
        context.with(ROOT_CONTEXT, () => run("root by active context", () => {}));
        context.with(context.active().setValue(key, 1), () => run("under a value", () => {}));
        context.with(trace.deleteSpan(context.active()), () => run("span deleted", () => {}));
      })));
  await tracer().startActiveSpan("awaiting", { startTime: [T, 0] }, async (span) => {
    await Promise.resolve();
    run("after a promise", () => {});
    await new Promise((wake) => setTimeout(wake, 1));
    run("after a timer", () => {});
    await Promise.all(["x", "y"].map(async (name) => {
      await Promise.resolve();
      await run(`parallel ${name}`, async () => {
        await Promise.resolve();
        run(`in parallel ${name}`, () => {});
      });
    }));
    span.end([T, 2]);
  });
  const bound = run("binds", () => context.bind(context.active(), () => run("bound", () => {})));
  bound();
  try {
    tracer().startActiveSpan("throws", { startTime: [T, 0] }, (span) => {
      span.end([T, 1]);
      throw new Error("on the way");
    });
  } catch {
    run("after it", () => {});
  }
  const parent = tracer().startSpan("ended parent", { startTime: [T, 0] });
  parent.end([T, 1]);
  tracer().startSpan("of ended", { startTime: [T, 2] }, trace.setSpan(ROOT_CONTEXT, parent))
    .end([T, 3]);
  const explicit = trace.setSpan(ROOT_CONTEXT, parent);
  tracer().startActiveSpan("given context", { startTime: [T, 2] }, explicit, (span) => {
    run("in given context", () => {});
    span.end([T, 3]);
  });
  // What is propagated comes back the same.
  run("sends", () => {
    const carrier: Record<string, string> = {};
    propagation.inject(
      propagation.setBaggage(
        context.active(),
        propagation.createBaggage({ user: { value: "é" }, n: { value: "1" } }),
      ),
      carrier,
    );
    const received = propagation.extract(ROOT_CONTEXT, carrier);
    tracer().startSpan("receives", {
      kind: SpanKind.CONSUMER,
      startTime: [T, 0],
      attributes: {
        baggage: propagation.getBaggage(received)?.getEntry("user")?.value,
        headers: Object.keys(carrier).sort(),
      },
    }, received).end([T, 1]);
  });
}

/** Parents from elsewhere, valid or not, with states. */
function parents(): void {
  const start = (name: string, spanContext: object) =>
    tracer().startSpan(
      name,
      { startTime: [T, 0] },
      trace.setSpanContext(ROOT_CONTEXT, spanContext as never),
    ).end([T, 1]);
  const valid = { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 };
  start("local", valid);
  start("remote", { ...valid, isRemote: true });
  start("not remote", { ...valid, isRemote: false });
  start("with a state", { ...valid, traceState: createTraceState("a=1,b=2") });
  start("with an empty state", { ...valid, traceState: createTraceState("") });
  start("with other flags", { ...valid, traceFlags: 3 });
  start("no trace id", { ...valid, traceId: "0".repeat(32) });
  start("no span id", { ...valid, spanId: "0".repeat(16) });
  start("short trace id", { ...valid, traceId: "abc" });
  start("no hex", { ...valid, spanId: "z".repeat(16) });
  const state = createTraceState("k=v");
  const link = (extra: object) => ({ context: { ...valid, ...extra } });
  tracer().startSpan("links", {
    startTime: [T, 0],
    links: [
      link({}),
      link({ isRemote: true }),
      link({ traceFlags: 0 }),
      link({ traceState: state }),
      { ...link({}), attributes: {} },
    ],
  }).end([T, 1]);
}

function names(): void {
  const scopes: Array<[string, string?, { schemaUrl?: string }?]> = [
    [""],
    ["scope"],
    ["scope", "1"],
    ["scope", "2"],
    ["scope", "1", { schemaUrl: "https://example.org/1" }],
    ["scope", undefined, { schemaUrl: "https://example.org/1" }],
    ["zażółć 🚲", "wersja"],
  ];
  for (const [i, scope] of scopes.entries()) {
    trace.getTracerProvider().getTracer(...scope).startSpan(`scope ${i}`, { startTime: [T, 0] })
      .end([T, 1]);
  }
  for (const name of ["", " ", "zażółć 🚲", "n".repeat(400), "a\0b", "constructor"]) {
    tracer().startSpan(name, { startTime: [T, 0] }).end([T, 1]);
    tracer().startSpan(`${name} as it was`, { startTime: [T, 0] }).updateName(name)
      .updateName(`${name} as it is`).end([T, 1]);
    tracer().startSpan("events", { startTime: [T, 2] }).addEvent(name, [T, 2]).end([T, 3]);
  }
  const statuses = [
    { code: SpanStatusCode.UNSET, message: "unset" },
    { code: SpanStatusCode.OK, message: "ok" },
    { code: SpanStatusCode.ERROR },
    { code: SpanStatusCode.ERROR, message: "" },
    { code: SpanStatusCode.ERROR, message: "źle 🚲" },
    { code: SpanStatusCode.ERROR, message: "m".repeat(500) },
    { code: SpanStatusCode.ERROR, message: 5 as never },
  ];
  for (const [i, first] of statuses.entries()) {
    for (const [j, second] of statuses.entries()) {
      tracer().startSpan(`status ${i} ${j}`, { startTime: [T, 0] }).setStatus(first)
        .setStatus(second).end([T, 1]);
    }
  }
}

export const programs: Readonly<Record<string, Program>> = {
  times: { run: times },
  contexts: { run: contexts },
  parents: { run: parents },
  names: { run: names },
};
