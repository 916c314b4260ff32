/**
 * What readers made elsewhere depend on, checked byte by byte in files that the SDK has written.
 * Offsets and numbers are written out: nothing here comes from lib/format.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { trace } from "@opentelemetry/api";
import { Mapping } from "../ffi/mod.ts";
import { identity } from "../lib/file/identity.ts";
import { type FileSizes, FileWriter } from "../lib/file/write.ts";
import { type Sdk, start } from "../lib/sdk/start.ts";
import { startProgram } from "./support/programs.ts";
import { Random, seed } from "./support/random.ts";
import { record } from "./support/recording.ts";
import { memoryOf, type Message, readerOf, Version1Reader } from "./support/version1.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-format-"));
after(() => rmSync(directory, { recursive: true }));

let count = 0;
const newPath = (): string => join(directory, `${++count}.otlp`);

const EVENTS = 0;
const SPANS = 1;
const SMALL: FileSizes = {
  events: { slots: 4, slotBytes: 512 },
  spans: { slots: 8, slotBytes: 256 },
  measurements: { slots: 2, slotBytes: 256 },
};

/** A file's own mapping for a reader, closed after `body`. */
function mapped<T>(path: string, body: (mapping: Mapping, reader: Version1Reader) => T): T {
  const mapping = Mapping.open(path);
  try {
    return body(mapping, new Version1Reader(mapping, () => mapping.size));
  } finally {
    mapping.close();
  }
}

/** Runs `body` with the SDK recording into a file of its own. */
function recorded(sizes: FileSizes, body: (sdk: Sdk) => void): string {
  const sdk = start({ env: {}, file: newPath(), sizes });
  assert.equal(sdk.recording, true, sdk.reason ?? "");
  const path = sdk.path!;
  try {
    body(sdk);
  } finally {
    void sdk.shutdown();
  }
  return path;
}

const tracer = () => trace.getTracerProvider().getTracer("scope", "1");

describe("a new file", () => {
  it("is complete before its name appears, and the same afterwards", () => {
    const place = mkdtempSync(join(directory, "new-"));
    const path = join(place, "a.otlp");
    const file = FileWriter.create(path, { ...SMALL, identity: identity() });
    const names = readdirSync(place);
    assert.equal(names.length, 1);
    assert.match(names[0], /^a\.otlp\.\d+-\w{6}\.tmp$/);
    const before = readFileSync(join(place, names[0]));
    // Throws where a word that is fixed for the life of the file is missing.
    readerOf(join(place, names[0]));
    assert.equal(before.subarray(64, 72).toString("latin1"), "OTLPMMX1");
    file.mapping.publish(path);
    assert.deepEqual(readdirSync(place), ["a.otlp"]);
    assert.ok(readFileSync(path).equals(before));
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.equal(statSync(path).nlink, 1);
    file.close();
  });

  it("has its sections in order, each where the one before ends", () => {
    const file = FileWriter.create(newPath(), { ...SMALL, identity: identity() });
    file.mapping.publish();
    const { view, size } = memoryOf(file.mapping.path);
    const words = [0, 8, 16, 24, 32].map((at) => Number(view.getBigInt64(at, true)));
    const events = 4096;
    const spans = events + 32 + 4 * (4 + 512);
    const measurements = spans + 32 + 8 * (4 + 256);
    const dictionary = measurements + 32 + 2 * (4 + 256);
    assert.deepEqual(words, [1, events, spans, measurements, dictionary]);
    assert.equal(size, dictionary + 64 * 1024);
    assert.equal(Number(view.getBigInt64(dictionary, true)), dictionary + 64);
    assert.equal(Number(view.getBigInt64(dictionary + 8, true)), 0);
    file.close();
  });

  it("starts with indexes and availability words of -1, and slots of zeros", () => {
    const file = FileWriter.create(newPath(), { ...SMALL, identity: identity() });
    file.mapping.publish();
    const { view, u8 } = memoryOf(file.mapping.path);
    const rings = [[4096, 4, 512], [6192, 8, 256], [8304, 2, 256]];
    for (const [offset, slots, slotBytes] of rings) {
      assert.equal(view.getBigInt64(offset, true), BigInt(slots));
      assert.equal(view.getBigInt64(offset + 8, true), BigInt(slotBytes));
      assert.equal(view.getBigUint64(offset + 16, true), 0xffff_ffff_ffff_ffffn);
      assert.equal(view.getBigUint64(offset + 24, true), 0xffff_ffff_ffff_ffffn);
      for (let i = 0; i < slots; i++) assert.equal(view.getInt32(offset + 32 + 4 * i, true), -1);
      const first = offset + 32 + 4 * slots;
      assert.ok(u8.subarray(first, first + slots * slotBytes).every((byte) => byte === 0));
    }
    file.close();
  });

  it("keeps everything aligned whatever its sizes", () => {
    for (const slots of [2, 4, 16, 1024]) {
      for (const slotBytes of [256, 264, 1000, 4096, 16_384]) {
        const ring = { slots, slotBytes };
        const file = FileWriter.create(newPath(), {
          events: ring,
          spans: { slots: 2, slotBytes: 256 },
          measurements: ring,
          identity: identity(),
        });
        file.mapping.publish();
        const reader = readerOf(file.mapping.path);
        assert.deepEqual({ ...reader.rings[0], offset: 0 }, { ...ring, offset: 0 });
        file.close();
        rmSync(file.mapping.path);
      }
    }
  });

  it("refuses sizes that can't be kept", () => {
    const make = (sizes: FileSizes) => () => {
      FileWriter.create(newPath(), { ...sizes, identity: identity() });
    };
    const before = readdirSync(directory);
    for (const slots of [0, 1, 3, -2, 2.5, NaN, 2 ** 25]) {
      assert.throws(make({ spans: { slots } }), /^RangeError: spans\.slots/, `${slots}`);
    }
    for (const slotBytes of [0, 8, 255, 257, 16_392, Infinity]) {
      assert.throws(make({ events: { slotBytes } }), /^RangeError: events\.slotBytes/);
    }
    for (const dictionaryBytes of [0, 1023, 1024.5]) {
      assert.throws(make({ dictionaryBytes }), /^RangeError: dictionaryBytes/);
    }
    const tooMany = /^RangeError: .*the file could have \d+ bytes, of at most 268435456/;
    assert.throws(make({ dictionaryBytes: 2 ** 28 }), tooMany);
    // 2^38 + 2^26 bytes: the low 32 bits alone would be a file that is small enough.
    assert.throws(make({ spans: { slots: 2 ** 24, slotBytes: 2 ** 14 } }), tooMany);
    assert.deepEqual(readdirSync(directory), before);
  });

  it("has all its blocks, now and when it grows", () => {
    const file = FileWriter.create(newPath(), { identity: identity() });
    file.mapping.publish();
    const { path } = file.mapping;
    const dictionary = Number(memoryOf(path).view.getBigInt64(32, true));
    const first = statSync(path);
    assert.ok(first.size >= dictionary + 1024);
    assert.ok(first.blocks * 512 >= first.size, `${first.blocks} blocks for ${first.size} bytes`);
    for (let i = 0; i < 2000; i++) {
      assert.notEqual(file.dictionary.intern(`${i} ${"k".repeat(200)}`), 0);
    }
    const second = statSync(path);
    assert.ok(second.size > first.size);
    assert.ok(
      second.blocks * 512 >= second.size,
      `${second.blocks} blocks for ${second.size} bytes`,
    );
    const reader = readerOf(path);
    assert.equal(reader.entries().length, 2000);
    file.close();
  });
});

describe("a ring", () => {
  it("is claimed from -1 to 0 in all 64 bits, and released so", () => {
    recorded(SMALL, (sdk) => {
      const before = memoryOf(sdk.path!).view;
      assert.equal(before.getBigInt64(6192 + 24, true), -1n);
      tracer().startSpan("a");
      mapped(sdk.path!, (mapping, reader) => {
        const view = new DataView(mapping.buffer);
        assert.equal(view.getBigInt64(6192 + 24, true), 0n);
        assert.equal(view.getBigInt64(6192 + 16, true), -1n);
        assert.equal(view.getInt32(6192 + 32, true), 0);
        assert.equal(view.getInt32(6192 + 36, true), -1);
        assert.notEqual(reader.next(SPANS), null);
        tracer().startSpan("b");
        assert.equal(view.getBigInt64(6192 + 24, true), 1n);
      });
    });
  });

  it("flags each turn with its number", () => {
    recorded(SMALL, (sdk) => {
      mapped(sdk.path!, (mapping, reader) => {
        const view = new DataView(mapping.buffer);
        const span = tracer().startSpan("turns");
        assert.notEqual(reader.next(SPANS), null);
        for (let sequence = 1; sequence < 5 * 8 + 3; sequence++) {
          span.setAttribute("sequence", sequence);
          const flags = Array.from({ length: 8 }, (_, i) => view.getInt32(6192 + 32 + 4 * i, true));
          const expected = Array.from({ length: 8 }, (_, position) => {
            const last = sequence - ((sequence - position) & 7);
            return last < 0 ? -1 : last >> 3;
          });
          assert.deepEqual(flags, expected, `after sequence ${sequence}`);
          assert.equal(view.getBigInt64(6192 + 24, true), BigInt(sequence));
          const record = reader.next(SPANS)!;
          const { attributes } = record.attributes as Message;
          assert.deepEqual(reader.attributes(attributes), { sequence: BigInt(sequence) });
          assert.equal(reader.next(SPANS), null);
        }
      });
    });
  });

  it("takes one record less than it has slots, then counts what it refuses", () => {
    recorded(SMALL, (sdk) => {
      const loss = (ring: number, reason: number) =>
        memoryOf(sdk.path!).view.getBigUint64(256 + (ring * 8 + reason) * 8, true);
      const span = tracer().startSpan("full");
      // One slot is kept for the end of the open span.
      for (let i = 0; i < 7; i++) span.setAttribute("i", i);
      assert.equal(loss(SPANS, 1), 2n);
      assert.equal(tracer().startSpan("no room").isRecording(), false);
      assert.equal(loss(SPANS, 1), 3n);
      assert.equal(loss(SPANS, 0), 0n);
      span.end();
      const { view } = memoryOf(sdk.path!);
      assert.equal(view.getBigInt64(6192 + 24, true), 6n);
      assert.equal(tracer().startSpan("no room").isRecording(), false);
      assert.equal(loss(SPANS, 0), 1n);
      assert.equal(readerOf(sdk.path!).drain(SPANS).length, 7);
      const other = mapped(sdk.path!, (_, reader) => {
        reader.drain(SPANS);
        return tracer().startSpan("room again");
      });
      assert.equal(other.isRecording(), true);
      for (let i = 0; i < 5; i++) other.addEvent("event");
      assert.equal(loss(EVENTS, 0), 2n);
      assert.equal(readerOf(sdk.path!).drain(EVENTS).length, 3);
    });
  });
});

describe("the dictionary", () => {
  it("has lengths in their shortest form", () => {
    const file = FileWriter.create(newPath(), { ...SMALL, identity: identity() });
    file.mapping.publish();
    const lengths = [1, 127, 128, 129, 16_383, 16_384, 20_000];
    const refs = lengths.map((length) => file.dictionary.append(new Uint8Array(length).fill(65)));
    const reader = readerOf(file.mapping.path);
    assert.deepEqual(refs.map((ref) => reader.entry(BigInt(ref)).length), lengths);
    assert.deepEqual(reader.entries().map((entry) => entry.length), lengths);
    file.close();
  });

  it("is filled by a recording SDK with nothing else than entries", () => {
    const path = recorded({}, () => {
      const span = tracer().startSpan("a", { attributes: { key: 1, "ключ": { inner: [1] } } });
      span.addEvent("event name", { ["k".repeat(200)]: true });
      span.addLink({ context: span.spanContext(), attributes: { linked: "yes" } });
      span.end();
      trace.getTracer("other scope").startSpan("b").end();
    });
    const reader = readerOf(path);
    const texts = reader.entries().map((entry) => new TextDecoder().decode(entry));
    for (const text of ["scope", "key", "ключ", "inner", "event name", "k".repeat(200), "linked"]) {
      assert.equal(texts.filter((found) => found === text).length, 1, text);
    }
    assert.equal(reader.drain(EVENTS).length, 1);
    const scopes = reader.drain(SPANS).map(({ scope_ref }) => reader.scope(scope_ref as bigint));
    assert.deepEqual([...new Set(scopes.map(({ name, version }) => `${name} ${version}`))], [
      "scope 1",
      "other scope ",
    ]);
    assert.equal(scopes[0].resource["telemetry.sdk.name"], "otlp-mmap");
  });
});

describe("time_unix_nano and state", () => {
  const words = (path: string) => {
    const { view } = memoryOf(path);
    return [view.getBigUint64(40, true), view.getUint32(192, true)] as const;
  };

  it("stay while the file is written and change when it is given up", async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const sdk = start({ env: {}, file: newPath(), sizes: SMALL });
    const path = sdk.path!;
    const first = words(path);
    assert.ok(first[0] >= before && first[0] <= BigInt(Date.now() + 1) * 1_000_000n);
    assert.equal(first[1], 0);
    for (let i = 0; i < 100; i++) {
      tracer().startSpan(`span ${i}`, { attributes: { [`key ${i}`]: i } }).end();
      mapped(path, (_, reader) => reader.drain(SPANS));
    }
    await sdk.forceFlush();
    assert.deepEqual(words(path), first);
    await sdk.shutdown();
    const last = words(path);
    assert.notEqual(last[0], first[0]);
    assert.equal(last[1], 1);
  });

  it("change in the old file when the next generation takes over", () => {
    const { recorder, tracer } = record({ file: newPath() }, SMALL);
    const old = recorder.file!.mapping.path;
    const first = words(old);
    recorder.file!.spans.sequenceLimit = 2;
    const span = tracer.startSpan("a");
    span.setAttribute("last", "of the old file");
    assert.deepEqual(words(old), first);
    span.end();
    const next = recorder.file!.mapping.path;
    assert.notEqual(next, old);
    assert.notEqual(words(old)[0], first[0]);
    assert.equal(words(old)[1], 2);
    assert.equal(words(next)[1], 0);
    recorder.close();
    assert.equal(words(next)[1], 1);
    assert.equal(words(old)[1], 2);
  });
});

describe("records", () => {
  it("fit their slots and are valid, whatever the application says", () => {
    const random = new Random();
    const next = (end: number): number => random.below(end);
    const pieces = ["a", "é", "漢", "🚲", "\ud800", "\udc00", "\0", "\u2028"];
    const text = (): string => {
      const length = [0, 1, 5, 30, 40, 100, 300, 2000][next(8)];
      const piece = pieces[next(pieces.length)];
      return next(2) === 0
        ? piece.repeat(length)
        : Array.from({ length }, () => pieces[next(pieces.length)]).join("");
    };
    const value = (depth: number): unknown => {
      switch (next(depth > 3 ? 7 : 10)) {
        case 0:
          return next(2) === 0;
        case 1:
          return next(2 ** 31) - 2 ** 30;
        case 2:
          return [NaN, -0, 1.5, -1, 2 ** 53, -(2 ** 40), Infinity][next(7)];
        case 3:
          return new Uint8Array(next(400)).fill(0xff);
        case 4:
          return null;
        case 7:
        case 8:
          return Array.from({ length: next(20) }, () => value(depth + 1));
        case 9:
          return attributes(depth + 1);
        default:
          return text();
      }
    };
    const attributes = (depth = 0): never => {
      const keys = Array.from({ length: next(12) }, () => `k${next(40)}${next(20) ? "" : text()}`);
      return Object.fromEntries(keys.map((key) => [key, value(depth)])) as never;
    };

    for (const slotBytes of [256, 512, 16_384]) {
      const sizes = {
        events: { slots: 64, slotBytes },
        spans: { slots: 64, slotBytes },
        measurements: { slots: 2, slotBytes: 256 },
      };
      let spans = 0;
      let events = 0;
      try {
        recorded(sizes, (sdk) => {
          for (let round = 0; round < 100; round++) {
            const linked = tracer().startSpan(text()).spanContext();
            const span = tracer().startSpan(text(), {
              attributes: attributes(),
              links: [{ context: linked, attributes: attributes() }],
            });
            span.setAttribute(`late${next(9)}`, value(0) as never);
            span.setAttributes(attributes());
            span.addEvent(text(), attributes());
            span.addLink({ context: linked, attributes: attributes() });
            span.updateName(text());
            span.setStatus({ code: 2, message: text() });
            span.end();
            mapped(sdk.path!, (_, reader) => {
              spans += reader.drain(SPANS).length;
              events += reader.drain(EVENTS).length;
            });
          }
          readerOf(sdk.path!).entries();
        });
      } catch (error) {
        throw new Error(`OTLP_MMAP_TEST_SEED=${seed}, slots of ${slotBytes} bytes`, {
          cause: error,
        });
      }
      assert.ok(spans > 100 * 6, `${spans} records of spans`);
      assert.equal(events, 100);
    }
  });

  it("are cut between code points", () => {
    const sizes = { ...SMALL, spans: { slots: 16, slotBytes: 256 } };
    // Each length in turn puts the end of the slot at another byte of a character.
    for (const character of ["é", "漢", "🚲"]) {
      for (let lead = 0; lead < 4; lead++) {
        const long = "a".repeat(lead) + character.repeat(300);
        const path = recorded(sizes, () => {
          const span = tracer().startSpan(long);
          span.setAttribute("key", long);
          span.updateName(long);
          span.setStatus({ code: 2, message: long });
          span.end();
        });
        const records = readerOf(path).drain(SPANS);
        const status = (records[3].end as Message).status as Message;
        const reader = readerOf(path);
        const found = [
          (records[0].start as Message).name,
          reader.attributes((records[1].attributes as Message).attributes).key,
          (records[2].name as Message).name,
          status.message,
        ];
        for (const text of found as string[]) {
          assert.ok(long.startsWith(text), `${text} is not how it begins`);
          assert.ok(text.length > 50 && text.length < long.length, `${text.length} units`);
        }
      }
    }
  });
});

describe("a reader of version 1 in another process than the writer", { timeout: 120_000 }, () => {
  it("gets every record once while the file is written", async () => {
    const batches = 100;
    const spans = 50;
    const file = newPath();
    const ring = { slots: 256, slotBytes: 256 };
    const program = await startProgram("process.ts");
    try {
      const options = { file, sizes: { events: ring, spans: ring } };
      await program.ask({ op: "start", options });
      const mapping = Mapping.open(file, { reserve: 2 ** 25 });
      const reader = new Version1Reader(mapping, () => mapping.refresh());
      const first = reader.time;
      const kinds = new Map<string, string[]>();
      const events: unknown[] = [];
      const keys: unknown[] = [];
      const take = () => {
        for (const record of reader.drain(SPANS)) {
          const id = record.span_id as string;
          const kind = ["start", "attributes", "end"].find((name) => record[name] !== undefined)!;
          kinds.set(id, [...kinds.get(id) ?? [], kind]);
          if (kind === "attributes") {
            keys.push(
              ...Object.values(reader.attributes((record.attributes as Message).attributes)),
            );
          }
        }
        for (const record of reader.drain(EVENTS)) {
          assert.equal(reader.string(record.event_name_ref as bigint), "event");
          events.push(reader.attributes(record.attributes).i);
        }
      };
      let done = false;
      const written = program.ask({ op: "record", batches, spans }).finally(() => done = true);
      while (!done) {
        take();
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      await written;
      take();
      const all = Array.from({ length: batches * spans }, (_, i) => BigInt(i));
      assert.equal(kinds.size, all.length);
      for (const found of kinds.values()) assert.deepEqual(found, ["start", "attributes", "end"]);
      assert.deepEqual(events, all);
      assert.deepEqual(keys, all);
      assert.ok(reader.entries().length > all.length);
      assert.equal(reader.time, first);
      await program.ask({ op: "shutdown" });
      assert.notEqual(reader.time, first);
      for (let at = 256; at < 256 + 3 * 8 * 8; at += 8) assert.equal(mapping.i64[at / 8], 0n);
      mapping.close();
    } finally {
      await program.stop();
    }
  });
});
