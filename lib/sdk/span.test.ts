import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import {
  context,
  createContextKey,
  createNoopMeter,
  createTraceState,
  diag,
  DiagLogLevel,
  INVALID_SPAN_CONTEXT,
  type Logger,
  logs,
  metrics,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import {
  suppressTracing,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { hex, RawFile } from "../../tests/support/records.ts";
import type { SpanEvent } from "../../proto/gen/mmap_pb.ts";
import { RECORD_ONLY } from "./sampler.ts";
import { type Sdk, start, type StartOptions } from "./start.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-span-"));
const KEY = createContextKey("key");

let files = 0;
/** A test runner may run this on another thread than the main one, whose files have other names. */
let lastPath = "";

/** Runs `body` with a recording SDK on a file of its own and returns the file. */
function recorded(body: (sdk: Sdk) => void, options: StartOptions = {}): RawFile {
  const file = join(directory, `${++files}.otlp`);
  const sdk = start({ env: {}, file, ...options });
  try {
    assert.equal(sdk.recording, true, sdk.reason ?? "");
    lastPath = sdk.path!;
    body(sdk);
    return new RawFile(sdk.path!);
  } finally {
    void sdk.shutdown();
  }
}

const tracer = () =>
  trace.getTracerProvider().getTracer("scope", "1.2.3", { schemaUrl: "https://schema/1" });

/** The attributes in all records of a span, later ones over earlier ones. */
function attributesOf(file: RawFile, span: Span): Record<string, unknown> {
  const all = {};
  for (const record of recordsOf(file, span)) {
    const { event } = record;
    if (event.case === "start" || event.case === "attributes") {
      Object.assign(all, file.attributes(event.value.attributes));
    }
  }
  return all;
}

function recordsOf(file: RawFile, span: Span): SpanEvent[] {
  const { spanId } = span.spanContext();
  return file.spanEvents().filter((record) => hex(record.spanId) === spanId);
}

function startOf(file: RawFile, span: Span) {
  const { event } = recordsOf(file, span)[0];
  assert.equal(event.case, "start");
  return event.value as Extract<SpanEvent["event"], { case: "start" }>["value"];
}

function endOf(file: RawFile, span: Span) {
  const { event } = recordsOf(file, span).at(-1)!;
  assert.equal(event.case, "end");
  return event.value as Extract<SpanEvent["event"], { case: "end" }>["value"];
}

/** What the API's diag logger was told while `body` ran. */
function warnings(body: () => void): string[] {
  const lines: string[] = [];
  const add = (...words: unknown[]) => void lines.push(words.join(" "));
  const logger = { error: add, warn: add, info() {}, debug() {}, verbose() {} };
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  try {
    body();
  } finally {
    diag.disable();
  }
  return lines;
}

/** Whatever is asked of it throws. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe("the SDK", () => {
  after(() => rmSync(directory, { recursive: true }));

  describe("span records", () => {
    it("are in the file when each call returns", () => {
      recorded(({ path }) => {
        const kinds = () => new RawFile(path!).spanEvents().map(({ event }) => event.case);
        const events = () => new RawFile(path!).events().length;
        const span = tracer().startSpan("op", { attributes: { a: 1 } });
        assert.deepEqual(kinds(), ["start"]);
        span.setAttribute("late", true);
        assert.deepEqual(kinds(), ["start", "attributes"]);
        span.addEvent("tick");
        assert.equal(events(), 1);
        span.addLink({
          context: { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 },
        });
        span.updateName("op2");
        span.end();
        assert.deepEqual(kinds(), ["start", "attributes", "link", "name", "end"]);
      });
    });

    it("carry ids, scope, resource, kind, flags, name and times", () => {
      let span!: Span;
      let child!: Span;
      const before = BigInt(Date.now()) * 1_000_000n;
      const file = recorded(() => {
        span = tracer().startSpan("parent żółć", { kind: SpanKind.SERVER });
        child = tracer().startSpan("child", {}, trace.setSpan(ROOT_CONTEXT, span));
        child.end();
        span.end();
      }, { resource: { "service.name": "checkout", list: ["a", "b"] } });
      const after = BigInt(Date.now() + 1) * 1_000_000n;
      const [record] = recordsOf(file, span);
      assert.equal(hex(record.traceId), span.spanContext().traceId);
      assert.equal(hex(record.spanId), span.spanContext().spanId);
      const scope = file.scope(record.scopeRef);
      assert.equal(scope.name, "scope");
      assert.equal(scope.version, "1.2.3");
      assert.equal(scope.schemaUrl, "https://schema/1");
      assert.equal(scope.resource["service.name"], "checkout");
      assert.deepEqual(scope.resource.list, ["a", "b"]);
      const begin = startOf(file, span);
      assert.equal(begin.name, "parent żółć");
      assert.equal(begin.kind, 2);
      assert.equal(begin.flags, 0x101);
      assert.equal(begin.parentSpanId.length, 0);
      assert.ok(begin.startTimeUnixNano >= before && begin.startTimeUnixNano <= after);
      const inner = startOf(file, child);
      assert.equal(hex(inner.parentSpanId), span.spanContext().spanId);
      assert.equal(child.spanContext().traceId, span.spanContext().traceId);
      assert.notEqual(child.spanContext().spanId, span.spanContext().spanId);
      assert.ok(inner.startTimeUnixNano >= begin.startTimeUnixNano);
      assert.ok(endOf(file, span).endTimeUnixNano >= endOf(file, child).endTimeUnixNano);
    });

    it("keep every type of attribute", () => {
      const values = {
        text: "value",
        empty: "",
        wide: "żółć 🚲 \u{10ffff} \ud800!",
        long: "ä".repeat(60),
        bool: true,
        off: false,
        zero: 0,
        int: 1,
        seven: 127,
        eight: 128,
        large: 2 ** 31,
        largest: Number.MAX_SAFE_INTEGER,
        negative: -1,
        low: -(2 ** 31),
        lower: -(2 ** 31) - 1,
        lowest: Number.MIN_SAFE_INTEGER,
        double: 1.5,
        tiny: -5e-324,
        huge: 1e300,
        nan: NaN,
        infinite: -Infinity,
        big: 2n ** 62n,
        bytes: new Uint8Array([0, 255, 7]),
        list: ["a", 1, 2.5, true, null, [new Uint8Array([1])]],
        holes: [undefined, "x"],
        map: { a: { b: [{ c: 1 }] }, skipped: undefined },
        none: null,
      };
      const expected = {
        ...values,
        wide: "żółć 🚲 \u{10ffff} \ufffd!",
        zero: 0n,
        int: 1n,
        seven: 127n,
        eight: 128n,
        large: 2n ** 31n,
        largest: BigInt(Number.MAX_SAFE_INTEGER),
        negative: -1n,
        low: -(2n ** 31n),
        lower: -(2n ** 31n) - 1n,
        lowest: BigInt(Number.MIN_SAFE_INTEGER),
        list: ["a", 1n, 2.5, true, null, [new Uint8Array([1])]],
        holes: [null, "x"],
        map: { a: { b: [{ c: 1n }] } },
      };
      const spans: Span[] = [];
      const file = recorded(() => {
        spans.push(tracer().startSpan("at start", { attributes: values }));
        spans.push(tracer().startSpan("together").setAttributes(values));
        const single = tracer().startSpan("one by one");
        for (const [key, value] of Object.entries(values)) single.setAttribute(key, value);
        spans.push(single);
      });
      for (const span of spans) assert.deepEqual(attributesOf(file, span), expected);
    });

    it("leave out what is no attribute, and say so once", () => {
      let span!: Span;
      let file!: RawFile;
      const cyclic: unknown[] = [1];
      cyclic.push(cyclic);
      const lines = warnings(() => {
        file = recorded(() => {
          span = tracer().startSpan("op", {
            attributes: {
              f: () => 1,
              s: Symbol("x"),
              d: new Date(),
              absent: undefined,
              cyclic,
              ok: 1,
            },
          });
          span.setAttribute("m", new Map());
          span.setAttribute("", 1);
          span.setAttribute(5 as never, 1);
          span.setAttribute("over", 2n ** 64n);
          span.setAttributes(null as never);
          span.end();
        });
      });
      assert.deepEqual(attributesOf(file, span), { cyclic: [1n, null], ok: 1n });
      assert.equal(endOf(file, span).droppedAttributesCount, 5);
      assert.equal(lines.filter((line) => line.includes("not a value")).length, 1);
    });

    it("take no attributes out of what throws whatever is asked", () => {
      const given = revoked() as never;
      let span: Span;
      const file = recorded(() => {
        span = tracer().startSpan("proxy", { attributes: given });
        span.setAttributes(given);
        span.addEvent("event", given);
        span.addLink({ context: span.spanContext(), attributes: given });
        span.end();
      });
      assert.deepEqual(attributesOf(file, span!), {});
    });

    it("take no elements of a text, a list or bytes for attributes or links", () => {
      const list = ["abc"];
      for (const given of ["abc", new String("abc"), list, new Uint8Array(3), 7]) {
        let span: Span;
        const file = recorded(() => {
          span = tracer().startSpan("text", { attributes: given as never, links: given as never });
          span.setAttributes(given as never);
          span.addLink({ context: span.spanContext(), attributes: given as never });
          span.end();
        });
        assert.deepEqual(attributesOf(file, span!), {});
        const { droppedAttributesCount, droppedLinksCount } = endOf(file, span!);
        assert.equal(droppedAttributesCount, 0);
        // A list may be one of links, though this one is not.
        assert.equal(droppedLinksCount, given === list ? 1 : 0);
      }
    });

    it("split attributes that do not fit one slot, and cut one that fits none", () => {
      const attributes: Record<string, string> = {};
      for (let i = 0; i < 40; i++) attributes[`key ${i}`] = `${i}`.repeat(30);
      let span!: Span;
      let cut!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("op", { attributes });
        cut = tracer().startSpan("cut", {
          attributes: { before: 1, text: "ż".repeat(5000), after: 2 },
        });
        cut.setAttribute("list", Array.from({ length: 2000 }, (_, i) => i));
        cut.setAttribute("bytes", new Uint8Array(4000).fill(7));
      });
      assert.deepEqual(attributesOf(file, span), attributes);
      assert.ok(recordsOf(file, span).length > 1);
      assert.ok(recordsOf(file, span).every(({ truncated }) => !truncated));
      const found = attributesOf(file, cut);
      assert.equal(found.before, 1n);
      assert.equal(found.after, 2n);
      assert.match(found.text as string, /^ż{400,511}$/);
      assert.deepEqual((found.list as bigint[])[100], 100n);
      assert.ok((found.bytes as Uint8Array).length > 900);
      assert.deepEqual(recordsOf(file, cut).map(({ truncated }) => truncated), [
        false,
        true,
        false,
        true,
        true,
      ]);
    });

    it("mark names that were cut, of spans and of events", () => {
      const name = "ż".repeat(600);
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan(name);
        span.addEvent(name);
        span.addEvent("short");
        span.end();
      });
      assert.match(startOf(file, span).name, /^ż{400,512}$/);
      assert.deepEqual(recordsOf(file, span).map(({ truncated }) => truncated), [true, false]);
      const [long, short] = file.events();
      assert.equal(file.string(long.eventNameRef), "ż".repeat(512));
      assert.deepEqual([long.truncated, short.truncated], [true, false]);
    });

    it("mark names that a small slot cuts", () => {
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("n".repeat(300));
      }, { sizes: { spans: { slots: 16, slotBytes: 256 } } });
      assert.ok(startOf(file, span).name.length < 256);
      assert.ok(recordsOf(file, span)[0].truncated);
    });

    it("hold the limits and count what they drop", () => {
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("op", {
          attributes: { a: 1, b: "12345", c: 3 },
          links: [1, 2, 3].map((i) => ({
            context: { traceId: `${i}`.repeat(32), spanId: `${i}`.repeat(16), traceFlags: 0 },
            attributes: { x: 1, y: 2 },
          })),
        });
        span.setAttribute("b", "1234🚲").setAttribute("d", 4).setAttributes({ a: 2, e: 5 });
        span.addEvent("one", { k: 1, l: 2 }).addEvent("two").addEvent("three");
        span.end();
      }, {
        limits: {
          attributeCountLimit: 2,
          attributeValueLengthLimit: 5,
          eventCountLimit: 2,
          linkCountLimit: 1,
          attributePerEventCountLimit: 1,
          attributePerLinkCountLimit: 1,
        },
      });
      assert.deepEqual(attributesOf(file, span), { a: 2n, b: "1234" });
      const end = endOf(file, span);
      assert.equal(end.droppedAttributesCount, 3);
      assert.equal(end.droppedEventsCount, 1);
      assert.equal(end.droppedLinksCount, 2);
      const [one, two, ...rest] = file.events();
      assert.deepEqual(file.attributes(one.attributes), { k: 1n });
      assert.equal(one.droppedAttributesCount, 1);
      assert.equal(file.string(two.eventNameRef), "two");
      assert.equal(rest.length, 0);
      const links = recordsOf(file, span).filter(({ event }) => event.case === "link");
      assert.equal(links.length, 1);
      const { event } = links[0];
      assert.ok(event.case === "link");
      assert.deepEqual(file.attributes(event.value.links[0].attributes), { x: 1n });
      assert.equal(event.value.links[0].droppedAttributesCount, 1);
    });

    it("count keys once, however many and however often they are set", () => {
      let span!: Span;
      const file = recorded(() => {
        // More than a span has bits for.
        const all: Record<string, number> = {};
        for (let i = 0; i < 150; i++) all[`key ${i}`] = i;
        span = tracer().startSpan("op", { attributes: { "key 149": 1, "key 7": 2 } });
        for (const key in all) span.setAttribute(key, all[key]);
        span.setAttributes(all);
        span.end();
      }, { limits: { attributeCountLimit: 140 } });
      assert.equal(Object.keys(attributesOf(file, span)).length, 140);
      // Ten keys, each of them twice.
      assert.equal(endOf(file, span).droppedAttributesCount, 20);
    });

    it("say what events, links and status were", () => {
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("op", { startTime: [1_700_000_000, 123_456_789] });
        span.addEvent("plain", { a: "b" });
        span.addEvent("timed", [1_700_000_001, 1]);
        span.addEvent("both", { c: 1 }, new Date(1_700_000_002_000));
        span.recordException(new TypeError("boom"));
        span.recordException("just text");
        span.recordException({} as never);
        span.addLink({
          context: {
            traceId: "0123456789abcdef0123456789ABCDEF",
            spanId: "fedcba9876543210",
            traceFlags: 1,
            isRemote: true,
            traceState: createTraceState("a=1,b=2"),
          },
          attributes: { why: "because" },
          droppedAttributesCount: 3,
        });
        span.addLink({ context: { traceId: "no", spanId: "id", traceFlags: 0 } });
        span.addLink(null as never);
        span.setStatus({ code: SpanStatusCode.ERROR, message: "first" });
        span.setStatus({ code: SpanStatusCode.UNSET });
        span.setStatus({ code: SpanStatusCode.ERROR, message: "boom ż" });
        span.end([1_700_000_003, 5]);
      });
      const events = file.events();
      assert.deepEqual(events.map((event) => file.string(event.eventNameRef)), [
        "plain",
        "timed",
        "both",
        "exception",
        "exception",
      ]);
      for (const event of events) {
        assert.equal(event.spanEvent, true);
        assert.equal(hex(event.spanContext!.traceId), span.spanContext().traceId);
        assert.equal(hex(event.spanContext!.spanId), span.spanContext().spanId);
        assert.equal(event.spanContext!.flags & 0xff, 1);
        assert.equal(file.scope(event.scopeRef).name, "scope");
      }
      assert.deepEqual(file.attributes(events[0].attributes), { a: "b" });
      assert.equal(events[1].timeUnixNano, 1_700_000_001_000_000_001n);
      assert.equal(events[2].timeUnixNano, 1_700_000_002_000_000_000n);
      assert.deepEqual(file.attributes(events[2].attributes), { c: 1n });
      const exception = file.attributes(events[3].attributes);
      assert.equal(exception["exception.type"], "TypeError");
      assert.equal(exception["exception.message"], "boom");
      assert.match(exception["exception.stacktrace"] as string, /span\.test/);
      assert.deepEqual(file.attributes(events[4].attributes), { "exception.message": "just text" });
      const { event } = recordsOf(file, span).find(({ event }) => event.case === "link")!;
      assert.ok(event.case === "link");
      const [link] = event.value.links;
      assert.equal(hex(link.traceId), "0123456789abcdef0123456789abcdef");
      assert.equal(hex(link.spanId), "fedcba9876543210");
      assert.equal(link.traceState, "a=1,b=2");
      assert.equal(link.flags, 0x301);
      assert.equal(link.droppedAttributesCount, 3);
      assert.deepEqual(file.attributes(link.attributes), { why: "because" });
      assert.equal(startOf(file, span).startTimeUnixNano, 1_700_000_000_123_456_789n);
      const end = endOf(file, span);
      assert.equal(end.endTimeUnixNano, 1_700_000_003_000_000_005n);
      assert.equal(end.status?.code, 2);
      assert.equal(end.status?.message, "boom ż");
      assert.equal(end.droppedLinksCount, 2);
    });

    it("follow the status rules: Ok is final and has no message", () => {
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("op");
        span.setStatus({ code: SpanStatusCode.ERROR, message: "no" });
        span.setStatus({ code: SpanStatusCode.OK, message: "ignored" });
        span.setStatus({ code: SpanStatusCode.ERROR, message: "late" });
        span.end();
      });
      assert.equal(endOf(file, span).status?.code, 1);
      assert.equal(endOf(file, span).status?.message, "");
    });

    it("end once, never before the start, and record nothing afterwards", () => {
      let span!: Span;
      let file!: RawFile;
      const lines = warnings(() => {
        file = recorded(() => {
          span = tracer().startSpan("op", { startTime: new Date(1_700_000_000_000) });
          assert.equal(span.isRecording(), true);
          span.end(new Date(1_600_000_000_000));
          assert.equal(span.isRecording(), false);
          span.end();
          span.setAttribute("a", 1).setAttributes({ b: 2 }).addEvent("e").updateName("n");
          span.addLink({ context: span.spanContext() }).setStatus({ code: SpanStatusCode.OK });
          span.recordException("x");
        });
      });
      assert.equal(recordsOf(file, span).length, 2);
      assert.equal(file.events().length, 0);
      assert.equal(endOf(file, span).endTimeUnixNano, 1_700_000_000_000_000_000n);
      assert.ok(lines.length >= 7);
    });

    it("take the parent from the context, local or remote, with its trace state", () => {
      const traceState = createTraceState("vendor=1");
      const remote = {
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        traceFlags: 1,
        isRemote: true,
        traceState,
      };
      const spans: Span[] = [];
      const file = recorded(() => {
        const parent = trace.setSpanContext(ROOT_CONTEXT, remote);
        context.with(parent, () => {
          tracer().startActiveSpan("child", (child) => {
            spans.push(child);
            spans.push(tracer().startSpan("grandchild"));
            spans.push(tracer().startSpan("root", { root: true }));
          });
        });
        const invalid = trace.setSpanContext(ROOT_CONTEXT, INVALID_SPAN_CONTEXT);
        spans.push(tracer().startSpan("of an invalid parent", {}, invalid));
      });
      const [child, grandchild, root, orphan] = spans;
      assert.equal(child.spanContext().traceId, remote.traceId);
      assert.equal(hex(startOf(file, child).parentSpanId), remote.spanId);
      assert.equal(startOf(file, child).flags, 0x301);
      assert.equal(startOf(file, child).traceState, "vendor=1");
      assert.equal(startOf(file, grandchild).flags, 0x101);
      assert.equal(startOf(file, grandchild).traceState, "vendor=1");
      assert.equal(hex(startOf(file, grandchild).parentSpanId), child.spanContext().spanId);
      assert.notEqual(root.spanContext().traceId, remote.traceId);
      assert.equal(startOf(file, root).parentSpanId.length, 0);
      assert.match(orphan.spanContext().traceId, /^(?!0{32})[0-9a-f]{32}$/);
    });

    it("follow the sampler, also one of the program", () => {
      const names: string[] = [];
      const file = recorded(() => {
        const drop = tracer().startSpan("drop");
        assert.equal(drop.isRecording(), false);
        assert.equal(drop.spanContext().traceFlags, 0);
        const child = tracer().startSpan("child", {}, trace.setSpan(ROOT_CONTEXT, drop));
        assert.equal(child.spanContext().traceId, drop.spanContext().traceId);
        const quiet = tracer().startSpan("record");
        assert.equal(quiet.isRecording(), true);
        assert.equal(quiet.spanContext().traceFlags, 0);
        quiet.end();
        const broken = tracer().startSpan("throw");
        assert.equal(broken.isRecording(), false);
        const sampled = tracer().startSpan("sample", { attributes: { a: 1 } });
        assert.equal(sampled.spanContext().traceState?.serialize(), "s=1");
        sampled.end();
        assert.deepEqual(attributesOf(new RawFile(lastPath), sampled), { a: 1n, added: true });
      }, {
        sampler: {
          shouldSample(_context, traceId, name) {
            assert.match(traceId, /^[0-9a-f]{32}$/);
            names.push(name);
            if (name === "throw") throw new Error("no");
            if (name === "record") return { decision: RECORD_ONLY };
            return name === "sample"
              ? {
                decision: 2,
                attributes: { added: true },
                traceState: createTraceState("s=1"),
              }
              : { decision: 0 };
          },
          toString: () => "test",
        },
      });
      assert.deepEqual(names, ["drop", "child", "record", "throw", "sample"]);
      assert.deepEqual(file.spanEvents().map(({ event }) => event.case), ["start", "end"]);
    });

    it("keep the trace state of a parent whose child is not sampled", () => {
      recorded(() => {
        const parent = trace.setSpanContext(ROOT_CONTEXT, {
          traceId: "1".repeat(32),
          spanId: "2".repeat(16),
          traceFlags: 0,
          isRemote: true,
          traceState: createTraceState("k=v"),
        });
        const child = tracer().startSpan("child", {}, parent);
        assert.equal(child.isRecording(), false);
        assert.equal(child.spanContext().traceState?.serialize(), "k=v");
      });
    });

    it("are not made where tracing is suppressed", () => {
      const file = recorded(() => {
        const span = tracer().startSpan("op", {}, suppressTracing(ROOT_CONTEXT));
        assert.equal(trace.isSpanContextValid(span.spanContext()), false);
      });
      assert.equal(file.spanEvents().length, 0);
    });

    it("use the program's id generator, and random ids where it fails", () => {
      const ids = ["11111111111111111111111111111111", "not an id", ""];
      recorded(() => {
        assert.equal(tracer().startSpan("a").spanContext().traceId, "1".repeat(32));
        assert.match(tracer().startSpan("b").spanContext().traceId, /^[0-9a-f]{32}$/);
        assert.match(tracer().startSpan("c").spanContext().traceId, /^[0-9a-f]{32}$/);
      }, {
        idGenerator: {
          generateTraceId: () => {
            const id = ids.shift()!;
            if (id === "") throw new Error("no");
            return id;
          },
          generateSpanId: () => "2222222222222222",
        },
      });
    });

    it("have ids that do not repeat", () => {
      const seen = new Set<string>();
      recorded(() => {
        for (let i = 0; i < 5000; i++) {
          const { traceId, spanId } = tracer().startSpan("op").spanContext();
          seen.add(traceId).add(spanId);
        }
      });
      assert.equal(seen.size, 10_000);
    });

    it("tell the hook of every start, with the parent context", () => {
      let span!: Span;
      const file = recorded(() => {
        const baggage = propagation.createBaggage({ tenant: { value: "acme" } });
        span = tracer().startSpan("op", {}, propagation.setBaggage(ROOT_CONTEXT, baggage));
      }, {
        onStart: (started, parent) => {
          const entry = propagation.getBaggage(parent)?.getEntry("tenant");
          if (entry !== undefined) started.setAttribute("tenant", entry.value);
          throw new Error("is contained");
        },
      });
      assert.deepEqual(attributesOf(file, span), { tenant: "acme" });
    });

    it("survive a getter that records while it is read", () => {
      let outer!: Span;
      const file = recorded(() => {
        outer = tracer().startSpan("outer", {
          attributes: {
            a: 1,
            get nested() {
              tracer().startSpan("nested").end();
              return "read";
            },
            b: 2,
          },
        });
        outer.end();
      });
      assert.deepEqual(attributesOf(file, outer), { a: 1n, nested: "read", b: 2n });
      assert.deepEqual(file.spanEvents().map(({ event }) => event.case), ["start", "end"]);
    });

    it("survive data that throws when it is read", () => {
      const spans: Span[] = [];
      const attributes = {
        a: 1,
        get bad(): string {
          throw new Error("no");
        },
        deep: {
          get bad(): string {
            throw new Error("no");
          },
        },
        b: 2,
      };
      const keyless = new Proxy({}, {
        ownKeys() {
          throw new Error("no");
        },
      });
      const name = {
        toString() {
          throw new Error("no");
        },
      } as never;
      const file = recorded(() => {
        const one = tracer().startSpan("one", { attributes });
        const two = tracer().startSpan(name).setAttributes(attributes);
        two.setAttribute("deep", attributes.deep).addEvent(name).updateName(name);
        two.addEvent("e", attributes);
        two.setAttributes(keyless).addEvent("keyless", keyless);
        tracer().startSpan("keyless", { attributes: keyless }).end();
        two.addLink({ context: one.spanContext(), attributes });
        spans.push(one, two);
        for (const span of spans) span.end();
      });
      for (const span of spans) {
        assert.deepEqual(attributesOf(file, span), { a: 1n, b: 2n });
      }
      assert.deepEqual(file.attributes(file.events()[1].attributes), { a: 1n, b: 2n });
      assert.equal(endOf(file, spans[0]).droppedAttributesCount, 2);
    });
  });

  describe("a full ring", () => {
    const small = { sizes: { spans: { slots: 16, slotBytes: 256 } } };

    it("refuses starts while there is room for the ends of open spans", () => {
      const file = recorded(() => {
        const spans = Array.from({ length: 100 }, (_, i) => tracer().startSpan(`span ${i}`));
        const kept = spans.filter((span) => span.isRecording());
        assert.ok(kept.length > 4 && kept.length < 15, `${kept.length}`);
        for (const span of spans) span.setAttribute("a", 1);
        for (const span of spans) span.end();
      }, small);
      const cases = file.spanEvents().map(({ event }) => event.case);
      assert.ok(cases.filter((name) => name === "end").length >= 4);
      // Loss counters of the spans ring: full, and kept for ends.
      const full = file.i64(256 + 8 * 8);
      const kept = file.i64(256 + 8 * 8 + 8);
      assert.ok(full > 0 && kept > 0, `${full} ${kept}`);
    });

    it("says once how to start a collector", () => {
      const lines = warnings(() => {
        recorded(() => {
          for (let i = 0; i < 100; i++) tracer().startSpan("op").end();
        }, small);
      });
      assert.equal(lines.length, 1);
      assert.match(lines[0], /otlp-mmap collect/);
    });
  });

  describe("names", () => {
    it("are kept whatever their length and number", () => {
      const spans: Span[] = [];
      const file = recorded(() => {
        spans.push(tracer().startSpan(""));
        spans.push(tracer().startSpan("🚲".repeat(1000)));
        spans.push(tracer().startSpan(undefined as never));
        spans.push(tracer().startSpan("n").updateName("é".repeat(1000)));
        for (let i = 0; i < 2100; i++) tracer().startSpan(`name ${i}`).end();
        spans.push(tracer().startSpan("name 2099", { attributes: { a: 1 } }));
      });
      assert.equal(startOf(file, spans[0]).name, "");
      assert.match(startOf(file, spans[1]).name, /^(🚲){200,256}$/u);
      assert.equal(startOf(file, spans[2]).name, "undefined");
      const renamed = recordsOf(file, spans[3])[1].event;
      assert.ok(renamed.case === "name");
      assert.match(renamed.value.name, /^é{450,512}$/);
      assert.equal(startOf(file, spans[4]).name, "name 2099");
      assert.deepEqual(attributesOf(file, spans[4]), { a: 1n });
    });

    it("of events without bound do not fill the dictionary", () => {
      let span!: Span;
      const file = recorded(() => {
        span = tracer().startSpan("op");
        for (let i = 0; i < 1100; i++) {
          span = tracer().startSpan("op");
          span.addEvent(`event ${i}`, { i });
        }
      }, { sizes: { events: { slots: 2048, slotBytes: 512 }, spans: { slots: 8192 } } });
      const events = file.events();
      assert.equal(events.length, 1100);
      assert.equal(file.string(events[999].eventNameRef), "event 999");
      assert.equal(events[1099].eventNameRef, 0n);
      assert.equal(events[1099].eventName, "event 1099");
      assert.deepEqual(file.attributes(events[1099].attributes), { i: 1099n });
    });
  });

  describe("start", () => {
    it("says once that it was started before, and leaves that one and its file alone", () => {
      const empty = mkdtempSync(join(directory, "none-"));
      recorded((first) => {
        const lines = warnings(() => {
          const second = start({ env: { OTEL_TRACES_SAMPLER: "no such" }, directory: empty });
          assert.equal(second.recording, false);
          assert.ok(second.reason?.includes(first.path!), second.reason ?? "");
          void second.shutdown();
        });
        assert.equal(lines.length, 1, lines.join("\n"));
        assert.match(lines[0], /no effect: the SDK was started in this thread before/);
        assert.deepEqual(readdirSync(empty), []);
        assert.equal(tracer().startSpan("op").isRecording(), true);
        context.with(ROOT_CONTEXT.setValue(KEY, 1), () => {
          assert.equal(context.active().getValue(KEY), 1);
        });
      });
    });

    it("says once that another SDK is registered, and leaves it and the place alone", () => {
      const empty = mkdtempSync(join(directory, "none-"));
      const foreign: [register: () => boolean, disable: () => void][] = [
        [() => trace.setGlobalTracerProvider(new ProxyTracerProvider()), () => trace.disable()],
        [
          () => metrics.setGlobalMeterProvider({ getMeter: () => createNoopMeter() }),
          () => metrics.disable(),
        ],
        [
          () => logs.setGlobalLoggerProvider({ getLogger: () => ({}) as Logger }),
          () => logs.disable(),
        ],
      ];
      assert.equal(propagation.setGlobalPropagator(new W3CBaggagePropagator()), true);
      try {
        for (const [register, disable] of foreign) {
          assert.equal(register(), true);
          try {
            const lines = warnings(() => {
              const second = start({ env: {}, directory: empty });
              assert.match(second.reason!, /another OpenTelemetry SDK/);
              void second.shutdown();
            });
            assert.equal(lines.length, 1, lines.join("\n"));
            assert.match(lines[0], /another OpenTelemetry SDK/);
            assert.deepEqual(readdirSync(empty), []);
            assert.equal(register(), false, "it is still there");
          } finally {
            disable();
          }
        }
        assert.deepEqual(propagation.fields(), ["baggage"]);
      } finally {
        propagation.disable();
      }
    });

    it("takes an empty path for none, and says so, as it does of what is no path", async () => {
      const place = mkdtempSync(join(directory, "empty-"));
      const before = readdirSync(".");
      const env = { OTLP_MMAP_DIR: place };
      for (const option of ["file", "directory"] as const) {
        for (const given of ["", " ", 5, new URL("file:///tmp"), Symbol("s"), null, undefined]) {
          let sdk!: Sdk;
          const lines = warnings(() => {
            sdk = start({ env, [option]: given });
          });
          await sdk.shutdown();
          assert.equal(dirname(sdk.path!), place, sdk.reason ?? "");
          const isSaid = given !== null && given !== undefined;
          assert.equal(lines.length, isSaid ? 1 : 0, lines.join("\n"));
          if (isSaid) assert.match(lines[0], new RegExp(`start\\(\\{ ${option}: .*not a path`));
        }
      }
      const both = start({
        env: { SDK_MMAP_EXPORTER_FILE: "", OTLP_MMAP_DIR: " " },
        file: "",
        directory: place,
      });
      await both.shutdown();
      assert.equal(dirname(both.path!), place);
      assert.deepEqual(readdirSync("."), before);
    });

    it("says once which options are of another kind, and starts without them", async () => {
      const place = mkdtempSync(join(directory, "kinds-"));
      const env = { OTLP_MMAP_DIR: place };
      const cases: [option: string, make: (given: unknown) => unknown, odd: unknown[]][] = [
        ["env", (env) => ({ env, directory: place }), [5, "x", () => {}, ["A=b"]]],
        ["resource", (resource) => ({ resource }), [5, "service.name=a", ["a"], () => {}]],
        ["resourceSchemaUrl", (resourceSchemaUrl) => ({ resourceSchemaUrl }), [5, ["x"], {}]],
        ["resourceDetectors", (resourceDetectors) => ({ resourceDetectors }), [5, "host", {}]],
        ["sampler", (sampler) => ({ sampler }), [0.5, "always_on", []]],
        ["idGenerator", (idGenerator) => ({ idGenerator }), [5, "random"]],
        ["limits", (limits) => ({ limits }), [5, "many", [128]]],
        ["sizes", (sizes) => ({ sizes }), [5, "large", [1, 2, 3], Symbol("s")]],
        ["sizes.spans", (spans) => ({ sizes: { spans } }), [1024, "large"]],
        ["onStart", (onStart) => ({ onStart }), [5, {}]],
        ["metrics", (metrics) => ({ metrics }), [true, "delta"]],
        ["logs", (logs) => ({ logs }), [false, "warn"]],
        ["logs.limits", (limits) => ({ logs: { limits } }), [5]],
        ["logs.onEmit", (onEmit) => ({ logs: { onEmit } }), [5, {}]],
        ["", (given) => given, [5, "app.otlp", []]],
      ];
      const variable = process.env.OTLP_MMAP_DIR;
      process.env.OTLP_MMAP_DIR = place;
      try {
        for (const [option, make, odd] of cases) {
          for (const given of [...odd, null, undefined]) {
            let sdk!: Sdk;
            const made = make(given) as StartOptions;
            const lines = warnings(() => {
              sdk = start(option === "" ? made : { env, ...made });
              trace.getTracer("t").startSpan("s").end();
            });
            const said = `${option}: ${lines.join("\n")}`;
            assert.equal(sdk.recording, true, `${option}: ${sdk.reason}`);
            assert.equal(new RawFile(sdk.path!).spanEvents().length > 0, true, option);
            await sdk.shutdown();
            const isSaid = given !== null && given !== undefined;
            assert.equal(lines.length, isSaid ? 1 : 0, said);
            if (!isSaid) continue;
            assert.ok(lines[0].startsWith(option === "" ? "start(" : `start({ ${option}: `), said);
            assert.match(lines[0], /: not (?:an object|a list|a function|text).*; ignored$/, said);
          }
        }
      } finally {
        if (variable === undefined) delete process.env.OTLP_MMAP_DIR;
        else process.env.OTLP_MMAP_DIR = variable;
      }
    });

    it("after one that failed keeps the context of what is under way", async () => {
      const failed = start({ env: {}, directory: "/proc/nowhere" });
      assert.equal(failed.recording, false);
      const { promise: started, resolve } = Promise.withResolvers<void>();
      const underWay = context.with(ROOT_CONTEXT.setValue(KEY, "kept"), async () => {
        const token = context.active();
        await started;
        assert.equal(context.active(), token);
        assert.equal(context.active().getValue(KEY), "kept");
        const { length } = new RawFile(sdk.path!).spanEvents();
        tracer().startActiveSpan("op", (span) => {
          assert.equal(context.active().getValue(KEY), "kept");
          span.end();
        });
        assert.equal(new RawFile(sdk.path!).spanEvents().length, length + 2);
      });
      const sdk = start({ env: {}, directory });
      try {
        assert.equal(sdk.recording, true, sdk.reason ?? "");
        await failed.shutdown();
        resolve();
        await underWay;
        context.with(ROOT_CONTEXT.setValue(KEY, 2), () => {
          assert.equal(context.active().getValue(KEY), 2);
        });
      } finally {
        await sdk.shutdown();
      }
      context.with(ROOT_CONTEXT.setValue(KEY, 3), () => {
        assert.equal(context.active(), ROOT_CONTEXT, "given back");
      });
    });

    it("leaves the propagator to the program with OTEL_PROPAGATORS=none", () => {
      const sdk = start({ directory, env: { OTEL_PROPAGATORS: "none" } });
      try {
        assert.equal(propagation.setGlobalPropagator(new W3CBaggagePropagator()), true);
        assert.deepEqual(propagation.fields(), ["baggage"]);
      } finally {
        propagation.disable();
        void sdk.shutdown();
      }
    });

    it("takes OTEL_PROPAGATORS where those of the program can't be used, and says so once", async () => {
      const refuse = (): never => {
        throw new Error("not to be read");
      };
      const baggage = new W3CBaggagePropagator();
      const unusable: unknown[] = [
        ...[5, "b3", {}, [null], ["b3"], [{}], [baggage, { inject() {} }], revoked()],
        new Proxy([], { get: refuse }),
        [Object.defineProperty({}, "inject", { get: refuse })],
        [{ inject() {}, extract: () => ROOT_CONTEXT, fields: refuse }],
      ];
      for (const env of [{}, { OTEL_PROPAGATORS: "tracecontext" }]) {
        for (const [i, propagators] of unusable.entries()) {
          let sdk!: Sdk;
          const lines = warnings(() => {
            sdk = start({ env, directory, propagators } as StartOptions);
          });
          const fields = propagation.fields();
          await sdk.shutdown();
          assert.equal(sdk.recording, true, `${i}: ${sdk.reason}`);
          assert.deepEqual(fields.slice(0, 2), ["traceparent", "tracestate"], String(i));
          assert.equal(fields.includes("baggage"), !("OTEL_PROPAGATORS" in env), String(i));
          assert.equal(lines.length, 1, lines.join("\n"));
          assert.match(
            lines[0],
            /^start\(\{ propagators \}\): they can't be used; taking those of/,
          );
        }
      }
    });

    it("passes over propagators of OTEL_PROPAGATORS that are unknown or can't be read", async () => {
      const unreadable = new Proxy({}, {
        get(): never {
          throw new Error("requires env access");
        },
      });
      const both = ["traceparent", "tracestate", "baggage"];
      const cases: [env: Record<string, string>, fields: string[], said: RegExp][] = [
        [{ OTEL_PROPAGATORS: "b3,baggage" }, ["baggage"], /"b3" is not built in/],
        [{ OTEL_PROPAGATORS: "jaeger" }, [], /"jaeger" is not built in/],
        [unreadable, both, /requires env access/],
      ];
      for (const [env, expected, said] of cases) {
        let sdk!: Sdk;
        const lines = warnings(() => {
          sdk = start({ env, directory });
        });
        const fields = propagation.fields();
        await sdk.shutdown();
        assert.equal(sdk.recording, true, sdk.reason ?? "");
        assert.deepEqual(fields, expected);
        assert.equal(lines.length, 1, lines.join("\n"));
        assert.match(lines[0], said);
      }
    });

    it("goes on where a propagator of the program throws", () => {
      const refuse = (): never => {
        throw new Error("no");
      };
      const throwing = { inject: refuse, extract: refuse, fields: () => ["x"] };
      recorded(() => {
        const carrier: Record<string, string> = {};
        const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
        propagation.inject(propagation.extract(ROOT_CONTEXT, { traceparent }), carrier);
        assert.deepEqual(carrier, { traceparent });
      }, { propagators: [throwing, new W3CTraceContextPropagator()] });
    });

    it("records nothing with OTEL_SDK_DISABLED, and still propagates", () => {
      const empty = mkdtempSync(join(directory, "disabled-"));
      const sdk = start({ env: { OTEL_SDK_DISABLED: "true", OTLP_MMAP_DIR: empty } });
      try {
        assert.equal(sdk.recording, false);
        assert.equal(tracer().startSpan("op").isRecording(), false);
        const carrier: Record<string, string> = {};
        const parent = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
        propagation.inject(trace.setSpanContext(ROOT_CONTEXT, parent), carrier);
        assert.equal(carrier.traceparent, `00-${"1".repeat(32)}-${"2".repeat(16)}-01`);
        assert.deepEqual(readdirSync(empty), []);
      } finally {
        void sdk.shutdown();
      }
    });

    it("says why when the file can't be made, and the application goes on", () => {
      const lines = warnings(() => {
        const sdk = start({ env: {}, directory: "/proc/nowhere" });
        assert.equal(sdk.recording, false);
        tracer().startSpan("op").setAttribute("a", 1).end();
        void sdk.shutdown();
      });
      assert.equal(lines.length, 1);
      assert.match(lines[0], /telemetry is off.*\/proc\/nowhere/);
    });

    it("propagates where the file can't be made, and the next start takes over", async () => {
      const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
      /** What is sent on in a request that came with a traceparent. */
      const passedOn = (): Promise<unknown> => {
        const carrier: Record<string, string> = {};
        const received = propagation.extract(ROOT_CONTEXT, { traceparent });
        return context.with(received, async () => {
          await Promise.resolve();
          tracer().startActiveSpan("op", () => propagation.inject(context.active(), carrier));
          return carrier.traceparent;
        });
      };
      const refuse = (): never => {
        throw new Error("no sampler");
      };
      const empty = mkdtempSync(join(directory, "failing-"));
      const file = join(empty, "f.otlp");
      const failing: StartOptions[] = [
        { env: {}, directory: "/proc/nowhere" },
        Object.defineProperty({ env: {}, file }, "sampler", { get: refuse }),
        Object.defineProperty({ env: {}, file, metrics: {} }, "logs", { get: refuse }),
      ];
      const problems: string[] = [];
      const hear = (...words: unknown[]) => void problems.push(words.join(" "));
      const logger = { error: hear, warn: hear, info() {}, debug() {}, verbose() {} };
      diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
      try {
        for (const options of failing) {
          const failed = start(options);
          assert.equal(failed.recording, false);
          assert.equal(await passedOn(), traceparent);
          assert.deepEqual(readdirSync(empty), []);
          const sdk = start({ env: {}, directory: empty });
          assert.equal(sdk.recording, true, sdk.reason ?? "");
          await failed.shutdown();
          assert.match(String(await passedOn()), /^00-1{32}-(?!2{16})/);
          await sdk.shutdown();
          assert.equal(await passedOn(), undefined);
          for (const name of readdirSync(empty)) rmSync(join(empty, name));
        }
      } finally {
        diag.disable();
      }
      assert.deepEqual(problems.filter((line) => !/telemetry is off/.test(line)), []);
    });

    it("may be started again and again while no collector runs", async () => {
      const place = mkdtempSync(join(directory, "again-"));
      const ring = { slots: 16, slotBytes: 256 };
      const sizes = { spans: ring, events: ring, measurements: ring, dictionaryBytes: 4096 };
      for (const where of [{ directory: place }, { file: join(place, "exact.otlp") }]) {
        for (let i = 1; i <= 20; i++) {
          const sdk = start({ env: {}, sizes, ...where });
          assert.equal(sdk.recording, true, sdk.reason ?? "");
          await sdk.shutdown();
        }
      }
      assert.equal(readdirSync(place).length, 40);
    });

    it("shut down again, takes nothing from the one that came next", async () => {
      const first = start({ env: {}, directory });
      await first.shutdown();
      const second = start({ env: {}, directory });
      try {
        await first.shutdown();
        assert.equal(tracer().startSpan("op").isRecording(), true);
        assert.deepEqual(propagation.fields(), ["traceparent", "tracestate", "baggage"]);
        context.with(ROOT_CONTEXT.setValue(KEY, 1), () => {
          assert.equal(context.active().getValue(KEY), 1);
        });
      } finally {
        await second.shutdown();
      }
    });

    it("marks the file as complete at shutdown, after which spans go nowhere", async () => {
      const file = join(directory, "shutdown.otlp");
      const sdk = start({ env: {}, file });
      const early = tracer();
      const span = early.startSpan("op");
      const path = sdk.path!;
      const time = new RawFile(sdk.path!).view.getBigUint64(40, true);
      await sdk.shutdown();
      span.setAttribute("a", 1).addEvent("e").updateName("n").end();
      early.startSpan("late").end();
      const raw = new RawFile(path);
      assert.equal(raw.spanEvents().length, 1);
      assert.equal(raw.view.getUint32(192, true), 1);
      assert.notEqual(raw.view.getBigUint64(40, true), time);
      await sdk.shutdown();
    });

    it("waits in forceFlush for a reader, and not for ever", async () => {
      const file = join(directory, "flush.otlp");
      const sdk = start({ env: {}, file });
      try {
        assert.equal(await sdk.forceFlush({ timeout: 50 }), true);
        tracer().startSpan("op").end();
        assert.equal(await sdk.forceFlush({ timeout: 50 }), false);
      } finally {
        await sdk.shutdown();
      }
    });
  });
});
