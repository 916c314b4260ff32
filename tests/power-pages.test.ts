/**
 * Files as a loss of power leaves them: each page, and the file's length, as of any moment since the last
 * sync began, independently of all others. What was synced is read, the ledger closes, and what it can't
 * know it names. That takes no disk of its own: the pages are put together from copies.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { formatInspection } from "../collector/inspect/format.ts";
import { inspect } from "../collector/inspect/inspect.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import { closes, describeLedger, type RingLedger, totalOf } from "../lib/file/ledger.ts";
import { FileSyncer } from "../lib/file/sync.ts";
import type { FileWriter } from "../lib/file/write.ts";
import {
  EXT_BOOT_ID,
  EXT_FILE_UID,
  EXT_PROCESS_UID,
  EXT_SYNCED,
  RING_EVENTS,
  RING_READER_INDEX,
  RING_SPANS,
  RING_WRITER_INDEX,
} from "../lib/format/layout.ts";
import { Reader, type ReadRecord } from "../lib/reader.ts";
import { type SpanWriter, Writer, type WriterOptions } from "../lib/writer.ts";
import { collectOnce } from "./support/collector.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize } from "./support/runtimes.ts";

const PAGE = 4096;
/** Files that are written, losses of power in the life of each, and what each may leave. */
const [FILES, LOSSES, MIXES] = isFullSize ? [50, 40, 50] : [4, 9, 16];
const RINGS = [RING_EVENTS, RING_SPANS] as const;

const place = mkdtempSync(join(tmpdir(), "otlp-mmap-pages-"));
after(() => rmSync(place, { recursive: true }));

/** What a record says, as the writer knows it and as a reader finds it. */
function textOf(record: ReadRecord): string {
  if ("unreadable" in record) return "unreadable";
  if (record.ring === "spans") return `${record.change.what} ${record.spanId}`;
  if (record.ring === "events") return `${record.name} ${Object.keys(record.attributes)}`;
  return "";
}

/** The file at a moment, and how much had been given back of each ring. */
interface Moment {
  readonly bytes: Uint8Array;
  readonly released: readonly number[];
}

/** An application and its reader, and their file at all moments since the last sync that is over began. */
class Life {
  /** By ring and sequence: what each record says. */
  readonly texts: readonly string[][] = [[], []];
  moments: Moment[] = [];
  private readonly random: Random;
  private readonly path: string;
  private readonly writer: Writer;
  private readonly file: FileWriter;
  private readonly scope: ReturnType<Writer["scope"]>;
  private readonly syncer: FileSyncer;
  private readonly reader: Reader;
  private readonly open: SpanWriter[] = [];
  private keys = 0;
  /** The sync under way: when it began, and how many were over then. */
  private running: Promise<void> = Promise.resolve();
  private syncing: { readonly began: Moment; readonly count: number } | null = null;

  constructor(path: string, random: Random) {
    this.random = random;
    this.path = path;
    const sized = () => ({ slots: 8 << random.below(4), slotBytes: 256 + 8 * random.below(40) });
    const options: WriterOptions & { synced: true } = {
      synced: true,
      events: sized(),
      spans: sized(),
      measurements: sized(),
    };
    this.writer = Writer.create(path, options);
    this.file = (this.writer as unknown as { file: FileWriter }).file;
    this.scope = this.writer.scope({ name: "pages" });
    this.syncer = new FileSyncer(this.file, (error) => {
      throw error;
    });
    // When it syncs is for the test to say.
    clearInterval((this.syncer as unknown as { timer: ReturnType<typeof setInterval> }).timer);
    this.reader = Reader.open(path);
  }

  /** Keeps the file as it is now, and forgets what is older than what was synced. */
  private note(): Moment {
    const { events, spans } = this.file;
    const bytes = new Uint8Array(readFileSync(this.path));
    const moment = { bytes, released: [events.released + 1, spans.released + 1] };
    this.moments.push(moment);
    const { syncing } = this;
    if (syncing !== null && this.syncer.count > syncing.count) {
      this.moments.splice(0, this.moments.indexOf(syncing.began));
      this.syncing = null;
    }
    return moment;
  }

  private async sync(): Promise<void> {
    // One that waits for another begins at a moment that can't be told from here.
    await this.running;
    this.syncing = { began: this.note(), count: this.syncer.count };
    this.running = this.syncer.sync();
  }

  /** Something happens on either side. */
  async step(): Promise<void> {
    const { open, random, scope } = this;
    const what = random.below(16);
    if (what < 5) {
      const span = scope.startSpan("s");
      if (span.started === "written") {
        open.push(span);
        this.texts[RING_SPANS].push(`start ${span.spanId}`);
        if (what === 0) this.spoil();
      }
    } else if (what < 8 && open.length > 0) {
      const [span] = open.splice(random.below(open.length), 1);
      if (span.end() === "written") this.texts[RING_SPANS].push(`end ${span.spanId}`);
    } else if (what < 11 && open.length > 0) {
      // Some have keys that make the dictionary, and so the file, longer.
      const key = `k${++this.keys}`.padEnd(random.below(3) === 0 ? 4000 : 4, "-");
      const result = random.pick(open).addEvent("e", { attributes: { [key]: 1 } });
      if (result === "written") this.texts[RING_EVENTS].push(`e ${key}`);
    } else if (what < 14) {
      this.reader.poll(1 + random.below(8));
      this.reader.release();
    } else {
      await this.sync();
      if (what === 15) await this.running;
    }
    this.note();
  }

  /** The last span record can't be read. */
  private spoil(): void {
    const { mapping, spans } = this.file;
    const geometry = readGeometry(this.path, mapping.u8, mapping.size);
    assert.ok("rings" in geometry);
    const { firstSlot, slotBytes, slots } = geometry.rings[RING_SPANS];
    const slot = firstSlot + (spans.claimed % slots) * slotBytes;
    mapping.u8.fill(0xff, slot, slot + slotBytes);
    this.texts[RING_SPANS][spans.claimed] = "unreadable";
  }

  /** What may be on the disk now: of this boot, as another one finds it. */
  left(): Uint8Array {
    const { moments, random } = this;
    // Either anything, or all but some pages of the same moment.
    const most = random.below(2) === 0 ? null : random.pick(moments);
    const pick = () => most === null || random.below(4) === 0 ? random.pick(moments) : most;
    const bytes = new Uint8Array(pick().bytes.length);
    for (let at = 0; at < bytes.length; at += PAGE) {
      bytes.set(pick().bytes.subarray(at, Math.min(at + PAGE, bytes.length)), at);
    }
    bytes[EXT_BOOT_ID] ^= 1;
    // A file and a process of its own.
    for (let i = 0; i < 16; i++) {
      bytes[EXT_FILE_UID + i] = random.below(256);
      bytes[EXT_PROCESS_UID + i] = random.below(256);
    }
    return bytes;
  }

  close(): void {
    this.reader.close();
    this.syncer.end(() => {});
    this.writer.close({ clean: false });
  }
}

/** What a file left by a loss of power says of a ring, of which nothing can be wrong. */
interface Words {
  readonly claimed: number;
  readonly released: number;
  readonly synced: number;
}

function wordsOf(bytes: Uint8Array, ring: number): Words {
  const view = new DataView(bytes.buffer);
  const geometry = readGeometry("left", bytes, bytes.length);
  assert.ok("rings" in geometry);
  const { offset } = geometry.rings[ring];
  return {
    claimed: Number(view.getBigInt64(offset + RING_WRITER_INDEX, true)) + 1,
    released: Number(view.getBigInt64(offset + RING_READER_INDEX, true)) + 1,
    synced: Number(view.getBigInt64(EXT_SYNCED + ring * 8, true)),
  };
}

/** Reads a file that a loss of power has left to its end. Returns of how many records too little is known. */
function check(path: string, life: Life): number {
  const bytes = new Uint8Array(readFileSync(path));
  const inspection = inspect(path);
  const { facts } = inspection;
  assert.ok(facts !== null, inspection.problems.join("; "));
  const said = formatInspection(inspection);
  assert.doesNotMatch(said, /does not close/);
  const reader = Reader.open(path);
  assert.equal(reader.owner(), "dead");
  const records = reader.poll(1 << 20);
  reader.release();
  const after = reader.ledger();
  reader.close();
  let unknown = 0;
  for (const ring of RINGS) {
    const { claimed, released, synced } = wordsOf(bytes, ring);
    const before: RingLedger = facts.ledger![ring];
    const texts = life.texts[ring];
    const bad = (from: number, to: number): number =>
      texts.slice(from, to).filter((text) => text === "unreadable").length;
    const what = `${describeLedger(before)[1]}, then ${describeLedger(after[ring])[1]}`;
    assert.ok(closes(before) && closes(after[ring]), what);
    assert.equal(before.uncounted + after[ring].uncounted, 0, what);
    // What is said of those that were given back is no more than was so.
    assert.equal(before.torn, 0, what);
    const rejected = bad(0, released);
    assert.ok(totalOf(before.rejected) <= rejected, what);
    assert.ok(before.delivered <= released - rejected, what);
    // And no more is unknown than what was given back since the last sync.
    const [first] = life.moments;
    const last = life.moments.at(-1)!;
    assert.ok(before.unknown <= last.released[ring] - first.released[ring], what);
    if (before.unknown > 0) assert.match(said, /power/);
    unknown += before.unknown;

    // What was synced is read as it was written, the rest is torn.
    const trusted = Math.min(claimed, Math.max(released, synced));
    const found = records.filter((record) => record.ring === before.ring);
    assert.deepEqual(found.map(({ sequence }) => sequence), range(released, trusted), what);
    assert.deepEqual(found.map(textOf), texts.slice(released, trusted), what);
    const counted = (ledger: RingLedger) => [
      ledger.delivered,
      totalOf(ledger.rejected),
      ledger.torn,
      ledger.pending,
      ledger.unknown,
    ];
    const unreadable = bad(released, trusted);
    assert.deepEqual(counted(after[ring]), [
      before.delivered + trusted - released - unreadable,
      totalOf(before.rejected) + unreadable,
      claimed - trusted,
      0,
      before.unknown,
    ], what);
  }
  return unknown;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

// Elsewhere nothing is known of boots.
if (process.platform === "linux") {
  describe(`pages of any moment since the last sync, seed ${seed}`, () => {
    it("make files that are read as far as they were synced, and a ledger that closes", {
      timeout: isFullSize ? 3_600_000 : 120_000,
    }, async () => {
      const random = new Random();
      const kept = join(place, "kept");
      mkdirSync(kept);
      let number = 0;
      let unknown = 0;
      let ended = 0;
      for (let file = 0; file < FILES; file++) {
        const life = new Life(join(place, `${file}.otlp`), random);
        try {
          for (let loss = 0; loss < LOSSES; loss++) {
            for (let steps = 20 + random.below(60); steps > 0; steps--) await life.step();
            for (let mix = 0; mix < MIXES; mix++) {
              const left = life.left();
              const path = join(place, "left.otlp");
              writeFileSync(path, left);
              try {
                unknown += check(path, life);
              } catch (error) {
                throw new Error(`file ${file}, loss ${loss}, mix ${mix}`, { cause: error });
              }
              if (mix === 0 && loss % 4 === 0) {
                writeFileSync(join(kept, `${number++}.otlp`), left);
                const { released, synced } = wordsOf(left, RING_SPANS);
                ended += life.texts[RING_SPANS].slice(released, synced)
                  .filter((text) => text.startsWith("start")).length;
              }
            }
          }
        } finally {
          life.close();
        }
      }
      assert.ok(unknown > 0, "nothing was unknown: the pages were hardly of different moments");
      const { spans, text } = await collectOnce([kept]);
      assert.match(text, new RegExp(`from ${number} files`));
      assert.doesNotMatch(text, /does not close/);
      assert.equal(spans.length, ended, text);
    });
  });
}
