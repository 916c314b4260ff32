import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SpanEventSchema, type SpanKind, type StatusCode } from "../../proto/gen/mmap_pb.ts";
import type { Span } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { drainAll, MemoryCollector } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { DEFAULT_LIMITS } from "./assemble.ts";
import { attributes, type Plain, RandomValues, type ValueInit } from "./testing/values.ts";

interface Expected {
  name: string;
  kind: SpanKind;
  parent: string;
  start: bigint;
  end: bigint;
  flags: number;
  traceState: string;
  status: string;
  attributes: Record<string, Plain>;
  events: { name: string; time: bigint; dropped: number; attributes: Record<string, Plain> }[];
  links: {
    trace: string;
    state: string;
    flags: number;
    dropped: number;
    attributes: Record<string, Plain>;
  }[];
  dropped: number[];
}

function seen(span: Span): Expected {
  return {
    name: span.name,
    kind: span.kind as number as SpanKind,
    parent: span.parentSpanId.join(),
    start: span.startTimeUnixNano,
    end: span.endTimeUnixNano,
    flags: span.flags,
    traceState: span.traceState,
    status: `${span.status?.code ?? 0} ${span.status?.message ?? ""}`,
    attributes: attributes(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      time: event.timeUnixNano,
      dropped: event.droppedAttributesCount,
      attributes: attributes(event.attributes),
    })),
    links: span.links.map((link) => ({
      trace: link.traceId.join(),
      state: link.traceState,
      flags: link.flags,
      dropped: link.droppedAttributesCount,
      attributes: attributes(link.attributes),
    })),
    dropped: [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
  };
}

/** Records of random spans, interleaved; returns what must come out, by first byte of the id. */
function writeRandom(file: FileBuilder, random: Random, spans: number): Map<number, Expected> {
  const source = new RandomValues(random, file);
  const scopeRef = file.simpleScope("random");
  const expected = new Map<number, Expected>();
  const open: number[] = [];
  for (let number = 1; number <= spans || open.length > 0;) {
    if (number <= spans && (open.length === 0 || random.below(4) === 0)) {
      const parent = random.below(2) === 0
        ? new Uint8Array(0)
        : idsOf(random.below(1000) + 1).spanId;
      const record: Expected = {
        name: source.text(),
        kind: random.below(6) as SpanKind,
        parent: parent.join(),
        start: random.bits64(),
        end: 0n,
        flags: random.word() >>> 0,
        traceState: random.below(3) === 0 ? "a=b" : "",
        status: "0 ",
        attributes: {},
        events: [],
        links: [],
        dropped: [0, 0, 0],
      };
      file.span({
        ...idsOf(number),
        scopeRef,
        event: {
          case: "start",
          value: {
            parentSpanId: parent,
            name: record.name,
            kind: record.kind,
            startTimeUnixNano: record.start,
            flags: record.flags,
            traceState: record.traceState,
            attributes: source.pairs(record.attributes),
          },
        },
      });
      expected.set(number, record);
      open.push(number++);
      continue;
    }
    const id = random.pick(open);
    const ids = idsOf(id);
    const record = expected.get(id)!;
    switch (random.below(6)) {
      case 0:
        record.name = source.text();
        file.span({ ...ids, event: { case: "name", value: { name: record.name } } });
        break;
      case 1:
      case 2: {
        const value = { attributes: source.pairs(record.attributes, 4) };
        file.span({ ...ids, event: { case: "attributes", value } });
        break;
      }
      case 3: {
        const links = Array.from({ length: random.below(3) }, () => {
          const link = {
            trace: idsOf(random.below(99) + 1).traceId.join(),
            state: random.below(2) === 0 ? "" : "x=y",
            flags: random.below(1024),
            dropped: random.below(3),
            attributes: {},
          };
          record.links.push(link);
          const { traceId, spanId } = { ...idsOf(1), traceId: bytes(link.trace) };
          return {
            traceId,
            spanId,
            traceState: link.state,
            flags: link.flags,
            droppedAttributesCount: link.dropped,
            attributes: source.pairs(link.attributes, 3),
          };
        });
        file.span({ ...ids, event: { case: "link", value: { links } } });
        break;
      }
      case 4: {
        const event = {
          name: random.pick(["", "tick", "ü"]),
          time: random.bits64(),
          dropped: random.below(3),
          attributes: {},
        };
        record.events.push(event);
        const byRef = random.below(2) === 0 && event.name !== "";
        file.event({
          scopeRef,
          spanEvent: true,
          timeUnixNano: event.time,
          spanContext: ids,
          eventNameRef: byRef ? file.string(event.name) : 0n,
          eventName: byRef ? "" : event.name,
          droppedAttributesCount: event.dropped,
          attributes: source.pairs(event.attributes, 4),
        });
        break;
      }
      default: {
        const code = random.below(3) as StatusCode;
        const message = code === 2 ? source.text() : "";
        const end = random.bits64();
        // 0 is none.
        record.end = end === 0n || end > record.start ? end : record.start;
        record.status = `${code} ${message}`;
        record.dropped = [random.below(2), random.below(300), random.below(2)];
        file.span({
          ...ids,
          event: {
            case: "end",
            value: {
              endTimeUnixNano: end,
              status: code === 0 ? undefined : { code, message },
              droppedAttributesCount: record.dropped[0],
              droppedEventsCount: record.dropped[1],
              droppedLinksCount: record.dropped[2],
            },
          },
        });
        open.splice(open.indexOf(id), 1);
      }
    }
  }
  return expected;
}

function bytes(joined: string): Uint8Array {
  return Uint8Array.from(joined.split(",").map(Number));
}

function idOf(span: Span): number {
  return new DataView(span.spanId.buffer, span.spanId.byteOffset).getUint32(0);
}

describe("assembling spans", () => {
  it(`gives what the records say (seed ${seed})`, () => {
    for (let turn = 0; turn < 30; turn++) {
      const random = new Random(seed + turn);
      const file = new FileBuilder({ slots: 2048, slotBytes: 16_384, dictionaryBytes: 4 << 20 });
      const expected = writeRandom(file, random, 40);
      const { spans, collector } = drainAll(file);
      const note = `seed ${seed}, turn ${turn}`;
      const { rejected, reasons } = collector.process.files[0].drain;
      assert.deepEqual([rejected, [...reasons]], [[0, 0, 0], []], note);
      assert.equal(spans.length, expected.size, note);
      for (const { span } of spans) assert.deepEqual(seen(span), expected.get(idOf(span)), note);
    }
  });

  it("keeps the last value of a key and the last name, however long the span lives", () => {
    const file = new FileBuilder({ slots: 4096, slotBytes: 256 });
    const scopeRef = file.simpleScope("s");
    const ids = idsOf(1);
    const keyRef = file.string("progress");
    file.span({ ...ids, scopeRef, event: { case: "start", value: { name: "first" } } });
    const collector = new MemoryCollector();
    collector.add(file, { over: false });
    for (let i = 0; i < 30_000; i++) {
      const value: ValueInit = { value: { case: "intValue", value: BigInt(i) } };
      file.span({
        ...ids,
        event: i % 3 === 0
          ? { case: "name", value: { name: `name ${i}` } }
          : { case: "attributes", value: { attributes: [{ keyRef, value }] } },
      });
      if (i % 1000 === 0) release(file, collector);
    }
    file.span({ ...ids, event: { case: "end", value: { endTimeUnixNano: 5n } } });
    release(file, collector);
    const [{ span }] = collector.spans();
    assert.equal(span.name, "name 29997");
    assert.deepEqual(attributes(span.attributes), { progress: "intValue 29999" });
    assert.equal(span.droppedAttributesCount, 0);
  });

  it("keeps lists under keys that it meets for the first time, however many", () => {
    const file = new FileBuilder({ slots: 2048, dictionaryBytes: 1 << 20 });
    const scopeRef = file.simpleScope("s");
    for (let i = 1; i <= 600; i++) {
      const list: ValueInit["value"] = {
        case: "arrayValue",
        value: { values: [text(`v${i}`)] },
      };
      file.span({
        ...idsOf(i),
        scopeRef,
        event: {
          case: "start",
          value: {
            name: `n${i}`,
            startTimeUnixNano: 1n,
            attributes: [{ keyRef: file.string(`key ${i}`), value: { value: list } }],
          },
        },
      });
      file.span({ ...idsOf(i), event: { case: "end", value: { endTimeUnixNano: 2n } } });
    }
    const collector = new MemoryCollector();
    collector.add(file);
    collector.rounds();
    const spans = collector.spans().map(({ span }) => span);
    assert.deepEqual(spans.map(({ name }) => name), spans.map((_, i) => `n${i + 1}`));
    assert.equal(spans.length, 600);
    assert.ok(spans.every(({ attributes }, i) => attributes[0].key === `key ${i + 1}`));
  });

  it("drops what a span has no room for, and counts it on the span", () => {
    const file = new FileBuilder({ slots: 8192, slotBytes: 1024 });
    const scopeRef = file.simpleScope("s");
    file.span({ ...idsOf(1), scopeRef, event: { case: "start", value: { name: "full" } } });
    const keyRef = file.string("k");
    const attribute = { keyRef, value: text("x".repeat(800)) };
    for (let i = 0; i < 3000; i++) {
      file.event({
        spanContext: idsOf(1),
        spanEvent: true,
        eventName: "e",
        attributes: [attribute],
      });
    }
    for (let i = 0; i < 1200; i++) {
      const pair = { keyRef: file.string(`key ${i}`), value: text("") };
      file.span({ ...idsOf(1), event: { case: "attributes", value: { attributes: [pair] } } });
    }
    file.span({
      ...idsOf(1),
      event: { case: "end", value: { endTimeUnixNano: 9n, droppedEventsCount: 7 } },
    });
    const { spans: [{ span }] } = drainAll(file);
    assert.equal(span.endTimeUnixNano, 9n);
    assert.equal(span.attributes.length, DEFAULT_LIMITS.attributes);
    assert.equal(span.droppedAttributesCount, 1200 - DEFAULT_LIMITS.attributes);
    assert.ok(span.events.length > 1000);
    assert.equal(span.events.length + span.droppedEventsCount, 3007);
  });

  it("says on the span that part of it was cut off", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    file.span({
      ...idsOf(1),
      scopeRef,
      truncated: true,
      event: { case: "start", value: { name: "cut" } },
    });
    file.span({ ...idsOf(1), event: { case: "end", value: { endTimeUnixNano: 1n } } });
    file.simpleSpan(scopeRef, 2);
    const { spans } = drainAll(file);
    assert.deepEqual(spans.map(({ span }) => attributes(span.attributes)), [
      { "otlp_mmap.truncated": "boolValue true" },
      {},
    ]);
  });

  it("makes text that is not UTF-8 readable instead of losing the span", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const record = toBinary(
      SpanEventSchema,
      create(SpanEventSchema, {
        ...idsOf(1),
        scopeRef,
        event: {
          case: "start",
          value: {
            name: "name-?",
            attributes: [{ keyRef: file.string("k"), value: text("v-??!") }],
          },
        },
      }),
    );
    const at = record.findIndex((_, i) => record[i] === 0x6e && record[i + 5] === 0x3f);
    record[at + 5] = 0xff;
    const value = record.findIndex((_, i) => record[i] === 0x76 && record[i + 2] === 0x3f);
    record[value + 2] = 0xe2;
    record[value + 3] = 0x82;
    file.put(1, record);
    const { spans: [{ span }] } = drainAll(file);
    assert.equal(span.name, "name-?");
    assert.deepEqual(attributes(span.attributes), {
      k: "stringValue v-??!",
      "otlp_mmap.interrupted": "boolValue true",
    });
  });

  it("groups by resource and scope, with their schema URLs and attributes", () => {
    const file = new FileBuilder();
    const attribute = { keyRef: file.string("a"), value: text("1") };
    const again = { keyRef: file.string("a"), value: text("2") };
    const resources = ["one", "two"].map((name) =>
      file.resource({
        attributes: [{ keyRef: file.string("service.name"), value: text(name) }, attribute, again],
        droppedAttributesCount: 3,
        schemaUrl: `https://example.com/${name}`,
      })
    );
    let number = 1;
    for (const resourceRef of resources) {
      for (const name of ["x", "y"]) {
        // The same scope under two refs is one scope.
        for (let copy = 0; copy < 2; copy++) {
          const scopeRef = file.scope({
            nameRef: file.string(name),
            versionRef: file.string("1"),
            resourceRef,
            schemaUrl: "https://example.com/scope",
            attributes: [attribute],
            droppedAttributesCount: 2,
          });
          file.simpleSpan(scopeRef, number++);
        }
      }
    }
    const { collector } = drainAll(file);
    const [request] = collector.requests;
    assert.deepEqual(
      request.resourceSpans.map((each) => [
        attributes(each.resource?.attributes ?? []),
        each.resource?.droppedAttributesCount,
        each.schemaUrl,
        each.scopeSpans.map(({ scope, schemaUrl, spans }) => [
          scope?.name,
          scope?.version,
          attributes(scope?.attributes ?? []),
          scope?.droppedAttributesCount,
          schemaUrl,
          spans.length,
        ]),
      ]),
      ["one", "two"].map((name) => [
        { "service.name": `stringValue ${name}`, a: "stringValue 2" },
        3,
        `https://example.com/${name}`,
        ["x", "y"].map((scope) => [
          scope,
          "1",
          { a: "stringValue 1" },
          2,
          "https://example.com/scope",
          2,
        ]),
      ]),
    );
  });

  it("sends the oldest open span early when there are too many", () => {
    const file = new FileBuilder({ slots: 64 });
    const scopeRef = file.simpleScope("s");
    for (let i = 1; i <= 10; i++) {
      file.span({
        ...idsOf(i),
        scopeRef,
        event: { case: "start", value: { name: `span ${i}`, startTimeUnixNano: BigInt(i) } },
      });
    }
    file.span({ ...idsOf(1), event: { case: "end", value: { endTimeUnixNano: 50n } } });
    file.span({ ...idsOf(10), event: { case: "end", value: { endTimeUnixNano: 50n } } });
    const collector = new MemoryCollector({ ...DEFAULT_LIMITS, openSpans: 4 });
    collector.add(file);
    collector.rounds();
    const spans = collector.spans().map(({ span }) => span);
    assert.deepEqual(spans.map(({ name }) => name), [1, 2, 3, 4, 5, 6, 10].map((i) => `span ${i}`));
    for (const span of spans.slice(0, 6)) {
      assert.match(span.status?.message ?? "", /too many open spans/);
      assert.deepEqual(attributes(span.attributes), { "otlp_mmap.interrupted": "boolValue true" });
    }
    assert.equal(spans[6].status, undefined);
    const { evicted, unmatched } = collector.assembler.counts;
    assert.deepEqual({ evicted, unmatched }, { evicted: 6, unmatched: 1 });
  });

  it("ends an interrupted span with the last thing its process recorded, not before its start", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const start = (number: number, time: bigint): void => {
      const value = { name: `span ${number}`, startTimeUnixNano: time };
      file.span({ ...idsOf(number), scopeRef, event: { case: "start", value } });
    };
    start(1, 100n);
    start(2, 1n << 40n);
    file.event({ timeUnixNano: 3n << 40n, eventNameRef: file.string("a log") });
    start(3, 5n << 40n);
    const { spans } = drainAll(file);
    assert.deepEqual(
      spans.map(({ span }) => [span.startTimeUnixNano, span.endTimeUnixNano]),
      [[100n, 5n << 40n], [1n << 40n, 5n << 40n], [5n << 40n, 5n << 40n]],
    );
  });
});

function release(file: FileBuilder, collector: MemoryCollector): void {
  collector.rounds();
  const { drain } = collector.process.files[0];
  file.setI64(file.rings[1] + 16, drain.rings[1].sequence);
}
