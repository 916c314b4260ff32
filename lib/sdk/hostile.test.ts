/**
 * Whatever is passed to the API, nothing is thrown into the application, and what can be read of it is
 * recorded.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  context,
  logs,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { hex, RawFile } from "../../tests/support/records.ts";
import type { SpanEvent, StartSpan } from "../../proto/gen/mmap_pb.ts";
import { type Sdk, start, type StartOptions } from "./start.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-hostile-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function refuse(): never {
  throw new Error("not to be read");
}

function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

class Unreadable extends Date {
  override getTime(): number {
    return refuse();
  }
}

const traps = { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse };
/** What a program may pass where it should not, by the name that a failure is told with. */
// deno-lint-ignore no-explicit-any
const HOSTILE: Readonly<Record<string, any>> = {
  symbol: Symbol("s"),
  "no text": { toString: refuse },
  "no prototype": Object.create(null),
  "revoked object": revoked({}),
  "revoked function": revoked(() => {}),
  "revoked list": revoked([]),
  "throwing object": new Proxy({}, traps),
  "throwing list": new Proxy([1, 2], traps),
  "list of two, unreadable": new Proxy([1, 2], {
    get: (list, key) => key === "length" ? list.length : refuse(),
  }),
  "list of odd things": [Symbol("s"), { toString: refuse }, revoked({}), null],
  date: new Unreadable(),
  null: null,
  undefined: undefined,
  number: -1.5,
  NaN: NaN,
  bigint: 5n,
  text: "\ud800",
  "no characters": "",
  function: () => {},
  list: [],
  object: {},
};

const IDS = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
const LARGE = { slots: 8192, slotBytes: 512 };
const SIZES = { spans: LARGE, events: LARGE, measurements: LARGE };

/** An object with this one field, and one whose field can't be read. */
// deno-lint-ignore no-explicit-any
function both(field: string, value: unknown, others: object = {}): any[] {
  const getter = Object.defineProperty({ ...others }, field, { get: refuse, enumerable: true });
  return [{ ...others, [field]: value }, getter];
}

/** Runs `body` for each of HOSTILE, and says of which it threw. */
async function attempt(
  // deno-lint-ignore no-explicit-any
  body: (hostile: any, sdk: Sdk) => void | Promise<void>,
  options: StartOptions = {},
): Promise<RawFile> {
  const file = join(directory, `${performance.now()}.otlp`);
  const sdk = start({ env: {}, file, sizes: SIZES, ...options });
  try {
    assert.equal(sdk.recording, true, sdk.reason ?? "");
    for (const [name, hostile] of Object.entries(HOSTILE)) {
      try {
        await body(hostile, sdk);
      } catch (error) {
        assert.fail(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
    return new RawFile(sdk.path!);
  } finally {
    void sdk.shutdown();
  }
}

/** The records of each span, by its id. */
function recordsOf(file: RawFile): Map<string, SpanEvent[]> {
  const records = new Map<string, SpanEvent[]>();
  for (const record of file.spanEvents()) {
    const id = hex(record.spanId);
    records.set(id, [...records.get(id) ?? [], record]);
  }
  return records;
}

describe("whatever they are given", () => {
  it("providers hand out tracers, loggers and meters, the same ones again", async () => {
    const file = await attempt((hostile) => {
      const provider = trace.getTracerProvider();
      for (
        const options of [hostile, ...both("schemaUrl", hostile), ...both("attributes", hostile)]
      ) {
        const tracer = provider.getTracer(hostile, hostile, options);
        assert.equal(provider.getTracer(hostile, hostile, options), tracer);
        tracer.startSpan("s").end();
        const logger = logs.getLogger(hostile, hostile, options);
        assert.equal(logs.getLogger(hostile, hostile, options), logger);
        logger.emit({ body: "b" });
        const meter = metrics.getMeter(hostile, hostile, options);
        assert.equal(metrics.getMeter(hostile, hostile, options), meter);
        meter.createCounter("c").add(1);
      }
    });
    const count = Object.keys(HOSTILE).length * 5;
    const { length } = file.spanEvents();
    assert.deepEqual(
      [length, file.events().length, file.measurements().length],
      [count * 2, count, count],
    );
    assert.equal(file.scope(file.spanEvents()[0].scopeRef).name, "Symbol(s)");
  });

  it("tracers start spans, with what can be read of their options and context", async () => {
    const parent = trace.setSpanContext(ROOT_CONTEXT, IDS);
    const children: Span[] = [];
    let ran = 0;
    const file = await attempt((hostile) => {
      const tracer = trace.getTracer("t");
      tracer.startSpan(hostile, hostile, hostile).end();
      for (const field of ["root", "kind", "attributes", "links", "startTime"]) {
        for (const options of both(field, hostile)) {
          const span = tracer.startSpan("child", options, parent);
          children.push(span);
          span.end();
        }
      }
      const link = { context: IDS };
      const odd = ["traceId", "spanId", "traceFlags", "traceState", "isRemote"]
        .flatMap((field) => both(field, hostile, IDS))
        .concat(both("traceState", { serialize: () => hostile }, IDS), {
          ...IDS,
          traceState: { serialize: refuse },
        });
      for (const linked of odd) {
        tracer.startSpan("link", { links: [{ context: linked }, link] }).end();
        tracer.startSpan("child", {}, trace.setSpanContext(ROOT_CONTEXT, linked)).end();
      }
      const links = [hostile, ...both("context", hostile), ...both("attributes", hostile, link)];
      tracer.startSpan("links", {
        links: [...links, ...both("droppedAttributesCount", hostile, link)],
      });
      for (const span of [hostile, { spanContext: () => hostile }, { spanContext: refuse }]) {
        tracer.startSpan("child", {}, trace.setSpan(ROOT_CONTEXT, span)).end();
        context.with(trace.setSpan(ROOT_CONTEXT, span), () => tracer.startSpan("child").end());
      }
      const run = (span: Span) => {
        ran++;
        assert.equal(trace.getActiveSpan(), span);
        assert.equal(context.active().getValue(Symbol("none")), undefined);
        span.end();
      };
      tracer.startActiveSpan(hostile, run);
      if (typeof hostile !== "function") tracer.startActiveSpan("s", hostile, run);
      tracer.startActiveSpan("s", {}, hostile, run);
    });
    // One of the functions among them was no options.
    assert.equal(ran, Object.keys(HOSTILE).length * 3 - 2);
    const records = recordsOf(file);
    // All but those that may be roots.
    for (const span of children.filter((_, i) => i % 10 > 1)) {
      const [{ event }] = records.get(span.spanContext().spanId)!;
      assert.equal(event.case, "start");
      assert.equal(hex((event.value as StartSpan).parentSpanId), IDS.spanId);
    }
  });

  it("samplers and hooks", async () => {
    for (const field of ["decision", "attributes", "traceState"]) {
      let result: unknown;
      await attempt((hostile) => {
        for (result of [hostile, ...both(field, hostile, { decision: 2 })]) {
          trace.getTracer("t").startSpan("s", { attributes: hostile }).end();
        }
      }, {
        sampler: { shouldSample: () => result as never },
        onStart: refuse,
      });
    }
  });

  it("spans go on, and end", async () => {
    const spans: Span[] = [];
    const file = await attempt((hostile) => {
      const span = trace.getTracer("t").startSpan("s");
      spans.push(span);
      span.setAttribute(hostile, 1).setAttribute("a", hostile).setAttribute("a", [hostile]);
      span.setAttributes(hostile).addEvent(hostile).addEvent("e", hostile);
      span.addEvent("e", {}, hostile).addLink(hostile).addLinks(hostile).addLinks([hostile]);
      for (const attributes of both("a", hostile)) {
        span.setAttributes(attributes).addEvent("e", attributes);
        span.addLink({ context: IDS, attributes });
      }
      span.setStatus(hostile).updateName(hostile).recordException(hostile);
      for (const status of both("code", hostile)) span.setStatus(status);
      for (const status of both("message", hostile, { code: SpanStatusCode.ERROR })) {
        span.setStatus(status);
      }
      for (const field of ["code", "name", "message", "stack"]) {
        for (const error of both(field, hostile, { code: "c", message: "m" })) {
          span.recordException(error, hostile);
        }
      }
      span.setAttribute("last", true).end(hostile);
    });
    const records = recordsOf(file);
    for (const span of spans) {
      const [before, end] = records.get(span.spanContext().spanId)!.slice(-2);
      assert.equal(end.event.case, "end");
      assert.equal(before.event.case, "attributes");
    }
    const named = file.events().map((event) => file.attributes(event.attributes)["exception.type"]);
    assert.ok(named.filter((type) => type === "c").length >= spans.length * 4, `${named.length}`);
  });

  it("loggers, and instruments that are told and asked", async () => {
    let observed = 0;
    const file = await attempt(async (hostile, sdk) => {
      const logger = logs.getLogger("l");
      logger.emit(hostile);
      const fields = ["body", "attributes", "timestamp", "observedTimestamp", "severityNumber"];
      for (const field of [...fields, "severityText", "eventName", "context", "exception"]) {
        for (const record of both(field, hostile)) logger.emit(record);
      }
      const odd = [hostile, { spanContext: () => hostile }, { spanContext: refuse }]
        .map((span) => trace.setSpan(ROOT_CONTEXT, span));
      for (const given of [hostile, ...odd]) logger.emit({ body: "kept", context: given });
      logger.enabled(hostile);
      for (const field of ["severityNumber", "context"]) {
        for (const options of both(field, hostile)) logger.enabled(options);
      }
      const meter = metrics.getMeter("m");
      const counter = meter.createCounter("c");
      counter.add(hostile);
      for (const given of [hostile, ...odd]) counter.add(7, {}, given);
      for (const attributes of [hostile, ...both("a", hostile)]) counter.add(7, attributes);
      const gauge = meter.createObservableGauge("g");
      const batch = meter.createObservableCounter("b");
      gauge.addCallback(hostile);
      gauge.removeCallback(hostile);
      gauge.addCallback((result) => {
        result.observe(hostile);
        result.observe(1, hostile);
        for (const attributes of both("a", hostile)) result.observe(1, attributes);
        observed++;
      });
      meter.addBatchObservableCallback((result) => {
        result.observe(hostile, 1);
        result.observe(batch, hostile);
        result.observe(batch, 1, hostile);
        observed++;
      }, [batch]);
      await sdk.meterProvider!.collect();
      const providers = [sdk.tracerProvider, sdk.meterProvider, sdk.loggerProvider];
      for (const options of both("timeout", hostile)) {
        // What can't be read is the default, which would be waited for.
        for (const provider of [sdk, ...providers]) void provider!.forceFlush(options);
        await Promise.resolve();
      }
    });
    const count = Object.keys(HOSTILE).length;
    assert.ok(observed >= count * 2, String(observed));
    const bodies = file.events().map((event) => file.value(event.body));
    assert.equal(bodies.filter((body) => body === "kept").length, count * 4);
    const sevens = file.measurements().filter(({ value }) => value.value === 7);
    assert.equal(sevens.length, count * 7);
  });
});
