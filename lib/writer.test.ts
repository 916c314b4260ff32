import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Mapping } from "../ffi/mod.ts";
import { SpanKind, StatusCode } from "../proto/gen/mmap_pb.ts";
import { hex, RawFile } from "../tests/support/records.ts";
import {
  EXT_STATE,
  HEADER_SPANS,
  RING_READER_INDEX,
  STATE_CLEAN,
  STATE_OPEN,
} from "./format/layout.ts";
import { type Value, Writer, type WriterOptions } from "./writer.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-writer-"));
after(() => rmSync(directory, { recursive: true }));

let files = 0;
const newPath = (): string => join(directory, `${++files}.otlp`);

/** Runs `body` with a writer and returns the file it leaves. */
function written(body: (writer: Writer) => void, options?: WriterOptions): RawFile {
  const path = newPath();
  const writer = Writer.create(path, options);
  try {
    body(writer);
    return new RawFile(path);
  } finally {
    writer.close();
  }
}

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const bytes = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));

describe("Writer", () => {
  it("writes everything a span can have", () => {
    const file = written((writer) => {
      const scope = writer.scope({
        name: "scope",
        version: "1.2.3",
        schemaUrl: "https://schema/scope",
      });
      const span = scope.startSpan("name", {
        traceId,
        spanId,
        parent: { traceId, spanId: "00f067aa0ba902b7" },
        kind: "client",
        time: 1_700_000_000_123_456_789n,
        attributes: { text: "a", whole: -3, half: 0.5, yes: true, big: 2n ** 62n, none: undefined },
        traceState: "vendor=1",
        flags: 0x301,
      });
      assert.equal(span.started, "written");
      assert.equal(span.traceId, traceId);
      assert.equal(span.spanId, spanId);
      const nested: Value = { list: [1, "two", null], bytes: Uint8Array.of(9, 8) };
      assert.equal(span.setAttributes({ nested }), "written");
      assert.equal(
        span.addLink({
          traceId: bytes(traceId),
          spanId: bytes("0102030405060708"),
          attributes: { why: "because" },
          traceState: "l=2",
          flags: 0x101,
        }),
        "written",
      );
      assert.equal(span.addEvent("happened", { time: 5n, attributes: { n: 1 } }), "written");
      assert.equal(span.rename("better"), "written");
      assert.equal(
        span.end({
          time: 1_700_000_001_000_000_000n,
          status: { code: "error", message: "no" },
          droppedEvents: 2,
          droppedLinks: 3,
        }),
        "written",
      );
    }, { resource: { "service.name": "shop", cores: 2 }, schemaUrl: "https://schema/resource" });

    const records = file.spanEvents();
    const scopeRef = records[0].scopeRef;
    for (const record of records) {
      assert.equal(hex(record.traceId), traceId);
      assert.equal(hex(record.spanId), spanId);
      assert.equal(record.scopeRef, scopeRef);
      assert.equal(record.truncated, false);
    }
    assert.deepEqual(file.scope(scopeRef), {
      name: "scope",
      version: "1.2.3",
      schemaUrl: "https://schema/scope",
      resource: { "service.name": "shop", cores: 2n },
    });
    const [start, attributes, link, name, end] = records.map(({ event }) => event);
    assert.equal(records.length, 5);
    assert(start.case === "start");
    assert.equal(hex(start.value.parentSpanId), "00f067aa0ba902b7");
    assert.equal(start.value.name, "name");
    assert.equal(start.value.kind, SpanKind.CLIENT);
    assert.equal(start.value.startTimeUnixNano, 1_700_000_000_123_456_789n);
    assert.equal(start.value.flags, 0x301);
    assert.equal(start.value.traceState, "vendor=1");
    assert.deepEqual(file.attributes(start.value.attributes), {
      text: "a",
      whole: -3n,
      half: 0.5,
      yes: true,
      big: 2n ** 62n,
    });
    assert(attributes.case === "attributes");
    assert.deepEqual(file.attributes(attributes.value.attributes), {
      nested: { list: [1n, "two", null], bytes: Uint8Array.of(9, 8) },
    });
    assert(link.case === "link");
    assert.equal(link.value.links.length, 1);
    const [linked] = link.value.links;
    assert.equal(hex(linked.traceId), traceId);
    assert.equal(hex(linked.spanId), "0102030405060708");
    assert.equal(linked.traceState, "l=2");
    assert.equal(linked.flags, 0x101);
    assert.deepEqual(file.attributes(linked.attributes), { why: "because" });
    assert(name.case === "name");
    assert.equal(name.value.name, "better");
    assert(end.case === "end");
    assert.equal(end.value.endTimeUnixNano, 1_700_000_001_000_000_000n);
    assert.equal(end.value.status?.code, StatusCode.ERROR);
    assert.equal(end.value.status?.message, "no");
    assert.equal(end.value.droppedEventsCount, 2);
    assert.equal(end.value.droppedLinksCount, 3);

    const events = file.events();
    assert.equal(events.length, 1);
    const [event] = events;
    assert.equal(file.string(event.eventNameRef), "happened");
    assert.equal(event.spanEvent, true);
    assert.equal(event.timeUnixNano, 5n);
    assert.equal(event.scopeRef, scopeRef);
    assert.equal(hex(event.spanContext!.traceId), traceId);
    assert.equal(hex(event.spanContext!.spanId), spanId);
    assert.deepEqual(file.attributes(event.attributes), { n: 1n });
  });

  it("makes ids and times where none are given", () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const file = written((writer) => {
      const scope = writer.scope({ name: "s" });
      const parent = scope.startSpan("parent");
      const child = scope.startSpan("child", { parent });
      assert.match(parent.traceId, /^[0-9a-f]{32}$/);
      assert.equal(child.traceId, parent.traceId);
      assert.notEqual(child.spanId, parent.spanId);
    });
    const now = BigInt(Date.now() + 1) * 1_000_000n;
    const [parent, child] = file.spanEvents();
    assert(parent.event.case === "start" && child.event.case === "start");
    assert.equal(parent.event.value.parentSpanId.length, 0);
    assert.deepEqual(child.event.value.parentSpanId, parent.spanId);
    assert.equal(parent.event.value.kind, SpanKind.INTERNAL);
    assert.equal(parent.event.value.flags, 1);
    const time = parent.event.value.startTimeUnixNano;
    assert(time >= before && time <= now, `${before} <= ${time} <= ${now}`);
  });

  it("takes every time that fits 64 bits and throws for others", () => {
    const times = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n];
    const file = written((writer) => {
      const scope = writer.scope({ name: "s" });
      for (const time of times) assert.equal(scope.startSpan("n", { time }).started, "written");
      for (const time of [-1n, 2n ** 64n]) {
        assert.throws(() => scope.startSpan("n", { time }), /RangeError.*ns since the Unix epoch/);
      }
    });
    assert.deepEqual(
      file.spanEvents().map(({ event }) => event.case === "start" && event.value.startTimeUnixNano),
      times,
    );
  });

  it("throws for ids that are none, and writes nothing then", () => {
    const file = written((writer) => {
      const scope = writer.scope({ name: "s" });
      const wrong = [
        "",
        traceId.slice(1),
        `${traceId}0`,
        traceId.replace("0", "g"),
        "0".repeat(32),
        new Uint8Array(16),
        new Uint8Array(15).fill(1),
      ];
      for (const id of wrong) {
        assert.throws(() => scope.startSpan("n", { traceId: id }), /traceId must be 16 bytes/);
      }
      assert.throws(() => scope.startSpan("n", { spanId: traceId }), /spanId must be 8 bytes/);
      const span = scope.startSpan("n");
      assert.throws(() => span.addLink({ traceId, spanId: "" }), TypeError);
      const none = { traceId: undefined, spanId } as unknown as { traceId: string; spanId: string };
      assert.throws(() => span.addLink(none), TypeError);
    });
    assert.equal(file.spanEvents().length, 1);
  });

  it("takes ids out of the middle of a buffer", () => {
    const buffer = new Uint8Array(27).map((_, i) => i);
    const file = written((writer) => {
      writer.scope({ name: "s" }).startSpan("n", {
        traceId: buffer.subarray(3, 19),
        spanId: buffer.subarray(19),
      });
    });
    assert.equal(hex(file.spanEvents()[0].traceId), hex(buffer.slice(3, 19)));
    assert.equal(hex(file.spanEvents()[0].spanId), hex(buffer.slice(19)));
  });

  it("refuses what does not fit, keeps room for ends, and counts both", () => {
    const path = newPath();
    const writer = Writer.create(path, { spans: { slots: 8 }, events: { slots: 2 } });
    const scope = writer.scope({ name: "s" });
    // Seven slots can be used; a quarter of eight is kept for the ends of open spans.
    const first = scope.startSpan("first");
    const second = scope.startSpan("second");
    const results = Array.from({ length: 5 }, (_, i) => first.setAttributes({ i }));
    assert.deepEqual(results, ["written", "written", "written", "ring_full", "ring_full"]);
    const late = scope.startSpan("late");
    assert.equal(late.started, "ring_full");
    assert.equal(late.setAttributes({ a: 1 }), "not_started");
    assert.equal(late.addEvent("e"), "not_started");
    assert.equal(late.end(), "not_started");
    assert.equal(first.addEvent("e"), "written");
    assert.equal(first.addEvent("e"), "ring_full");
    assert.equal(first.end(), "written");
    assert.equal(first.end(), "ended");
    assert.equal(first.rename("x"), "ended");
    assert.equal(second.end(), "written");

    const { spans, events, measurements } = writer.counters();
    assert.equal(spans.written, 7);
    assert.equal(spans.released, 0);
    assert.equal(spans.lost.ring_full + spans.lost.reserve, 3);
    assert.equal(events.written, 1);
    assert.equal(events.lost.ring_full, 1);
    assert.equal(measurements.written, 0);
    assert.equal(writer.drained, false);
    writer.close();
    assert.equal(new RawFile(path).spanEvents().length, 7);
  });

  it("lets an end be tried again that others left no room for", () => {
    const path = newPath();
    const owner = Writer.create(path, { producers: "many", spans: { slots: 4 } });
    const guest = Writer.join(path);
    const span = owner.scope({ name: "s" }).startSpan("n");
    // What one producer keeps for its ends, others may use.
    const other = guest.scope({ name: "s" }).startSpan("other");
    assert.deepEqual([other.started, other.end()], ["written", "written"]);
    assert.equal(span.end(), "ring_full");
    assert.equal(owner.drained, false);

    const reader = Mapping.open(path);
    Atomics.store(reader.i64, (Number(reader.i64[HEADER_SPANS / 8]) + RING_READER_INDEX) / 8, 2n);
    reader.close();
    assert.equal(owner.drained, true);
    assert.equal(span.end(), "written");
    assert.equal(span.end(), "ended");
    assert.equal(owner.counters().spans.released, 3);
    guest.close();
    owner.close();
  });

  it("goes on after a stack overflow inside a call", () => {
    const file = written((writer) => {
      const span = writer.scope({ name: "s" }).startSpan("n");
      const deeper = (): void => {
        deeper();
        span.setAttributes({ text: "a".repeat(100), list: [1, [2, [3]]] });
      };
      const overflow = (): void => {
        try {
          span.setAttributes({ text: "a".repeat(100), list: [1, [2, [3]]] });
        } catch {
          // This is the one that the stack was too small for.
        }
        overflow();
      };
      assert.throws(deeper, RangeError);
      assert.throws(overflow, RangeError);
      assert.equal(span.end(), "written");
    }, { spans: { slots: 65_536, slotBytes: 256 } });
    assert.equal(file.spanEvents().at(-1)?.event.case, "end");
  });

  it("says when the dictionary is full, and counts it", () => {
    const writer = Writer.create(newPath(), { dictionaryBytes: 1024 });
    const scope = writer.scope({ name: "s" });
    const span = scope.startSpan("n");
    const results = Array.from(
      { length: 40 },
      (_, i) => span.setAttributes({ [`a.rather.long.key.${i}`.padEnd(60, "x")]: i }),
    );
    const full = results.filter((result) => result === "dictionary_full").length;
    assert(results[0] === "written" && full > 0, results.join());
    assert.equal(writer.counters().spans.lost.dictionary_full, full);
    const lost = writer.scope({ name: "no room for this name".repeat(40) }).startSpan("n");
    assert.equal(lost.started, "dictionary_full");
    assert.equal(span.end(), "written");
    writer.close();
  });

  it("throws when not even the resource fits, and leaves no file", () => {
    const path = newPath();
    const resource = { text: "x".repeat(2000) };
    assert.throws(() => Writer.create(path, { dictionaryBytes: 1024, resource }), RangeError);
    assert.deepEqual(readdirSync(directory).filter((name) => path.endsWith(name)), []);
  });

  it("does not pass on what getters throw", () => {
    const file = written((writer) => {
      const span = writer.scope({ name: "s" }).startSpan("n");
      const attributes = {
        before: 1,
        get bad(): number {
          throw new Error("no");
        },
        after: 2,
      };
      assert.equal(span.setAttributes(attributes), "written");
      assert.equal(span.droppedAttributes, 1);
      span.end();
    });
    const { event } = file.spanEvents()[1];
    assert(event.case === "attributes");
    assert.deepEqual(file.attributes(event.value.attributes), { before: 1n, after: 2n });
  });

  it("refuses a record begun inside another, on whichever ring", () => {
    const results: string[] = [];
    const file = written((writer) => {
      const span = writer.scope({ name: "s" }).startSpan("n");
      const attributes = {
        nested: {
          get a(): string {
            results.push(span.setAttributes({ inner: "x".repeat(100) }), span.addEvent("inner"));
            return "a".repeat(200);
          },
        },
      };
      assert.equal(span.addEvent("outer", { attributes }), "written");
      assert.equal(span.setAttributes({ last: 1 }), "written");
      assert.equal(writer.counters().spans.lost.encode, 1);
      assert.equal(writer.counters().events.lost.encode, 1);
    });
    assert.deepEqual(results, ["unreadable", "unreadable"]);
    assert.deepEqual(
      file.events().map((event) => file.attributes(event.attributes)),
      [{ nested: { a: "a".repeat(200) } }],
    );
    assert.equal(file.spanEvents().length, 2);
  });

  it("makes a scope while another record is being made", () => {
    const file = written((writer) => {
      const span = writer.scope({ name: "outer" }).startSpan("n");
      const attributes = {
        list: [{
          get made(): string {
            writer.scope({ name: "inner", attributes: { a: "b".repeat(60) } });
            return "a".repeat(200);
          },
        }],
        last: "z".repeat(50),
      };
      assert.equal(span.setAttributes(attributes), "written");
    });
    const { event } = file.spanEvents()[1];
    assert(event.case === "attributes");
    assert.deepEqual(file.attributes(event.value.attributes), {
      list: [{ made: "a".repeat(200) }],
      last: "z".repeat(50),
    });
  });

  it("says how the file ended", () => {
    const state = (path: string): number => {
      const mapping = Mapping.open(path);
      const word = mapping.i32[EXT_STATE >> 2];
      mapping.close();
      return word;
    };
    for (const clean of [true, false]) {
      const path = newPath();
      const writer = Writer.create(path);
      const span = writer.scope({ name: "s" }).startSpan("n");
      writer.close({ clean });
      writer.close();
      assert.equal(writer.closed, true);
      assert.equal(state(path), clean ? STATE_CLEAN : STATE_OPEN);
      assert.equal(span.end(), "closed");
      assert.equal(writer.scope({ name: "s" }).startSpan("n").started, "closed");
      assert.equal(writer.drained, false);
      assert.throws(() => writer.counters(), /count before closing/);
      assert.equal(new RawFile(path).spanEvents().length, 1);
    }
  });

  it("never writes over another file, and sets aside what a dead owner left", () => {
    const path = newPath();
    const writer = Writer.create(path);
    writer.scope({ name: "s" }).startSpan("n");
    assert.throws(() => Writer.create(path), { code: "EEXIST" });
    writer.close({ clean: false });
    const next = Writer.create(path);
    assert.equal(new RawFile(path).spanEvents().length, 0);
    const name = path.slice(directory.length + 1);
    const names = readdirSync(directory).filter((other) => other.startsWith(`${name}.`));
    assert.equal(names.length, 1);
    assert.match(names[0].slice(name.length), /^\.[0-9a-f]{8}\.left$/);
    assert.equal(new RawFile(join(directory, names[0])).spanEvents().length, 1);
    next.close();
  });

  it("lets others join a file for many producers, and no other file", () => {
    const path = newPath();
    const owner = Writer.create(path, { producers: "many", resource: { who: "owner" } });
    const guest = Writer.join(path, { resource: { who: "guest" } });
    const spans = [owner, guest, owner, guest].map((writer, i) => {
      const span = writer.scope({ name: "s" }).startSpan(`${i}`);
      assert.equal(span.started, "written");
      return span;
    });
    assert.deepEqual(spans.map((span) => span.end()), Array(4).fill("written"));
    guest.close();
    const file = new RawFile(path);
    assert.deepEqual(
      file.spanEvents().flatMap(({ event, scopeRef }) =>
        event.case === "start" ? [[event.value.name, file.scope(scopeRef).resource.who]] : []
      ),
      [["0", "owner"], ["1", "guest"], ["2", "owner"], ["3", "guest"]],
    );
    assert.equal(owner.counters().spans.written, 8);
    owner.close();
    assert.throws(() => Writer.join(path), /its owner has closed it/);
    const alone = newPath();
    const writer = Writer.create(alone);
    assert.throws(() => Writer.join(alone), /producers: "many"/);
    writer.close();
  });
});
