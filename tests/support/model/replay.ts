/**
 * Does a sequence of operations to real files and to the model, and compares after each.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { Mapping } from "../../../ffi/mod.ts";
import { once, TestSink } from "../../../collector/testing/run.ts";
import { type Geometry, readGeometry } from "../../../lib/file/geometry.ts";
import { readLedger } from "../../../lib/file/ledger.ts";
import { FormatError, Reader, type ReadRecord } from "../../../lib/reader.ts";
import { pointsOf } from "../collect.ts";
import { plainAttributes } from "../collector.ts";
import { observe } from "../collector.ts";
import { ownRuntime } from "../runtimes.ts";
import { type Application, startApplication } from "./application.ts";
import {
  ModelApplication,
  type ModelFile,
  type ModelRecord,
  type ModelRing,
  NUMBERS_PER_CALL,
} from "./model.ts";
import type { Operation, Sequence } from "./operations.ts";

const EXT_FILE_UID = 80;
const EXT_GENERATION = 136;
const RINGS = [0, 1, 2] as const;
/** The order in which `Reader.poll` goes over the rings. */
const POLLED = [1, 0, 2] as const;

/** A file and what the model says of it. */
interface Pair {
  readonly model: ModelFile;
  readonly mapping: Mapping;
  readonly geometry: Geometry;
  readonly uid: string;
}

/** The reader that is attached, and how many records of each ring it has taken. */
interface Attached {
  readonly pair: Pair;
  readonly reader: Reader;
  readonly taken: [number, number, number];
}

/** Throws where files and model differ. `place` is a folder for what this needs. */
export async function replay(place: string, sequence: Sequence): Promise<void> {
  const directory = mkdtempSync(join(place, "run-"));
  const run = new Run(directory, sequence);
  try {
    for (const [i, operation] of sequence.operations.entries()) {
      try {
        await run.step(operation);
        run.compareLedgers();
      } catch (error) {
        throw new Error(`operation ${i} ${JSON.stringify(operation)}: ${error}`, { cause: error });
      }
    }
    await run.finish();
  } finally {
    run.close();
    rmSync(directory, { recursive: true });
  }
}

class Run {
  private readonly directory: string;
  private readonly sequence: Sequence;
  private readonly pairs: Pair[] = [];
  private application: Application | null = null;
  private model: ModelApplication | null = null;
  /** The pairs of the application, by generation. */
  private known = 0;
  private attached: Attached | null = null;
  private number = 0;

  constructor(directory: string, sequence: Sequence) {
    this.directory = directory;
    this.sequence = sequence;
    this.restart();
  }

  async step(operation: Operation): Promise<void> {
    const number = this.number;
    this.number += NUMBERS_PER_CALL;
    switch (operation.do) {
      case "restart":
        return this.restart();
      case "kill":
        return this.end("dead");
      case "close":
        return this.end("clean");
      case "process":
        this.number += operation.calls.length * NUMBERS_PER_CALL;
        return await this.process(operation.calls, number);
      case "attach":
        return this.attach(operation.file);
      case "take":
        return this.take(operation.limit);
      case "release":
        return this.release();
      case "detach":
        return this.detach();
      case "collect":
        return await this.collectNow(number);
      case "corrupt":
        return this.corrupt(operation);
      case "truncate":
        return this.truncate(operation);
      default:
        this.application?.call(operation, number);
        this.model?.call(operation, number);
        this.follow();
    }
  }

  /** What the files say of their records is what the model says. */
  compareLedgers(): void {
    for (const { model, mapping, geometry } of this.pairs) {
      if (model.unreadable) continue;
      for (const ring of RINGS) {
        assert.deepEqual(
          readLedger(mapping, geometry.rings[ring]),
          ledgerOf(geometry.rings[ring].ring, model.rings[ring]),
        );
      }
    }
  }

  /** Everything is over, and what is left is taken by the last reader. */
  async finish(): Promise<void> {
    this.end("dead");
    this.detach();
    const readable = this.pairs.filter(({ model }) => !model.unreadable && !model.removed);
    if (this.sequence.last === "collector") {
      await this.collect();
    } else {
      for (const pair of readable) {
        this.open(pair);
        this.take(Infinity);
        this.release();
        this.detach();
      }
    }
    this.compareLedgers();
    for (const { model } of readable) {
      for (const ring of model.rings) assert.equal(ring.released, ring.records.length);
    }
  }

  close(): void {
    this.attached?.reader.close();
    this.application?.kill();
    for (const { mapping } of this.pairs) mapping.close();
  }

  private restart(): void {
    if (this.application !== null) return;
    this.application = startApplication(this.directory, this.sequence.slots);
    this.model = new ModelApplication(this.sequence.slots);
    this.known = 0;
    this.follow();
  }

  private end(state: "dead" | "clean"): void {
    if (state === "dead") this.application?.kill();
    else this.application?.close();
    this.model?.over(state);
    this.application = null;
    this.model = null;
  }

  /** Looks at files that were added. */
  private follow(): void {
    if (this.application === null || this.model === null) return;
    const { paths } = this.application;
    const { files } = this.model;
    assert.equal(paths.length, files.length, "files of the application");
    for (; this.known < paths.length; this.known++) this.add(paths[this.known], files[this.known]);
  }

  private add(path: string, model: ModelFile): void {
    const mapping = Mapping.open(path);
    const geometry = readGeometry(path, mapping.u8, mapping.size);
    if ("unfinished" in geometry) throw new Error(geometry.unfinished);
    this.pairs.push({ model, mapping, geometry, uid: uidOf(mapping) });
  }

  private async process(calls: Extract<Operation, { do: "process" }>["calls"], number: number) {
    const { slots } = this.sequence;
    const before = new Set(this.pairs.map(({ uid }) => uid));
    const args = [this.directory, JSON.stringify(slots), JSON.stringify(calls), String(number)];
    const { ended, text } = observe(ownRuntime, "tests/testdata/model-application.ts", args);
    assert.equal((await ended).signal, "SIGKILL", text());
    const model = new ModelApplication(slots);
    calls.forEach((call, i) => model.call(call, number + i * NUMBERS_PER_CALL));
    model.over("dead");
    const paths = [...this.paths()].filter(([uid]) => !before.has(uid));
    assert.equal(paths.length, model.files.length, "files of another process");
    const byGeneration = paths.map(([, path]): [number, string] => {
      const mapping = Mapping.open(path);
      const generation = mapping.i32[EXT_GENERATION >> 2];
      mapping.close();
      return [generation, path];
    }).sort(([a], [b]) => a - b);
    for (const [generation, path] of byGeneration) this.add(path, model.files[generation]);
  }

  /** Where files are now, by uid: one that is left over makes room for the next of its name. */
  private paths(): Map<string, string> {
    const paths = new Map<string, string>();
    for (const name of readdirSync(this.directory)) {
      if (!/\.(otlp|left)$/.test(name)) continue;
      const mapping = Mapping.open(join(this.directory, name));
      if (mapping.size > 4096) paths.set(uidOf(mapping), mapping.path);
      mapping.close();
    }
    return paths;
  }

  private attach(file: number): void {
    if (this.attached !== null) return;
    this.open(this.pairs[file % this.pairs.length]);
  }

  private open(pair: Pair): void {
    if (pair.model.removed) return;
    const path = this.paths().get(pair.uid);
    if (pair.model.unreadable) {
      if (path !== undefined) assert.throws(() => Reader.open(path), FormatError);
      return;
    }
    assert.ok(path !== undefined, "the file is there");
    const reader = Reader.open(path);
    const [events, spans, measurements] = pair.model.rings.map(({ released }) => released);
    this.attached = { pair, reader, taken: [events, spans, measurements] };
  }

  private take(limit: number): void {
    if (this.attached === null) return;
    const { pair: { model }, reader, taken } = this.attached;
    assert.equal(reader.owner(), model.state, "the owner");
    const read = reader.poll(limit);
    const expected: string[] = [];
    for (const ring of POLLED) {
      const { records } = model.rings[ring];
      const to = Math.min(taken[ring] + limit, records.length);
      for (; taken[ring] < to; taken[ring]++) {
        const { fate, text } = records[taken[ring]];
        if (fate === "torn") continue;
        expected.push(fate === "delivered" ? text : `unreadable ${ring} ${taken[ring]}`);
      }
    }
    assert.deepEqual(read.map(textOf), expected);
  }

  private release(): void {
    if (this.attached === null) return;
    const { pair, reader, taken } = this.attached;
    reader.release();
    for (const ring of RINGS) pair.model.rings[ring].released = taken[ring];
  }

  private detach(): void {
    this.attached?.reader.close();
    this.attached = null;
  }

  /** One of the files that nobody has open. */
  private leftOver(file: number): Pair | undefined {
    const own = new Set(this.model?.files);
    const left = this.pairs.filter((pair) =>
      !own.has(pair.model) && !pair.model.unreadable && !pair.model.removed &&
      pair !== this.attached?.pair
    );
    return left[file % left.length];
  }

  private corrupt({ file, ring, record, how }: Extract<Operation, { do: "corrupt" }>): void {
    const pair = this.leftOver(file);
    if (pair === undefined) return;
    const { records, released, slots } = pair.model.rings[ring];
    if (records.length === released) return;
    const sequence = released + record % (records.length - released);
    const { u8, i32 } = pair.mapping;
    const { availability, firstSlot, slotBytes } = pair.geometry.rings[ring];
    const position = sequence % slots;
    const slot = firstSlot + position * slotBytes;
    const one = records[sequence];
    if (how === "flag") {
      i32[(availability >> 2) + position] = -1;
      one.fate = "torn";
    } else if (one.fate === "torn") {
      return;
    } else if (how === "length") {
      u8.fill(0, slot, slot + 2);
      one.fate = "length";
    } else if (one.fate === "delivered") {
      u8.fill(0xff, slot + 2, slot + slotBytes);
      one.fate = "malformed";
    }
  }

  private truncate({ file, at }: Extract<Operation, { do: "truncate" }>): void {
    const pair = this.leftOver(file);
    if (pair === undefined) return;
    const path = this.paths().get(pair.uid)!;
    const { rings, dictionary } = pair.geometry;
    // The mapping must not be read any more.
    pair.mapping.close();
    truncateSync(path, { header: 40, rings: rings[1].offset, end: dictionary + 70 }[at]);
    pair.model.unreadable = true;
  }

  /** The collector takes what there is, of spans that are all over. */
  private async collectNow(number: number): Promise<void> {
    for (let i = 0; (this.model?.openSpans ?? 0) > 0; i++) {
      const call = { do: "end", span: 0 } as const;
      this.application?.call(call, number + i);
      this.model?.call(call, number + i);
      this.follow();
    }
    // A span whose end is not there any more stays in the file until its process is gone.
    const left = this.pairs.filter(({ model }) => !model.unreadable).flatMap(({ model }) => {
      const { records, released } = model.rings[1];
      return records.slice(released).filter(({ fate }) => fate === "delivered");
    });
    const ended = new Set(
      left.filter(({ text }) => text.startsWith("end ")).map(({ span }) => span),
    );
    if (this.model !== null && left.some(({ span }) => !ended.has(span))) return;
    this.detach();
    await this.collect();
  }

  /** The collector takes what is left, and sends what the model makes of it. */
  private async collect(): Promise<void> {
    const { code, lines, sink } = await once([this.directory], new TestSink());
    assert.equal(code, 0, lines.join("\n"));
    const left: ModelRecord[] = [];
    for (const { model } of this.pairs) {
      if (model.unreadable || model.removed) continue;
      for (const ring of model.rings) {
        left.push(...ring.records.slice(ring.released));
        ring.released = ring.records.length;
      }
    }
    const whole = left.filter(({ fate }) => fate === "delivered");
    const texts = (what: string): string[] =>
      whole.map(({ text }) => text).filter((text) => text.startsWith(`${what} `)).sort();
    assert.deepEqual(
      sink.logs.map(({ body }) => /^log \d+/.exec(String(body!.value.value))![0]).sort(),
      texts("log"),
    );
    const sum = texts("measure").reduce((sum, text) => sum + numberOf(text), 0);
    // Each application has an instrument of its own, whose sum goes on from point to point.
    const sums = new Map<string, number>();
    for (const { metric, resource } of sink.metrics) {
      // The others are those of what was lost.
      if (metric.name !== "counter") continue;
      const { "process.pid": pid } = plainAttributes(resource.resource!.attributes);
      for (const point of pointsOf(metric)) {
        const { value: { value } } = point as { value: { value: unknown } };
        sums.set(`${pid} ${point.startTimeUnixNano}`, Number(value));
      }
    }
    const all = [...sums.values()].reduce((a, b) => a + b, 0);
    assert.equal(all, sum, "measurements");
    const spans = sink.spans.map((span) => ({
      ...span,
      number: Number(plainAttributes(span.attributes).start),
    }));
    const expected = texts("start").map(numberOf).sort((a, b) => a - b);
    assert.deepEqual(spans.map(({ number }) => number).sort((a, b) => a - b), expected, "spans");
    for (const span of spans) {
      const own = whole.filter((record) => record.span?.number === span.number);
      const said = (what: string) => own.filter(({ text }) => text.startsWith(`${what} `));
      const numbers = (what: string) => said(what).map(({ text }) => numberOf(text));
      const isOver = said("end").length > 0;
      const attributes: Record<string, unknown> = { start: BigInt(span.number) };
      const last = numbers("attribute").at(-1);
      if (last !== undefined) attributes.attribute = BigInt(last);
      for (const number of numbers("new key")) attributes[`key ${number}`] = BigInt(number);
      for (const { text } of said("big")) {
        attributes[text.slice(0, 5)] = String(numberOf(text));
      }
      if (!isOver) attributes["otlp_mmap.interrupted"] = true;
      const found = Object.entries(plainAttributes(span.attributes))
        .filter(([key]) => key !== "otlp_mmap.truncated")
        .map(([key, value]) => [key, key.startsWith("big") ? String(value).split(" ")[0] : value]);
      assert.deepEqual(Object.fromEntries(found), attributes);
      const name = numbers("rename").at(-1);
      assert.equal(span.name, name === undefined ? `span ${span.number}` : `renamed ${name}`);
      const events = span.events.map((event) => Number(plainAttributes(event.attributes).event));
      assert.deepEqual(events.sort((a, b) => a - b), numbers("event").sort((a, b) => a - b));
      const links = span.links.map(({ spanId }) => Number(hex(spanId).slice(1)));
      assert.deepEqual(links, numbers("link"), "links");
      if (!isOver) continue;
      assert.equal(span.status?.message, said("end")[0].text);
      const { dropped } = own[0].span!;
      assert.deepEqual(
        [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
        dropped,
        "left out",
      );
    }
    const paths = this.paths();
    for (const { model, uid } of this.pairs) {
      if (model.unreadable) continue;
      model.removed = !paths.has(uid);
      // Those of a process that lives may stay until it is gone.
      if (this.application === null) assert.ok(model.removed, `a file stays: ${lines.join("\n")}`);
    }
  }
}

function uidOf({ u8 }: Mapping): string {
  return hex(u8.subarray(EXT_FILE_UID, EXT_FILE_UID + 16));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function numberOf(text: string): number {
  return Number(/\d+$/.exec(text)![0]);
}

/** A record in the words of the model. */
function textOf(record: ReadRecord): string {
  const ring = { events: 0, spans: 1, measurements: 2 }[record.ring];
  if ("unreadable" in record) return `unreadable ${ring} ${record.sequence}`;
  if (record.ring === "measurements") return `measure ${record.value}`;
  if (record.ring === "events") {
    return record.isSpanEvent
      ? `${record.name} ${record.attributes.event}`
      : /^log \d+/.exec(String(record.body))![0];
  }
  const { change } = record;
  switch (change.what) {
    case "start":
      assert.equal(change.name, `span ${change.attributes.start}`);
      return `start ${change.attributes.start}`;
    case "end":
      return change.statusMessage;
    case "name":
      return change.name.replace("renamed", "rename");
    case "links":
      return `link ${Number(change.links[0].spanId.slice(1))}`;
    case "attributes": {
      const [[key, value], ...more] = Object.entries(change.attributes);
      assert.equal(more.length, 0);
      if (key.startsWith("key ")) return `new ${key}`;
      return `${key} ${String(value).split(" ")[0]}`;
    }
  }
}

/** What a ring's ledger must say. */
function ledgerOf(number: number, ring: ModelRing): ReturnType<typeof readLedger> {
  const { records, refused, released, truncated } = ring;
  const count = (fate: ModelRecord["fate"]) =>
    records.slice(0, released).filter((record) => record.fate === fate).length;
  const lost = refused.ring_full + refused.reserve + refused.dictionary_full;
  return {
    ring: (["events", "spans", "measurements"] as const)[number],
    offered: records.length + lost,
    claimed: records.length,
    refused: { ...refused, encode: 0 },
    truncated,
    delivered: count("delivered"),
    torn: count("torn"),
    rejected: {
      length: count("length"),
      malformed: count("malformed"),
      ref: 0,
      limit: 0,
      fault: 0,
    },
    discarded: 0,
    unknown: 0,
    uncounted: 0,
    pending: records.length - released,
  };
}
