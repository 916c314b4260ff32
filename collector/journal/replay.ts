/**
 * Does again what an earlier run did, as its journal says: the same calls in the same order make the
 * same state, and the same requests.
 *
 * @module
 */
import { DictionaryReader } from "../../lib/dictionary/read.ts";
import {
  READ_REJECTED,
  REJECT_FAULT,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_SPANS,
} from "../../lib/format/layout.ts";
import { INTERRUPTIONS } from "../../lib/otlp/marks.ts";
import { PairList, type Source } from "../../lib/otlp/source.ts";
import { Rejection } from "../../lib/record/wire.ts";
import type { RecordCopy } from "../../lib/ring/read.ts";
import type { FollowedProcess } from "../files/follow.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import type { Files } from "../files/files.ts";
import type { Requests } from "../pipeline/requests.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { DictionaryImage } from "./dictionary.ts";
import { type JournaledFile, newFile, readBad, readPositions } from "./files.ts";
import {
  AGGREGATOR,
  ANSWERED,
  ASSEMBLER,
  BAD,
  CLOSED,
  COLLECTED,
  COUNTS,
  type CountsEntry,
  DICTIONARY,
  EMITTED,
  EVENT,
  FILE,
  type FileEntry,
  FORGOTTEN,
  INTERRUPTED,
  INTERRUPTION_NAMES,
  LOG,
  MEASUREMENT,
  POSITIONS,
  PROCESS,
  type ProcessEntry,
  SEALED,
  SETTINGS,
  type SettingsEntry,
  SPAN,
} from "./format.ts";
import {
  bytesOf,
  createRecord,
  type Entry,
  type ForEachEntry,
  jsonOf,
  numberOf,
  restoreRecord,
  wordOf,
} from "./read.ts";

/** Where records of each type come from. */
const RINGS: Readonly<Record<number, number>> = {
  [SPAN]: RING_SPANS,
  [EVENT]: RING_EVENTS,
  [LOG]: RING_EVENTS,
  [MEASUREMENT]: RING_MEASUREMENTS,
};

/** What a replay changes. */
export interface ReplayTarget {
  readonly requests: Requests;
  readonly files: Files;
  /** The journal's own: the files by number. */
  readonly journaled: Map<number, JournaledFile>;
  /** Settings changed. */
  settings(settings: SettingsEntry): void;
  /** Items emitted before the checkpoint. */
  counts(counts: CountsEntry): void;
  /** Requests of a signal are answered up to so many items. */
  answered(signal: Signal, items: number): void;
  /** A file outlasts a loss of power. */
  synced(): void;
  /** A process whose requests were all answered is forgotten. */
  forgotten(process: FollowedProcess): void;
}

/** The replay of one segment. */
export class Replay {
  private readonly target: ReplayTarget;
  private readonly images = new Map<number, DictionaryImage>();
  private readonly sources = new Map<number, Source>();
  private readonly copy: RecordCopy = createRecord();
  /** Saved states: restored once the processes that they are about are known. */
  private restored = false;

  /** @param target What it changes. */
  constructor(target: ReplayTarget) {
    this.target = target;
  }

  /** Does again what one block says. */
  block(forEach: ForEachEntry): void {
    // A dictionary is written behind the records that name what it has gained.
    forEach((entry) => {
      if (entry.type === FILE) {
        const { number, dictionary } = jsonOf<FileEntry>(entry);
        this.images.set(number, new DictionaryImage(dictionary));
      } else if (entry.type === DICTIONARY) {
        const number = wordOf(entry, 0);
        this.images.get(number)?.put(wordOf(entry, 1), bytesOf(entry, 2));
        const file = this.target.journaled.get(number);
        if (file !== undefined) file.known = this.images.get(number)!.size;
      }
    });
    forEach((entry) => this.take(entry));
  }

  private take(entry: Entry): void {
    const { requests, journaled } = this.target;
    const { assembler } = requests;
    switch (entry.type) {
      case SPAN:
      case EVENT:
      case LOG:
      case MEASUREMENT:
        this.record(entry);
        break;
      case EMITTED:
        requests.assembler.emitEnded(takePairs(this.process(entry), wordOf(entry, 1)));
        break;
      case INTERRUPTED: {
        const name = INTERRUPTION_NAMES[wordOf(entry, 1)];
        assembler.interrupt(this.process(entry).state, INTERRUPTIONS[name]);
        break;
      }
      case COLLECTED: {
        const process = this.process(entry);
        const time = BigInt(wordOf(entry, 2) >>> 0) << 32n | BigInt(wordOf(entry, 1) >>> 0);
        const isLast = wordOf(entry, 3) === 1;
        requests.collectAt(process, time, isLast);
        process.over ||= isLast;
        break;
      }
      case SEALED: {
        const signal = SIGNALS[wordOf(entry, 0)];
        if (signal === "metrics") requests.flushMetrics();
        else requests.flushBatch(signal === "traces" ? assembler.spans : assembler.logs);
        break;
      }
      case ANSWERED:
        this.target.answered(SIGNALS[wordOf(entry, 0)], numberOf(entry, 1));
        break;
      case FORGOTTEN: {
        const process = this.process(entry);
        this.target.forgotten(process);
        break;
      }
      case PROCESS:
        this.addProcess(jsonOf(entry));
        break;
      case FILE:
        this.addFile(jsonOf(entry));
        break;
      case POSITIONS: {
        const file = journaled.get(wordOf(entry, 0));
        if (file !== undefined) readPositions(entry, file);
        break;
      }
      case BAD: {
        const file = journaled.get(wordOf(entry, 0));
        if (file !== undefined) readBad(entry, file);
        break;
      }
      case CLOSED: {
        const number = wordOf(entry, 0);
        journaled.delete(number);
        this.images.delete(number);
        this.sources.delete(number);
        break;
      }
      case SETTINGS:
        this.target.settings(jsonOf<SettingsEntry>(entry));
        break;
      case COUNTS:
        this.target.counts(jsonOf<CountsEntry>(entry));
        break;
      case ASSEMBLER:
        assembler.restore(bytesOf(entry, 0));
        this.restored = true;
        break;
      case AGGREGATOR:
        requests.aggregator.restore(bytesOf(entry, 0), (index) => assembler.scopeAt(index));
        this.restored = false;
        break;
    }
  }

  private record(entry: Entry): void {
    const { copy } = this;
    const source = this.sources.get(wordOf(entry, 0));
    if (source === undefined) return;
    const sequence = wordOf(entry, 1);
    restoreRecord(entry, copy);
    const { assembler, aggregator } = this.target.requests;
    try {
      if (entry.type === SPAN) assembler.takeSpan(source, copy, sequence);
      else if (entry.type === EVENT) assembler.takeEvent(source, copy, sequence, true);
      else if (entry.type === LOG) assembler.takeLog(source, copy);
      else aggregator.take(source, copy);
    } catch (error) {
      // It was taken once: its dictionary has been changed since. One record is lost to that.
      const kind = error instanceof Rejection ? error.kind : REJECT_FAULT;
      const word = READ_REJECTED + kind;
      const file = this.target.journaled.get(wordOf(entry, 0));
      if (file === undefined) return;
      const ring = RINGS[entry.type];
      // The entry has the lower half of it, and the file's position is near.
      const near = file.sequences[ring];
      file.bad.push({ ring, sequence: near + ((sequence - near) | 0), word, count: 1 });
    }
  }

  private process(entry: Entry): FollowedProcess {
    return this.target.files.byIndex(wordOf(entry, 0));
  }

  private addProcess({ index, key, over, collectedAt }: ProcessEntry): void {
    const { files, requests } = this.target;
    const { assembler } = requests;
    // Between the state of the assembler and that of the aggregator are the processes of both.
    const state = this.restored ? assembler.processes[index]! : assembler.addProcess();
    if (state.index !== index) throw new Error(`process ${index} came out as ${state.index}`);
    const process = files.addProcess(key, state);
    process.over = over;
    process.collectedAt = BigInt(collectedAt);
    if (!this.restored) requests.aggregator.addProcess(index);
  }

  private addFile(entry: FileEntry): void {
    const { files, journaled, requests } = this.target;
    const { number, dictionary, marksSpanEvents, wasMeasured, discards } = entry;
    const image = this.images.get(number)!;
    const process = files.byIndex(entry.process);
    if (entry.isSynced) {
      process.hadSynced = true;
      this.target.synced();
    }
    const source = requests.assembler.addSource(
      number,
      process.state,
      image,
      dictionary,
      marksSpanEvents,
      wasMeasured,
      discards,
    );
    // The image has nothing of the file before the dictionary.
    this.sources.set(number, {
      ...source,
      dictionary: new DictionaryReader(image, dictionary, dictionary),
    });
    const file = newFile(entry, process);
    file.known = image.size;
    file.image = image;
    journaled.set(number, file);
    files.nextId = Math.max(files.nextId, number + 1);
  }
}

/** The first words of the list of spans of a process that ended: a list of their own. */
function takePairs({ state }: FollowedProcess, words: number): PairList {
  const { ended } = state;
  const first = new PairList();
  for (let i = 0; i < words; i += 2) first.push(ended.words[i], ended.words[i + 1]);
  ended.words.copyWithin(0, words, ended.length);
  ended.length -= words;
  return first;
}
