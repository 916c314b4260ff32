/**
 * The files that the journal knows: those that are read, and those of an earlier run that were not
 * found yet.
 *
 * @module
 */
import { DICTIONARY_HEADER_BYTES, RING_COUNT } from "../../lib/format/layout.ts";
import { badOf, type BadRecord, type Position } from "../pipeline/drain.ts";
import type { FollowedFile, FollowedProcess } from "../files/follow.ts";
import { dictionaryEnd, type DictionaryImage } from "./dictionary.ts";
import { BAD, DICTIONARY, FILE, type FileEntry, NO_SEQUENCE, POSITIONS } from "./format.ts";
import { type Entry, numberOf, wordOf } from "./read.ts";
import type { BlockBuffer } from "./write.ts";

/** A file and how far it is in the journal. */
export interface JournaledFile {
  entry: FileEntry;
  readonly process: FollowedProcess;
  /** By ring: the sequence taken last; behind them the one of log records, or NO_SEQUENCE. */
  readonly sequences: number[];
  /** Bytes of its dictionary that are in the journal, the header's among them. */
  known: number;
  /** Null until it is found. */
  followed: FollowedFile | null;
  /** Its dictionary until then. */
  image: DictionaryImage | null;
  /** What is bad of it and not given back, until then. */
  bad: BadRecord[];
}

/** One that is new to the journal. */
export function newFile(entry: FileEntry, process: FollowedProcess): JournaledFile {
  return {
    entry,
    process,
    sequences: [NO_SEQUENCE, NO_SEQUENCE, NO_SEQUENCE, NO_SEQUENCE],
    known: DICTIONARY_HEADER_BYTES,
    followed: null,
    image: null,
    bad: [],
  };
}

/** What is written of a file that was opened. */
export function entryOf(file: FollowedFile): FileEntry {
  const { source } = file.drain;
  return {
    number: source.file,
    process: source.process.index,
    identity: file.identity,
    path: file.path,
    dictionary: file.geometry.dictionary,
    marksSpanEvents: source.marksSpanEvents,
    wasMeasured: source.wasMeasured,
    discards: source.discards,
    isSynced: file.isSynced,
  };
}

/** Where to go on in a file that is found again. */
export function positionOf({ sequences, entry, bad }: JournaledFile): Position {
  const logs = sequences[RING_COUNT];
  return {
    sequences: sequences.slice(0, RING_COUNT),
    logs: logs === NO_SEQUENCE ? null : logs,
    wasMeasured: entry.wasMeasured,
    bad,
  };
}

/** Notes how far a file has been taken since the last time, and what its dictionary has gained. */
export function noteProgress(file: JournaledFile, buffer: BlockBuffer): void {
  const { sequences, followed } = file;
  if (followed === null) return;
  const { rings, logs } = followed.drain;
  const behind = logs === null ? NO_SEQUENCE : logs.sequence;
  if (
    rings[0].sequence === sequences[0] && rings[1].sequence === sequences[1] &&
    rings[2].sequence === sequences[2] && behind === sequences[RING_COUNT]
  ) return;
  for (let ring = 0; ring < RING_COUNT; ring++) sequences[ring] = rings[ring].sequence;
  sequences[RING_COUNT] = behind;
  noteDictionary(file, buffer);
  putPositions(file, buffer);
}

/** What a record that was taken names is in the dictionary by now. */
function noteDictionary(file: JournaledFile, buffer: BlockBuffer): void {
  const { dictionary } = file.entry;
  const views = file.followed!.file;
  const size = dictionaryEnd(views, dictionary) - dictionary;
  if (size <= file.known) return;
  putDictionary(file, buffer, file.known, views.reach(dictionary + size)!, dictionary, size);
  file.known = size;
}

/**
 * Has the entries of a dictionary written again when a record names them: who shares a file, or is not of ours,
 * claims room for an entry before filling it, and what is claimed was written down as it was then.
 */
export function noteEntries(
  file: JournaledFile,
  followed: FollowedFile,
  buffer: BlockBuffer,
): void {
  const { drain: { source }, extension, file: views } = followed;
  if (extension !== null && !extension.manyProducers) return;
  const { dictionary } = file.entry;
  source.dictionary.onRead = (from, to) => {
    const at = from - dictionary;
    // Others are written with all that the dictionary has gained.
    const bytes = at < file.known ? views.reach(to) : null;
    if (bytes !== null) putDictionary(file, buffer, at, bytes, dictionary, to - dictionary);
  };
}

/** Writes bytes `from` to `to` of a dictionary, which starts at `start` of `bytes`. */
export function putDictionary(
  { entry }: JournaledFile,
  buffer: BlockBuffer,
  from: number,
  bytes: Uint8Array,
  start: number,
  to: number,
): void {
  if (to > from) {
    buffer.bytesOf(DICTIONARY, [entry.number, from], bytes.subarray(start + from, start + to));
  }
}

function putPositions({ entry, sequences }: JournaledFile, buffer: BlockBuffer): void {
  buffer.words(POSITIONS, entry.number, ...sequences.flatMap(wordsOf));
}

/** Takes what `POSITIONS` says. */
export function readPositions(entry: Entry, { sequences }: JournaledFile): void {
  for (let i = 0; i < sequences.length; i++) sequences[i] = numberOf(entry, 1 + 2 * i);
}

/** Writes that records of a file are bad. */
export function putBad(file: number, record: BadRecord, buffer: BlockBuffer): void {
  const { ring, sequence, word, count } = record;
  buffer.words(BAD, file, ring, word, count, ...wordsOf(sequence ?? NO_SEQUENCE));
}

/** Takes what `BAD` says. */
export function readBad(entry: Entry, { bad }: JournaledFile): void {
  const sequence = numberOf(entry, 4);
  bad.push({
    ring: wordOf(entry, 1),
    sequence: sequence === NO_SEQUENCE ? null : sequence,
    word: wordOf(entry, 2),
    count: wordOf(entry, 3),
  });
}

function wordsOf(number: number): [number, number] {
  return [number | 0, Math.floor(number / 2 ** 32)];
}

/** Writes everything there is to know of a file into a checkpoint. */
export function putFile(file: JournaledFile, buffer: BlockBuffer): void {
  buffer.json(FILE, file.entry);
  putPositions(file, buffer);
  const { dictionary, number } = file.entry;
  const { followed, image, known } = file;
  const bad = followed?.drain.rings.flatMap(badOf) ?? file.bad;
  for (const record of bad) putBad(number, record, buffer);
  const bytes = image?.reach(known) ?? followed?.file.reach(dictionary + known) ?? null;
  // A file that was cut short since: what its records name is not there any more.
  if (bytes === null) file.known = DICTIONARY_HEADER_BYTES;
  else putDictionary(file, buffer, DICTIONARY_HEADER_BYTES, bytes, image ? 0 : dictionary, known);
}
