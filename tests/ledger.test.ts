/**
 * The ledger of files whose writers had to refuse records: what was offered is counted here, call by
 * call, and compared with what the file says.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Mapping } from "../ffi/mod.ts";
import type { FileSizes } from "../lib/file/write.ts";
import {
  addLedgers,
  closes,
  describeLedger,
  type RingLedger,
  totalOf,
} from "../lib/file/ledger.ts";
import { Reader } from "../lib/reader.ts";
import { Writer } from "../lib/writer.ts";
import { record, type Recording } from "./support/recording.ts";
import { Version1Reader } from "./support/version1.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-ledger-"));
after(() => rmSync(directory, { recursive: true }));

const SPANS = 1;
const RING = { slots: 64, slotBytes: 256 };
const SIZES: FileSizes = { events: RING, spans: RING, measurements: RING };

function recordIn(sizes: FileSizes): Recording & { place: string } {
  const place = mkdtempSync(join(directory, "place-"));
  return { ...record({ directory: place }, { ...SIZES, ...sizes }), place };
}

/** The spans rings of all files of a place, together. */
function ledgerOf(place: string): RingLedger {
  const all = readdirSync(place).filter((name) => name.endsWith(".otlp")).map((name) => {
    const reader = Reader.open(join(place, name));
    const ledger = reader.ledger()[SPANS];
    assert.ok(closes(ledger), describeLedger(ledger).join("; "));
    reader.close();
    return ledger;
  });
  return all.reduce(addLedgers);
}

describe("the ledger counts once", () => {
  it("a record that the next file has no room for either: no sequences", () => {
    const { recorder, tracer, place } = recordIn({});
    const span = tracer.startSpan("a");
    // The next file has none from its beginning.
    recorder.file!.spans.sequenceLimit = recorder.file!.spans.claimed + 1;
    recorder.follow({ bind: () => recorder.file!.spans.sequenceLimit = 0 });
    span.setAttribute("refused", 1);
    const ledger = ledgerOf(place);
    assert.deepEqual([ledger.offered, ledger.claimed, ledger.refused.ring_full], [2, 1, 1]);
    assert.equal(readdirSync(place).length, 2);
    recorder.close();
  });

  it("a record that the next file has no room for either: no dictionary", () => {
    const { recorder, tracer, place } = recordIn({ dictionaryBytes: 8192 });
    const span = tracer.startSpan("a");
    recorder.file!.dictionary.full = true;
    recorder.file!.dictionary.append = () => 0;
    recorder.follow({
      bind: () => {
        recorder.file!.dictionary.full = true;
        recorder.file!.dictionary.append = () => 0;
      },
    });
    span.setAttribute("refused", 1);
    const ledger = ledgerOf(place);
    assert.deepEqual([ledger.offered, ledger.claimed, ledger.refused.dictionary_full], [2, 1, 1]);
    recorder.close();
  });

  it("a record that goes on in a next file: where it was claimed", () => {
    const { recorder, tracer, place } = recordIn({});
    const span = tracer.startSpan("a");
    for (let i = 0; i < 5; i++) {
      recorder.file!.spans.sequenceLimit = recorder.file!.spans.claimed + 1;
      span.setAttribute("moved", i);
    }
    const ledger = ledgerOf(place);
    assert.deepEqual([ledger.offered, ledger.claimed, totalOf(ledger.refused)], [6, 6, 0]);
    recorder.close();
  });

  it("a record whose last keys find no room in the dictionary: it is written, and cut", () => {
    const path = join(directory, "keys.otlp");
    const writer = Writer.create(path, { ...SIZES, dictionaryBytes: 1024 });
    const span = writer.scope({ name: "s" }).startSpan("a");
    // The first record is full before the dictionary is.
    const attributes: Record<string, string> = {};
    for (let i = 0; i < 40; i++) attributes[`key ${i} ${"k".repeat(24)}`] = "v".repeat(40);
    assert.equal(span.setAttributes(attributes), "written");
    assert.ok(span.droppedAttributes > 0);
    const reader = Reader.open(path);
    const { offered, claimed, refused, truncated } = reader.ledger()[SPANS];
    assert.deepEqual([offered, totalOf(refused)], [claimed, 0]);
    assert.equal(truncated, 1);
    const written = reader.poll().flatMap((each) =>
      each.ring === "spans" && "change" in each && each.change.what === "attributes"
        ? Object.keys(each.change.attributes)
        : []
    );
    assert.equal(written.length + span.droppedAttributes, 40);
    reader.close();
    writer.close();
  });

  it("each further record of attributes that has no place", () => {
    const path = join(directory, "further.otlp");
    const writer = Writer.create(path, { ...SIZES, spans: { slots: 8, slotBytes: 256 } });
    const scope = writer.scope({ name: "s" });
    const span = scope.startSpan("a");
    const attributes: Record<string, string> = {};
    for (let i = 0; i < 20; i++) attributes[`k${i}`] = "v".repeat(150);
    assert.equal(span.setAttributes(attributes), "written");
    // Of 7 usable slots one is for the span's end, and one is kept free behind a further record.
    const { offered, claimed, refused } = ledger(path);
    assert.deepEqual([offered, claimed, refused.reserve], [6, 5, 1]);
    assert.equal(span.droppedAttributes, 20 - (claimed - 1));
    writer.close();
  });

  it("every record of a full ring, whatever it is", () => {
    const { recorder, tracer, place } = recordIn({});
    let offered = 0;
    const open = Array.from({ length: 10 }, (_, i) => {
      offered++;
      return tracer.startSpan(`span ${i}`);
    });
    for (let i = 0; i < 500; i++) {
      open[i % 10].setAttribute("i", i);
      offered++;
    }
    for (const span of open) {
      span.end();
      offered++;
    }
    const { claimed, refused, ...rest } = ledgerOf(place);
    assert.equal(rest.offered, offered);
    assert.equal(claimed + refused.ring_full + refused.reserve, offered);
    assert.ok(claimed < 64 && refused.reserve > 400);
    recorder.close();
  });
});

function ledger(path: string): RingLedger {
  const reader = Reader.open(path);
  const all = reader.ledger();
  reader.close();
  return all[SPANS];
}

describe("a version 1 reader beside ours", () => {
  it("leaves a gap that the ledger names", () => {
    const path = join(directory, "gap.otlp");
    const writer = Writer.create(path, SIZES);
    const scope = writer.scope({ name: "s" });
    const take = (): void => {
      const reader = Reader.open(path);
      reader.poll();
      reader.release();
      reader.close();
    };
    for (let i = 0; i < 3; i++) scope.startSpan("a").end();
    take();
    for (let i = 0; i < 2; i++) scope.startSpan("b").end();
    const mapping = Mapping.open(path);
    assert.equal(new Version1Reader(mapping, () => mapping.refresh()).drain(SPANS).length, 4);
    mapping.close();
    scope.startSpan("c").end();
    take();
    scope.startSpan("d");
    const found = ledger(path);
    assert.deepEqual(
      [found.claimed, found.delivered, found.uncounted, found.pending],
      [13, 8, 4, 1],
    );
    assert.equal(closes(found), false);
    assert.match(describeLedger(found)[1], /4 released by a reader that does not count/);
    writer.close();
  });
});
