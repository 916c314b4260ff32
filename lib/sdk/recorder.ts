/**
 * The file that is being written now, and the step to the next one.
 *
 * @module
 */
import { unlinkSync } from "node:fs";
import { diag } from "@opentelemetry/api";
import { READER_SILENT_NS } from "../file/attached.ts";
import { identity } from "../file/identity.ts";
import { networkProblem } from "../file/network.ts";
import { FileSyncer } from "../file/sync.ts";
import type { FileSizes, FileWriter } from "../file/write.ts";
import {
  EXT_READER_HEARTBEAT,
  LOSS_DICTIONARY_FULL,
  LOSS_RING_FULL,
  RING_SPANS,
  STATE_CLEAN,
  STATE_SUPERSEDED,
} from "../format/layout.ts";
import {
  DICTIONARY_FULL,
  onAttributeProblem,
  REFUSED,
  SEQUENCES_USED_UP,
} from "../record/encode.ts";
import type { Overflow } from "../ring/write.ts";
import { resourceMessage, scopeMessage } from "../record/identity.ts";
import { Shape } from "../record/shape.ts";
import { createInPlace, type Place } from "../file/place.ts";
import type { ResolvedSpanLimits } from "./limits.ts";
import type { Resource } from "./resource.ts";

/** An instrumentation scope. */
export interface ScopeIdentity {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** Names of events that are interned; others are written in full. */
const MAX_EVENT_NAMES = 1000;
/** Where no new file can be made, this long passes before the next attempt, ms. */
const RETRY_MS = 1000;
/** How often `taken` looks, ms. */
const TAKEN_POLL_MS = 5;

/** How the files are made. */
export interface RecorderSettings {
  readonly sizes: FileSizes;
  /** Default `"newest"`. */
  readonly overflow?: Overflow;
  /** They are synced to their disk. Default false. */
  readonly synced?: boolean;
}

/** Writes to one file at a time; when it is used up, to the next generation. */
export class Recorder {
  /** null once shut down. */
  file: FileWriter | null;
  /** Whether the last `eventShape` is one whose name is interned. */
  isKnownEvent = true;
  /** Keys of links. */
  readonly linkShape: Shape = new Shape("");
  private readonly place: Place;
  private readonly settings: RecorderSettings;
  private readonly resource: Resource;
  private readonly valueLengthLimit: number;
  readonly #owner = identity();
  readonly #bound: Array<{ bind(): void }> = [];
  private readonly eventShapes = new Map<string, Shape>();
  #previous: FileWriter | null = null;
  #syncer: FileSyncer | null = null;
  private generation = 0;
  private resourceRef = 0;
  private warnedFull = false;
  private warnedStuck = false;
  private retryAt = 0;

  /** Makes the first file; throws what stands in its way. */
  constructor(
    place: Place,
    settings: RecorderSettings,
    resource: Resource,
    limits: ResolvedSpanLimits,
  ) {
    this.place = { onNote: once((note) => note), ...place };
    this.valueLengthLimit = limits.attributeValueLengthLimit;
    this.settings = settings;
    this.resource = resource;
    this.file = this.create();
    this.sayWhere(this.file.mapping.path);
    this.startSyncing(this.file);
    onAttributeProblem(
      once((key) =>
        `attribute ${key}: cut to fit a slot of the file (OTLP_MMAP_SPANS_SLOT_BYTES and its like)`
      ),
      once((key) => `attribute ${key}: not a value that can be recorded; left out`),
    );
  }

  /** Writes the scope into the dictionary of the current file and returns its ref. */
  internScope(scope: ScopeIdentity): number {
    if (this.file === null) return 0;
    return scopeMessage(this.file.dictionary, scope, this.resourceRef);
  }

  /** `object.bind()` is called for every file that follows. */
  follow(object: { bind(): void }): void {
    this.#bound.push(object);
  }

  /** The shape of events of a name; sets `isKnownEvent`. */
  eventShape(name: string): Shape {
    let shape = this.eventShapes.get(name);
    this.isKnownEvent = true;
    if (shape === undefined) {
      shape = new Shape(name);
      if (this.eventShapes.size < MAX_EVENT_NAMES) this.eventShapes.set(name, shape);
      else this.isKnownEvent = false;
    }
    return shape;
  }

  /**
   * Called with the result of a record for `ring` that was not written: true when a new file has
   * been started and the record should be written again, to that.
   */
  moved(result: number, ring: number = RING_SPANS): boolean {
    if (result === SEQUENCES_USED_UP || result === DICTIONARY_FULL) {
      if (this.succeed(result)) return true;
    }
    this.again(result, ring);
    return false;
  }

  /**
   * Called with the result of a record that was written again, to the file that `moved` has started:
   * counts what that has no room for either. Returns the result.
   */
  again(result: number, ring: number = RING_SPANS): number {
    if (result === SEQUENCES_USED_UP || result === DICTIONARY_FULL) {
      // Not counted where it was refused, since the next file could have taken it.
      this.file?.lose(ring, result === DICTIONARY_FULL ? LOSS_DICTIONARY_FULL : LOSS_RING_FULL);
    } else if (result === REFUSED) {
      this.warnFull();
    }
    return result;
  }

  /** Begins a sync of the file, where it is synced at all; resolves when that is over. */
  sync(): Promise<void> {
    return this.#syncer?.sync() ?? Promise.resolve();
  }

  private startSyncing(file: FileWriter): void {
    const { path } = file.mapping;
    const say = once((reason) =>
      `${path} can't be synced, a loss of power would lose it: ${reason}`
    );
    this.#syncer = file.synced ? new FileSyncer(file, (error) => say(error.message)) : null;
  }

  /** Resolves true when the reader has taken all that is written now, false after `timeout` ms. */
  async taken(timeout: number): Promise<boolean> {
    const files = [this.#previous, this.file].filter((file) => file !== null);
    const targets = files.flatMap(({ spans, events, measurements }) =>
      [spans, events, measurements].map((ring) => ({
        ring,
        sequence: ring.claimed,
        discarded: ring.discarded,
      }))
    );
    const isTaken = () => {
      return files.every((file) => !file.mapping.closed) &&
        // Whatever is discarded meanwhile nobody has taken.
        targets.every(({ ring, sequence, discarded }) =>
          ring.released >= sequence && ring.discarded <= discarded
        );
    };
    const deadline = performance.now() + timeout;
    while (!isTaken()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      await new Promise((resolve) => setTimeout(resolve, Math.min(TAKEN_POLL_MS, left)));
    }
    return true;
  }

  /** Marks the file as complete. Nothing is written afterwards. */
  finish(): FileWriter | null {
    const { file } = this;
    this.file = null;
    if (file !== null) this.endFile(file, STATE_CLEAN);
    return file;
  }

  private endFile(file: FileWriter, state: number): void {
    const finish = (): void => file.finish(state);
    if (this.#syncer === null) finish();
    else this.#syncer.end(finish);
    this.#syncer = null;
  }

  /** Marks the file as complete and lets go of it. */
  close(): void {
    this.finish()?.close();
    this.#previous?.close();
    this.#previous = null;
  }

  private create(predecessor?: FileWriter): FileWriter {
    const file = createInPlace(this.place, {
      ...this.settings.sizes,
      overflow: this.settings.overflow,
      synced: this.settings.synced,
      identity: this.#owner,
      generation: this.generation,
      predecessor: predecessor?.uid,
    });
    file.valueLengthLimit = this.valueLengthLimit;
    this.resourceRef = resourceMessage(file.dictionary, this.resource);
    if (file.dictionary.full) {
      const { path } = file.mapping;
      // Before its lock is given back: afterwards the name may be somebody else's.
      unlinkSync(path);
      file.close();
      throw file.dictionary.failure ??
        new RangeError(`${path}: the resource does not fit: set OTLP_MMAP_DICTIONARY_BYTES higher`);
    }
    return file;
  }

  /** Where that is not where a person expects it. */
  private sayWhere(path: string): void {
    const { file } = this.place;
    if (file !== undefined && this.#owner.isolate === 0 && path !== file) {
      diag.warn(`${file} is written by another process that lives: this one writes ${path}`);
    }
    const problem = networkProblem(path);
    if (problem !== null) diag.warn(problem);
  }

  /** Starts the next generation. */
  private succeed(result: number): boolean {
    const last = this.file;
    if (last === null) return false;
    // Only a reader makes room for new keys: without one, files would pile up.
    if (result === DICTIONARY_FULL && this.#previous !== null && !this.#previous.drained) {
      this.warnFull();
      return false;
    }
    // An attempt costs far more than a record: not one for each of them.
    if (performance.now() < this.retryAt) return false;
    this.generation++;
    let next: FileWriter;
    try {
      next = this.create(last);
    } catch (error) {
      this.generation--;
      this.retryAt = performance.now() + RETRY_MS;
      if (!this.warnedStuck) {
        diag.error("no new file could be started, telemetry is being lost", error);
      }
      this.warnedStuck = true;
      return false;
    }
    next.open = last.open;
    this.endFile(last, STATE_SUPERSEDED);
    this.startSyncing(next);
    this.#previous?.close();
    this.#previous = last;
    this.file = next;
    for (const object of this.#bound) object.bind();
    return true;
  }

  private warnFull(): void {
    if (this.warnedFull || this.file === null) return;
    this.warnedFull = true;
    const { mapping } = this.file;
    const heartbeat = Atomics.load(mapping.i64, EXT_READER_HEARTBEAT >> 3);
    const silent = BigInt(Date.now()) * 1_000_000n - heartbeat;
    diag.warn(
      heartbeat === 0n || silent > READER_SILENT_NS
        ? `${mapping.path} is full and no collector reads it; what comes now is lost and counted. ` +
          `Start one on this machine: otlp-mmap collect`
        : `${mapping.path} is full: the collector can't keep up; what does not fit is lost and ` +
          `counted. Larger rings may help: otlp-mmap size`,
    );
  }
}

/** Warns for the first key only. */
function once(message: (key: string) => string): (key: string) => void {
  let done = false;
  return (key) => {
    if (done) return;
    done = true;
    diag.warn(message(key));
  };
}
