import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { EventSchema, KeyValueRefSchema, type SeverityNumber } from "../../proto/gen/mmap_pb.ts";
import type { LogRecord } from "../../proto/gen/otlp_pb.ts";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { drainAll, MemoryCollector } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { DEFAULT_LIMITS } from "./assemble.ts";
import { padded } from "./testing/padded.ts";
import { attributes, type Plain, plain, RandomValues } from "./testing/values.ts";

interface Expected {
  time: bigint;
  observed: bigint;
  severity: number;
  severityText: string;
  body: Plain | undefined;
  eventName: string;
  attributes: Record<string, Plain>;
  dropped: number;
  trace: string;
  span: string;
  flags: number;
}

function seen(log: LogRecord): Expected {
  return {
    time: log.timeUnixNano,
    observed: log.observedTimeUnixNano,
    severity: log.severityNumber,
    severityText: log.severityText,
    body: log.body === undefined ? undefined : plain(log.body),
    eventName: log.eventName,
    attributes: attributes(log.attributes),
    dropped: log.droppedAttributesCount,
    trace: log.traceId.join(),
    span: log.spanId.join(),
    flags: log.flags,
  };
}

/** One random log record in the file; returns what must come out. */
function writeRandom(file: FileBuilder, values: RandomValues, scopeRef: bigint): Expected {
  const { random } = values;
  const time = random.below(4) === 0 ? 0n : random.bits64() | 1n;
  const observed = random.below(2) === 0 && time !== 0n ? 0n : random.bits64() | 1n;
  const severity = random.below(25);
  const eventName = random.pick(["", "", "device.app.lifecycle", "ü"]);
  const byRef = random.below(2) === 0 && eventName !== "";
  const inTrace = random.below(2) === 0;
  const { traceId, spanId } = idsOf(random.below(1000) + 1);
  const flags = random.below(256);
  const expected: Expected = {
    time,
    observed: observed === 0n ? time : observed,
    severity,
    severityText: random.pick(["", "INFO", "ważne"]),
    body: undefined,
    eventName,
    attributes: {},
    dropped: random.below(3),
    trace: inTrace ? traceId.join() : "",
    span: inTrace ? spanId.join() : "",
    flags: inTrace ? flags : 0,
  };
  // A file without marks: without severity and body, a name within a span is an event of that.
  const [body, plainBody] = values.value();
  const hasBody = random.below(3) > 0 || severity === 0;
  if (hasBody) expected.body = plainBody;
  const record = create(EventSchema, {
    scopeRef,
    timeUnixNano: time,
    observedTimeUnixNano: observed,
    severityNumber: severity as SeverityNumber,
    severityText: expected.severityText,
    body: hasBody ? body : undefined,
    eventNameRef: byRef ? file.string(eventName) : 0n,
    eventName: byRef ? "" : eventName,
    spanContext: inTrace ? { traceId, spanId, flags } : random.pick([undefined, {
      traceId: new Uint8Array(16),
      spanId: new Uint8Array(8),
      flags,
    }]),
    droppedAttributesCount: expected.dropped,
    attributes: values.pairs(expected.attributes),
  });
  const bytes = toBinary(EventSchema, record);
  file.put(0, random.below(2) === 0 ? bytes : padded(EventSchema, bytes, random));
  return expected;
}

describe("log records", () => {
  it(`are what the records say (seed ${seed})`, () => {
    for (let turn = 0; turn < 30; turn++) {
      const random = new Random(seed + turn);
      const file = new FileBuilder({ slots: 256, slotBytes: 16_384, dictionaryBytes: 4 << 20 });
      const values = new RandomValues(random, file);
      const scopeRef = file.simpleScope("random");
      const expected = Array.from({ length: 60 }, () => writeRandom(file, values, scopeRef));
      const { logs, spans, collector } = drainAll(file);
      const note = `seed ${seed}, turn ${turn}`;
      const { rejected, reasons } = collector.process.files[0].drain;
      assert.deepEqual([rejected, [...reasons], spans], [[0, 0, 0], [], []], note);
      assert.deepEqual(logs.map(({ log }) => seen(log)), expected, note);
      assert.equal(collector.assembler.counts.logs, 60);
    }
  });

  it("have scalar attributes and text as body in the shortest form, however they came", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const key = toBinary(
      KeyValueRefSchema,
      create(KeyValueRefSchema, { keyRef: file.string("k") }),
    );
    const double = [0, 0, 0, 0, 0, 0, 0xf8, 0x3f];
    // AnyValue as it may come, and as it is to go out.
    const values = [
      [[0x90, 0x00, 0x01], [0x10, 0x01]],
      [[0x98, 0x80, 0x80, 0x00, 0x07], [0x18, 0x07]],
      [[0xa1, 0x80, 0x00, ...double], [0x21, ...double]],
      [[0x0a, 0x83, 0x00, 0x61, 0x62, 0x63], [0x0a, 0x03, 0x61, 0x62, 0x63]],
    ];
    for (const [came] of values) {
      file.put(
        0,
        Uint8Array.from([
          ...toBinary(EventSchema, create(EventSchema, { scopeRef })),
          // body: "hi"
          ...[0x2a, 0x85, 0x00, 0x0a, 0x82, 0x00, 0x68, 0x69],
          // attributes: k, and the value
          ...[0x42, key.length + 2 + came.length, ...key, 0x12, came.length, ...came],
        ]),
      );
    }
    const collector = new MemoryCollector();
    collector.add(file);
    collector.rounds();
    const request = collector.assembler.logs.seal()!;
    const bytes = Buffer.from(request.buffer.slice(0, request.length));
    for (const [, goes] of values) {
      const pair = Buffer.from([0x0a, 1, "k".charCodeAt(0), 0x12, goes.length, ...goes]);
      assert.ok(bytes.includes(pair), `${pair.toString("hex")} in ${bytes.toString("hex")}`);
    }
    assert.ok(bytes.includes(Buffer.from([0x2a, 4, 0x0a, 2, 0x68, 0x69])), bytes.toString("hex"));
  });

  it("without any time have the time at which they were collected as observed time", () => {
    const file = new FileBuilder();
    file.event({ scopeRef: file.simpleScope("s"), body: text("when?") });
    const before = BigInt(Date.now()) * 1_000_000n;
    const [{ log }] = drainAll(file).logs;
    assert.equal(log.timeUnixNano, 0n);
    assert.ok(log.observedTimeUnixNano >= before);
    assert.ok(log.observedTimeUnixNano <= BigInt(Date.now()) * 1_000_000n);
  });

  it("say that part of them was cut off, and how many attributes were too many", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const attribute = (key: string) => ({ keyRef: file.string(key), value: text("v") });
    file.event({ scopeRef, body: text("cut"), truncated: true });
    file.event({
      scopeRef,
      body: text("many"),
      attributes: ["a", "b", "c", "d"].map(attribute),
      droppedAttributesCount: 3,
    });
    const collector = new MemoryCollector({ ...DEFAULT_LIMITS, attributes: 2 });
    collector.add(file);
    collector.rounds();
    const [cut, many] = collector.logs().map(({ log }) => log);
    assert.deepEqual(attributes(cut.attributes), { "otlp_mmap.truncated": "boolValue true" });
    assert.deepEqual(Object.keys(attributes(many.attributes)), ["a", "b"]);
    assert.equal(many.droppedAttributesCount, 5);
  });

  it("have the trace alone where there is no span", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const { traceId, spanId } = idsOf(7);
    file.event({ scopeRef, body: text("trace"), spanContext: { traceId, flags: 1 } });
    file.event({ scopeRef, body: text("span"), spanContext: { spanId, flags: 1 } });
    const [trace, span] = drainAll(file).logs.map(({ log }) => log);
    assert.deepEqual([trace.traceId, trace.spanId.length, trace.flags], [traceId, 0, 1]);
    assert.deepEqual([span.traceId.length, span.spanId.length, span.flags], [0, 0, 0]);
  });

  it("that cannot be read cost themselves", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    file.event({ body: text("no scope") });
    file.event({ scopeRef, body: { value: { case: "valueRef", value: 7n } } });
    file.event({ scopeRef, body: text("bad id"), spanContext: { traceId: new Uint8Array(3) } });
    file.event({ scopeRef, eventName: "of no span", spanEvent: true });
    file.event({ scopeRef, eventNameRef: 1n << 40n, body: text("bad ref") });
    let deep = text("deep");
    for (let i = 0; i < 40; i++) {
      deep = { value: { case: "arrayValue", value: { values: [deep] } } };
    }
    file.event({ scopeRef, body: deep });
    file.event({ scopeRef, body: text("good") });
    const { logs, collector } = drainAll(file);
    assert.deepEqual(logs.map(({ log }) => plain(log.body)), ["stringValue good"]);
    assert.equal(collector.process.files[0].drain.rejected[0], 6);
  });
});
