import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AnyValueSchema, SpanEventSchema } from "../../proto/gen/mmap_pb.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { drainAll, MemoryCollector } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { RING_EVENTS } from "../../lib/format/layout.ts";
import { takenTo } from "./drain.ts";
import { isIdle, ROUND_RECORDS } from "./round.ts";

function names(collector: MemoryCollector): string[] {
  return collector.spans().map(({ span }) => span.name);
}

function start(file: FileBuilder, number: number, scopeRef: bigint): void {
  const event = { case: "start", value: { name: `span ${number}` } } as const;
  file.span({ ...idsOf(number), scopeRef, event });
}

function end(file: FileBuilder, number: number): void {
  file.span({ ...idsOf(number), event: { case: "end", value: { endTimeUnixNano: 1n } } });
}

function tick(file: FileBuilder, number: number, publish = true): number {
  const ids = idsOf(number);
  if (publish) return file.event({ spanContext: ids, spanEvent: true, eventName: "tick" });
  return file.put(0, Uint8Array.of(0), { publish: false });
}

function publish(file: FileBuilder, ring: number, sequence: number): void {
  const word = (file.rings[ring] + 32) / 4 + sequence % file.slots;
  Atomics.store(file.i32, word, Math.floor(sequence / file.slots));
}

describe("a round", () => {
  it("sends a span only when the events recorded before its end are there", () => {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const collector = new MemoryCollector();
    collector.add(file, { over: false });
    start(file, 1, scopeRef);
    // Claimed by another thread, which has not published it yet.
    const late = tick(file, 1, false);
    tick(file, 1);
    end(file, 1);
    collector.rounds();
    assert.deepEqual(collector.spans(), []);
    // A span that ends later does not go first.
    start(file, 2, scopeRef);
    end(file, 2);
    collector.rounds();
    assert.deepEqual(collector.spans(), []);
    publish(file, 0, late);
    collector.rounds();
    const spans = collector.spans();
    assert.deepEqual(spans.map(({ span }) => span.name), ["span 1", "span 2"]);
    assert.equal(spans[0].span.events.length, 1);
    // What was published had no content.
    assert.equal(collector.process.files[0].drain.rejected[0], 1);
  });

  it("waits for a slot of a living owner, and passes it once the owner is gone", () => {
    const file = new FileBuilder({ slots: 8 });
    const scopeRef = file.simpleScope("s");
    const collector = new MemoryCollector();
    const followed = collector.add(file, { over: false });
    file.simpleSpan(scopeRef, 1);
    file.put(1, Uint8Array.of(0), { publish: false });
    file.simpleSpan(scopeRef, 2);
    collector.rounds();
    assert.deepEqual(names(collector), ["span 1"]);
    for (let i = 0; i < 100; i++) collector.rounds();
    assert.deepEqual(names(collector), []);
    assert.equal(followed.drain.torn[1], 0);
    followed.drain.over = true;
    collector.rounds();
    assert.deepEqual(names(collector), ["span 2"]);
    assert.deepEqual(followed.drain.torn, [0, 1, 0]);
    assert.ok(isIdle(collector.process));
  });

  it("does not let a stuck ring of one file hold up another", () => {
    const [stuck, busy] = [new FileBuilder(), new FileBuilder()];
    const collector = new MemoryCollector();
    collector.add(stuck, { over: false });
    collector.add(busy, { over: false });
    stuck.put(1, Uint8Array.of(0), { publish: false });
    busy.simpleSpan(busy.simpleScope("s"), 1);
    collector.rounds();
    assert.deepEqual(names(collector), ["span 1"]);
  });

  it("does not lose an event that is seen before the start of its span", () => {
    // The start comes between the look at the spans ring and the look at the events ring: an events
    // ring that is found full first, and a spans ring that is filled when its turn is over.
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    const collector = new MemoryCollector();
    const followed = collector.add(file, { over: false });
    const { rings } = followed.drain;
    let done = false;
    // The moment after the spans ring was looked at, made by hand: the reader's own field is asked
    // for when the events ring's turn begins.
    const events = rings[0];
    const position = { value: events.position };
    Object.defineProperty(events, "position", {
      get(): number {
        if (!done) {
          done = true;
          start(file, 1, scopeRef);
          tick(file, 1);
          end(file, 1);
        }
        return position.value;
      },
      set(value: number) {
        position.value = value;
      },
    });
    tick(file, 99);
    for (let i = 0; i < 5; i++) collector.round();
    const [{ span }] = collector.spans();
    assert.equal(span.events.length, 1);
    const { unmatchedEvents } = collector.assembler.counts;
    assert.equal(unmatchedEvents, 1, "the event of span 99, which never started");
  });

  it("takes older generations first, and puts spans together across files", () => {
    const [first, second] = [new FileBuilder(), new FileBuilder()];
    const scopes = [first.simpleScope("s"), second.simpleScope("s")];
    const collector = new MemoryCollector();
    start(first, 1, scopes[0]);
    const key = second.string("late");
    second.span({
      ...idsOf(1),
      event: { case: "attributes", value: { attributes: [{ keyRef: key, value: text("yes") }] } },
    });
    tick(second, 1);
    end(second, 1);
    start(second, 2, scopes[1]);
    end(second, 2);
    const older = collector.add(first, { over: false });
    collector.add(second, { older, over: false });
    collector.rounds();
    assert.deepEqual(names(collector), [], "the older file may still be written to");
    older.closed = true;
    collector.rounds();
    const spans = collector.spans();
    assert.deepEqual(spans.map(({ span }) => span.name), ["span 1", "span 2"]);
    assert.equal(spans[0].span.attributes[0].key, "late");
    assert.equal(spans[0].span.events.length, 1);
    assert.equal(collector.requests[0].resourceSpans.length, 1);
    assert.equal(collector.requests[0].resourceSpans[0].scopeSpans.length, 1);
    assert.deepEqual(
      [collector.assembler.counts.unmatched, collector.assembler.counts.unmatchedEvents],
      [0, 0],
    );
  });

  it("takes a bounded number of records of each ring", () => {
    const file = new FileBuilder({ slots: 16_384, slotBytes: 64 });
    const scopeRef = file.simpleScope("s");
    for (let i = 1; i <= 5000; i++) file.simpleSpan(scopeRef, i, "s");
    const collector = new MemoryCollector();
    collector.add(file, { over: false });
    assert.equal(collector.round(), ROUND_RECORDS);
    assert.equal(collector.spans().length, ROUND_RECORDS / 2);
    collector.rounds();
    assert.equal(collector.spans().length, 5000 - ROUND_RECORDS / 2);
  });

  it("reads rings of one slot", () => {
    const file = new FileBuilder({ slots: 1 });
    const scopeRef = file.simpleScope("s");
    const collector = new MemoryCollector();
    collector.add(file, { over: false });
    for (let i = 1; i <= 3; i++) {
      start(file, i, scopeRef);
      collector.rounds();
      end(file, i);
      collector.rounds();
    }
    assert.deepEqual(names(collector), ["span 1", "span 2", "span 3"]);
  });

  it("goes on where sequences pass 31 and 32 bits", () => {
    for (const last of [2 ** 31 - 3, 2 ** 32 - 3]) {
      const file = new FileBuilder({ slots: 64 });
      const scopeRef = file.simpleScope("s");
      file.setI64(file.rings[1] + 16, last);
      file.setI64(file.rings[1] + 24, last);
      const collector = new MemoryCollector();
      const { drain } = collector.add(file, { over: false });
      for (let i = 1; i <= 100; i++) {
        file.simpleSpan(scopeRef, i, "s");
        collector.rounds();
      }
      assert.equal(collector.spans().length, 100, `from ${last}`);
      assert.equal(drain.rings[1].sequence, last + 200);
    }
  });
});

type ValueInit = MessageInitShape<typeof AnyValueSchema>;

function nested(depth: number): ValueInit {
  let value: ValueInit = text("inside");
  for (let i = 0; i < depth; i++) {
    value = { value: { case: "arrayValue", value: { values: [value] } } };
  }
  return value;
}

describe("a slow backend", () => {
  function bodies(collector: MemoryCollector): string[] {
    return collector.logs().map(({ log }) => String(log.body?.value.value));
  }

  /** Four spans with an event each and a log record before, between and after them. */
  function mixed(): FileBuilder {
    const file = new FileBuilder();
    const scopeRef = file.simpleScope("s");
    file.event({ scopeRef, body: text("log 0") });
    for (let i = 1; i <= 4; i++) {
      start(file, i, scopeRef);
      tick(file, i);
      file.event({ scopeRef, body: text(`log ${i}`) });
      end(file, i);
    }
    return file;
  }
  const allLogs = ["log 0", "log 1", "log 2", "log 3", "log 4"];

  it("of logs does not hold up spans or their events", () => {
    const collector = new MemoryCollector();
    const { drain } = collector.add(mixed());
    collector.blocked.logs = true;
    collector.rounds();
    const spans = collector.spans();
    assert.equal(spans.length, 4);
    assert.ok(spans.every(({ span }) => span.events.length === 1));
    assert.deepEqual(bodies(collector), []);
    // Nothing of the events ring can be given back yet.
    assert.equal(takenTo(drain, RING_EVENTS), -1);
    assert.equal(isIdle(collector.process), false);
    collector.blocked.logs = false;
    collector.rounds();
    assert.deepEqual(bodies(collector), allLogs);
    assert.deepEqual(collector.spans(), []);
    assert.equal(takenTo(drain, RING_EVENTS), 8);
    assert.equal(isIdle(collector.process), true);
    assert.deepEqual(drain.rejected, [0, 0, 0]);
  });

  it("of traces does not hold up logs", () => {
    const collector = new MemoryCollector();
    const { drain } = collector.add(mixed());
    collector.blocked.traces = true;
    collector.rounds();
    assert.deepEqual(bodies(collector), allLogs);
    assert.deepEqual(collector.spans(), []);
    // The events of the spans are still to be taken.
    assert.equal(takenTo(drain, RING_EVENTS), 0);
    collector.blocked.traces = false;
    collector.rounds();
    const spans = collector.spans();
    assert.equal(spans.length, 4);
    assert.ok(spans.every(({ span }) => span.events.length === 1));
    assert.deepEqual(bodies(collector), []);
    assert.equal(takenTo(drain, RING_EVENTS), 8);
    assert.equal(isIdle(collector.process), true);
  });

  it(`that comes and goes loses nothing and doubles nothing (seed ${seed})`, () => {
    for (let turn = 0; turn < 50; turn++) {
      const random = new Random(seed + turn);
      const file = new FileBuilder({ slots: 4096 });
      const scopeRef = file.simpleScope("s");
      const collector = new MemoryCollector();
      const { drain } = collector.add(file, { over: false });
      const open: number[] = [];
      let [spans, logs, unreadable] = [0, 0, 0];
      for (let step = 0; step < 300; step++) {
        switch (random.below(8)) {
          case 0:
            start(file, ++spans, scopeRef);
            open.push(spans);
            break;
          case 1:
            if (open.length > 0) end(file, open.splice(random.below(open.length), 1)[0]);
            break;
          case 2:
            if (open.length > 0) tick(file, random.pick(open));
            break;
          case 3:
          case 4:
            file.event({ scopeRef, body: text(`log ${logs++}`) });
            break;
          case 5:
            file.put(0, Uint8Array.of(0xff));
            unreadable++;
            break;
          case 6:
            // Read as far as it goes, and refused for its body.
            file.event({ scopeRef, body: { value: { case: "valueRef", value: 7n } } });
            unreadable++;
            break;
          default:
            collector.blocked.traces = random.below(2) === 0;
            collector.blocked.logs = random.below(2) === 0;
            for (let i = random.below(3); i >= 0; i--) collector.round();
        }
      }
      for (const number of open) end(file, number);
      collector.blocked.traces = false;
      collector.blocked.logs = false;
      collector.rounds();
      const note = `seed ${seed}, turn ${turn}`;
      assert.equal(collector.spans().length, spans, note);
      const expected = Array.from({ length: logs }, (_, i) => `log ${i}`);
      assert.deepEqual(bodies(collector), expected, note);
      assert.equal(drain.rejected[RING_EVENTS], unreadable, note);
      assert.equal(collector.assembler.counts.unmatchedEvents, 0, note);
      assert.equal(drain.logs, null, note);
      assert.equal(isIdle(collector.process), true, note);
    }
  });
});

describe("hostile records", () => {
  /** A good span before and after, and between them a start with one attribute. */
  function withAttribute(
    make: (file: FileBuilder) => { keyRef: bigint; value: ValueInit },
    slotBytes = 4096,
  ): { names: string[]; reasons: string[] } {
    const file = new FileBuilder({ slotBytes });
    const scopeRef = file.simpleScope("s");
    file.simpleSpan(scopeRef, 1);
    const value = { name: "bad", attributes: [make(file)] };
    file.span({ ...idsOf(2), scopeRef, event: { case: "start", value } });
    end(file, 2);
    file.simpleSpan(scopeRef, 3);
    const { spans, collector } = drainAll(file);
    const { reasons } = collector.process.files[0].drain;
    return { names: spans.map(({ span }) => span.name), reasons: [...reasons.keys()] };
  }

  it("are counted with their reason and passed; the rest is delivered", () => {
    const rest = ["span 1", "span 3"];
    const key = (file: FileBuilder): bigint => file.string("k");
    const ref = (value: bigint): ValueInit => ({ value: { case: "valueRef", value } });
    const cases: [Parameters<typeof withAttribute>[0], RegExp][] = [
      [() => ({ keyRef: 5n, value: text("") }), /ref outside/],
      [() => ({ keyRef: -1n, value: text("") }), /ref outside/],
      [() => ({ keyRef: 1n << 60n, value: text("") }), /ref outside/],
      [(file) => ({ keyRef: BigInt(file.size - 1), value: text("") }), /ref outside/],
      [(file) => ({ keyRef: key(file), value: ref(0n) }), /ref outside/],
      [(file) => ({ keyRef: key(file), value: ref(1n << 40n) }), /ref outside/],
      [(file) => ({ keyRef: key(file), value: nested(33) }), /nested too deep/],
      [(file) => {
        // A value that is a ref to itself: its entry is 3 bytes, tag and ref.
        const at = file.value({}) + 1n;
        const loop = file.value(ref(at));
        assert.equal(loop, at);
        return { keyRef: key(file), value: ref(loop) };
      }, /nested too deep/],
      [(file) => {
        // Each level doubles: 2^14 times 100 bytes.
        let value = file.value(text("x".repeat(100)));
        for (let i = 0; i < 14; i++) {
          value = file.value({
            value: { case: "arrayValue", value: { values: [ref(value), ref(value)] } },
          });
        }
        return { keyRef: key(file), value: ref(value) };
      }, /too large/],
    ];
    for (const [make, reason] of cases) {
      const result = withAttribute(make);
      assert.deepEqual(result.names, rest, `${reason}`);
      assert.equal(result.reasons.length, 1);
      assert.match(result.reasons[0], reason);
    }
    assert.deepEqual(withAttribute((file) => ({ keyRef: key(file), value: nested(32) })).names, [
      "span 1",
      "bad",
      "span 3",
    ]);
  });

  it("of other shapes likewise", () => {
    const file = new FileBuilder({ slots: 128, slotBytes: 128 });
    const scopeRef = file.simpleScope("s");
    const noResource = file.scope({ nameRef: file.string("x") });
    const strayResource = file.scope({ nameRef: file.string("x"), resourceRef: 1n << 33n });
    const bad: (() => void)[] = [
      () => file.put(1, new Uint8Array(0)),
      () => file.put(1, new Uint8Array(20), { length: 127 }),
      () => file.put(1, new Uint8Array(20), { length: 1 << 30 }),
      () => file.put(1, Uint8Array.of(0xff, 0xff, 0xff, 0xff)),
      () => file.put(1, Uint8Array.of(0x0a)),
      () => file.put(1, Uint8Array.of(0x07, 0x01)),
      () => file.span({ ...idsOf(50), scopeRef }),
      () => start(file, 50, 0n),
      () => start(file, 50, noResource),
      () => start(file, 50, strayResource),
      () => start(file, 50, 70n),
      () =>
        file.span({
          traceId: new Uint8Array(15),
          spanId: new Uint8Array(8),
          event: { case: "end", value: {} },
        }),
      () =>
        file.span({
          traceId: new Uint8Array(16),
          spanId: new Uint8Array(8),
          scopeRef,
          event: { case: "start", value: { name: "zeros" } },
        }),
      () =>
        file.span({
          ...idsOf(50),
          scopeRef,
          event: { case: "start", value: { parentSpanId: new Uint8Array(3) } },
        }),
    ];
    bad.forEach((make, i) => {
      make();
      file.simpleSpan(scopeRef, i + 1);
    });
    start(file, 60, scopeRef);
    start(file, 60, scopeRef);
    end(file, 60);
    end(file, 61);
    const { spans, collector } = drainAll(file);
    assert.deepEqual(
      spans.map(({ span }) => span.name),
      [...bad.map((_, i) => `span ${i + 1}`), "span 60"],
    );
    const { rejected, torn } = collector.process.files[0].drain;
    assert.deepEqual([rejected[1], torn[1]], [bad.length + 1, 0]);
    assert.equal(collector.assembler.counts.unmatched, 1);
  });

  it(`of any shape: random damage costs what it hits (seed ${seed})`, () => {
    for (let turn = 0; turn < 200; turn++) {
      const random = new Random(seed + turn);
      const note = `seed ${seed}, turn ${turn}`;
      const file = new FileBuilder({ slots: 256, slotBytes: 256, dictionaryBytes: 4096 });
      const scopeRef = file.simpleScope("s");
      const keyRef = file.string("some.key");
      const damaged = new Set<number>();
      for (let number = 1; number <= 60; number++) {
        const record = toBinary(
          SpanEventSchema,
          create(SpanEventSchema, {
            ...idsOf(number),
            scopeRef,
            event: {
              case: "start",
              value: {
                name: `span ${number}`,
                startTimeUnixNano: 7n,
                attributes: [{ keyRef, value: nested(random.below(4)) }],
              },
            },
          }),
        );
        if (random.below(3) === 0) {
          damaged.add(number);
          const hits = 1 + random.below(4);
          for (let i = 0; i < hits; i++) record[random.below(record.length)] = random.below(256);
        }
        file.put(1, record);
        if (random.below(4) === 0) {
          const noise = new Uint8Array(random.below(60)).map(() => random.below(256));
          file.put(random.below(3), noise, { length: random.below(300) });
        }
      }
      for (let number = 1; number <= 60; number++) end(file, number);
      const { spans, collector } = drainAll(file);
      const seen = new Set(spans.map(({ span }) => span.name));
      for (let number = 1; number <= 60; number++) {
        if (!damaged.has(number)) assert.ok(seen.has(`span ${number}`), `${number}: ${note}`);
      }
      for (const reason of collector.process.files[0].drain.reasons.keys()) {
        assert.doesNotMatch(reason, /fault in the collector/, note);
      }
    }
  });

  it(`and a damaged dictionary costs the records that need it (seed ${seed})`, () => {
    for (let turn = 0; turn < 100; turn++) {
      const random = new Random(seed + turn);
      const file = new FileBuilder({ slots: 64, slotBytes: 256, dictionaryBytes: 2048 });
      const scopeRef = file.simpleScope("s");
      const keyRef = file.string("some.key");
      for (let number = 1; number <= 10; number++) {
        file.span({
          ...idsOf(number),
          scopeRef,
          event: { case: "start", value: { attributes: [{ keyRef, value: text("v") }] } },
        });
        end(file, number);
      }
      for (let i = 0; i < 8; i++) {
        file.u8[file.dictionary + 64 + random.below(80)] = random.below(256);
      }
      const { spans, collector } = drainAll(file);
      const { rejected, reasons } = collector.process.files[0].drain;
      assert.equal(spans.length + rejected[1], 10, `seed ${seed}, turn ${turn}`);
      for (const reason of reasons.keys()) assert.doesNotMatch(reason, /fault in the collector/);
    }
  });

  it("takes no more than a ring holds, whatever its writer_index becomes", () => {
    const file = new FileBuilder({ slots: 8, slotBytes: 256 });
    file.simpleSpan(file.simpleScope("s"), 1);
    const collector = new MemoryCollector();
    const { drain } = collector.add(file);
    for (const offset of file.rings) file.setI64(offset + 24, 0x7ffffffe);
    collector.rounds();
    assert.equal(collector.spans().length, 1);
    assert.deepEqual(drain.torn, [8, 6, 8]);
    assert.equal(collector.round(), 0);
  });
});
