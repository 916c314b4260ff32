/**
 * Which records a ring holds, when its indexes may be damaged: every availability word says which
 * record was published in its slot, so the words of a ring bear each other out.
 *
 * @module
 */
import type { RingGeometry } from "../../lib/file/geometry.ts";
import {
  AVAILABILITY_BYTES,
  RING_NAMES,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import { counted } from "../inspect/units.ts";

/** Sequences stay below this (PROTOCOL.md, Sequences). */
const MAX_SEQUENCE = 2 ** 31;

/** What to read of a ring. */
export interface RingOptions {
  /** Also records that were read, as far as they are still there. */
  readonly all: boolean;
  /** Its file has one producer, which fills a slot before it claims it. */
  readonly oneProducer: boolean;
  /** Its writer discards the oldest records: `reader_index` holds two numbers; only one stays. */
  readonly discards?: boolean;
  /** Its sizes are damaged: its indexes, right behind them, prove nothing. */
  readonly damaged: boolean;
}

/**
 * Brings indexes and availability words of a ring in memory to where everything that can be read is
 * published. Returns what was wrong with them.
 */
export function repairRing(file: FileViews, ring: RingGeometry, options: RingOptions): string[] {
  const { i32, i64, u8 } = file;
  const { slots, slotBytes, offset, availability, firstSlot } = ring;
  const name = RING_NAMES[ring.ring];
  const readerWord = (offset + RING_READER_INDEX) / 8;
  const writerWord = (offset + RING_WRITER_INDEX) / 8;
  const flagsWord = availability / AVAILABILITY_BYTES;
  if (options.discards) i64[readerWord] = BigInt.asIntN(32, i64[readerWord]);
  const reader = options.damaged ? NaN : sequenceOf(i64[readerWord]);
  const writer = options.damaged ? NaN : sequenceOf(i64[writerWord]);
  const notes: string[] = [];

  // By slot: the record that its word says was published there.
  const published = new Float64Array(slots);
  for (let slot = 0; slot < slots; slot++) published[slot] = i32[flagsWord + slot] * slots + slot;
  const isEmpty = (sequence: number): boolean => {
    const slot = firstSlot + (sequence % slots) * slotBytes;
    for (let i = 0; i < slotBytes; i++) if (u8[slot + i] !== 0) return false;
    return true;
  };

  // A word of zeros is that of the first lap, also where nothing was written.
  const filled = published.filter((sequence) => sequence >= 0 && !isEmpty(sequence));
  const best = bestWindow(filled, slots, writer);
  // Indexes that agree with each other may still be of a lap that no slot knows of.
  const agree = !Number.isNaN(reader) && !Number.isNaN(writer) && reader <= writer &&
    writer - reader <= slots && (best.count === 0 || Math.abs(best.end - writer) <= slots);
  const window = agree ? { end: writer } : best;
  // Words ahead of the last record claimed: that index is damaged, or they are, where most of what
  // would come before is not there. They would push out as many records that are.
  let last = window.end;
  const ahead = published.filter((sequence) =>
    sequence > window.end && sequence <= window.end + slots && !isEmpty(sequence)
  ).sort();
  ahead.forEach((sequence, i) => {
    if (sequence - window.end <= 2 * (i + 1)) last = sequence;
  });
  if (!agree) {
    notes.push(
      `the ${name} ring's indexes ${options.damaged ? "prove nothing" : "can't be"} (reader ${
        i64[readerWord]
      }, writer ${i64[writerWord]}): ` +
        `${counted(last + 1, "record")} ${
          last === 0 ? "was" : "were"
        } written, by its availability words`,
    );
  } else if (last > writer) {
    notes.push(`the ${name} ring's writer_index is ${writer}, and its last record ${last}`);
  }

  // The slot after the last may have been half overwritten, if what it held was read.
  const oldest = Math.max(-1, last + 1 - slots);
  const isKnown = !Number.isNaN(reader) && reader <= last;
  if (!isKnown && last >= 0 && !options.all) {
    notes.push(
      `which records of the ${name} ring were read is not known: all of them are taken, also such as ` +
        "were delivered before",
    );
  }
  const wanted = !isKnown ? oldest : options.all ? Math.min(oldest, reader) : reader;
  const before = Math.max(wanted, last - slots);
  let lastPublished = before;
  let unsure = 0;
  for (let sequence = before + 1; sequence <= last; sequence++) {
    const slot = sequence % slots;
    const flag = Math.floor(sequence / slots);
    const word = flagsWord + slot;
    if (i32[word] === flag) {
      lastPublished = sequence;
    } else if (i32[word] !== flag - 1) {
      // Neither this record nor the one before it: the word is damaged, the record may not be.
      unsure++;
      i32[word] = flag;
      lastPublished = sequence;
    } else if (options.oneProducer && sequence === lastPublished + 1 && sequence === last) {
      // Claimed when the owner ended, one step before it was published.
      i32[word] = flag;
    }
  }
  if (unsure > 0) {
    notes.push(
      `${counted(unsure, "availability word")} of the ${name} ring ${
        unsure === 1 ? "is" : "are"
      } damaged: the records in question are tried`,
    );
  }
  i64[readerWord] = BigInt(before);
  i64[writerWord] = BigInt(last);
  return notes;
}

/** NaN for what can't be a sequence. */
function sequenceOf(word: bigint): number {
  return word >= -1n && word < BigInt(MAX_SEQUENCE) ? Number(word) : NaN;
}

/**
 * The lap that most words belong to: the last of `slots` successive sequences that more of them name
 * than of any other, and among equals those that the writer's index is one of.
 */
function bestWindow(
  published: Float64Array,
  slots: number,
  writer: number,
): { count: number; end: number } {
  const sorted = published.filter((sequence) => sequence >= 0 && sequence < MAX_SEQUENCE).sort();
  let best = { count: 0, end: -1, holdsWriter: false };
  for (let first = 0, next = 0; first < sorted.length; first++) {
    while (next < sorted.length && sorted[next] < sorted[first] + slots) next++;
    const count = next - first;
    const end = sorted[next - 1];
    const holdsWriter = writer >= sorted[first] && writer <= end + 1;
    if (count > best.count || (count === best.count && holdsWriter && !best.holdsWriter)) {
      best = { count, end, holdsWriter };
    }
  }
  return best;
}
