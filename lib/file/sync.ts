/**
 * Syncs a file to its disk while it is written (PROTOCOL.md, Loss of power).
 *
 * `fdatasync` of node:fs runs in a thread of the runtime's own, so the application's never waits for
 * a disk. On Linux it writes what was stored through a mapping like anything else.
 *
 * @module
 */
import { close, closeSync, fdatasync, openSync } from "node:fs";
import { dirname } from "node:path";
import {
  EXT_REUSABLE,
  EXT_SYNCED,
  HEADER_RINGS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../format/layout.ts";
import { syncFolder } from "./folder.ts";
import type { FileWriter } from "./write.ts";

/** How often it is looked whether it is time, ms. */
const LOOK_MS = 100;
/** Bytes of a page at least. */
const SMALLEST_PAGE = 4096;
/** Syncs are no further apart, ms. */
const INTERVAL_MS = 1000;

/** Syncs one file, one sync at a time: every second, and sooner where a ring is used up faster. */
export class FileSyncer {
  /** Syncs that are over and went well. */
  count = 0;
  private readonly file: FileWriter;
  /** Its own, opened by the first sync; -1 before. */
  private fd = -1;
  private running: Promise<void> | null = null;
  private again: Promise<void> | null = null;
  private readonly onError: (error: Error) => void;
  private readonly timer: ReturnType<typeof setInterval>;
  private syncedAt = performance.now();
  private ended = false;
  /** The last sync failed, so that what it was to write may be taken for written. */
  private isLost = false;

  /** @param file A file that has its name. @param onError Told of each sync that failed. */
  constructor(file: FileWriter, onError: (error: Error) => void) {
    this.file = file;
    this.onError = onError;
    this.timer = setInterval(() => {
      if (this.running === null && this.isTime()) this.start(false);
    }, LOOK_MS);
    this.timer.unref();
  }

  private isTime(): boolean {
    const { events, spans, measurements } = this.file;
    return performance.now() - this.syncedAt >= INTERVAL_MS ||
      [events, spans, measurements].some((ring) => ring.inUse > ring.slots / 4);
  }

  /** Resolves when all that was written before the call is on the disk, or that has failed. */
  sync(): Promise<void> {
    if (this.ended) return Promise.resolve();
    if (this.running === null) return this.start(true);
    // The one under way may have begun before the last record; one more is enough for all who ask.
    this.again ??= this.running.then(() => {
      this.again = null;
      return this.sync();
    });
    return this.again;
  }

  /**
   * Syncs once more, in this thread, and nothing more: the file is given up. Waits for the disk.
   *
   * @param finish Says so in the file: once all that was recorded is on the disk, and the file says that.
   */
  end(finish: () => void): void {
    this.ended = true;
    clearInterval(this.timer);
    const noted = this.note();
    try {
      this.touch();
      this.file.mapping.sync();
      this.store(noted);
    } catch (error) {
      this.onError(error as Error);
    }
    finish();
    try {
      this.file.mapping.sync();
      this.count++;
    } catch (error) {
      this.onError(error as Error);
    }
    if (this.running === null && this.fd >= 0) closeSync(this.fd);
  }

  private start(isAsked: boolean): Promise<void> {
    this.running = this.run(isAsked).finally(() => {
      this.running = null;
      if (this.ended && this.fd >= 0) close(this.fd, () => {});
    });
    return this.running;
  }

  private async run(isAsked: boolean): Promise<void> {
    const noted = this.note();
    this.syncedAt = performance.now();
    try {
      this.open();
      this.touch();
      await this.write();
      if (this.ended) return;
      this.store(noted);
      this.count++;
      // Who asked can't wait until the next sync takes along what says so.
      if (isAsked) await this.write();
    } catch (error) {
      if (!this.ended) this.onError(error as Error);
    }
  }

  private write(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.fd, (error) => {
        this.isLost = Boolean(error);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  private open(): void {
    if (this.fd >= 0) return;
    const { path } = this.file.mapping;
    // The name is to be there after a loss of power, too.
    syncFolder(dirname(path));
    this.fd = openSync(path, "r");
  }

  /**
   * Has the system write every page with the sync that follows, where the one before failed: what the disk
   * did not take counts as written from then on.
   */
  private touch(): void {
    if (!this.isLost) return;
    const { i32, size } = this.file.mapping;
    // Changes nothing, whoever writes there at the same time.
    for (let at = 0; at < size; at += SMALLEST_PAGE) Atomics.add(i32, at / 4, 0);
  }

  /** Both indexes of each ring: what the sync that follows is sure to write. */
  private note(): { claimed: bigint; released: bigint }[] {
    const { i64 } = this.file.mapping;
    return HEADER_RINGS.map((word) => {
      const ring = Number(i64[word / 8]);
      return {
        claimed: Atomics.load(i64, (ring + RING_WRITER_INDEX) / 8) + 1n,
        released: Atomics.load(i64, (ring + RING_READER_INDEX) / 8),
      };
    });
  }

  private store(noted: readonly { claimed: bigint; released: bigint }[]): void {
    const { i64 } = this.file.mapping;
    noted.forEach(({ claimed, released }, ring) => {
      Atomics.store(i64, EXT_SYNCED / 8 + ring, claimed);
      // Pairs with this thread's own load when it looks for room.
      Atomics.store(i64, EXT_REUSABLE / 8 + ring, released);
    });
  }
}
