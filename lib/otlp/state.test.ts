import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import {
  EventSchema,
  SpanEventSchema,
  type SpanKind,
  type StatusCode,
} from "../../proto/gen/mmap_pb.ts";
import {
  type EventInit,
  FileBuilder,
  idsOf,
  type SpanEventInit,
  text,
} from "../../tests/support/build.ts";
import { damagedState } from "../../tests/support/damaged-state.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { recordCopy } from "../../tests/support/record-copy.ts";
import { Rejection } from "../record/wire.ts";
import { Assembler, type Limits } from "./assemble.ts";
import type { Batch } from "./batch.ts";
import { INTERRUPTIONS } from "./marks.ts";
import { PairList, type ProcessState, type Source } from "./source.ts";
import { restorePairs, savePairs } from "./state.ts";
import { RandomValues } from "./testing/values.ts";

/** A file with what random records of it need. */
interface TestFile {
  readonly number: number;
  readonly process: number;
  readonly builder: FileBuilder;
  readonly values: RandomValues;
  readonly scopes: bigint[];
  readonly marks: boolean;
  sequence: number;
}

/** An assembler, its sources by number of file, and what came out of it. */
class Side {
  assembler: Assembler;
  readonly sources = new Map<number, Source>();
  readonly waiting = new Map<number, PairList>();
  readonly said: string[] = [];
  private readonly limits: Limits;

  constructor(limits: Limits) {
    this.limits = limits;
    this.assembler = this.make();
  }

  make(): Assembler {
    return new Assembler((batch) => batch.bytes > 20_000 && this.seal(batch), this.limits);
  }

  seal(batch: Batch): void {
    const request = batch.seal();
    if (request === null) return;
    const { signal, items, processes } = request;
    const bytes = Buffer.from(request.buffer.subarray(0, request.length)).toString("base64");
    this.said.push(`${signal} ${items} ${processes} ${bytes}`);
    batch.recycle(request);
  }

  sealAll(): void {
    this.seal(this.assembler.spans);
    this.seal(this.assembler.logs);
  }

  process(index: number): ProcessState {
    return this.assembler.processes[index]!;
  }

  addProcess(): number {
    const { index } = this.assembler.addProcess();
    this.waiting.set(index, new PairList());
    return index;
  }

  addSource({ number, process, builder, marks }: TestFile): void {
    const state = this.process(process);
    const { dictionary } = builder;
    this.sources.set(
      number,
      this.assembler.addSource(number, state, builder, dictionary, marks, false),
    );
  }

  take(what: (assembler: Assembler) => unknown): void {
    try {
      this.said.push(String(what(this.assembler)));
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      this.said.push(error.reason);
    }
  }

  emitEnded(index: number): void {
    const process = this.process(index);
    const waiting = this.waiting.get(index)!;
    this.assembler.emitEnded(waiting);
    this.waiting.set(index, process.ended);
    process.ended = waiting;
  }

  remove(index: number, send: boolean): void {
    const process = this.process(index);
    if (send) this.said.push(`${this.assembler.interrupt(process, INTERRUPTIONS.died)}`);
    else this.said.push(`${this.assembler.forget(process)}`);
    this.sealAll();
    this.assembler.removeProcess(process);
    this.waiting.delete(index);
  }

  /** Saves everything and goes on in a new assembler. */
  restore(files: readonly TestFile[]): void {
    const bytes = this.assembler.save();
    const old = this.assembler;
    this.assembler = this.make();
    const processes = this.assembler.restore(bytes);
    assert.deepEqual(processes, this.assembler.processes.filter((process) => process !== null));
    assert.deepEqual(
      this.assembler.processes.map((process) => process?.index),
      old.processes.map((process) => process?.index),
    );
    for (const [index, pairs] of this.waiting) {
      this.waiting.set(index, restorePairs(savePairs(pairs)));
    }
    this.sources.clear();
    for (const file of files) this.addSource(file);
    assert.equal(Buffer.compare(this.assembler.save(), bytes), 0, "it is saved as another state");
  }
}

const FIRST_FILES = 3;

/** Feeds the same records to two assemblers, one of which is saved and restored now and then. */
class Twins {
  readonly random: Random;
  readonly sides: [Side, Side];
  readonly files: TestFile[] = [];
  readonly processes: number[] = [];
  private numbers = 0;
  private spans = 0;

  constructor(random: Random, limits: Limits) {
    this.random = random;
    this.sides = [new Side(limits), new Side(limits)];
    for (let i = 0; i < FIRST_FILES; i++) this.addFile();
  }

  addFile(): void {
    const { random } = this;
    let process = this.processes.length > 0 ? random.pick(this.processes) : -1;
    if (process < 0 || random.below(2) === 0) {
      const indexes = this.sides.map((side) => side.addProcess());
      assert.equal(indexes[0], indexes[1]);
      process = indexes[0];
      this.processes.push(process);
    }
    const builder = new FileBuilder({ slots: 1, dictionaryBytes: 4 << 20 });
    const values = new RandomValues(random, builder);
    const services = ["a", "b"];
    const scopes = [0n, 5n];
    for (let i = 0; i < 6; i++) {
      scopes.push(builder.simpleScope(random.pick(["one", "two", "three"]), random.pick(services)));
    }
    const marks = random.below(2) === 0;
    const number = ++this.numbers;
    const file = { number, process, builder, values, scopes, marks, sequence: 0 };
    this.files.push(file);
    for (const side of this.sides) side.addSource(file);
  }

  removeProcess(): void {
    const { random, processes } = this;
    const index = random.pick(processes);
    processes.splice(processes.indexOf(index), 1);
    const send = random.below(2) === 0;
    for (const side of this.sides) side.remove(index, send);
    for (let i = this.files.length - 1; i >= 0; i--) {
      if (this.files[i].process === index) this.files.splice(i, 1);
    }
    while (this.files.length < FIRST_FILES) this.addFile();
  }

  span(file: TestFile, init: SpanEventInit): void {
    let bytes = toBinary(SpanEventSchema, create(SpanEventSchema, init));
    if (this.random.below(100) === 0) bytes = bytes.subarray(0, this.random.below(bytes.length));
    const copy = recordCopy(bytes);
    const sequence = file.sequence++;
    for (const side of this.sides) {
      side.take((assembler) => assembler.takeSpan(side.sources.get(file.number)!, copy, sequence));
    }
  }

  event(file: TestFile, init: EventInit): void {
    const copy = recordCopy(toBinary(EventSchema, create(EventSchema, init)));
    const sequence = file.sequence++;
    const logs = this.random.below(3) > 0;
    const apart = this.random.below(4) === 0;
    for (const side of this.sides) {
      const source = side.sources.get(file.number)!;
      side.take((assembler) =>
        apart ? assembler.takeLog(source, copy) : assembler.takeEvent(source, copy, sequence, logs)
      );
    }
    if (this.random.below(20) === 0) { for (const side of this.sides) side.assembler.passEvent(); }
  }

  step(): void {
    const { random } = this;
    const file = random.pick(this.files);
    const { values } = file;
    // Mostly one of the last ones.
    const number = Math.max(1, this.spans - random.below(random.below(10) === 0 ? 400 : 30));
    const ids = idsOf(number);
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.span(file, {
          ...idsOf(random.below(50) === 0 ? number : ++this.spans),
          scopeRef: random.pick(file.scopes),
          event: {
            case: "start",
            value: {
              name: values.text(),
              kind: random.below(6) as SpanKind,
              startTimeUnixNano: random.bits64(),
              attributes: values.pairs({}, random.below(10) === 0 ? 60 : 8),
            },
          },
        });
        break;
      case 4:
        this.span(file, { ...ids, event: { case: "name", value: { name: values.text() } } });
        break;
      case 5:
      case 6:
        this.span(file, {
          ...ids,
          event: { case: "attributes", value: { attributes: values.pairs({}) } },
        });
        break;
      case 7: {
        const links = Array.from({ length: random.below(4) }, () => ({
          ...idsOf(random.below(99) + 1),
          attributes: values.pairs({}, 3),
        }));
        this.span(file, { ...ids, event: { case: "link", value: { links } } });
        break;
      }
      case 8:
      case 9:
        this.span(file, {
          ...ids,
          event: {
            case: "end",
            value: {
              endTimeUnixNano: random.bits64(),
              status: { code: random.below(3) as StatusCode, message: values.text() },
              droppedAttributesCount: random.below(3),
              droppedEventsCount: random.below(3),
              droppedLinksCount: random.below(3),
            },
          },
        });
        break;
      case 10:
        this.event(file, {
          spanEvent: random.below(3) > 0,
          spanContext: ids,
          timeUnixNano: random.bits64() | 1n,
          eventName: random.pick(["", "tick"]),
          scopeRef: random.pick(file.scopes),
          attributes: values.pairs({}, 4),
        });
        break;
      case 11:
        this.event(file, {
          // Without any time it would get that of the clock.
          timeUnixNano: random.bits64() | 1n,
          scopeRef: random.pick(file.scopes),
          body: text(values.text()),
          attributes: values.pairs({}, 4),
        });
        break;
      case 12:
        this.rarely(random.below(40));
        break;
      default:
        for (const side of this.sides) side.emitEnded(file.process);
    }
  }

  rarely(what: number): void {
    if (what === 0) this.removeProcess();
    else if (what === 1) this.addFile();
    else if (what < 4) { for (const side of this.sides) side.sealAll(); }
  }

  check(where: string): void {
    const [left, right] = this.sides;
    for (const [i, said] of left.said.entries()) assert.equal(right.said[i], said, where);
    assert.equal(right.said.length, left.said.length, where);
    left.said.length = 0;
    right.said.length = 0;
    const [one, other] = [left.assembler, right.assembler];
    assert.deepEqual(other.counts, one.counts, where);
    assert.equal(other.table.count, one.table.count, where);
    for (const { number, process } of this.files) {
      assert.equal(other.table.firstStart(number), one.table.firstStart(number), where);
      const [event, same] = [one, other].map(({ table }) => table.firstEvent(process, number, -7));
      assert.equal(same, event, where);
      assert.equal(other.table.countOf(process), one.table.countOf(process), where);
      assert.deepEqual(lastOf(right.process(process)), lastOf(left.process(process)), where);
    }
  }
}

function lastOf({ lastLow, lastHigh }: ProcessState): number[] {
  return [lastLow, lastHigh];
}

/** Few and many open spans, and bytes that run out first. */
const LIMITS: Limits[] = [
  { openSpans: 1_000_000, bytes: 1 << 30, attributes: 1024 },
  { openSpans: 20, bytes: 1 << 30, attributes: 5 },
  { openSpans: 1_000_000, bytes: 70_000, attributes: 40 },
];

/** A state with some of everything. */
function someState(random: Random): Uint8Array {
  const twins = new Twins(random, LIMITS[0]);
  for (let i = 0; i < 300; i++) twins.step();
  for (const side of twins.sides) side.sealAll();
  return twins.sides[0].assembler.save();
}

describe("a saved assembler", () => {
  it(`goes on as if it had not been saved (seed ${seed})`, () => {
    const evicted: number[] = [];
    const all = { spans: 0, logs: 0, interrupted: 0 };
    for (const [turn, limits] of LIMITS.entries()) {
      const twins = new Twins(new Random(seed + turn), limits);
      for (let step = 0; step < 1500; step++) {
        twins.step();
        if (twins.random.below(150) > 0) continue;
        for (const side of twins.sides) side.sealAll();
        twins.sides[1].restore(twins.files);
        twins.check(`seed ${seed + turn}, step ${step}`);
      }
      for (const index of [...twins.processes]) {
        for (const side of twins.sides) side.remove(index, true);
      }
      twins.files.length = 0;
      twins.check(`seed ${seed + turn}, at its end`);
      const { counts } = twins.sides[1].assembler;
      for (const each of ["spans", "logs", "interrupted"] as const) all[each] += counts[each];
      evicted.push(counts.evicted);
    }
    // Whatever the seed, there was something of everything.
    const { spans, logs, interrupted } = all;
    assert.ok(spans > 100 && logs > 10 && interrupted > 0, `${spans}, ${logs}, ${interrupted}`);
    assert.ok(evicted[1] > 0 && evicted[2] > 0, `evicted ${evicted}`);
  });

  it("has more in it than a new one has room for", () => {
    const assembler = new Assembler(() => {});
    const file = new FileBuilder();
    const process = assembler.addProcess();
    const source = assembler.addSource(1, process, file, file.dictionary, true, false);
    const scopeRef = file.simpleScope("s");
    for (let number = 1; number <= 3000; number++) {
      const value = { name: `${number} `.repeat(200), startTimeUnixNano: BigInt(number) };
      const init: SpanEventInit = { ...idsOf(number), scopeRef, event: { case: "start", value } };
      const record = toBinary(SpanEventSchema, create(SpanEventSchema, init));
      assembler.takeSpan(source, recordCopy(record), number);
    }
    const bytes = assembler.save();
    assert.ok(bytes.length > 2 << 20);
    const restored = new Assembler(() => {});
    const [{ index }] = restored.restore(bytes);
    assert.equal(Buffer.compare(restored.save(), bytes), 0);
    const sent = [[assembler, process], [restored, restored.processes[index]!]] as const;
    const [left, right] = sent.map(([each, own]) => {
      assert.equal(each.interrupt(own, INTERRUPTIONS.died), 3000);
      const request = each.spans.seal()!;
      return request.buffer.subarray(0, request.length);
    });
    assert.equal(Buffer.compare(left, right), 0);
  });

  it("has nothing when nothing was there", () => {
    const assembler = new Assembler(() => {});
    assert.deepEqual(assembler.restore(new Assembler(() => {}).save()), []);
    assert.equal(assembler.addProcess().index, 0);
  });

  it("is refused while batches are not empty, and by an assembler that is not new", () => {
    const assembler = new Assembler(() => {});
    const process = assembler.addProcess();
    assert.throws(() => assembler.restore(new Assembler(() => {}).save()), /new assembler/);
    const file = new FileBuilder();
    const source = assembler.addSource(1, process, file, file.dictionary, true, false);
    const record = create(EventSchema, { scopeRef: file.simpleScope("s"), timeUnixNano: 1n });
    assembler.takeLog(source, recordCopy(toBinary(EventSchema, record)));
    assert.throws(() => assembler.save(), /1 log records in batches/);
  });

  it("says what is wrong with other bytes", () => {
    const restore = (bytes: Uint8Array) => () => new Assembler(() => {}).restore(bytes);
    const state = someState(new Random());
    assert.throws(restore(new Uint8Array(0)), /these 0 bytes are no saved state of spans/);
    const newer = state.slice();
    newer[4]++;
    assert.throws(restore(newer), /has version 2; this program reads version 1/);
    assert.throws(restore(state.subarray(0, -1)), /damaged: it says/);
    assert.throws(() => restorePairs(Uint8Array.of(1, 2, 3)), /damaged: 3 bytes/);
    assert.throws(() => restorePairs(new Uint8Array(8)), /names no span/);
  });

  it(`never hangs over damaged bytes (seed ${seed})`, () => {
    const random = new Random();
    const state = someState(random);
    let refused = 0;
    for (let turn = 0; turn < 400; turn++) {
      const { damaged, isCut } = damagedState(state, random);
      try {
        new Assembler(() => {}).restore(damaged);
        assert.ok(!isCut, `seed ${seed}, turn ${turn}`);
      } catch (error) {
        if (!isCut) refused++;
        assert.match(String(error), /saved state of spans/, `seed ${seed}, turn ${turn}`);
      }
    }
    // A cut is always refused; other damage often lies in a text or a time, which may be anything.
    assert.ok(refused > 0, `seed ${seed}: ${refused} refused`);
  });
});
