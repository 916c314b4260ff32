/**
 * What files hold, read without taking it from them: copies of files to requests. The order in which
 * rings are copied stands in for the rounds of a collector that shares its memory with the writer.
 *
 * @module
 */
import { RING_EVENTS, RING_MEASUREMENTS, RING_NAMES, RING_SPANS } from "../../lib/format/layout.ts";
import type { Geometry } from "../../lib/file/geometry.ts";
import type { Extension } from "../../lib/file/extension.ts";
import { DEFAULT_LIMITS, type Limits } from "../../lib/otlp/assemble.ts";
import { seek } from "../../lib/ring/read.ts";
import {
  claimedTo,
  type Drain,
  drainEvents,
  drainMeasurements,
  drainSpans,
  openDrain,
} from "../pipeline/drain.ts";
import type { FileCopy, MemoryFile } from "./copy.ts";
import { createLedger, type Ledger } from "./files.ts";
import { type Collected, type RequestOptions, Requests } from "../pipeline/requests.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { describe } from "../pipeline/summary.ts";

/** A file that is read. */
export interface ReadFile {
  readonly drain: Drain;
  readonly generation: number;
  /** Where its rings come from; null: they are in memory already, and final. */
  readonly copy: FileCopy | null;
  /** Its older records, which somebody has read, are to be taken as well. */
  readonly all: boolean;
}

/** A process whose files are read. */
export interface ReadProcess extends Collected {
  /** Ordered by generation. */
  readonly files: ReadFile[];
}

/** A file in memory, and what is known of it. */
export interface Readable {
  readonly memory: MemoryFile;
  readonly geometry: Geometry;
  readonly extension: Extension | null;
}

/** How requests are made. */
export type ReadOutOptions =
  & Pick<RequestOptions, "sinks" | "batchSize" | "aggregation">
  & {
    /** Default {@linkcode DEFAULT_LIMITS}. */
    readonly limits?: Limits;
    /** Leave the measurements where they are. */
    readonly withoutMetrics?: boolean;
  };

/** Makes what is in copies of files into requests. */
export class ReadOut {
  readonly requests: Requests;
  /** Files added so far. */
  files = 0;
  /** What was found in the files that are closed. */
  readonly ledger: Ledger = createLedger();
  /** By ring: records that were overwritten before they could be copied. */
  readonly missed: number[] = RING_NAMES.map(() => 0);

  private readonly withoutMetrics: boolean;
  private wake: (() => void) | null = null;

  /** @param options See ReadOutOptions. */
  constructor(options: ReadOutOptions) {
    const { limits = DEFAULT_LIMITS, withoutMetrics = false } = options;
    this.withoutMetrics = withoutMetrics;
    this.requests = new Requests({ ...options, limits, flushIntervalMs: 0 }, {
      sent: () => {},
      answered: () => this.wake?.(),
    });
  }

  /** Adds a process. */
  addProcess(): ReadProcess {
    const state = this.requests.assembler.addProcess();
    this.requests.aggregator.addProcess(state.index);
    return { state, files: [], collectedAt: 0n };
  }

  /**
   * Adds a file to a process.
   *
   * @param copy What its rings are copied from at each look; null when they are in memory already.
   * @param all Take what its rings still hold of records that were read, too.
   */
  addFile(process: ReadProcess, file: Readable, copy: FileCopy | null, all: boolean): ReadFile {
    const { memory, geometry, extension } = file;
    const { assembler } = this.requests;
    const drain = openDrain(++this.files, memory, geometry, assembler, process.state);
    if (copy !== null && all) { for (const ring of drain.rings) seek(ring, -1); }
    const added = { drain, generation: extension?.generation ?? 0, copy, all };
    process.files.push(added);
    process.files.sort((a, b) => a.generation - b.generation);
    return added;
  }

  /** Takes what the files of a process hold now. */
  take(process: ReadProcess): void {
    const { files } = process;
    // Events that are copied before the spans belong to spans whose start is copied with these.
    for (const file of files) this.copyRing(file, RING_EVENTS);
    for (const { drain } of files) drain.decidable = claimedTo(drain, RING_EVENTS);
    // A record in a newer file says that the older one is complete.
    for (const file of [...files].reverse()) this.copyRing(file, RING_SPANS);
    // And what was recorded before the end of a span is there once the end is.
    for (const file of files) {
      this.copyRing(file, RING_EVENTS);
      if (!this.withoutMetrics) this.copyRing(file, RING_MEASUREMENTS);
      file.copy?.copyDictionary();
    }
    this.drain(process);
  }

  /**
   * A process of which no more is to come: takes what waited for more, sends its open spans with this
   * status and its last points, and forgets it.
   */
  finish(process: ReadProcess, status: Uint8Array): void {
    const { assembler } = this.requests;
    for (const { drain } of process.files) {
      drain.over = true;
      drain.decidable = Infinity;
    }
    this.drain(process);
    assembler.interrupt(process.state, status);
    this.requests.collectLast(process);
    this.requests.flush();
    for (const file of [...process.files]) this.closeFile(process, file);
    assembler.removeProcess(process.state);
  }

  /** Closes one file of a process that goes on in others: what it held is taken. */
  drop(process: ReadProcess, file: ReadFile): void {
    this.closeFile(process, file);
  }

  /** Resolves when every request is answered. */
  async answered(): Promise<void> {
    while (!this.requests.empty) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** Lines that say what became of every record. */
  describe(): string[] {
    const { assembler, aggregator, queues } = this.requests;
    const lines = describe({
      files: this.files,
      spans: assembler.counts,
      metrics: aggregator.counts,
      queues,
      ledger: this.ledger,
      open: 0,
      openAre: "",
    });
    this.missed.forEach((count, ring) => {
      if (count === 0) return;
      lines.push(
        `records of the ${RING_NAMES[ring]} rings overwritten while they were read: ${count}`,
      );
    });
    return lines;
  }

  /** Items that did not get where they should. */
  get lost(): number {
    return SIGNALS.reduce((sum, signal) => {
      const { dropped, rejected } = this.requests.queues[signal].totals;
      return sum + dropped + rejected;
    }, 0);
  }

  private copyRing({ copy, drain, all }: ReadFile, ring: number): void {
    if (copy === null) return;
    const reader = drain.rings[ring];
    const isFirst = reader.taken === 0 && all;
    const skipped = copy.copyRing(reader);
    if (!isFirst) this.missed[ring] += skipped;
  }

  private drain({ files, state }: ReadProcess): void {
    const { assembler, intake } = this.requests;
    const all = Infinity;
    for (const { drain } of files) drainSpans(drain, intake, all, claimedTo(drain, RING_SPANS));
    for (const { drain } of files) {
      drainEvents(drain, intake, all, claimedTo(drain, RING_EVENTS));
      if (this.withoutMetrics) continue;
      drainMeasurements(drain, intake, all, claimedTo(drain, RING_MEASUREMENTS));
    }
    assembler.emitEnded(state.ended);
  }

  private closeFile({ files }: ReadProcess, file: ReadFile): void {
    const { drain, copy } = file;
    const { rings, reasons } = this.ledger;
    for (let ring = 0; ring < drain.rings.length; ring++) {
      rings[ring].taken += drain.rings[ring].taken;
      rings[ring].torn += drain.torn[ring];
      rings[ring].unreadable += drain.rejected[ring];
    }
    for (const [reason, count] of drain.reasons) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    }
    copy?.close();
    files.splice(files.indexOf(file), 1);
  }
}
