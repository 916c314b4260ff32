import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FileBuilder, idsOf, text } from "../tests/support/build.ts";
import { BusyError, FormatError, Reader, type ReadRecord } from "./reader.ts";
import { Writer } from "./writer.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-reader-"));
after(() => rmSync(directory, { recursive: true }));

let count = 0;
function path(): string {
  return join(directory, `${++count}.otlp`);
}

describe("Reader", () => {
  it("gives every kind of record with its refs resolved", () => {
    const file = new FileBuilder();
    const keyRef = file.string("k");
    const scopeRef = file.scope({
      nameRef: file.string("scope"),
      versionRef: file.string("1"),
      attributes: [{ keyRef, value: text("s") }],
      resourceRef: file.resource({ attributes: [{ keyRef, value: text("r") }] }),
    });
    const { traceId, spanId } = idsOf(1);
    const list = {
      value: {
        case: "arrayValue" as const,
        value: {
          values: [
            {},
            { value: { case: "valueRef" as const, value: file.value(text("far")) } },
            {
              value: {
                case: "kvlistValue" as const,
                value: {
                  values: [{
                    keyRef,
                    value: { value: { case: "boolValue" as const, value: true } },
                  }],
                },
              },
            },
          ],
        },
      },
    };
    file.span({
      traceId,
      spanId,
      scopeRef,
      event: {
        case: "start",
        value: { name: "n", kind: 2, startTimeUnixNano: 5n, attributes: [{ keyRef, value: list }] },
      },
    });
    file.span({ traceId, spanId, event: { case: "name", value: { name: "m" } } });
    file.span({
      traceId,
      spanId,
      event: { case: "end", value: { endTimeUnixNano: 9n, status: { code: 2, message: "no" } } },
    });
    file.event({
      scopeRef,
      spanContext: { traceId, spanId },
      spanEvent: true,
      eventName: "e",
      timeUnixNano: 7n,
    });
    file.measurement({
      metricRef: file.metric("m", "s", scopeRef),
      value: { case: "asDouble", value: 1.5 },
    });
    const name = path();
    file.save(name);
    const reader = Reader.open(name);
    const records = reader.poll();
    assert.deepEqual(records.map(({ ring, sequence }) => `${ring} ${sequence}`), [
      "spans 0",
      "spans 1",
      "spans 2",
      "events 0",
      "measurements 0",
    ]);
    const [start, renamed, end, event, measurement] = records as unknown as Record<
      string,
      unknown
    >[];
    assert.equal(start.spanId, "0000000122222222");
    // Attributes have no prototype.
    assert.deepEqual(JSON.parse(JSON.stringify(start.change, big)), {
      what: "start",
      scope: {
        name: "scope",
        version: "1",
        schemaUrl: "",
        attributes: { k: "s" },
        resource: { attributes: { k: "r" }, schemaUrl: "" },
      },
      name: "n",
      kind: 2,
      time: "5n",
      parentSpanId: "",
      flags: 0,
      traceState: "",
      attributes: { k: [null, "far", { k: true }] },
    });
    assert.deepEqual(renamed.change, { what: "name", name: "m" });
    assert.deepEqual(end.change, { what: "end", time: 9n, statusCode: 2, statusMessage: "no" });
    assert.deepEqual([event.name, event.isSpanEvent, event.time], ["e", true, 7n]);
    assert.deepEqual([measurement.metric, measurement.unit, measurement.value], ["m", "s", 1.5]);
    assert.deepEqual(reader.poll(), []);
    reader.close();
  });

  it("gives records back only when told to", () => {
    const name = path();
    const writer = Writer.create(name, { spans: { slots: 4 } });
    const scope = writer.scope({ name: "s" });
    scope.startSpan("one").end();
    for (let turn = 0; turn < 2; turn++) {
      const reader = Reader.open(name);
      assert.equal(reader.poll().length, 2, "a reader that releases nothing leaves them there");
      assert.equal(reader.owner(), "writing");
      reader.close();
    }
    const reader = Reader.open(name);
    const seen: ReadRecord[] = [];
    for (let i = 0; i < 50; i++) {
      seen.push(...reader.poll(2));
      reader.release();
      const span = scope.startSpan(`turn ${i}`);
      assert.equal(span.started, "written");
      assert.equal(span.end(), "written");
    }
    seen.push(...reader.poll());
    assert.deepEqual(
      seen.map(({ sequence }) => sequence),
      Array.from({ length: 102 }, (_, i) => i),
    );
    assert.equal(reader.owner(), "writing");
    writer.close();
    assert.equal(reader.owner(), "clean");
    reader.close();
  });

  it("is the only one", () => {
    const name = path();
    const writer = Writer.create(name);
    const reader = Reader.open(name);
    assert.throws(() => Reader.open(name), BusyError);
    reader.close();
    assert.ok(!existsSync(`${name}.reader`));
    Reader.open(name).close();
    writer.close();
  });

  it("passes what was claimed and never published only when the owner is gone", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    file.put(1, Uint8Array.of(1, 2, 3), { publish: false });
    file.simpleSpan(scopeRef, 1);
    const name = path();
    file.save(name);
    const reader = Reader.open(name);
    assert.deepEqual(reader.poll(), []);
    const state = reader.owner();
    // Nobody but this process maps it, as far as that can be known here.
    if (state === "dead") assert.deepEqual(reader.poll().map(({ sequence }) => sequence), [1, 2]);
    else assert.deepEqual(reader.poll(), []);
    reader.close();
  });

  it("says of each record that it cannot be read, and goes on", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    file.put(1, new Uint8Array(40), { length: 4000 });
    file.put(1, Uint8Array.of(0x0a, 0x7f));
    file.simpleSpan(1n << 40n, 1);
    file.simpleSpan(scopeRef, 2);
    const name = path();
    file.save(name);
    const reader = Reader.open(name);
    const records = reader.poll();
    const unreadable = records.map((record) => "unreadable" in record ? record.unreadable : "");
    assert.equal(unreadable.length, 6);
    assert.match(unreadable[0], /length/);
    assert.notEqual(unreadable[1], "");
    assert.match(unreadable[2], /ref/);
    assert.deepEqual(unreadable.slice(3), ["", "", ""]);
    reader.close();
  });

  it("refuses what is no file of this format, and leaves it as it is", () => {
    const name = path();
    for (const content of ["", "too short", "x".repeat(1000)]) {
      writeFileSync(name, content);
      assert.throws(() => Reader.open(name), FormatError);
      assert.equal(readFileSync(name, "utf8"), content);
      assert.ok(!existsSync(`${name}.reader`));
    }
    assert.throws(() => Reader.open(join(directory, "missing")), { code: "ENOENT" });
    assert.throws(() => Reader.open(directory), { name: "SystemError" });
  });
});

function big(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
