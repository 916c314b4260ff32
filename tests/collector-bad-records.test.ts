/**
 * Records that are torn or can't be read, of a collector that is killed between writing its journal and
 * giving back their slots: the next one does not look at them again, and counts them as what they are.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { until } from "../collector/testing/run.ts";
import { MappedFile } from "../lib/file/mapped.ts";
import { readGeometry, type RingGeometry } from "../lib/file/geometry.ts";
import { closes, readLedger, type RingLedger } from "../lib/file/ledger.ts";
import { RING_SPANS } from "../lib/format/layout.ts";
import { Writer } from "../lib/writer.ts";
import { observe } from "./support/collector.ts";
import { type JournalPlace, places, startJournaled } from "./support/journaled.ts";
import { ownRuntime } from "./support/runtimes.ts";
import { takeStored } from "./support/stored.ts";
import type { Death } from "./testdata/dying-collector.ts";
import type { JournaledOptions } from "./testdata/journaled-collector.ts";

const newPlace = places("collector-bad-records");

/** Spans, of two records each. */
const SPANS = 20;
/** By sequence: starts whose bytes are no message, or are longer than a slot, and one never published. */
const NO_MESSAGE = [4, 10];
const TOO_LONG = [16];
const TORN = [22];

/** A file with bad records; `torn` ones only where its writer is gone. */
function writeFile(path: string, torn: boolean): { file: MappedFile; writer: Writer } {
  const writer = Writer.create(path, { spans: { slots: 64, slotBytes: 256 } });
  const scope = writer.scope({ name: "scope" });
  for (let i = 0; i < SPANS; i++) scope.startSpan(`span ${i}`).end();
  const file = MappedFile.open(path);
  const { availability, firstSlot, slotBytes } = spansOf(file);
  for (const sequence of NO_MESSAGE) {
    const slot = firstSlot + sequence * slotBytes;
    file.u8.fill(0xff, slot + 2, slot + 20);
  }
  // The length, in two bytes.
  for (const sequence of TOO_LONG) file.u8.set([0xff, 0x7f], firstSlot + sequence * slotBytes);
  if (torn) {
    for (const sequence of TORN) {
      Atomics.store(file.i32, availability / 4 + sequence, -1);
    }
  }
  return { file, writer };
}

function spansOf(file: MappedFile): RingGeometry {
  const geometry = readGeometry("file", file.u8, file.size);
  if ("unfinished" in geometry) throw new Error(geometry.unfinished);
  return geometry.rings[RING_SPANS];
}

function ledgerOf(file: MappedFile): RingLedger {
  return readLedger(file, spansOf(file));
}

/** Runs a collector that kills itself somewhere. */
async function dies(
  { files, spool, journal }: JournalPlace,
  death: Death,
  options: Partial<JournaledOptions> = {},
): Promise<void> {
  const dying = observe(ownRuntime, "tests/testdata/dying-collector.ts", [
    JSON.stringify({ paths: [files], spool, journal, ...options }),
    JSON.stringify(death),
  ]);
  const timer = setTimeout(() => void dying.stop("SIGINT"), 30_000);
  const { signal } = await dying.ended;
  clearTimeout(timer);
  assert.equal(signal, "SIGKILL", `${JSON.stringify(death)}: ${dying.text()}`);
}

/** The last collector: reads all there is, and stops. */
async function finish(place: JournalPlace, file: MappedFile): Promise<RingLedger> {
  const last = await startJournaled(place);
  await until("all slots are given back", () => ledgerOf(file).pending === 0);
  assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
  return ledgerOf(file);
}

const released: Death = { store: "slots released", when: "before", count: 1 };

/** Where collectors die, one after the other, before the last. */
interface Case {
  readonly name: string;
  readonly torn: boolean;
  readonly deaths: readonly Death[];
  /** Other settings of the last of them, which looks for files elsewhere. */
  readonly last?: Partial<JournaledOptions>;
}

describe("bad records that were journaled and not given back", () => {
  const cases: readonly Case[] = [
    { name: "while the writer lives", torn: false, deaths: [released] },
    { name: "of a writer that is gone", torn: true, deaths: [released] },
    {
      name: "between the counters and the index",
      torn: true,
      deaths: [{ store: "slots released", when: "after", count: 1 }],
    },
    { name: "by three in a row", torn: true, deaths: [released, released, released] },
    {
      name: "in a checkpoint without their file",
      torn: true,
      // Other settings: a checkpoint is the first thing it makes.
      deaths: [released, { store: "checkpoint named", when: "after", count: 1 }],
      last: { batchSize: 7 },
    },
  ];
  for (const { name, torn, deaths, last } of cases) {
    it(`are counted as such: ${name}`, { timeout: 120_000 }, async () => {
      const place = newPlace();
      const { file, writer } = writeFile(join(place.files, "bad.otlp"), torn);
      try {
        if (torn) writer.close({ clean: false });
        for (const [i, death] of deaths.entries()) {
          const elsewhere = { ...last, paths: [place.spool] };
          await dies(place, death, last && i === deaths.length - 1 ? elsewhere : {});
        }
        const before = ledgerOf(file);
        assert.equal(before.pending, 2 * SPANS, "nothing was given back");
        const ledger = await finish(place, file);
        assert.ok(closes(ledger), JSON.stringify(ledger));
        const lost = NO_MESSAGE.length + TOO_LONG.length + (torn ? TORN.length : 0);
        const { delivered, rejected: { malformed, length } } = ledger;
        assert.deepEqual(
          [delivered, ledger.torn, malformed, length],
          [2 * SPANS - lost, torn ? TORN.length : 0, NO_MESSAGE.length, TOO_LONG.length],
        );
        // Every good span is stored, once.
        assert.equal(takeStored(place.spool).spans.length, SPANS - lost);
      } finally {
        writer.close();
        file.close();
      }
    });
  }
});
