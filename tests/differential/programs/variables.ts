/**
 * Samplers and limits as the variables of the specification set them.
 *
 * @module
 */
import { type Attributes, logs, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import type { Program } from "../programs.ts";

const T = 1_700_000_000;
const tracer = () => trace.getTracer("variables");

/** Spans in traces whose ids are spread evenly. */
function traces(): void {
  for (let i = 0; i < 200; i++) {
    const words = [1, 3, 5, 7].map((factor) => Math.imul(i * factor + 1, 0x9e3779b1) >>> 0);
    const traceId = words.map((word) => word.toString(16).padStart(8, "0")).join("");
    for (const traceFlags of [0, 1]) {
      for (const isRemote of [false, true]) {
        const name = `${i} ${traceFlags} ${isRemote}`;
        const parent = trace.setSpanContext(ROOT_CONTEXT, {
          traceId,
          spanId: "1".repeat(16),
          traceFlags,
          isRemote,
        });
        const span = tracer().startSpan(name, { startTime: [T, i] }, parent);
        if (i % 20 === 0) {
          tracer().startSpan(`${name} child`, { startTime: [T, i] }, trace.setSpan(parent, span))
            .end([T, i + 1]);
        }
        span.end([T, i + 1]);
      }
    }
  }
}

function tracesAndRoots(): void {
  traces();
  for (let i = 0; i < 5; i++) tracer().startSpan(`root ${i}`, { startTime: [T, 0] }).end([T, 1]);
}

function limited(): void {
  const many: Attributes = Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [`k${i}`, "0123456789".slice(0, i + 1)]),
  );
  const lists: Attributes = {
    list: ["abcdefgh", "ab"],
    numbers: [123_456_789, 1],
    nested: { text: "abcdefgh", list: ["abcdefgh"] } as never,
    bytes: new Uint8Array(10).fill(7) as never,
  };
  const wide: Attributes = { wide: "żółć🚲🚲", other: "🚲🚲🚲", accents: "éééééééé" };
  const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
  const span = (name: string, body: (span: Span) => void, attributes?: Attributes) => {
    const made = tracer().startSpan(name, { startTime: [T, 0], attributes });
    body(made);
    made.end([T, 1]);
  };
  span("at start", () => {}, many);
  span("later", (it) => it.setAttributes(many));
  span("one by one", (it) => {
    for (const [key, value] of Object.entries(many)) it.setAttribute(key, value);
    it.setAttribute("k0", "changed, and long").setAttribute("k7", "still none");
  });
  span("lists", () => {}, lists);
  span("lists later", (it) => it.setAttributes(lists));
  span("one event", (it) => it.addEvent("event", many, [T, 0]));
  span("one link", (it) => it.addLink({ context, attributes: many }));
  span(
    "exception",
    (it) =>
      it.recordException({ name: "LongName", message: "long message", stack: "long stack" }, [
        T,
        0,
      ]),
  );
  span("invalid ones", () => {}, { bad: Symbol("s") as never, ...many });
  span("absent ones", () => {}, { a: undefined, b: undefined, ...many });
  span("name longer than any limit", (it) => it.updateName("also a name longer than any limit"));
  span("wide", () => {}, wide);
  const logger = logs.getLogger("variables");
  logger.emit({ body: "a body longer than any limit", timestamp: [T, 0], attributes: many });
  logger.emit({ body: "lists", timestamp: [T, 0], attributes: lists });
  logger.emit({ body: "wide", timestamp: [T, 0], attributes: wide });
  logger.emit({
    body: "exception",
    timestamp: [T, 0],
    attributes: { a: 1, b: 2 },
    exception: { name: "LongName", message: "long message", stack: "long stack" },
  });
}

/** More than the specification's defaults allow. */
function beyondDefaults(): void {
  const many = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`k${i}`, i]));
  const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
  tracer().startSpan("at start", { startTime: [T, 0], attributes: many }).end([T, 1]);
  const later = tracer().startSpan("later", { startTime: [T, 0] }).setAttributes(many);
  for (let i = 0; i < 5; i++) later.setAttribute(`more ${i}`, i);
  later.end([T, 1]);
  tracer().startSpan("on an event", { startTime: [T, 0] }).addEvent("event", many, [T, 0])
    .end([T, 1]);
  tracer().startSpan("on a link", { startTime: [T, 0], links: [{ context, attributes: many }] })
    .end([T, 1]);
  const events = tracer().startSpan("events", { startTime: [T, 0] });
  for (let i = 0; i < 130; i++) events.addEvent("event", [T, 0]);
  events.end([T, 1]);
  tracer().startSpan("links", {
    startTime: [T, 0],
    links: Array.from({ length: 130 }, () => ({ context })),
  }).end([T, 1]);
  logs.getLogger("variables").emit({ body: "many", timestamp: [T, 0], attributes: many });
}

const sampled = (sampler: string, argument?: string): Program => ({
  leavesNothing: sampler === "always_off" || (sampler === "traceidratio" && argument === "0")
    ? true
    : undefined,
  settings: {
    variables: {
      OTEL_TRACES_SAMPLER: sampler,
      ...(argument === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: argument }),
    },
  },
  // A ratio decides on roots by ids that are not the same twice.
  run: argument === "0.25" ? traces : tracesAndRoots,
});

export const programs: Readonly<Record<string, Program>> = {
  "sampler always_on": sampled("always_on"),
  "sampler always_off": sampled("always_off"),
  "sampler parentbased_always_on": sampled("parentbased_always_on"),
  "sampler parentbased_always_off": sampled("parentbased_always_off"),
  "sampler traceidratio 0.25": sampled("traceidratio", "0.25"),
  "sampler traceidratio 0": sampled("traceidratio", "0"),
  "sampler traceidratio 1": sampled("traceidratio", "1"),
  "sampler parentbased_traceidratio": sampled("parentbased_traceidratio", "0"),
  "variables of limits": {
    settings: {
      variables: {
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "5",
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: "4",
        OTEL_SPAN_EVENT_COUNT_LIMIT: "2",
        OTEL_SPAN_LINK_COUNT_LIMIT: "2",
        OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: "3",
        OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: "2",
        OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: "3",
        OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: "5",
      },
    },
    run: limited,
  },
  "variables of all limits": {
    settings: {
      variables: {
        OTEL_ATTRIBUTE_COUNT_LIMIT: "3",
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "6",
      },
    },
    run: limited,
  },
  "nothing allowed": {
    settings: {
      variables: {
        OTEL_ATTRIBUTE_COUNT_LIMIT: "0",
        OTEL_SPAN_EVENT_COUNT_LIMIT: "0",
        OTEL_SPAN_LINK_COUNT_LIMIT: "0",
      },
    },
    run: limited,
  },
  "beyond the defaults": { run: beyondDefaults },
};
